"""What a mailer did so far, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict


@dataclass(frozen=True)
class Stats:
    """What a mailer did since it was made. Each number only grows, but `open_connections`."""

    accepted: int
    """Recipients for whom a server took a message."""
    rejected: int
    """Recipients refused for good."""
    deferred: int
    """Recipients refused for now, and not tried again."""
    in_doubt: int
    """Recipients of messages that left whole without a reply."""
    not_attempted: int
    """Recipients whom no server was asked about."""
    retries: int
    """How often a message was put off to be tried again."""
    late: int
    """Messages that have taken so long that their sender should know."""
    connections: int
    """Connections that were made."""
    open_connections: int
    """Connections that are open."""
    broken_connections: int
    """Connections that could not be made, or ended otherwise than in good order."""
    contents: int
    """Messages whose content was handed over whole."""
    octets: int
    """Octets of those."""
    replies: int
    """Replies of servers."""
    reply_seconds: float
    """How long they took, all together."""
    lost_events: int
    """Events that on_event was too slow for."""


def stats_of(counts: Dict[str, float]) -> Stats:
    return Stats(**counts)  # type: ignore[arg-type]
