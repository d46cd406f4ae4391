"""What the commands share: what is printed, what the shell is told, and where passwords come from."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import io
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, Dict, Iterable, Iterator, List, NoReturn, Optional, Sequence, Tuple
from urllib.parse import unquote

from ._config import Account, Config, words_of
from ._credentials import CredentialsRequest
from ._errors import AuthenticationError, Error, InvalidInput
from ._mailer import Mailer
from ._receipts import Receipt, Status, printable
from ._services import names_a_server, url_of

# what the shell is told, as <sysexits.h> has it; of several the worst
GOOD, WRONG_INPUT, BAD_MESSAGE, NO_FILE, FAILED, BROKEN = 0, 64, 65, 66, 69, 70
CANNOT_WRITE, TRY_LATER, NO_ENTRY, BAD_CONFIG, INTERRUPTED = 73, 75, 77, 78, 130
_ORDER = (
    *(GOOD, TRY_LATER, FAILED, NO_ENTRY, NO_FILE, BAD_MESSAGE, CANNOT_WRITE, BAD_CONFIG, WRONG_INPUT, BROKEN),
    INTERRUPTED,
)
_BY_CODE = {
    "invalid_config": BAD_CONFIG,
    "not_installed": FAILED,
    "cannot_listen": FAILED,
    "cannot_write": CANNOT_WRITE,
}
_WRONG_OPTION = ("invalid_option", "invalid_url", "contradiction", "invalid_credentials")

USER_HELP = (
    "name to authenticate; the password is asked for, or stands in the environment variable POSTROAD_PASSWORD, "
    "or a token in POSTROAD_TOKEN"
)
_SECRETS = ("password_command", "password_file", "keyring", "token_command")
URL_HELP = "such as smtp://smtp.example.com, or a service, such as gmail; see docs/python.md"


class Parser(argparse.ArgumentParser):
    """Ends with the status of sysexits.h for a command line that is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")

    def print_help(self, file: Any = None) -> None:
        with printing():
            super().print_help(file)


def complete_streams() -> None:
    """Gives those of stdin, stdout and stderr that whoever called has closed to nothing: else a connection, or a file,
    would get that number, and what is printed. What servers and files say may hold any character: one that the charset
    of the locale lacks is written as its number."""
    for number, mode, stream in ((0, "r", sys.stdin), (1, "w", sys.stdout), (2, "w", sys.stderr)):
        if stream is not None:
            continue
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, True)  # for commands that print passwords
        made = open(number, mode, closefd=False)  # noqa: SIM115
        setattr(sys, ("stdin", "stdout", "stderr")[number], made)
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="backslashreplace")


def not_empty(text: str) -> str:
    """Of an option: a variable of the shell that is empty is not taken for an option that is left out."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty: give a value, or leave it out")
    return text


def octets_of(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def refuse_mbox(lines: Iterable[bytes]) -> None:
    """Raises InvalidInput where a message begins behind another: it would go to whom the first is for. In an mbox file
    such a line of a text is written with > in front."""
    before = b"x"
    for n, line in enumerate(lines, 1):
        if n == 1 and not line.startswith((b"From ", b"\xef\xbb\xbfFrom ")):
            return
        if not before.strip() and re.match(rb"From \S.* \d\d:\d\d", line):
            text = f"it is an mbox of several messages, the second begins in line {n}: give each in a file of its own"
            raise InvalidInput(text, code="invalid_message")
        before = line


_unwritten: List[str] = []


def unwritten(why: str) -> None:
    """What was to be written besides what the command does: written() says so at the end."""
    _unwritten.append(why)


def _to_nobody(stream: IO[str]) -> None:
    nobody = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, stream.fileno())
    os.close(nobody)


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """For what is written to standard output. Where nobody reads on, or there is no room, what was asked for is done
    all the same; written() says so at the end."""
    try:
        yield
        sys.stdout.flush()
    except Error:  # an OSError, too, which came before anything was written
        raise
    except OSError as e:
        _to_nobody(sys.stdout)
        if not isinstance(e, BrokenPipeError):
            unwritten(f"standard output: {e.strerror or e}: all was done, and not all was said")


def written(status: int) -> int:
    """The status of a command that ends with `status`, unless what it was to write was lost."""
    if not _unwritten:
        return status
    for why in dict.fromkeys(_unwritten):
        complain(why)
    _unwritten.clear()
    return worse(status, CANNOT_WRITE)


def write(text: str) -> None:
    with printing():
        print(text)


def say(about: str, text: str) -> None:
    write(f"{printable(about)}: {text}")


_ADVICE = {"storage_failed": "look at the path, its permissions and the disk"}
_SHELL_WORDS = (
    ("this field is not set by header()", "this field has an option of its own, or is made by postroad"),
    ("several authors need a sender()", "of several authors one sends: name one"),
    ("given instead: sender=", "given instead: --from"),
    ("given instead: recipients=", "given instead: --to"),
    # octets of an argument that cannot be decoded
    ("holds a lone surrogate, which is no character", "is not in the charset of the locale, such as UTF-8"),
)


def failure(e: Exception) -> str:
    """What is wrong, and what to do where that is known."""
    if not isinstance(e, Error):  # its text may hold anything
        return f"internal error, {type(e).__name__}: please report it, with what postroad --debug shows"
    advice = e.advice or _ADVICE.get(e.code, "")
    return f"{e.code}: {e}" + (f"; {advice}" if advice else "")


def complain(text: str) -> None:
    for argument, option in _SHELL_WORDS:
        text = text.replace(argument, option)
    aside(f"postroad: {printable(text)}")


def aside(line: str) -> None:
    """Writes to standard error."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # nobody reads it, or there is no room
        _to_nobody(sys.stderr)


