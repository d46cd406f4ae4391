"""What a site's settings say of its queue, and of who gets no mail."""

from __future__ import annotations

import os
from typing import Any, Dict, Union

from django.conf import settings

from .._errors import InvalidInput
from .._messages import names_a_broker
from .._secrets import keeps_secrets
from .._suppression import SuppressionList


@keeps_secrets
def arguments() -> Dict[str, Any]:
    """Those of the site's Mailer, by POSTROAD, or of the first in MAILERS that has a queue. Raises InvalidInput."""
    return _with("queue")


def _with(name: str) -> Dict[str, Any]:
    from . import EmailBackend

    for alias, mailer in (getattr(settings, "MAILERS", None) or {}).items():
        if name in mailer.get("OPTIONS", {}):
            return dict(EmailBackend(alias=alias, **mailer["OPTIONS"])._arguments)
    if name not in getattr(settings, "POSTROAD", {}):
        raise InvalidInput(f'settings.POSTROAD has no "{name}"', code="invalid_option")
    return dict(EmailBackend()._arguments)


@keeps_secrets
def queue() -> Dict[str, Any]:
    """What names the queue to Queue, for who looks after it. Raises InvalidInput."""
    given = arguments()
    path = given["queue"] if names_a_broker(given["queue"]) else str(given["queue"])
    return {"path": path, **{n: given[n] for n in ("queue_name", "queue_shards", "queue_ca_file") if n in given}}


@keeps_secrets
def file() -> str:
    """The queue, for who needs one in a file. Raises InvalidInput."""
    path = queue()["path"]
    if names_a_broker(path):
        raise InvalidInput("nobody can look into a queue at a broker", code="invalid_option")
    return str(path)


@keeps_secrets
def suppression() -> Union[str, SuppressionList]:
    """The site's list of those who get no mail, or its file. Raises InvalidInput."""
    given = _with("suppression")["suppression"]
    if isinstance(given, SuppressionList):
        return given
    if not isinstance(given, (str, os.PathLike)):
        why = '"suppression" of the settings is neither a file nor a SuppressionList: nobody else can look into it'
        raise InvalidInput(why, code="invalid_option")
    return os.fspath(given)
