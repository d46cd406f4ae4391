"""Well-known services by name."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Mapping, Optional, Tuple

from . import _core
from ._errors import InvalidInput
from ._literals import ServiceSecurity


@dataclass(frozen=True)
class ServiceLimits:
    """How much a service takes, as it publishes it; None: it says nothing."""

    messages_a_day: Optional[int] = None
    recipients_a_day: Optional[int] = None
    recipients_a_message: Optional[int] = None
    megabytes_a_message: Optional[int] = None
    """As it is sent: attachments take a third more than their files have."""
    of: str = ""
    """For whom, where that matters."""
    source: str = ""
    """The page that says so."""
    seen: str = ""
    """When it was read there: "2026-11-30"."""


@dataclass(frozen=True)
class Service:
    """How a well-known service takes mail. Mailer takes the name in place of a URL."""

    name: str
    host: str
    port: int
    security: ServiceSecurity
    """"starttls" or "implicit"."""
    domains: Tuple[str, ...]
    """Of its users' mail addresses; none where users bring their own."""
    hint: str
    """What the user name and the password are."""
    source: str
    """Where the service says so; or, where its pages say nothing, the row of Thunderbird's table."""
    limits: Optional[ServiceLimits] = None
    """None: it publishes none, as far as is known here."""

    @property
    def url(self) -> str:
        """For Mailer."""
        return f"{'smtps' if self.security == 'implicit' else 'smtp'}://{self.host}:{self.port}"


services: Mapping[str, Service] = MappingProxyType(
    {row[0]: Service(*row[:-1], limits=row[-1] and ServiceLimits(*row[-1])) for row in _core.services()}
)
"""The services by name."""


def names_a_server(text: str) -> bool:
    """Whether it is a URL or the name of a service, and no file."""
    return "://" in text or text.lower() in services


def url_of(url: str) -> str:
    """The URL of a service that is given by its name, in any case; everything else as it is, but for what looks like a
    name."""
    if not isinstance(url, str):
        return url
    name = url.lower()
    if name in services:
        return services[name].url
    close = [] if "://" in name else get_close_matches(name, services, 1)
    if close:
        raise InvalidInput(f'there is no service of that name; did you mean "{close[0]}"?', code="invalid_url")
    return url
