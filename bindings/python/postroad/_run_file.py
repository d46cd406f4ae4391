"""What became of the rows of a merge, in a file that outlives the process."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from dataclasses import dataclass
from typing import Dict, Iterable, Optional, Tuple, Union

from ._errors import Error, InvalidInput
from ._private import make_private


@dataclass(frozen=True)
class Attempts:
    """Whether a row that was begun may be begun again."""

    queue: Optional[bytes] = None
    """The file of the queue that knows what was begun; None: nobody does."""
    known_for: float = 0.0
    """How long, in seconds."""

    def text(self) -> str:
        """Of one that begins now."""
        return "" if self.queue is None else f"{int(time.time())} {os.fsdecode(os.path.realpath(self.queue))}"

    def are_known(self, text: str) -> bool:
        at, _, file = text.partition(" ")
        same = self.queue is not None and file == os.fsdecode(os.path.realpath(self.queue))
        return same and at.isdecimal() and 0 <= time.time() - int(at) < self.known_for


class RunFile:
    """One process has it at a time. Without a path it is in memory, which spills to the disk.

    Raises InvalidInput for a file that cannot be written, is something else or belongs to another template,
    TransientError when another process has it.
    """

    def __init__(
        self, path: Union[str, os.PathLike[str], None], template: str, attempts: Attempts = Attempts()
    ) -> None:
        self._attempts = attempts
        self._name = "" if path is None else os.fspath(path)
        try:
            if path is not None:
                make_private(self._name)
            self._db = sqlite3.connect(self._name, timeout=0, isolation_level=None, check_same_thread=False)
        except (sqlite3.Error, OSError) as e:
            raise self._unwritable(e) from None
        try:
            self._open(template)
        except sqlite3.Error as e:
            self._db.close()
            found = self._error(e)
            raise (self._unwritable(e) if found.code == "storage_failed" else found) from None
        except BaseException:
            self._db.close()
            raise

    def _error(self, e: sqlite3.Error) -> Error:
        if "locked" in str(e):
            text = f"{self._name} is in use by another merge: wait for it"
            return Error(text, code="storage_busy", transient=True)
        if isinstance(e, sqlite3.DatabaseError) and "not a database" in str(e):
            return self._another()
        return Error(f"{self._name}: {e}", code="storage_failed")

    def _unwritable(self, e: Exception) -> InvalidInput:
        why = getattr(e, "strerror", None) or e
        return InvalidInput(f"{self._name}: {why}: name a file that can be written", code="cannot_write")

    def _another(self) -> InvalidInput:
        return InvalidInput(f"{self._name} is no file of a merge: name another", code="invalid_option")

    def _open(self, template: str) -> None:
        db = self._db
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not names <= {"run", "merged"}:
            raise self._another()
        # held until the file is closed, also by the system when the process dies
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        # a row that is begun must be known after power loss, else it goes twice
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN EXCLUSIVE")
        db.execute("CREATE TABLE IF NOT EXISTS run (template TEXT, id TEXT)")
        db.execute(
            "CREATE TABLE IF NOT EXISTS merged (key TEXT PRIMARY KEY, state TEXT NOT NULL, why TEXT) WITHOUT ROWID"
        )
        found = db.execute("SELECT template, id FROM run").fetchone()
        if found is None:
            found = (template, os.urandom(16).hex())
            db.execute("INSERT INTO run VALUES (?, ?)", found)
        if found[0] != template:
            text = f"{self._name} is of the template {found[0]!r}: name another file for {template!r}"
            raise InvalidInput(text, code="contradiction")
        self.id: str = found[1]
        db.execute("CREATE TEMP TABLE seen (key TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID")
        db.execute("COMMIT")

    def state(self, key: str) -> Optional[Tuple[str, str]]:
        """None also for what was begun and may be begun again."""
        state, why = self._stored(key)
        if state == "begun":
            return None if self._attempts.are_known(why) else ("in_doubt", _KILLED)
        return (state, why) if state else None

    def _stored(self, key: str) -> Tuple[str, str]:
        found = self._db.execute("SELECT state, why FROM merged WHERE key = ?", (key,)).fetchone()
        return (found[0], found[1] or "") if found else ("", "")

    def attempt(self, key: str) -> str:
        """What is written of a row that is begun: of one that was, when it was for the first time."""
        state, why = self._stored(key)
        return why if state == "begun" and self._attempts.are_known(why) else self._attempts.text()

    def first_seen(self, key: str, row: int) -> int:
        """In which row of this run the key stood first."""
        self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, row))
        (first,) = self._db.execute("SELECT row FROM seen WHERE key = ?", (key,)).fetchone()
        return int(first)

    def write(self, states: Dict[str, Tuple[str, str]], forgotten: Iterable[str] = ()) -> None:
        """All or nothing, on the disk when it returns."""
        if not states and not forgotten:
            return
        try:
            self._db.execute("BEGIN")
            rows = [(key, state, why) for key, (state, why) in states.items()]
            self._db.executemany("INSERT OR REPLACE INTO merged VALUES (?, ?, ?)", rows)
            self._db.executemany("DELETE FROM merged WHERE key = ?", [(key,) for key in forgotten])
            self._db.execute("COMMIT")
        except sqlite3.Error as e:
            raise self._error(e) from None

    def message_id(self, key: str) -> str:
        """The same for a row in every run, by which a reader can tell a duplicate."""
        return hashlib.sha256(f"{self.id} {key}".encode()).hexdigest()[:32]

    def close(self) -> None:
        self._db.close()

    def __del__(self) -> None:
        # of a merge that was never begun, so that its generator has no end that closes it
        if hasattr(self, "_db"):
            self._db.close()


_KILLED = "an earlier run ended while it was under way"
