"""One-click unsubscription (RFC 8058): links that nobody can forge, and an application that takes them. See
docs/templates.md."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
from typing import TYPE_CHECKING, Callable, Iterable, List, Optional, Tuple, Union
from urllib.parse import unquote, urlsplit

from ._errors import InvalidInput
from ._message import Message
from ._messages import check_several, instance
from ._suppression import SuppressionList

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body{{font:1.1em system-ui;margin:20vh auto;max-width:32em;padding:0 1em;
color-scheme:light dark}}button{{font:inherit;padding:.5em 1.5em}}</style><h1>{title}</h1><p>{text}{form}"""


def _code(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _octets(code: str) -> bytes:
    return base64.b64decode(code + "=" * (-len(code) % 4), altchars=b"-_", validate=True)


class Unsubscribe:
    """Makes and verifies the links by which a recipient leaves a list, without a login. Any thread may use it.

    url: of the application, https.
    secret: what the links are signed with, 16 octets or more; of several the first signs and each verifies.
    list_id: of the list, which never changes, such as "news.example.com" (RFC 2919).
    mailto: another way to leave, such as "mailto:leave@example.com".
    """

    def __init__(self, url: str, secret: Union[bytes, Iterable[bytes]], list_id: str, mailto: str = "") -> None:
        for what, text in (("url", url), ("list_id", list_id), ("mailto", mailto)):
            instance(what, text, str)
        if not url.startswith("https://"):
            raise InvalidInput("the url of one-click unsubscription must be https (RFC 8058)", code="invalid_option")
        if not isinstance(secret, bytes):
            check_several("secret", secret)
        self._secrets = [secret] if isinstance(secret, bytes) else list(secret)
        for one in self._secrets:
            instance("secret", one, bytes)
        if not self._secrets or any(len(s) < 16 for s in self._secrets):
            text = "secret must have 16 octets or more: python -c 'import secrets; print(secrets.token_hex())'"
            raise InvalidInput(text, code="invalid_option")
        self._url = url
        self.list_id = list_id
        self.mailto = mailto
        self._check()

    def _check(self) -> None:
        """What no letter could have is said here, not of each."""
        try:
            parts = urlsplit(self._url)
            whole = bool(parts.hostname) and not parts.fragment
        except ValueError:
            whole = False
        if not whole:
            text = "the url must name a host, and have no fragment (#), which no browser sends"
            raise InvalidInput(text, code="invalid_option")
        letter = Message(from_="a@example.com", to="a@example.com", text="")
        letter.set_list(self.list_id, one_click=self._url, unsubscribe=self.mailto)

    def __repr__(self) -> str:
        return f"<postroad.unsubscribe.Unsubscribe {self.list_id}>"

    def _signature(self, secret: bytes, payload: bytes) -> bytes:
        return hmac.new(secret, b"postroad unsubscribe\0" + payload, hashlib.sha256).digest()[:16]

    def link(self, address: str) -> str:
        """The link of one recipient. It holds the address, readable for who sees the link."""
        instance("address", address, str)
        payload = f"{self.list_id}\0{address}".encode()
        token = f"{_code(payload)}.{_code(self._signature(self._secrets[0], payload))}"
        return f"{self._url}{'&' if '?' in self._url else '?'}u={token}"

    def verify(self, token: str) -> Optional[str]:
        """The address that the value of `u` in a link of this list was made for; None if it was not made by us."""
        instance("token", token, str)
        first, _, second = token.partition(".")
        try:
            payload, signature = _octets(first), _octets(second)
        except (ValueError, binascii.Error):
            return None
        if not any(hmac.compare_digest(self._signature(s, payload), signature) for s in self._secrets):
            return None
        list_id, _, address = payload.decode("utf-8", "replace").partition("\0")
        return address if list_id == self.list_id else None

    def app(self, leave: Union[SuppressionList, Callable[[str], object]]) -> WSGIApplication:
        """A WSGI application for `url`. GET shows a button, since programs that scan mail follow links; POST, by the
        button or by the reader's mail program, adds the address to the list `leave`, for mail with this list_id, or
        calls `leave` with it."""
        act = self._suppressing(leave) if isinstance(leave, SuppressionList) else leave

        def application(environ: WSGIEnvironment, start: StartResponse) -> List[bytes]:
            status, page = self._answer(environ, act)
            body = page.encode()
            headers = [
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "no-store"),
                ("Referrer-Policy", "no-referrer"),
                ("X-Robots-Tag", "noindex"),
                ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
            ]
            start(status, headers)
            return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

        return application

    def _suppressing(self, to: SuppressionList) -> Callable[[str], object]:
        source = "one-click unsubscription"
        return lambda address: to.add(address, list=self.list_id, reason="unsubscribed", source=source)

    def _answer(self, environ: WSGIEnvironment, leave: Callable[[str], object]) -> Tuple[str, str]:
        query = str(environ.get("QUERY_STRING", ""))
        token = next((part[2:] for part in query.split("&") if part.startswith("u=")), "")
        address = self.verify(unquote(token))
        if address is None:
            text = "This link is not complete, or not ours. Copy it whole from the message."
            return "404 Not Found", _PAGE.format(title="Unknown link", text=text, form="")
        shown = html.escape(address)
        if environ.get("REQUEST_METHOD") == "POST":
            leave(address)
            text = f"{shown} gets no more mail of this list."
            return "200 OK", _PAGE.format(title="You have left", text=text, form="")
        form = '<form method="post"><button>Unsubscribe</button></form>'
        return "200 OK", _PAGE.format(
            title="Unsubscribe", text=f"Shall {shown} get no more mail of this list?", form=form
        )