def worse(one: int, other: int) -> int:
    return max(one, other, key=_ORDER.index)


def status_of(error: BaseException) -> int:
    if isinstance(error, Error):
        if isinstance(error, InvalidInput):
            return _BY_CODE.get(error.code, WRONG_INPUT if error.code in _WRONG_OPTION else BAD_MESSAGE)
        if error.transient:
            return TRY_LATER
        if error.code == "storage_unusable":
            return CANNOT_WRITE
        return NO_ENTRY if isinstance(error, AuthenticationError) else FAILED
    return NO_FILE if isinstance(error, OSError) else BROKEN


def verdict(receipt: Receipt) -> int:
    if receipt.all_accepted:
        return GOOD
    if receipt.error is not None and not receipt.error.transient:
        return status_of(receipt.error)
    missed = [r for r in receipt.recipients if r.status is not Status.ACCEPTED]
    safe = all(r.status in (Status.DEFERRED, Status.NOT_ATTEMPTED) for r in missed)
    return TRY_LATER if safe else FAILED


@contextlib.contextmanager
def interruptible(mail: Mailer) -> Iterator[threading.Event]:
    """The first SIGINT or SIGTERM ends the mailer in order, so that each message has its receipt; the second all."""
    interrupted = threading.Event()

    def stop(*_: object) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        # not by print(), which this may have interrupted; a bar may stand in the line
        line_end = b"\n" if os.isatty(2) else b""
        os.write(
            2, line_end + b"postroad: interrupted: waiting for replies to what is under way; once more ends at once\n"
        )
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


def need(module: str, extra: str, what: str) -> InvalidInput:
    text = f"{what} needs the Python package {module}: pip install 'postroad[{extra}]'"
    return InvalidInput(text, code="not_installed")


def output_of(command: Sequence[str], what: str) -> str:
    """The first line a command prints. What it says of itself goes to stderr, and it may ask at the terminal; else it
    reads nothing, as ssh would, of what is ours to read or of whoever called."""
    shown = printable(command[0]) if command else ""
    try:
        stdin = None if os.isatty(0) else subprocess.DEVNULL
        done = subprocess.run(command, stdin=stdin, stdout=subprocess.PIPE, check=False)
    except (OSError, ValueError, IndexError) as e:
        why = getattr(e, "strerror", None) or "it names no program"
        raise InvalidInput(f"{what} {shown}: {why}", code="invalid_credentials") from None
    octets = done.stdout.partition(b"\n")[0].rstrip(b"\r")
    if done.returncode != 0 or not octets:
        ended = f"ended with {done.returncode}" if done.returncode else "printed nothing"
        raise InvalidInput(f"{what} {shown} {ended}: run it by hand to see why", code="invalid_credentials")
    return _decoded(octets, f"{what} {shown}: what it prints")


def _decoded(octets: bytes, what: str) -> str:
    """A secret, whatever the locale. Editors put a byte order mark in front, which is no part of it."""
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{what} is not UTF-8: convert it", code="invalid_credentials") from None


def _from_keyring(user: str, url: str) -> str:
    try:
        import keyring
    except ImportError:
        raise need("keyring", "keyring", "--keyring") from None
    service = url.partition("://")[2].rpartition("@")[2].partition("/")[0].partition("?")[0]
    try:
        found: Optional[str] = keyring.get_password(service, user)
    except Exception as e:  # of whatever keeps it: none is there, or it is locked
        why = printable(str(e).partition("\n")[0] or type(e).__name__)
        text = f"the keyring gives no password: {why}: use --password-command or --password-file"
        raise InvalidInput(text, code="invalid_credentials") from None
    if found is None:
        text = (
            f"the keyring has no password of {printable(user)} for {service}: keyring set {service} {printable(user)}"
        )
        raise InvalidInput(text, code="invalid_credentials")
    return found


def _first_line(file: str) -> str:
    try:
        octets = Path(file).expanduser().read_bytes().partition(b"\n")[0].rstrip(b"\r")
    except (OSError, ValueError) as e:
        why = getattr(e, "strerror", None) or "it is no path"
        raise InvalidInput(f"the file of the password, {file}: {why}", code="invalid_credentials") from None
    return _decoded(octets, f"the file of the password, {file}: it")


