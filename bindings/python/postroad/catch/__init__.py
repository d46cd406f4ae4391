"""postroad catch: a mail server that delivers nothing, and a page that shows what it got. See docs/catch.md."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import webbrowser
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Optional, Sequence, Tuple

from .._config import load
from .._errors import InvalidInput
from .._shell import CANNOT_WRITE, GOOD, add_login, complain, need, not_empty, proof, server_given, write

if TYPE_CHECKING:
    from ._faults import Faults
    from ._release import Release
    from ._store import Store

_MOST = 1_000_000_000
_WEB = ("starlette", "uvicorn", "aiosmtpd")


def _needed(what: str = "postroad catch") -> None:
    import importlib

    for name in _WEB:
        try:
            importlib.import_module(name)
        except ImportError:
            raise need(name, "catch", what) from None


def _place(option: str, given: str) -> Tuple[str, int]:
    host, colon, port = given.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"{option} {given}: write HOST:PORT, such as 127.0.0.1:1025", code="invalid_option")
    return host.strip("[]") or "127.0.0.1", int(port)


def _listening(option: str, given: str) -> socket.socket:
    host, port = _place(option, given)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        host.encode("idna")  # create_server() would leave a socket open where that fails
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError) as e:
        if isinstance(e, UnicodeError) or (e.errno or 0) < 0:  # below 0 are those of look-ups
            text = f"{option} {given}: {host} is not known: name another, such as 127.0.0.1:0 for a free port"
        else:  # not e.strerror, to which the address is added
            text = f"{option} {given}: {os.strerror(e.errno or 0)}: name another, such as {host}:0 for a free port"
        raise InvalidInput(text, code="cannot_listen") from None


def _smtp(store: Store, most: int, faults: Faults) -> Any:
    from aiosmtpd.smtp import AuthResult

    logging.getLogger("mail.log").setLevel(logging.ERROR)  # what clients do is on the page

    from ._faults import server_class
    from ._mail import Mail

    server_of = server_class(faults)
    # what other servers may take is caught, and the page says that it is too long
    server_of.line_length_limit = max(most, server_of.line_length_limit)

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            if not server.content([str(r) for r in envelope.rcpt_tos]):
                return ""
            mail = await asyncio.to_thread(Mail, bytes(envelope.content))
            number = store.add(envelope.mail_from or "", [str(r) for r in envelope.rcpt_tos], mail)
            return f"250 2.0.0 caught as {number}"

    def anybody(*_: Any) -> AuthResult:
        return AuthResult(success=True)

    def make() -> Any:
        return server_of(
            Handler(),
            data_size_limit=most,
            enable_SMTPUTF8=True,
            hostname="catch.example",
            ident="postroad catch",
            authenticator=anybody,
            auth_require_tls=False,
        )

    return make


async def serve(
    store: Store,
    smtp: Optional[socket.socket],
    http: socket.socket,
    *,
    most: int,
    allowed: Sequence[str] = (),
    release: Optional[Release] = None,
    faults: Optional[Faults] = None,
) -> None:
    """Until SIGINT, SIGTERM, or the task is cancelled. smtp: None takes no mail. most: octets of a message."""
    import uvicorn

    from ._app import application
    from ._faults import Faults

    wrong = faults or Faults()
    loop = asyncio.get_running_loop()
    mail = None if smtp is None else await loop.create_server(_smtp(store, most, wrong), sock=smtp)
    config = uvicorn.Config(
        application(store, wrong, allowed, release), log_level="warning", lifespan="off", timeout_graceful_shutdown=1
    )

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: Optional[List[socket.socket]] = None) -> None:
            store.end()  # else it waits for pages that wait for news, and complains
            await super().shutdown(sockets)

    try:
        await Server(config).serve(sockets=[http])
    finally:
        if mail is not None:
            mail.close()


def _url(scheme: str, listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


@contextlib.contextmanager
def _relay(args: argparse.Namespace) -> Iterator[Optional[Release]]:
    """By the URL, or by the account of the configuration that --account names."""
    from .. import Mailer
    from ._release import Release

    if args.relay is None and args.account is None:
        yield None
        return
    url, account = server_given(args.relay, args, load())
    with Mailer(url, ca_file=account.ca_file or None, **proof(args, url, account)) as mailer:
        yield Release(mailer, url.partition("://")[2].rpartition("@")[2].partition("?")[0])


def _catch(args: argparse.Namespace) -> int:
    _needed()
    import sqlite3

    from ._faults import Faults
    from ._store import Store

    for option, value in (("--keep", args.keep), ("--max-size", args.max_size)):
        if not 1 <= value <= _MOST:
            raise InvalidInput(f"{option} {value}: write a number from 1 to {_MOST}", code="invalid_option")
    faults = Faults()
    for fault in args.fault or ():
        faults.add(fault)
    with _relay(args) as release, _listening("--smtp", args.smtp) as smtp, _listening("--http", args.http) as http:
        try:
            store = Store(args.store, args.keep)
        except (sqlite3.Error, OSError) as e:
            complain(f"{args.store}: {getattr(e, 'strerror', None) or e}: name another file")
            return CANNOT_WRITE
        write(f"mail to {_url('smtp+insecure', smtp)}")
        write(f"page at {_url('http', http)}/")
        named: Any = {"allowed": args.allow_host or (), "faults": faults}
        _until_interrupted(store, smtp, http, most=args.max_size, release=release, **named)
    return GOOD


def _until_interrupted(store: Store, smtp: Optional[socket.socket], http: socket.socket, **named: Any) -> None:
    try:
        # uvicorn raises the signal again once it has ended in order
        with _quiet():
            asyncio.run(serve(store, smtp, http, **named))
    except KeyboardInterrupt:
        pass
    finally:
        store.close()


@contextlib.contextmanager
def page(option: str) -> Iterator[Callable[[bytes], None]]:
    """For messages that nobody sends: takes them, and in the end shows them on a page until SIGINT or SIGTERM."""
    _needed(option)
    from .. import _core
    from ._mail import Mail
    from ._store import Store

    store = Store()

    def take(octets: bytes) -> None:
        sender, recipients = _core.examine(octets, None, None)[:2]
        store.add(sender, list(recipients), Mail(octets))

    try:
        yield take
    except BaseException:
        store.close()
        raise
    with _listening(option, "127.0.0.1:0") as http:
        address = f"{_url('http', http)}/"
        write(f"page at {address}     (Ctrl-C ends it)")
        if sys.stdout.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(address)
        _until_interrupted(store, None, http, most=0)


class _quiet:
    """SIGTERM is an orderly end, too."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, self._end)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    @staticmethod
    def _end(*_: object) -> None:
        raise KeyboardInterrupt


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "catch",
        help="catch mail and show it on a page",
        description="A mail server that takes everything and delivers nothing, and a page that shows what it got.",
    )
    parser.add_argument("--smtp", metavar="HOST:PORT", default="127.0.0.1:1025", help="for mail (127.0.0.1:1025)")
    parser.add_argument("--http", metavar="HOST:PORT", default="127.0.0.1:8025", help="for the page (127.0.0.1:8025)")
    parser.add_argument("--store", type=not_empty, metavar="FILE", help="keep the messages in FILE, not in memory")
    parser.add_argument("--keep", metavar="N", type=int, default=10_000, help="the latest N (10000)")
    parser.add_argument("--max-size", metavar="OCTETS", type=int, default=50_000_000, help="of a message (50000000)")
    parser.add_argument("--allow-host", metavar="NAME", action="append", help="a name the page may be asked under")
    parser.add_argument("--fault", metavar="FAULT", action="append", help="what goes wrong, such as 'rcpt:1:451 later'")
    parser.add_argument(
        "--relay", type=not_empty, metavar="URL", help="the server by which a message may be released from the page"
    )
    add_login(parser)
    parser.set_defaults(run=_catch)


__all__: List[str] = ["page", "register", "serve"]
