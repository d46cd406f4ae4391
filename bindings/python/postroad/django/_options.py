"""How a mail is queued and scheduled: by its attribute `postroad`, or by its header."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from django.core.mail import EmailMessage

from .._delivery import Queued
from .._errors import InvalidInput

_PREFIX = "x-postroad-"
_NUMBERS = {"delay": float, "give_up_after": float, "traffic_class": int}


def options_of(message: EmailMessage, written: Any) -> Dict[str, Any]:
    """What Mailer.submit() is given beside it. The fields that say so are taken out of `written`, which is sent. Raises
    InvalidInput, TypeError."""
    own = getattr(message, "postroad", {})
    if not isinstance(own, Mapping):
        raise TypeError(f"the attribute postroad of a mail must be a dict, not {type(own).__name__}")
    options = dict(own)
    for field, value in message.extra_headers.items():
        if not field.lower().startswith(_PREFIX):
            continue
        del written[field]
        name = field[len(_PREFIX) :].lower().replace("-", "_")
        if name not in Queued.__annotations__:
            known = ", ".join(sorted("X-Postroad-" + n.title().replace("_", "-") for n in Queued.__annotations__))
            raise InvalidInput(f"{field} is none of: {known}", code="invalid_option")
        if name in options:
            raise InvalidInput(f"a mail says its {name} twice", code="contradiction")
        options[name] = _read(field, name, str(value))
    return options


def _read(field: str, name: str, value: str) -> Any:
    try:
        return _NUMBERS.get(name, str)(value)
    except ValueError:
        raise InvalidInput(f"{field} must be a number", code="invalid_option") from None
