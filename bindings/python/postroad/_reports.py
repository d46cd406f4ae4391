"""Reports that come back: read, explained, written."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Optional, Tuple

from . import _core
from ._errors import InvalidInput
from ._message import Message
from ._messages import Mailbox, check_several, choice, instance, mailbox, message_octets, octets, sender_octets

if TYPE_CHECKING:
    from ._messages import MessageLike

_ACTIONS = ["failed", "delayed", "delivered", "relayed", "expanded"]


@dataclass(frozen=True)
class ReportedRecipient:
    """What a report says of one recipient. Its text is escaped and cut, and not to be trusted: anybody may send one."""

    final: str
    """The address as the reporting server knew it."""
    action: str = "unknown"
    """"failed", "delayed", "delivered", "relayed", "expanded", or "unknown"."""
    status: Optional[str] = None
    """The enhanced status code, such as "5.1.1" (RFC 3463)."""
    diagnostic: str = ""
    """The reply of `remote_mta`, mostly."""
    remote_mta: str = ""
    will_retry_until: str = ""
    original: str = ""
    """The address as the sender wrote it (ORCPT); often empty."""
    cause: str = "unknown"
    """Why: "unknown_recipient", "mailbox_full", "spam" and others, see docs/reports.md."""
    certainty: str = "none"
    """How sure the cause is: "certain", "likely", "guessed", or "none"."""

    @property
    def address(self) -> str:
        return self.original or self.final


@dataclass(frozen=True)
class Report:
    """A delivery report or a complaint."""

    form: str
    """What it was read from: "standard" (fields for programs), "text" of a known server, or "header"."""
    recipients: Tuple[ReportedRecipient, ...] = ()
    envelope_id: str = ""
    """The ENVID of the message."""
    original_message_id: str = ""
    reporting_mta: str = ""
    feedback_type: str = ""
    """What a complaint is about, such as "abuse"; empty if it is none."""
    source_ip: str = ""


def octets_of(message: MessageLike) -> bytes:
    if isinstance(message, Message):
        return bytes(message)
    if isinstance(message, os.PathLike):
        return Path(message).read_bytes()
    return message_octets(message)


def reports_as(on_failure: str, reporting_mta: Optional[str], client_name: Optional[str]) -> Optional[bytes]:
    """Who reports failures, if that is asked for."""
    if on_failure != "report":
        if reporting_mta is not None:
            raise InvalidInput('reporting_mta is of use with on_failure="report" only', code="contradiction")
        return None
    return octets("reporting_mta", reporting_mta or client_name or socket.getfqdn())


def _return_path(message: bytes) -> Optional[str]:
    """What its field names, "" for the null reverse path; None if nothing can be read there."""
    fields = BytesHeaderParser().parsebytes(message).raw_items()  # get() would have no octets of one in UTF-8
    value = next((str(value) for name, value in fields if name.lower() == "return-path"), "").strip()
    if value == "<>":
        return ""
    try:
        return mailbox("sender", value.encode("utf-8", "surrogateescape").decode())[2].decode()
    except (InvalidInput, UnicodeError):
        return None


def read_report(message: MessageLike) -> Optional[Report]:
    """What a message that came back reports; None if it is no report."""
    found = _core.read_report(octets_of(message))
    if found is None:
        return None
    form, envelope_id, message_id, mta, feedback_type, source_ip, each = found
    recipients = tuple(
        ReportedRecipient(final, action, status, diagnostic, remote, until, original, cause, certainty)
        for original, final, action, status, diagnostic, remote, until, cause, certainty in each
    )
    return Report(form, recipients, envelope_id, message_id, mta, feedback_type, source_ip)


def write_report(
    about: MessageLike,
    recipients: Iterable[ReportedRecipient],
    *,
    reporting_mta: str,
    sender: Optional[Mailbox] = None,
    arrived: Optional[datetime] = None,
    text: str = "",
    subject: str = "",
    full: bool = False,
) -> Optional[bytes]:
    """A report to the sender of `about` (RFC 3464): `sender`, or who its header names, Return-Path before Sender and
    From. To be sent with sender="", since nobody answers to a report. None where the sender is the null reverse path,
    or nobody failed or waits: successes are reported to those who asked, and a header does not tell.

    `reporting_mta` is the name of this host. `full` returns all of the message if a recipient failed, not its header
    only. `text` and `subject` are for people, instead of ours."""
    check_several("recipients", recipients)
    recipients = list(recipients)
    for r in recipients:
        instance("a recipient", r, ReportedRecipient)
    whole = octets_of(about)
    if sender is None:
        sender = _return_path(whole)
    given = [
        tuple(
            octets("a recipient", part)
            for part in (
                r.original,
                r.final,
                choice("action", r.action, _ACTIONS) or "",
                r.status or "",
                r.diagnostic,
                r.remote_mta,
                r.will_retry_until,
            )
        )
        for r in recipients
    ]
    if arrived is not None:
        instance("arrived", arrived, datetime)
    if arrived is not None and arrived.tzinfo is None:
        raise InvalidInput("arrived needs a time zone", code="invalid_option", phase="prepare")
    if arrived is not None and not 1900 <= arrived.year < 2262:
        raise InvalidInput("arrived must be in the years 1900 to 2261", code="invalid_option", phase="prepare")
    words = (octets("reporting_mta", reporting_mta), octets("text", text), octets("subject", subject))
    when = None if arrived is None else arrived.timestamp()
    found = _core.write_report(whole, sender_octets(sender), given, words, when, full)
    return None if found is None else found[0]
