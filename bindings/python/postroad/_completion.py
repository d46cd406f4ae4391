"""postroad completion: what a shell needs to complete the command."""

from __future__ import annotations

import argparse
from typing import Any, Callable

from ._shell import GOOD, need, write


def register(commands: Any, parser: Callable[[], argparse.ArgumentParser]) -> None:
    """parser: makes that of the whole command."""

    def completion(args: argparse.Namespace) -> int:
        try:
            import shtab
        except ImportError:
            raise need("shtab", "completion", "postroad completion") from None
        write(shtab.complete(parser(), args.shell))
        return GOOD

    added = commands.add_parser(
        "completion",
        help="print what a shell needs to complete the command",
        description="Prints a script for a shell, by which it completes commands and options of postroad.",
    )
    added.add_argument("shell", metavar="bash|zsh", choices=["bash", "zsh"])
    added.set_defaults(run=completion)
