"""Sends messages from the test data of packages, which `fetch` puts into the folder argv[2], through the program argv[1]
to a server with 8BITMIME and SMTPUTF8, one with 8BITMIME, and one with neither. What arrives is the same octets, or the
same decoded parts; or the message is refused with a reason."""

import collections
import email
import email.errors
import email.header
import email.policy
import pathlib
import re
import subprocess
import sys
import test.test_email

HERE = pathlib.Path(__file__).parent
SERVERS = ("8BITMIME and SMTPUTF8", "8BITMIME", "neither")
PATTERNS = {
    "pypi": ("flufl*/tests/data/*.txt", "mail_parser*/tests/mails/*", "eml_parser*/tests/**/*.eml",
             "django*/**/messages/*.eml", "salmon*/tests/data/*.msg"),
    "go": ("github.com/jhillyerd/enmime*/testdata/mail/*", "github.com/jhillyerd/enmime*/testdata/low-quality/*",
           "github.com/jhillyerd/enmime*/dsn/testdata/*", "github.com/*mail/gluon*/**/*.eml"),
    "crate": ("vendor/mail-parser/resources/**/*.eml",),
    "maven": ("**/*.msg", "**/*.eml", "**/*.mail", "**/testRFC822*"),
}
EXPECTED = ("the same octets", "the same decoded parts", "refused", "read otherwise")
# Malformed, and made otherwise so: 8-bit octets within encoded words; 8-bit octets that broke the header into the body;
# a first line that is no field, so that Python takes all of it for text, and base64 in one line, which is wrapped.
READ_OTHERWISE = {
    "legacy/009.eml": SERVERS,
    "malformed/019.eml": SERVERS[2:],
    "eml/oneAttachmentAndSomeTextInlined.eml": SERVERS,
    "eml/oneAttachmentWithEmptyContentType.eml": SERVERS,
    "eml/oneAttachmentWithSimpleContentType.eml": SERVERS,
    "eml/oneAttachmentWithoutContentType.eml": SERVERS,
    "eml/oneAttachmentWithoutName.eml": SERVERS,
}
LEFT_OUT_OF_HEADER = re.compile(rb"(bcc|resent-bcc|return-path)[ \t]*:", re.I)


def files(folder):
    """Once each, however often packages hold it."""
    found = {}
    ours = pathlib.Path(test.test_email.__file__).parent / "data"
    for where, patterns in [(ours, ("msg_*.txt",)), *((folder / name, p) for name, p in PATTERNS.items())]:
        for pattern in patterns:
            for file in sorted(where.glob(pattern)):
                if file.is_file() and re.search(rb"(?m)^[\w-]+:", file.read_bytes()[:4000]):
                    found.setdefault(file.read_bytes(), file)
    return list(found.values())


def as_taken(octets):
    """What docs/messages.md says is done to every message."""
    octets = octets.removeprefix(b"\xef\xbb\xbf")
    octets = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    octets = re.sub(rb"\A>?From [^\r]*\r\n", b"", octets)
    if not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    header, empty, body = (b"\r\n" + octets).partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", header)
    kept = [field for field in fields if not LEFT_OUT_OF_HEADER.match(field)]
    return b"\r\n".join(kept)[2:] + empty + body


def decoded(value):
    """Without folding and quotes, and with encoded words decoded, whatever they stand in."""
    try:
        value = str(email.header.make_header(email.header.decode_header(str(value or ""))))
    except (LookupError, ValueError, email.errors.HeaderParseError):
        pass  # no charset that Python knows
    return re.sub(r'["\s]+', "", value)


def readable(line):
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def parts(octets):
    message = email.message_from_bytes(octets, policy=email.policy.compat32)
    # Its fields as text, for Python takes octets above 127 in them for unknown
    text = email.message_from_string("\r\n".join(map(readable, octets.split(b"\r\n"))), policy=email.policy.compat32)
    yield [decoded(text[name]) for name in ("Subject", "From", "To", "Date", "Message-ID")]
    yield [decoded(part.get_filename()) for part in text.walk()]
    for part in message.walk():
        content = None if part.is_multipart() else part.get_payload(decode=True)
        if content is not None and part.get_content_maintype() == "text":
            content = re.sub(rb"\r\n|\r|\n", b"\n", content).rstrip(b"\n")
        yield part.get_content_type(), content


def verdict(given, line):
    word, _, value = line.partition(" ")
    if word == "refused":
        return "refused" if value else "refused without a reason"
    arrived = bytes.fromhex(value)
    if word != "arrived":
        return word
    if arrived == as_taken(given):
        return "the same octets"
    return "the same decoded parts" if list(parts(arrived)) == list(parts(as_taken(given))) else "read otherwise"


def main():
    folder = pathlib.Path(sys.argv[2]).resolve()
    if not (folder / "complete").exists():
        subprocess.run([HERE / "fetch", folder], check=True)
        (folder / "complete").touch()
    all_files = files(folder)
    names = "".join(f"{file}\n" for file in all_files)
    lines = subprocess.run([sys.argv[1]], input=names, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    if len(lines) != len(SERVERS) * len(all_files):
        sys.exit(f"{len(lines)} answers for {len(all_files)} messages")
    counts = [collections.Counter() for _ in SERVERS]
    why = collections.Counter()
    wrong = 0
    for number, file in enumerate(all_files):
        for server, (count, line) in enumerate(zip(counts, lines[len(SERVERS) * number:])):
            found = verdict(file.read_bytes(), line)
            count[found] += 1
            if found == "refused":
                reason = bytes.fromhex(line.split()[1]).decode(errors="replace")
                why[SERVERS[server], re.sub(r"\d+|'.*'", "*", reason)[:160]] += 1
            known = SERVERS[server] in READ_OTHERWISE.get("/".join(file.parts[-2:]), ())
            if known != (found == "read otherwise") or found not in EXPECTED:
                wrong += 1
                print(f"{found}, server with {SERVERS[server]}: {file}")
    for server, count in zip(SERVERS, counts):
        print(f"{server}: {dict(count)}")
    for (server, reason), times in sorted(why.items()):
        print(f"  refused {times}, server with {server}: {reason}")
    print(f"{len(all_files)} messages, {wrong} answers that are not as they must be")
    return 1 if wrong or len(all_files) < 600 else 0


if __name__ == "__main__":
    sys.exit(main())
