"""What became of a message."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, List, Optional, Tuple

from ._errors import Error, NotAccepted, from_core

if TYPE_CHECKING:
    from . import _core


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
        return bool(self.recipients) and len(self.accepted) == len(self.recipients)

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
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def outcome_text(r: RecipientOutcome) -> str:
    reply = " ".join(str(part) for part in (r.code, r.enhanced, r.text) if part)
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


def receipt_of(operation: _core.Operation, index: Optional[int] = None) -> Receipt:
    """The receipt of an operation that is done."""
    error, recipients, attempts = operation.result()
    outcomes = tuple(
        RecipientOutcome(address, Status(status), code, enhanced, text, phase)
        for address, status, phase, code, enhanced, text in recipients
    )
    exception = None if error is None else from_core(error)
    receipt = Receipt(outcomes, attempts, exception, index)
    if exception is not None:
        exception.receipt = receipt
    return receipt
