"""The mailer."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import sys
import time
import weakref
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    NoReturn,
    Optional,
    Tuple,
    Type,
    Union,
)

from . import _core
from ._credentials import start_asking
from ._delivery import Delivery, Queued, wishes_of
from ._errors import Error, InvalidInput
from ._jobs import Operations, selection_of
from ._message import given_message
from ._messages import (
    choice,
    count,
    file_octets,
    names_a_broker,
    octets,
    optional_octets,
    recipient_octets,
    seconds,
    sender_octets,
)
from ._receipts import Receipt, receipt_of

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Unpack

    from ._core import Mailer as CoreMailer
    from ._core import Operation
    from ._credentials import CredentialsSource, Questions
    from ._messages import MessageLike

_MOST = 1_000_000_000

_open: weakref.WeakSet[Mailer] = weakref.WeakSet()
_exiting = False


def _close_all() -> None:
    global _exiting
    _exiting = True
    for mailer in list(_open):
        if mailer._process == os.getpid():
            mailer.close()


# While Python still runs: later the mailers' threads could not call back into it.
atexit.register(_close_all)


def _finished(operation: _core.Operation) -> Receipt:
    receipt = receipt_of(operation)
    if receipt.error is not None:
        raise receipt.error
    return receipt


def _end(questions: Optional[Questions]) -> None:
    if questions is not None:
        questions.put(None)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    # a loop that is closed raises it: nobody waits there
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_wake, future)


class Ticket:
    """A message that a mailer took, from Mailer.submit(). Any thread may use it. Dropping it drops only the news."""

    def __init__(self, mailer: Mailer, operation: _core.Operation) -> None:
        self._mailer = mailer
        self._operation = operation

    def done(self) -> bool:
        """Whether it is known what became of the message."""
        return self._operation.done()

    def wait(self, timeout: Optional[float] = None) -> Receipt:
        """Waits until it is known what became of the message. Raises as Mailer.send() does, and the builtin
        TimeoutError if it is not known after `timeout` seconds; the message goes on then."""
        if not self._operation.wait(seconds("timeout", timeout, zero=True)):
            raise TimeoutError("the message is still under way")
        return _finished(self._operation)

    def cancel(self) -> None:
        """Ends the message early, as far as it has not left; wait() then raises Cancelled."""
        self._operation.cancel()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Ticket belongs to its Mailer and cannot be pickled or copied")


class Mailer(Operations):
    """Sends mail through an SMTP server, over connections that it keeps. Any thread may use it, at any time.

    `url` is smtp:// (STARTTLS, required), smtps:// (TLS from the start), smtp+insecure:// (no TLS), or lmtp:// and
    others, with user:password@ and options as the C++ library takes them. What the arguments repeat is refused.
    Durations are in seconds. Raises InvalidInput for what is wrong in any of it.

    `credentials` is a function that is called, in a thread of its own, whenever a connection has to authenticate. It
    takes a CredentialsRequest and returns a token, which goes with `user`, or a tuple of user and password.
    """

    _core: CoreMailer

    def __init__(
        self,
        url: str,
        *,
        user: Optional[str] = None,
        password: Optional[str] = None,
        token: Optional[str] = None,
        credentials: Optional[CredentialsSource] = None,
        ca_file: Union[str, os.PathLike[str], None] = None,
        client_name: Optional[str] = None,
        pipelining: Optional[str] = None,
        window: Optional[int] = None,
        recipients_per_transaction: Optional[int] = None,
        connections: Optional[int] = None,
        idle: Optional[float] = None,
        messages_per_connection: Optional[int] = None,
        queue: Union[str, os.PathLike[str], None] = None,
        queue_name: Optional[str] = None,
        queue_shards: Optional[int] = None,
        queue_ca_file: Union[str, os.PathLike[str], None] = None,
        capacity: Optional[int] = None,
        when_full: str = "refuse",
        submit_only: bool = False,
        keys_kept: Optional[float] = None,
        in_doubt: str = "park",
        attempts: Optional[int] = None,
        first_wait: Optional[float] = None,
        pace: Optional[float] = None,
        tenant_pace: Optional[float] = None,
        connect_timeout: float = 30.0,
        reply_timeout: Optional[float] = None,
        close_timeout: float = 30.0,
    ) -> None:
        if _exiting:
            raise RuntimeError("Python is exiting: a Mailer cannot be made any more")
        self._process = os.getpid()
        self._close_timeout = seconds("close_timeout", close_timeout, zero=True) or 0.0
        self._capacity = count("capacity", capacity, _MOST) or 100_000
        if not isinstance(submit_only, bool):
            raise TypeError("submit_only must be a bool")
        if queue is None and (submit_only or keys_kept is not None):
            raise InvalidInput("submit_only and keys_kept are of use with queue only", code="contradiction")
        at_a_broker = names_a_broker(queue)
        if at_a_broker and keys_kept is not None:
            raise InvalidInput("keys_kept is of use with a queue in a file only", code="contradiction")
        if not at_a_broker and (queue_name, queue_shards, queue_ca_file) != (None, None, None):
            raise InvalidInput(
                "queue_name, queue_shards and queue_ca_file are of use with a queue at a broker only, amqp://...",
                code="contradiction",
            )
        questions = None if credentials is None else start_asking(credentials)
        # the thread ends with the mailer, however that ends
        self._end_asking = weakref.finalize(self, _end, questions)
        self._end_asking.atexit = False
        self._core = _core.Mailer(
            {
                "url": octets("url", url, "invalid_url"),
                "user": optional_octets("user", user),
                "password": optional_octets("password", password),
                "token": optional_octets("token", token),
                "credentials": None if questions is None else questions.put,
                "ca_file": file_octets("ca_file", ca_file),
                "client_name": optional_octets("client_name", client_name),
                "pipelining": choice("pipelining", pipelining, ["lockstep", "envelope", "across", "window"]),
                "window": count("window", window, 1000),
                "recipients_per_transaction": count("recipients_per_transaction", recipients_per_transaction, 100_000),
                "connections": count("connections", connections, 10_000),
                "idle": seconds("idle", idle),
                "messages_per_connection": count("messages_per_connection", messages_per_connection, _MOST),
                "queue": octets("queue", str(queue), "invalid_url") if at_a_broker else file_octets("queue", queue),
                "at_a_broker": at_a_broker,
                "queue_name": optional_octets("queue_name", queue_name),
                "queue_shards": count("queue_shards", queue_shards, 256),
                "queue_ca_file": file_octets("queue_ca_file", queue_ca_file),
                "capacity": self._capacity if queue is None else count("capacity", capacity, _MOST),
                "submit_only": submit_only,
                "keys_kept": seconds("keys_kept", keys_kept),
                "in_doubt": choice("in_doubt", in_doubt, ["park", "retry"]),
                "wait_when_full": choice("when_full", when_full, ["refuse", "wait"]) == "wait",
                "attempts": count("attempts", attempts, 1000),
                "first_wait": seconds("first_wait", first_wait, zero=True),
                "pace": seconds("pace", pace),
                "tenant_pace": seconds("tenant_pace", tenant_pace),
                "connect_timeout": seconds("connect_timeout", connect_timeout),
                "reply_timeout": seconds("reply_timeout", reply_timeout),
            }
        )
        _open.add(self)

    def send(
        self,
        message: MessageLike,
        *,
        sender: Optional[str] = None,
        recipients: Union[str, Iterable[str], None] = None,
        delivery: Optional[Delivery] = None,
        **options: Unpack[Queued],
    ) -> Receipt:
        """Sends `message` and waits for its receipt. What a server refused is in the receipt; an exception, a subclass
        of Error, means that no server answered: bad input, no connection, TLS, authentication, time-out, a full queue.
        A message is a Message, an email.message.EmailMessage, the octets of an .eml, or the path of one (pathlib.Path).

        The envelope comes from `sender` and `recipients`, and what is not given from the header: the reverse path from
        Sender or From, the recipients from To, Cc and Bcc (from the Resent- fields if there are any). `sender=""` is
        the null reverse path. Bcc never travels. `delivery` is what is asked of the server beside.

        `options` are those of Queued: it is not sent before `delay` has passed; after `give_up_after`, counted from
        now, TimedOut is raised, whatever is under way, and the message is ended as far as it has not left; and so on.
        KeyboardInterrupt ends the wait and cancels the message.
        """
        operation = self._start(message, sender, recipients, wishes_of(delivery, options))
        try:
            operation.wait(None)
        except BaseException:
            operation.cancel()
            raise
        return _finished(operation)

    async def asend(
        self,
        message: MessageLike,
        *,
        sender: Optional[str] = None,
        recipients: Union[str, Iterable[str], None] = None,
        delivery: Optional[Delivery] = None,
        **options: Unpack[Queued],
    ) -> Receipt:
        """As send(), in a coroutine of asyncio. Cancelling the task cancels the message, as far as it has not left."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        operation = self._start(message, sender, recipients, wishes_of(delivery, options))
        operation.on_done(partial(_tell, loop, future))
        try:
            await future
        except BaseException:
            operation.cancel()
            raise
        return _finished(operation)

    def submit(
        self,
        message: MessageLike,
        *,
        sender: Optional[str] = None,
        recipients: Union[str, Iterable[str], None] = None,
        delivery: Optional[Delivery] = None,
        **options: Unpack[Queued],
    ) -> Ticket:
        """Takes `message` into the queue and returns, with `queue` once it is on the disk; the arguments are those of
        send(). Raises InvalidInput, AlreadyQueued, and QueueFull, or with when_full="wait" waits for room."""
        given = given_message(message)
        wishes = wishes_of(delivery, options)
        operation = self._core.submit(given, sender_octets(sender), recipient_octets(recipients), wishes)
        if operation.refused():
            _finished(operation)
        return Ticket(self, operation)

    def send_many(
        self,
        messages: Iterable[MessageLike],
        *,
        limit: int = 1000,
        progress: bool = False,
        sender: Optional[str] = None,
        recipients: Union[str, Iterable[str], None] = None,
        delivery: Optional[Delivery] = None,
        **options: Unpack[Queued],
    ) -> Iterator[Receipt]:
        """Sends `messages`, at most `limit` of them at a time, and yields receipts as they come, with `index` and,
        for a message that could not be sent, with `error`. `messages` is consumed as there is room, in this thread.
        With `progress` a line on standard error tells how far it is. The others are the arguments of send(), for each
        message.

        Nothing is sent before the first receipt is asked for. Ending the iteration early cancels what is under way. An
        exception that `messages` raises comes after the receipts of the messages before it.
        """
        bound = min(count("limit", limit, _MOST) or 1, self._capacity)
        envelope = sender_octets(sender), recipient_octets(recipients)
        receipts = self._many(iter(messages), bound, envelope, wishes_of(delivery, options))
        return _reported(receipts) if progress else receipts

    def _many(
        self,
        messages: Iterator[MessageLike],
        limit: int,
        envelope: Tuple[Optional[bytes], Optional[List[bytes]]],
        wishes: Dict[str, Any],
    ) -> Iterator[Receipt]:
        ended = _core.Completions()
        under_way: Dict[int, Operation] = {}
        failure: Optional[BaseException] = None
        index = 0
        more = True
        try:
            while more or under_way:
                if more and len(under_way) < limit:
                    refusal = None
                    try:
                        given = given_message(next(messages))
                        under_way[index] = self._core.start(given, *envelope, wishes, ended, index)
                    except Error as e:
                        refusal = Receipt(error=e, index=index)
                    except StopIteration:
                        more = False
                        continue
                    except Exception as e:
                        failure = e
                        more = False
                        continue
                    if refusal is not None:
                        yield refusal
                    index += 1
                tag = ended.get(0.0 if more and len(under_way) < limit else None)
                if tag is not None:
                    yield receipt_of(under_way.pop(tag), tag)
            if failure is not None:
                raise failure
        finally:
            for operation in under_way.values():
                operation.cancel()

    def pause(self, *, tenant: Optional[str] = None, tag: Optional[str] = None) -> None:
        """Sends nothing of one tenant or tag until resume(), not of what comes later either."""
        self._core.pause(*selection_of(tenant, tag))

    def resume(self, *, tenant: Optional[str] = None, tag: Optional[str] = None) -> None:
        """Ends pause() of the same."""
        self._core.resume(*selection_of(tenant, tag))

    def close(self, timeout: Optional[float] = None) -> None:
        """Takes no more messages, waits up to `timeout` seconds (by default the mailer's close_timeout) for those it
        holds, cancels the rest and ends the connections. Interpreter exit closes every mailer that is still open."""
        patience = seconds("timeout", timeout, zero=True)
        try:
            self._core.close(self._close_timeout if patience is None else patience)
        except BaseException:
            self._core.abort()
            raise
        finally:
            self._end_asking()
            _open.discard(self)

    async def aclose(self, timeout: Optional[float] = None) -> None:
        """As close(), without blocking the loop of asyncio."""
        await asyncio.get_running_loop().run_in_executor(None, self.close, timeout)

    def __enter__(self) -> Mailer:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close(None if value is None or isinstance(value, Exception) else 0.0)

    async def __aenter__(self) -> Mailer:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.aclose(None if value is None or isinstance(value, Exception) else 0.0)

    def __repr__(self) -> str:
        return f"<postroad.Mailer {self._core.host}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Mailer holds connections and credentials and cannot be pickled or copied")

    def _start(
        self,
        message: MessageLike,
        sender: Optional[str],
        recipients: Union[str, Iterable[str], None],
        wishes: Dict[str, Any],
    ) -> Operation:
        given = given_message(message)
        return self._core.start(given, sender_octets(sender), recipient_octets(recipients), wishes)


def _reported(receipts: Iterator[Receipt]) -> Iterator[Receipt]:
    done = missed = 0
    start = shown = time.monotonic()

    def show() -> None:
        rate = done / max(time.monotonic() - start, 1e-9)
        sys.stderr.write(f"\r{done} done, {missed} not accepted, {rate:.0f}/s")
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
        show()
        sys.stderr.write("\n")
