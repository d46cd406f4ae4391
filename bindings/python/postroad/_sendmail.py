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
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from . import _core
from ._config import Account, Config, load
from ._delivery import Delivery
from ._errors import Error, InvalidInput, Unsupported
from ._jobs import Job, Queue
from ._literals import Returned
from ._mailer import Mailer
from ._messages import octets
from ._receipts import Receipt, Status, outcome_text, printable
from ._shell import GOOD, INTERRUPTED, TRY_LATER, complain, failure, proof, status_of, verdict, write

NAMES = ("sendmail", "mailq", "newaliases")

# options with a value, as sendmail(8), Postfix and Exim have them; of those in the second the value is never apart
_VALUED, _ATTACHED = "BCDFLNORVXbefhopr", "Adqx"
_FLAGS = "GIUimntv"
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
    elif letter == "I":
        options.mode = "i"
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
            options.recipients = given
            return options
        if word.startswith("--"):
            raise _usage(f"the option {word} is not known: sendmail has no long ones")
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
    if misplaced := next((word for word in given if word.startswith("-")), None):
        raise _usage(f"{misplaced} stands behind a recipient: write options first, and -- before such an address")
    options.recipients = given
    return options


_LONG = 900
"""Octets, of 998 in a line."""


class Field(NamedTuple):
    name: str
    raw: bytes

    def value(self) -> bytes:
        """On one line, in UTF-8."""
        return " ".join(self.raw.partition(b":")[2].decode("utf-8", "replace").split()).encode()


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
        self.name = options.name

    def qualified(self, address: str) -> str:
        return address if "@" in address else f"{address}@{self.domain}"

    def delivered_to(self, address: str) -> List[str]:
        local, _, domain = address.partition("@")
        names = [local] if domain in ("", self.domain) else []
        known = next((n for n in [address, *names] if n.lower() in self.config.aliases), address)
        return [_globally(a, self.qualified) for a in self.config.expand(known)]

    def sender(self, account: Account) -> str:
        given = self.options.sender
        if given in ("", "<>"):
            return ""
        if not (given and "@" in given):
            given = account.sender or self.config.sender or self.qualified(given or _user())
        [(name, address)] = _core.mailboxes(b"the sender", octets("the sender", given, "invalid_address"), True)
        self.name = self.name or name
        return address


