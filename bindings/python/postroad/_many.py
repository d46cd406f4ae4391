"""Many messages at a time."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from email.message import Message
from functools import partial
from typing import (
    TYPE_CHECKING,
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Dict,
    Iterable,
    Iterator,
    Optional,
    Union,
)

from . import _core
from ._body_part import given_message
from ._errors import Error, InvalidInput, Receipt
from ._receipts import receipt_of
from ._threads import waiting

if TYPE_CHECKING:
    from ._core import Given, Operation
    from ._messages import MessageLike

    Start = Callable[[Given, Optional[_core.Completions], int], Operation]


# For so many that end one wakes up, where nothing is left to start.
_TOGETHER = 32


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
    messages: Iterator[MessageLike], limit: int, start: Start, cancel: Callable[[Operation], object]
) -> Iterator[Receipt]:
    ended = _core.Completions()
    under_way: Dict[int, Operation] = {}
    failure: Optional[BaseException] = None
    index = 0
    more = True
    try:
        while more or under_way:
            if more and len(under_way) < limit:
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
                    under_way[index] = start(_given(message), ended, index)
                except Error as e:
                    yield Receipt(error=e, index=index)
                del message
                index += 1
            if more and len(under_way) < limit:
                tag = ended.get(0.0)
            else:
                tag = waiting(ended.get, None, min(len(under_way) // 2, _TOGETHER))
            if tag is not None:
                yield receipt_of(under_way.pop(tag), tag)
        if failure is not None:
            raise failure
    finally:
        for operation in under_way.values():
            cancel(operation)


async def _each(
    messages: Union[Iterable[MessageLike], AsyncIterable[MessageLike]],
) -> AsyncGenerator[MessageLike, None]:
    if isinstance(messages, AsyncIterable):
        async for message in messages:
            yield message
        return
    for message in messages:
        yield message
        await asyncio.sleep(0)  # others have their turn while this one is sent


def _tell(loop: asyncio.AbstractEventLoop, ended: asyncio.Queue[Union[Receipt, int, None]], index: int) -> None:
    # a loop that is closed raises it: nobody waits there
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(ended.put_nowait, index)


async def each_sent_async(
    messages: Union[Iterable[MessageLike], AsyncIterable[MessageLike]],
    limit: int,
    start: Start,
    cancel: Callable[[Operation], object],
) -> AsyncIterator[Receipt]:
    loop = asyncio.get_running_loop()
    ended: asyncio.Queue[Union[Receipt, int, None]] = asyncio.Queue()  # None: `messages` is at its end
    room = asyncio.Semaphore(limit)
    under_way: Dict[int, Operation] = {}
    source = _each(messages)

    async def feed() -> None:
        index = 0
        await room.acquire()
        async for message in source:
            try:
                operation = start(_given(message), None, index)
            except Error as e:
                ended.put_nowait(Receipt(error=e, index=index))
            else:
                under_way[index] = operation
                operation.on_done(partial(_tell, loop, ended, index))
            del message
            index += 1
            await room.acquire()

    feeding = loop.create_task(feed())
    feeding.add_done_callback(lambda _: ended.put_nowait(None))
    fed = False
    try:
        while not fed or under_way or not ended.empty():
            news = await ended.get()
            if news is None:
                fed = True
                continue
            receipt = news if isinstance(news, Receipt) else receipt_of(under_way.pop(news), news)
            room.release()
            yield receipt
        await feeding
    finally:
        for operation in under_way.values():
            cancel(operation)
        if not feeding.done():
            feeding.cancel()
            await asyncio.wait({feeding})
        await source.aclose()


def reported(receipts: Iterator[Receipt]) -> Iterator[Receipt]:
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
