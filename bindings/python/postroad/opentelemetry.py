"""Spans and metrics of OpenTelemetry. Needs its API: pip install postroad[opentelemetry].

    mail = postroad.opentelemetry.Mailer("smtp://user:secret@smtp.example.com:587")

Names follow the semantic conventions for messaging clients; they are stable, and docs/python-observing.md has them.
"""

from __future__ import annotations

import time
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple, Union

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation

from . import _core
from ._core import version as _version
from ._errors import Error
from ._mailer import Mailer as _Mailer
from ._receipts import Receipt, receipt_of
from ._secrets import keeps_secrets

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.trace import Span, Tracer, TracerProvider
    from typing_extensions import Unpack

    from ._callbacks import Caller
    from ._configurations import MailerOptions
    from ._core import Given, Operation
    from ._many import Many
    from ._messages import Mailbox, Mailboxes, MessageLike

__all__ = ["Mailer"]

_STATUSES = ("accepted", "rejected", "deferred", "in_doubt", "not_attempted")
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
# Of stats(): name, unit, description, member.
_COUNTERS = (
    ("postroad.retries", "{retry}", "Times a message was put off to be tried again", "retries"),
    ("postroad.connections", "{connection}", "Connections that were made", "connections"),
    ("postroad.connections.broken", "{connection}", "Connections that failed or broke", "broken_connections"),
    ("messaging.client.sent.messages", "{message}", "Messages whose content was handed over whole", "contents"),
    ("postroad.sent.octets", "By", "Octets of those", "octets"),
)


class Mailer(_Mailer):
    """A postroad.Mailer with a span for each message, from the call until it is known what became of it, under the span
    that is current where it is called; and with metrics. What looks at them can neither stall nor break the engine:
    spans end in a thread of the package.

    url, options: as of postroad.Mailer.
    tracer_provider, meter_provider: None: the global ones.
    """

    @keeps_secrets
    def __init__(
        self,
        url: str,
        *,
        tracer_provider: Optional[TracerProvider] = None,
        meter_provider: Optional[MeterProvider] = None,
        **options: Unpack[MailerOptions],
    ) -> None:
        super().__init__(url, **options)
        meter = metrics.get_meter("postroad", _version, meter_provider)
        tracer = trace.get_tracer("postroad", _version, tracer_provider)
        self._telling = _Telling(self._core.host, self._caller, tracer, meter)
        _observe(self, meter, meter_provider)

    def _start(
        self,
        message: MessageLike,
        sender: Optional[Mailbox],
        recipients: Optional[Mailboxes],
        wishes: Any,
        ended: Optional[_core.Completions] = None,
        tag: int = 0,
    ) -> Operation:
        given = (message, sender, recipients, wishes, ended, tag)
        return self._telling.watched("send", lambda: _Mailer._start(self, *given))

    def _submit(
        self,
        message: MessageLike,
        sender: Optional[Mailbox],
        recipients: Optional[Mailboxes],
        wishes: Any,
        wait: bool,
    ) -> Operation:
        return self._telling.watched("submit", lambda: _Mailer._submit(self, message, sender, recipients, wishes, wait))

    def _many(self, sender: Optional[Mailbox], recipients: Optional[Mailboxes], wishes: Any) -> Many:
        return _WatchedMany(super()._many(sender, recipients, wishes), self._telling)


class _WatchedMany:
    """Many messages, of which each is watched."""

    def __init__(self, many: Many, telling: _Telling) -> None:
        self._many = many
        self._telling = telling
        self.ended = many.ended
        self.on_ended = many.on_ended
        self.cancel = many.cancel

    def begin(self, message: Given, index: int) -> Operation:
        return self._telling.watched("send", lambda: self._many.begin(message, index))

    def start(self, message: Given, index: int) -> List[Receipt]:
        self.begin(message, index)
        return self.ended(0.0)


