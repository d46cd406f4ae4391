"""Log records by mail.

logging.getLogger().addHandler(
    postroad.logging.MailHandler("smtp://...", sender="site@example.com", recipients="ops@example.com", digest=60)
)
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import logging
import os
import re
import sys
import threading
import time
from typing import Any, Callable, Deque, List, Optional, Tuple, Union

from . import _core
from ._mailer import MAILERS_END, Mailer
from ._message import Message
from ._messages import Mailbox, Mailboxes, count, seconds
from ._secrets import keeps_secrets
from ._threads import Worker

__all__ = ["MailHandler"]

_log = logging.getLogger("postroad.logging")
_HOUR = 3600.0
# colours of terminals, octets of a file's name: no header holds them, and no text a NUL or half a character
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _fit(text: str) -> str:
    """With what a mail cannot hold as Python writes it: \\x1b."""
    return _UNFIT.sub(lambda found: ascii(found[0])[1:-1], text)


def _at_end_of_child(close: Callable[[], None]) -> None:
    """In a process that multiprocessing made, where atexit does not run. The mailers are closed behind it."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, close, exitpriority=MAILERS_END + 1)


def _subject(records: List[logging.LogRecord]) -> str:
    worst = max(records, key=lambda r: r.levelno)
    lines = worst.getMessage().splitlines() or [""]
    more = f" (and {len(records) - 1} more)" if len(records) > 1 else ""
    return f"{worst.levelname}: {lines[0][:200]}{more}"


