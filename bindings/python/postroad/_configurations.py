"""Mailers that are composed already, by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Container, Dict, Iterable, Mapping, Optional, Set, TypedDict, Union
from urllib.parse import parse_qsl, urlsplit

from ._errors import InvalidInput
from ._literals import Configuration, InDoubt, KeptContent, OnFailure, Pipelining, WhenFull, words
from ._mailer import Mailer
from ._messages import choice, names_a_broker
from ._outbox import Captured, capturing, local_of
from ._secrets import keeps_secrets

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._credentials import CredentialsSource
    from ._events import EventFunction
    from ._message import Dkim
    from ._tls_results import TlsResults


class MailerOptions(TypedDict, total=False):
    """The arguments of Mailer beside the URL, for who hands them on."""

    user: Optional[str]
    password: Optional[str]
    token: Optional[str]
    credentials: Optional[CredentialsSource]
    auth: Union[str, Iterable[str], None]
    insecure_authentication: Optional[bool]
    ca_file: Union[str, os.PathLike[str], None]
    key_passphrase: Optional[str]
    server_name: Optional[str]
    sign: Union[Dkim, Iterable[Dkim], None]
    client_name: Optional[str]
    pipelining: Optional[Pipelining]
    window: Optional[int]
    recipients_per_transaction: Optional[int]
    down_convert: Optional[bool]
    connections: Optional[int]
    connections_per_destination: Optional[int]
    idle: Optional[float]
    messages_per_connection: Optional[int]
    queue: Union[str, os.PathLike[str], None]
    queue_name: Optional[str]
    queue_shards: Optional[int]
    queue_ca_file: Union[str, os.PathLike[str], None]
    capacity: Optional[int]
    capacity_octets: Optional[int]
    when_full: Optional[WhenFull]
    submit_only: Optional[bool]
    keys_kept: Optional[float]
    kept: Optional[float]
    kept_content: Optional[KeptContent]
    journal_kept: Optional[float]
    journal_capacity: Optional[int]
    in_doubt: Optional[InDoubt]
    most_in_doubt: Optional[int]
    attempts: Optional[int]
    first_wait: Optional[float]
    longest_wait: Optional[float]
    give_up: Optional[float]
    class_weights: Optional[Iterable[int]]
    pace: Optional[float]
    tenant_pace: Optional[float]
    destination_pace: Optional[float]
    connect_timeout: Optional[float]
    reply_timeout: Optional[float]
    close_timeout: Optional[float]
    on_failure: Optional[OnFailure]
    late_after: Optional[float]
    reporting_mta: Optional[str]
    suppression: Union[str, os.PathLike[str], Container[str], None]
    on_event: Optional[EventFunction]
    routes: Optional[Mapping[str, str]]
    rules: Union[str, os.PathLike[str], None]
    tls_results: Optional[TlsResults]


# What each sets of Mailer's arguments.
_ARGUMENTS: Dict[Configuration, MailerOptions] = {
    "direct": {"attempts": 1, "connections": 4},
    "queued": {"connections": 4},
    "bulk": {"pipelining": "window", "connections": 8, "capacity": 10_000, "when_full": "wait"},
    "distributed": {"connections": 8, "when_full": "wait"},
    "test": {},
}
# Options of the URL that say the same.
_IN_URL = {"connections": "connections", "pool": "connections", "pipelining": "pipelining"}


@keeps_secrets
def configured(configuration: Configuration, url: str, **options: Unpack[MailerOptions]) -> Mailer:
    """A Mailer that is composed for a purpose.

    configuration: "direct": somebody waits for each message and is told at once when it cannot be sent; "queued": a
        message is stored in a file, and tried until it is sent; "bulk": many messages at a time, and who gives more
        than there is room for waits; "distributed": the queue is at a broker, between any number of processes;
        "test": nothing leaves, `outbox` of the mailer has it.
    url: as of Mailer; with "test" it is checked and not used.
    options: as of Mailer; what is given here or in the URL counts, not what the configuration says.

    Raises InvalidInput for a queue that the configuration lacks or cannot have, and what Mailer raises.
    """
    name = choice("configuration", configuration, words(Configuration))
    if name is None:
        raise TypeError("configuration must be a name")
    queue = options.get("queue")
    if name in ("queued", "distributed") and names_a_broker(queue) != (name == "distributed"):
        raise InvalidInput(f"{name} needs {_QUEUES[name]}", code="contradiction")
    if name == "queued" and queue is None:
        raise InvalidInput(f"{name} needs {_QUEUES[name]}", code="contradiction")
    if name == "direct" and queue is not None:
        raise InvalidInput(
            "direct has no queue: queued has one in a file, distributed at a broker", code="contradiction"
        )
    arguments: Any = {**_fitting(configuration, url), **options}
    if name == "test":
        with capturing(Captured()):
            return Mailer(url, **arguments)
    return Mailer(url, **arguments)


_QUEUES = {
    "queued": "a queue in a file: queue='/var/lib/site/outbox.db'",
    "distributed": "a queue at a broker: queue='amqps://user:secret@broker.example.com'",
}


def _fitting(configuration: Configuration, url: str) -> Dict[str, Any]:
    """What it sets, without what the URL says or has no use for."""
    without: Set[str] = set()
    if isinstance(url, str):
        without = {_IN_URL.get(name, "") for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
        if local_of(url)[0] is not None:
            without.add("pipelining")
    return {name: value for name, value in _ARGUMENTS[configuration].items() if name not in without}
