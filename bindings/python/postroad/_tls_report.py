"""Domains are told how TLS with their servers went (RFC 8460). See docs/tls.md."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, Optional, Tuple, Union
from urllib.parse import parse_qsl, urlencode

from . import _core
from ._errors import Error, InvalidInput, PermanentError, printable
from ._mailer import Mailer
from ._messages import instance, octets, path_of
from ._receipts import Status
from ._tls_results import number_of, write_whole

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._configurations import MailerOptions

_SETTLED = 3600.0
_KEPT = timedelta(days=2)
"""What could not be told by then is told no more (RFC 8460 section 5.5: a day)."""
_RESTS = "rests"
"""The file beside those of the days: who is left alone until when."""


@dataclass(frozen=True)
class TlsReported:
    """What became of the report about one domain on one day."""

    domain: str
    day: date
    places: Tuple[str, ...]
    """Addresses and URLs that have it; none: the domain wants no reports, or `error` says why not."""
    error: str = ""
    again: bool = False
    """It is kept, and told by a later call."""


def _of_reports(url: str) -> str:
    """A report about TLS that does not work has to arrive (RFC 8460 section 3): it says TLS-Required: No, which passes
    over what domains demand; what the URL itself demands of strangers is left out."""
    address, _, query = url.partition("?")
    if not address.lower().startswith("mx://"):
        return url
    kept = [(k, v) for k, v in parse_qsl(query, keep_blank_values=True) if k != "tls"]
    return f"{address}?{urlencode(kept)}" if kept else address


def report_tls(
    folder: Union[str, os.PathLike[str]],
    url: str,
    *,
    contact: str,
    organization: str = "",
    settled: Optional[float] = None,
    **options: Unpack[MailerOptions],
) -> Iterator[TlsReported]:
    """Tells each domain how TLS with its servers went on the days that are over, at the places that its record at
    _smtp._tls names (RFC 8460): by mail, or by HTTPS to a server that is verified. One call a day, at a time of its
    own: everybody's day ends at the same time. What is told is no longer in `folder`; what could not be is told by a
    later call, for two days. A place that fails is left alone for an hour, one that refuses for most of a day, twice as
    long each time up to a month, whichever domains name it: calls may come as often as they like.

    folder: of a TlsResults.
    url: who sends the mail, as of Mailer. With mx:// nothing is demanded of TLS for it, and its resolver is asked for
        the records; else that of the system's DNS is.
    contact: an address that people read, the sender of the mail. Its domain is the one that reports.
    organization: who that is; else its domain.
    settled: a day is over so many seconds after its end (3600).
    options: as of Mailer. Without `sign` those who read reports refuse them. With `suppression` addresses whose reports
        come back get none, if the list is told of what comes back.

    Raises InvalidInput, and what Mailer raises when it is made; yields what became of each.
    """
    instance("contact", contact, str)
    domain = contact.rpartition("@")[2].lower()
    if not domain:
        raise InvalidInput(f"contact: {contact!r} is no address", code="invalid_address")
    if "tls_results" in options:
        raise InvalidInput("tls_results: there are no reports about sessions that carry reports", code="contradiction")
    who = [octets("contact", v) for v in (organization or domain, contact, domain)]
    by = _of_reports(url)
    places = _core.TlsReportPlaces(octets("url", by if by.lower().startswith("mx://") else f"mx://{domain}"))
    over = (datetime.now(timezone.utc) - timedelta(seconds=_SETTLED if settled is None else settled)).date()
    kept = path_of("folder", folder)
    with Mailer(by, **options) as mail, _rests_in(kept) as rests:
        for day, file in sorted(_ended(kept, over)):
            results = _core.TlsResults(b"")
            results.read(file.read_bytes())
            try:
                for _, about in results.ended(number_of(over)):
                    told = _Report(results, day, about, who).tell(mail, places, rests)
                    if not told.again:
                        results.forget(number_of(day), octets("domain", about))
                    yield told
            finally:
                if left := results.text():
                    write_whole(file, left)
                else:
                    file.unlink()


@contextmanager
def _rests_in(folder: Path) -> Iterator[_core.ReportRests]:
    file = folder / _RESTS
    rests = _core.ReportRests(file.read_bytes() if file.exists() else b"")
    try:
        yield rests
    finally:
        if (lines := rests.text(_now())) or file.exists():
            write_whole(file, lines)


def _now() -> int:
    return int(time.time())


def _mailed(mail: Mailer, letter: bytes) -> Tuple[str, str]:
    try:
        refused = [r for r in mail.send(letter).recipients if r.status is not Status.ACCEPTED]
    except PermanentError as e:
        return "refused", str(e)
    except Error as e:
        return "away", str(e)
    if not refused:
        return "taken", ""
    said = (" ".join(str(part) for part in (r.code, r.enhanced, r.text or r.why) if part) for r in refused)
    return "refused" if all(r.status is Status.REJECTED for r in refused) else "later", printable("; ".join(said))


class _Report:
    """About one domain on one day."""

    def __init__(self, results: _core.TlsResults, day: date, domain: str, who: List[bytes]) -> None:
        self._results = results
        self._day = day
        self._domain = domain
        self._about = (number_of(day), octets("domain", domain))
        self._who = who

    def tell(self, mail: Mailer, places: _core.TlsReportPlaces, rests: _core.ReportRests) -> TlsReported:
        young = self._day + _KEPT > datetime.now(timezone.utc).date()
        try:
            addresses, urls = places.of(self._about[1])
        except Error as e:
            return TlsReported(self._domain, self._day, (), str(e), again=young)
        have: List[str] = []
        failed: List[str] = []
        later = False
        for place in urls + addresses:
            name = octets("place", place)
            until = rests.until(name, _now())
            if until is None:
                answer, why = self._posted(name) if place in urls else _mailed(mail, self._letter(name))
                rests.answered(name, answer.encode(), _now())
            else:
                end = datetime.fromtimestamp(until, timezone.utc)
                answer = "later" if end.date() <= self._day + _KEPT else "refused"
                why = f"it failed before, and is left alone until {end:%Y-%m-%d %H:%M} UTC"
            if answer == "taken":
                have.append(place)
            else:
                failed.append(f"{place}: {why}")
                later = later or answer != "refused"
        return TlsReported(self._domain, self._day, tuple(have), "; ".join(failed), again=later and young and not have)

    def _posted(self, url: bytes) -> Tuple[str, str]:
        return _core.post_tls_report(self._results.report(*self._about, self._who), url, b"", [])

    def _letter(self, to: bytes) -> bytes:
        return self._results.mail(*self._about, self._who, to)


def _ended(folder: Path, over: date) -> Iterator[Tuple[date, Path]]:
    for file in folder.iterdir():
        try:
            day = date.fromisoformat(file.name)
        except ValueError:
            continue
        if day < over:
            yield day, file
