"""How far a command is, at a terminal. In a pipe it says nothing."""

from __future__ import annotations

import sys
import time
from typing import Any


class Bar:
    """A line on standard error with rate and time left: by rich where it is installed. total: 0 if nobody knows."""

    def __init__(self, total: int, *, shown: bool = True) -> None:
        self._total = total
        self._done = self._missed = 0
        self._rich: Any = None
        self._start = self._shown = time.monotonic()
        self._on = shown and sys.stderr.isatty()

    def __enter__(self) -> Bar:
        if self._on:
            self._rich = _rich_bar(self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._rich is not None:
            self._rich.stop()
        elif self._on:
            self._line()
            sys.stderr.write("\n")

    def step(self, good: bool) -> None:
        self._missed += not good
        self.reach(self._done + 1)

    def reach(self, done: int) -> None:
        """So many are over."""
        self._done = done
        if self._rich is not None:
            self._rich.update(self._rich.task_ids[0], completed=done, state=self._state())
        elif self._on and time.monotonic() - self._shown > 0.1:
            self._shown = time.monotonic()
            self._line()

    def _state(self) -> str:
        missed = f"{self._missed} not accepted, " if self._missed else ""
        return f"{missed}{self._rate():.0f}/s"

    def _rate(self) -> float:
        return self._done / max(time.monotonic() - self._start, 1e-9)

    def _line(self) -> None:
        rate = self._rate()
        of = f" of {self._total}" if self._total else ""
        left = f", {(self._total - self._done) / rate:.0f} s left" if self._total and rate > 0 else ""
        sys.stderr.write(f"\r{self._done}{of} done, {self._state()}{left}\x1b[K")
        sys.stderr.flush()


def _rich_bar(total: int) -> Any:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        return None
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task("", total=total or None, state="")
    bar.start()
    return bar
