"""Domains are told how TLS with their servers went (RFC 8460). See docs/tls.md."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, Optional, Tuple, Union
from urllib.parse import parse_qsl, urlencode

from . import _core
from ._errors import Error, InvalidInput, PermanentError
from ._mailer import Mailer
from ._messages import instance, octets, path_of
from ._receipts import Status
from ._tls_results import number_of, write_whole

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._configurations import MailerOptions

_SETTLED = 3600.0
_KEPT = timedelta(days=2)
"""What could not be told by then is told no more (RFC 8460 section 5.4: a day)."""


@dataclass(frozen=True)
class TlsReported:
    """What became of the report about one domain on one day."""

    domain: str
    day: date
    places: Tuple[str, ...]
    """Addresses and URLs that have it; none: the domain wants no reports, or `error` says why not."""
    error: str = ""
    again: bool = False
    """It is kept, and told by the next call."""


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
    own: everybody's day ends at the same time. What is told is no longer in `folder`; what could not be is told by the
    next call, for two days.

    folder: of a TlsResults.
    url: who sends the mail, as of Mailer. With mx:// nothing is demanded of TLS for it, and its resolver is asked for
        the records; else that of the system's DNS is.
    contact: an address that people read, the sender of the mail. Its domain is the one that reports.
    organization: who that is; else its domain.
    settled: a day is over so many seconds after its end (3600).
    options: as of Mailer. Without `sign` those who read reports refuse them.

    Raises InvalidInput, and what Mailer raises when it is made; yields what became of each.
    """
    instance("contact", contact, str)
    domain = contact.rpartition("@")[2].lower()
    if not domain:
        raise InvalidInput(f"contact: {contact!r} is no address", code="invalid_address")
    who = [octets("contact", v) for v in (organization or domain, contact, domain)]
    by = _of_reports(url)
    places = _core.TlsReportPlaces(octets("url", by if by.lower().startswith("mx://") else f"mx://{domain}"))
    over = (datetime.now(timezone.utc) - timedelta(seconds=_SETTLED if settled is None else settled)).date()
    with Mailer(by, **options) as mail:
        for day, file in sorted(_ended(path_of("folder", folder), over)):
            results = _core.TlsResults(b"")
            results.read(file.read_bytes())
            try:
                for _, about in results.ended(number_of(over)):
                    told = _told(results, day, about, mail, places, who)
                    if not told.again:
                        results.forget(number_of(day), octets("domain", about))
                    yield told
            finally:
                if left := results.text():
                    write_whole(file, left)
                else:
                    file.unlink()


def _mailed(mail: Mailer, letter: bytes) -> Tuple[str, str]:
    try:
        refused = [r for r in mail.send(letter).recipients if r.status is not Status.ACCEPTED]
    except PermanentError as e:
        return "refused", str(e)
    except Error as e:
        return "later", str(e)
    if not refused:
        return "taken", ""
    return "refused" if all(r.status is Status.REJECTED for r in refused) else "later", "; ".join(map(str, refused))


def _told(
    results: _core.TlsResults,
    day: date,
    domain: str,
    mail: Mailer,
    places: _core.TlsReportPlaces,
    who: List[bytes],
) -> TlsReported:
    about = (number_of(day), octets("domain", domain))
    young = day + _KEPT > datetime.now(timezone.utc).date()
    try:
        addresses, urls = places.of(about[1])
    except Error as e:
        return TlsReported(domain, day, (), str(e), again=young)
    report = results.report(*about, who)
    answers: List[Tuple[str, str, str]] = [
        (url, *_core.post_tls_report(report, octets("url", url), b"", [])) for url in urls
    ]
    answers += [(to, *_mailed(mail, results.mail(*about, who, octets("address", to)))) for to in addresses]
    have = tuple(place for place, answer, _ in answers if answer == "taken")
    failed = "; ".join(f"{place}: {why}" for place, answer, why in answers if answer != "taken")
    again = not have and young and any(answer == "later" for _, answer, _ in answers)
    return TlsReported(domain, day, have, failed, again)


def _ended(folder: Path, over: date) -> Iterator[Tuple[date, Path]]:
    for file in folder.iterdir():
        try:
            day = date.fromisoformat(file.name)
        except ValueError:
            continue
        if day < over:
            yield day, file
