"""Caught messages, in memory or in a file (SQLite)."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from .._private import make_private
from ._mail import Mail

Summary = Dict[str, Any]
_LAST = (1 << 63) - 1  # SQLite has no greater id


class Store:
    """Keeps the latest. Used by one thread. path: of a file; None: memory. keep: most messages."""

    def __init__(self, path: Optional[str] = None, keep: int = 10_000) -> None:
        if path is not None:
            make_private(path)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._keep = keep
        self._listeners: List[Callable[[str, Any], None]] = []
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            # the content last, so that a list does not read it
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS caught (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, sender "
                "TEXT NOT NULL, recipients TEXT NOT NULL, summary TEXT NOT NULL, searched TEXT NOT NULL, content BLOB "
                "NOT NULL)"
            )
        except BaseException:
            self._db.close()
            raise

    def listen(self, told: Callable[[str, Any], None]) -> Callable[[], None]:
        """`told` gets "caught" with a summary, "deleted" with ids, "end" in the end. Returns what ends that."""
        self._listeners.append(told)
        return lambda: self._listeners.remove(told)

    def end(self) -> None:
        """Lets who listens go."""
        self._tell("end", None)

    def _tell(self, what: str, about: Any) -> None:
        for told in list(self._listeners):
            told(what, about)

    def add(self, sender: str, recipients: List[str], mail: Mail) -> int:
        at = time.time()
        # what is no UTF-8 comes as lone surrogates
        sender, *recipients = (a.encode("utf-8", "replace").decode() for a in (sender, *recipients))
        searched = "\n".join([sender, *recipients]).casefold() + "\n" + mail.searched()
        row = (at, sender, json.dumps(recipients), json.dumps(mail.summary()), searched, mail.octets)
        number = self._db.execute(
            "INSERT INTO caught (at, sender, recipients, summary, searched, content) VALUES (?, ?, ?, ?, ?, ?)",
            tuple(v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in row),
        ).lastrowid
        self._tell("caught", self.list(before=(number or 0) + 1, limit=1)[1][0])
        self._drop_oldest()
        return number or 0

    def _drop_oldest(self) -> None:
        over = self.count() - self._keep
        if over > 0:
            oldest = self._db.execute("SELECT id FROM caught ORDER BY id LIMIT ?", (over,)).fetchall()
            self.delete([number for (number,) in oldest])

    def count(self) -> int:
        (n,) = self._db.execute("SELECT count(*) FROM caught").fetchone()
        return int(n)

    def list(self, words: str = "", before: Optional[int] = None, limit: int = 100) -> Tuple[int, List[Summary]]:
        """How many there are with all the words, and the latest of them before that id."""
        where = ["1"]
        values: List[Any] = []
        for word in words.casefold().split()[:20]:
            where.append("instr(searched, ?)")
            values.append(word)
        condition = " AND ".join(where)
        (total,) = self._db.execute(f"SELECT count(*) FROM caught WHERE {condition}", values).fetchone()
        rows = self._db.execute(
            f"SELECT id, at, sender, recipients, summary FROM caught WHERE {condition} AND id < ? "
            "ORDER BY id DESC LIMIT ?",
            [*values, _LAST if before is None else max(0, min(before, _LAST)), limit],
        )
        found = [
            {"id": n, "at": at, "sender": sender, "recipients": json.loads(to), **json.loads(summary)}
            for n, at, sender, to, summary in rows
        ]
        return total, found

    def get(self, number: int) -> Optional[Tuple[float, str, List[str], Mail]]:
        query = "SELECT at, sender, recipients, content FROM caught WHERE id = ?"
        row = None if number > _LAST else self._db.execute(query, (number,)).fetchone()
        return None if row is None else (row[0], row[1], json.loads(row[2]), Mail(row[3]))

    def delete(self, numbers: Optional[List[int]] = None) -> int:
        """Those, or all. Returns how many there were."""
        if numbers is None:
            n = self._db.execute("DELETE FROM caught").rowcount
        else:
            known = (i for i in numbers if i <= _LAST)
            n = sum(self._db.execute("DELETE FROM caught WHERE id = ?", (i,)).rowcount for i in known)
        self._tell("deleted", numbers)
        return n

    def close(self) -> None:
        self._db.close()
