#!/usr/bin/env python3
"""What compose.cpp does, by Python's email: compose.py [MESSAGES]."""

import pathlib
import re
import sys
import time
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid

messages = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
line = "Zwölf große Bären grüßen über den Zaun, und niemand wundert sich darüber.\n"
text = line * (2048 // len(line.encode()) + 1)
html = f"<html><body><p>{text}<p>{text}</body></html>"
octets = bytes((i * 2654435761 >> 13) & 255 for i in range(65536))

size = 0
start = time.process_time()
for i in range(messages):
    m = EmailMessage(policy=SMTP)
    m["From"] = "Ann Lee <ann@example.com>"
    m["To"] = [Address("Jörg Müller", addr_spec="bob@example.org"), Address("Cid", addr_spec="cid@example.org")]
    m["Subject"] = f"Größe und Gewicht Ihrer Bestellung, Nummer {i}"
    m["Date"] = localtime()
    m["Message-ID"] = make_msgid(domain="example.com")
    m.set_content(text)
    m.add_alternative(html, subtype="html")
    m.add_attachment(octets, maintype="application", subtype="octet-stream", filename="Größen.bin")
    size = len(m.as_bytes())
seconds = time.process_time() - start
peak = re.search(r"VmHWM:\s*(\d+)", pathlib.Path("/proc/self/status").read_text())[1]
print(f"{messages / seconds:.0f} {size} {peak}")
