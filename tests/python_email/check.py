"""Reads the messages of the program argv[1], with arguments behind it, with Python's email package and compares what it
finds. A message that differs says its seed: `check.py PROGRAM SEED 1` shows it again. So do POSTROAD_SEED and
POSTROAD_CASES, how many."""

import email
import email.header
import email.policy
import email.utils
import inspect
import os
import re
import subprocess
import sys
from email.errors import NonASCIILocalPartDefect


ENCODED_WORD = re.compile(rb"=\?utf-8\?[qb]\?[^? ]*\?=")

# Newer versions refuse more than the grammar does: a quoted local part beside an address literal, for instance.
LENIENT = {"strict": False} if "strict" in inspect.signature(email.utils.getaddresses).parameters else {}


def mailboxes(field):
    """(name, address) of each mailbox. Not field.addresses: in names it puts a space between encoded words that stand
    side by side, against RFC 2047 section 6.2."""
    return [(decoded(name).strip(), address) for name, address in email.utils.getaddresses([field], **LENIENT)]


def decoded(value):
    return str(email.header.make_header(email.header.decode_header(value)))


def compare(what, found, wanted):
    if found != wanted:
        yield f"{what}: found {found!r}, expected {wanted!r}"


def problems_of_lines(raw):
    header = raw.split(b"\r\n\r\n")[0].split(b"\r\n")
    lines = raw.split(b"\r\n")
    if any(b"\n" in line or b"\r" in line for line in lines):
        yield "a bare CR or LF"
    if any(len(line) > 998 for line in lines):
        yield "a line of more than 998 octets"
    if any(len(line) > 76 and ENCODED_WORD.search(line) for line in header):
        yield "a line of more than 76 octets with an encoded word"
    if any(not line.strip() for line in header):
        yield "a line of spaces in the header"
    if b"hidden" in raw or b"\r\nbcc:" in raw.lower():
        yield "Bcc in the content"


def parts_of(message):
    """Text, HTML, and (name, description, octets) of each file."""
    text, html, files = None, "", []
    for part in message.walk():
        if part.is_multipart():
            continue
        if part.get_content_disposition() == "attachment":
            files.append(
                (part.get_filename(), part.get("Content-Description", "").strip(), part.get_payload(decode=True))
            )
        elif part.get_content_type() == "text/html":
            html = part.get_content()
        else:
            text = part.get_content()
    return text, html, files


def lines_of(text):
    """The line end that ends a message or a part is nobody's."""
    return text.replace("\r\n", "\n").rstrip("\n")


def stripped(name):
    """Space at the edges means nothing in a name, and readers take it off: ours as well as what Python calls space."""
    return name.strip()


def problems_of_fields(message, plain, expected):
    for field, key in (
        ("From", "from"),
        ("To", "to"),
        ("Cc", "cc"),
        ("Reply-To", "reply_to"),
        ("Disposition-Notification-To", "notify"),
    ):
        addresses = expected.get(key, [])
        # Python knows the grammar of these only, and parses no quoted local part with a comma in the others
        if not addresses or key == "notify":
            found = [address for _, address in mailboxes(plain[field])] if addresses else []
        else:
            found = [a.addr_spec for a in message[field].addresses]
        yield from compare(field, found, addresses)
        if addresses and not (key == "to" and "group" in expected):
            names = [(stripped(name), address) for name, address in mailboxes(plain[field])]
            yield from compare(field, names, list(zip(map(stripped, expected[key + "_name"]), addresses)))
    yield from compare("Subject", message["Subject"], expected["subject"][0])
    yield from compare("X-Own", message["X-Own"].strip(), expected["own"][0].strip())
    keywords = decoded(plain["Keywords"]).split(",") if "Keywords" in plain else []
    yield from compare("Keywords", [k.strip(' "') for k in keywords], expected.get("keyword", []))
    yield from compare("Date", message["Date"].datetime.isoformat(), "2025-01-05T22:30:00-01:30")


def problems(raw, expected, octets):
    yield from problems_of_lines(raw)
    international = any(not a.isascii() for a in expected["from"] + expected["to"])
    if not international and not raw.isascii():
        yield "octets above 127"
    # from a string, because the parser for octets takes no UTF-8 in a header
    message = email.message_from_string(raw.decode(), policy=email.policy.default)
    plain = email.message_from_string(raw.decode(), policy=email.policy.compat32)
    if message.defects:
        yield f"defects of the message: {message.defects}"
    for name, value in message.items():
        defects = [d for d in value.defects if not (international and isinstance(d, NonASCIILocalPartDefect))]
        if defects:
            yield f"defects of {name}: {defects}"
    if len(message.keys()) != len(set(message.keys())):
        yield "a field stands twice"
    yield from problems_of_fields(message, plain, expected)
    text, html, files = parts_of(message)
    yield from compare("text", lines_of(text), lines_of(expected["text"][0]))
    yield from compare("HTML", lines_of(html), lines_of(expected["html"][0]))
    wanted = list(zip(expected.get("file_name", []), expected.get("description", []), octets))
    yield from compare("files", files, wanted)


def main():
    command = sys.argv[1:]
    if "POSTROAD_CASES" in os.environ:
        command += [os.environ.get("POSTROAD_SEED", "1"), os.environ["POSTROAD_CASES"]]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()
    expected, octets = {}, []
    seed = "none"
    seen = failed = 0
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word == "seed":
            seed = rest
            continue
        if word == "expect":
            key, _, value = rest.partition(" ")
            if key == "octets":
                octets.append(bytes.fromhex(value))
            else:
                expected.setdefault(key, []).append(bytes.fromhex(value).decode())
            continue
        raw = bytes.fromhex(rest)
        seen += 1
        found = list(problems(raw, expected, octets))
        if found:
            failed += 1
            if failed <= 10:
                print(f"seed {seed}:", *found, raw.decode(errors="backslashreplace")[:3000], sep="\n  ")
        expected, octets = {}, []
    print(f"{seen} messages up to seed {seed}, {failed} with problems")
    return 1 if failed or (len(command) == 1 and seen < 3000) else 0


if __name__ == "__main__":
    sys.exit(main())
