"""Threads of the package, which are threads of the system also where gevent or eventlet replaced those of Python."""

from __future__ import annotations

import importlib
import sys
import threading
from _queue import SimpleQueue  # that of `queue` is replaced, too
from typing import Any, Callable, List, Optional, TypeVar

_T = TypeVar("_T")


def _loop() -> Optional[str]:
    """The library that makes threads of Python take turns in one thread of the system, if there is one."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None


def waiting(f: Callable[..., _T], *args: Any) -> _T:
    """Calls `f`, which waits without the GIL. Others of the same thread of the system go on, where there are any."""
    loop = _loop()
    if loop == "gevent":
        result: _T = sys.modules["gevent"].get_hub().threadpool.apply(f, args)
    elif loop == "eventlet":
        result = importlib.import_module("eventlet.tpool").execute(f, *args)
    else:
        result = f(*args)
    return result


class Worker:
    """Runs `f(*args)` in a thread of its own, which does not keep Python from exiting."""

    def __init__(self, name: str, f: Callable[..., object], *args: Any) -> None:
        self._ended: SimpleQueue[None] = SimpleQueue()
        self._ids: List[int] = []
        loop = _loop()
        if loop == "gevent":
            start = sys.modules["gevent.monkey"].get_original("_thread", "start_new_thread")
            start(_run, (self._ids, self._ended, f, *args))
        elif loop == "eventlet":
            start = sys.modules["eventlet.patcher"].original("_thread").start_new_thread
            start(_run, (self._ids, self._ended, f, *args))
        else:
            arguments = (self._ids, self._ended, f, *args)
            threading.Thread(target=_run, args=arguments, name=name, daemon=True).start()

    def runs_this(self) -> bool:
        """Whether it is the thread of who asks."""
        return threading.get_ident() in self._ids

    def join(self, timeout: float) -> None:
        """Waits for its end, but not in it."""
        if not self.runs_this():
            waiting(_await_end, self._ended, timeout)


def _run(ids: List[int], ended: SimpleQueue[None], f: Callable[..., object], *args: Any) -> None:
    ids.append(threading.get_ident())
    try:
        f(*args)
    finally:
        ended.put(None)


def _await_end(ended: SimpleQueue[None], timeout: float) -> None:
    from _queue import Empty

    try:
        ended.get(timeout=timeout)
        ended.put(None)
    except Empty:
        pass