class MailHandler(logging.Handler):
    """Sends log records by mail, from a thread of its own: whoever logs never waits. What a mailer of postroad logs
    itself is not sent. Control characters but TAB and line ends, and lone surrogates, are written as `\\x1b` is.

    mailer: a Mailer, or the URL of a server; with a URL, `arguments` are further ones of Mailer.
    sender, recipients: of the mails, as Message has from_ and to.
    subject: makes the subject of a mail from its records; the default takes the worst of them.
    level: records below are not sent.
    digest: records of so many seconds go in one mail; 0: at once, with what has come meanwhile.
    mails_per_hour: most mails in an hour; what comes beyond waits, and goes in one mail.
    records: most that wait; of those beyond the number is said.

    A process that is forked sends with a thread of its own; a Mailer is of no use there, a URL is.
    """

    @keeps_secrets
    def __init__(
        self,
        mailer: Union[Mailer, str],
        *,
        sender: Mailbox,
        recipients: Mailboxes,
        subject: Optional[Callable[[List[logging.LogRecord]], str]] = None,
        level: int = logging.ERROR,
        digest: float = 0.0,
        mails_per_hour: int = 60,
        records: int = 1000,
        **arguments: Any,
    ) -> None:
        super().__init__(level)
        if arguments and isinstance(mailer, Mailer):
            raise TypeError("arguments of Mailer go with a URL only")
        self._digest = seconds("digest", digest, zero=True) or 0.0
        self._limit = count("mails_per_hour", mails_per_hour, 1_000_000) or 1
        self._most = count("records", records, 1_000_000) or 1
        self._subject = _subject if subject is None else subject
        self._place = sender, recipients
        if not isinstance(mailer, (str, Mailer)):
            raise TypeError(f"mailer must be a Mailer or a URL, not {type(mailer).__name__}")
        if not callable(self._subject):
            raise TypeError(f"subject must be a function, not {type(subject).__name__}")
        # what is wrong is said here, also that nobody is named
        _core.examine(bytes(Message(from_=sender, to=recipients, text="")), None, None)
        self._arguments = arguments
        self._own = not isinstance(mailer, Mailer)
        self._url = mailer if isinstance(mailer, str) else ""
        self._mailer = Mailer(mailer, **arguments) if isinstance(mailer, str) else mailer
        self._reset()
        # before the mailers are closed, which logging.shutdown() comes too late for
        atexit.register(self.close)
        _at_end_of_child(self.close)

    def _reset(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._held: List[Tuple[logging.LogRecord, str]] = []
        self._left_out = 0
        self._sent: Deque[float] = collections.deque()
        self._worker: Optional[Worker] = None
        self._at_once = self._closed = False
        self._sending = 0

    def _begin(self) -> None:
        if self._process != os.getpid():
            self._reset()
            if self._own:
                self._mailer = Mailer(self._url, **self._arguments)
            _at_end_of_child(self.close)
        if self._worker is None:
            # since Python 3.12 none begins while it exits: close() sends what comes then
            with contextlib.suppress(RuntimeError):
                self._worker = Worker("postroad logging", self._run)

    def handle(self, record: logging.LogRecord) -> bool:
        """Takes a record unless it is of postroad; called by logging. Returns whether it was taken, as
        logging.Handler does."""
        # before the lock of logging, which who waits in flush() may have
        if record.name == "postroad" or record.name.startswith("postroad."):
            return False
        return bool(super().handle(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record; called by logging."""
        try:
            text = self.format(record)
            self._begin()
            with self._changed:
                if self._closed:
                    return
                if len(self._held) < self._most:
                    self._held.append((record, text))
                else:
                    self._left_out += 1
                self._changed.notify_all()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Sends what is held, whatever `digest` and `mails_per_hour` say, and waits until it is with the mailer. Called
        by `subject` it does nothing: it would wait for itself."""
        if self._process != os.getpid() or (self._worker is not None and self._worker.runs_this()):
            return
        with self._changed:
            self._at_once = True
            self._changed.notify_all()
            batch = self._taken() if self._worker is None and self._held else None
        try:
            if batch is not None:  # without the lock: what makes the subject may wait for who logs
                self._deliver(*batch)
            with self._changed:
                while self._worker is not None and (self._held or self._sending):
                    self._changed.wait()
        finally:
            self._at_once = False

    def close(self) -> None:
        """Sends what is held, and closes the mailer if it was made for this handler."""
        atexit.unregister(self.close)
        super().close()
        if self._process != os.getpid():
            return
        self.flush()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._own:
            self._mailer.close()

    def _due(self, since: float) -> float:
        """When what is held since then goes."""
        now = time.monotonic()
        while self._sent and self._sent[0] + _HOUR <= now:
            self._sent.popleft()
        rest = self._sent[0] + _HOUR if len(self._sent) >= self._limit else now
        return max(since + self._digest, rest)

    def _run(self) -> None:
        while self._send_next():
            pass

    def _send_next(self) -> bool:
        """False once closed."""
        batch = self._next()
        if batch is None:
            return False
        self._deliver(*batch)
        return True

    def _deliver(self, records: List[logging.LogRecord], text: str) -> None:
        failed = ""
        try:
            self._send(records, text)
        except BaseException as e:  # of `subject`, too: flush() waits for this thread
            failed = type(e).__name__
        with self._changed:
            self._sending = 0
            self._changed.notify_all()
        if failed:  # only now: who waits in flush() may have the locks of logging
            _log.warning("a mail with %d log records could not be sent: %s", len(records), failed)

    def _next(self) -> Optional[Tuple[List[logging.LogRecord], str]]:
        """Waits until something is due; None once closed."""
        with self._changed:
            while not self._held:
                if self._closed:
                    return None
                self._changed.wait()
            since = time.monotonic()
            while not self._at_once and (wait := self._due(since) - time.monotonic()) > 0:
                self._changed.wait(wait)
            return self._taken()

    def _taken(self) -> Tuple[List[logging.LogRecord], str]:
        """What is held, for who has the lock."""
        held, self._held = self._held, []
        left_out, self._left_out = self._left_out, 0
        self._sending = len(held)
        self._sent.append(time.monotonic())
        texts = [text for _, text in held]
        if left_out:
            texts.append(f"{left_out} more were left out.")
        return [record for record, _ in held], "\n\n".join(texts) + "\n"

    def _send(self, records: List[logging.LogRecord], text: str) -> None:
        sender, recipients = self._place
        subject = _fit(" ".join(self._subject(records).split()))
        message = Message(from_=sender, to=recipients, subject=subject, text=_fit(text), automatic="generated")
        self._mailer.submit(message, delivery=None)
