"""What send, merge or run did, as one page of HTML. See docs/command.md."""

from __future__ import annotations

import contextlib
import html
import io
import itertools
import random
import threading
import time
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, DefaultDict, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple
from typing import Counter as Counts

from ._errors import InvalidInput
from ._events import Event
from ._receipts import RecipientOutcome, Status
from ._shell import unwritten

_SAMPLES = 50_000
_SHOWN = 50
_MOST_STEPS = 10_000
_COLOURS = {
    "accepted": "#2b8a3e",
    "rejected": "#c92a2a",
    "deferred": "#e67700",
    "in_doubt": "#862e9c",
    "not_attempted": "#868e96",
}
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1c2430}
h1{margin-bottom:0}h2{margin-top:2.5rem;font-size:1.15rem}table{border-collapse:collapse;font-size:.9rem;margin:.5rem 0}
td,th{padding:.25rem .8rem;border-bottom:1px solid #dde1e7;text-align:left;overflow-wrap:anywhere}
th{overflow-wrap:normal}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}svg{max-width:100%;height:auto}.faint{color:#66707f}"""


def _percentile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def figure_class() -> Any:
    """Raises InvalidInput where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        text = "--report needs the Python package matplotlib: pip install 'postroad[report]'"
        raise InvalidInput(text, code="not_installed") from None
    return Figure


def check_writable(path: str) -> None:
    """Raises InvalidInput for what cannot be written, so that it is said before the work."""
    place = Path(path)
    try:
        if place.is_dir() or place.is_file() or not place.exists():  # a pipe would end for who reads it
            place.open("a").close()
    except OSError as e:
        raise _not_written(path, e) from None


def write_page(path: str, page: str) -> None:
    """In place: the file keeps its mode and its links, and may be a pipe or a device."""
    try:
        Path(path).write_text(page, "utf-8", "backslashreplace")
    except OSError as e:
        raise _not_written(path, e) from None


def _not_written(path: str, e: OSError) -> InvalidInput:
    return InvalidInput(f"{path}: {e.strerror}: name a file that can be written", code="cannot_write")


class Report:
    """Is told the events of a mailer, from any thread, and writes the page. Holds sums and samples, not the events."""

    def __init__(self, path: str) -> None:
        figure_class()
        check_writable(path)
        self._path = path
        self._lock = threading.Lock()
        self._began, self._clock = datetime.now().astimezone(), time.monotonic()
        self._step = 1
        """Seconds that are counted together: more, the longer it takes."""
        self._by_time: DefaultDict[int, Counts[str]] = defaultdict(Counter)
        self._by_domain: DefaultDict[str, Counts[str]] = defaultdict(Counter)
        self._by_reply: Counts[Tuple[str, str]] = Counter()
        self._advice: Dict[Tuple[str, str], str] = {}
        self._phases: DefaultDict[str, List[float]] = defaultdict(list)
        self._asked: Counts[str] = Counter()
        self._in_doubt: List[str] = []
        self._kinds: Counts[str] = Counter()

    def told(self, event: Event) -> None:
        with self._lock:
            self._kinds[event.kind] += 1
            if event.kind == "reply":
                self._reply(event)
            elif event.kind == "retry":
                self._count(event, "retry")
            elif event.kind == "outcome" and event.status is not None:
                self._outcome(event, event.status)

    def _reply(self, event: Event) -> None:
        samples = self._phases[event.phase]
        self._asked[event.phase] += 1
        if len(samples) < _SAMPLES:
            samples.append(event.took)
        elif (n := random.randrange(self._asked[event.phase])) < _SAMPLES:
            samples[n] = event.took

    def _count(self, event: Event, what: str) -> None:
        self._by_time[max(0, int(event.time - self._clock)) // self._step][what] += 1
        if len(self._by_time) > _MOST_STEPS:
            by_time, self._by_time = self._by_time, defaultdict(Counter)
            self._step *= 2
            for n, counts in by_time.items():
                self._by_time[n // 2].update(counts)

    def _outcome(self, event: Event, status: Status) -> None:
        self._count(event, status.value)
        domain = event.text.rpartition("@")[2].lower()
        self._by_domain[domain if len(self._by_domain) < 100_000 or domain in self._by_domain else "others"][
            status.value
        ] += 1
        if status is not Status.ACCEPTED:
            words = " ".join(str(p) for p in (event.code, event.enhanced, event.reply) if p)
            key = (status.value, (words or event.error or "no server was asked")[:200])
            if len(self._by_reply) < 100_000 or key in self._by_reply:
                self._by_reply[key] += 1
            if key in self._by_reply and key not in self._advice:
                self._advice[key] = _advice(event, status)
        if status is Status.IN_DOUBT and len(self._in_doubt) < 1000:
            self._in_doubt.append(event.text)

    def write(self) -> None:
        """Raises InvalidInput."""
        with self._lock:
            page = "".join(self._page())
        write_page(self._path, page)

    def _page(self) -> Iterable[str]:
        total: Counts[str] = sum(self._by_time.values(), Counter())
        outcomes = sum(total[s] for s in _COLOURS)
        seconds = (max(self._by_time, default=0) + 1) * self._step
        yield '<!doctype html><html lang="en"><meta charset="utf-8"><title>postroad report</title>'
        yield f"<style>{_STYLE}</style>"
        yield f"<h1>Report</h1><p class=faint>{self._began:%Y-%m-%d %H:%M:%S %z}, {seconds} s, "
        yield f"{outcomes / seconds:.1f} recipients a second"
        if self._kinds["lost"]:
            yield "; some events were lost, so the numbers are too low"
        yield "</p>"
        yield _table(("Outcome", "Recipients"), [(_words(s), total[s]) for s in _COLOURS if total[s]])
        yield _table(("Of the run", ""), [("put off to be tried again", total["retry"])])
        yield from self._over_time(seconds)
        yield from self._latency()
        yield from self._destinations()
        yield "<h2>What was not accepted, by reply</h2>"
        rows = [(_words(k[0]), k[1], n, self._advice.get(k, "")) for k, n in self._by_reply.most_common(_SHOWN)]
        yield _table(("Outcome", "Reply", "Recipients", "What to do"), rows)
        if self._in_doubt:
            yield "<h2>In doubt</h2><p>It may have arrived; sending again may make a duplicate.</p>"
            yield _table(("Recipient",), [(address,) for address in self._in_doubt])

    def _parts(self, seconds: int, most: int) -> Tuple[int, List[Counts[str]]]:
        """The run in at most so many parts of one length, and that in seconds."""
        length = self._step * max(1, -(-seconds // (self._step * most)))
        parts: List[Counts[str]] = [Counter() for _ in range(-(-seconds // length))]
        for n, counts in self._by_time.items():
            parts[n * self._step // length].update(counts)
        return length, parts

    def _over_time(self, seconds: int) -> Iterable[str]:
        length, parts = self._parts(seconds, 200)

        def draw(axes: Any) -> None:
            times = [n * length for n in range(len(parts) + 1)]
            for status, colour in _COLOURS.items():
                sums = [0, *itertools.accumulate(p[status] for p in parts)]
                if sums[-1]:
                    axes.plot(times, sums, color=colour, label=_words(status))
            axes.set(xlabel="seconds", ylabel="recipients in all", ylim=(0, None))
            if axes.lines:
                _legend(axes)

        def draw_rates(axes: Any) -> None:
            edges = [n * length for n in range(len(parts) + 1)]
            for what, colour, label in (
                ("accepted", _COLOURS["accepted"], "accepted"),
                ("retry", "#e67700", "put off"),
            ):
                if any(p[what] for p in parts):
                    axes.stairs([p[what] / length for p in parts], edges, color=colour, label=label)
            axes.set(xlabel="seconds", ylabel="a second", ylim=(0, None))
            if axes.patches:
                _legend(axes)

        yield "<h2>Progress</h2>" + _plot(draw) + "<h2>Throughput</h2>" + _plot(draw_rates)
        length, parts = self._parts(seconds, 20)
        rows = [
            (
                f"{n * length} to {(n + 1) * length}",
                p["accepted"],
                f"{p['accepted'] / length:.1f}",
                sum(p[s] for s in _COLOURS),
                p["retry"],
            )
            for n, p in enumerate(parts)
        ]
        yield _table(("Seconds", "Accepted", "A second", "All outcomes", "Put off"), rows)

    def _latency(self) -> Iterable[str]:
        phases = {p: sorted(samples) for p, samples in self._phases.items()}

        def draw(axes: Any) -> None:
            names = list(phases)[::-1]
            axes.barh(names, [1000 * _percentile(phases[n], 0.95) for n in names], color="#c5d9f1", label="95 %")
            axes.barh(names, [1000 * _percentile(phases[n], 0.5) for n in names], color="#1a5fb4", label="50 %")
            axes.set(xlabel="milliseconds until the reply")
            _legend(axes)

        yield "<h2>How long servers took</h2>" + (_plot(draw) if phases else "")
        rows = [
            (p, self._asked[p], *(f"{1000 * _percentile(s, q):.1f}" for q in (0.5, 0.95, 0.99)))
            for p, s in phases.items()
        ]
        yield _table(("Step", "Replies", "50 %, ms", "95 %, ms", "99 %, ms"), rows)

    def _destinations(self) -> Iterable[str]:
        top = sorted(self._by_domain.items(), key=lambda d: -sum(d[1].values()))[:_SHOWN]

        def draw(axes: Any) -> None:
            names = [d for d, _ in top[:15]][::-1]
            left = [0] * len(names)
            for status, colour in _COLOURS.items():
                counts = [self._by_domain[d][status] for d in names]
                if any(counts):
                    axes.barh(names, counts, left=left, color=colour, label=_words(status))
                    left = [a + b for a, b in zip(left, counts)]
            axes.set(xlabel="recipients")
            _legend(axes)

        yield "<h2>Destinations</h2>" + (_plot(draw) if top else "")
        rows = [(domain, *(counts[s] for s in _COLOURS)) for domain, counts in top]
        yield _table(("Domain", *map(_words, _COLOURS)), rows)


def _advice(event: Event, status: Status) -> str:
    said = (event.code, event.enhanced, event.reply)
    return RecipientOutcome(event.text, status, *said, event.phase, event.error, direct=None).advice


def _words(status: str) -> str:
    return status.replace("_", " ")


def _cell(tag: str, value: object) -> str:
    number = isinstance(value, int) or str(value).replace(".", "", 1).isdigit()
    return f"<{tag}{' class=n' if number else ''}>{html.escape(str(value))}</{tag}>"


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return "<p class=faint>None.</p>"
    head = "".join(_cell("th", n) for n in names)
    return (
        f"<table><tr>{head}</tr>{''.join('<tr>' + ''.join(_cell('td', c) for c in r) + '</tr>' for r in rows)}</table>"
    )


def _legend(axes: Any) -> None:
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=5)  # above, where nothing is drawn


def _plot(draw: Callable[[Any], None]) -> str:
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "postroad", "text.parse_math": False}):
        figure = figure_class()(figsize=(9, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    text = drawn.getvalue()
    return text[text.index("<svg") :]


@contextlib.contextmanager
def reporting(path: Optional[str]) -> Iterator[Optional[Report]]:
    """Of a run: the page is written however it ends, but for a second SIGINT. Where it cannot be, the run keeps its
    status and what it raises, unless that is the worse."""
    report = None if path is None else Report(path)
    try:
        yield report
    except Exception:
        _write(report)
        raise
    _write(report)


def _write(report: Optional[Report]) -> None:
    try:
        if report is not None:
            report.write()
    except InvalidInput as e:
        unwritten(str(e))


def options_of(report: Any, others: Sequence[Callable[[Event], object]] = ()) -> Dict[str, Any]:
    """The arguments of a Mailer with which all of them are told."""
    told = [*others, *([report.told] if report is not None else [])]

    def tell(event: Event) -> None:
        for one in told:
            one(event)

    return {"on_event": tell} if told else {}
