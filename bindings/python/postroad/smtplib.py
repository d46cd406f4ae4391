"""The standard module smtplib, sending by postroad's protocol engine: MAIL, RCPT and content go out together where the
server takes that (PIPELINING), and LMTP gets a reply for each recipient.

    from postroad import smtplib

All else is the standard module's own: its classes are subclassed, its exceptions are raised. See
docs/python-smtplib.md for what differs.
"""

from __future__ import annotations

import email.utils
import smtplib as _standard
from smtplib import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPNotSupportedError,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    quoteaddr,
    quotedata,
)
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from . import _core
from ._errors import Error, from_core

__all__ = [
    "LMTP",
    "SMTP",
    "SMTP_SSL",
    "SMTPAuthenticationError",
    "SMTPConnectError",
    "SMTPDataError",
    "SMTPException",
    "SMTPHeloError",
    "SMTPNotSupportedError",
    "SMTPRecipientsRefused",
    "SMTPResponseException",
    "SMTPSenderRefused",
    "SMTPServerDisconnected",
    "quoteaddr",
    "quotedata",
]

_MOST_TOGETHER = 1000
_Refused = Dict[str, Tuple[int, bytes]]


def __getattr__(name: str) -> Any:
    # what is not exported, and programs use all the same: SMTP_PORT, CRLF, _MAXLINE
    return getattr(_standard, name)


