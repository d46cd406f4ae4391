"""Errors of a program by mail: those of a minute in one, and no more than ten mails an hour.

python log_handler.py URL
"""

import logging
import sys

from postroad.logging import MailHandler

handler = MailHandler(sys.argv[1], sender="job@example.com", recipients="ops@example.com", digest=60, mails_per_hour=10)
logging.basicConfig(level=logging.INFO)
logging.getLogger().addHandler(handler)

log = logging.getLogger("job")
log.info("this is not mailed")
for disk in range(3):
    try:
        raise OSError(f"disk {disk} is full")
    except OSError:
        log.exception("cannot save the night's sums")
