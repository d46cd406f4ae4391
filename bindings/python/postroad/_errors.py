"""What became of a message, and what can go wrong."""

from __future__ import annotations

import enum
import errno
import smtplib
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple, Type, Union

from . import _core


def _reply_code(reply: Optional[str]) -> int:
    front = (reply or "")[:3]
    return int(front) if len(front) == 3 and front.isascii() and front.isdigit() else -1


class Error(smtplib.SMTPException):
    """There is no answer of a server to be had. The subclasses say why, `code` says it exactly. It is an OSError, as
    each exception of smtplib is."""

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
    advice: str
    """What is wrong and what to do, in a sentence or two, where that is known; else empty."""
    smtp_code: int
    """The code in `reply`, as smtplib has it; -1: there is none."""
    smtp_error: Union[bytes, str]
    """What stands behind it in `reply`, as smtplib has it."""

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
        advice: str = "",
    ) -> None:
        # not by super(): some of smtplib's classes take other arguments
        OSError.__init__(self, message)
        self.code = code
        self.host = host
        self.phase = phase
        self.reply = reply
        self.receipt = receipt
        self.transient = transient
        self.advice = advice
        self.smtp_code = _reply_code(reply)
        self.smtp_error = (reply or "")[0 if self.smtp_code < 0 else 4 :].encode()

    @property
    def errno(self) -> Optional[int]:  # type: ignore[override]
        """The number of the system's error, where `code` names one."""
        return getattr(errno, self.code) if self.code in errno.errorcode.values() else None


class InvalidInput(Error, ValueError):
    """A message, an address, a URL or an option is not valid; nothing was sent."""


class TransientError(Error):
    """The same may succeed later."""


class PermanentError(Error):
    """The same will fail again."""


class NoConnection(TransientError, ConnectionError):
    """The server cannot be reached, or the connection broke."""


class Disconnected(NoConnection, smtplib.SMTPServerDisconnected):
    """The server closed the connection, or said that it does."""


class GreetingRefused(TransientError, smtplib.SMTPConnectError):
    """The server's greeting was a refusal."""


class HelloRefused(Error, smtplib.SMTPHeloError):
    """The server refused EHLO and HELO: it says something about who sends, and nothing about the message."""


class Unsupported(PermanentError, smtplib.SMTPNotSupportedError):
    """The server lacks what the message needs."""


class TimedOut(TransientError, TimeoutError):
    """The server did not answer in time."""


class TlsError(Error):
    """TLS could not be started, verified or kept up."""


class AuthenticationError(Error, smtplib.SMTPAuthenticationError):
    """The server did not accept the credentials, or they could not be sent safely."""


class ProtocolError(Error):
    """The server broke the protocol."""


class QueueFull(TransientError):
    """The mailer holds as many messages as its capacity."""


class AlreadyQueued(Error):
    """A message of the same idempotency_key was queued before."""


class Cancelled(Error):
    """The message was cancelled, or the mailer was closed."""


class NotAccepted(Error, smtplib.SMTPRecipientsRefused):
    """The server did not accept the message for every recipient: raised by Receipt.require_accepted()."""

    recipients: Dict[str, Tuple[int, bytes]]
    """Of each recipient that was not accepted the reply code (-1: none) and the server's words, as smtplib has it."""

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
        super().__init__(message, code=code, host=host, phase=phase, reply=reply, receipt=receipt, transient=transient)
        missed = [] if receipt is None else [r for r in receipt.recipients if r not in receipt.accepted]
        self.advice = next((r.advice for r in missed if r.advice), "")
        self.recipients = {r.address: (-1 if r.code is None else r.code, r.text.encode()) for r in missed}


class Status(enum.Enum):
    """What became of a message for one recipient."""

    NOT_ATTEMPTED = "not_attempted"
    """The server was never asked, or the connection broke before the end of the content left."""
    ACCEPTED = "accepted"
    """The server took responsibility."""
    REJECTED = "rejected"
    """Refused for good, or the server lacks what the message needs."""
    DEFERRED = "deferred"
    """Refused for now; the same may succeed later."""
    IN_DOUBT = "in_doubt"
    """The end of the content left and no reply came: sending again may make a duplicate."""


