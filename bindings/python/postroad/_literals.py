"""The words that arguments and results are made of."""

from __future__ import annotations

from typing import Literal, get_args

Configuration = Literal["direct", "queued", "bulk", "distributed", "test"]
Pipelining = Literal["automatic", "lockstep", "envelope", "across", "window"]
WhenFull = Literal["refuse", "wait"]
InDoubt = Literal["park", "retry"]
OnFailure = Literal["keep", "report", "drop"]
JobState = Literal["waiting", "delayed", "sending", "held", "in_doubt", "failed"]
KeptContent = Literal["whole", "header", "nothing"]
Notify = Literal["never", "success", "failure", "delay"]
DkimFieldSet = Literal["standard", "mailing_list_safe", "strict"]
Returned = Literal["full", "headers"]
WhenLate = Literal["notify", "give_up"]
Grade = Literal["good", "notice", "bad"]
SuppressionReason = Literal["manual", "hard_bounce", "complaint", "unsubscribed"]
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
