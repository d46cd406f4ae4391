"""The subcommand journal: what became of messages that went through a queue in a file."""

from __future__ import annotations

import argparse
import dataclasses
import json
from datetime import datetime
from enum import Enum
from typing import Any, Iterator

from ._errors import InvalidInput, Status, printable
from ._jobs import Queue
from ._journal import JournalEntry, JournalFilter
from ._shell import GOOD, write


def _lines(entry: JournalEntry) -> Iterator[str]:
    subject = f", {entry.subject}" if entry.subject else ""
    yield f"{entry.settled:%Y-%m-%d %H:%M:%SZ} {entry.id}: <{entry.sender}>{subject}"
    for r in entry.recipients:
        reply = " ".join(str(part) for part in (r.code, r.enhanced, r.text) if part)
        yield f"  {r.address} {r.status.value}{': ' + reply if reply else ''}"
    if entry.error:
        yield f"  {entry.error}"


def _plain(value: object) -> object:
    """What JSON has no form for."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    raise TypeError(type(value).__name__)


def _time(text: str) -> datetime:
    try:
        # as Python before 3.11 does not know it
        return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    except ValueError:
        raise argparse.ArgumentTypeError("expected a time such as 2026-01-31 or 2026-01-31T12:00Z") from None


def _which(args: argparse.Namespace) -> JournalFilter:
    given = {k: v for k, v in vars(args).items() if k in JournalFilter.__annotations__ and v is not None}
    if "status" in given:
        given["status"] = Status(given["status"])
    return given  # type: ignore[return-value]


def search(args: argparse.Namespace) -> int:
    """Prints what `args` ask for. Raises Error and OSError."""
    if args.limit is not None and args.limit < 1:
        raise InvalidInput("--limit must be 1 or more", code="invalid_option")
    for entry in Queue(args.file).journal(limit=args.limit, **_which(args)):
        if args.json:
            members = dataclasses.asdict(entry)
            for recipient in members["recipients"]:
                del recipient["direct"]  # the journal does not keep it
            write(json.dumps(members, default=_plain))
        else:
            for line in _lines(entry):
                write(printable(line))
    return GOOD


def register(commands: Any) -> None:
    """Adds the subcommand."""
    journal = commands.add_parser(
        "journal",
        help="what became of messages that went through a queue in a file",
        description="Prints what the journal of FILE, the queue of a Mailer, has of messages that are over; the last "
        "first.",
    )
    journal.add_argument("file", metavar="FILE")
    add_searching(journal)
    journal.set_defaults(run=search)


def add_searching(journal: argparse.ArgumentParser) -> None:
    """Adds which entries, and how they are shown."""
    journal.add_argument("--id", type=int, metavar="N", help="the message of that number")
    journal.add_argument("--recipient", metavar="ADDRESS")
    journal.add_argument("--sender", metavar="ADDRESS")
    journal.add_argument("--message-id", metavar="ID")
    journal.add_argument("--tenant", metavar="NAME")
    journal.add_argument("--tag", metavar="NAME")
    journal.add_argument("--status", choices=[s.value for s in Status], help="of that recipient, or of one of them")
    journal.add_argument("--since", type=_time, metavar="TIME", help="settled then or later")
    journal.add_argument("--before", type=_time, metavar="TIME", help="settled earlier")
    journal.add_argument("--limit", type=int, metavar="N", default=100)
    journal.add_argument("--json", action="store_true", help="print JSON, an object a line")
