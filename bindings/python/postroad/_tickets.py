"""What submit() returns."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Callable, Generator, List, NoReturn, Optional, Protocol

from ._messages import check_function, seconds
from ._receipts import Receipt, receipt_of
from ._threads import waiting

if TYPE_CHECKING:
    from . import _core
    from ._callbacks import Caller

    class Owner(Protocol):
        """The mailer."""

        _caller: Caller

        def _expect(self, ticket: Ticket) -> None: ...
        def _told(self, ticket: Ticket) -> None: ...


def finished(operation: _core.Operation) -> Receipt:
    receipt = receipt_of(operation)
    if receipt.error is not None:
        raise receipt.error
    return receipt


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    # a loop that is closed raises it: nobody waits there
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_wake, future)


async def told(register: Callable[[Callable[[], object]], None]) -> None:
    """Waits in asyncio until the function that `register` is given is called, on whatever thread."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    register(partial(_tell, loop, future))
    await future


class Ticket:
    """A message that a mailer took, from Mailer.submit(). Any thread may use it. Dropping it drops only the news.
    `await ticket` is wait() in a coroutine of asyncio; cancelling the task does not cancel the message."""

    def __init__(self, mailer: Owner, operation: _core.Operation) -> None:
        self._mailer = mailer
        self._operation = operation
        self._lock = threading.Lock()
        self._callbacks: Optional[List[Callable[[Ticket], object]]] = None

    @property
    def id(self) -> Optional[int]:
        """The number of the message in its queue, for jobs(id=...) and Queue.journal(id=...); None where it has none
        yet, or was refused."""
        return self._operation.id()

    def done(self) -> bool:
        """Whether it is known what became of the message."""
        return self._operation.done()

    def wait(self, timeout: Optional[float] = None) -> Receipt:
        """Waits until it is known what became of the message. Raises as Mailer.send() does, and the builtin
        TimeoutError if it is not known after `timeout` seconds; the message goes on then."""
        if not waiting(self._operation.wait, seconds("timeout", timeout, zero=True)):
            raise TimeoutError("the message is still under way")
        return finished(self._operation)

    def __await__(self) -> Generator[object, None, Receipt]:
        return self._outcome().__await__()

    async def _outcome(self) -> Receipt:
        await told(self._operation.on_done)
        return finished(self._operation)

    def add_done_callback(self, callback: Callable[[Ticket], object]) -> None:
        """Has `callback` called with the ticket once it is known what became of the message; wait() does not wait then.
        It runs in a thread that the mailer keeps for that, one after the other, in which it may also send. What it
        raises is logged. The mailer must live until then."""
        check_function("callback", callback)
        with self._lock:
            first = self._callbacks is None
            if self._callbacks is None:
                self._callbacks = []
            self._callbacks.append(callback)
        if first or self.done():
            self._mailer._expect(self)
            # weakly: else a message that never ends would keep the mailer
            self._operation.on_done(partial(_call_back, weakref.ref(self)))

    def _call_back(self) -> None:
        with self._lock:
            due, self._callbacks = self._callbacks or [], []
        self._mailer._told(self)
        for callback in due:
            self._mailer._caller.call(callback, self)

    def cancel(self) -> None:
        """Ends the message early, as far as it has not left; wait() then raises Cancelled."""
        self._operation.cancel()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Ticket belongs to its Mailer and cannot be pickled or copied")


def _call_back(ticket: weakref.ref[Ticket]) -> None:
    alive = ticket()
    if alive is not None:
        alive._call_back()