class _Telling:
    """Not the mailer itself, which what is under way must not keep."""

    def __init__(self, host: str, caller: Caller, tracer: Tracer, meter: Meter) -> None:
        self._caller = caller
        self._tracer = tracer
        name, _, port = host.rpartition(":")
        self.place: Dict[str, Union[str, int]] = {"messaging.system": "smtp"}
        self.place["server.address"] = (name or port).strip("[]")
        if name and port.isdigit():
            self.place["server.port"] = int(port)
        self._duration = meter.create_histogram(
            "messaging.client.operation.duration",
            unit="s",
            description="From the call until it is known what became of the message",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )

    def watched(self, what: str, begin: Callable[[], Operation]) -> Operation:
        attributes = {**self.place, "messaging.operation.name": what, "messaging.operation.type": "send"}
        name = f"{what} {self.place['server.address']}"
        span = self._tracer.start_span(name, kind=trace.SpanKind.PRODUCER, attributes=attributes)
        began = time.monotonic()
        self._caller.begin()
        try:
            operation = begin()
        except BaseException as e:
            self._ended(span, began, attributes, None, e)
            raise
        call, ended = self._caller.call, self._ended
        operation.on_done(lambda: call(ended, span, began, attributes, receipt_of(operation), None))
        return operation

    def _ended(
        self,
        span: Span,
        began: float,
        attributes: Dict[str, Union[str, int]],
        receipt: Optional[Receipt],
        failed: Optional[BaseException],
    ) -> None:
        error = _error_of(receipt, failed)
        if error is not None:
            attributes = {**attributes, "error.type": error}
        self._duration.record(time.monotonic() - began, attributes)
        if receipt is not None:
            span.set_attribute("postroad.attempts", receipt.attempts)
            for status in _STATUSES:
                if n := sum(r.status.value == status for r in receipt.recipients):
                    span.set_attribute(f"postroad.recipients.{status}", n)
            last = next((r for r in reversed(receipt.recipients) if r.code is not None), None)
            if last is not None and last.code is not None:
                span.set_attribute("postroad.reply.code", last.code)
        if error is not None:
            span.set_attribute("error.type", error)
            # not the words of a server: an address may stand there
            span.set_status(trace.StatusCode.ERROR, error)
        span.end()


def _error_of(receipt: Optional[Receipt], failed: Optional[BaseException]) -> Optional[str]:
    """A code of the library, or else the worst that became of a recipient."""
    raised = failed if receipt is None else receipt.error
    if raised is not None:
        return raised.code if isinstance(raised, Error) and raised.code else type(raised).__name__
    statuses = set() if receipt is None else {r.status.value for r in receipt.recipients}
    return next((s for s in ("in_doubt", "rejected", "deferred", "not_attempted") if s in statuses), None)


class _Watched(weakref.WeakValueDictionary):  # type: ignore[type-arg]
    """Mailers by id()."""


_by_provider: weakref.WeakKeyDictionary[object, _Watched] = weakref.WeakKeyDictionary()


def _observe(mailer: Mailer, meter: Meter, provider: Optional[MeterProvider]) -> None:
    """Of instruments of one name the SDK asks the first only, so that there is one of a provider for all mailers."""
    # the global one under one key, also before it is there
    key = _observe if provider in (None, metrics.get_meter_provider()) else provider
    new = _Watched()
    watched = _by_provider.setdefault(key, new)
    watched[id(mailer)] = mailer
    if watched is new:
        _instruments(meter, watched)


def _instruments(meter: Meter, mailers: _Watched) -> None:
    """The numbers of stats() and count(), whenever they are asked for; of mailers to one server, together."""

    def summed(attribute: str, numbers: Callable[[Mailer], Mapping[str, int]]) -> Iterable[Observation]:
        sums: Counter[Tuple[Tuple[str, Union[str, int]], ...]] = Counter()
        for mailer in filter(None, (alive() for alive in mailers.valuerefs())):
            if mailer.inherited:
                continue
            for value, n in numbers(mailer).items():
                sums[(*mailer._telling.place.items(), (attribute, value))] += n
        return [Observation(n, {k: v for k, v in names if k}) for names, n in sums.items()]

    def by_status(_: CallbackOptions) -> Iterable[Observation]:
        return summed("postroad.status", lambda m: {s: n for s, n in vars(m.stats()).items() if s in _STATUSES})

    def states(mailer: Mailer) -> Mapping[str, int]:
        try:
            return mailer.count().by_state
        except (Error, RuntimeError):  # it is closed
            return {}

    def by_state(_: CallbackOptions) -> Iterable[Observation]:
        return summed("postroad.state", states)

    def member(which: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: summed("", lambda m: {"": getattr(m.stats(), which)})

    for name, unit, text, which in _COUNTERS:
        meter.create_observable_counter(name, [member(which)], unit=unit, description=text)
    text = "Recipients by what became of the message for them"
    meter.create_observable_counter("postroad.recipients", [by_status], unit="{recipient}", description=text)
    meter.create_observable_up_down_counter(
        "postroad.connections.open", [member("open_connections")], unit="{connection}", description="Open connections"
    )
    meter.create_observable_up_down_counter(
        "postroad.messages", [by_state], unit="{message}", description="Messages held, by state"
    )
