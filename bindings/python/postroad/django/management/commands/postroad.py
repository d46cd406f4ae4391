"""manage.py postroad: the site's sender, its queue, its journal, and who gets no mail."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any, Dict, List, Tuple

from django.core.management.base import BaseCommand, CommandError

from ...._errors import Error
from ...._journal_cli import add_searching, search
from ...._queue import add_looking, look
from ...._run import Sender, add_running, run
from ...._shell import status_of, written
from ...._suppress_cli import add_suppressing, suppress
from ..._settings import arguments, file, queue, suppression


class _Site(Sender):
    def settings(self) -> Tuple[List[str], Dict[str, Any]]:
        """Those of the site; a password in a secret store is read anew by a settings module that does."""
        given = arguments()
        given.pop("submit_only", None)
        given.pop("on_event", None)
        return [str(given.pop("queue"))], given


class Command(BaseCommand):  # type: ignore[misc]
    """The command."""

    help = "Sends what is in the queue of settings.POSTROAD, and looks after it and after who gets no mail."
    requires_system_checks = ()

    def add_arguments(self, parser: Any) -> None:
        """Those of `postroad run`, `queue`, `journal` and `suppress`, but for what the settings say."""
        commands = parser.add_subparsers(dest="command", required=True, metavar="run|queue|journal|suppress")
        add_running(commands.add_parser("run", help="send until SIGTERM or SIGINT"))
        add_looking(commands.add_parser("queue", help="list, count, show, sum up, retry, hold or drop messages"))
        add_searching(commands.add_parser("journal", help="what became of messages that are over"))
        add_suppressing(commands.add_parser("suppress", help="add, remove, check, list, import or export addresses"))

    def handle(self, *args: Any, **options: Any) -> None:
        """Exits as `postroad` does."""
        try:
            status = written(_done(Namespace(**options)))
        except (Error, OSError) as e:
            raise CommandError(str(e), returncode=status_of(e)) from None
        if status:
            sys.exit(status)


def _done(given: Namespace) -> int:
    if given.command == "run":
        return run(given, _Site)
    if given.command == "suppress":
        return suppress(given, suppression())
    if given.command == "journal":
        return search(Namespace(**{**vars(given), "file": file()}))
    of_site = queue()
    return look(Namespace(**{**vars(given), "file": of_site.pop("path"), **of_site}))
