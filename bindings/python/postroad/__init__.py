"""Sends mail: the Python module of the C++ library postroad. See docs/python.md."""

from ._core import version as __version__
from ._credentials import CredentialsRequest
from ._delivery import Delivery
from ._diagnosis import Diagnosis, DiagnosisStep, diagnose
from ._errors import (
    AlreadyQueued,
    AuthenticationError,
    Cancelled,
    Error,
    InvalidInput,
    NotAccepted,
    PermanentError,
    ProtocolError,
    QueueFull,
    TimedOut,
    TlsError,
    TransientError,
)
from ._jobs import Counts, Job, Queue
from ._mailer import Mailer, Ticket
from ._message import Dkim, Message
from ._receipts import Receipt, RecipientOutcome, Status

__all__ = [
    "AlreadyQueued",
    "AuthenticationError",
    "Cancelled",
    "Counts",
    "CredentialsRequest",
    "Delivery",
    "Diagnosis",
    "DiagnosisStep",
    "Dkim",
    "Error",
    "InvalidInput",
    "Job",
    "Mailer",
    "Message",
    "NotAccepted",
    "PermanentError",
    "ProtocolError",
    "Queue",
    "QueueFull",
    "Receipt",
    "RecipientOutcome",
    "Status",
    "Ticket",
    "TimedOut",
    "TlsError",
    "TransientError",
    "__version__",
    "diagnose",
]
