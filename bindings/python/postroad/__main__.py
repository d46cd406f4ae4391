"""The command postroad, also python -m postroad. See docs/python.md."""

from __future__ import annotations

import argparse
import contextlib
import email
import email.policy
import getpass
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple, Union

from . import Mailer, Queue, Receipt, Status, __version__, _core, diagnose
from ._errors import Error, InvalidInput
from ._jobs import JobFilter
from ._messages import STANDS_ONCE
from ._receipts import outcome_text, printable

# what the shell is told; argparse ends with WRONG_INPUT as well
GOOD, FAILED, WRONG_INPUT, TRY_LATER, INTERRUPTED = 0, 1, 2, 75, 130


def _octets(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    with open(file, "rb") as f:
        return f.read()


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # nobody reads on; what was asked for is done all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(file: str, text: str) -> None:
    _print(f"{printable(file)}: {text}")


def _complain(text: str) -> None:
    print(f"postroad: {printable(text)}", file=sys.stderr, flush=True)


def _proof(args: argparse.Namespace) -> Tuple[Optional[str], Optional[str]]:
    """Password and token."""
    if args.user is None:
        return None, None
    password, token = os.environ.get("POSTROAD_PASSWORD"), os.environ.get("POSTROAD_TOKEN")
    if password and token:
        raise InvalidInput("POSTROAD_PASSWORD and POSTROAD_TOKEN are both set: set one of them", code="contradiction")
    if not password and not token:
        if not sys.stdin.isatty():
            text = (
                "--user needs the password in the environment variable POSTROAD_PASSWORD, or a token in POSTROAD_TOKEN"
            )
            raise InvalidInput(text, code="invalid_credentials")
        password = getpass.getpass(f"Password of {printable(args.user)}: ")
    return password or None, token or None


@contextlib.contextmanager
def _interruptible(mail: Mailer) -> Iterator[threading.Event]:
    """The first SIGINT or SIGTERM ends the mailer in order, so that each message has its receipt; the second all."""
    interrupted = threading.Event()

    def stop(*_: object) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        # not by print(), which this may have interrupted
        os.write(2, b"postroad: interrupted: waiting for replies to what is under way; once more ends at once\n")
        threading.Thread(target=mail._stop).start()

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        for s in (s for s, was in before.items() if was is not signal.SIG_IGN):
            signal.signal(s, stop)
        yield interrupted
    finally:
        for s, was in before.items():
            signal.signal(s, was)


def _verdict(receipt: Receipt) -> int:
    if receipt.all_accepted:
        return GOOD
    if receipt.error is not None and not receipt.error.transient:
        return FAILED
    missed = [r for r in receipt.recipients if r.status is not Status.ACCEPTED]
    safe = all(r.status in (Status.DEFERRED, Status.NOT_ATTEMPTED) for r in missed)
    return TRY_LATER if safe else FAILED


def _worse(one: int, other: int) -> int:
    order = (GOOD, TRY_LATER, FAILED)
    return max(one, other, key=order.index)


def _send(args: argparse.Namespace) -> int:
    result = GOOD
    sent: List[str] = []
    password, token = _proof(args)

    def contents(interrupted: threading.Event) -> Iterator[Union[bytes, Path]]:
        nonlocal result
        for file in args.files:
            if interrupted.is_set():
                return
            try:
                # what can be read only once is read here
                content = Path(file) if file != "-" and Path(file).is_file() else _octets(file)
            except OSError as e:
                _complain(f"{file}: {e.strerror}")
                result = FAILED
                continue
            sent.append(file)
            yield content

    with Mailer(args.url, user=args.user, password=password, token=token, attempts=args.attempts) as mail:
        with _interruptible(mail) as interrupted:
            for receipt in mail.send_many(contents(interrupted), sender=args.sender, recipients=args.recipients):
                file = sent[receipt.index or 0]
                if receipt.error is not None:
                    _complain(f"{file}: {receipt.error.code}: {receipt.error}")
                for r in receipt.recipients:
                    if not args.quiet or r.status is not Status.ACCEPTED:
                        _say(file, outcome_text(r))
                result = _worse(result, _verdict(receipt))
    if interrupted.is_set():
        if rest := len(args.files) - len(sent):
            _complain(f"interrupted: {rest} more were not begun")
        return INTERRUPTED
    return result


def _notices(content: bytes, found: _core.Examined) -> Iterator[str]:
    _, longest_line, eight_bit, international, binary = found[2:]
    if international:
        yield "the header is UTF-8: the server must offer SMTPUTF8"
    if eight_bit:
        yield "it holds 8-bit octets: a server without 8BITMIME gets it encoded anew"
    if binary:
        yield "it holds what only BINARYMIME carries: another server gets it encoded anew"
    elif longest_line > 998:
        yield f"a line has {longest_line} octets, of 998 that SMTP allows: it is encoded anew"
    message = email.message_from_bytes(content, policy=email.policy.default)
    for name in STANDS_ONCE:
        if (n := len(message.get_all(name, []))) > 1:
            yield f"the field {name} stands {n} times: readers show different ones, and it cannot be signed"
    for name in ("From", "Date", "Message-ID"):
        if message[name] is None:
            yield f"the field {name} is missing"
    for part in message.walk():
        for defect in part.defects:
            yield f"{part.get_content_type()}: {type(defect).__name__}"


def _check(args: argparse.Namespace) -> int:
    result = GOOD
    for file in args.files:
        try:
            content = _octets(file)
            found = _core.examine(content)
        except Error as e:
            _complain(f"{file}: {e.code}: {e}")
            result = FAILED
            continue
        except OSError as e:
            _complain(f"{file}: {e.strerror}")
            result = FAILED
            continue
        sender, recipients, size = found[:3]
        _say(file, printable(f"from <{sender}> to {', '.join(recipients)}, {size} octets"))
        for notice in _notices(content, found):
            _say(file, printable(f"notice: {notice}"))
    return result


def _diagnose(args: argparse.Namespace) -> int:
    password, token = _proof(args)
    found = diagnose(
        args.url, sender=args.sender, recipients=args.recipients, user=args.user, password=password, token=token
    )
    _print(str(found))
    if found.error is None:
        return GOOD
    return TRY_LATER if found.error.transient else FAILED


def _queue(args: argparse.Namespace) -> int:
    which: JobFilter = {k: v for k, v in vars(args).items() if k in JobFilter.__annotations__ and v is not None}  # type: ignore[assignment]
    try:
        queue = Queue(args.file)
        if args.action == "list":
            for job in queue.jobs(limit=args.limit, **which):
                to = ", ".join(
                    address if status == "not_attempted" else f"{address} ({status})"
                    for address, status in job.recipients
                )
                due = f" in {job.until:.0f} s" if job.state == "delayed" else ""
                why = f"; {job.error}" if job.error else ""
                _print(printable(f"{job.id} {job.state}{due}, {job.age:.0f} s old: <{job.sender}> to {to}{why}"))
        elif args.action == "count":
            counts = queue.count()
            for state, n in counts.by_state.items():
                _print(f"{state}: {n}")
            _print(f"oldest: {counts.oldest:.0f} s")
        else:
            if not which and not args.all:
                _complain("say which: --all, --id, --state, --tenant, --tag or --domain")
                return WRONG_INPUT
            _print(str({"retry": queue.retry_now, "hold": queue.hold, "drop": queue.drop}[args.action](**which)))
    except InvalidInput:
        raise
    except Error as e:
        _complain(f"{e.code}: {e}")
        return TRY_LATER if e.transient else FAILED
    except OSError as e:
        _complain(f"{args.file}: {e.strerror}")
        return FAILED
    return GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="postroad",
        description="Sends mail, and looks at it.",
        epilog="Exit status: 0 all is well; 1 something failed; 2 the command line or the URL is wrong; "
        "75 what failed may succeed later.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    user = (
        "name to authenticate; the password is asked for, or stands in the environment variable POSTROAD_PASSWORD, "
        "or a token in POSTROAD_TOKEN"
    )
    send = commands.add_parser("send", help="send messages", description="Sends each FILE, a message as in .eml.")
    send.add_argument("url", metavar="URL", help="such as smtp://smtp.example.com; see docs/python.md")
    send.add_argument("files", metavar="FILE", nargs="+", help="a message; - is standard input")
    send.add_argument("--user", help=user)
    send.add_argument("--from", dest="sender", metavar="ADDRESS", help="envelope sender instead of the header's")
    send.add_argument("--to", dest="recipients", metavar="ADDRESS", action="append", help="recipient, repeatable")
    send.add_argument("--attempts", type=int, default=1, help="try what is deferred again, up to so many times")
    send.add_argument("--quiet", action="store_true", help="say nothing of what was accepted")
    send.set_defaults(run=_send)

    check = commands.add_parser(
        "check", help="look at messages", description="Says what envelope each FILE has and what it needs of a server."
    )
    check.add_argument("files", metavar="FILE", nargs="+", help="a message; - is standard input")
    check.set_defaults(run=_check)

    look = commands.add_parser(
        "diagnose",
        help="find out why mail does not go",
        description="Takes every step to the server up to the recipients, and sends nothing.",
    )
    look.add_argument("url", metavar="URL", help="such as smtp://smtp.example.com; see docs/python.md")
    look.add_argument("recipients", metavar="RECIPIENT", nargs="*", help="an address to ask about")
    look.add_argument("--user", help=user)
    look.add_argument("--from", dest="sender", metavar="ADDRESS", default="", help="sender of the trial")
    look.set_defaults(run=_diagnose)

    queue = commands.add_parser(
        "queue",
        help="look after a queue in a file",
        description="Lists or counts what is in FILE, the queue of a Mailer; lets it go now (also what is held or in "
        "doubt), holds it until then, or drops it.",
    )
    queue.add_argument("file", metavar="FILE")
    queue.add_argument("action", choices=["list", "count", "retry", "hold", "drop"], nargs="?", default="list")
    queue.add_argument("--id", type=int, metavar="N", help="the message of that number")
    queue.add_argument("--state", choices=["waiting", "delayed", "sending", "held", "in_doubt"])
    queue.add_argument("--tenant", metavar="NAME")
    queue.add_argument("--tag", metavar="NAME")
    queue.add_argument("--domain", metavar="NAME", help="of the first recipient")
    queue.add_argument("--all", action="store_true", help="with retry, hold and drop: all of them")
    queue.add_argument("--limit", type=int, metavar="N", default=1000, help="of list")
    queue.set_defaults(run=_queue)
    return parser


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command and returns the exit status."""
    args = _parser().parse_args(arguments)
    try:
        status: int = args.run(args)
    except InvalidInput as e:
        _complain(f"{e.code}: {e}")
        return WRONG_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


if __name__ == "__main__":
    sys.exit(main())
