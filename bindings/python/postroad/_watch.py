"""A queue as a table that is kept up to date, at a terminal."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, List

from ._errors import InvalidInput, printable
from ._jobs import Counts, Job, JobFilter, Queue
from ._shell import need

_EVERY = 1.0
_ROWS = 20


def watch(queue: Queue, which: JobFilter, most: int) -> None:
    """Shows it until SIGINT. Raises Error and OSError."""
    try:
        from rich.console import Console
        from rich.live import Live
    except ImportError:
        raise need("rich", "progress", "watch") from None
    console = Console()
    if not console.is_terminal:
        raise InvalidInput("watch needs a terminal; list and summary are for pipes", code="invalid_option")
    with contextlib.suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            live.update(_table(queue.count(), queue.jobs(limit=most, **which)), refresh=True)
            time.sleep(_EVERY)


def _table(counts: Counts, jobs: List[Job]) -> Any:
    from rich.table import Table
    from rich.text import Text

    states = ", ".join(f"{state} {n}" for state, n in counts.by_state.items() if n) or "empty"
    table = Table("domain", title=f"{states}; oldest {counts.oldest:.0f} s", title_justify="left", expand=True)
    for column in ("messages", "oldest", "attempts"):
        table.add_column(column, justify="right")
    table.add_column("last error")
    for row in _by_domain(jobs)[:_ROWS]:
        table.add_row(*map(Text, row))
    return table


def _by_domain(jobs: List[Job]) -> List[List[str]]:
    """A row for each domain, those with the most messages first."""
    found: Dict[str, List[Job]] = {}
    for job in jobs:
        domain = job.recipients[0][0].rpartition("@")[2].lower() if job.recipients else ""
        found.setdefault(domain, []).append(job)
    return [
        [
            printable(domain),
            str(len(of_domain)),
            f"{max(job.age for job in of_domain):.0f} s",
            str(max(job.attempts for job in of_domain)),
            printable(next((job.error for job in reversed(of_domain) if job.error), "")),
        ]
        for domain, of_domain in sorted(found.items(), key=lambda pair: -len(pair[1]))
    ]
