"""What is asked of a server beside delivery."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Callable, Dict, Iterable, Optional, TypedDict, Union

from . import _core
from ._errors import InvalidInput
from ._literals import Notify, Returned, WhenLate, words
from ._messages import check_flags, check_names, check_several, choice, instance, octets, optional_octets, seconds


@dataclass(frozen=True)
class Delivery:
    """What is asked of the server for a message, beside its delivery to every recipient. What the server does not offer
    is refused before anything is sent: send() raises PermanentError. Durations are in seconds, rounded up to whole
    ones. Raises InvalidInput for a value that no server takes.
    """

    notify: Union[Notify, Iterable[Notify]] = ()
    """What is reported to the sender: "success", "failure", "delay", or "never" alone (RFC 3461). A tuple once made."""
    returned: Optional[Returned] = None
    """What a report of failure returns of the message: "full" or "headers" (RFC 3461)."""
    envelope_id: Optional[str] = None
    """Comes back in reports (RFC 3461): printable ASCII, at most 100 octets as encoded."""
    original_recipient: Optional[str] = None
    """Whom the message was for at first, in reports (RFC 3461)."""
    deliver_by: Optional[float] = None
    """The message is of use for so long (RFC 2852)."""
    when_late: WhenLate = "notify"
    """What happens after deliver_by: "notify" or "give_up"."""
    trace: bool = False
    """With deliver_by: relays report that they passed the message on."""
    hold_for: Optional[float] = None
    """The server holds the message for so long (RFC 4865)."""
    hold_until: Optional[datetime] = None
    """The server holds the message until then (RFC 4865). It must have a time zone."""
    priority: Optional[int] = None
    """From -9 to 9 (RFC 6710); left out where the server does not offer it."""
    require_tls: bool = False
    """No hop passes the message on without verified TLS (RFC 8689); it may bounce instead."""
    submitter: Optional[str] = None
    """Who submitted it, "" for nobody known, to a server that trusts us with that (RFC 4954)."""

    def __post_init__(self) -> None:
        if not isinstance(self.notify, str):
            check_several("notify", self.notify)
        events = (self.notify,) if isinstance(self.notify, str) else tuple(self.notify)
        for event in events:
            instance("notify", event, str)
            choice("notify", event, words(Notify))
        object.__setattr__(self, "notify", events)
        choice("returned", self.returned, words(Returned))
        choice("when_late", self.when_late, words(WhenLate))
        if self.deliver_by is None and (self.trace or self.when_late != "notify"):
            raise InvalidInput("when_late and trace are of use with deliver_by only", code="contradiction")
        if self.hold_until is not None and not isinstance(self.hold_until, datetime):
            raise TypeError(f"hold_until must be a datetime, not {type(self.hold_until).__name__}")
        if self.hold_until is not None and self.hold_until.utcoffset() is None:
            raise InvalidInput("hold_until must have a time zone", code="invalid_option")
        if self.priority is not None and (isinstance(self.priority, bool) or not isinstance(self.priority, int)):
            raise TypeError(f"priority must be an int, not {type(self.priority).__name__}")
        if self.priority is not None and not -9 <= self.priority <= 9:
            raise InvalidInput("priority must be from -9 to 9", code="invalid_option", phase="prepare")
        check_flags(trace=self.trace, require_tls=self.require_tls)
        _core.check_wishes(wishes_of(self, {}))


def _whole(what: str, value: Optional[float]) -> Optional[int]:
    checked = seconds(what, value)
    return None if checked is None else math.ceil(checked)


class Queued(TypedDict, total=False):
    """How a message is queued and scheduled: arguments of the functions that send."""

    delay: Optional[float]
    """Seconds before which it is not sent."""
    give_up_after: Optional[float]
    """Seconds after which TimedOut is raised, whatever is under way."""
    traffic_class: int
    """0, for what somebody waits for, goes before 1, for bulk."""
    tenant: str
    """On whose behalf it is sent: tenants share fairly."""
    tag: str
    """What it belongs to, such as a campaign."""
    idempotency_key: str
    """A second message of the same key is not queued again, where the queue is a file: AlreadyQueued is raised."""


def _traffic_class(name: str, grade: object) -> int:
    if isinstance(grade, bool) or not isinstance(grade, int):
        raise TypeError(f"{name} must be an int, not {type(grade).__name__}")
    if not 0 <= grade <= 255:
        raise InvalidInput(f"{name} must be an int from 0 to 255", code="invalid_option")
    return grade


def _idempotency_key(name: str, key: str) -> bytes:
    if key == "":  # nothing would keep a second message back
        raise InvalidInput(f"{name} is empty: leave it out if there is none", code="invalid_option")
    return octets(name, key)


_QUEUED: Dict[str, Callable[[str, Any], Any]] = {
    "delay": partial(seconds, zero=True),
    "give_up_after": seconds,
    "traffic_class": _traffic_class,
    "tenant": octets,
    "tag": octets,
    "idempotency_key": _idempotency_key,
}


def _queued(options: Queued) -> Dict[str, Any]:
    if not options:
        return {}
    check_names(options, Queued)
    return {name: _QUEUED[name](name, value) for name, value in options.items()}


def wishes_of(delivery: Optional[Delivery], options: Queued) -> Dict[str, Any]:
    """As the C++ part takes them."""
    wishes = _queued(options)
    if delivery is None:
        return wishes
    if not isinstance(delivery, Delivery):
        raise TypeError(f"delivery must be a postroad.Delivery, not {type(delivery).__name__}")
    d = delivery
    wishes.update(
        notify=list(d.notify),
        returned=d.returned,
        envelope_id=optional_octets("envelope_id", d.envelope_id),
        original_recipient=optional_octets("original_recipient", d.original_recipient),
        deliver_by=_whole("deliver_by", d.deliver_by),
        when_late=d.when_late,
        trace=d.trace,
        hold_for=_whole("hold_for", d.hold_for),
        hold_until=None if d.hold_until is None else math.ceil(d.hold_until.timestamp()),
        priority=d.priority,
        require_tls=d.require_tls,
        submitter=None if d.submitter is None else octets("submitter", d.submitter, "invalid_address"),
    )
    return wishes
