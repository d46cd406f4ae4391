"""Messages taken into a queue in a file: those of an export, of an mbox, a Maildir, and .eml files."""

from __future__ import annotations

import asyncio
import hashlib
import json
import mailbox
import os
import re
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Set, Tuple, Union

from . import _core
from ._arguments import MOST
from ._delivery import Delivery
from ._errors import AlreadyQueued, Error, InvalidInput
from ._export import pages_of
from ._mailer import Mailer

if TYPE_CHECKING:
    from ._tickets import Ticket

_AT_ONCE = 256
"""Most messages that share a write to the disk."""
_OCTETS_AT_ONCE = 16 << 20
_KEYS_KEPT = 7 * 86400.0
_YEAR = 365 * 86400.0
_UNTIL_HELD = 30 * _YEAR
"""What is to be held is queued for then, so that it does not go should the import end before it holds it."""
_NOT_HELD = 29 * _YEAR
"""What is due later is of such an import."""
_GO_BY_THEMSELVES = ("waiting", "delayed")
_SERVED = ("accepted",)
_OVER = ("accepted", "rejected")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


@dataclass(frozen=True)
class Item:
    """A message to be taken; or why it cannot be."""

    name: str
    message: Union[Path, bytes] = b""
    options: Dict[str, Any] = field(default_factory=dict)
    held: bool = False
    bad: str = ""


@dataclass
class Taken:
    """What became of the messages of a source."""

    imported: int = 0
    known: int = 0
    """Of those that were queued before."""
    refused: int = 0


def items(source: Path) -> Iterator[Item]:
    """The messages of `source`, as they are asked for. Raises InvalidInput and OSError."""
    if not source.is_dir():
        with open(source, "rb") as file:
            is_mbox = file.read(5) == b"From "
        return _of_mbox(source) if is_mbox else _of_files([source])
    if (source / "messages.jsonl").is_file():
        return _of_export(source)
    if (source / "cur").is_dir() and (source / "new").is_dir():
        return _of_files(p for name in ("new", "cur") for p in sorted((source / name).iterdir()))
    found = sorted(source.glob("*.eml"))
    if not found:
        why = "it holds no export, is no Maildir, and has no .eml files: name another"
        raise InvalidInput(f"{source}: {why}", code="invalid_option")
    return _of_files(found)


def _of_files(paths: Any) -> Iterator[Item]:
    for path in paths:
        if path.name.startswith("."):
            continue
        try:
            with open(path, "rb") as file:
                digest = hashlib.sha256()
                while octets := file.read(1 << 20):
                    digest.update(octets)
            yield Item(str(path), path, {"idempotency_key": _key(digest.hexdigest())})
        except OSError as e:
            yield Item(str(path), bad=e.strerror or str(e))


def _of_mbox(path: Path) -> Iterator[Item]:
    box = mailbox.mbox(path, create=False)
    try:
        for n, key in enumerate(box.iterkeys(), 1):
            octets = _QUOTED.sub(rb"\1", box.get_bytes(key))
            yield Item(f"{path}: message {n}", octets, {"idempotency_key": _key(hashlib.sha256(octets).hexdigest())})
    finally:
        box.close()


def _of_export(folder: Path) -> Iterator[Item]:
    with open(folder / "messages.jsonl", "rb") as lines:
        for n, line in enumerate(lines, 1):
            name = f"{folder / 'messages.jsonl'}: line {n}"
            try:
                yield from _exported(name, folder, dict(json.loads(line)))
            except InvalidInput as e:
                yield Item(name, bad=str(e))
            except (ValueError, TypeError, KeyError):
                yield Item(name, bad="it is not as an export writes it")


def _exported(name: str, folder: Path, line: Dict[str, Any]) -> List[Item]:
    """As many as there are different wishes among its recipients, which is one but for messages of other programs."""
    if line["file"] is None or line.get("cut"):
        return [Item(name, bad=str(line.get("error") or "the queue kept only a part of it"))]
    if Path(line["file"]).name != line["file"]:
        return [Item(name, bad="its file is not in the folder")]
    over = _SERVED if line["state"] == "failed" else _OVER
    groups: Dict[Tuple[Any, ...], List[str]] = {}
    for r in line["recipients"]:
        if r["status"] not in over:
            wishes = (tuple(r.get("notify") or ()), r.get("original_recipient") or None)
            groups.setdefault(wishes, []).append(r["address"])
    if not groups:
        return [Item(name, bad="each of its recipients has got it, or was refused")]
    key = line.get("idempotency_key") or _key(str(line["id"]))
    held = line["state"] not in _GO_BY_THEMSELVES
    return [
        Item(
            name,
            folder / line["file"],
            {
                "sender": line["sender"],
                "recipients": recipients,
                "delivery": _delivery(line["delivery"], *wishes),
                "idempotency_key": key if n == 1 else f"{key} {n}",
                **_schedule(line, held),
                **{of: line[of] for of in ("tenant", "tag", "traffic_class") if line[of]},
            },
            held,
        )
        for n, (wishes, recipients) in enumerate(groups.items(), 1)
    ]


