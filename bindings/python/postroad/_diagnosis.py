"""Why mail does not go."""

from __future__ import annotations

import email.utils
import os
from dataclasses import asdict, dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, Optional, Tuple, Union

from . import _core
from ._credentials import mechanisms
from ._errors import Error, from_core
from ._literals import Grade
from ._message import Dkim, Message, signatures_of
from ._messages import (
    check_optional_flags,
    file_octets,
    message_octets,
    octets,
    optional_octets,
    recipient_octets,
    seconds,
    sender_octets,
)
from ._secrets import keeps_secrets
from ._services import url_of
from ._threads import waiting

if TYPE_CHECKING:
    from ._messages import MessageLike


@dataclass(frozen=True)
class DiagnosisStep:
    """One step on the way to a server. The texts are safe to print."""

    server: str
    phase: str
    """ "resolve", "connect", "greeting", "hello", "tls", "auth", "mail", "rcpt" and so on; "policy" is about the
    sender."""
    grade: Grade
    """ "good", "notice" for what works and could be better, or "bad"."""
    seconds: float
    """Since the step before."""
    text: str
    advice: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """What diagnose() found. str() of it is a line for each step and each advice."""

    steps: Tuple[DiagnosisStep, ...]
    error: Optional[Error]
    """Of the first step that failed; not raised."""
    text: str

    @property
    def good(self) -> bool:
        """Whether every step to the servers worked."""
        return self.error is None

    def as_dict(self) -> Dict[str, Any]:
        """For JSON."""
        error = None if self.error is None else {"code": self.error.code, "text": str(self.error)}
        return {"good": self.good, "error": error, "steps": [asdict(step) for step in self.steps]}

    def __str__(self) -> str:
        return self.text


def _header_of(message: MessageLike) -> Tuple[bytes, bytes]:
    """The header, with CRLF line ends, and the address in From."""
    if isinstance(message, Message):
        content = message._core.octets()
    elif isinstance(message, os.PathLike):
        content = Path(message).read_bytes()
    else:
        content = message_octets(message)
    parsed = BytesHeaderParser().parsebytes(content)
    lines = content.replace(b"\r\n", b"\n").partition(b"\n\n")[0].split(b"\n")
    sender = email.utils.parseaddr(str(parsed["From"] or ""))[1]
    return b"\r\n".join(lines) + b"\r\n", sender.encode("utf-8", "replace")


@keeps_secrets
def diagnose(
    url: str,
    *,
    sender: str = "",
    recipients: Union[str, Iterable[str]] = (),
    user: Optional[str] = None,
    password: Optional[str] = None,
    token: Optional[str] = None,
    auth: Union[str, Iterable[str], None] = None,
    insecure_authentication: Optional[bool] = None,
    ca_file: Union[str, os.PathLike[str], None] = None,
    key_passphrase: Optional[str] = None,
    server_name: Optional[str] = None,
    sign: Union[Dkim, Iterable[Dkim], None] = None,
    message: Optional[MessageLike] = None,
    lookup: Union[bool, str, None] = None,
    patience: Optional[float] = 30.0,
) -> Diagnosis:
    """Looks up, connects, establishes TLS, greets, authenticates, and asks about `sender` and `recipients`, at each
    server of `url`, which may be a well-known service or a mail address of one; sends nothing. With `lookup` the
    servers of an address of another domain are looked up in the DNS (SRV records, RFC 8314); a URL such as
    "mx://localhost?resolver=192.0.2.53" in place of True says whom to ask. Each step may take `patience`
    seconds; a look-up takes 20 seconds at most and is not interrupted. The other arguments (`user`, `password`,
    `token`, `auth`, `insecure_authentication`, `ca_file`, `key_passphrase`, `server_name`) are those of Mailer,
    an address stands without a name. Raises InvalidInput for a URL or an address that is wrong; what goes wrong
    on the way is in the Diagnosis. With mx:// it looks at what the DNS says of each recipient's domain, what
    that demands, and its servers; and at what large receivers want of the sender: names of our address, SPF,
    DKIM (whether the key of `sign` is the one that is published), DMARC, and in `message`, one of those that
    are to go, From and the fields of unsubscribing.
    """
    if not isinstance(lookup, (bool, str, type(None))):
        raise TypeError("lookup must be a bool or a str")
    check_optional_flags(insecure_authentication=insecure_authentication)
    by = lookup if isinstance(lookup, str) else "mx://localhost" if lookup else ""
    options = {
        "url": octets("url", url_of(url), "invalid_url"),
        "user": optional_octets("user", user),
        "password": optional_octets("password", password),
        "token": optional_octets("token", token),
        "auth": mechanisms(auth),
        "insecure_authentication": insecure_authentication,
        "ca_file": file_octets("ca_file", ca_file),
        "key_passphrase": optional_octets("key_passphrase", key_passphrase),
        "server_name": optional_octets("server_name", server_name),
        "sign": signatures_of(sign),
        "lookup": octets("lookup", by, "invalid_url"),
    }
    if message is not None:
        options["header"], options["header_from"] = _header_of(message)
    limit = seconds("patience", patience)
    error, steps, text = waiting(
        _core.diagnose,
        options,
        sender_octets(sender) or b"",
        recipient_octets(recipients) or [],
        30.0 if limit is None else limit,
    )
    found = tuple(DiagnosisStep(*step) for step in steps)
    failed = None if error is None else from_core(error)
    if failed:
        failed.advice = next((step.advice for step in found if step.grade == "bad"), "")
    return Diagnosis(found, failed, text.rstrip("\n"))
