"""The command postroad, also python -m postroad. See docs/python.md."""

from __future__ import annotations

import argparse
import email
import io
import json
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

from . import (
    Dkim,
    __version__,
    _completion,
    _compose_cli,
    _core,
    _journal_cli,
    _merge_cli,
    _oauth_cli,
    _plan_cli,
    _queue,
    _run,
    _sendmail,
    _services_cli,
    _start,
    _suppress_cli,
    _tls_report_cli,
    catch,
    diagnose,
)
from ._config import Account, load
from ._credentials import CredentialsRequest
from ._errors import Error, InvalidInput
from ._messages import STANDS_ONCE
from ._receipts import printable
from ._shell import (
    FAILED,
    GOOD,
    INTERRUPTED,
    NO_FILE,
    Parser,
    add_login,
    complain,
    complete_streams,
    destination,
    failure,
    not_empty,
    octets_of,
    proof,
    refuse_mbox,
    say,
    status_of,
    worse,
    write,
    written,
)


def _of_authors(value: str) -> Iterator[str]:
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|\([^()]*\)|<[^>]*>', "", value)
    if ":" in bare:
        yield "From holds a group (RFC 6854): many servers refuse it, since DMARC looks for one domain there"
    elif "," in bare:
        yield "From names several authors: many servers refuse it, since DMARC looks for one domain there"


def _notices(content: bytes, found: _core.Examined) -> Iterator[str]:
    _, longest_line, eight_bit, international, binary = found[2:]
    if international:
        yield "the header is UTF-8: it goes in ASCII, but for addresses, and what has a DKIM-Signature"
    if content.startswith(b"\xef\xbb\xbf"):
        yield "a byte order mark is taken off"
    content = content.lstrip(b"\xef\xbb\xbf")
    if re.match(rb"From (?![ \t]*:)", content):
        yield "the From line of an mbox is taken off"
        content = content.partition(b"\n")[2].lstrip(b"\xef\xbb\xbf")
    header = content.partition(b"\n\n")[0].partition(b"\r\n\r\n")[0]
    try:
        header.decode()
    except UnicodeDecodeError:
        yield "fields that are no UTF-8 become encoded words in the charset of Content-Type"
    if eight_bit:
        yield "it holds 8-bit octets: a server without 8BITMIME gets it encoded anew, but no multipart/signed"
    if binary:
        yield "it holds what only BINARYMIME carries: another server gets it encoded anew"
    elif (longest_word := max((len(w) for w in header.split() if w.isascii()), default=0)) > 997:
        yield f"a word of the header has {longest_word} octets, of 997 that SMTP allows: it is refused"
    elif longest_line > 998:
        yield f"a line has {longest_line} octets, of 998 that SMTP allows: it is encoded anew"
    # not by the newer policy, which falls over what some fields hold
    message = email.message_from_bytes(content)
    for name in STANDS_ONCE:
        if (n := len(message.get_all(name, []))) > 1:
            yield f"the field {name} stands {n} times: readers show different ones, and it cannot be signed"
    for name in ("From", "Date", "Message-ID"):
        if message[name] is None:
            yield f"the field {name} is missing"
    yield from _of_authors(str(message["From"] or ""))
    for part in message.walk():
        for defect in part.defects:
            yield f"{part.get_content_type()}: {type(defect).__name__}"


def _check(args: argparse.Namespace) -> int:
    result = GOOD
    for file in args.files:
        try:
            content = octets_of(file)
            refuse_mbox(io.BytesIO(content))
            found = _core.examine(content, None, None)
        except Error as e:
            complain(f"{file}: {failure(e)}")
            result = worse(result, status_of(e))
            continue
        except OSError as e:
            complain(f"{file}: {e.strerror}")
            result = worse(result, NO_FILE)
            continue
        sender, recipients, size = found[:3]
        notices = list(_notices(content, found))
        if args.json:
            about = {"file": file, "sender": sender, "recipients": recipients, "octets": size, "notices": notices}
            write(json.dumps(about))
            continue
        say(file, printable(f"from <{sender}> to {', '.join(recipients)}, {size} octets"))
        for notice in notices:
            say(file, printable(f"notice: {notice}"))
    return result


def _diagnose(args: argparse.Namespace) -> int:
    config = load()
    if not config.accounts and args.what and "@" in args.what[0] and "://" not in args.what[0]:
        # An address stands for its provider's server where no account says which.
        url, account, recipients = args.what[0], Account(), args.what[1:]
    else:
        url, account, recipients = destination(args.what, args, config)
    login = proof(args, url, account)
    if token := login.pop("credentials", None):
        login["token"] = token(CredentialsRequest(url))
    direct: Dict[str, Any] = {} if args.message is None else {"message": Path(args.message)}
    if args.dkim is not None:
        domain, selector, key = (*args.dkim.split(":", 2), "", "")[:3]
        if not key:
            raise InvalidInput("--dkim needs DOMAIN:SELECTOR:FILE", code="invalid_option")
        direct["sign"] = Dkim(domain, selector, Path(key))
    direct["ca_file"] = account.ca_file or None
    found = diagnose(url, sender=args.sender, recipients=recipients, lookup=args.lookup, **login, **direct)
    write(json.dumps(found.as_dict(), indent=1) if args.json else str(found))
    if found.error is not None:
        return status_of(found.error)
    return FAILED if any(step.grade == "bad" for step in found.steps) else GOOD


