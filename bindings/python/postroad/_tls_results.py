"""How TLS with the servers of domains goes, counted for reports (RFC 8460). See docs/tls.md."""

from __future__ import annotations

import os
import threading
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Dict, List, Optional, Union

from . import _core
from ._errors import InvalidInput
from ._messages import instance, octets, path_of

_FIRST = date(1970, 1, 1)


def _today() -> date:
    return datetime.now(timezone.utc).date()


def number_of(day: date) -> int:
    return (day - _FIRST).days


def write_whole(file: Path, lines: bytes) -> None:
    """In whole or not at all, for its owner alone."""
    new = file.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as f:
        f.write(lines)
    new.replace(file)


class TlsResults:
    """Counts, for mailers of mx:// that it is given to, how TLS with the servers of each domain goes, for report_tls().

    folder: a file for each day, UTC, is kept there. It is made where it is missing, and of one TlsResults at a time.
    sending_ip: the address that we are seen to come from, where that is known; readers of reports look for it.

    What was counted is in the file after save(), which each mailer calls when it is closed, and `postroad run` each
    minute. Thread-safe. Raises InvalidInput where this build counts nothing, Error for a file that is none of its own,
    and OSError.
    """

    def __init__(self, folder: Union[str, os.PathLike[str]], *, sending_ip: str = "") -> None:
        if not hasattr(_core, "TlsResults"):
            raise InvalidInput(
                "this build of postroad counts nothing for reports on TLS: libunbound, libcurl or zlib was missing",
                code="invalid_option",
            )
        self.folder = path_of("folder", folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._core = _core.TlsResults(octets("sending_ip", sending_ip))
        self._saving = threading.Lock()
        today = self.folder / str(_today())
        if today.exists():
            self._core.read(today.read_bytes())

    def save(self) -> None:
        """Writes what was counted so far. Raises OSError."""
        with self._saving:
            today = _today()
            days: Dict[str, List[bytes]] = {}
            for line in self._core.text().splitlines(keepends=True):
                days.setdefault(str(_FIRST + timedelta(days=int(line.split()[1]))), []).append(line)
            for day, lines in days.items():
                write_whole(self.folder / day, b"".join(lines))
            # From now on the file of a day that is over is that of who reports.
            for day_number, domain in self._core.ended(number_of(today)):
                if str(_FIRST + timedelta(days=day_number)) in days:
                    self._core.forget(day_number, domain.encode())


def results_of(given: Optional[TlsResults], url: str) -> Optional[_core.TlsResults]:
    """Of a Mailer's argument."""
    if given is None:
        return None
    instance("tls_results", given, TlsResults)
    if not url.lower().startswith("mx://"):
        raise InvalidInput("tls_results are of use with mx:// only: else the relay knows", code="contradiction")
    return given._core
