"""The subcommand queue: who looks after a queue in a file."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List

from ._errors import InvalidInput, printable
from ._import import take
from ._jobs import Job, JobFilter, Queue
from ._literals import JobState, words
from ._messages import names_a_broker
from ._progress import Bar
from ._shell import BAD_MESSAGE, GOOD, complain, not_empty, write
from ._watch import watch

_MOST = 1000
_CHANGES = ["retry", "release", "hold", "drop"]
_ACTIONS = ["list", "failed", "count", "show", "summary", "watch", *_CHANGES, "export", "import", "compact"]


def _line(job: Job) -> str:
    to = ", ".join(
        address if status == "not_attempted" else f"{address} ({status})" for address, status in job.recipients
    )
    due = f" in {job.until:.0f} s" if job.state == "delayed" else ""
    why = f"; {job.error}" if job.error else ""
    return f"{job.id} {job.state}{due}, {job.age:.0f} s old: <{job.sender}> to {to}{why}"


def _members(job: Job) -> Iterator[str]:
    for name, value in dataclasses.asdict(job).items():
        if name == "recipients":
            yield from (f"recipient: {address} {status}" for address, status in value)
        else:
            yield f"{name}: {value}"


def _summary(jobs: List[Job]) -> Dict[str, Any]:
    """What is there by tenant, tag, domain and error, most first."""
    domains: Counter[str] = Counter(address.rpartition("@")[2].lower() for j in jobs for address, _ in j.recipients[:1])
    return {
        "messages": len(jobs),
        "octets": sum(j.octets for j in jobs),
        "recipients": sum(len(j.recipients) for j in jobs),
        "states": dict(Counter(j.state for j in jobs).most_common()),
        "domains": dict(domains.most_common(20)),
        "tenants": dict(Counter(j.tenant for j in jobs if j.tenant).most_common(20)),
        "tags": dict(Counter(j.tag for j in jobs if j.tag).most_common(20)),
        "errors": dict(Counter(j.error for j in jobs if j.error).most_common(20)),
    }


def _summary_lines(found: Dict[str, Any]) -> Iterator[str]:
    for name, value in found.items():
        if not isinstance(value, dict):
            yield f"{name}: {value}"
        elif value:
            yield f"{name}:"
            yield from (f"  {n} {what}" for what, n in value.items())


def _shown(args: argparse.Namespace, value: object, lines: Iterator[str]) -> Iterator[str]:
    if args.json:
        yield json.dumps(value)
    else:
        yield from map(printable, lines)


def _which(args: argparse.Namespace) -> JobFilter:
    return {k: v for k, v in vars(args).items() if k in JobFilter.__annotations__ and v is not None}  # type: ignore[return-value]


def _refuse_useless(args: argparse.Namespace, which: JobFilter) -> None:
    """What is given and would not count: somebody expects that it does."""
    if args.action == "show" and args.id is None:
        raise InvalidInput("show needs --id", code="invalid_option")
    if args.action in ("count", "compact") and which:
        why = f"{args.action} is about all messages: summary counts those that --{next(iter(which))} names"
        raise InvalidInput(why, code="invalid_option")
    if args.action not in ("list", "failed", "summary") and args.limit is not None:
        raise InvalidInput("--limit is of use with list, failed and summary only", code="invalid_option")
    if args.action == "failed" and args.state is not None:
        raise InvalidInput("failed is list --state failed: leave --state out", code="invalid_option")
    if args.action == "release" and args.state is not None:
        raise InvalidInput("release is retry --state held: leave --state out", code="invalid_option")
    if (args.action in ("export", "import")) != (args.folder is not None):
        why = f"{args.action} needs a FOLDER" if args.folder is None else "a FOLDER goes with export and import only"
        raise InvalidInput(why, code="invalid_option")
    if args.action == "import" and which:
        why = f"import takes all messages: --{next(iter(which))} is of use with export"
        raise InvalidInput(why, code="invalid_option")
    if args.action == "watch" and args.json:
        raise InvalidInput("watch has no JSON: list and summary have", code="invalid_option")


def _looked_up(args: argparse.Namespace, queue: Queue, which: JobFilter) -> List[Job]:
    jobs = queue.jobs(limit=_MOST if args.limit is None else args.limit, **which)
    if args.action == "show" and not jobs:
        raise InvalidInput(f"no message has the number {args.id}; a journal has what is over", code="invalid_option")
    if args.limit is None and len(jobs) == _MOST:
        complain(f"these are the oldest {_MOST}: --limit N takes more")
    return jobs


def _changed(action: str, queue: Queue, which: JobFilter) -> int:
    if action == "release":
        which["state"] = "held"
    return {"hold": queue.hold, "drop": queue.drop}.get(action, queue.retry_now)(**which)


def _lines(args: argparse.Namespace) -> Iterator[str]:
    """Does what `args` say, and gives the lines to print. Raises Error and OSError."""
    of_broker = {
        name: value
        for name in ("queue_name", "queue_shards", "queue_ca_file")
        if (value := getattr(args, name, None)) is not None
    }
    which, queue = _which(args), Queue(args.file, **of_broker)
    _refuse_useless(args, which)
    if args.action == "failed":
        which["state"] = "failed"
    if args.action == "watch":
        watch(queue, which, _MOST)
    elif args.action in ("list", "failed", "show"):
        for job in _looked_up(args, queue, which):
            yield from _shown(
                args, dataclasses.asdict(job), _members(job) if args.action == "show" else iter([_line(job)])
            )
    elif args.action == "count":
        c = queue.count()
        states = [*(f"{state}: {n}" for state, n in c.by_state.items()), f"oldest: {c.oldest:.0f} s"]
        yield from _shown(args, {**c.by_state, "oldest": c.oldest}, iter(states))
    elif args.action == "summary":
        found = _summary(_looked_up(args, queue, which))
        yield from _shown(args, found, _summary_lines(found))
    elif args.action == "export":
        exported = queue.export(args.folder, **which)
        yield from _shown(args, {"exported": exported}, iter([f"{exported} messages exported"]))
    elif args.action == "compact":
        octets = queue.compact()
        yield from _shown(args, {"octets": octets}, iter([f"{octets} octets given back"]))
    else:
        if not which and not args.all:
            choices = "--all, --id, --whole, --state, --tenant, --tag or --domain"
            raise InvalidInput(f"say which: {choices}", code="invalid_option")
        changed = _changed(args.action, queue, which)
        yield from _shown(args, {"changed": changed}, iter([str(changed)]))


def _import(args: argparse.Namespace) -> int:
    """Takes messages from elsewhere. Raises Error and OSError."""
    _refuse_useless(args, _which(args))
    if names_a_broker(args.file):
        raise InvalidInput("messages are imported into a queue in a file only", code="invalid_option")
    with Bar(0, shown=not args.json) as bar:
        taken = take(args.file, Path(args.folder), complain, bar.step)
    text = f"{taken.imported} messages imported, {taken.known} known, {taken.refused} refused"
    for shown in _shown(args, dataclasses.asdict(taken), iter([text])):
        write(shown)
    return BAD_MESSAGE if taken.refused else GOOD


def look(args: argparse.Namespace) -> int:
    if args.action == "import":
        return _import(args)
    for line in _lines(args):
        write(line)
    return GOOD


def register(commands: Any) -> None:
    """Adds the subcommand."""
    queue = commands.add_parser(
        "queue",
        help="look after a queue in a file or at a broker",
        description="Lists, counts, shows, sums up or watches what is in FILE, the queue of a Mailer; lets it go now "
        "(retry; release: only what is held), holds it until then, or drops it; export copies it into FOLDER; import "
        "takes what an export, an mbox, a Maildir or a folder of .eml files holds; compact gives free room in FILE "
        "back to the disk. At a broker, amqp://..., what waits to be sent is only counted.",
    )
    queue.add_argument("file", metavar="FILE|URL")
    queue.add_argument("--queue-name", type=not_empty, metavar="NAME", help="of a queue at a broker")
    queue.add_argument("--queue-shards", type=int, metavar="N", help="of a queue at a broker")
    queue.add_argument("--queue-ca-file", type=not_empty, metavar="FILE", help="whom to trust as a broker, in PEM")
    add_looking(queue)
    queue.set_defaults(run=look)


def add_looking(queue: argparse.ArgumentParser) -> None:
    """Adds what is done, and with which messages."""
    queue.add_argument("action", choices=_ACTIONS, nargs="?", default="list")
    queue.add_argument(
        "folder",
        nargs="?",
        type=not_empty,
        metavar="FOLDER",
        help="of export: where to; of import: whence, or a file",
    )
    queue.add_argument("--id", type=int, metavar="N", help="the message of that number")
    queue.add_argument("--whole", type=int, metavar="N", help="the parts of the message of that number")
    queue.add_argument("--state", choices=words(JobState))
    queue.add_argument("--tenant", metavar="NAME")
    queue.add_argument("--tag", metavar="NAME")
    queue.add_argument("--domain", metavar="NAME", help="of the first recipient")
    queue.add_argument("--all", action="store_true", help="with retry, release, hold and drop: all of them")
    queue.add_argument("--limit", type=int, metavar="N", help=f"of list, failed and summary ({_MOST})")
    queue.add_argument("--json", action="store_true", help="print JSON, an object a line")
