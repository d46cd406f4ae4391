"""Letters to many: a template, and a row of variables for each."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Container,
    Dict,
    Generator,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Protocol,
    Tuple,
    Union,
)

from . import _core
from ._delivery import Queued, wishes_of
from ._errors import AlreadyQueued, Error, InvalidInput
from ._literals import InDoubt, words
from ._messages import choice, count, instance
from ._private import write_private
from ._receipts import Receipt, Status, receipt_of
from ._rows import BadRow, as_row, bad_text, mappings
from ._run_file import Attempts, RunFile
from ._threads import waiting
from ._tickets import finished
from .templates import Letter, Template

if TYPE_CHECKING:
    from ._core import Operation
    from ._messages import Mailbox, Mailboxes, MessageLike

_GRACE = 5.0


class Sender(Protocol):
    """Of a postroad.Mailer, whose module imports this one."""

    _lasting: bool
    _file: Optional[bytes]
    _keys_kept: float

    @property
    def inherited(self) -> bool: ...

    def _start(
        self,
        message: MessageLike,
        sender: Optional[Mailbox],
        recipients: Optional[Mailboxes],
        wishes: Dict[str, Any],
        ended: Optional[_core.Completions],
        tag: int,
    ) -> Operation: ...

    def _submit(
        self,
        message: MessageLike,
        sender: Optional[Mailbox],
        recipients: Optional[Mailboxes],
        wishes: Dict[str, Any],
        wait: bool,
    ) -> Operation: ...

    def _bound(self, limit: int) -> int: ...


@dataclass(frozen=True)
class Merged:
    """What became of one row."""

    row: int
    """Which one, from 1."""
    key: str
    state: str
    """"sent"; "refused" for good; "deferred": another run tries it again; "in_doubt": it may have arrived; "queued" in
    the mailer's queue; "bad": the row, or what the template makes of it; "done" by an earlier run; "suppressed";
    "preview" and "written": nothing was sent."""
    why: str = ""
    receipt: Optional[Receipt] = None
    message: Optional[bytes] = None
    """Of a preview."""
    path: Optional[Path] = None
    """Of what was written."""


class _Ready:
    """A letter that may go."""

    def __init__(self, row: int, key: str, letter: Letter) -> None:
        self.row, self.key, self.letter = row, key, letter


def _state_of(receipt: Receipt) -> Tuple[str, str]:
    missed = [r for r in receipt.recipients if r.status is not Status.ACCEPTED]
    reply = next((" ".join(str(p) for p in (r.code, r.enhanced, r.text) if p) for r in missed), "")
    why = reply or next((r.why for r in missed if r.why), "") or (str(receipt.error) if receipt.error else "")
    if receipt.all_accepted:
        return "sent", ""
    if missed and not receipt.accepted and all(r.error == "suppressed" for r in missed):
        return "suppressed", why
    if receipt.in_doubt:
        return "in_doubt", why or "its content left and no reply came"
    if receipt.accepted or receipt.rejected:
        return "refused", why  # to try the others again would make a duplicate
    error = receipt.error
    return ("deferred" if error is None or error.transient or receipt.not_attempted else "refused"), why


class Merge:
    """One run. Rows are taken as there is room; what is begun is on the disk before it may leave."""

    def __init__(
        self,
        mailer: Optional[Sender],
        rows: Iterable[Any],
        template: Template,
        *,
        key: str,
        resume: Union[str, os.PathLike[str], None],
        in_doubt: InDoubt,
        suppressed: Container[str],
        lasting: bool,
        limit: int,
        wishes: Queued,
    ) -> None:
        self._mailer = mailer
        self._rows = enumerate(mappings(rows), 1)
        self._template, self._key = template, key
        queue = mailer._file if mailer is not None and lasting else None
        self._keyed = queue is not None
        # half of the time that the queue knows a key, since a row may wait for room long
        known_for = mailer._keys_kept / 2 if mailer is not None else 0.0
        self._run = RunFile(resume, template.name, Attempts(queue, known_for))
        self._retry = in_doubt == "retry"
        self._suppressed = suppressed
        self._lasting = lasting
        self._limit = limit
        self._wishes = wishes
        self._under_way: Dict[int, Tuple[_Ready, Operation]] = {}
        self._ended = _core.Completions()
        self._more = True
        self._broken: Optional[Exception] = None
        self._states: Dict[str, Tuple[str, str]] = {}
        """What is not on the disk yet."""
        self._without_answer = 0
        self._failure: Optional[Error] = None

    def letters(self) -> Iterator[Union[Merged, _Ready]]:
        for n, given in self._rows:
            key = ""
            try:
                row = as_row(given)
                key = self._key_of(row)
                settled = self._settled(n, key)
                yield settled or _Ready(n, key, self._letter(row, key))
            except (BadRow, Error) as e:
                if isinstance(e, Error) and e.code == "not_installed":
                    raise
                yield Merged(n, key, "bad", str(e))

    def _key_of(self, row: Dict[str, Any]) -> str:
        if self._key not in row:
            known = ", ".join(map(str, row))
            raise BadRow(f"it has no {self._key!r}, which tells rows apart: it has {known or 'nothing'}")
        try:
            key = str("" if row[self._key] is None else row[self._key]).strip()
        except Exception as e:
            raise BadRow(f"its {self._key!r} is no text: {type(e).__name__}: {e}") from e
        if not key:
            raise BadRow(f"its {self._key!r} is empty")
        if bad_text([key]):
            raise BadRow(f"its {self._key!r} is not UTF-8")
        return key

    def _settled(self, row: int, key: str) -> Optional[Merged]:
        """What is known before a letter is made."""
        first = self._run.first_seen(key.lower(), row)
        if first != row:
            return Merged(row, key, "bad", f"it has the same {self._key!r} as row {first}")
        state, why = self._run.state(key.lower()) or ("", "")
        if state == "in_doubt" and not self._retry:
            return Merged(row, key, "in_doubt", why)
        if state in ("sent", "refused", "queued"):
            return Merged(row, key, "done", why)
        return Merged(row, key, "suppressed") if key in self._suppressed else None

    def _letter(self, row: Dict[str, Any], key: str) -> Letter:
        try:
            letter = self._template.render(row, to=key, message_id=self._run.message_id(key.lower()))
        except Error:
            raise
        except Exception as e:  # of whatever makes letters: it stops no other
            raise BadRow(f"{type(e).__name__}: {e}") from e
        if any(address in self._suppressed for address in letter.recipients):
            raise BadRow("one of its recipients is suppressed")
        return letter

    def run(self) -> Generator[Merged, None, None]:
        letters = self.letters()
        try:
            while self._more or self._under_way:
                told: List[Merged] = []
                # by halves, since each time something is begun the disk is waited for
                if self._more and len(self._under_way) <= self._limit // 2:
                    told += self._fill(letters)
                if self._under_way and not told:
                    told += self._outcomes()
                yield from told
                self._give_up()
            if self._broken is not None:
                raise self._broken
        finally:
            try:
                self._abandon()
            finally:  # also when that is interrupted: what was told is known to the next run
                try:
                    self._write()
                finally:
                    self._run.close()

    def _write(self) -> None:
        states, self._states = self._states, {}
        self._run.write(states)

    def _fill(self, letters: Iterator[Union[Merged, _Ready]]) -> List[Merged]:
        told: List[Merged] = []
        begun: List[_Ready] = []
        while len(self._under_way) + len(begun) < self._limit and len(told) < 1000:
            try:
                found = next(letters, None)
            except Exception as e:  # of the rows themselves; what is under way has its outcome first
                self._broken = e
                found = None
            if found is None:
                self._more = False
                break
            told.append(found) if isinstance(found, Merged) else begun.append(found)
        if begun:
            self._states.update({r.key.lower(): ("begun", self._run.attempt(r.key.lower())) for r in begun})
            self._write()
            told += self._start(begun)
            if self._lasting:
                self._write()
        return told

    def _start(self, begun: List[_Ready]) -> List[Merged]:
        told = []
        for ready in begun:
            try:
                state = self._submit(ready) if self._lasting else self._begin(ready)
            except Error as e:
                state = "bad" if isinstance(e, InvalidInput) else "deferred"
                told.append(Merged(ready.row, ready.key, state, str(e)))
                self._states[ready.key.lower()] = ("deferred", str(e))
                if state == "deferred":  # a mailer that is closed, or whose queue cannot be written
                    self._without_answer, self._failure = self._without_answer + 1, e
                continue
            if state:
                self._without_answer = 0
                self._states[ready.key.lower()] = (state, "")
                told.append(Merged(ready.row, ready.key, state))
        return told

    def _wishes_of(self, letter: Letter, **more: Any) -> Dict[str, Any]:
        tag = letter.tag or self._wishes.get("tag", "")
        return wishes_of(None, {**self._wishes, "tag": tag, **more})  # type: ignore[typeddict-item]

    def _begin(self, ready: _Ready) -> str:
        assert self._mailer is not None
        wishes = self._wishes_of(ready.letter)
        letter = ready.letter
        operation = self._mailer._start(letter.message, None, list(letter.recipients), wishes, self._ended, ready.row)
        self._under_way[ready.row] = (ready, operation)
        return ""

    def _submit(self, ready: _Ready) -> str:
        """A queue in a file knows the key, so that a row that was begun is submitted again without harm."""
        assert self._mailer is not None
        key = {"idempotency_key": f"{self._run.id} {ready.key.lower()}"} if self._keyed else {}
        wishes = self._wishes_of(ready.letter, **key)
        recipients = list(ready.letter.recipients)
        try:
            operation = waiting(self._mailer._submit, ready.letter.message, None, recipients, wishes, True)
            if operation.refused():
                finished(operation)
        except AlreadyQueued:
            pass
        return "queued"

    def _outcomes(self) -> List[Merged]:
        """At least one; all that are there. They are on the disk before the next letters go."""
        told = []
        tag = waiting(self._ended.get, None)
        while tag is not None:
            ready, operation = self._under_way.pop(tag)
            receipt = receipt_of(operation, tag)
            state, why = _state_of(receipt)
            self._states[ready.key.lower()] = (state, why)
            told.append(Merged(ready.row, ready.key, state, why, receipt))
            answered = receipt.error is None or any(r.code for r in receipt.recipients)
            self._without_answer = 0 if answered else self._without_answer + 1
            self._failure = receipt.error
            tag = self._ended.get(0.0)
        return told

    def _give_up(self) -> None:
        """The rest would fare no better; another run goes on."""
        if self._without_answer > 2 * self._limit and self._failure is not None:
            raise self._failure

    def _abandon(self) -> None:
        """Who leaves early is told nothing more, but the file is."""
        if self._mailer is None or self._mailer.inherited or not self._under_way:
            return
        for _, operation in self._under_way.values():
            operation.cancel()
        end = time.monotonic() + _GRACE
        while self._under_way and (left := end - time.monotonic()) > 0:
            tag = self._ended.get(left)
            if tag is not None:
                ready, operation = self._under_way.pop(tag)
                self._states[ready.key.lower()] = _state_of(receipt_of(operation))


def _file_name(row: int, key: str) -> str:
    return f"{row:06d}-{re.sub(r'[^A-Za-z0-9.@_+-]', '_', key)[:100]}.eml"


def unsent(merge: Merge, preview: Optional[int], folder: Optional[Path]) -> Generator[Merged, None, None]:
    """The same without sending: the first ones to look at, or all of them as files."""
    shown = 0
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        for found in merge.letters():
            if isinstance(found, Merged):
                yield found
                continue
            octets = bytes(found.letter.message)
            shown += 1
            if folder is None:
                yield Merged(found.row, found.key, "preview", message=octets)
            else:
                path = folder / _file_name(found.row, found.key)
                write_private(path, octets)
                yield Merged(found.row, found.key, "written", path=path)
            if shown == preview:
                return
    finally:
        merge._run.close()


def _check_rows(rows: object) -> None:
    if isinstance(rows, (str, bytes, os.PathLike, Mapping)) or not isinstance(rows, Iterable):
        raise TypeError(f"rows must be an iterable of mappings, not {type(rows).__name__}")


def start(
    mailer: Optional[Sender],
    rows: Iterable[Any],
    template: Union[str, os.PathLike[str], Template],
    key: str,
    resume: Union[str, os.PathLike[str], None],
    preview: Optional[int],
    dry_run: Union[str, os.PathLike[str], None],
    in_doubt: InDoubt,
    suppressed: Container[str],
    limit: int,
    options: Queued,
) -> Generator[Merged, None, None]:
    """As Mailer.merge(), which documents it; without a mailer only for what sends nothing."""
    if "idempotency_key" in options:
        raise TypeError("unexpected keyword argument 'idempotency_key': the rows have their own")
    choice("in_doubt", in_doubt, words(InDoubt))
    _check_rows(rows)
    instance("key", key, str)
    for what, text in (("key", key), ("resume", resume), ("dry_run", dry_run)):
        if text == "":
            raise InvalidInput(f"{what} is empty", code="invalid_option")
    if isinstance(suppressed, (str, bytes, os.PathLike)) or not hasattr(suppressed, "__contains__"):
        # in a str each part of it would be, and of a path nobody
        raise TypeError("suppressed must be a SuppressionList(...).of(), a set or the like, not a path or a text")
    wishes: Queued = {"traffic_class": 1, **options}
    wishes_of(None, wishes)  # what is wrong with them is wrong with each row
    most = count("limit", limit, 100_000) or 1
    only_look = preview is not None or dry_run is not None
    merge = Merge(
        mailer,
        rows,
        template if isinstance(template, Template) else Template(template),
        key=key,
        resume=None if only_look else resume,
        in_doubt=in_doubt,
        suppressed=suppressed,
        lasting=mailer is not None and mailer._lasting,
        limit=most if mailer is None else mailer._bound(most),
        wishes=wishes,
    )
    if only_look:
        return unsent(merge, count("preview", preview, 1_000_000_000), None if dry_run is None else Path(dry_run))
    return merge.run()
