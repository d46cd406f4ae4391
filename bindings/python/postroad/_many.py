"""Many messages at a time."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import deque
from email.message import Message
from functools import partial
from typing import (
    TYPE_CHECKING,
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Deque,
    Generator,
    Iterable,
    Iterator,
    List,
    Optional,
    Protocol,
    Union,
)

from ._body_part import given_message
from ._errors import Error, InvalidInput, Receipt
from ._threads import waiting

if TYPE_CHECKING:
    from ._core import Given, Operation
    from ._messages import MessageLike


# For so many that end one wakes up, where nothing is left to start.
_TOGETHER = 32
# In asyncio others have their turn after so many seconds of nothing but starting messages.
_TURN = 0.001


class Many(Protocol):
    """What begins to send each of many messages, and has receipts of those that ended."""

    def begin(self, message: Given, index: int) -> Operation: ...
    def start(self, message: Given, index: int) -> List[Receipt]: ...
    def ended(self, timeout: Optional[float], several: int = 1) -> List[Receipt]: ...
    def on_ended(self, callback: Callable[[], object]) -> None: ...
    def cancel(self) -> None: ...


def _given(message: MessageLike) -> Given:
    """What is wrong with one message of many is its own error, whatever it is."""
    try:
        return given_message(message)
    except Error:
        raise
    except Exception as e:
        text = f"the message cannot be written out: {type(e).__name__}: {e}"
        raise InvalidInput(text, code="invalid_message", phase="prepare") from e


def check_many(messages: object) -> None:
    """One message can be iterated, too: over its octets, or the names of its fields."""
    if isinstance(messages, (str, bytes, bytearray, memoryview, Message)):
        raise TypeError(f"messages must be a list or the like, not one {type(messages).__name__}")
    if not isinstance(messages, (Iterable, AsyncIterable)):
        raise TypeError(f"messages must be a list or the like, not {type(messages).__name__}")


def each_sent(
    messages: Iterator[MessageLike], limit: int, many: Many, cancel: Callable[[Many], object]
) -> Generator[Receipt, None, None]:
    ready: Deque[Receipt] = deque()
    failure: Optional[BaseException] = None
    index = 0
    under_way = 0  # those in `ready`, too
    more = True
    try:
        while more or under_way:
            if more and under_way < limit:
                try:
                    message = next(messages)
                except StopIteration:
                    more = False
                    continue
                except Exception as e:
                    failure = e
                    more = False
                    continue
                try:
                    ready.extend(many.start(_given(message), index))
                except Error as e:
                    ready.append(Receipt(error=e, index=index))
                del message
                under_way += 1
                index += 1
            elif not ready:
                ready.extend(waiting(many.ended, None, max(1, min(under_way // 2, _TOGETHER))))
            if ready:
                under_way -= 1
                yield ready.popleft()
        if failure is not None:
            raise failure
    finally:
        cancel(many)


async def _each(
    messages: Union[Iterable[MessageLike], AsyncIterable[MessageLike]],
) -> AsyncGenerator[MessageLike, None]:
    if isinstance(messages, AsyncIterable):
        async for message in messages:
            yield message
        return
    turn = time.monotonic()
    for message in messages:
        yield message
        if time.monotonic() - turn > _TURN:
            await asyncio.sleep(0)
            turn = time.monotonic()


def _tell(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    # a loop that is closed raises it: nobody waits there
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(news.set)


async def each_sent_async(
    messages: Union[Iterable[MessageLike], AsyncIterable[MessageLike]],
    limit: int,
    many: Many,
    cancel: Callable[[Many], object],
) -> AsyncGenerator[Receipt, None]:
    loop = asyncio.get_running_loop()
    ready: Deque[Receipt] = deque()
    news = asyncio.Event()  # of receipts, or that `messages` is at its end
    room = asyncio.Semaphore(limit)
    under_way = 0  # those in `ready`, too
    source = _each(messages)
    many.on_ended(partial(_tell, loop, news))

    async def feed() -> None:
        nonlocal under_way
        index = 0
        await room.acquire()
        async for message in source:
            try:
                ready.extend(many.start(_given(message), index))
            except Error as e:
                ready.append(Receipt(error=e, index=index))
            if ready:
                news.set()
            del message
            under_way += 1
            index += 1
            await room.acquire()

    feeding = loop.create_task(feed())
    feeding.add_done_callback(lambda _: news.set())
    try:
        while under_way or not feeding.done():
            if not ready:
                news.clear()
                ready.extend(many.ended(0.0))
            if not ready:
                await news.wait()
                continue
            under_way -= 1
            room.release()
            yield ready.popleft()
        await feeding
    finally:
        cancel(many)
        if not feeding.done():
            feeding.cancel()
            await asyncio.wait({feeding})
        await source.aclose()


def reported(receipts: Iterator[Receipt]) -> Generator[Receipt, None, None]:
    """The same, with a line on standard error that tells how far it is."""
    done = missed = 0
    start = shown = time.monotonic()

    def show(end: str = "") -> None:
        rate = done / max(time.monotonic() - start, 1e-9)
        # nobody may be there to read it; the messages go on
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"\r{done} done, {missed} not accepted, {rate:.0f}/s{end}")
            sys.stderr.flush()

    try:
        for receipt in receipts:
            done += 1
            missed += not receipt.all_accepted
            if time.monotonic() - shown > 0.1:
                shown = time.monotonic()
                show()
            yield receipt
    finally:
        show("\n")
