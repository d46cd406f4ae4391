"""What a queue shows of itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, NoReturn, Optional, Tuple, TypedDict, Union

from . import _core
from ._errors import InvalidInput, error_name
from ._export import copy_into
from ._journal import JournalEntry, JournalFilter, entries
from ._literals import JobState, words
from ._messages import (
    broker_arguments,
    check_names,
    choice,
    count,
    file_octets,
    filter_number,
    filter_octets,
    lasting,
    names_a_broker,
    octets,
    path_of,
)
from ._threads import waiting

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Job:
    """A message that is queued or under way."""

    id: int
    state: JobState
    """"waiting", "delayed", "sending", "held" (until retry_now() or drop()); "in_doubt": its content left and no reply
    came, and it waits for somebody's decision; or "failed": refused for good or given up, kept in a file or at a
    broker for 30 days, and listed only where `state`, `id` or `whole` says so."""
    age: float
    """Seconds since it was submitted."""
    until: float
    """Of a delayed one: seconds until it is due."""
    failed: float
    """Of a failed one: seconds since it failed."""
    attempts: int
    octets: int
    traffic_class: int
    tenant: str
    tag: str
    sender: str
    """The reverse path."""
    recipients: Tuple[Tuple[str, str], ...]
    """Of each, the address and what became of the message for it so far."""
    error: str
    """What kept the last attempt from being whole, or the first reply that did; empty before one."""
    whole: int = 0
    """Of the part of a message whose recipients go different ways: the id of that message. 0: it is no part."""


@dataclass(frozen=True)
class Trouble:
    """A server, or a domain, that keeps mail waiting in a queue that lasts; or its file, that cannot be written."""

    name: str
    code: str
    """As Error.code has it."""
    why: str
    """One sentence, with the server's words, escaped."""
    since: float
    """Seconds since it began."""
    next_try: Optional[float]
    """Seconds until the next try; None: when somebody asks for it, as by retry_now()."""
    waiting: int
    """How many of the mailer's messages wait for it."""


@dataclass(frozen=True)
class Counts:
    """How much a queue holds."""

    by_state: Mapping[str, int]
    oldest: float
    """The age of the oldest that is not over, in seconds."""
    troubles: Tuple[Trouble, ...] = ()
    """What keeps mail waiting, 16 at most, those with the most waiting first. Only the mailer that sends knows it: a
    Queue, and a mailer with submit_only, have none."""

    @property
    def total(self) -> int:
        """Of those that are not over: all but failed ones."""
        return sum(n for state, n in self.by_state.items() if state != "failed")


class JobFilter(TypedDict, total=False):
    """Which messages: those that match each member. Failed ones match where state, id or whole does."""

    id: int
    """The message of that number."""
    whole: int
    """The parts of the message of that number, once it was divided since its recipients go different ways."""
    state: JobState
    """As Job.state has it."""
    tenant: str
    """Those of that tenant."""
    tag: str
    """Those of that tag."""
    domain: str
    """Of the first recipient, as it is written in the envelope; case does not matter."""


def filter_of(which: JobFilter) -> Dict[str, Any]:
    check_names(which, JobFilter)
    if which.get("state", "") is None:
        raise TypeError("state must be a str, not NoneType")
    return {
        "id": filter_number(which, "id"),
        "whole": filter_number(which, "whole"),
        "state": choice("state", which.get("state"), words(JobState)),
        **{name: filter_octets(which, name) for name in ("tenant", "tag", "domain")},
    }


def selection_of(tenant: Optional[str], tag: Optional[str]) -> Tuple[str, bytes]:
    if (tenant is None) == (tag is None):
        raise InvalidInput("give a tenant or a tag, one of them", code="invalid_option")
    return ("tenant", octets("tenant", tenant)) if tenant is not None else ("tag", octets("tag", tag or ""))