def _key(of: str) -> str:
    return f"import {of}"


def _delivery(asked: Dict[str, Any], notify: Tuple[Any, ...], original_recipient: Optional[str]) -> Delivery:
    until = asked.get("hold_until")
    more = {} if until is None else {"hold_until": datetime.fromisoformat(until)}
    return Delivery(**{**asked, **more, "notify": notify, "original_recipient": original_recipient})


def _schedule(line: Dict[str, Any], held: bool) -> Dict[str, float]:
    """At what time it was to go, and until when, seen from now."""

    def left(at: str) -> float:
        return (datetime.fromisoformat(at) - datetime.now(timezone.utc)).total_seconds()

    found: Dict[str, float] = {}
    if held:
        found["delay"] = _UNTIL_HELD
    elif line["due"] is not None and (wait := left(line["due"])) > 0:
        found["delay"] = wait
    if line["give_up"] is not None and line["state"] != "failed":
        found["give_up_after"] = left(line["give_up"])
        if found["give_up_after"] <= 0:
            raise InvalidInput("its time is over", code="invalid_option")
    return found


def take(queue: str, source: Path, refused: Callable[[str], None], step: Callable[[bool], None]) -> Taken:
    """Takes the messages of `source` into the file `queue`, which is made if it is missing. `refused` is told of each
    that cannot be taken, `step` whether it could. Raises Error where nothing more can be stored; the same again takes
    what is missing."""
    taken = Taken()
    may_not_be_held: Set[str] = set()
    with Mailer("discard://", queue=queue, submit_only=True, capacity=MOST, keys_kept=_KEYS_KEPT) as mail:

        def note(item: Item, result: Union[Ticket, Exception]) -> None:
            if isinstance(result, AlreadyQueued):
                taken.known += 1
                if item.held:
                    may_not_be_held.add(item.options["idempotency_key"])
            elif isinstance(result, Exception):
                if _ends(result):
                    raise result
                taken.refused += 1
                refused(f"{item.name}: {result}")
            else:
                taken.imported += 1
                if item.held and result.id is not None:
                    mail.hold(id=result.id)
            step(not isinstance(result, Exception) or isinstance(result, AlreadyQueued))

        for some in _pages(items(source)):
            for item, result in zip(some, asyncio.run(_queued(mail, some))):
                note(item, result)
        if may_not_be_held:
            _hold_rest(mail, queue, may_not_be_held)
    return taken


def _hold_rest(mail: Mailer, queue: str, keys: Set[str]) -> None:
    """Those of these keys that an import queued, which ended before it held them."""
    core = _core.Queue(os.fsencode(queue))
    late = (time.time() + _NOT_HELD) * 1e6
    for page, _ in pages_of(core, {"state": "delayed"}):
        for parts, _ in page:
            if parts["idempotency_key"] in keys and (parts["due"] or 0) > late:
                mail.hold(id=parts["id"])


def _pages(all_items: Iterator[Item]) -> Iterator[List[Item]]:
    some: List[Item] = []
    octets = 0
    for item in all_items:
        some.append(item)
        octets += len(item.message) if isinstance(item.message, bytes) else 0
        if len(some) == _AT_ONCE or octets >= _OCTETS_AT_ONCE:
            yield some
            some, octets = [], 0
    if some:
        yield some


async def _queued(mail: Mailer, some: List[Item]) -> List[Union[Ticket, Exception]]:
    return await asyncio.gather(*(_queued_one(mail, item) for item in some))


async def _queued_one(mail: Mailer, item: Item) -> Union[Ticket, Exception]:
    if item.bad:
        return InvalidInput(item.bad, code="invalid_option")
    try:
        return await mail.asubmit(item.message, **item.options)
    except (Error, OSError) as e:
        return e


def _ends(e: Exception) -> bool:
    """Whether no other message can be stored either."""
    return isinstance(e, Error) and e.code.startswith("storage_")
