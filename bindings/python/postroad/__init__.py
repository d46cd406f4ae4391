"""Sends mail: the Python module of the C++ library postroad. See docs/python.md."""

from . import _start  # noqa: F401, I001 - before all that takes time
from . import _interpreter  # noqa: F401 - first: the extension may hang where this raises
from ._body_part import BodyPart, PartOptions
from ._configurations import MailerOptions, configured
from ._core import libraries
from ._core import version as __version__
from ._credentials import CredentialsRequest
from ._delivery import Delivery, Queued
from ._diagnosis import Diagnosis, DiagnosisStep, diagnose
from ._errors import (
    AlreadyQueued,
    AuthenticationError,
    Cancelled,
    Disconnected,
    Error,
    GreetingRefused,
    HelloRefused,
    InvalidInput,
    NoConnection,
    NotAccepted,
    PermanentError,
    ProtocolError,
    QueueFull,
    TimedOut,
    TlsError,
    TransientError,
    Unsupported,
)
from ._events import Event
from ._jobs import Counts, Job, JobFilter, Queue, Trouble
from ._journal import JournalEntry, JournalFilter
from ._key_check import KeyCheck
from ._mailer import Mailer, send
from ._message import Dkim, DkimFields, Message
from ._outbox import Outbox, Stored
from ._receipts import Receipt, RecipientOutcome, Status
from ._reports import Report, ReportedRecipient, read_report, write_report
from ._services import Service, ServiceLimits, services
from ._stats import Stats
from ._suppression import Imported, SuppressionEntry, SuppressionList
from ._tickets import Ticket
from ._tls_report import TlsReported, report_tls
from ._tls_results import TlsResults

__all__ = [
    "AlreadyQueued",
    "AuthenticationError",
    "BodyPart",
    "Cancelled",
    "Counts",
    "CredentialsRequest",
    "Delivery",
    "Diagnosis",
    "DiagnosisStep",
    "Disconnected",
    "Dkim",
    "DkimFields",
    "Error",
    "Event",
    "GreetingRefused",
    "HelloRefused",
    "Imported",
    "InvalidInput",
    "Job",
    "JobFilter",
    "JournalEntry",
    "JournalFilter",
    "KeyCheck",
    "Mailer",
    "MailerOptions",
    "Message",
    "NoConnection",
    "NotAccepted",
    "Outbox",
    "PartOptions",
    "PermanentError",
    "ProtocolError",
    "Queue",
    "QueueFull",
    "Queued",
    "Receipt",
    "RecipientOutcome",
    "Report",
    "ReportedRecipient",
    "Service",
    "ServiceLimits",
    "Stats",
    "Status",
    "Stored",
    "SuppressionEntry",
    "SuppressionList",
    "Ticket",
    "TimedOut",
    "TlsError",
    "TlsReported",
    "TlsResults",
    "TransientError",
    "Trouble",
    "Unsupported",
    "__version__",
    "configured",
    "diagnose",
    "libraries",
    "read_report",
    "report_tls",
    "send",
    "services",
    "write_report",
]
