"""What became of messages that went through a queue in a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterator, Optional, Tuple, TypedDict

from . import _core
from ._errors import InvalidInput, RecipientOutcome, Status
from ._messages import check_names, filter_number, filter_octets
from ._threads import waiting

_PAGE = 100


@dataclass(frozen=True)
class JournalEntry:
    """A message that is over, or a part of one that was divided."""

    number: int
    """In the order in which they were settled."""
    id: int
    """As Job.id had it."""
    whole: int
    """Of a part: the id of the message; else 0."""
    queued: datetime
    """This and the other times in UTC."""
    tried: Optional[datetime]
    """When the first transaction with it began; None if none did."""
    settled: datetime
    traffic_class: int
    octets: int
    """Of its content."""
    attempts: int
    tenant: str
    tag: str
    sender: str
    """The reverse path."""
    message_id: str
    """Without angle brackets."""
    subject: str
    """Decoded, 500 octets at most."""
    recipients: Tuple[RecipientOutcome, ...]
    server: str
    """That of the last attempt; empty if there was none."""
    error: str
    """Why the last attempt failed as a whole, or the first reply that refused it. Or why the entry cannot be read: then
    it has no recipients."""


class JournalFilter(TypedDict, total=False):
    """Which entries: those that match each member."""

    id: int
    """Of the message, or of a part of it."""
    recipient: str
    """The whole address; case does not matter."""
    sender: str
    """Likewise."""
    message_id: str
    """With or without angle brackets."""
    tenant: str
    tag: str
    status: Status
    """Of that recipient; if none is named, of one of them."""
    since: datetime
    """Settled then or later. A time without a zone is local."""
    before: datetime
    """Settled earlier."""


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _microseconds(what: str, when: Optional[datetime]) -> Optional[int]:
    if when is not None and not isinstance(when, datetime):
        raise TypeError(f"{what} must be a datetime, not {type(when).__name__}")
    if when is not None and when.year > 2200:
        raise InvalidInput(f"{what} is too far ahead", code="invalid_option")
    if when is not None and when.year < 1970:
        return 0  # Python cannot turn the first years into UTC
    return None if when is None else max((when.astimezone(timezone.utc) - _EPOCH) // timedelta(microseconds=1), 0)


def _filter(which: JournalFilter) -> Dict[str, Any]:
    check_names(which, JournalFilter)
    values: Dict[str, Any] = {"id": filter_number(which, "id")}
    for name in ("recipient", "sender", "message_id", "tenant", "tag"):
        values[name] = filter_octets(which, name)
    status = which.get("status")
    if "status" in which and not isinstance(status, Status):
        raise TypeError(f"status must be a postroad.Status, not {type(status).__name__}")
    values["status"] = None if status is None else status.value
    values["since"] = _microseconds("since", which.get("since"))
    values["before"] = _microseconds("before", which.get("before"))
    return values


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _outcome(parts: Tuple[Any, ...]) -> RecipientOutcome:
    address, status, code, enhanced, text, phase = parts
    return RecipientOutcome(address, Status(status), code, enhanced, text, phase, direct=None)


def _entry(parts: Tuple[Any, ...]) -> JournalEntry:
    number, job, whole, queued, tried, settled, *plain, recipients, server, error = parts
    times = (_time(queued), None if tried is None else _time(tried), _time(settled))
    values = (number, job, whole, *times, *plain, tuple(map(_outcome, recipients)), server, error)
    return JournalEntry(*values)


def entries(path: bytes, which: JournalFilter, limit: Optional[int]) -> Iterator[JournalEntry]:
    """The last entries that match, in pages: what is written meanwhile does not move them."""
    values = _filter(which)
    return _pages(waiting(_core.Journal, path), values, limit)


def _pages(core: _core.Journal, values: Dict[str, Any], limit: Optional[int]) -> Iterator[JournalEntry]:
    begin, left = 0, limit
    while left is None or left > 0:
        found, begin = waiting(core.find, values, _PAGE if left is None else min(left, _PAGE), begin)
        yield from map(_entry, found)
        if begin == 0:
            return
        left = None if left is None else left - len(found)
