"""Reads the messages of the program argv[1] with Python's email and Perl's Email::MIME and compares what they find."""

import email
import email.policy
import pathlib
import subprocess
import sys
from collections import Counter

READER = pathlib.Path(__file__).with_name("read.pl")


def found_by_python(raw, problems):
    """(key, octets) of everything in the message."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    found = [("subject", str(message["Subject"]).encode())]

    def walk(part):
        for name, value in part.items():
            # `name` of Content-Type has encoded words in quotes, on purpose: for readers without RFC 2231
            defects = [d for d in value.defects if name != "Content-Type" or "encoded" not in str(d)]
            if defects:
                problems.append(f"defects of {name}: {defects}")
        if part.defects:
            problems.append(f"defects of a part: {part.defects}")
        kind = part.get_content_type()
        if kind == "message/rfc822":
            found.append(("nested", part.get_payload(0)["Subject"].encode()))
        elif part.is_multipart():
            for child in part.iter_parts():
                walk(child)
        elif part.get_content_disposition() is None:
            found.append(("html" if kind == "text/html" else "text", part.get_payload(decode=True)))
        else:
            found.append(("cid", (part["Content-ID"] or "").strip("<>").encode()))
            found.append(("name", part.get_filename("").encode()))
            found.append(("octets", part.get_payload(decode=True)))

    walk(message)
    return found


def found_by_perl(messages):
    """The same for each message, by the other reader."""
    text = "".join(raw.hex() + "\n" for raw in messages)
    output = subprocess.run(["perl", READER], input=text, check=True, capture_output=True, text=True).stdout
    found = [[]]
    for line in output.splitlines():
        if line == "end":
            found.append([])
        else:
            key, _, value = line.partition(" ")
            found[-1].append((key, bytes.fromhex(value)))
    return found[:-1]


def comparable(found, kind):
    """In no order, and with line ends of text as they were given; the line end that ends a message is nobody's."""
    def value(key, octets):
        if key in ("text", "html"):
            return octets.replace(b"\r\n", b"\n").rstrip(b"\n")
        # Perl takes any line end before a delimiter for a part of it, even one more in binary
        return octets.rstrip(b"\r\n") if kind == 2 else octets

    return Counter((key, value(key, octets)) for key, octets in found)


def problems_of_lines(raw, kind):
    if kind < 2:
        if any(len(line) > 998 for line in raw.split(b"\r\n")):
            yield "a line of more than 998 octets"
        if b"\n" in raw.replace(b"\r\n", b"") or b"\r" in raw.replace(b"\r\n", b""):
            yield "a bare CR or LF"
    if kind == 0 and not raw.isascii():
        yield "octets above 127"


def read_cases(program):
    expected, raws = [], []
    for line in subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines():
        word, _, rest = line.partition(" ")
        if word == "expect":
            key, _, value = rest.partition(" ")
            expected.append((key, bytes.fromhex(value)))
        elif word == "message":
            raws.append(bytes.fromhex(rest))
        else:
            yield expected, raws
            expected, raws = [], []


def main():
    cases = [(expected, raw, kind) for expected, raws in read_cases(sys.argv[1]) for kind, raw in enumerate(raws)]
    by_perl = found_by_perl([raw for _, raw, _ in cases])
    failed = 0
    for number, ((expected, raw, kind), perl) in enumerate(zip(cases, by_perl, strict=True)):
        problems = list(problems_of_lines(raw, kind))
        for reader, found in (("Python", found_by_python(raw, problems)), ("Perl", perl)):
            wanted, got = comparable(expected, kind), comparable(found, kind)
            if wanted != got:
                problems.append(f"{reader}: found {got - wanted}, expected {wanted - got}")
        if problems:
            failed += 1
            if failed <= 10:
                print(f"message {number}, kind {kind}:", *problems, raw[:3000].decode(errors="backslashreplace"), sep="\n  ")
    print(f"{len(cases)} messages, {failed} with problems")
    return 1 if failed or len(cases) < 1000 else 0


if __name__ == "__main__":
    sys.exit(main())
