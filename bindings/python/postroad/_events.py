"""What a mailer does, for who watches it."""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Dict, Optional

from . import _core
from ._callbacks import call
from ._errors import error_name
from ._literals import EventKind
from ._receipts import Status, printable
from ._threads import Worker

_log = logging.getLogger("postroad.events")
_transcript = logging.getLogger("postroad.transcript")
for logger in (_log, _transcript):
    logger.addHandler(logging.NullHandler())  # else what nobody asked for stands on stderr


@dataclass(frozen=True)
class Event:
    """One thing that a mailer did or saw, as on_event is told. Secrets are taken out of the texts; print them by repr()
    or escaped, since a server may write anything."""

    kind: EventKind
    """"dialing", "resolved", "connected", "tls_established", "command", "content", "reply", "decision", "retry",
    "late", "closed", "outcome", as docs/troubleshooting.md has them, or "lost": on_event was too slow for some."""
    time: float
    """When it was, by time.monotonic()."""
    connection: int
    """Which connection of the mailer; 0: none."""
    message: int
    """The number of the message; 0: none, or not known."""
    server: str
    """"name:port"."""
    phase: str
    """Where on the road of a message: "connect", "mail" and so on."""
    text: str
    """A command, an address, a reason, according to the kind."""
    code: Optional[int]
    """The code of a reply."""
    enhanced: Optional[str]
    """Its enhanced status code."""
    reply: str
    """Its text."""
    status: Optional[Status]
    """Of an outcome: what became of the message for the recipient in `text`."""
    octets: int
    """Of content."""
    took: float
    """Seconds from the command to the reply, or until a message goes again."""
    error: Optional[str]
    """The name of an error's code."""


if TYPE_CHECKING:
    EventFunction = Callable[[Event], object]


class Watching:
    """Counts, and gives events to a function and to the logger if there is who wants them. The function lives as long
    as this does, not as long as the thread that calls it."""

    def __init__(self, core: _core.Mailer, function: Optional[EventFunction]) -> None:
        self.function = function
        keeps = function is not None or _wanted()
        self._events = _core.Events(keeps)
        core.observe(self._events)
        self._worker = Worker("postroad events", _tell_all, self._events, weakref.ref(self)) if keeps else None
        weakref.finalize(self, self._events.close).atexit = False

    def counts(self) -> Dict[str, float]:
        return self._events.counts()

    def end(self) -> None:
        self._events.close()

    def join(self, timeout: float) -> None:
        if self._worker is not None:
            self._worker.join(timeout)


def _lost(n: int) -> Event:
    text = f"{n} events were lost: what looks at them is too slow"
    return Event("lost", 0.0, 0, 0, "", "idle", text, None, None, "", None, 0, 0.0, None)


def _tell_all(events: _core.Events, watching: weakref.ref[Watching]) -> None:
    while (news := events.get()) is not None:
        lost, happened = news
        if lost:
            _tell(_lost(lost), watching)
        for kind, time, connection, message, server, phase, text, code, enhanced, reply, status, *rest in happened:
            octets, took, error = rest
            result = Status(status) if kind == "outcome" else None
            name = None if error is None else error_name(error)
            where = (connection, message, server, phase, text, code, enhanced, reply, result, octets, took, name)
            _tell(Event(kind, time, *where), watching)


def _tell(event: Event, watching: weakref.ref[Watching]) -> None:
    _write(event)
    owner = watching()
    if owner is not None and owner.function is not None:
        function = owner.function
        del owner
        call(function, event)


def _write(e: Event) -> None:
    reply = " ".join(str(part) for part in (e.code, e.enhanced, e.reply) if part)
    place = f"{e.server} connection {e.connection} message {e.message}"
    if e.kind in ("command", "content", "reply", "dialing", "resolved", "connected", "tls_established"):
        if _transcript.isEnabledFor(logging.DEBUG):
            what = reply if e.kind == "reply" else f"{e.octets} octets" if e.kind == "content" else e.text
            _transcript.debug("%s", printable(f"{place} {e.kind}: {what}"))
        return
    outcome = "" if e.status is None else e.status.value
    words = [word for word in (e.text, outcome, reply, e.error) if word]
    grave = e.kind in ("late", "lost") or e.status in (Status.REJECTED, Status.IN_DOUBT) or e.error is not None
    _log.log(logging.WARNING if grave else logging.INFO, "%s", printable(f"{place} {e.kind}: {'; '.join(words)}"))


def _wanted() -> bool:
    """Whether somebody reads what the logger is told."""
    return _log.isEnabledFor(logging.INFO) or _transcript.isEnabledFor(logging.DEBUG)
