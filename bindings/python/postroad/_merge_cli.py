"""postroad merge: a letter for each row of a file."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Container, ContextManager, Iterator, Optional

from . import _merge
from ._compose_cli import nowhere, signer_of
from ._config import Account, load
from ._errors import InvalidInput
from ._mailer import Mailer
from ._merge import Merged
from ._progress import Bar
from ._report import Report, options_of, reporting
from ._rows import read_file
from ._shell import (
    BAD_MESSAGE,
    CANNOT_WRITE,
    FAILED,
    GOOD,
    INTERRUPTED,
    TRY_LATER,
    add_login,
    complain,
    destination,
    interruptible,
    not_empty,
    printing,
    proof,
    worse,
    write,
)
from ._suppression import SuppressionList
from .catch import page
from .templates import Template
from .unsubscribe import Unsubscribe

Take = Optional[Callable[[bytes], None]]
_ON_A_PAGE = 100
_STATUS = {"bad": BAD_MESSAGE, "refused": FAILED, "in_doubt": FAILED, "deferred": TRY_LATER}


def _unsubscribe(args: argparse.Namespace) -> Optional[Unsubscribe]:
    if args.unsubscribe is None:
        return None
    secret = os.environ.get("POSTROAD_UNSUBSCRIBE_SECRET", "").encode()
    if not args.list_id or not secret:
        text = "--unsubscribe needs --list-id, and the environment variable POSTROAD_UNSUBSCRIBE_SECRET"
        raise InvalidInput(text, code="invalid_option")
    return Unsubscribe(args.unsubscribe, secret, args.list_id)


def _show(args: argparse.Namespace, rows: str, found: Merged, take: Take) -> None:
    if args.json:
        about = {"row": found.row, "key": found.key, "state": found.state, "why": found.why}
        write(json.dumps({**about, "path": None if found.path is None else str(found.path)}))
    elif found.message is not None and take is not None:
        take(found.message)
    elif found.message is not None:
        complain(f"row {found.row} ({found.key}):")
        with printing():
            sys.stdout.buffer.write(found.message + b"\r\n")
    elif found.state in _STATUS and not args.json:
        name = f" ({found.key})" if found.key else ""
        complain(f"{rows}: row {found.row}{name}: {found.state.replace('_', ' ')}: {found.why}")


def _told(args: argparse.Namespace, rows: str, merged: Iterator[Merged], total: int, take: Take = None) -> int:
    """take: is given the letters of a preview in place of standard output."""
    counts: Counter[str] = Counter()
    status = GOOD
    with Bar(total) as bar:
        for found in merged:
            bar.step(found.state not in _STATUS)
            counts[found.state] += 1
            status = worse(status, _STATUS.get(found.state, GOOD))
            _show(args, rows, found, take)
    if not args.json and args.preview is None:
        write(", ".join(f"{n} {state.replace('_', ' ')}" for state, n in counts.most_common()) or "no rows")
    return status


def _total(rows: str) -> int:
    """Only what can be read twice is counted."""
    if rows == "-" or not sys.stderr.isatty() or not Path(rows).is_file():
        return 0
    with Path(rows).open("rb") as f:
        return max(0, sum(1 for _ in f) - 1)


def _merge_rows(args: argparse.Namespace) -> int:
    config = load()
    if args.page and (args.dry_run is not None or args.json):
        raise InvalidInput("--page shows letters: leave out --dry-run and --json", code="contradiction")
    if args.page and args.preview is None:
        args.preview = _ON_A_PAGE
    looking = args.preview is not None or args.dry_run is not None or bool(args.queue)
    url, account, what = (nowhere if looking else destination)(args.what, args, config)
    if len(what) != 2:
        raise InvalidInput(
            "give a template and a file of rows: postroad merge [URL] TEMPLATE ROWS", code="invalid_option"
        )
    sender = args.sender or (None if _has_from(what[0]) else account.sender or config.sender or None)
    leaving = _unsubscribe(args)
    template = Template(what[0], subject=args.subject, from_=sender, sign=signer_of(args.sign), unsubscribe=leaving)
    if what[1] != "-" and not Path(what[1]).is_fifo():
        Path(what[1]).open("rb").close()  # what is missing is said before anything is asked for
    suppressed: Container[str] = ()
    if args.suppressed is not None:
        Path(args.suppressed).open("rb").close()  # a new list would hold nobody back
        suppressed = SuppressionList(args.suppressed).of(list=leaving.list_id if leaving else "")
    return _run(args, url, account, template, what[1], suppressed)


def _has_from(template: str) -> bool:
    return any(name.lower() == "from" for head in Template(template)._heads.values() for name, *_ in head)


def _run(
    args: argparse.Namespace, url: str, account: Account, template: Template, file: str, suppressed: Container[str]
) -> int:
    if args.dry_run is not None:
        try:
            Path(args.dry_run).mkdir(parents=True, exist_ok=True)
        except OSError as e:
            complain(f"{args.dry_run}: {e.strerror}: name a folder that can be written")
            return CANNOT_WRITE
    rows = read_file(file, args.format)
    fixed = (template, args.key, args.resume, args.preview, args.dry_run, args.in_doubt, suppressed, args.limit)
    if args.preview is not None or args.dry_run is not None:
        with page("--page") if args.page else contextlib.nullcontext() as take:
            return _told(args, file, _merge.start(None, rows, *fixed, {}), args.preview or _total(file), take)
    options: Any = {"tag": args.tag} if args.tag else {}
    with (
        reporting(args.report) as report,
        _mailer(args, url, account, report) as mail,
        interruptible(mail) as interrupted,
    ):

        def until_interrupted() -> Iterator[Any]:
            for row in rows:
                if interrupted.is_set():
                    return
                yield row

        status = _told(args, file, _merge.start(mail, until_interrupted(), *fixed, options), _total(file))
    return INTERRUPTED if interrupted.is_set() else status


def _mailer(args: argparse.Namespace, url: str, account: Account, report: Optional[Report]) -> ContextManager[Mailer]:
    common: Any = {"connections": args.connections, "pace": args.pace, "ca_file": account.ca_file or None}
    if args.queue:
        return Mailer(url, queue=args.queue, submit_only=True, when_full="wait")
    return Mailer(url, **common, **options_of(report), **proof(args, url, account))


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "merge",
        help="send a letter for each row of a file",
        usage="postroad merge [options] [URL] TEMPLATE ROWS",
        description="Makes a letter of TEMPLATE (NAME.html, NAME.txt, NAME.head; see docs/templates.md) for each row "
        "of ROWS, a file of CSV or of JSON lines, and sends it.",
    )
    parser.add_argument("what", metavar="[URL] TEMPLATE ROWS", nargs="*", help="ROWS may be -, standard input")
    add_login(parser)
    parser.add_argument("--key", metavar="COLUMN", default="email", help="tells rows apart; the recipient (email)")
    parser.add_argument(
        "--resume", type=not_empty, metavar="FILE", help="remember each row in FILE, and leave out what is done"
    )
    parser.add_argument("--in-doubt", choices=["park", "retry"], default="park", help="what an earlier run left so")
    parser.add_argument("--preview", metavar="N", type=int, help="show N letters and send none")
    parser.add_argument(
        "--page", action="store_true", help=f"show the first {_ON_A_PAGE} letters, or N, on a page; send none"
    )
    parser.add_argument("--dry-run", type=not_empty, metavar="FOLDER", help="write all letters there and send none")
    parser.add_argument("--format", choices=["csv", "jsonl"], help="of ROWS, if its name does not say")
    parser.add_argument("--from", dest="sender", metavar="ADDRESS", help="instead of From in NAME.head")
    parser.add_argument("--subject", metavar="TEMPLATE", help="instead of Subject in NAME.head")
    parser.add_argument("--sign", metavar="DOMAIN:SELECTOR:FILE", help="sign by DKIM with the key in FILE")
    parser.add_argument("--unsubscribe", metavar="URL", help="of the application for one-click unsubscription")
    parser.add_argument("--list-id", metavar="ID", help="such as news.example.com, with --unsubscribe")
    parser.add_argument(
        "--suppressed", type=not_empty, metavar="FILE", help="the file of a SuppressionList, see docs/suppression.md"
    )
    parser.add_argument("--queue", type=not_empty, metavar="FILE", help="leave the letters in this queue")
    parser.add_argument("--tag", type=not_empty, metavar="NAME", help="what they belong to, unless NAME.head has a Tag")
    parser.add_argument("--limit", metavar="N", type=int, default=16, help="most letters under way (16)")
    parser.add_argument("--connections", metavar="N", type=int, help="most connections at a time (4)")
    parser.add_argument("--pace", metavar="N", type=float, help="most letters a second")
    parser.add_argument(
        "--report", type=not_empty, metavar="FILE", help="write what happened as a page of HTML, with plots"
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    parser.set_defaults(run=_merge_rows)
