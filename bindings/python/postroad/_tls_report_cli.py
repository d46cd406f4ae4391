"""The subcommand tls-report: domains are told how TLS with their servers went."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from ._compose_cli import signer_of
from ._config import load
from ._errors import printable
from ._shell import FAILED, GOOD, TRY_LATER, URL_HELP, add_login, destination, not_empty, proof, worse, write
from ._tls_report import TlsReported, report_tls


def _line(told: TlsReported) -> str:
    about = f"{told.domain}, {told.day}: "
    if told.places:
        return about + f"told {', '.join(told.places)}"
    if not told.error:
        return about + "wants no reports"
    return about + f"{'is tried again' if told.again else 'not told'}: {told.error}"


def _run(args: argparse.Namespace) -> int:
    url, account, _ = destination(args.what, args, load())
    status = GOOD
    for told in report_tls(
        args.folder,
        url,
        contact=args.contact,
        organization=args.organization,
        sign=signer_of(args.sign),
        suppression=args.suppressed,
        **proof(args, url, account),
    ):
        write(json.dumps(dataclasses.asdict(told), default=str) if args.json else printable(_line(told)))
        if told.error and not told.places:
            status = worse(status, TRY_LATER if told.again else FAILED)
    return status


def register(commands: Any) -> None:
    """Adds the subcommand."""
    p = commands.add_parser(
        "tls-report",
        help="tell domains how TLS with their servers went",
        usage="postroad tls-report --contact ADDRESS [options] FOLDER [URL]",
        description="Sends the reports (RFC 8460) about the days that are over of what `postroad run --tls-results "
        "FOLDER` counted: once a day, at a time of your own. The status is 75 where some are to be tried again; places "
        "that failed are left alone for a while, longer each time.",
    )
    p.add_argument("folder", metavar="FOLDER", type=not_empty)
    p.add_argument("what", metavar="URL", nargs="*", help=URL_HELP)
    add_login(p)
    p.add_argument("--contact", type=not_empty, metavar="ADDRESS", required=True, help="sender of the reports")
    p.add_argument("--organization", metavar="NAME", default="", help="who reports, for people")
    p.add_argument("--sign", type=not_empty, metavar="DOMAIN:SELECTOR:FILE", help="a key that signs the mail")
    p.add_argument(
        "--suppressed", type=not_empty, metavar="FILE", help="a SuppressionList, told of reports that come back"
    )
    p.add_argument("--json", action="store_true", help="print JSON, an object a line")
    p.set_defaults(run=_run)
