"""Django's mail by postroad. In the settings of a site:

    EMAIL_BACKEND = "postroad.django.EmailBackend"
    POSTROAD = {"url": "smtp://user:secret@smtp.example.com:587", "queue": "/var/lib/site/outbox.db"}

POSTROAD holds the arguments of Mailer, or with "configuration" of configured(). Without a url in it, EMAIL_HOST and its
neighbours say where mail goes. With Django 6.1 and later they may be OPTIONS in MAILERS instead. "postroad.django" in
INSTALLED_APPS adds `manage.py postroad` and pages of the admin.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Optional, Sequence, Tuple
from urllib.parse import quote

from django.conf import settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import log
from django.utils.module_loading import import_string

from .._configurations import MailerOptions
from .._delivery import wishes_of
from .._errors import Error, InvalidInput
from .._mailer import Mailer
from .._secrets import keeps_secrets
from .._shared import made, shared
from .._tickets import Ticket
from ._options import options_of

_OPTIONS = {"url", "configuration", *MailerOptions.__annotations__}


class EmailBackend(BaseEmailBackend):  # type: ignore[misc]
    """Sends by a Mailer that the process keeps, so that its connections last from one mail to the next.

    With a queue in POSTROAD a message counts as sent once it is stored. Otherwise a message that some recipient was
    refused for raises NotAccepted, and one that no server answered for another Error, unless `fail_silently`; the other
    messages are sent all the same. The arguments stand for settings: `host` for EMAIL_HOST, and so on; with any of
    them the Mailer is one of its own, from open() to close(). In MAILERS all stand in OPTIONS: `url` and further
    arguments of Mailer, or `host` and so on.

    A mail may say how it is queued: the attribute `postroad` of it holds arguments of Mailer.submit(), such as
    {"tag": "june", "delay": 600, "idempotency_key": "order 7"}; fields of its header say the same, X-Postroad-Tag,
    X-Postroad-Delay, X-Postroad-Idempotency-Key, and do not travel. `delay` is of use with a queue only.
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
        own = {name: kwargs.pop(name) for name in tuple(kwargs) if name in _OPTIONS}
        super().__init__(**kwargs)
        self.fail_silently = fail_silently
        of_alias = kwargs.get("alias") is not None
        self._arguments: Dict[str, Any] = {} if of_alias else dict(getattr(settings, "POSTROAD", {}))
        self._arguments.update(own)
        self._waits = self._arguments.get("queue") is None
        place = {
            "HOST": host,
            "PORT": port,
            "USE_TLS": use_tls,
            "USE_SSL": use_ssl,
            "SSL_KEYFILE": ssl_keyfile,
            "SSL_CERTFILE": ssl_certfile,
        }
        place_is_of_settings = all(given is None for given in place.values())
        self._own: Optional[Mailer] = None
        self._shares = of_alias or all(given is None for given in (*place.values(), username, password, timeout))
        if of_alias:
            _check_alias(kwargs["alias"], {**self._arguments, **place})
        else:
            place = {n: _setting(n) if v is None else v for n, v in place.items()}
        place.update(HOST=place["HOST"] or "", PORT=place["PORT"] or _port(use_tls, use_ssl))
        self.host, self.port, self.timeout = place["HOST"], place["PORT"], timeout
        self.use_tls, self.use_ssl = bool(place["USE_TLS"]), bool(place["USE_SSL"])
        self.ssl_keyfile, self.ssl_certfile = place["SSL_KEYFILE"], place["SSL_CERTFILE"]
        if "url" not in self._arguments or not (of_alias or place_is_of_settings):
            self._arguments["url"] = _url(place)
            if not of_alias:
                username = _setting("HOST_USER") if username is None else username
                password = _setting("HOST_PASSWORD") if password is None else password
                timeout = self.timeout = _setting("TIMEOUT") if timeout is None else timeout
        self.username, self.password = username, password
        if username:
            self._arguments["user"] = username
        if password:
            self._arguments["password"] = password
        if timeout is not None:
            self._arguments.update(connect_timeout=timeout, reply_timeout=timeout)

    def hurries(self) -> None:
        """It waits for nothing from now on, neither for servers nor for room."""
        if self._waits:  # in a queue that lasts others' mail takes room, too
            self._arguments["capacity"] = 100
        self._waits = False
        if self._arguments.get("when_full") is not None:
            self._arguments["when_full"] = "refuse"

    def open(self) -> bool:
        if self._own is not None and self._own.inherited:
            self._own = None  # of the process that this one was forked from
        if self._shares or self._own is not None:
            return False
        self._own = made(self._arguments)
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
                # str: they may be translated as late as now
                recipients = [str(r) for r in recipients]
                written = message.message()
                options = self._options(message, written)
                ticket = mailer.submit(written, sender=str(message.from_email), recipients=recipients, **options)
                tickets.append((message, ticket))
            except Exception as e:  # Django's, too: one that cannot be written out stops no other
                failures.append(e)
        for message, ticket in tickets:
            try:
                if self._waits:
                    ticket.wait().require_accepted()
                sent += 1
                self._sent(message)
            except Error as e:
                failures.append(e)
        for failure in failures:
            if not (self.fail_silently and isinstance(failure, Error)):
                raise failure
        return sent

    def _options(self, message: EmailMessage, written: Any) -> Dict[str, Any]:
        options = options_of(message, written)
        if self._waits and options.get("delay"):
            raise InvalidInput('delay needs a "queue" in the settings: without, who sends waits', code="contradiction")
        return options

    def _sent(self, message: EmailMessage) -> None:
        pass