def _tokens(command: Sequence[str]) -> Any:
    """A function for `credentials` of a Mailer: the command is run again when the server refused what it printed."""
    kept = [output_of(command, "the token command")]

    def token(request: CredentialsRequest) -> str:
        if request.refused_token == kept[0]:
            kept[0] = output_of(command, "the token command")
        return kept[0]

    return token


def _environment() -> Dict[str, Any]:
    password, token = os.environ.get("POSTROAD_PASSWORD"), os.environ.get("POSTROAD_TOKEN")
    if password and token:
        raise InvalidInput("POSTROAD_PASSWORD and POSTROAD_TOKEN are both set: set one of them", code="contradiction")
    return {"password": password} if password else {"token": token} if token else {}


def _configured(source: Account, url: str) -> Dict[str, Any]:
    user = source.user or ""
    if source.token_command:
        return {"credentials": _tokens(source.token_command)}
    if source.password_command:
        return {"password": output_of(source.password_command, "the password command")}
    if source.password_file:
        return {"password": _first_line(source.password_file)}
    return {"password": _from_keyring(user, url)} if source.keyring else {}


def _asked(user: str, of_account: bool) -> Dict[str, Any]:
    if not sys.stdin.isatty():
        environment = "the password in the environment variable POSTROAD_PASSWORD, or a token in POSTROAD_TOKEN"
        if of_account:
            text = f"the user of the account needs one of {', '.join(_SECRETS)}, or {environment}"
            raise InvalidInput(text, code="invalid_config")
        options = ", ".join("--" + name.replace("_", "-") for name in _SECRETS)
        raise InvalidInput(f"the user needs {environment}, or one of {options}", code="invalid_credentials")
    try:
        return {"password": getpass.getpass(f"Password of {printable(user)}: ")}
    except EOFError:
        raise InvalidInput("no password was given", code="invalid_credentials") from None


def _user_in(url: str) -> Optional[str]:
    """Whom a URL names without a password, and the server will want one of."""
    found = re.match(r"(?:smtps?|lmtp)(?:\+insecure)?://([^/?#@:]+)@", url)
    if found is None or re.search(r"[?&]auth=[^&]*(?:EXTERNAL|ANONYMOUS)", url, re.IGNORECASE):
        return None
    return unquote(found[1])


def _words(option: str, command: Optional[str]) -> Tuple[str, ...]:
    try:
        return words_of(command or "")
    except InvalidInput as e:
        raise InvalidInput(f"{option}: {e}", code=e.code) from None


def proof(args: argparse.Namespace, url: str, account: Account) -> Dict[str, Any]:
    """The arguments of Mailer that authenticate: from the command line, else the environment, else the account, else
    asked for."""
    named = args.user or account.user
    given = Account(
        user=named or _user_in(url),
        password_command=_words("--password-command", args.password_command),
        password_file=args.password_file or "",
        token_command=_words("--token-command", args.token_command),
        keyring=args.keyring,
    )
    user = given.user
    if user is None:
        if given != Account():
            raise InvalidInput("a password or a token goes with --user", code="contradiction")
        return {}
    of_account = args.user is None and account != Account()
    found = _configured(given, url) or _environment() or _configured(account, url) or _asked(user, of_account)
    return {"user": user, **found} if named else found


def add_login(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--account", type=not_empty, metavar="NAME", help="of ~/.config/postroad.toml or /etc/postroad.toml"
    )
    parser.add_argument("--user", type=not_empty, help=USER_HELP)
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--password-command", type=not_empty, metavar="COMMAND", help="a command that prints the password")
    one.add_argument(
        "--password-file", type=not_empty, metavar="FILE", help="a file with the password in its first line"
    )
    one.add_argument("--keyring", action="store_true", help="the password is in the keyring of the system")
    one.add_argument(
        "--token-command", type=not_empty, metavar="COMMAND", help="a command that prints an OAuth 2.0 token"
    )


def destination(given: Sequence[str], args: argparse.Namespace, config: Config) -> Tuple[str, Account, Sequence[str]]:
    """URL, account, and what else stood on the command line: a URL, or the name of a service, comes first there, and
    else the account has it."""
    if given and names_a_server(given[0]):
        if args.account:
            raise InvalidInput("a URL and --account are both given: give one of them", code="contradiction")
        return url_of(given[0]), Account(), given[1:]
    if given and not config.accounts and not Path(given[0]).exists():
        url_of(given[0])  # a name that is nearly one of a service is told which
    account = config.account(args.account, getattr(args, "sender", None))
    return account.url, account, given


def server_given(given: Optional[str], args: argparse.Namespace, config: Config) -> Tuple[str, Account]:
    """As destination(), where nothing but a server can stand."""
    if given is not None and not names_a_server(given):
        text = f"{given!r} is no server: write a URL, such as smtp://smtp.example.com, or a service, such as gmail"
        raise InvalidInput(text, code="invalid_url")
    return destination([] if given is None else [given], args, config)[:2]
