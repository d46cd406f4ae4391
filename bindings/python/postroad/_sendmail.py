"""sendmail and mailq, as cron, PHP, git, mutt and the rest call them. See docs/command.md."""

from __future__ import annotations

import contextlib
import email.utils
import getpass
import re
import socket
import sys
import time
from dataclasses import dataclass, field
from email.header import Header
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ._config import Account, Config, load
from ._delivery import Delivery
from ._errors import Error, InvalidInput, Unsupported
from ._jobs import Job, Queue
from ._literals import Returned
from ._mailer import Mailer
from ._receipts import Receipt, Status, outcome_text, printable
from ._shell import GOOD, INTERRUPTED, TRY_LATER, complain, proof, status_of, verdict, write

NAMES = ("sendmail", "mailq", "newaliases")

# options with a value, as sendmail(8), Postfix and Exim have them; of those in the second the value is never apart
_VALUED, _ATTACHED = "BCDFLNORVXbefhopr", "Adqx"
_FLAGS = "GUimntv"
_MODES = {
    "s": "it speaks no SMTP on standard input: give the program the server in your configuration",
    "d": "it is no daemon: postroad run sends what is queued",
    "v": "it verifies no addresses: postroad diagnose does",
    "t": "it has no test mode: postroad diagnose looks at a server",
}


@dataclass
class Options:
    mode: str = "m"
    from_header: bool = False
    dot_ends: bool = True
    quiet: bool = False
    sender: Optional[str] = None
    name: str = ""
    notify: str = ""
    returned: str = ""
    envelope_id: str = ""
    recipients: List[str] = field(default_factory=list)


def _usage(text: str) -> InvalidInput:
    return InvalidInput(text, code="invalid_option")


def _take(options: Options, letter: str, value: str) -> None:
    if letter in "fr":
        options.sender = value
    elif letter == "F":
        options.name = value
    elif letter == "b":
        options.mode = value
    elif letter == "N":
        options.notify = value
    elif letter == "R":
        options.returned = value
    elif letter == "V":
        options.envelope_id = value
    elif letter == "t":
        options.from_header = True
    elif letter == "i" or (letter == "o" and value == "i"):
        options.dot_ends = False
    elif (letter, value) in (("o", "eq"), ("e", "q")):
        options.quiet = True
    elif letter == "q":
        raise _usage(f"-q{value}: it does not run the queue: postroad run does")


def parse(arguments: Sequence[str]) -> Options:
    """By the rules of getopt(3). What only tunes another program's queue or errors is taken and does nothing."""
    options = Options()
    given = list(arguments)
    while given and given[0].startswith("-") and given[0] != "-":
        word = given.pop(0)
        if word == "--":
            break
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _FLAGS:
                _take(options, letter, "")
                continue
            if letter not in _VALUED + _ATTACHED:
                raise _usage(f"the option -{letter} is not known: leave it out")
            if letter in _VALUED and not letters and not given:
                raise _usage(f"the option -{letter} needs a value")
            _take(options, letter, letters or (given.pop(0) if letter in _VALUED else ""))
            letters = ""
    options.recipients = given
    return options


class Field(NamedTuple):
    name: str
    raw: bytes

    def value(self) -> str:
        text = self.raw.partition(b":")[2].decode("utf-8", "surrogateescape")
        return " ".join(text.split())


def _split(content: bytes) -> Tuple[List[Field], bytes]:
    """Header and the rest, which begins with the empty line. What has no header is text as a whole."""
    lines = content.splitlines(keepends=True)
    fields: List[Field] = []
    n = 1 if lines and lines[0].startswith((b"From ", b">From ")) else 0
    while n < len(lines):
        line = lines[n]
        if fields and line[:1] in b" \t" and line.strip():
            fields[-1] = Field(fields[-1].name, fields[-1].raw + line)
        elif found := re.match(rb"([!-9;-~]+)[ \t]*:", line):
            fields.append(Field(found[1].decode(), line))
        else:
            break
        n += 1
    rest = b"".join(lines[n:])
    return fields, rest if re.match(rb"\r?\n", rest) else b"\n" + rest


def _without_last_dot(content: bytes) -> bytes:
    found = re.search(rb"(?:^|(?<=\n))\.\r?\n", content)
    return content[: found.start()] if found else content


