"""Mailers that a process keeps, one for equal arguments."""

from __future__ import annotations

import os
import threading
from typing import Any, Dict, Tuple

from ._mailer import Mailer
from ._secrets import keeps_secrets

_lock = threading.Lock()
_mailers: Dict[Tuple[Tuple[str, Any], ...], Mailer] = {}


def _forget() -> None:
    global _lock, _mailers
    _lock, _mailers = threading.Lock(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@keeps_secrets
def shared(arguments: Dict[str, Any]) -> Mailer:
    """The mailer of this process for those arguments; it stays open until the process ends."""
    key = tuple(sorted((name, tuple(v) if isinstance(v, list) else v) for name, v in arguments.items()))
    with _lock:
        if key not in _mailers:
            _mailers[key] = Mailer(**arguments)
        return _mailers[key]
