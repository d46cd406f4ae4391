"""Mailers that a process keeps, one for equal arguments."""

from __future__ import annotations

import os
import threading
from typing import Any, Dict, Mapping, Tuple

from ._configurations import configured
from ._mailer import Mailer
from ._secrets import keeps_secrets

_lock = threading.Lock()
_mailers: Dict[Tuple[Tuple[str, Any], ...], Mailer] = {}


def _forget() -> None:
    global _lock, _mailers
    _lock, _mailers = threading.Lock(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((k, _hashable(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_hashable, value))
    return frozenset(value) if isinstance(value, (set, frozenset)) else value


@keeps_secrets
def made(arguments: Dict[str, Any]) -> Mailer:
    """One for those arguments, with `configuration` those of configured()."""
    return configured(**arguments) if "configuration" in arguments else Mailer(**arguments)


@keeps_secrets
def shared(arguments: Dict[str, Any]) -> Mailer:
    """The mailer of this process for those arguments, as of made(); it stays open until the process ends, or somebody
    closes it."""
    key = tuple((name, _hashable(arguments[name])) for name in sorted(arguments))
    with _lock:
        if key not in _mailers or _mailers[key]._closed:
            _mailers[key] = made(arguments)
        return _mailers[key]
