"""Mail that goes to no server: where it goes by the URL, and what memory:// keeps."""

from __future__ import annotations

import contextlib
import email
import email.policy
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING, Iterator, List, Optional, Sequence, Tuple, Union, overload
from urllib.parse import unquote_to_bytes

from ._errors import InvalidInput

if TYPE_CHECKING:
    from . import _core

_KINDS = ("memory://", "discard://", "maildir://")


@dataclass(frozen=True)
class Stored:
    """A message that a mailer of memory:// delivered, or that a postroad.testing.Sink took."""

    sender: str
    """The reverse path, without <>."""
    recipients: Tuple[str, ...]
    """Who gets it, without <>."""
    content: bytes
    """As it came."""
    tls: bool = False
    """Whether it came over TLS."""
    user: str = ""
    """Who authenticated."""
    mail_parameters: Tuple[str, ...] = ()
    """Those of MAIL FROM."""
    recipient_parameters: Tuple[str, ...] = ()
    """Those of RCPT TO, of each recipient."""
    hello: str = ""
    """How the client named itself."""
    connection: int = 0
    """Which connection it came over, from 1."""

    @property
    def message(self) -> EmailMessage:
        """The content, parsed by the standard library."""
        parsed = email.message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


class _Kept(Sequence[Stored]):
    """Each look at it is a copy of what is there."""

    def _all(self) -> Sequence[Stored]:
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> Stored: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Stored]: ...
    def __getitem__(self, index: Union[int, slice]) -> Union[Stored, Sequence[Stored]]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Stored]:
        return iter(self._all())


class Outbox(_Kept):
    """What a mailer of memory:// delivered so far, oldest first. Any thread may use it, also once the mailer is closed.
    Each look at it is a copy of what is there."""

    def __init__(self, core: _core.Mailer) -> None:
        self._core = core

    def _all(self) -> Tuple[Stored, ...]:
        return tuple(Stored(*parts) for parts in self._core.delivered())

    def clear(self) -> None:
        """Forgets what is there."""
        self._core.forget_delivered()

    def __repr__(self) -> str:
        return f"<postroad.Outbox of {len(self)}>"


class Captured(_Kept):
    """What the mailers that were made while it captured delivered: those of the first, then those of the next. Any
    thread may use it."""

    def __init__(self) -> None:
        self._boxes: List[Outbox] = []

    def _all(self) -> List[Stored]:
        return [one for box in tuple(self._boxes) for one in box]

    def clear(self) -> None:
        """Forgets what is there."""
        for box in self._boxes:
            box.clear()

    def add(self, box: Outbox) -> None:
        self._boxes.append(box)


_capturing: List[Captured] = []


@contextlib.contextmanager
def capturing(kept: Captured) -> Iterator[None]:
    _capturing.append(kept)
    try:
        yield
    finally:
        _capturing.remove(kept)


def captures() -> Optional[Captured]:
    """Who keeps what a mailer that is made now sends, if anybody does."""
    return _capturing[-1] if _capturing else None


def local_of(url: object) -> Tuple[Optional[str], Optional[bytes]]:
    """Which transport without a server a URL names, and the path of a Maildir."""
    if not isinstance(url, str) or not url.lower().startswith(_KINDS):
        return None, None
    kind, rest = url.split("://", 1)
    kind = kind.lower()
    if kind != "maildir":
        if rest:
            raise InvalidInput(f"nothing may stand behind {kind}://", code="invalid_url")
        return kind, None
    path = unquote_to_bytes(rest)
    if not rest.startswith("/") or "?" in rest or "#" in rest or b"\0" in path:
        raise InvalidInput("a Maildir is written maildir:///path, with ? as %3F and # as %23", code="invalid_url")
    return kind, path