class MemoryBackend(EmailBackend):
    """For tests: puts what it sends into `django.core.mail.outbox`, as Django's locmem does. What postroad would refuse
    is refused, which locmem takes: an address, a header or an envelope that is wrong."""

    def __init__(self, fail_silently: bool = False, **kwargs: Any) -> None:
        super().__init__(fail_silently=fail_silently, **{**kwargs, "url": "memory://"})
        self._arguments = {"url": "memory://"}
        self._shares = True
        if not hasattr(mail, "outbox"):
            mail.outbox = []

    def _send(self, mailer: Mailer, messages: Sequence[EmailMessage]) -> int:
        try:
            return super()._send(mailer, messages)
        finally:
            mailer.outbox.clear()

    def _options(self, message: EmailMessage, written: Any) -> Dict[str, Any]:
        options: Any = options_of(message, written)
        delivery = options.pop("delivery", None)
        wishes_of(delivery, options)
        # what is left is of no use in memory, where nobody waits
        return {"delivery": delivery}

    def _sent(self, message: EmailMessage) -> None:
        mail.outbox.append(copy.deepcopy(message))


class AdminEmailHandler(log.AdminEmailHandler):  # type: ignore[misc]
    """As Django's, for LOGGING; but who logs never waits for a server. With a queue mails are stored as others are;
    without, at most 100 are under way, and what comes beyond is not sent. Where another backend than EmailBackend is
    set, as in tests, it is Django's own."""

    @keeps_secrets
    def send_mail(self, subject: str, message: str, *args: Any, **kwargs: Any) -> None:
        """Sends to ADMINS. `subject`, `message`, `args`, `kwargs`: as Django's handler is called."""
        using = getattr(self, "using", None)
        place = getattr(settings, "MAILERS", None)
        # Django says what an alias is that is not there, or has no backend
        set_up = {"BACKEND": settings.EMAIL_BACKEND} if place is None else place.get(using or "default", {})
        is_ours = "BACKEND" in set_up and import_string(set_up["BACKEND"]) is EmailBackend
        if getattr(self, "email_backend", None) or not is_ours:
            super().send_mail(subject, message, *args, **kwargs)
            return
        mails = EmailMultiAlternatives(
            f"{settings.EMAIL_SUBJECT_PREFIX}{subject}",
            message,
            settings.SERVER_EMAIL,
            [a if isinstance(a, str) else a[1] for a in settings.ADMINS],
        )
        if kwargs.get("html_message"):
            mails.attach_alternative(kwargs["html_message"], "text/html")
        alias: Dict[str, Any] = {} if place is None else {"alias": using or "default"}
        backend = EmailBackend(**{**alias, **set_up.get("OPTIONS", {}), "fail_silently": True})
        backend.hurries()
        backend.send_messages([mails])


def _setting(name: str) -> Any:
    # since Django 6.1 there is none beside MAILERS
    return getattr(settings, f"EMAIL_{name}", None)


def _check_alias(alias: str, said: Dict[str, Any]) -> None:
    """In the words of Django's own backend."""
    if "url" in said:
        return
    if said["HOST"] is None:
        why = "OPTIONS must define 'host'. A 'url' does so, too."
    elif said["USE_TLS"] and said["USE_SSL"]:
        why = "The 'use_ssl' and 'use_tls' OPTIONS are incompatible. Set at most one of them to True."
    else:
        return
    # since Django 6.1
    kind = getattr(mail, "InvalidMailer", None)
    raise ImproperlyConfigured(why) if kind is None else kind(why, alias=alias)


def _port(use_tls: Optional[bool], use_ssl: Optional[bool]) -> int:
    return 465 if use_ssl else 587 if use_tls else 25


def _url(said: Dict[str, Any]) -> str:
    if said["USE_TLS"] and said["USE_SSL"]:
        raise ValueError(
            "EMAIL_USE_TLS/EMAIL_USE_SSL are mutually exclusive, so only set one of those settings to True."
        )
    scheme = "smtps" if said["USE_SSL"] else "smtp" if said["USE_TLS"] else "smtp+insecure"
    host = f"[{said['HOST']}]" if ":" in said["HOST"] else said["HOST"]
    files = {"certificate": said["SSL_CERTFILE"], "key": said["SSL_KEYFILE"]}
    options = "&".join(f"{name}={quote(path, safe='')}" for name, path in files.items() if path)
    return f"{scheme}://{host}:{said['PORT']}" + (f"/?{options}" if options else "")