class Operations:
    """What those who look after a queue ask of it."""

    _core: Union[_core.Mailer, _core.Queue, _core.BrokerQueue]
    _file: Optional[bytes]  # of the queue; None for one elsewhere

    def jobs(self, *, limit: int = 1000, **which: Unpack[JobFilter]) -> List[Job]:
        """What is queued or under way and matches each member of `which`, those of JobFilter; oldest first, at most
        `limit`."""
        most = count("limit", limit, 1_000_000_000) or 1
        return [Job(*parts) for parts in waiting(self._core.jobs, filter_of(which), most)]

    def count(self) -> Counts:
        """How many messages are in which state, how old the oldest is, and what keeps them waiting."""
        by_state, oldest, troubles = waiting(self._core.count)
        return Counts(by_state, oldest, tuple(Trouble(t[0], error_name(t[1]), *t[2:]) for t in troubles))

    def retry_now(self, **which: Unpack[JobFilter]) -> int:
        """Messages that match `which`, as in jobs(), and are delayed, held or in doubt go now; what is in doubt may
        arrive twice. Failed ones go as if they were new, to those that did not get them. Returns how many."""
        return waiting(self._core.change, "retry_now", filter_of(which))

    def hold(self, **which: Unpack[JobFilter]) -> int:
        """Messages that match `which` and are not being sent wait for retry_now(). Returns how many."""
        return waiting(self._core.change, "hold", filter_of(which))

    def drop(self, **which: Unpack[JobFilter]) -> int:
        """Messages that match `which` and are not being sent are cancelled. Returns how many."""
        return waiting(self._core.change, "drop", filter_of(which))

    def journal(self, *, limit: Optional[int] = None, **which: Unpack[JournalFilter]) -> Iterator[JournalEntry]:
        """What became of messages that are over and match each member of `which`, those of JournalFilter; the last
        first, at most `limit`. They are read as they are asked for. Needs a queue in a file."""
        if self._file is None:
            raise InvalidInput("only a queue in a file keeps a journal", code="invalid_option")
        return entries(self._file, which, count("limit", limit, 1_000_000_000))


class Queue(Operations):
    """The queue of a Mailer in a file or at a broker, for who looks after it while mailers use it, or none does. Sends
    nothing.

    path: of the file, which exists; or the URL of the broker, amqp://... At a broker what waits to be sent is only
    counted: nobody can look into what is being consumed.
    queue_name, queue_shards, queue_ca_file: as of Mailer, at a broker.

    Raises FileNotFoundError, Error for a file that is no queue or a broker that cannot be reached, and InvalidInput.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        queue_name: Optional[str] = None,
        queue_shards: Optional[int] = None,
        queue_ca_file: Union[str, os.PathLike[str], None] = None,
    ) -> None:
        of_broker = broker_arguments(path, queue_name, queue_shards, queue_ca_file)
        self._file = None
        if names_a_broker(path):
            self._core = waiting(_core.BrokerQueue, octets("path", str(path), "invalid_url"), of_broker)
            return
        name = file_octets("path", path) or b""
        os.stat(os.fsdecode(name))  # an error names the file as people do
        self._file = lasting(name)  # it is looked into later, whatever the working directory is then
        self._core = waiting(_core.Queue, name)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Queue holds an open queue and cannot be pickled or copied: open it again")

    def compact(self) -> int:
        """Gives what is free in the file back to the disk, a little at a time: what is submitted meanwhile goes
        between. Returns how many octets. Needs a queue in a file."""
        if not isinstance(self._core, _core.Queue):
            raise InvalidInput("only a queue in a file is compacted", code="invalid_option")
        return waiting(self._core.compact)

    def export(self, folder: Union[str, os.PathLike[str]], **which: Unpack[JobFilter]) -> int:
        """Copies messages that match `which`, as in jobs(), into a folder: each as N.eml, N its id, and in
        messages.jsonl a line of JSON with its envelope, options and state. They stay in the queue, and mailers go on;
        what is sent meanwhile may be left out. Needs a queue in a file.

        folder: made if it is missing. Of an export that was interrupted it gets what is missing. It is of no other
        process meanwhile.

        Returns how many were copied by this call; they are on the disk then. Raises InvalidInput for a folder that
        holds something else, or cannot be written.
        """
        if not isinstance(self._core, _core.Queue) or self._file is None:
            raise InvalidInput("only a queue in a file is exported", code="invalid_option")
        return copy_into(self._core, os.fsdecode(self._file), path_of("folder", folder), filter_of(which))
