"""Messages of a queue in a file, copied into a folder."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Mapping, Optional, Tuple

from . import _core
from ._errors import Error, InvalidInput
from ._threads import waiting

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

try:
    import ctypes

    _syncfs: Any = ctypes.CDLL(None, use_errno=True).syncfs
except (ImportError, OSError, TypeError, AttributeError):  # not Linux
    _syncfs = None

_PAGE = 1000
_BEFORE_ALL = -(1 << 63)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_RECIPIENT = ("address", "status", "code", "enhanced", "text", "phase", "notify", "original_recipient")


def _refusal(folder: Path, why: str) -> InvalidInput:
    return InvalidInput(f"{folder}: {why}", code="cannot_write")


def _last_line(file: IO[bytes]) -> bytes:
    """The last whole line; what stands behind it, of a process that died, is cut off. Empty if there is none."""
    left, found = file.seek(0, os.SEEK_END), b""
    while left > 0 and found.count(b"\n") < 2:
        step = min(left, 1 << 16)
        left = file.seek(left - step)
        found = file.read(step) + found
    whole = found[: found.rfind(b"\n") + 1]
    file.truncate(left + len(whole))
    file.seek(0, os.SEEK_END)
    return whole.rstrip(b"\n").rpartition(b"\n")[2]


class _Folder:
    """export.json says of what it is, messages.jsonl what is there, N.eml are the messages."""

    def __init__(self, path: Path, of: Mapping[str, Any]) -> None:
        self._path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = path / "export.json"
        # what one that ended at once leaves is no export yet
        if not about.exists() and any(p.name not in ("messages.jsonl", "export.new") for p in path.iterdir()):
            raise _refusal(path, "it is not empty, and holds no export: name another folder")
        lines = os.open(path / "messages.jsonl", os.O_RDWR | os.O_CREAT, 0o600)
        self._lines = open(lines, "r+b")  # noqa: SIM115
        try:
            self._begin(about, of)
        except BaseException:
            self._lines.close()
            raise

    def _begin(self, about: Path, of: Mapping[str, Any]) -> None:
        if fcntl is not None:
            try:
                fcntl.flock(self._lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _refusal(self._path, "another process exports into it") from None
        if not about.exists():
            self._say({**of, "complete": False})
        found = self._said(about)
        if found.pop("complete", None):
            raise _refusal(self._path, "it holds an export that is complete: name another folder")
        if found != of:
            raise _refusal(self._path, "it holds an export of another queue, or of other messages: name another folder")

    def _said(self, about: Path) -> Dict[str, Any]:
        try:
            found: Dict[str, Any] = dict(json.loads(about.read_bytes()))
            return found
        except (ValueError, TypeError):
            raise _refusal(self._path, "its export.json is not one of an export: name another folder") from None

    def _say(self, what: Mapping[str, Any]) -> None:
        new = self._path / "export.new"
        _write(new, [json.dumps(what).encode() + b"\n"])
        _sync(new)
        new.replace(self._path / "export.json")
        _sync(self._path)

    def place(self) -> int:
        """Of the last message that is there."""
        try:
            line = _last_line(self._lines)
            return int(json.loads(line)["place"]) if line else _BEFORE_ALL
        except (ValueError, TypeError, KeyError):
            raise _refusal(self._path, "its messages.jsonl is not as it was written: name another folder") from None

    def add(self, page: List[Dict[str, Any]]) -> None:
        """Once it returns, they are on the disk."""
        _sync_all(self._path, [of["file"] for of in page if of["file"]])
        self._lines.write(b"".join(json.dumps(of).encode() + b"\n" for of in page))
        self._lines.flush()
        os.fsync(self._lines.fileno())

    def complete(self, of: Mapping[str, Any]) -> None:
        self._say({**of, "complete": True})

    def close(self) -> None:
        self._lines.close()


def _write(path: Path, pieces: Any) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.writelines(pieces)


def _sync_all(folder: Path, files: List[str]) -> None:
    """By one call where the system has it: for each file a disk would wait anew."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        if _syncfs is not None and _syncfs(opened) == 0:
            return
    finally:
        os.close(opened)
    for file in files:
        _sync(folder / file)
    _sync(folder)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _time(microseconds: Optional[int]) -> Optional[str]:
    try:
        return None if microseconds is None else (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return None  # never, or of a row that makes no sense


def _members(parts: Dict[str, Any]) -> Dict[str, Any]:
    times = {name: _time(parts[name]) for name in ("queued", "due", "give_up", "failed")}
    recipients = [dict(zip(_RECIPIENT, of)) for of in parts["recipients"]]
    delivery = dict(parts["delivery"])
    if "hold_until" in delivery:
        delivery["hold_until"] = _time(delivery["hold_until"])
    return {"file": None, **parts, **times, "recipients": recipients, "delivery": delivery}


def _copied(core: _core.Queue, folder: Path, parts: Dict[str, Any], content: Optional[_core.StoredContent]) -> Any:
    """The line of a message, once its file is written; None if it is over meanwhile."""
    line = _members(parts)
    if content is None:
        return line
    path = folder / f"{parts['id']}.eml"
    try:
        _write(path, iter(lambda: waiting(content.read), b""))
        line["file"] = path.name
    except Error as e:
        path.unlink()
        if not waiting(core.jobs, {"id": parts["id"]}, 1):
            return None
        line["error"] = str(e)
    return line


def pages_of(
    core: _core.Queue, which: Dict[str, Any], after: int = _BEFORE_ALL
) -> Iterator[Tuple[List[Any], Optional[int]]]:
    following: Optional[int] = after
    while following is not None:
        page, following = waiting(core.page, which, _PAGE, following)
        yield page, following


def copy_into(core: _core.Queue, queue: str, folder: Path, which: Dict[str, Any]) -> int:
    """Copies those that match, and says how many; what an earlier call did not come to is added. Raises Error, OSError
    and InvalidInput."""
    words = {name: os.fsdecode(v) if isinstance(v, bytes) else v for name, v in which.items() if v is not None}
    of, done = {"queue": queue, "which": words}, 0
    try:
        with contextlib.closing(_Folder(folder, of)) as into:
            for page, _ in pages_of(core, which, into.place()):
                page.reverse()
                # one that was read holds a piece of its content
                copied = (_copied(core, folder, *page.pop()) for _ in range(len(page)))
                lines = [line for line in copied if line is not None]
                if lines:
                    into.add(lines)
                done += len(lines)
            into.complete(of)
    except OSError as e:
        if isinstance(e, Error):
            raise
        why = f"{e.strerror}: what is there stays, and the same again goes on"
        raise _refusal(Path(e.filename or folder), why) from e
    return done
