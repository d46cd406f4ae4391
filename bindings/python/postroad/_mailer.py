"""The mailer."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import time
import warnings
import weakref
from collections import deque
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Container,
    Deque,
    Dict,
    Generator,
    Iterable,
    Mapping,
    NoReturn,
    Optional,
    Set,
    Type,
    Union,
)

from . import _core
from ._arguments import CAPACITY, MOST, check_arguments, check_without_server, core_arguments
from ._body_part import given_message
from ._callbacks import Caller
from ._credentials import Asking
from ._delivery import Delivery, Queued, wishes_of
from ._errors import Error
from ._events import Watching
from ._jobs import Operations, selection_of
from ._literals import InDoubt, KeptContent, OnFailure, Pipelining, WhenFull
from ._many import check_many, each_sent, each_sent_async, reported
from ._message import Dkim
from ._messages import (
    check_flags,
    count,
    lasting,
    recipient_octets,
    seconds,
    sender_octets,
)
from ._outbox import Outbox, captures, local_of
from ._receipts import MAKER, Receipt
from ._secrets import keeps_secrets
from ._services import url_of
from ._stats import Stats, stats_of
from ._threads import waiting
from ._tickets import Ticket, finished, told
from ._tls_results import TlsResults

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Unpack

    from ._core import Completions, Operation
    from ._core import Mailer as CoreMailer
    from ._credentials import CredentialsSource, Questions
    from ._events import EventFunction
    from ._many import Many
    from ._merge import Merged
    from ._messages import Mailbox, Mailboxes, MessageLike
    from .templates import Template

_CLOSE_TIMEOUT = 30.0
_KEYS_KEPT = 86400.0
# For replies to what is under way, at the end.
_GRACE = 5.0

_open: weakref.WeakSet[Mailer] = weakref.WeakSet()
# of the finalizer of multiprocessing that closes them
MAILERS_END = 100
_exiting = False
_child = 0


def _close_all() -> None:
    global _exiting
    _exiting = True
    raised: Optional[BaseException] = None
    for mailer in list(_open):
        if mailer.inherited:
            continue
        try:
            # none stays open, whose threads would call back into a Python that has ended
            mailer.close(0, grace=0) if _is_interruption(raised) else mailer.close()
        except BaseException as e:
            # that the file of one is gone takes no time from the others
            if raised is None or _is_interruption(e):
                raised = e
    if raised is not None:
        raise raised


# While Python still runs: later the mailers' threads could not call back into it.
atexit.register(_close_all)


def _is_interruption(raised: Optional[BaseException]) -> bool:
    """Whether somebody wants an end, rather than that something failed."""
    return raised is not None and not isinstance(raised, Exception)


def _end_threads(questions: Optional[Questions], caller: Caller) -> None:
    if questions is not None:
        questions.put(None)
    caller.end()


def _close_at_exit() -> None:
    """Has multiprocessing close the mailers of a process that it made: before Python 3.13 atexit does not run there."""
    global _child
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None or _child == os.getpid():
        return
    from multiprocessing.util import Finalize

    _child = os.getpid()
    Finalize(None, _close_all, exitpriority=MAILERS_END)


class Mailer(Operations):
    """Sends mail through an SMTP server, over connections that it keeps. Any thread may use it, at any time.

    Keep it as long as it has something to send, or close() it: a Mailer that is dropped cancels what it holds in
    memory, with a ResourceWarning where that came from submit().

    Durations are in seconds. None means that an argument is not given. What the URL and an argument both say is
    refused. Raises InvalidInput for what is wrong in any of it; no traceback holds the arguments.

    url: smtp:// (STARTTLS, required), smtps:// (TLS from the start), smtp+insecure:// (no TLS), or lmtp:// and others,
        with user:password@ and options, see docs/python.md; the name of one of `services`, such as "gmail"; mx://
        and the name of this host, for the servers of each recipient's domain, see docs/direct.md; or no server:
        maildir:///path, discard://, which accepts everything, memory://, which keeps it in `outbox`.
    user, password: of the account, instead of those in the URL, which may also hold the user alone.
    token: OAuth 2.0 bearer token, with `user`.
    credentials: a function that is called, in a thread of its own, whenever a connection has to authenticate. It takes
        a CredentialsRequest and returns a token, which goes with `user`, or a tuple of user and password.
    auth: the mechanism that may be used, or several by preference, such as "PLAIN" or ["SCRAM-SHA-256", "LOGIN"].
    insecure_authentication: True lets credentials go out without TLS, where everybody on the way can read them: for
        test servers.
    ca_file: PEM file of the CAs to trust instead of the system's.
    key_passphrase: of the encrypted key of the client's certificate that the URL names.
    server_name: what the certificate must name, instead of the host: for a tunnel or an address.
    sign: a Dkim, or several, which sign all that is sent.
    client_name: what EHLO says.
    pipelining: "automatic", "lockstep", "envelope", "across" or "window": how much is sent before a reply comes.
    window: most messages in flight on a connection, with pipelining="window" and "automatic".
    recipients_per_transaction: a message with more recipients is sent in several transactions.
    down_convert: False refuses 8-bit content where the server lacks 8BITMIME, instead of writing it anew,
        which breaks a signature.
    connections: most connections at a time.
    connections_per_destination: most of them to the servers of one domain, with mx://, or to one of several servers.
    idle: a connection without work is closed after this.
    messages_per_connection: then it is closed.
    queue: a file in which messages wait, or the URL of a broker (amqp:// or amqps://); None: the memory.
    queue_name, queue_shards, queue_ca_file: of a queue at a broker: its name, into how many parts it is divided, and
        the CAs to trust.
    capacity: most messages the mailer holds.
    capacity_octets: most octets of their contents, with a queue in memory.
    when_full: "refuse" raises QueueFull, "wait" waits for room.
    submit_only: True only fills the queue, and leaves sending to other processes.
    keys_kept: how long an idempotency_key is known, with a queue in a file.
    kept: how long what failed stays in a queue that lasts; 0: not at all.
    kept_content: what of its content, with a queue in a file.
    journal_kept, journal_capacity: how long journal() knows of what is over, with a queue in a file, 0: nothing is
        written down; and most entries, of which the oldest go first.
    in_doubt: "park" leaves what may have arrived to somebody's decision, "retry" sends it again.
    most_in_doubt: most messages on one connection whose content has left and has no reply, with pipelining="automatic":
        all of them are in doubt when it breaks (1 with a queue that lasts and in_doubt="park", else 16).
    attempts: how often a message that was deferred is tried.
    first_wait: before the second attempt; it doubles from one to the next.
    longest_wait: most between two attempts.
    give_up: no attempt is begun so long after a message came (5 days).
    class_weights: shares of the classes 0, 1, ... of traffic_class, of messages while all have some (16, 1).
    pace, tenant_pace: most messages a second, of all and of each tenant.
    destination_pace: the same of each domain with mx://, or each server.
    connect_timeout: for look-up, connect, TLS that comes first and the greeting, together.
    reply_timeout: how long the server may take for each step.
    on_failure: what becomes of a message that is refused for good or given up: "keep" leaves it in the queue's file as
        "failed", "report" does so and sends its sender a delivery report, "drop" forgets it.
    late_after: a message that waits for another attempt so long after it came is late: an Event, and with
        on_failure="report" a report to its sender (4 hours).
    reporting_mta: the name of this host in reports; without it client_name, or what the system says.
    suppression: those who get no mail: the file of a SuppressionList, one, or anything with `in`.
    close_timeout: how long closing waits for what is under way.
    routes: with mx://, named domains that go elsewhere, the first that fits: {"example.com": "smtp://relay.example.com",
        "*.example.org": "refuse:we do not write there", "example.net": "maildir:///srv/mail"}; "*" stands for all.
    rules: with mx://, a file of what providers bear, of the addresses that mail leaves from and of routes, see
        docs/providers.md; "default" is the one that comes with postroad.
    tls_results: with mx://, who counts how TLS goes with the servers of each domain, for report_tls().
    on_event: a function that is told each Event, in a thread of its own. What it raises is logged, and when it is too
        slow events are lost.
    """

    _core: CoreMailer
    _watching: Watching

    @keeps_secrets
    def __init__(
        self,
        url: str,
        *,
        user: Optional[str] = None,
        password: Optional[str] = None,
        token: Optional[str] = None,
        credentials: Optional[CredentialsSource] = None,
        auth: Union[str, Iterable[str], None] = None,
        insecure_authentication: Optional[bool] = None,
        ca_file: Union[str, os.PathLike[str], None] = None,
        key_passphrase: Optional[str] = None,
        server_name: Optional[str] = None,
        sign: Union[Dkim, Iterable[Dkim], None] = None,
        client_name: Optional[str] = None,
        pipelining: Optional[Pipelining] = None,
        window: Optional[int] = None,
        recipients_per_transaction: Optional[int] = None,
        down_convert: Optional[bool] = None,
        connections: Optional[int] = None,
        connections_per_destination: Optional[int] = None,
        idle: Optional[float] = None,
        messages_per_connection: Optional[int] = None,
        queue: Union[str, os.PathLike[str], None] = None,
        queue_name: Optional[str] = None,
        queue_shards: Optional[int] = None,
        queue_ca_file: Union[str, os.PathLike[str], None] = None,
        capacity: Optional[int] = None,
        capacity_octets: Optional[int] = None,
        when_full: Optional[WhenFull] = "refuse",
        submit_only: Optional[bool] = False,
        keys_kept: Optional[float] = None,
        kept: Optional[float] = None,
        kept_content: Optional[KeptContent] = None,
        journal_kept: Optional[float] = None,
        journal_capacity: Optional[int] = None,
        in_doubt: Optional[InDoubt] = "park",
        most_in_doubt: Optional[int] = None,
        attempts: Optional[int] = None,
        first_wait: Optional[float] = None,
        longest_wait: Optional[float] = None,
        give_up: Optional[float] = None,
        class_weights: Optional[Iterable[int]] = None,
        pace: Optional[float] = None,
        tenant_pace: Optional[float] = None,
        destination_pace: Optional[float] = None,
        connect_timeout: Optional[float] = 30.0,
        reply_timeout: Optional[float] = None,
        close_timeout: Optional[float] = _CLOSE_TIMEOUT,
        on_failure: Optional[OnFailure] = "keep",
        late_after: Optional[float] = None,
        reporting_mta: Optional[str] = None,
        suppression: Union[str, os.PathLike[str], Container[str], None] = None,
        on_event: Optional[EventFunction] = None,
        routes: Optional[Mapping[str, str]] = None,
        rules: Union[str, os.PathLike[str], None] = None,
        tls_results: Optional[TlsResults] = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "url")}
        if _exiting:
            raise RuntimeError("Python is exiting: a Mailer cannot be made any more")
        self._process = os.getpid()
        self._closed = False
        self._lasting = queue is not None
        self._keys_kept = seconds("keys_kept", keys_kept) or _KEYS_KEPT
        patience = seconds("close_timeout", close_timeout, zero=True)
        self._close_timeout = _CLOSE_TIMEOUT if patience is None else patience
        check_arguments(given)
        url = url_of(url)
        local, maildir = local_of(url)
        if local is not None:
            check_without_server(local, given)
        captor = captures() if local is None else None
        if captor is not None:
            local = "memory"
        arguments = core_arguments(url, given, captor is not None)
        self._capacity = arguments["capacity"] or CAPACITY
        in_a_file = arguments["queue"] is not None and not arguments["at_a_broker"]
        # looked into later, whatever the working directory is then
        self._file = lasting(arguments["queue"]) if in_a_file else None
        # of submit(): enough of them to notice that some are under way
        self._latest: Deque[Operation] = deque(maxlen=100)
        self._expected: Set[Ticket] = set()
        self._asking = None if credentials is None else Asking(credentials)
        questions = None if self._asking is None else self._asking.questions
        self._caller = Caller()
        self._tls_results = tls_results
        # the threads end with the mailer, however that ends
        weakref.finalize(self, _end_threads, questions, self._caller).atexit = False
        arguments["credentials"] = None if questions is None else questions.put
        arguments.update(local=local, maildir=maildir)
        self._core = waiting(_core.Mailer, arguments)  # for a broker
        self._outbox = Outbox(self._core) if local == "memory" else None
        if captor is not None and self._outbox is not None:
            captor.add(self._outbox)
        self._watching = Watching(self._core, on_event)
        _open.add(self)
        _close_at_exit()

    def send(
        self,
        message: MessageLike,
        *,
        sender: Optional[Mailbox] = None,
        recipients: Optional[Mailboxes] = None,
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
            waiting(operation.wait, None)
        except BaseException:
            operation.cancel()
            raise
        return finished(operation)

    async def asend(
        self,
        message: MessageLike,
        *,
        sender: Optional[Mailbox] = None,
        recipients: Optional[Mailboxes] = None,
        delivery: Optional[Delivery] = None,
        **options: Unpack[Queued],
    ) -> Receipt:
        """As send(), in a coroutine of asyncio. Cancelling the task cancels the message, as far as it has not left.

        message, sender, recipients, delivery, options: as of send().
        """
        operation = self._start(message, sender, recipients, wishes_of(delivery, options))
        try:
            await told(operation.on_done)
        except BaseException:
            operation.cancel()
            raise
        return finished(operation)

    def submit(
        self,
        message: MessageLike,
        *,
        sender: Optional[Mailbox] = None,
        recipients: Optional[Mailboxes] = None,
        delivery: Optional[Delivery] = None,
        **options: Unpack[Queued],
    ) -> Ticket:
        """Takes `message` into the queue and returns, with `queue` once it is on the disk. Raises InvalidInput,
        AlreadyQueued, and QueueFull, or with when_full="wait" waits for room.

        message, sender, recipients, delivery, options: as of send().
        """
        operation = waiting(self._submit, message, sender, recipients, wishes_of(delivery, options), True)
        if operation.refused():
            finished(operation)
        self._latest.append(operation)
        return Ticket(self, operation)

    async def asubmit(
        self,
        message: MessageLike,
        *,
        sender: Optional[Mailbox] = None,
        recipients: Optional[Mailboxes] = None,
        delivery: Optional[Delivery] = None,
        **options: Unpack[Queued],
    ) -> Ticket:
        """As submit(), in a coroutine of asyncio. Cancelling the task cancels the message.

        message, sender, recipients, delivery, options: as of send().
        """
        operation = self._submit(message, sender, recipients, wishes_of(delivery, options), False)
        try:
            await told(operation.on_queued)
        except BaseException:
            operation.cancel()
            raise
        if operation.refused():
            finished(operation)
        self._latest.append(operation)
        return Ticket(self, operation)

    def send_many(
        self,
        messages: Iterable[MessageLike],
        *,
        limit: int = 1000,
        progress: bool = False,
        sender: Optional[Mailbox] = None,
        recipients: Optional[Mailboxes] = None,
        delivery: Optional[Delivery] = None,
        **options: Unpack[Queued],
    ) -> Generator[Receipt, None, None]:
        """Sends `messages`, at most `limit` of them at a time, and yields receipts as they come, with `index` and,
        for a message that could not be sent or is none, with `error`. `messages` is consumed as there is room, in this
        thread. With `progress` a line on standard error tells how far it is. The others (`sender`, `recipients`,
        `delivery`, `options`) are the arguments of send(), for each message.

        Nothing is sent before the first receipt is asked for. Ending the iteration early cancels what is under way. An
        exception that `messages` raises comes after the receipts of the messages before it.
        """
        check_many(messages)
        check_flags(progress=progress)
        many = self._many(sender, recipients, wishes_of(delivery, options))
        receipts = each_sent(iter(messages), self._bound(limit), many, self._cancel)
        return reported(receipts) if progress else receipts

    def asend_many(
        self,
        messages: Union[Iterable[MessageLike], AsyncIterable[MessageLike]],
        *,
        limit: int = 1000,
        sender: Optional[Mailbox] = None,
        recipients: Optional[Mailboxes] = None,
        delivery: Optional[Delivery] = None,
        **options: Unpack[Queued],
    ) -> AsyncGenerator[Receipt, None]:
        """As send_many(), for `async for` in asyncio. `messages` is an iterable or an asynchronous one, and is consumed
        in the task that asks for receipts, or one of its own. `limit`, `sender`, `recipients`, `delivery`, `options`:
        as of send_many().

        A loop that is left early cancels what is under way once the iterator is closed: at once with
        contextlib.aclosing(), otherwise by asyncio, soon.
        """
        check_many(messages)
        many = self._many(sender, recipients, wishes_of(delivery, options))
        return each_sent_async(messages, self._bound(limit), many, self._cancel)

    def merge(
        self,
        rows: Iterable[Any],
        template: Union[str, os.PathLike[str], Template],
        *,
        key: str = "email",
        resume: Union[str, os.PathLike[str], None] = None,
        preview: Optional[int] = None,
        dry_run: Union[str, os.PathLike[str], None] = None,
        in_doubt: InDoubt = "park",
        suppressed: Container[str] = (),
        limit: int = 16,
        **options: Unpack[Queued],
    ) -> Generator[Merged, None, None]:
        """Sends a letter for each row, and yields a Merged for each as it comes. A bad row is named and stops no other;
        an exception that `rows` itself raises comes after the outcomes of those before it.

        rows: mappings of the template's variables to values, or a cursor of a database; consumed as there is room.
        template: a postroad.templates.Template, or its path.
        key: the variable that tells rows apart (case does not matter), the recipient unless the template has a To.
        resume: a file that remembers what became of each row, for a run after this one, which leaves out what is done.
            What was under way when a process died, at most `limit` rows, is in doubt. One run has it at a time.
        preview: makes so many letters, and sends none.
        dry_run: a folder, into which all of them are written as .eml; nothing is sent.
        in_doubt: "park" names what an earlier run left in doubt, "retry" sends it again.
        suppressed: addresses that get nothing, such as a SuppressionList.
        limit: most letters under way.
        options: as of send(), without idempotency_key; traffic_class is 1 unless given.

        With a `queue` of the mailer letters are queued. Where that is a file, a row that was being stored when a
        process died is in doubt only after half of `keys_kept`: until then it is stored again, once.

        Raises InvalidInput for a template or a
        file that is wrong, and, once more than twice `limit` letters in a row had no answer of a server, why. Leaving
        the iteration early cancels what is under way.
        """
        from ._merge import start

        if self.inherited:
            raise RuntimeError("this belongs to the process that fork() was called in; make a new Mailer")
        return start(self, rows, template, key, resume, preview, dry_run, in_doubt, suppressed, limit, options)

    def pause(self, *, tenant: Optional[str] = None, tag: Optional[str] = None) -> None:
        """Sends nothing of one `tenant` or of one `tag` until resume(), not of what comes later either."""
        waiting(self._core.pause, *selection_of(tenant, tag))

    def resume(self, *, tenant: Optional[str] = None, tag: Optional[str] = None) -> None:
        """Ends pause() of the same `tenant` or `tag`."""
        waiting(self._core.resume, *selection_of(tenant, tag))

    def stats(self) -> Stats:
        """What it did since it was made, in numbers."""
        return stats_of(self._watching.counts())

    @property
    def outbox(self) -> Outbox:
        """What a mailer of memory:// delivered. Raises AttributeError for another."""
        if self._outbox is None:
            raise AttributeError("only a mailer of memory:// has an outbox")
        return self._outbox

    def close(self, timeout: Optional[float] = None, *, grace: Optional[float] = None) -> None:
        """Takes no more messages, waits for those it holds, cancels the rest and ends the connections. Interpreter exit
        closes every mailer that is still open.

        timeout: how long, in seconds, it waits for all of them: by default the mailer's close_timeout, and not at all
            where `grace` is given.
        grace: then nothing new begins, and how long it waits for the replies to what is under way, which else would be
            in doubt: by default 5 seconds, and no longer than `timeout`.

        Raises Error (storage_failed) where the file of its queue was moved or deleted, once it is closed: it waits
        for nothing but those replies then.
        """
        most = seconds("timeout", timeout, zero=True)
        late = seconds("grace", grace, zero=True)
        if most is None:
            most = self._close_timeout if late is None else 0.0
        if late is None:
            late = min(_GRACE, most)
        end = time.monotonic() + most + late
        interrupted = False
        try:
            waiting(self._core.close, most, late)
        except BaseException as e:
            self._core.abort()
            interrupted = not isinstance(e, Error)
            raise
        finally:
            _end_threads(None if self._asking is None else self._asking.questions, self._caller)
            _open.discard(self)
            self._closed = True
            self._watching.end()
            # at least a moment, for a thread that comes back into a Python that ends would abort it
            for thread in () if interrupted else (self._caller, self._watching):
                thread.join(max(1.0, end - time.monotonic()))
        if self._tls_results is not None:
            self._tls_results.save()

    async def aclose(self, timeout: Optional[float] = None, *, grace: Optional[float] = None) -> None:
        """As close(), with its `timeout` and `grace`, without blocking the loop of asyncio. Cancelled, it waits no
        longer for what is under way."""
        await self._in_thread(partial(self.close, timeout, grace=grace))

    async def _in_thread(self, close: Callable[[], None]) -> None:
        ended = asyncio.get_running_loop().run_in_executor(None, close)
        try:
            # shielded, since else one that waits for a thread of the loop would never run
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            self._core.abort()
            raise

    def __enter__(self) -> Mailer:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if _is_interruption(value):
            self._stop()
        else:
            self.close()

    async def __aenter__(self) -> Mailer:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        end = self._stop if _is_interruption(value) else self.close
        await self._in_thread(end)

    def _stop(self) -> None:
        """Waits for replies only."""
        self.close(grace=min(_GRACE, self._close_timeout))

    @property
    def inherited(self) -> bool:
        """Whether it belongs to a process that this one was forked from: then it cannot be used here."""
        return self._process != os.getpid()

    def __del__(self) -> None:
        if getattr(self, "_core", None) is None or self._lasting or self._closed or self.inherited:
            return
        if any(not operation.done() for operation in self._latest):
            text = f"{self!r} was dropped and not closed: messages that it held in memory are cancelled"
            warnings.warn(text, ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        core = getattr(self, "_core", None)
        return f"<postroad.Mailer {'that was not made' if core is None else core.host}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Mailer holds connections and credentials and cannot be pickled or copied")

    def _start(
        self,
        message: MessageLike,
        sender: Optional[Mailbox],
        recipients: Optional[Mailboxes],
        wishes: Dict[str, Any],
        ended: Optional[Completions] = None,
        tag: int = 0,
    ) -> Operation:
        given = given_message(message)
        return self._core.start(given, sender_octets(sender), recipient_octets(recipients), wishes, ended, tag)

    def _submit(
        self,
        message: MessageLike,
        sender: Optional[Mailbox],
        recipients: Optional[Mailboxes],
        wishes: Dict[str, Any],
        wait: bool,
    ) -> Operation:
        given = given_message(message)
        return self._core.submit(given, sender_octets(sender), recipient_octets(recipients), wishes, wait)

    def _bound(self, limit: int) -> int:
        return min(count("limit", limit, MOST) or 1, self._capacity)

    def _many(self, sender: Optional[Mailbox], recipients: Optional[Mailboxes], wishes: Dict[str, Any]) -> Many:
        return self._core.many(MAKER, sender_octets(sender), recipient_octets(recipients), wishes)

    def _cancel(self, many: Many) -> None:
        if not self.inherited:
            many.cancel()

    def _expect(self, ticket: Ticket) -> None:
        self._caller.begin()
        self._expected.add(ticket)

    def _told(self, ticket: Ticket) -> None:
        self._expected.discard(ticket)


@keeps_secrets
def send(
    url: str,
    message: MessageLike,
    *,
    user: Optional[str] = None,
    password: Optional[str] = None,
    token: Optional[str] = None,
    auth: Union[str, Iterable[str], None] = None,
    insecure_authentication: Optional[bool] = None,
    ca_file: Union[str, os.PathLike[str], None] = None,
    sender: Optional[Mailbox] = None,
    recipients: Optional[Mailboxes] = None,
    delivery: Optional[Delivery] = None,
    **options: Unpack[Queued],
) -> Receipt:
    """Sends one message over a connection of its own and returns its receipt. Keep a Mailer for more than one.

    url, user, password, token, auth, insecure_authentication, ca_file: as of Mailer.
    message, sender, recipients, delivery, options: as of Mailer.send().
    """
    with Mailer(
        url,
        user=user,
        password=password,
        token=token,
        auth=auth,
        insecure_authentication=insecure_authentication,
        ca_file=ca_file,
    ) as mailer:
        return mailer.send(message, sender=sender, recipients=recipients, delivery=delivery, **options)
