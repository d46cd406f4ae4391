"""Reads the messages of the program argv[1] with Python's email, Perl's Email::MIME, mailparser and postal-mime of
JavaScript, enmime of Go and mail-parser of Rust, and compares what they find. script/bootstrap puts the readers into the
folder argv[2]. argv[3] and argv[4] are the first case and how many, 1,000 unless told; a case is three
messages. POSTROAD_SEED and POSTROAD_CASES stand for them: more of them than ctest has time for, or one again."""

import email
import email.header
import email.policy
import email.utils
import os
import pathlib
import re
import subprocess
import sys
from collections import Counter

HERE = pathlib.Path(__file__).parent


def decoded(name):
    return str(email.header.make_header(email.header.decode_header(name)))


def found_by_python(raw, problems):
    """(key, octets) of everything in the message."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    # not by field.addresses, which puts a space between encoded words that stand side by side
    to = email.message_from_bytes(raw, policy=email.policy.compat32)["To"]
    found = [("to", f"{decoded(name)} <{address}>".encode()) for name, address in email.utils.getaddresses([to])]
    found.append(("subject", str(message["Subject"]).encode()))

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


def found_by(command, messages):
    """The same for each message, by a reader that is a program."""
    text = "".join(raw.hex() + "\n" for raw in messages)
    output = subprocess.run(command, input=text, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = [[]]
    for line in output.splitlines():
        if line == "end":
            found.append([])
        else:
            key, _, value = line.partition(" ")
            found[-1].append((key, bytes.fromhex(value)))
    return found[:-1]


NONCHARACTER = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF)) + "]"
)
WORD = rb"=\?utf-8\?(?:q\?x|b\?eA==)\?="
# with the space between it and another, which counts for nothing
LOOKS_ENCODED = re.compile(WORD + rb"(?:\s+(?=" + WORD + rb"))?")


def comparable(found, kind, reader, any_words):
    """In no order, and with line ends of text as they were given; the line end that ends a message is nobody's.
    any_words: whatever was decoded of names, with whatever space."""

    def value(key, octets):
        if any_words and key in ("to", "name"):
            return re.sub(WORD + rb"|x|\s", b"", octets)
        if key in ("text", "html"):
            return octets.replace(b"\r\n", b"\n").rstrip(b"\n")
        # they take a line end before a delimiter for a part of it: the one any, the other where nothing stands before
        if kind == 2 and (reader == "Email::MIME" or (reader, octets) == ("mailparser", b"\r\n")):
            return octets.rstrip(b"\r\n")
        if kind == 2 and reader == "enmime":
            return octets.rstrip(b"\r")  # it takes CR before a delimiter for a part of it
        return octets

    result = Counter((key, value(key, octets)) for key, octets in found)
    if reader == "Email::MIME":
        result = Counter({one: n for one, n in result.items() if one[0] != "to"})  # it does not split lists
    if reader == "mailparser":
        del result["text", b""]  # it finds one where there is none
    return result


def is_stray(octets):
    """Whether "=?" begins no encoded word: then enmime decodes some of those behind it, and some not."""
    return any(start[0] == b"=?" for start in re.finditer(WORD + rb"|=\?", octets))


def without_edges(mailbox):
    """The name without the spaces at its edges, which some take off where it stands in quotes."""
    name, _, address = mailbox.rpartition(b" <")
    in_quotes = name.isascii() and not re.search(rb"=\?.*\?=", name) and len(re.sub(rb'(["\\])', rb"..", name)) < 76
    return (name.strip() if in_quotes else name) + b" <" + address


def as_misread(expected, raw, reader):
    """What the reader must find because of a fault of its own."""
    twice = {"postal-mime": ("name",), "enmime": ("name", "to")}.get(reader, ())
    for key, octets in expected:
        if key in twice:
            octets = LOOKS_ENCODED.sub(b"x", octets)  # it decodes once more what is decoded
        if reader == "Email::MIME" and key in ("subject", "name"):  # Perl's Encode lets none of them through
            octets = NONCHARACTER.sub("\ufffd", octets.decode()).encode()
        if key == "to" and reader in ("mailparser", "postal-mime"):
            octets = without_edges(octets)
        # it finds no text where nothing follows the header
        if not (reader == "postal-mime" and (key, octets) == ("text", b"") and raw.endswith(b"\r\n\r\n")):
            yield key, octets


def given_up(expected, found, reader):
    """Whether it refuses the message for a fault of its own: enmime decodes the encoded words of `name` before it looks
    for the quotation mark that ends it."""
    quoted = [octets for key, octets in expected if key == "name" and b'"' in octets]
    encoded = any(not octets.isascii() or LOOKS_ENCODED.search(octets) for octets in quoted)
    return (
        reader == "enmime" and encoded and found == [("error", b"Failed to ReadParts: mime: invalid media parameter")]
    )


def problems_of_lines(raw, kind):
    if kind < 2:
        if any(len(line) > 998 for line in raw.split(b"\r\n")):
            yield "a line of more than 998 octets"
        if b"\n" in raw.replace(b"\r\n", b"") or b"\r" in raw.replace(b"\r\n", b""):
            yield "a bare CR or LF"
    if kind == 0 and not raw.isascii():
        yield "octets above 127"


def read_cases(program, first, count):
    command = [program, str(first), str(count)]
    expected, raws = [], []
    for line in subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode().splitlines():
        word, _, rest = line.partition(" ")
        if word == "expect":
            key, _, value = rest.partition(" ")
            expected.append((key, bytes.fromhex(value)))
        elif word == "message":
            raws.append(bytes.fromhex(rest))
        else:
            yield expected, raws
            expected, raws = [], []


def commands(folder):
    """The readers that are programs."""
    script = str(HERE / "read.mjs")
    found = {
        "Email::MIME": ["perl", HERE / "read.pl"],
        "mailparser": ["node", script, "mailparser", folder],
        "postal-mime": ["node", script, "postal-mime", folder],
        "enmime": [folder / "enmime"],
        "mail-parser": [folder / "mail_parser"],
    }
    for needed in ("node_modules/mailparser", "node_modules/postal-mime", "enmime", "mail_parser"):
        if not (folder / needed).exists():
            sys.exit(f"{needed} is not in {folder}: script/bootstrap puts it there")
    return found


def problems_of(number, expected, raw, kind, readers):
    problems = list(problems_of_lines(raw, kind))
    answers = {"Python": found_by_python(raw, problems), **{r: found[number] for r, found in readers.items()}}
    if kind == 2:
        answers.pop("postal-mime", None)  # it reads by lines, and loses which line ends binary octets had
    for reader, found in answers.items():
        any_words = reader == "enmime" and any(is_stray(octets) for key, octets in expected if key in ("to", "name"))
        wanted = comparable(as_misread(expected, raw, reader), kind, reader, any_words)
        got = comparable(found, kind, reader, any_words)
        if wanted != got and not given_up(expected, found, reader):
            problems.append(f"{reader}: found {got - wanted}, expected {wanted - got}")
    return problems


def check(program, programs, first, count):
    """How many messages there are, and how many have problems."""
    cases = [
        (expected, raw, kind) for expected, raws in read_cases(program, first, count) for kind, raw in enumerate(raws)
    ]
    readers = {reader: found_by(command, [raw for _, raw, _ in cases]) for reader, command in programs.items()}
    for reader, found in readers.items():
        if len(found) != len(cases):
            sys.exit(f"{reader} read {len(found)} of {len(cases)} messages")
    failed = 0
    for number, (expected, raw, kind) in enumerate(cases):
        problems = problems_of(number, expected, raw, kind, readers)
        failed += bool(problems)
        if problems and failed <= 10:
            shown = raw[:3000].decode(errors="backslashreplace")
            print(f"case {first + number // 3}, kind {kind}:", *problems, shown, sep="\n  ")
    return len(cases), failed


def main():
    programs = commands(pathlib.Path(sys.argv[2]).resolve())
    first, count = (int(sys.argv[3]), int(sys.argv[4])) if len(sys.argv) > 4 else (0, 1000)
    first, count = int(os.environ.get("POSTROAD_SEED", first)), int(os.environ.get("POSTROAD_CASES", count))
    seen = failed = 0
    for start in range(first, first + count, 500):  # in memory at once
        more, wrong = check(sys.argv[1], programs, start, min(500, first + count - start))
        seen, failed = seen + more, failed + wrong
    print(f"{seen} messages from case {first}, {failed} with problems")
    return 1 if failed or seen != 3 * count else 0


if __name__ == "__main__":
    sys.exit(main())
