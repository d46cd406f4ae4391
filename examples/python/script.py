"""One message with an attachment.

python script.py URL, such as smtp://user:password@smtp.example.com
"""

import sys

import postroad

message = postroad.Message(
    from_="Ann Lee <ann@example.com>",
    to=["bob@example.org", ("Cid Ng", "cid@example.org")],
    subject="The report",
    text="It is attached.",
    html="<p>It is <b>attached</b>.",
)
message.attach(b"month,sum\nMay,7\n", name="report.csv")

receipt = postroad.send(sys.argv[1], message)
for r in receipt.recipients:
    print(f"{r.address}: {r.status.value} {r.code or ''} {r.text}")
sys.exit(0 if receipt.all_accepted else 1)
