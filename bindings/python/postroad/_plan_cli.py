"""postroad plan: how long a campaign will take, by the library's simulator. See docs/command.md."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, DefaultDict, Dict, List, Optional, Sequence, Tuple

from ._compose_cli import duration
from ._errors import InvalidInput
from ._jobs import Queue
from ._messages import seconds
from ._plan_page import page_of, plot_in_terminal
from ._progress import Bar
from ._report import check_writable, figure_class, write_page
from ._rows import KINDS, BadRow, as_row, read_file
from ._shell import FAILED, GOOD, complain, not_empty, write

MOST_MESSAGES = 100_000_000
MOST_HOSTS = 1_000_000
# column of a file of hosts: what stands where it is missing
_COLUMNS: Dict[str, float] = {
    "share": 1,
    "round_trip_ms": 50,
    "work_ms": 100,
    "connections": 0,
    "messages_a_connection": 0,
    "messages_a_minute": 0,
    "greylisting_s": 0,
    "down_from_s": 0,
    "down_until_s": 0,
}
_TRIPS = 2
"""Round trips of a message, as the simulator has them."""
_WHOLE = ("connections", "messages_a_connection", "messages_a_minute")
HostParts = Tuple[float, float, float, int, int, int, float, float, float]


def _number(file: str, row: int, name: str, given: object) -> float:
    try:
        value = float(str(given)) if str(given).strip() else _COLUMNS[name]
    except ValueError:
        value = -1
    if not 0 <= value <= 1e9 or (name in _WHOLE and value != int(value)):
        what = "a whole number" if name in _WHOLE else "a number"
        raise InvalidInput(f"{file}: row {row}: {name} must be {what} from 0 to 1000000000", code="invalid_rows")
    return value


def _host(v: Dict[str, float]) -> HostParts:
    return (
        v["share"],
        v["round_trip_ms"] / 1000,
        v["work_ms"] / 1000,
        int(v["connections"]),
        int(v["messages_a_connection"]),
        int(v["messages_a_minute"]),
        v["greylisting_s"],
        v["down_from_s"],
        v["down_until_s"],
    )


def _rows(file: str) -> List[Dict[str, Any]]:
    found = []
    kind = KINDS.get(Path(file).suffix.lower(), "csv")
    for n, given in enumerate(read_file(file, kind), 1):
        try:
            found.append(as_row(given))
        except BadRow as e:
            raise InvalidInput(f"{file}: row {n}: {e}", code="invalid_rows") from None
    if not found:
        raise InvalidInput(f"{file}: there are no rows", code="invalid_rows")
    return found


def _hosts(file: str) -> Dict[str, Dict[str, float]]:
    """By name, lower case."""
    hosts: Dict[str, Dict[str, float]] = {}
    for n, row in enumerate(_rows(file), 1):
        if unknown := [c for c in row if c not in _COLUMNS and c != "name"]:
            known = ", ".join(["name", *_COLUMNS])
            raise InvalidInput(f"{file}: there is no column {unknown[0]!r}: write {known}", code="invalid_rows")
        name = str(row.get("name") or n).lower()
        if name in hosts:
            raise InvalidInput(f"{file}: row {n}: {name!r} stands there before", code="invalid_rows")
        hosts[name] = {c: _number(file, n, c, row.get(c, "")) for c in _COLUMNS}
    return hosts


def _learned(file: str) -> Dict[str, Dict[str, float]]:
    """Hosts by domain, as the journal of a queue has them; those of "*" are as the usual one, and get nothing."""
    first: DefaultDict[str, List[float]] = defaultdict(list)
    again: DefaultDict[str, List[float]] = defaultdict(list)
    for entry in Queue(file).journal():
        if entry.tried is None:
            continue
        took = (entry.settled - entry.tried).total_seconds()
        for domain in {r.address.rpartition("@")[2].lower() for r in entry.recipients}:
            (first if entry.attempts < 2 else again)[domain].append(took)
    if not first and not again:
        raise InvalidInput(f"{file}: its journal has no message that was tried", code="invalid_rows")
    hosts = {domain: _observed(first[domain], again[domain]) for domain in sorted({*first, *again})}
    usual = [took for found in first.values() for took in found]
    return {**hosts, "*": {**_observed(usual, []), "share": 0}}


def _observed(first: List[float], again: List[float]) -> Dict[str, float]:
    """Of messages that were over at their first attempt, and of the others, how long they took: what most of them were
    made to wait is taken for greylisting."""
    trips = _TRIPS * _COLUMNS["round_trip_ms"]
    work = max(0.0, 1000 * statistics.median(first) - trips) if first else _COLUMNS["work_ms"]
    waits = statistics.median(again) if len(again) > len(first) else 0.0
    return {**_COLUMNS, "share": len(first) + len(again), "work_ms": work, "greylisting_s": waits}


def _domains(file: str, key: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for n, row in enumerate(_rows(file), 1):
        domain = str(row.get(key) or "").rpartition("@")[2].strip().lower()
        if not domain:
            raise InvalidInput(
                f"{file}: row {n}: it has no address in {key!r}: name the column by --key", code="invalid_rows"
            )
        counts[domain] += 1
    return counts


def _workload(args: argparse.Namespace) -> Tuple[List[HostParts], int]:
    """Hosts, none for those of the published campaign, and how many messages."""
    known = _hosts(args.hosts) if args.hosts is not None else _learned(args.journal) if args.journal else {}
    messages = args.messages or (int(sum(h["share"] for h in known.values())) if args.journal else 1_000_000)
    if args.recipients is not None:
        domains = _domains(args.recipients, args.key)
        usual = known.get("*", _COLUMNS)
        hosts = [_host({**known.get(d, usual), "share": float(n)}) for d, n in domains.items()]
        return hosts, args.messages or sum(domains.values())
    hosts = [_host(v) for v in known.values() if v["share"] or not args.journal]
    if hosts and not any(h[0] for h in hosts):
        raise InvalidInput(f"{args.hosts}: no host has a share", code="invalid_rows")
    return hosts, messages


def _whole(option: str, value: Optional[int], most: int, least: int = 1) -> None:
    if value is not None and not least <= value <= most:
        raise InvalidInput(f"{option} {value}: write a number from {least} to {most}", code="invalid_option")


def _checked(args: argparse.Namespace) -> None:
    _whole("--messages", args.messages, MOST_MESSAGES)
    _whole("--sites", args.sites, MOST_HOSTS)
    _whole("--domains", args.domains, MOST_HOSTS, 0)
    _whole("--connections", args.connections, 100_000)
    _whole("--per-destination", args.per_destination, 100_000)
    _whole("--seed", args.seed, (1 << 63) - 1, 0)
    if args.pace is not None and not 0.001 <= args.pace <= 1e6:
        raise InvalidInput(f"--pace {args.pace}: write letters a second, 0.001 to 1000000", code="invalid_option")
    if args.hosts is not None and args.journal is not None:
        raise InvalidInput("--hosts and --journal are both given: give one of them", code="contradiction")
    if args.over is not None and args.hosts is None and args.recipients is None and args.journal is None:
        raise InvalidInput("--over goes with --hosts, --journal or --recipients", code="contradiction")


def _simulated(plan: Dict[str, Any]) -> Dict[str, Any]:
    from . import _plan

    with Bar(plan["messages"]) as bar:
        found: Dict[str, Any] = json.loads(_plan.simulate(plan, bar.reach))
    return found


def _plan_command(args: argparse.Namespace) -> int:
    _checked(args)
    if args.report is not None:
        figure_class()
        check_writable(args.report)
    hosts, messages = _workload(args)
    plan = {
        "hosts": hosts,
        "messages": messages,
        "over": 0.0 if args.over is None else seconds("--over", duration(args.over), zero=True),
        "sites": args.sites,
        "domains": args.domains,
        "connections": args.connections,
        "per_destination": min(args.per_destination, args.connections),
        "pace": args.pace,
        "queued": args.queued,
        "seed": args.seed,
    }
    found = _simulated(plan)
    facts = facts_of(found, plan)
    if args.json:
        write(json.dumps(found))
    else:
        for name, value in facts:
            write(f"{name:<28}{value}")
        if sys.stdout.isatty():
            plot_in_terminal(found)
    if args.report is not None:
        write_page(args.report, page_of(found, facts))
    for rule in found["broken"]:
        complain(f"the simulation broke a rule, so do not believe it: {rule}")
    return FAILED if found["broken"] else GOOD


def in_words(seconds: float) -> str:
    """Such as "2 h 5 min"."""
    s = round(seconds)
    if s < 60:
        return f"{seconds:.1f} s"
    if s < 3600:
        return f"{s // 60} min {s % 60} s"
    return f"{s // 3600} h {s % 3600 // 60} min" if s < 172_800 else f"{s // 86_400} d {s % 86_400 // 3600} h"


def facts_of(found: Dict[str, Any], plan: Dict[str, Any]) -> Sequence[Tuple[str, str]]:
    everything = found["t100_s"]
    rate = found["accepted"] / everything if everything else 0.0
    return [
        ("messages", f"{found['messages']:,}"),
        ("sites", f"{len(plan['hosts']) or plan['sites']:,}"),
        ("half accepted after", in_words(found["t50_s"])),
        ("95 % accepted after", in_words(found["t95_s"])),
        ("the last accepted after", in_words(everything)),
        ("accepted", f"{found['accepted']:,}, {rate:,.1f} a second"),
        ("failed", f"{found['failed']:,} messages"),
        ("put off by servers", f"{found['deferrals']:,} times"),
        ("connections", f"{found['connections']:,}, {found['most_connections']:,} at a time"),
        ("refused with 421", f"{found['replies_421']:,} times"),
        ("hosts not reached", f"{found['unreachable']:,} times"),
    ]


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "plan",
        help="predict how long a campaign takes",
        description="Simulates a campaign with the scheduler and pool that send mail, and says when it will be out. "
        "Nothing is sent. Without --hosts, --journal and --recipients the hosts are those of docs/simulator.md.",
    )
    parser.add_argument(
        "--messages", metavar="N", type=int, help="(1000000, or as many as --recipients or --journal has)"
    )
    parser.add_argument("--recipients", type=not_empty, metavar="FILE", help="CSV or JSON lines: messages by domain")
    parser.add_argument("--key", metavar="COLUMN", default="email", help="that has the address (email)")
    parser.add_argument("--hosts", type=not_empty, metavar="FILE", help="CSV or JSON lines: how hosts behave")
    parser.add_argument(
        "--journal", type=not_empty, metavar="FILE", help="the file of a queue, whose journal says how hosts behaved"
    )
    parser.add_argument("--over", metavar="DURATION", help="messages come evenly over this time, not at once")
    parser.add_argument(
        "--sites", metavar="N", type=int, default=10_000, help="hosts, where no file names them (10000)"
    )
    parser.add_argument("--domains", metavar="N", type=int, default=0, help="at those hosts (one at each)")
    parser.add_argument("--connections", metavar="N", type=int, default=16, help="at a time (16)")
    parser.add_argument("--per-destination", metavar="N", type=int, default=20, help="connections to one (20)")
    parser.add_argument(
        "--queued", action="store_true", help="from a queue in a file, as merge --queue and run send; else in memory"
    )
    parser.add_argument("--pace", metavar="N", type=float, help="most letters a second")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="equal seeds make equal plans (1)")
    parser.add_argument("--report", type=not_empty, metavar="FILE", help="write it as a page of HTML, with a plot")
    parser.add_argument("--json", action="store_true", help="print one object of JSON")
    parser.set_defaults(run=_plan_command)
