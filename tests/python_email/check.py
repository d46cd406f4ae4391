"""Reads the messages of the program argv[1] with Python's email package and compares what it finds."""

import email
import email.header
import email.policy
import email.utils
import inspect
import subprocess
import sys
from email.errors import NonASCIILocalPartDefect


# Newer versions refuse more than the grammar does: a quoted local part beside an address literal, for instance.
LENIENT = {"strict": False} if "strict" in inspect.signature(email.utils.getaddresses).parameters else {}


def mailboxes(field):
    """(name, address) of each mailbox. Not field.addresses: in names it puts a space between encoded words that stand
    side by side, against RFC 2047 section 6.2."""
    return [(str(email.header.make_header(email.header.decode_header(name))).strip(), address)
            for name, address in email.utils.getaddresses([field], **LENIENT)]


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
    if any(len(line) > 76 and b"=?utf-8?" in line for line in header):
        yield "a line of more than 76 octets with an encoded word"
    if any(not line.strip() for line in header):
        yield "a line of spaces in the header"
    if b"hidden" in raw or b"\r\nbcc:" in raw.lower():
        yield "Bcc in the content"


def problems(raw, expected):
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
    for name, key in (("From", "from"), ("To", "to")):
        yield from compare(name, [a.addr_spec for a in message[name].addresses], expected[key])
        names = [n.strip() for n in expected[key + "_name"]]
        yield from compare(name, mailboxes(plain[name]), list(zip(names, expected[key])))
    yield from compare("Subject", message["Subject"].strip(), expected["subject"][0].strip())
    yield from compare("X-Own", message["X-Own"], expected["own"][0])
    yield from compare("Date", message["Date"].datetime.isoformat(), "2025-01-05T22:30:00-01:30")
    text = expected["text"][0]
    yield from compare("text", message.get_content().replace("\r\n", "\n"),
                       text if not text or text.endswith("\n") else text + "\n")
    yield from compare("type", (message.get_content_type(), message.get_content_charset()), ("text/plain", "utf-8"))


def main():
    output = subprocess.run([sys.argv[1]], check=True, stdout=subprocess.PIPE).stdout.decode()
    expected = {}
    seen = failed = 0
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word == "expect":
            key, _, value = rest.partition(" ")
            expected.setdefault(key, []).append(bytes.fromhex(value).decode())
            continue
        raw = bytes.fromhex(rest)
        seen += 1
        found = list(problems(raw, expected))
        if found:
            failed += 1
            print(f"message {seen}:", *found, raw.decode(errors="backslashreplace"), sep="\n  ")
        expected = {}
    print(f"{seen} messages, {failed} with problems")
    return 1 if failed or seen < 500 else 0


if __name__ == "__main__":
    sys.exit(main())