class SMTP(_standard.SMTP):
    """As smtplib.SMTP."""

    _protocol = "smtp"

    def sendmail(
        self,
        from_addr: str,
        to_addrs: Union[str, Sequence[str]],
        msg: Any,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> _Refused:
        """Sends `msg`, str of ASCII or octets, from `from_addr` to `to_addrs`, and returns who was refused, with code
        and text. `mail_options` and `rcpt_options` are parameters of MAIL and of each RCPT.

        Raises what smtplib raises: SMTPSenderRefused, SMTPRecipientsRefused where all are refused, SMTPDataError,
        SMTPNotSupportedError, SMTPHeloError, SMTPServerDisconnected.
        """
        self.ehlo_or_helo_if_needed()
        recipients = [to_addrs] if isinstance(to_addrs, str) else list(to_addrs)
        sender, *paths = (_path(a) for a in (from_addr, *recipients))
        options = _options(mail_options, rcpt_options)
        if options is None or not paths or any("@" not in p for p in (sender or "@", *paths)):
            # what the engine does not say: parameters that it does not know, names without a domain
            return super().sendmail(from_addr, to_addrs, msg, mail_options, rcpt_options)
        if "utf8" in options and not self.has_extn("smtputf8"):
            raise SMTPNotSupportedError("SMTPUTF8 not supported by server")
        if isinstance(msg, str):
            octets = _standard._fix_eols(msg).encode("ascii")  # type: ignore[attr-defined]
        elif isinstance(msg, (bytes, bytearray, memoryview)):
            octets = bytes(msg)
        else:  # bytes(5) would be five NULs
            raise TypeError(f"msg must be a str or octets, not {type(msg).__name__}")
        # so many replies to what goes out together could fill the buffers both ways (RFC 2920 section 3.1)
        unsaid = ("starttls", "pipelining") if len(paths) > _MOST_TOGETHER else ("starttls",)
        hello = [f"{n.upper()} {v}".rstrip().encode() for n, v in self.esmtp_features.items() if n not in unsaid]
        talk = _core.Dialogue(self._protocol, hello, bool(self.does_esmtp))
        try:
            encoded = [p.encode() for p in paths]
            talk.begin(octets, sender.encode(), encoded, {n: v for n, v in options.items() if n != "utf8"})
        except Error as e:
            raise _refused_here(e) from None
        return self._outcome(from_addr, recipients, *self._talked(talk))

    def _talked(self, talk: _core.Dialogue) -> Any:
        while True:
            while out := talk.output():
                self.send(out)
            if (found := talk.outcome()) is not None:
                return found
            talk.received(self._line())

    def _line(self) -> bytes:
        if self.file is None:
            assert self.sock is not None
            self.file = self.sock.makefile("rb")
        most = _standard._MAXLINE  # type: ignore[attr-defined]
        try:
            line: bytes = self.file.readline(most + 1)
        except OSError as e:
            self.close()
            raise SMTPServerDisconnected(f"Connection unexpectedly closed: {e}") from None
        if not line:
            self.close()
            raise SMTPServerDisconnected("Connection unexpectedly closed")
        if self.debuglevel > 0:
            self._print_debug("reply:", repr(line))  # type: ignore[attr-defined]
        if len(line) > most:
            self.close()
            raise SMTPResponseException(500, "Line too long.")
        return line

    def _outcome(self, from_addr: str, recipients: List[str], error: Any, each: Sequence[Tuple[Any, ...]]) -> _Refused:
        missed = {
            to: (code, phase, _words(enhanced, text))
            for to, (status, phase, code, enhanced, text) in zip(recipients, each)
            if status != "accepted"
        }
        left = any(code == 421 for code, _, _ in missed.values())
        if error is not None and not left and (not missed or any(code == 0 for code, _, _ in missed.values())):
            failed = from_core(error)
            if not each or any(status != "rejected" for status, *_ in each):
                self.close()  # else it was refused here: nothing of it was said
            raise _refused_here(failed)
        refused: _Refused = {to: (code, words) for to, (code, _, words) in missed.items()}
        if left:
            self.close()
        if len(refused) < len(set(recipients)):
            return refused
        if not left:
            self._rset()  # type: ignore[attr-defined]
        said = next(iter(missed.values()))
        # of those whom the server had taken, what became of the message
        code, phase, words = next((m for m in missed.values() if m[1] not in ("mail", "rcpt")), said)
        if phase == "mail":
            raise SMTPSenderRefused(code, words, from_addr)
        if phase == "rcpt":
            raise SMTPRecipientsRefused(refused)
        raise SMTPDataError(code, words)


class SMTP_SSL(SMTP, _standard.SMTP_SSL):
    """As smtplib.SMTP_SSL."""


class LMTP(SMTP, _standard.LMTP):
    """As smtplib.LMTP; but of several recipients each has its own reply to the content, which stands among the refused
    if it is a refusal, and SMTPDataError is raised where each is."""

    _protocol = "lmtp"


def _path(address: str) -> str:
    """The address in what may be a whole mailbox, as smtplib finds it."""
    name, found = email.utils.parseaddr(address)
    return found if (name, found) != ("", "") else address.strip().strip("<>")


def _options(mail: Sequence[str], rcpt: Sequence[str]) -> Optional[Dict[str, Any]]:
    """What the parameters ask for; None if the engine does not know one of them."""
    asked: Dict[str, Any] = {}
    for word in mail:
        name, _, value = word.upper().partition("=")
        if name == "SMTPUTF8":
            asked["utf8"] = True
        elif name == "RET" and value in ("FULL", "HDRS"):
            asked["returned"] = "full" if value == "FULL" else "headers"
        elif name != "SIZE" and word.upper() not in ("BODY=8BITMIME", "BODY=7BIT", "8BITMIME"):
            return None
    for word in rcpt:
        name, _, value = word.upper().partition("=")
        if name != "NOTIFY":
            return None
        asked["notify"] = [event.lower() for event in value.split(",")]
    return asked


def _words(enhanced: str, text: str) -> bytes:
    # a code stands on each line (RFC 2034 section 4)
    code = "" if enhanced == "0.0.0" else enhanced  # there was none
    return "\n".join(f"{code} {line}".strip() for line in text.split("\n")).encode()


def _refused_here(error: Error) -> Exception:
    """As smtplib would say it."""
    if error.code.endswith("_unsupported") or error.code == "line_too_long":
        return SMTPNotSupportedError(str(error))
    if error.code in ("connection_closed", "service_closing", "timed_out"):
        return SMTPServerDisconnected(str(error))
    return error
