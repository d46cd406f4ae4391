"""What a plan looks like: a page as that of --report, and a plot in the terminal."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Sequence, Tuple

from ._report import _STYLE, _plot, _table


def course_of(found: Dict[str, Any]) -> Tuple[Sequence[float], Sequence[float]]:
    """Seconds, and how many messages were accepted by then."""
    course = found["course_s"]
    share = found["messages"] / 20
    return [0.0, *course], [n * share for n in range(len(course) + 1)]


def plot_in_terminal(found: Dict[str, Any]) -> None:
    """By plotext, where that is installed."""
    try:
        from plotext import clear_figure, plot, plotsize, show, theme, title, xlabel  # 6 has none of them
    except ImportError:
        return
    times, accepted = course_of(found)
    clear_figure()
    plot(times, accepted, marker="braille")
    plotsize(72, 16)
    theme("clear")
    xlabel("seconds")
    title("accepted")
    show()


def page_of(found: Dict[str, Any], facts: Sequence[Tuple[str, str]]) -> str:
    return "".join(_page(found, facts))


def _page(found: Dict[str, Any], facts: Sequence[Tuple[str, str]]) -> Iterator[str]:
    times, accepted = course_of(found)

    def draw(axes: Any) -> None:
        axes.plot(times, accepted, color="#2b8a3e", label="accepted")
        axes.set(xlabel="seconds", ylabel="messages in all", ylim=(0, None))

    yield '<!doctype html><html lang="en"><meta charset="utf-8"><title>postroad plan</title>'
    yield f"<style>{_STYLE}</style><h1>Plan</h1><p class=faint>Simulated: nothing was sent.</p>"
    yield _table(("Of the campaign", ""), facts)
    yield "<h2>Progress</h2>" + _plot(draw)
    rows = [(f"{a / max(found['messages'], 1):.0%}", f"{t:.1f}") for t, a in zip(times, accepted)]
    yield _table(("Accepted", "After, seconds"), rows)
    yield "<h2>How long messages waited</h2>"
    waits = [
        (name, w["messages"], *(f"{w[k]:.1f}" for k in ("p50_s", "p95_s", "p99_s", "longest_s")))
        for name, w in found["classes"].items()
    ]
    yield _table(("Class", "Messages", "50 %, s", "95 %, s", "99 %, s", "Longest, s"), waits)
    if found["broken"]:
        yield "<h2>Rules that were broken</h2>" + _table(("Rule",), [(rule,) for rule in found["broken"]])
