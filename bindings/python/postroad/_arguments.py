"""The arguments of Mailer: checked, and as the C++ part takes them."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

from ._credentials import mechanisms
from ._errors import InvalidInput
from ._literals import InDoubt, KeptContent, OnFailure, Pipelining, WhenFull, words
from ._message import signatures_of
from ._messages import (
    broker_arguments,
    check_function,
    check_optional_flags,
    choice,
    count,
    file_octets,
    names_a_broker,
    octets,
    optional_octets,
    rate,
    seconds,
)
from ._reports import reports_as
from ._routes import routes_of, rules_of
from ._suppression import core_of
from ._tls_results import results_of

# By name, None for what is not given.
Given = Mapping[str, Any]

MOST = 1_000_000_000
# Of a queue in memory, by default.
CAPACITY = 100_000

_FLAGS = ("submit_only", "insecure_authentication", "down_convert")
_OF_SERVERS = (
    *("user", "password", "token", "credentials", "auth", "insecure_authentication", "ca_file", "key_passphrase"),
    *("server_name", "client_name", "pipelining", "window", "recipients_per_transaction", "down_convert"),
    *("most_in_doubt", "connections_per_destination"),
)
_OF_FILES = ("keys_kept", "kept_content", "journal_kept", "journal_capacity")


def check_arguments(given: Given) -> None:
    """Flags, functions, and what is of no use with the queue."""
    check_optional_flags(**{name: given[name] for name in _FLAGS})
    if given["on_event"] is not None:
        check_function("on_event", given["on_event"])
    queue = given["queue"]
    if queue is None and (given["submit_only"] or given["keys_kept"] is not None or given["kept"] is not None):
        raise InvalidInput("submit_only, keys_kept and kept are of use with queue only", code="contradiction")
    for name in _OF_FILES:
        if given[name] is not None and (queue is None or names_a_broker(queue)):
            raise InvalidInput(f"{name} is of use with a queue in a file only", code="contradiction")
    if queue is not None and given["capacity_octets"] is not None:
        raise InvalidInput("capacity_octets is of use without queue only", code="contradiction")
    if queue is None and given["on_failure"] == "drop":
        raise InvalidInput('on_failure="drop" is of use with queue only', code="contradiction")


def check_without_server(transport: str, given: Given) -> None:
    """What is of no use where mail goes to no server."""
    for name in _OF_SERVERS:
        if given[name] is not None:
            raise InvalidInput(f"{name} is of use with a server only, not with {transport}://", code="contradiction")
    if names_a_broker(given["queue"]):
        raise InvalidInput("a queue at a broker needs the URL of a server", code="contradiction")


def core_arguments(url: str, given: Given, captured: bool) -> Dict[str, Any]:
    """Those of _core.Mailer that come from arguments of Mailer. What is captured stands in no queue at a broker."""
    queue = given["queue"]
    of_broker = broker_arguments(queue, given["queue_name"], given["queue_shards"], given["queue_ca_file"])
    if captured and names_a_broker(queue):
        queue = None
    at_a_broker = names_a_broker(queue)
    capacity = count("capacity", given["capacity"], MOST)
    failing = choice("on_failure", given["on_failure"], words(OnFailure)) or "keep"
    return {
        **{name: form(name, given[name]) for name, form in _FORMS.items()},
        **{name: given[name] for name in _FLAGS},
        "captured": captured,
        "url": octets("url", url, "invalid_url"),
        "queue": octets("queue", str(queue), "invalid_url") if at_a_broker else file_octets("queue", queue),
        "at_a_broker": at_a_broker,
        **of_broker,
        "capacity": CAPACITY if queue is None and capacity is None else capacity,
        "submit_only": bool(given["submit_only"]),
        "wait_when_full": choice("when_full", given["when_full"], words(WhenFull)) == "wait",
        "drops_failed": failing == "drop",
        "reporting_mta": reports_as(failing, given["reporting_mta"], given["client_name"]),
        "routes": routes_of(given["routes"], url),
        "rules": rules_of(given["rules"], url),
        "tls_results": results_of(given["tls_results"], url),
        # opens a file
        "suppression": core_of(given["suppression"]),
    }


_Form = Callable[[str, Any], object]


def _to(most: int) -> _Form:
    return lambda name, value: count(name, value, most)


def _one_of(literal: object) -> _Form:
    return lambda name, value: choice(name, value, words(literal))


def _from_zero(name: str, value: Optional[float]) -> Optional[float]:
    return seconds(name, value, zero=True)


def _weights(name: str, value: Optional[Iterable[int]]) -> Optional[List[int]]:
    if value is None:
        return None
    if not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a list or the like, not {type(value).__name__}")
    weights = [count(f"{name}[{n}]", w, 1_000_000) or 1 for n, w in enumerate(value)]
    if not 1 <= len(weights) <= 256:
        raise InvalidInput(f"{name} must be those of 1 to 256 classes", code="invalid_option")
    return weights


_FORMS: Dict[str, _Form] = {
    "sign": lambda _, value: signatures_of(value),
    "user": optional_octets,
    "password": optional_octets,
    "token": optional_octets,
    "auth": lambda _, value: mechanisms(value),
    "ca_file": file_octets,
    "key_passphrase": optional_octets,
    "server_name": optional_octets,
    "client_name": optional_octets,
    "pipelining": _one_of(Pipelining),
    "window": _to(1000),
    "recipients_per_transaction": _to(100_000),
    "connections": _to(10_000),
    "connections_per_destination": _to(10_000),
    "idle": seconds,
    "messages_per_connection": _to(MOST),
    "capacity_octets": _to(1 << 62),
    "keys_kept": seconds,
    "kept": _from_zero,
    "kept_content": _one_of(KeptContent),
    "journal_kept": _from_zero,
    "journal_capacity": _to(MOST),
    "most_in_doubt": _to(1000),
    "in_doubt": _one_of(InDoubt),
    "attempts": _to(1000),
    "first_wait": _from_zero,
    "longest_wait": seconds,
    "give_up": seconds,
    "class_weights": _weights,
    "pace": rate,
    "tenant_pace": rate,
    "destination_pace": rate,
    "connect_timeout": seconds,
    "reply_timeout": seconds,
    "late_after": seconds,
}
