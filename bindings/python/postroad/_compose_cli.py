"""postroad send: composes a message, or takes those in files."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from . import _core
from ._config import Account, Config, load
from ._errors import Error, InvalidInput
from ._events import Event
from ._mailer import Mailer
from ._message import Dkim, Message
from ._messages import mailboxes, recipient_octets, sender_octets
from ._progress import Bar
from ._receipts import Receipt, Status, outcome_text, printable
from ._report import options_of, reporting
from ._services import names_a_server
from ._shell import (
    GOOD,
    INTERRUPTED,
    NO_FILE,
    add_login,
    aside,
    complain,
    destination,
    failure,
    interruptible,
    not_empty,
    octets_of,
    printing,
    proof,
    refuse_mbox,
    say,
    status_of,
    verdict,
    worse,
    write,
)

if TYPE_CHECKING:
    Content = Union[bytes, Path, Message]

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_COMPOSING = ("subject", "text", "html", "attach", "inline", "header", "cc", "bcc", "reply_to")


def _usage(text: str) -> InvalidInput:
    return InvalidInput(text, code="invalid_option")


def duration(text: str) -> float:
    """Seconds of "90", "90s", "10m", "2h", "1d"."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None:
        raise _usage(f"{text!r} is no duration: write 90s, 10m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2]]


def seconds_until(text: str, now: datetime) -> float:
    """From `now`, which has a time zone, to "18:30" (the next), "2026-12-01 09:00" (local) or any ISO 8601 time."""
    try:
        if re.fullmatch(r"\d\d:\d\d", text):
            hour, minute = map(int, text.split(":"))
            wall = now.replace(tzinfo=None, hour=hour, minute=minute, second=0, microsecond=0)
            # the zone of now may not be that of tomorrow
            at = wall.astimezone()
            at = at if at > now else (wall + timedelta(days=1)).astimezone()
        else:
            at = datetime.fromisoformat(re.sub(r"Z$", "+00:00", text))
            # a time without a zone is that of the clock on the wall
            at = at.astimezone(now.tzinfo) if at.tzinfo else at.astimezone()
    except ValueError:
        raise _usage(f"{text!r} is no time: write 18:30, or 2026-12-01T09:00") from None
    if at < now:
        raise _usage(f"{text} is past: give a time to come")
    return (at - now).total_seconds()


def _text_of(option: str, given: Optional[str]) -> Optional[str]:
    if given is None or not given.startswith("@"):
        return given
    if given == "@":
        raise _usage(f"{option} @ names no file: write @FILE, or @- for standard input")
    try:
        return octets_of(given[1:]).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{option} {given}: it is not UTF-8: convert it", code="invalid_message") from None


def _addresses(config: Config, option: str, given: Optional[Sequence[str]]) -> List[Tuple[str, str]]:
    expanded = [a for text in given or () for a in config.expand(text.strip())]
    return [(name.decode(), address.decode()) for text in expanded for _, name, address in mailboxes(option, text)]


def _recipients(args: argparse.Namespace, config: Config) -> List[List[Tuple[str, str]]]:
    lists = (("--to", args.recipients), ("--cc", args.cc), ("--bcc", args.bcc))
    return [_addresses(config, option, given) for option, given in lists]


def _headers(given: Optional[Sequence[str]]) -> Iterator[Tuple[str, str]]:
    for text in given or ():
        name, colon, value = text.partition(":")
        if not colon:
            raise _usage(f"--header {text!r} needs a colon: write 'X-Name: value'")
        yield name, value.strip()


def _attach(message: Message, option: str, file: str) -> None:
    path = Path(file)
    if option == "--inline" and re.search(r"[^!-;=?-~]", path.name):
        raise _usage(f"--inline {file}: cid:NAME takes ASCII without spaces, < and >: give the file another name")
    # now, so that the OSError of one that cannot be read comes before anything is sent
    with path.open("rb") as opened:
        # what can be read only once is read here
        what: Union[Path, bytes] = path if path.is_file() else opened.read()
    if option == "--inline":
        message.attach(what, name=path.name, content_id=path.name, inline=True)
    else:
        message.attach(what, name=path.name)


def signer_of(given: Optional[str]) -> Optional[Dkim]:
    if given is None:
        return None
    domain, _, rest = given.partition(":")
    selector, _, key = rest.partition(":")
    if not key:
        raise _usage("--sign needs DOMAIN:SELECTOR:FILE, such as example.com:mail2026:dkim.pem")
    return Dkim(domain, selector, Path(key), password=os.environ.get("POSTROAD_KEY_PASSWORD", ""))


def _composed(args: argparse.Namespace, config: Config, sender: str) -> Message:
    to, cc, bcc = _recipients(args, config)
    if not (to or cc or bcc):
        raise _usage("nobody is named: say --to ADDRESS, --cc or --bcc")
    if not sender:
        raise _usage("no sender is known: say --from ADDRESS, or write sender into the configuration")
    if args.text == args.html == "@-":
        raise _usage("--text and --html both read standard input, which is there once: name a file for one")
    text, html = _text_of("--text", args.text), _text_of("--html", args.html)
    if text is None and html is None:
        if sys.stdin.isatty():
            complain("write the text, and end it with Ctrl-D")
        text = _text_of("standard input", "@-")
    message = Message(
        from_=sender,
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=args.reply_to or (),
        subject=args.subject,
        text=text,
        html=html,
    )
    for name, value in _headers(args.header):
        message.add_header(name, value)
    for option, files in (("--attach", args.attach), ("--inline", args.inline)):
        for file in files or ():
            _attach(message, option, file)
    return message


class _Contents:
    """What is to be sent, one by one, and what each is called. What cannot be read is told, and left out."""

    def __init__(self, args: argparse.Namespace, files: Sequence[str]) -> None:
        self.signer = signer_of(args.sign)
        self.names: List[str] = []
        self.status = GOOD
        self.left = max(1, len(files))
        self.stopped = threading.Event()
        self.envelope_from: Optional[str] = args.sender if args.bounces is None else args.bounces
        self.envelope_to: List[str] = []
        self.composed: Optional[Message] = None
        self._files = files

    def __iter__(self) -> Iterator[Content]:
        if self.composed is not None:
            self.names.append("message")
            self.left = 0
            yield self.composed
        for file in self._files:
            if self.stopped.is_set():
                return
            self.left -= 1
            try:
                # what can be read only once is read here
                content = Path(file) if file != "-" and Path(file).is_file() else octets_of(file)
                with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as lines:
                    refuse_mbox(lines)
            except Error as e:  # an OSError, too
                self.failed(file, e)
                continue
            except OSError as e:
                complain(f"{file}: {e.strerror}")
                self.status = worse(self.status, NO_FILE)
                continue
            self.names.append(file)
            yield content

    def failed(self, name: str, error: Error) -> None:
        complain(f"{name}: {failure(error)}")
        self.status = worse(self.status, status_of(error))


def _tell(args: argparse.Namespace, name: str, receipt: Receipt) -> None:
    for r in receipt.recipients:
        if args.quiet and r.status is Status.ACCEPTED:
            continue
        if args.json:
            about = {"file": name, "recipient": r.address, "status": r.status.value, "code": r.code}
            write(json.dumps({**about, "enhanced": r.enhanced, "text": r.text, "phase": r.phase}))
        else:
            say(name, outcome_text(r))


def _show(event: Event) -> None:
    """A line of the conversation, as swaks and curl show it."""
    reply = " ".join(str(part) for part in (event.code, event.enhanced, event.reply) if part)
    lines = {
        "command": f"> {event.text}",
        "content": f"> ({event.octets} octets of the message)",
        "reply": f"< {reply}",
        "dialing": f"* {event.server} {event.text}",
        "connected": f"* connected to {event.server} {event.text}",
        "tls_established": f"* TLS {event.text}",
        "closed": f"* closed {event.text} {event.error or ''}",
    }
    if event.kind in lines:
        aside(f"{event.connection} {printable(lines[event.kind]).rstrip()}")


def _dry_run(args: argparse.Namespace, contents: _Contents) -> int:
    for content in contents:
        name = contents.names[-1]
        try:
            octets = bytes(content) if isinstance(content, Message) else _octets(content)
            given = sender_octets(contents.envelope_from), recipient_octets(contents.envelope_to or None)
            sender, recipients = _core.examine(octets, *given)[:2]
            if contents.signer is not None:
                octets = contents.signer.sign(octets)
        except Error as e:
            contents.failed(name, e)
            continue
        complain(f"{name}: dry run, nothing is sent: from <{sender}> to {', '.join(recipients)}")
        with printing():
            sys.stdout.buffer.write(octets)
    return contents.status


def _octets(content: Union[bytes, Path]) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content


def _queue_up(args: argparse.Namespace, contents: _Contents, mail: Mailer, envelope: Dict[str, Any]) -> None:
    for content in contents:
        name = contents.names[-1]
        try:
            mail.submit(content, **envelope)
        except Error as e:
            contents.failed(name, e)
            continue
        if not args.quiet:
            write(json.dumps({"file": name, "status": "queued"})) if args.json else say(name, f"queued in {args.queue}")


def _send_now(args: argparse.Namespace, contents: _Contents, mail: Mailer, envelope: Dict[str, Any]) -> None:
    # between the lines of others a bar would be in the way
    with Bar(contents.left, shown=args.quiet and contents.left > 1) as bar:
        for receipt in mail.send_many(contents, **envelope):
            name = contents.names[receipt.index or 0]
            bar.step(receipt.all_accepted)
            if receipt.error is not None:
                complain(f"{name}: {failure(receipt.error)}")
            _tell(args, name, receipt)
            contents.status = worse(contents.status, verdict(receipt))


def _send(args: argparse.Namespace) -> int:
    composing = [name for name in _COMPOSING if getattr(args, name) is not None]
    given = args.what
    if not composing and not args.recipients and (names_a_server(given[0]) if len(given) == 1 else not given):
        raise _usage("nothing is to be sent: give files, or compose with --to, --subject, --text")
    config = load()
    if args.queue and not (given and names_a_server(given[0])) and not config.accounts:
        given = ["smtp://localhost", *given]  # who sends from the queue knows the server
    url, account, files = destination(given, args, config) if not args.dry_run else nowhere(given, args, config)
    if files and composing:
        raise _usage(f"--{composing[0].replace('_', '-')} composes a message, and {files[0]} is one: give one of them")
    sender = args.sender or account.sender or config.sender
    contents = _Contents(args, files)
    if files:
        contents.envelope_to = args.recipients or []
    else:
        # what is wrong is said before a password is asked for
        contents.composed = _composed(args, config, sender)
        contents.envelope_to = [address for found in _recipients(args, config) for _, address in found]
        if args.bounces is None:
            contents.envelope_from = sender
    if args.dry_run:
        return _dry_run(args, contents)
    envelope: Dict[str, Any] = {"sender": args.sender, "recipients": args.recipients} if files else {}
    if args.bounces is not None:
        envelope["sender"] = args.bounces
    if args.delay or args.at:
        now = datetime.now().astimezone()
        envelope["delay"] = duration(args.delay) if args.delay else seconds_until(args.at, now)
    return _with_mailer(args, contents, url, account, envelope)


def nowhere(given: Sequence[str], args: argparse.Namespace, config: Config) -> Tuple[str, Account, Sequence[str]]:
    """As destination(), for what needs no server."""
    try:
        return destination(given, args, config)
    except InvalidInput:
        if args.account:
            raise
        return destination(["smtp://localhost", *given], args, config)


def _with_mailer(
    args: argparse.Namespace, contents: _Contents, url: str, account: Any, envelope: Dict[str, Any]
) -> int:
    options: Dict[str, Any] = {"attempts": args.attempts, "ca_file": account.ca_file or None, "sign": contents.signer}
    if args.queue:
        options.update(queue=args.queue, submit_only=True)
    else:
        options.update(proof(args, url, account))
    with reporting(args.report) as report:
        options.update(options_of(report, [_show] if args.transcript else []))
        with Mailer(url, **options) as mail, interruptible(mail) as interrupted:
            contents.stopped = interrupted
            (_queue_up if args.queue else _send_now)(args, contents, mail, envelope)
    if interrupted.is_set():
        if contents.left:
            complain(f"interrupted: {contents.left} more were not begun")
        return INTERRUPTED
    return contents.status


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "send",
        help="send messages",
        usage="postroad send [options] [URL] [FILE ...]",
        description="Sends each FILE, a message as in .eml, or composes one of what the options say. Without a URL an "
        "account of the configuration is used. The text comes from standard input if neither --text nor --html is "
        "given. TEXT may be @FILE, and @- is standard input.",
    )
    parser.add_argument(
        "what", type=not_empty, metavar="[URL] [FILE ...]", nargs="*", help="a message; - is standard input"
    )
    add_login(parser)
    group = parser.add_argument_group("addresses")
    group.add_argument(
        "--from", type=not_empty, dest="sender", metavar="ADDRESS", help="the sender; of FILEs that of the envelope"
    )
    group.add_argument(
        "--to",
        type=not_empty,
        dest="recipients",
        metavar="ADDRESS",
        action="append",
        help="recipient, repeatable; of FILEs instead of those in the header",
    )
    for name in ("cc", "bcc", "reply-to"):
        group.add_argument(f"--{name}", type=not_empty, metavar="ADDRESS", action="append", help="repeatable")
    group.add_argument("--bounces", metavar="ADDRESS", help='envelope sender, for reports of failure; "" for none')
    group = parser.add_argument_group("a message")
    group.add_argument("--subject", metavar="TEXT")
    group.add_argument("--text", metavar="TEXT", help="the text, or @FILE")
    group.add_argument("--html", metavar="TEXT", help="the HTML, or @FILE")
    group.add_argument("--attach", type=not_empty, metavar="FILE", action="append", help="repeatable")
    group.add_argument(
        "--inline", type=not_empty, metavar="FILE", action="append", help="shown by the HTML as cid:NAME, repeatable"
    )
    group.add_argument("--header", metavar="FIELD", action="append", help="'X-Name: value', repeatable")
    group.add_argument("--sign", metavar="DOMAIN:SELECTOR:FILE", help="sign by DKIM with the key in FILE")
    group = parser.add_argument_group("sending")
    group.add_argument(
        "--queue", type=not_empty, metavar="FILE", help="leave it in this queue, for another process to send"
    )
    when = group.add_mutually_exclusive_group()
    when.add_argument("--delay", type=not_empty, metavar="TIME", help="send after 90s, 10m, 2h, 1d")
    when.add_argument("--at", type=not_empty, metavar="TIME", help="send at 18:30, or at 2026-12-01T09:00")
    group.add_argument("--attempts", type=int, default=1, help="try what is deferred again, up to so many times")
    group.add_argument("--dry-run", action="store_true", help="write the message to standard output and send nothing")
    group.add_argument("--transcript", action="store_true", help="show the conversation on standard error")
    group.add_argument(
        "--report", type=not_empty, metavar="FILE", help="write what happened as a page of HTML, with plots"
    )
    group.add_argument("--json", action="store_true", help="a line of JSON for each recipient")
    group.add_argument("--quiet", action="store_true", help="say nothing of what was accepted")
    parser.set_defaults(run=_send)
