"""Well-known services by name."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Mapping, Tuple

from . import _core
from ._errors import InvalidInput
from ._literals import ServiceSecurity


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

    @property
    def url(self) -> str:
        """For Mailer."""
        return f"{'smtps' if self.security == 'implicit' else 'smtp'}://{self.host}:{self.port}"


services: Mapping[str, Service] = MappingProxyType({row[0]: Service(*row) for row in _core.services()})
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
