"""Addresses that must not get mail: a list in a file. See docs/suppression.md."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Callable, Container, Iterable, List, NoReturn, Optional, Tuple, Union

from . import _core
from ._errors import InvalidInput
from ._literals import SuppressionReason, words
from ._messages import check_flags, check_function, check_several, choice, instance, lasting, octets, path_of, seconds
from ._reports import octets_of

if TYPE_CHECKING:
    from ._messages import MessageLike

_MOST_FAULTS = 1000
_PIECE = 1 << 20


@dataclass(frozen=True)
class SuppressionEntry:
    """An address that must not get mail."""

    address: str
    tenant: str = ""
    """Only messages of this tenant are kept from it; empty: of all."""
    list: str = ""
    """Only messages with this List-Id are kept from it; empty: all."""
    reason: SuppressionReason = "manual"
    source: str = ""
    """Who says so, for people."""
    added: Optional[datetime] = None
    """None: when it is added."""
    until: Optional[datetime] = None
    """No longer from then on; None: for ever."""


@dataclass(frozen=True)
class Imported:
    """What became of the rows of a CSV."""

    added: int
    known: int
    """Were there already, and are as the file has them."""
    faults: int
    """Rows that were left out."""
    first_faults: Tuple[Tuple[int, str], ...]
    """Of the first 1,000 of them the line, and what is wrong."""


def _when(what: str, time: Optional[datetime]) -> Optional[int]:
    if time is None:
        return None
    instance(what, time, datetime)
    if time.tzinfo is None:
        raise InvalidInput(f"{what} needs a time zone", code="invalid_option", phase="prepare")
    return int(time.timestamp())


def _parts(e: SuppressionEntry) -> _core.Suppressed:
    instance("an entry", e, SuppressionEntry)
    reason = choice("reason", e.reason, words(SuppressionReason)) or "manual"
    texts = [octets(what, text) for what, text in (("tenant", e.tenant), ("list", e.list), ("source", e.source))]
    address = octets("address", e.address, "invalid_address")
    return address, texts[0], texts[1], reason, texts[2], _when("added", e.added), _when("until", e.until)


def _entry(parts: Tuple[str, str, str, str, str, int, Optional[int]]) -> SuppressionEntry:
    address, tenant, list_id, reason, source, added, until = parts
    times = [None if t is None else datetime.fromtimestamp(t, timezone.utc) for t in (added, until)]
    return SuppressionEntry(address, tenant, list_id, reason, source, *times)  # type: ignore[arg-type]


class SuppressionList:
    """Addresses that must not get mail, in a file (SQLite) that any thread and any process may use, for
    Mailer(suppression=...). Raises TransientError and PermanentError of the file, InvalidInput for what is no address.

    path: of the file, which is made where it is missing, for this user only.
    ignore_case: case in local parts does not count. It is remembered by the file that is made.
    bounces: so many hard bounces suppress an address (3); 0: none do.
    bounces_within: a bounce counts for so many seconds (90 days).
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        ignore_case: bool = False,
        bounces: int = 3,
        bounces_within: float = 90 * 24 * 3600.0,
    ) -> None:
        if isinstance(bounces, bool) or not isinstance(bounces, int) or not 0 <= bounces <= 1000:
            raise InvalidInput("bounces must be an int from 0 to 1000", code="invalid_option")
        check_flags(ignore_case=ignore_case)
        within = seconds("bounces_within", bounces_within)
        self._path = path_of("path", path)
        self._core = _core.Suppression(lasting(os.fsencode(self._path)), ignore_case, bounces, int(within or 0))

    def __repr__(self) -> str:
        return f"<postroad.SuppressionList {self._path}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SuppressionList holds an open file and cannot be pickled or copied: open it again")

    def __len__(self) -> int:
        return self._core.size()

    def __bool__(self) -> bool:
        return True

    def __contains__(self, address: object) -> bool:
        return address in _Scoped(self, "", "")

    def find(self, address: str, *, tenant: str = "", list: str = "") -> Optional[SuppressionEntry]:
        """The entry that keeps mail of that `tenant`, with that List-Id, from an `address`."""
        found = self._core.find(
            octets("address", address, "invalid_address"), octets("tenant", tenant), octets("list", list)
        )
        return None if found is None else _entry(found)

    def of(self, *, tenant: str = "", list: str = "") -> Container[str]:
        """Those who get no mail of a `tenant` with a List-Id, for merge(suppressed=...)."""
        octets("tenant", tenant), octets("list", list)
        return _Scoped(self, tenant, list)

    def add(
        self,
        address: str,
        *,
        tenant: str = "",
        list: str = "",
        reason: SuppressionReason = "manual",
        source: str = "",
        until: Optional[datetime] = None,
    ) -> bool:
        """Adds an `address`; an entry of the same tenant and list is replaced. Whether there was none. The others
        (`tenant`, `list`, `reason`, `source`, `until`) are those of SuppressionEntry."""
        return self.add_all([SuppressionEntry(address, tenant, list, reason, source, None, until)]) == 1

    def add_all(self, entries: Iterable[SuppressionEntry]) -> int:
        """Adds all `entries` or, where it raises, none. How many are new."""
        check_several("entries", entries)
        return self._core.add([_parts(e) for e in entries])

    def remove(self, address: str, *, tenant: str = "", list: str = "") -> bool:
        """Takes the entry of an `address` with just that `tenant` and `list` off. Whether there was one."""
        return self._core.remove(
            octets("address", address, "invalid_address"), octets("tenant", tenant), octets("list", list)
        )

    def bounced(self, address: str, *, source: str = "") -> bool:
        """Counts that there is no such mailbox as `address`; `source` says who said it. Whether it is suppressed now. A
        Mailer does this for what servers reply."""
        return self._core.bounced(octets("address", address, "invalid_address"), octets("source", source))

    def read(self, message: MessageLike, *, tenant: str = "", list: str = "") -> int:
        """Reads a report that came back: complaints suppress, for mail of that `tenant` and `list`, and hard bounces
        count. How many recipients are suppressed now; 0 for what is no report. Anybody may send one: give a `message`
        only if it came to an address that nobody else knows."""
        return self._core.report(octets_of(message), octets("tenant", tenant), octets("list", list))

    def entries(self, limit: int = 1000) -> List[SuppressionEntry]:
        """The first entries, at most `limit`."""
        found: List[SuppressionEntry] = []
        instance("limit", limit, int)

        def take(parts: Tuple[str, str, str, str, str, int, Optional[int]], _: str) -> bool:
            found.append(_entry(parts))
            return len(found) < limit

        if limit > 0:
            self._core.each(take)
        return found

    def export_csv(self, write: Callable[[str], object]) -> int:
        """Gives all entries to `write` as CSV, such as that of a file opened with newline="". How many there are."""
        check_function("write", write)
        written = 0

        def put(_: object, row: str) -> bool:
            nonlocal written
            write(row)
            written += 1
            return True

        write(_core.suppression_csv_header)
        self._core.each(put)
        return written

    def import_csv(
        self,
        file: IO[bytes],
        *,
        tenant: str = "",
        list: str = "",
        reason: SuppressionReason = "manual",
        source: str = "",
        until: Optional[datetime] = None,
        on_fault: Optional[Callable[[int, str], object]] = None,
    ) -> Imported:
        """Takes a CSV in, see docs/suppression.md. Bad rows are named, by their line, and the rest is taken.

        file: opened in binary mode.
        tenant, list, reason, source, until: where the row does not say it.
        on_fault: called with line and reason for each row that is left out.
        """
        if not hasattr(file, "read"):
            raise TypeError(f"file must be one that is opened, not {type(file).__name__}")
        if on_fault is not None:
            check_function("on_fault", on_fault)
        defaults = _parts(SuppressionEntry("", tenant, list, reason, source, None, until))
        first: List[Tuple[int, str]] = []

        def fault(line: int, why: str) -> None:
            if len(first) < _MOST_FAULTS:
                first.append((line, why))
            if on_fault is not None:
                on_fault(line, why)

        def piece() -> bytes:
            read = file.read(_PIECE)
            if not isinstance(read, bytes):
                raise TypeError('file must be opened in binary mode: open(path, "rb")')
            return read

        added, known, faults = self._core.import_csv(piece, defaults, fault)
        return Imported(added, known, faults, tuple(first))


class _Scoped:
    def __init__(self, of: SuppressionList, tenant: str, list: str) -> None:
        self._of, self._tenant, self._list = of, tenant, list

    def __contains__(self, address: object) -> bool:
        try:
            return self._of.find(str(address), tenant=self._tenant, list=self._list) is not None
        except InvalidInput as e:
            if e.code != "invalid_address":  # the key of a row may be none
                raise
            return False


def core_of(suppression: object) -> object:
    """What the mailer asks: the file, or an object that has `in`."""
    if suppression is None:
        return None
    if isinstance(suppression, (str, os.PathLike)):
        suppression = SuppressionList(suppression)
    if isinstance(suppression, SuppressionList):
        return suppression._core
    if not hasattr(suppression, "__contains__"):
        raise TypeError(f"suppression must be a path or have `in`, not {type(suppression).__name__}")
    return suppression