def _user() -> str:
    """Who calls. In a container it may be nobody whom the system knows, and nothing in the environment says it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        text = "this user has no name: give the sender as -f ADDRESS, or write sender into the configuration"
        raise InvalidInput(text, code="no_sender") from None


# quoted strings, comments (nested twice), what ends an element, words
_TOKENS = re.compile(
    r'"(?:\\.|[^"\\])*"|\((?:\\.|[^()\\]|\((?:\\.|[^()\\])*\))*\)|[,:;<>@]|[^\s,:;<>@"()]+|\s+|.', re.DOTALL
)


def _globally(text: str, address_of: Callable[[str], str]) -> str:
    """A list of addresses in which local names, as cron writes them, have become addresses: they mean nothing to
    another server. What is not plainly one stays, for the library to read or refuse."""

    def one(element: List[str]) -> str:
        said = [t for t in element if (not t.isspace() and t[0] != "(") or t == "("]
        if said[-3:-2] == ["<"] and said[-1] == ">" and "@" not in said:
            n = len(element) - 1 - element[::-1].index(said[-2])
            return "".join([*element[:n], address_of(said[-2]), *element[n + 1 :]])
        if len(said) != 1 or said[0] in (*'<>@"()',):
            return "".join(element)
        comments = [t[1:-1] for t in element if t[0] == "("]
        space = " " if element[0].isspace() else ""
        return space + _mailbox(comments[0] if comments else "", address_of(said[0]))

    result: List[str] = []
    element: List[str] = []
    for token in _TOKENS.findall(text):
        if token not in (*",:;",):
            element.append(token)
            continue
        # what stands before a colon is the name of a group
        result += ["".join(element) if token == ":" else one(element), token]
        element = []
    return "".join([*result, one(element)])


def _read(where: str, text: bytes) -> List[str]:
    """The addresses of one list, as the library reads those of a message."""
    try:
        return list(_core.examine(b"From: nobody@localhost\nTo: " + b" ".join(text.split()) + b"\n\n", None, None)[1])
    except InvalidInput as e:
        if e.code == "no_recipients":
            return []
        why = str(e).partition(": ")[2].rpartition("; it may be given instead")[0]
        raise InvalidInput(f"{where}: {why}", code=e.code) from None


def _named_by(fields: Sequence[Field], origin: Origin) -> List[str]:
    """Each field is read alone, so that what one leaves open hides no other."""
    found: List[str] = []
    for names in (("resent-to", "resent-cc", "resent-bcc"), ("to", "cc", "bcc")):
        for f in fields:
            if f.name.lower() in names:
                found += _read(f.name, _globally(f.value().decode(), origin.qualified).encode())
        if found:
            break
    return found


def _recipients(options: Options, fields: Sequence[Field], origin: Origin) -> List[str]:
    given: List[str] = []
    for text in options.recipients:
        octets("a recipient", text, "invalid_address")
        named = _read("a recipient", _globally(text, origin.qualified).encode())
        if not named:
            raise InvalidInput(f"a recipient: {printable(text)!r} is no address", code="invalid_address")
        given += named
    if options.from_header:
        given += _named_by(fields, origin)
    if not given:
        where = "its To, Cc and Bcc name nobody" if options.from_header else "name recipients, or use -t"
        raise InvalidInput(f"the message is for nobody: {where}", code="no_recipients")
    found = [a for name in given for a in origin.delivered_to(name)]
    return list(dict.fromkeys(found))


def _author(fields: Sequence[Field]) -> Optional[str]:
    """Whose account is used; From may be anything."""
    values = [f.value() for f in fields if f.name.lower() == "from"]
    with contextlib.suppress(InvalidInput):
        return next(iter(_read("From", values[0])), None) if values else None
    return None


def _mailbox(name: str, address: str) -> str:
    """`name` came from a command line, or from a comment: it may hold anything."""
    name = " ".join(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split())
    if not name:
        return address
    if not name.isascii() or not name.isprintable():
        return f"{Header(name, 'utf-8').encode()} <{address}>"
    # not by formataddr() as a whole, which knows ASCII addresses only
    return f"{email.utils.formataddr((name, ''))[:-1]}{address}>"


def _qualify(f: Field, origin: Origin, sender: str) -> Field:
    own = f.name.lower() in ("from", "sender")
    text = f.raw.partition(b":")[2].decode("utf-8", "surrogateescape")
    changed = _globally(text, lambda a: (own and sender) or origin.qualified(a))
    if len(f.raw) > _LONG:
        # where the library may begin another line
        changed = "".join(", " if t == "," else t for t in _TOKENS.findall(changed))
    return f if changed == text else Field(f.name, f"{f.name}:{changed}".encode("utf-8", "surrogateescape"))


def completed(content: bytes, origin: Origin, sender: str) -> bytes:
    """The message with what a header must have, and no local names."""
    fields, rest = _split(content)
    named = {f.name.lower() for f in fields}
    made = []
    if "from" not in named:
        made.append(f"From: {_mailbox(origin.name, sender or origin.qualified(_user()))}\n")
    if "date" not in named:
        made.append(f"Date: {email.utils.formatdate(localtime=True)}\n")
    if "message-id" not in named:
        domain = sender.rpartition("@")[2] or origin.domain
        made.append(f"Message-ID: {email.utils.make_msgid(domain=domain)}\n")
    addressed = ("from", "sender", "to", "cc", "reply-to")
    kept = [_qualify(f, origin, sender) if f.name.lower() in addressed else f for f in fields]
    ended = [f.raw if f.raw.endswith(b"\n") else f.raw + b"\n" for f in kept]
    return octets("the sender", "".join(made), "invalid_address") + b"".join(ended) + rest


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


def _send(account: Account, delivery: Optional[Delivery], content: bytes, envelope: Dict[str, Any]) -> Receipt:
    login = proof(_nothing_given(), account.url, account)
    with Mailer(account.url, ca_file=account.ca_file or None, **login) as mail:
        try:
            return mail.send(content, delivery=delivery, **envelope)
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
    by = options.sender if options.sender and "@" in options.sender else _author(fields)
    # the queue needs no server: whoever sends from it has one
    account = Account(url="smtp://localhost") if config.queue and not config.accounts else config.account(None, by)
    delivery = _delivery(options)
    recipients = _recipients(options, fields, origin)
    sender = origin.sender(account)
    envelope: Dict[str, Any] = {"sender": sender, "recipients": recipients}
    content = completed(content, origin, sender)
    if config.queue:
        # without `delivery`: a server that has no such reports would refuse it when nobody is here to ask again
        with Mailer(account.url, queue=config.queue, submit_only=True) as mail:
            mail.submit(content, **envelope)
        return GOOD
    receipt = _send(account, delivery, content, envelope)
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
        _complain(options, failure(e))
        # who gave the mail keeps it until somebody has mended the path
        return TRY_LATER if e.code == "storage_unusable" else status_of(e)
    except OSError as e:
        _complain(options, f"{e.filename or 'the queue'}: {e.strerror}")
        return TRY_LATER
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as e:
        _complain(options, failure(e))
        return TRY_LATER