def _host() -> str:
    """What Debian's mail programs go by, else the name of this machine."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if found := Path("/etc/mailname").read_text().strip():
            return found
    name = socket.getfqdn()
    return name if "." in name else f"{name}.localdomain"


class Origin:
    """Who sends, and from where."""

    def __init__(self, config: Config, options: Options) -> None:
        self.config = config
        self.domain = config.domain or _host()
        self.options = options

    def qualified(self, address: str) -> str:
        return address if "@" in address else f"{address}@{self.domain}"

    def delivered_to(self, address: str) -> List[str]:
        local, _, domain = address.partition("@")
        names = [local] if domain in ("", self.domain) else []
        known = next((n for n in [address, *names] if n in self.config.aliases), address)
        return [self.qualified(a) for a in self.config.expand(known)]

    def sender(self, account: Account) -> str:
        given = self.options.sender
        if given in ("", "<>"):
            return ""
        if given and "@" in given:
            return given.strip("<>")
        fallback = account.sender or self.config.sender
        return fallback or self.qualified(given or getpass.getuser())


def _addresses(fields: Sequence[Field], *names: str) -> List[Tuple[str, str]]:
    values = [f.value() for f in fields if f.name.lower() in names]
    return [(name, a) for name, a in email.utils.getaddresses(values) if a]


def _recipients(options: Options, fields: Sequence[Field], origin: Origin) -> List[str]:
    given = list(options.recipients)
    if options.from_header:
        resent = _addresses(fields, "resent-to", "resent-cc", "resent-bcc")
        given += [a for _, a in resent or _addresses(fields, "to", "cc", "bcc")]
    else:
        given = [a for text in given for _, a in email.utils.getaddresses([text]) if a]
    if not given:
        where = "its To, Cc and Bcc name nobody" if options.from_header else "name recipients, or use -t"
        raise InvalidInput(f"the message is for nobody: {where}", code="no_recipients")
    found = [a for name in given for a in origin.delivered_to(name)]
    return list(dict.fromkeys(found))


def _mailbox(name: str, address: str) -> str:
    if name and not name.isascii():
        return f"{Header(name, 'utf-8').encode()} <{address}>"
    return email.utils.formataddr((name, address))


def _qualify(f: Field, origin: Origin, sender: str) -> Field:
    """Local names, as cron writes them, mean nothing to another server."""
    found = [(n, a) for n, a in email.utils.getaddresses([f.value()]) if a]
    if not found or all("@" in a for _, a in found) or ":" in f.value():
        return f
    own = f.name.lower() in ("from", "sender")
    texts = [
        _mailbox(n, a if "@" in a else (sender or origin.qualified(a)) if own else origin.qualified(a))
        for n, a in found
    ]
    joined = ",\n ".join(texts)
    return Field(f.name, f"{f.name}: {joined}\n".encode("utf-8", "surrogateescape"))


def completed(content: bytes, origin: Origin, sender: str) -> bytes:
    """The message with what a header must have, and no local names."""
    fields, rest = _split(content)
    named = {f.name.lower() for f in fields}
    shown = sender or origin.qualified(getpass.getuser())
    made = []
    if "from" not in named:
        made.append(f"From: {_mailbox(origin.options.name, shown)}\n")
    if "date" not in named:
        made.append(f"Date: {email.utils.formatdate(localtime=True)}\n")
    if "message-id" not in named:
        made.append(f"Message-ID: {email.utils.make_msgid(domain=shown.rpartition('@')[2])}\n")
    addressed = ("from", "sender", "to", "cc", "reply-to")
    kept = [_qualify(f, origin, sender) if f.name.lower() in addressed else f for f in fields]
    ended = [f.raw if f.raw.endswith(b"\n") else f.raw + b"\n" for f in kept]
    return "".join(made).encode() + b"".join(ended) + rest


def _delivery(options: Options) -> Optional[Delivery]:
    if not (options.notify or options.returned or options.envelope_id):
        return None
    returned: Dict[str, Optional[Returned]] = {"hdrs": "headers", "full": "full", "": None}
    if options.returned.lower() not in returned:
        raise _usage(f"-R {options.returned}: write full or hdrs")
    return Delivery(
        # what is no such word is refused there
        notify=[e.strip().lower() for e in options.notify.split(",") if e.strip()],  # type: ignore[misc]
        returned=returned[options.returned.lower()],
        envelope_id=options.envelope_id or None,
    )


def _send(account: Account, options: Options, content: bytes, envelope: Dict[str, Any]) -> Receipt:
    login = proof(_nothing_given(), account.url, account)
    with Mailer(account.url, ca_file=account.ca_file or None, **login) as mail:
        try:
            return mail.send(content, delivery=_delivery(options), **envelope)
        except Unsupported as e:
            if e.code != "dsn_unsupported":
                raise
            # a wish, as mutt has it: the message counts more
            return mail.send(content, **envelope)


def _nothing_given() -> Any:
    from argparse import Namespace

    return Namespace(user=None, password_command=None, password_file=None, token_command=None, keyring=False)


def _submit(config: Config, options: Options) -> int:
    content = sys.stdin.buffer.read()
    if options.dot_ends:
        content = _without_last_dot(content)
    origin = Origin(config, options)
    fields, _ = _split(content)
    author = next((a for _, a in _addresses(fields, "from")), None)
    by = options.sender if options.sender and "@" in options.sender else author
    # the queue needs no server: whoever sends from it has one
    account = Account(url="smtp://localhost") if config.queue and not config.accounts else config.account(None, by)
    recipients = _recipients(options, fields, origin)
    sender = origin.sender(account)
    envelope: Dict[str, Any] = {"sender": sender, "recipients": recipients}
    content = completed(content, origin, sender)
    if config.queue:
        with Mailer(account.url, queue=config.queue, submit_only=True) as mail:
            mail.submit(content, **envelope)
        return GOOD
    receipt = _send(account, options, content, envelope)
    for r in receipt.recipients:
        if r.status is not Status.ACCEPTED:
            _complain(options, outcome_text(r))
    return verdict(receipt)


def _complain(options: Options, text: str) -> None:
    if not options.quiet:
        complain(text)
    if not sys.stderr.isatty():
        # who calls sendmail seldom shows what it says
        with contextlib.suppress(ImportError):
            import syslog

            syslog.openlog("postroad", syslog.LOG_PID, syslog.LOG_MAIL)
            syslog.syslog(syslog.LOG_ERR, printable(text))


def _row(job: Job) -> str:
    since = time.strftime("%a %b %d %H:%M", time.localtime(time.time() - job.age))
    mark = {"sending": "*", "held": "!", "in_doubt": "?"}.get(job.state, " ")
    lines = [f"{job.id:>8}{mark} {job.octets:>9} {since}  {job.sender or 'MAILER-DAEMON'}"]
    if job.error:
        lines.append(f"{'':>9} ({job.error})")
    lines += [f"{'':>38}{address}" for address, status in job.recipients if status != "accepted"]
    return "\n".join(printable(line) for line in lines)


def _list(config: Config) -> int:
    if not config.queue:
        raise InvalidInput("there is no queue: write queue into the configuration", code="invalid_config")
    try:
        jobs = Queue(config.queue).jobs(limit=1_000_000)
    except FileNotFoundError:
        jobs = []
    if not jobs:
        write("Mail queue is empty")
        return GOOD
    write(f"{'Number':>8}  {'Octets':>9} {'Since':<16}  Sender, recipients (* being sent, ! held, ? in doubt)")
    for job in jobs:
        write(_row(job))
    write(f"-- {sum(j.octets for j in jobs) // 1024} KiB in {len(jobs)} messages")
    return GOOD


def main(name: str, arguments: Sequence[str]) -> int:
    """Returns the exit status, as in sysexits.h: 75 says that it may succeed later."""
    options = Options()
    try:
        if name == "newaliases":
            return GOOD
        options = parse(arguments)
        mode = "p" if name == "mailq" else options.mode
        if mode == "i":
            return GOOD
        if mode in _MODES or mode not in ("m", "p"):
            raise _usage(f"-b{mode}: {_MODES.get(mode, 'there is no such mode')}")
        return _list(load()) if mode == "p" else _submit(load(), options)
    except Error as e:
        _complain(options, f"{e.code}: {e}")
        return status_of(e)
    except OSError as e:
        _complain(options, f"{e.filename or 'the queue'}: {e.strerror}")
        return TRY_LATER
    except KeyboardInterrupt:
        return INTERRUPTED
