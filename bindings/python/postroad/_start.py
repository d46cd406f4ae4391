"""The command postroad ends by Ctrl-C without a traceback, also while its modules are still being imported."""

from __future__ import annotations

import os
import signal
import sys
from typing import List

_quiet = False


def _is_command() -> bool:
    argv: List[str] = getattr(sys, "argv", None) or [""]
    if argv[0] != "-m":  # which stands there until the module is found that is to run
        return os.path.basename(argv[0]) == "postroad"
    given: List[str] = getattr(sys, "orig_argv", [])  # since Python 3.10
    return "-m" in given and given[given.index("-m") + 1 :][:1] == ["postroad"]


def end_at_once() -> None:
    """SIGINT ends the process from now on, if the process is the command."""
    global _quiet
    if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        except ValueError:  # another thread than the first imports this
            return
        _quiet = True


def raise_again() -> None:
    """SIGINT is KeyboardInterrupt again."""
    global _quiet
    if _quiet:
        _quiet = False
        signal.signal(signal.SIGINT, signal.default_int_handler)


end_at_once()
