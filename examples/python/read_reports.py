"""Reads the reports and complaints that came to a Maildir, into a list of addresses that get no mail.

python read_reports.py MAILDIR LIST

The Maildir must be one of a return path that nobody else knows (docs/reports.md): anybody may send a report.
"""

import mailbox
import sys

import postroad

folder, path = sys.argv[1:]
suppressed = postroad.SuppressionList(path)
maildir = mailbox.Maildir(folder, create=False)
for key, message in maildir.items():
    if message.get_subdir() != "new":
        continue
    report = postroad.read_report(maildir.get_bytes(key))
    for r in report.recipients if report else ():
        print(f"{r.address}: {report.feedback_type or r.action} {r.status or ''} {r.cause} ({r.certainty})")
    suppressed.read(maildir.get_bytes(key))
    # behind that: what was being read when the process died is read once more
    message.set_subdir("cur")
    message.add_flag("S")
    maildir[key] = message

for entry in suppressed.entries():
    print(f"suppressed: {entry.address}: {entry.reason} ({entry.source})")
