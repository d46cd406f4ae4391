"""What a queue shows of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple, TypedDict

from ._errors import InvalidInput
from ._messages import check_names, choice, octets

_STATES = ["waiting", "delayed", "sending", "held", "in_doubt"]


@dataclass(frozen=True)
class Job:
    """A message that is queued or under way."""

    id: int
    state: str
    """"waiting", "delayed", "sending", "held" (until retry_now() or drop()), or "in_doubt": its content left and no
    reply came, and it waits for somebody's decision."""
    age: float
    """Seconds since it was submitted."""
    until: float
    """Of a delayed one: seconds until it is due."""
    attempts: int
    octets: int
    traffic_class: int
    tenant: str
    tag: str
    sender: str
    """The reverse path."""
    recipients: Tuple[Tuple[str, str], ...]
    """Of each, the address and what became of the message for it so far."""
    error: str
    """What kept the last attempt from being whole; empty before one."""


@dataclass(frozen=True)
class Counts:
    """How much a queue holds."""

    by_state: Mapping[str, int]
    oldest: float
    """The age of the oldest, in seconds."""

    @property
    def total(self) -> int:
        return sum(self.by_state.values())


def job_of(parts: Tuple[Any, ...]) -> Job:
    return Job(*parts)


def counts_of(parts: Tuple[Dict[str, int], float]) -> Counts:
    return Counts(*parts)


class JobFilter(TypedDict, total=False):
    """Which messages: those that match each member."""

    id: int
    state: str
    tenant: str
    tag: str
    domain: str
    """Of the first recipient, as it is written in the envelope; case does not matter."""


def filter_of(which: JobFilter) -> Dict[str, Any]:
    check_names(which, JobFilter)
    number = which.get("id")
    if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
        raise TypeError(f"id must be an int, not {type(number).__name__}")
    if number is not None and not 0 <= number < 1 << 64:
        raise InvalidInput("id is no number of a message", code="invalid_option")
    return {
        "id": number,
        "state": choice("state", which.get("state"), _STATES),
        "tenant": octets("tenant", which.get("tenant", "")),
        "tag": octets("tag", which.get("tag", "")),
        "domain": octets("domain", which.get("domain", "")),
    }


def selection_of(tenant: Optional[str], tag: Optional[str]) -> Tuple[str, bytes]:
    if (tenant is None) == (tag is None):
        raise InvalidInput("give a tenant or a tag, one of them", code="invalid_option")
    return ("tenant", octets("tenant", tenant)) if tenant is not None else ("tag", octets("tag", tag or ""))
