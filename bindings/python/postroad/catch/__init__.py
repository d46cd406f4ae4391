"""postroad catch: a mail server that delivers nothing, and a page that shows what it got. See docs/catch.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING, Any, List, Sequence, Tuple

from .._errors import InvalidInput
from .._shell import CANNOT_WRITE, GOOD, complain, need, write

if TYPE_CHECKING:
    from ._store import Store

_WEB = ("starlette", "uvicorn", "aiosmtpd")


def _needed() -> None:
    import importlib

    for name in _WEB:
        try:
            importlib.import_module(name)
        except ImportError:
            raise need(name, "catch", "postroad catch") from None


def _place(option: str, given: str) -> Tuple[str, int]:
    host, colon, port = given.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"{option} {given}: write HOST:PORT, such as 127.0.0.1:1025", code="invalid_option")
    return host.strip("[]"), int(port)


def _listening(option: str, given: str) -> socket.socket:
    host, port = _place(option, given)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as e:
        text = f"{option} {given}: {os.strerror(e.errno or 0)}: name another, such as {host}:0 for a free port"
        raise InvalidInput(text, code="cannot_listen") from None


def _smtp(store: Store, most: int) -> Any:
    from aiosmtpd.smtp import SMTP, AuthResult

    from ._mail import Mail

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            mail = await asyncio.to_thread(Mail, bytes(envelope.content))
            number = store.add(envelope.mail_from or "", [str(r) for r in envelope.rcpt_tos], mail)
            return f"250 2.0.0 caught as {number}"

    def anybody(*_: Any) -> AuthResult:
        return AuthResult(success=True)

    def make() -> SMTP:
        return SMTP(
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
    store: Store, smtp: socket.socket, http: socket.socket, *, most: int, allowed: Sequence[str] = ()
) -> None:
    """Until SIGINT, SIGTERM, or the task is cancelled. most: octets of a message."""
    import uvicorn

    from ._app import application

    loop = asyncio.get_running_loop()
    mail = await loop.create_server(_smtp(store, most), sock=smtp)
    config = uvicorn.Config(
        application(store, allowed), log_level="warning", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    try:
        await server.serve(sockets=[http])
    finally:
        mail.close()


def _url(scheme: str, listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _catch(args: argparse.Namespace) -> int:
    _needed()
    import sqlite3

    from ._store import Store

    with _listening("--smtp", args.smtp) as smtp, _listening("--http", args.http) as http:
        try:
            store = Store(args.store, args.keep)
        except sqlite3.Error as e:
            complain(f"{args.store}: {e}: name another file")
            return CANNOT_WRITE
        write(f"mail to {_url('smtp+insecure', smtp)}")
        write(f"page at {_url('http', http)}/")
        try:
            # uvicorn raises the signal again once it has ended in order
            with _quiet():
                asyncio.run(serve(store, smtp, http, most=args.max_size, allowed=args.allow_host or ()))
        except KeyboardInterrupt:
            pass
        finally:
            store.close()
    return GOOD


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
    parser.add_argument("--store", metavar="FILE", help="keep the messages in FILE, not in memory")
    parser.add_argument("--keep", metavar="N", type=int, default=10_000, help="the latest N (10000)")
    parser.add_argument("--max-size", metavar="OCTETS", type=int, default=50_000_000, help="of a message (50000000)")
    parser.add_argument("--allow-host", metavar="NAME", action="append", help="a name the page may be asked under")
    parser.set_defaults(run=_catch)


__all__: List[str] = ["register", "serve"]
