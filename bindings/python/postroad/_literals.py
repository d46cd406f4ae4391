"""The words that arguments and results are made of."""

from __future__ import annotations

from typing import Literal, get_args

Pipelining = Literal["lockstep", "envelope", "across", "window"]
WhenFull = Literal["refuse", "wait"]
InDoubt = Literal["park", "retry"]
JobState = Literal["waiting", "delayed", "sending", "held", "in_doubt", "failed"]
Notify = Literal["never", "success", "failure", "delay"]
Returned = Literal["full", "headers"]
WhenLate = Literal["notify", "give_up"]
Grade = Literal["good", "notice", "bad"]
ServiceSecurity = Literal["starttls", "implicit"]
EventKind = Literal[
    "dialing",
    "resolved",
    "connected",
    "tls_established",
    "command",
    "content",
    "reply",
    "decision",
    "retry",
    "late",
    "closed",
    "outcome",
    "lost",
]


def words(literal: object) -> list[str]:
    """The words of a Literal."""
    return list(get_args(literal))
