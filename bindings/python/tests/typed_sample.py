"""What users write, for mypy --strict; it is not run."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
from datetime import datetime, timezone
from email.headerregistry import Address
from email.message import EmailMessage, Message
from pathlib import Path
from typing import Iterator, List, Optional

import postroad


def synchronous(message: EmailMessage) -> postroad.Receipt:
    with postroad.Mailer("smtp://ann:secret@smtp.example.com:587", ca_file=Path("ca.pem"), connections=4) as mail:
        receipt: postroad.Receipt = mail.send(message, sender="", recipients=["bob@example.org"])
        receipt.require_accepted()
        refused: List[str] = [r.address for r in receipt.rejected if r.status is postroad.Status.REJECTED]
        code: Optional[int] = receipt.recipients[0].code
        print(refused, code, receipt.attempts + 1)
        ticket: postroad.Ticket = mail.submit(b"From: a@x.example\r\nTo: b@x.example\r\n\r\nHi")
        return ticket.wait(timeout=3.5)


def bulk(mail: postroad.Mailer, messages: Iterator[EmailMessage], legacy: Message) -> int:
    mail.send(legacy)
    mail.send(Path("mail.eml"))
    mail.send(legacy, sender=("Ann", "ann@example.com"), recipients=["a@x.example", ("Bob", "b@x.example")])
    mail.submit(legacy, sender=Address("Ann", "ann", "example.com"), recipients=("Bob", "b@x.example"))
    failed = 0
    for receipt in mail.send_many(messages, limit=10, progress=True):
        if receipt.error is not None and receipt.error.transient:
            failed += 1
    return failed


async def concurrent(message: EmailMessage) -> None:
    async with postroad.Mailer("smtp://smtp.example.com") as mail:
        first, second = await asyncio.gather(mail.asend(message), mail.asend(message))
        both: List[postroad.Receipt] = [first, second]
        print(len(both))
        ticket: postroad.Ticket = await mail.asubmit(message, tag="news")
        ticket.add_done_callback(lambda done: print(done.wait(0).attempts))
        receipt: postroad.Receipt = await ticket
        print(receipt.index)


async def left_early(mail: postroad.Mailer, messages: List[bytes]) -> None:
    receipts = mail.asend_many(messages)
    async for receipt in receipts:
        print(receipt.index)
        break
    await receipts.aclose()
    with contextlib.closing(mail.send_many(messages)) as some:
        print(next(some).index)
    with contextlib.closing(mail.merge([{"email": "b@x.example"}], "letters/hi", in_doubt="retry")) as merged:
        print(next(merged).state)
    mail.merge([], "letters/hi", in_doubt="perhaps")  # type: ignore[arg-type]


def happened(event: postroad.Event) -> None:
    print(event.kind.upper(), event.status and event.status.value, event.took + 1.0)


def watched(message: EmailMessage) -> None:
    with postroad.Mailer(
        "smtp://smtp.example.com", auth=["PLAIN", "LOGIN"], key_passphrase="secret", on_event=happened
    ) as mail:
        mail.send(message)
    one: postroad.Receipt = postroad.send("smtp://smtp.example.com", message, insecure_authentication=True, tag="x")
    print(one.all_accepted)


def token(request: postroad.CredentialsRequest) -> str:
    return "new" if request.refused_token else request.server


def asked(message: EmailMessage) -> None:
    reports = postroad.Delivery(notify="never", hold_until=datetime.now(timezone.utc))
    with postroad.Mailer(
        "smtp://smtp.example.com", user="ann", credentials=token, pipelining="window", window=8
    ) as mail:
        mail.send(message, delivery=reports, delay=1, give_up_after=60.0)
    postroad.Mailer("smtp://smtp.example.com", credentials=lambda request: ("ann", "secret")).close()


def looked_at() -> bool:
    found = postroad.diagnose("smtp://smtp.example.com", recipients=["bob@example.org"])
    print(found, [step.advice for step in found.steps], found.error and found.error.code)
    return found.good


def caught(mail: postroad.Mailer, message: EmailMessage) -> Optional[str]:
    try:
        mail.send(message)
    except postroad.Error as e:
        outcomes = e.receipt.recipients if e.receipt else ()
        print(e.code.upper(), e.host, len(outcomes))
        return e.reply
    except smtplib.SMTPException as other:
        print(other.errno)
    return None


def tree(key: Path) -> postroad.Message:
    options: postroad.PartOptions = {"media_type": "text/plain; format=flowed", "headers": {"Content-Language": "de"}}
    parts = [
        postroad.BodyPart.text("x", **options),
        postroad.BodyPart.file(key),
        postroad.BodyPart.stream([b"x"], name="a"),
    ]
    found: postroad.KeyCheck = postroad.Dkim("example.com", "s", key).check(lambda name: [b"v=DKIM1; p="])
    print(found.verdict == "bad", found.why.upper())
    return postroad.Message(from_="a@x", to="b@y", body=postroad.BodyPart.multipart("multipart/mixed", *parts))


def looked_back(path: str) -> None:
    which: postroad.JournalFilter = {"recipient": "b@x.example", "status": postroad.Status.REJECTED}
    for entry in postroad.Queue(path).journal(limit=3, **which):
        print(entry.settled.isoformat(), entry.recipients[0].code)
