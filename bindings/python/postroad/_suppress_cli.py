"""The subcommand suppress: who looks after a list of addresses that get no mail."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Optional, Union

from ._errors import InvalidInput, printable
from ._literals import SuppressionReason, words
from ._shell import BAD_MESSAGE, CANNOT_WRITE, FAILED, GOOD, complain, not_empty, printing, write
from ._suppression import SuppressionEntry, SuppressionList

_MOST = 1000
_ACTIONS = ["add", "remove", "check", "list", "import", "export"]


def _plain(entry: SuppressionEntry) -> Dict[str, Any]:
    values = dataclasses.asdict(entry)
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()}


def _line(e: SuppressionEntry) -> str:
    scope = "".join(f", {name} {value}" for name, value in (("tenant", e.tenant), ("list", e.list)) if value)
    since = "" if e.added is None else f" since {e.added:%Y-%m-%d}"
    until = "" if e.until is None else f", until {e.until:%Y-%m-%d %H:%M}Z"
    return f"{e.address}: {e.reason}{since}{until}{scope}{f' ({e.source})' if e.source else ''}"


def _show(args: argparse.Namespace, value: object, line: str) -> None:
    write(json.dumps(value) if args.json else printable(line))


def _until(text: Optional[str]) -> Optional[datetime]:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        why = f"--until {text}: expected 2026-03-01 or 2026-03-01T12:00:00Z"
        raise InvalidInput(why, code="invalid_option") from None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _what(args: argparse.Namespace, needed: str) -> list[str]:
    if not args.what:
        raise InvalidInput(f"{args.action} needs {needed}", code="invalid_option")
    return list(args.what)


def _all(args: argparse.Namespace, most_words: int) -> None:
    """That nothing was said which would choose among the entries."""
    if args.tenant or args.list_id:
        why = f"{args.action} has all entries: --tenant and --list are of use with the other actions only"
        raise InvalidInput(why, code="invalid_option")
    if len(args.what) > most_words:
        raise InvalidInput(f"{args.action} does not take {args.what[most_words]!r}", code="invalid_option")


def _scope(args: argparse.Namespace) -> Dict[str, str]:
    return {"tenant": args.tenant or "", "list": args.list_id or ""}


def _check(args: argparse.Namespace, of: SuppressionList) -> int:
    status = GOOD
    for address in _what(args, "an address"):
        found = of.find(address, **_scope(args))
        value = {"address": address, "suppressed": found is not None, "entry": None if found is None else _plain(found)}
        _show(args, value, f"{address}: gets mail" if found is None else _line(found))
        status = FAILED if found is not None else status
    return status


def _import(args: argparse.Namespace, of: SuppressionList) -> int:
    given = {**_scope(args), "reason": args.reason, "source": args.source}
    status = GOOD
    for file in _what(args, "a CSV; - is standard input"):

        def fault(line: int, why: str, name: str = file) -> None:
            complain(f"{name}:{line}: {why}")

        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as octets:
            done = of.import_csv(octets, until=_until(args.until), on_fault=fault, **given)
        counts = {"file": file, "added": done.added, "known": done.known, "faults": done.faults}
        _show(args, counts, f"{file}: {done.added} added, {done.known} known, {done.faults} left out")
        status = BAD_MESSAGE if done.faults else status
    return status


def _export(args: argparse.Namespace, of: SuppressionList) -> int:
    _all(args, 1)
    if not args.what or args.what == ["-"]:
        with printing():
            of.export_csv(sys.stdout.write)
        return GOOD
    try:
        with Path(args.what[0]).open("w", encoding="utf-8", newline="") as file:
            written = of.export_csv(file.write)
    except OSError as e:
        complain(f"{args.what[0]}: {e.strerror}: name a file that can be written")
        return CANNOT_WRITE
    _show(args, {"written": written}, str(written))
    return GOOD


def _opened(args: argparse.Namespace, file: str) -> SuppressionList:
    if args.action not in ("add", "import") and not Path(file).exists():
        raise FileNotFoundError(2, "there is no such list; add and import make one", file)
    return SuppressionList(file, ignore_case=args.ignore_case)


def _run(args: argparse.Namespace) -> int:
    return suppress(args, args.file)


def suppress(args: argparse.Namespace, given: Union[str, SuppressionList]) -> int:
    """Does what `args` say to the list, or to that of a file. Raises Error and OSError."""
    of = given if isinstance(given, SuppressionList) else _opened(args, given)
    scope = _scope(args)
    if args.action == "add":
        until = _until(args.until)
        new = of.add_all(
            SuppressionEntry(a, scope["tenant"], scope["list"], args.reason, args.source, None, until)
            for a in _what(args, "an address")
        )
        _show(args, {"added": new}, str(new))
        return GOOD
    if args.action == "remove":
        gone = sum(of.remove(address, **scope) for address in _what(args, "an address"))
        _show(args, {"removed": gone}, str(gone))
        return GOOD
    if args.action == "list":
        _all(args, 0)
        found = of.entries(_MOST if args.limit is None else args.limit)
        for entry in found:
            _show(args, _plain(entry), _line(entry))
        if args.limit is None and len(found) == _MOST:
            complain(f"these are the first {_MOST}: --limit N takes more, export all")
        return GOOD
    return {"check": _check, "import": _import, "export": _export}[args.action](args, of)


def register(commands: Any) -> None:
    """Adds the subcommand."""
    listed = commands.add_parser(
        "suppress",
        help="look after a list of those who get no mail",
        usage="postroad suppress [options] LIST ACTION [ADDRESS | CSV ...]",
        description="Adds and removes addresses, checks whether they get mail (status 69 if one does not), lists, "
        "imports and exports as CSV what is in LIST, the suppression list of a Mailer.",
    )
    listed.add_argument("file", metavar="LIST")
    add_suppressing(listed)
    listed.set_defaults(run=_run)


def add_suppressing(listed: argparse.ArgumentParser) -> None:
    """Adds what is done, and with whom."""
    listed.add_argument("action", choices=_ACTIONS)
    listed.add_argument("what", metavar="ADDRESS | CSV", nargs="*")
    listed.add_argument("--tenant", type=not_empty, metavar="NAME", help="mail of that tenant only")
    listed.add_argument("--list", type=not_empty, dest="list_id", metavar="ID", help="mail with that List-Id only")
    listed.add_argument("--reason", choices=words(SuppressionReason), default="manual")
    listed.add_argument("--source", metavar="TEXT", default="", help="who says so")
    listed.add_argument("--until", metavar="TIME", help="such as 2026-03-01 or 2026-03-01T12:00:00Z")
    listed.add_argument("--ignore-case", action="store_true", help="of a list that is made: in local parts")
    listed.add_argument("--limit", type=int, metavar="N", help=f"of list ({_MOST})")
    listed.add_argument("--json", action="store_true", help="print JSON, an object a line")