@dataclass(frozen=True)
class RecipientOutcome:
    """What became of a message for one recipient, and the reply of the server that decided it."""

    address: str
    status: Status
    code: Optional[int] = None
    """The reply code, such as 550; None if no reply decided."""
    enhanced: Optional[str] = None
    """The enhanced status code, such as "5.1.1" (RFC 3463), if the server sent one."""
    text: str = ""
    """The server's words; they may hold anything."""
    phase: str = "queued"
    """Where it was decided: "queued", "connect", "mail", "rcpt", "data", "content" and so on."""
    error: Optional[str] = None
    """What decided it where no reply did, such as "suppressed"."""
    why: str = ""
    """One sentence to it, for people."""
    direct: Optional[bool] = False
    """Whether it went to the servers of its domain (mx://), whose operators give senders no login; None: not known, as
    in the journal."""

    @property
    def advice(self) -> str:
        """What is wrong and what to do, where that is known of what the server said; empty if it accepted, and where it
        depends on whose server it was, which is not known."""
        if self.status is Status.ACCEPTED:
            return ""
        said = (self.code or 0, self.enhanced or "", self.text)
        whose = (False, True) if self.direct is None else (self.direct,)
        found = {_core.advice(self.phase, self.error or "", *said, self.why, direct) for direct in whose}
        return found.pop() if len(found) == 1 else ""


@dataclass(frozen=True)
class Receipt:
    """What became of a message: one entry for each recipient of its envelope, in that order."""

    recipients: Tuple[RecipientOutcome, ...] = ()
    attempts: int = 0
    """How many times a server was asked, or a connection to one was tried."""
    error: Optional[Error] = None
    """Why there is no answer of a server, as send() raises it: only in receipts of send_many() and of exceptions."""
    index: Optional[int] = None
    """The place of the message in what send_many() was given, from 0."""

    def _of(self, status: Status) -> List[RecipientOutcome]:
        return [r for r in self.recipients if r.status is status]

    @property
    def accepted(self) -> List[RecipientOutcome]:
        return self._of(Status.ACCEPTED)

    @property
    def rejected(self) -> List[RecipientOutcome]:
        return self._of(Status.REJECTED)

    @property
    def deferred(self) -> List[RecipientOutcome]:
        return self._of(Status.DEFERRED)

    @property
    def in_doubt(self) -> List[RecipientOutcome]:
        return self._of(Status.IN_DOUBT)

    @property
    def not_attempted(self) -> List[RecipientOutcome]:
        return self._of(Status.NOT_ATTEMPTED)

    @property
    def all_accepted(self) -> bool:
        for r in self.recipients:
            if r.status is not Status.ACCEPTED:
                return False
        return bool(self.recipients)

    def require_accepted(self) -> None:
        """Raises `error` if there is one, NotAccepted unless every recipient was accepted."""
        if self.error is not None:
            raise self.error
        if self.all_accepted:
            return
        code = "recipients_rejected" if self.rejected else "in_doubt" if self.in_doubt else "recipients_deferred"
        raise NotAccepted(_refusals(self), code=code, receipt=self, transient=code == "recipients_deferred")


def printable(text: str) -> str:
    """`text` on one line, with everything else escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def outcome_text(r: RecipientOutcome) -> str:
    reply = " ".join(str(part) for part in (r.code, r.enhanced, r.text or r.why) if part)
    return printable(f"{r.address} {r.status.value} {reply}".rstrip())


def _refusals(receipt: Receipt) -> str:
    text = ""
    for r in receipt.recipients:
        if r.status is Status.ACCEPTED:
            continue
        text += f"{'; ' if text else ''}{outcome_text(r)}"
        if len(text) > 500:
            text += "; ..."
            break
    return text or "the message has no recipient"


_BY_CODE: Dict[str, Type[Error]] = {
    "queue_full": QueueFull,
    "already_queued": AlreadyQueued,
    "resolve_failed": NoConnection,
    "proxy_failed": NoConnection,
    "connection_closed": Disconnected,
    "service_closing": Disconnected,
    "greeting_refused": GreetingRefused,
    "hello_refused": HelloRefused,
}

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
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code.endswith("_unsupported"):
        return Unsupported
    kind = next((kind for condition, kind in _BY_CONDITION if condition in conditions), Error)
    # what is none of ours is an error of a socket
    return NoConnection if kind is TransientError and ":" in code else kind


def error_name(code: str) -> str:
    """The name of a code of the C++ part: "timed_out", "ECONNREFUSED"."""
    category, _, number = code.partition(":")
    if category in ("system", "generic"):
        return errno.errorcode.get(int(number), code)
    return code


def from_core(parts: Tuple[str, Tuple[str, ...], str, str, str, str, str]) -> Error:
    """The exception for an error of the C++ library."""
    code, conditions, message, host, phase, reply, advice = parts
    return _kind(code, conditions)(
        message,
        code=error_name(code),
        host=host or None,
        phase=phase,
        reply=reply or None,
        advice=advice,
        # these two are of either kind, by the reply
        transient="transient" in conditions or (code in ("hello_refused", "tls_refused") and reply.startswith("4")),
    )
