"""Why mail does not go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Iterable, Optional, Tuple, Union

from . import _core
from ._credentials import mechanisms
from ._errors import Error, from_core
from ._literals import Grade
from ._messages import file_octets, octets, optional_octets, recipient_octets, seconds, sender_octets
from ._secrets import keeps_secrets
from ._threads import waiting


@dataclass(frozen=True)
class DiagnosisStep:
    """One step on the way to a server. The texts are safe to print."""

    server: str
    phase: str
    """ "resolve", "connect", "greeting", "hello", "tls", "auth", "mail", "rcpt" and so on."""
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
        """Whether every step worked."""
        return self.error is None

    def __str__(self) -> str:
        return self.text


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
    patience: Optional[float] = 30.0,
) -> Diagnosis:
    """Looks up, connects, establishes TLS, greets, authenticates, and asks about `sender` and `recipients`, at each
    server of `url`, which may be a mail address of a well-known provider; sends nothing. Each step may take `patience`
    seconds. The other arguments (`user`, `password`, `token`, `auth`, `insecure_authentication`, `ca_file`,
    `key_passphrase`) are those of Mailer, an address stands without a name. Raises InvalidInput for a URL or an address
    that is wrong; what goes wrong on the way is in the Diagnosis.
    """
    if not isinstance(insecure_authentication, (bool, type(None))):
        raise TypeError("insecure_authentication must be a bool")
    options = {
        "url": octets("url", url, "invalid_url"),
        "user": optional_octets("user", user),
        "password": optional_octets("password", password),
        "token": optional_octets("token", token),
        "auth": mechanisms(auth),
        "insecure_authentication": insecure_authentication,
        "ca_file": file_octets("ca_file", ca_file),
        "key_passphrase": optional_octets("key_passphrase", key_passphrase),
    }
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
