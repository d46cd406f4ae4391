"""Messages that the C++ library composes."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Mapping, NoReturn, Optional, Union

from . import _core
from ._errors import InvalidInput
from ._messages import choice, file_octets, message_octets, octets

if TYPE_CHECKING:
    from ._messages import MessageLike

    Addresses = Union[str, Iterable[str]]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = timedelta(seconds=1)


def _joined(addresses: Addresses) -> str:
    return addresses if isinstance(addresses, str) else ", ".join(addresses)


def _file(path: os.PathLike[str]) -> _core.File:
    return _core.File(file_octets("the path", path) or b"")


class Message:
    """A message that the C++ library composes: faster than email.message.EmailMessage, with attachments that are read
    while it is sent, and with DKIM. All is checked at once: InvalidInput names the field and the octet.

    Addresses are strings as they stand in a header, `Ann Lee <ann@example.com>, bob@example.org`, or iterables of such.
    `date` needs a time zone. Where it or `message_id` is missing, it is made each time the message is sent.
    """

    def __init__(
        self,
        *,
        from_: Addresses,
        to: Addresses = (),
        cc: Addresses = (),
        bcc: Addresses = (),
        reply_to: Addresses = (),
        sender: Optional[str] = None,
        subject: Optional[str] = None,
        text: Optional[str] = None,
        html: Optional[str] = None,
        calendar: Optional[str] = None,
        date: Optional[datetime] = None,
        message_id: Optional[str] = None,
        in_reply_to: Optional[str] = None,
        references: Optional[str] = None,
        importance: Optional[str] = None,
        automatic: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> None:
        self._core = _core.Message()
        lists = {"from": from_, "to": to, "cc": cc, "bcc": bcc, "reply_to": reply_to}
        values = {
            **{field: _joined(addresses) or None for field, addresses in lists.items()},
            **{"sender": sender, "subject": subject, "text": text, "html": html, "calendar": calendar},
            **{"message_id": message_id, "in_reply_to": in_reply_to, "references": references},
            "importance": choice("importance", importance, ["low", "normal", "high"]),
            "automatic": choice("automatic", automatic, ["generated", "replied"]),
        }
        for field, value in values.items():
            if value is not None:
                self._set(field, value)
        for name, value in (headers or {}).items():
            self._set("header", name, value)
        if date is not None:
            offset = date.utcoffset()
            if offset is None:
                raise InvalidInput("date needs a time zone", code="invalid_header", phase="prepare")
            self._set("date", str((date - _EPOCH) // _SECOND), str(offset // (60 * _SECOND)))

    def _set(self, what: str, *values: str) -> None:
        self._core.set(what, [octets(what, value, "invalid_header") for value in values])

    def attach(
        self,
        what: Union[bytes, os.PathLike[str]],
        *,
        name: str = "",
        media_type: str = "",
        content_id: str = "",
        description: str = "",
        inline: bool = False,
    ) -> None:
        """Attaches octets, or a file that is read while the message is sent. What is not given follows from the name.
        With a `content_id` it belongs to the HTML, which shows it where it names `cid:...`."""
        about = [octets("a part", text, "invalid_header") for text in (name, media_type, content_id, description)]
        self._core.attach(what if isinstance(what, bytes) else _file(what), about, inline)

    def attach_message(self, nested: MessageLike) -> None:
        """Attaches a message (message/rfc822)."""
        self._core.attach_message(given_message(nested))

    def add_group(self, name: str, members: Addresses = (), *, field: str = "to") -> None:
        """Adds recipients under one name to the field `to` or `cc`; it may be empty: undisclosed-recipients."""
        self._set(f"{choice('field', field, ['to', 'cc'])}_group", name, _joined(members))

    def set_list(
        self, list_id: str, name: str = "", *, one_click: str = "", unsubscribe: str = "", **urls: str
    ) -> None:
        """Says of what list it is: the id that never changes, its name for people, how to leave it (`one_click`: https,
        RFC 8058), and the URLs `help`, `subscribe`, `post`, `owner`, `archive`."""
        self._set("list_id", list_id, name)
        if one_click or unsubscribe:
            self._set("unsubscribe", one_click, unsubscribe)
        for what, url in urls.items():
            self._set(choice("a URL of a list", what, ["help", "subscribe", "post", "owner", "archive"]) or "", url)

    def sign(
        self,
        domain: str,
        selector: str,
        key: Union[bytes, os.PathLike[str]],
        *,
        password: str = "",
        header: str = "relaxed",
        body: str = "relaxed",
    ) -> None:
        """Signs with DKIM (RFC 6376) whenever it is sent; each call adds a signature. `key` is an RSA key in PEM, or
        the path of one; `header` and `body` are "relaxed" or "simple"."""
        pem = key if isinstance(key, bytes) else Path(key).read_bytes()
        forms = [choice(what, form, ["relaxed", "simple"]) for what, form in (("header", header), ("body", body))]
        texts = [octets("DKIM", text or "") for text in (domain, selector, password, *forms)]
        self._core.set("sign", [*texts[:2], pem, *texts[2:]])

    def __bytes__(self) -> bytes:
        """The message as it would be sent now, in the form that every server takes."""
        return self._core.octets()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Message may hold keys and cannot be pickled or copied")


def given_message(message: MessageLike) -> _core.Given:
    """What the C++ part takes: octets, a file that it reads while it sends, or what it composed."""
    if isinstance(message, Message):
        return message._core
    if isinstance(message, os.PathLike):
        return _file(message)
    return message_octets(message)
