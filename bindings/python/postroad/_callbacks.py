"""Functions of users that are told something. They run in threads of the package's own, so that none of them can stall
or break the engine."""

from __future__ import annotations

import logging
import threading
from _queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Callable, Optional

from ._threads import Worker

if TYPE_CHECKING:
    _Calls = SimpleQueue[Optional[tuple[Callable[..., object], tuple[Any, ...]]]]

_log = logging.getLogger("postroad")


def call(f: Callable[..., object], *args: Any) -> None:
    """Calls `f`; what it raises is logged, SystemExit, too: the thread has others to call, and no other end."""
    try:
        f(*args)
    except BaseException:
        _log.exception("a function that was given to postroad raised an exception")


class Caller:
    """Calls functions one after the other, in a thread that begins with the first of them."""

    def __init__(self) -> None:
        self._calls: _Calls = SimpleQueue()
        self._lock = threading.Lock()
        self._worker: Optional[Worker] = None
        self._ended = False

    def begin(self) -> None:
        """For who calls call() later, when Python may start no thread any more."""
        with self._lock:
            if self._worker is None and not self._ended:
                self._worker = Worker("postroad callbacks", _call_all, self._calls)

    def call(self, f: Callable[..., object], *args: Any) -> None:
        """Behind the calls that are due; after end() in a thread of its own."""
        with self._lock:
            ended = self._ended
            if not ended:
                self._calls.put((f, args))
        if ended:
            Worker("postroad callback", call, f, *args)

    def end(self) -> None:
        """Ends the thread once it has made the calls that are due."""
        with self._lock:
            self._ended = True
            self._calls.put(None)

    def join(self, timeout: float) -> None:
        if self._worker is not None:
            self._worker.join(timeout)


def _call_all(calls: _Calls) -> None:
    while (due := calls.get()) is not None:
        call(due[0], *due[1])
        del due
