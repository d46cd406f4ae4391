"""The subcommand services: the well-known ones, and what they take."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any, Iterator

from ._errors import InvalidInput
from ._services import Service, ServiceLimits, services
from ._shell import GOOD, not_empty, write


def _numbers(limits: ServiceLimits) -> str:
    named = (
        (limits.messages_a_day, "messages a day"),
        (limits.recipients_a_day, "recipients a day"),
        (limits.recipients_a_message, "recipients a message"),
        (limits.megabytes_a_message, "MB a message"),
    )
    of = f" ({limits.of})" if limits.of else ""
    return ", ".join(f"{n:,} {what}" for n, what in named if n is not None) + of


def _lines(service: Service) -> Iterator[str]:
    yield f"{service.name}: {service.url}"
    yield f"  login: {service.hint}; {service.source}"
    if service.limits is not None:
        yield f"  takes: {_numbers(service.limits)}; {service.limits.source}, seen {service.limits.seen}"


def show(args: argparse.Namespace) -> int:
    """Prints the services that `args` name. Raises InvalidInput for one that is not known."""
    names = [name.lower() for name in args.name] or list(services)
    for name in names:
        if name not in services:
            raise InvalidInput(f"there is no service {name!r}: postroad services lists them", code="invalid_option")
    for name in names:
        if args.json:
            write(json.dumps(dataclasses.asdict(services[name])))
        else:
            for line in _lines(services[name]):
                write(line)
    return GOOD


def register(commands: Any) -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "services",
        help="the well-known services: servers, logins, and how much they take",
        description="Prints of each service that can stand in place of a URL, or of each NAME, its server, what its "
        "login is, and how much it takes, as far as it publishes that, with the page and the day it was read.",
    )
    parser.add_argument("name", nargs="*", type=not_empty, metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print JSON, an object a line")
    parser.set_defaults(run=show)
