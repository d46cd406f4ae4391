"""Django's mail by postroad. In the settings of a site:

    EMAIL_BACKEND = "postroad.django.EmailBackend"
    POSTROAD = {"url": "smtp://user:secret@smtp.example.com:587", "queue": "/var/lib/site/outbox.db"}

POSTROAD holds the arguments of Mailer. Without a url in it, EMAIL_HOST and its neighbours say where mail goes.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Optional, Sequence, Tuple
from urllib.parse import quote

from django.conf import settings
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from ._errors import Error
from ._mailer import Mailer
from ._secrets import keeps_secrets
from ._shared import shared
from ._tickets import Ticket


class EmailBackend(BaseEmailBackend):  # type: ignore[misc]
    """Sends by a Mailer that the process keeps, so that its connections last from one mail to the next.

    With a queue in POSTROAD a message counts as sent once it is stored. Otherwise a message that some recipient was
    refused for raises NotAccepted, and one that no server answered for another Error, unless `fail_silently`; the other
    messages are sent all the same. The arguments stand for settings: `host` for EMAIL_HOST, and so on; with any of
    them the Mailer is one of its own, from open() to close().
    """

    @keeps_secrets
    def __init__(
        self,
        host: Optional[str] = None,
        port: Optional[int] = None,
        username: Optional[str] = None,
        password: Optional[str] = None,
        use_tls: Optional[bool] = None,
        fail_silently: bool = False,
        use_ssl: Optional[bool] = None,
        timeout: Optional[float] = None,
        ssl_keyfile: Optional[str] = None,
        ssl_certfile: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fail_silently=fail_silently, **kwargs)
        self._arguments: Dict[str, Any] = dict(getattr(settings, "POSTROAD", {}))
        place = {
            "HOST": host,
            "PORT": port,
            "USE_TLS": use_tls,
            "USE_SSL": use_ssl,
            "SSL_KEYFILE": ssl_keyfile,
            "SSL_CERTFILE": ssl_certfile,
        }
        self._own: Optional[Mailer] = None
        self._shares = all(given is None for given in (*place.values(), username, password, timeout))
        if "url" not in self._arguments or any(value is not None for value in place.values()):
            said = {n: getattr(settings, f"EMAIL_{n}") if v is None else v for n, v in place.items()}
            self._arguments["url"] = _url(said)
            username = settings.EMAIL_HOST_USER if username is None else username
            password = settings.EMAIL_HOST_PASSWORD if password is None else password
            timeout = settings.EMAIL_TIMEOUT if timeout is None else timeout
        if username:
            self._arguments["user"] = username
        if password:
            self._arguments["password"] = password
        if timeout is not None:
            self._arguments.update(connect_timeout=timeout, reply_timeout=timeout)

    def open(self) -> bool:
        if self._own is not None and self._own.inherited:
            self._own = None  # of the process that this one was forked from
        if self._shares or self._own is not None:
            return False
        self._own = Mailer(**self._arguments)
        return True

    def close(self) -> None:
        if self._own is not None and not self._own.inherited:
            self._own.close()
        self._own = None

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Sends them at the same time and returns how many were."""
        if not email_messages:
            return 0
        try:
            opened = self.open()
            mailer = self._own or shared(self._arguments)
        except Error:
            if self.fail_silently:
                return 0
            raise
        try:
            return self._send(mailer, email_messages)
        finally:
            if opened:
                self.close()

    def _send(self, mailer: Mailer, messages: Sequence[EmailMessage]) -> int:
        failures: List[Exception] = []
        tickets: List[Tuple[EmailMessage, Ticket]] = []
        sent = 0
        for message in messages:
            recipients = message.recipients()
            if not recipients:
                continue
            try:
                ticket = mailer.submit(message.message(), sender=message.from_email, recipients=recipients)
                tickets.append((message, ticket))
            except Exception as e:  # Django's, too: one that cannot be written out stops no other
                failures.append(e)
        for message, ticket in tickets:
            try:
                if self._arguments.get("queue") is None:
                    ticket.wait().require_accepted()
                sent += 1
                self._sent(message)
            except Error as e:
                failures.append(e)
        for failure in failures:
            if not (self.fail_silently and isinstance(failure, Error)):
                raise failure
        return sent

    def _sent(self, message: EmailMessage) -> None:
        pass


class MemoryBackend(EmailBackend):
    """For tests: puts what it sends into `django.core.mail.outbox`, as Django's locmem does. What postroad would refuse
    is refused, which locmem takes: an address, a header or an envelope that is wrong."""

    def __init__(self, fail_silently: bool = False, **kwargs: Any) -> None:
        super().__init__(fail_silently=fail_silently)
        self._arguments = {"url": "memory://"}
        self._shares = True
        if not hasattr(mail, "outbox"):
            mail.outbox = []

    def _send(self, mailer: Mailer, messages: Sequence[EmailMessage]) -> int:
        try:
            return super()._send(mailer, messages)
        finally:
            mailer.outbox.clear()

    def _sent(self, message: EmailMessage) -> None:
        mail.outbox.append(copy.deepcopy(message))


def _url(said: Dict[str, Any]) -> str:
    if said["USE_TLS"] and said["USE_SSL"]:
        raise ValueError("EMAIL_USE_TLS and EMAIL_USE_SSL: set one of them, or none")
    scheme = "smtps" if said["USE_SSL"] else "smtp" if said["USE_TLS"] else "smtp+insecure"
    host = f"[{said['HOST']}]" if ":" in said["HOST"] else said["HOST"]
    files = {"certificate": said["SSL_CERTFILE"], "key": said["SSL_KEYFILE"]}
    options = "&".join(f"{name}={quote(path, safe='')}" for name, path in files.items() if path)
    return f"{scheme}://{host}:{said['PORT']}" + (f"/?{options}" if options else "")
