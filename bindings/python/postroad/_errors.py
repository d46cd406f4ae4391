"""What can go wrong."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Optional, Tuple, Type

if TYPE_CHECKING:
    from ._receipts import Receipt


class Error(Exception):
    """There is no answer of a server to be had. The subclasses say why, `code` says it exactly."""

    code: str
    """The name of the C++ library's code, such as "tls_certificate"; of the system's errors "ECONNREFUSED"."""
    host: Optional[str]
    """"name:port" of the server, once there was one."""
    phase: Optional[str]
    """Where it happened: "connect", "tls", "auth", "mail" and so on."""
    reply: Optional[str]
    """The server's words, escaped, if it said any."""
    receipt: Optional[Receipt]
    """What is known of each recipient."""
    transient: bool
    """Whether the same may succeed later."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        host: Optional[str] = None,
        phase: Optional[str] = None,
        reply: Optional[str] = None,
        receipt: Optional[Receipt] = None,
        transient: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.host = host
        self.phase = phase
        self.reply = reply
        self.receipt = receipt
        self.transient = transient


class InvalidInput(Error, ValueError):
    """A message, an address, a URL or an option is not valid; nothing was sent."""


class TransientError(Error):
    """The same may succeed later: no connection, a server that is closing."""


class PermanentError(Error):
    """The same will fail again: the server lacks what the message needs."""


class TimedOut(TransientError, TimeoutError):
    """The server did not answer in time."""


class TlsError(Error):
    """TLS could not be started, verified or kept up."""


class AuthenticationError(Error):
    """The server did not accept the credentials, or they could not be sent safely."""


class ProtocolError(Error):
    """The server broke the protocol."""


class QueueFull(TransientError):
    """The mailer holds as many messages as its capacity."""


class AlreadyQueued(Error):
    """A message of the same idempotency_key was queued before."""


class Cancelled(Error):
    """The message was cancelled, or the mailer was closed."""


class NotAccepted(Error):
    """The server did not accept the message for every recipient: raised by Receipt.require_accepted()."""


_BY_CONDITION: Tuple[Tuple[str, Type[Error]], ...] = (
    ("cancelled", Cancelled),
    ("timed_out", TimedOut),
    ("tls", TlsError),
    ("authentication", AuthenticationError),
    ("protocol", ProtocolError),
    ("bad_input", InvalidInput),
    ("permanent", PermanentError),
    ("transient", TransientError),
)


def _kind(code: str, conditions: Tuple[str, ...]) -> Type[Error]:
    if code == "queue_full":
        return QueueFull
    if code == "already_queued":
        return AlreadyQueued
    for condition, kind in _BY_CONDITION:
        if condition in conditions:
            return kind
    return Error


def _name(code: str) -> str:
    category, _, number = code.partition(":")
    if category in ("system", "generic"):
        return errno.errorcode.get(int(number), code)
    return code


def from_core(parts: Tuple[str, Tuple[str, ...], str, str, str, str]) -> Error:
    """The exception for an error of the C++ library."""
    code, conditions, message, host, phase, reply = parts
    return _kind(code, conditions)(
        message,
        code=_name(code),
        host=host or None,
        phase=phase,
        reply=reply or None,
        transient="transient" in conditions,
    )
