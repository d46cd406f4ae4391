"""Refuses an interpreter that the extension cannot run in."""

from __future__ import annotations

import importlib


def _is_main() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            interpreters = importlib.import_module(name)
        except ImportError:
            continue
        here, main = interpreters.get_current(), interpreters.get_main()
        # since Python 3.13 each is a tuple, of the number and where it came from
        return bool((here[0] if isinstance(here, tuple) else here) == (main[0] if isinstance(main, tuple) else main))
    return True


if not _is_main():
    raise ImportError(
        "postroad does not run in a sub-interpreter; with mod_wsgi set WSGIApplicationGroup %{GLOBAL}", name="postroad"
    )
