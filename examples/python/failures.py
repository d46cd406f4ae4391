"""An outbox that tells when a message fails: a hook for the program, and a delivery report to the sender.

python failures.py URL FILE
"""

import sys

import postroad

url, file = sys.argv[1:]


def tell(event):
    """Called in a thread of its own; what it raises is logged."""
    if event.kind == "outcome" and event.status is postroad.Status.REJECTED:
        print(f"message {event.message} failed for {event.text}: {event.code} {event.reply}")


with postroad.Mailer(url, queue=file, on_failure="report", reporting_mta="mx.example.com", on_event=tell) as mail:
    mail.submit(
        postroad.Message(
            from_="shop@example.com", to="rejected@example.org", subject="Order 1", text="It is on its way."
        )
    ).wait(60)

for job in postroad.Queue(file).jobs(state="failed"):
    print(f"kept: {job.recipients[0][0]}: {job.error}")
