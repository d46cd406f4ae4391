"""An outbox in a file: what is submitted is sent, also when the process or the server dies; what failed is listed.

python outbox.py URL FILE
"""

import sys

import postroad

url, file = sys.argv[1:]
with postroad.Mailer(url, queue=file) as mail:
    tickets = []
    for order, address in enumerate(["bob@example.org", "rejected@example.org"]):
        message = postroad.Message(
            from_="shop@example.com", to=address, subject=f"Order {order}", text="Thank you for your order."
        )
        try:
            tickets.append(mail.submit(message, idempotency_key=f"order {order}", tag="orders"))
        except postroad.AlreadyQueued:
            print(f"order {order} was confirmed before")
    for ticket in tickets:
        ticket.wait(60)
    for trouble in mail.count().troubles:
        print(f"{trouble.name}: {trouble.why}")

for job in postroad.Queue(file).jobs(state="failed"):
    print(f"failed: {job.recipients[0][0]}: {job.error}")