def _brought_along() -> List[str]:
    """Files of libraries that a wheel has beside the module, without the hash that auditwheel puts behind a name."""
    folder = Path(__file__).parent.parent / "postroad.libs"
    return sorted({re.sub(r"-[0-9a-f]{8}(?=\.)", "", f.name) for f in folder.glob("*.so*")})


def _version() -> str:
    inside = ", ".join(f"{name} {version}" for name, version in _core.libraries.items())
    files = ", ".join(_brought_along())
    return f"{__version__} ({inside}{'; in files ' + files if files else ''})"


class _Version(argparse.Action):
    """Not that of argparse, which falls over where nobody reads, or there is no room."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        write(_version())
        parser.exit(written(GOOD))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="postroad",
        description="Sends mail, and looks at it.",
        epilog="Exit status, as in sysexits.h: 0 all is well; 64 the command line or the URL is wrong; 65 a message; "
        "78 the configuration; 66 a file cannot be read; 69 refused or failed; 70 a fault of postroad; "
        "73 a file cannot be written; 75 what failed may succeed later; 77 credentials were refused.",
    )
    parser.add_argument("--debug", action="store_true", help="show where an error arose")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version, and that of libraries within")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    _compose_cli.register(commands)
    _merge_cli.register(commands)
    catch.register(commands)
    _plan_cli.register(commands)

    check = commands.add_parser(
        "check", help="look at messages", description="Says what envelope each FILE has and what it needs of a server."
    )
    check.add_argument("files", type=not_empty, metavar="FILE", nargs="+", help="a message; - is standard input")
    check.add_argument("--json", action="store_true", help="print JSON, an object a line")
    check.set_defaults(run=_check)

    look = commands.add_parser(
        "diagnose",
        help="find out why mail does not go",
        usage="postroad diagnose [options] [URL] [RECIPIENT ...]",
        description="Takes every step to the server up to the recipients, and sends nothing.",
    )
    look.add_argument("what", metavar="[URL] [RECIPIENT ...]", nargs="*", help="the server, and addresses to ask about")
    add_login(look)
    look.add_argument("--from", dest="sender", metavar="ADDRESS", default="", help="sender of the trial")
    look.add_argument("--json", action="store_true", help="print JSON")
    look.add_argument(
        "--lookup",
        action="store_true",
        help="look up the servers of an address by the DNS, if its service is not known",
    )
    look.add_argument("--dkim", metavar="DOMAIN:SELECTOR:FILE", help="with mx://, the key that signs")
    look.add_argument(
        "--message", type=not_empty, metavar="FILE", help="with mx://, a message whose fields are looked at"
    )
    look.set_defaults(run=_diagnose)

    _oauth_cli.register(commands)
    _queue.register(commands)
    _journal_cli.register(commands)
    _suppress_cli.register(commands)
    _tls_report_cli.register(commands)
    _run.register(commands)
    _services_cli.register(commands)
    _completion.register(commands, _parser)
    return parser


def _parsed(given: Sequence[str]) -> argparse.Namespace:
    """Options may also stand between a URL and files."""
    parser = _parser()
    args, rest = parser.parse_known_args(given)
    if rest and (not hasattr(args, "what") or any(r.startswith("-") and r != "-" for r in rest)):
        parser.prog += f" {args.command}"
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.what = [*args.what, *rest]
    return args


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command and returns the exit status. By the name sendmail or mailq it is that (docs/command.md)."""
    try:
        if arguments is None:
            _start.raise_again()
            complete_streams()
        return _main(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if arguments is None:
            _start.end_at_once()


def _main(arguments: Optional[Sequence[str]]) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = os.path.basename(sys.argv[0]) if arguments is None else ""
    if name not in _sendmail.NAMES and given and given[0] in _sendmail.NAMES:
        name, given = given[0], given[1:]
    if name in _sendmail.NAMES:
        return written(_sendmail.main(name, given))
    return written(_status_of(_parsed(given)))


def _status_of(args: argparse.Namespace) -> int:
    try:
        status: int = args.run(args)
        return status
    except Exception as e:
        if args.debug:
            traceback.print_exc()
        complain(_said(args, e))
        return status_of(e)


def _said(args: argparse.Namespace, e: Exception) -> str:
    if isinstance(e, FileNotFoundError) and e.filename is None:
        return "the working directory is gone: change to another"
    if isinstance(e, OSError) and not isinstance(e, Error):
        return f"{e.filename or args.command}: {e.strerror}"
    return failure(e)


if __name__ == "__main__":
    sys.exit(main())
