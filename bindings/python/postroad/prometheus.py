"""What mailers did and hold, for Prometheus. Needs prometheus-client: pip install postroad[prometheus].

REGISTRY.register(postroad.prometheus.Collector(mailer))
"""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, Union

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as _Collector

from ._errors import Error
from ._jobs import Counts
from ._mailer import Mailer
from ._stats import Stats

__all__ = ["Collector"]

_STATUSES = ("accepted", "rejected", "deferred", "in_doubt", "not_attempted")
_COUNTERS = {
    "postroad_retries": ("Times a message was put off to be tried again", "retries"),
    "postroad_late": ("Messages that have taken so long that their sender should know", "late"),
    "postroad_connections": ("Connections that were made", "connections"),
    "postroad_broken_connections": ("Connections that failed or broke", "broken_connections"),
    "postroad_contents": ("Messages whose content was handed over whole", "contents"),
    "postroad_octets": ("Octets of those", "octets"),
    "postroad_replies": ("Replies of servers", "replies"),
    "postroad_reply_seconds": ("How long replies took, all together", "reply_seconds"),
}


class Collector(_Collector):
    """Gives Prometheus the stats() and the count() of mailers whenever it asks. The names of its metrics are stable.

    mailers: a Mailer, or several by name; the name is the label "mailer". A mailer that is closed shows what it did;
        one that a process inherited by fork() is left out there.
    """

    def __init__(self, mailers: Union[Mailer, Mapping[str, Mailer]]) -> None:
        if not isinstance(mailers, (Mailer, Mapping)):
            raise TypeError(f"mailers must be a Mailer or several by name, not {type(mailers).__name__}")
        self._mailers = {"default": mailers} if isinstance(mailers, Mailer) else dict(mailers)
        for name, mailer in self._mailers.items():
            if not isinstance(name, str) or not isinstance(mailer, Mailer):
                text = f"{name!r} is a {type(mailer).__name__}"
                raise TypeError(f"mailers must be a Mailer or several by name, and {text}")

    def describe(self) -> List[Metric]:
        """None: nobody asks the mailers before there is a reason to."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        ours = {name: mailer for name, mailer in self._mailers.items() if not mailer.inherited}
        yield from _of_stats({name: mailer.stats() for name, mailer in ours.items()})
        yield from _of_counts({name: _count(mailer) for name, mailer in ours.items()})


def _count(mailer: Mailer) -> Counts:
    try:
        return mailer.count()
    except (Error, RuntimeError):
        return Counts({}, 0.0)  # it is closed


def _of_stats(stats: Mapping[str, Stats]) -> Iterator[Metric]:
    recipients: Any = CounterMetricFamily(
        "postroad_recipients", "Recipients by what became of the message for them", labels=["mailer", "status"]
    )
    for name, s in stats.items():
        for status in _STATUSES:
            recipients.add_metric([name, status], getattr(s, status))
    yield recipients
    for metric, (text, member) in _COUNTERS.items():
        counter: Any = CounterMetricFamily(metric, text, labels=["mailer"])
        for name, s in stats.items():
            counter.add_metric([name], getattr(s, member))
        yield counter
    now: Any = GaugeMetricFamily("postroad_open_connections", "Connections that are open", labels=["mailer"])
    for name, s in stats.items():
        now.add_metric([name], s.open_connections)
    yield now


def _of_counts(counts: Mapping[str, Counts]) -> Iterator[Metric]:
    jobs: Any = GaugeMetricFamily("postroad_jobs", "Messages held, by state", labels=["mailer", "state"])
    oldest: Any = GaugeMetricFamily("postroad_oldest_job_seconds", "The age of the oldest", labels=["mailer"])
    troubles: Any = GaugeMetricFamily(
        "postroad_waiting_for", "Messages that a site in trouble keeps waiting", labels=["mailer", "site", "code"]
    )
    for name, c in counts.items():
        for state, n in c.by_state.items():
            jobs.add_metric([name, state], n)
        oldest.add_metric([name], c.oldest)
        for trouble in c.troubles:
            troubles.add_metric([name, trouble.name, trouble.code], trouble.waiting)
    yield from (jobs, oldest, troubles)
