"""Messages and arguments as what the C++ part takes."""

from __future__ import annotations

import os
from email.errors import MessageError
from email.generator import BytesGenerator
from email.message import Message
from email.policy import EmailPolicy
from io import BytesIO
from typing import TYPE_CHECKING, Any, Iterable, List, Mapping, Optional, Union

from ._errors import InvalidInput

if TYPE_CHECKING:
    from ._message import Message as Composed

    MessageLike = Union[Composed, Message[Any, Any], bytes, bytearray, memoryview, os.PathLike[str]]

_ADDRESS_FIELDS = ("From", "Sender", "Reply-To", "To", "Cc", "Bcc")


def _international(message: Message[Any, Any]) -> bool:
    """Whether an address in the header is not ASCII: the header must be UTF-8 then (RFC 6532)."""
    for prefix in ("", "Resent-"):
        for name in _ADDRESS_FIELDS:
            for field in message.get_all(prefix + name, []):
                if any(not a.addr_spec.isascii() for a in getattr(field, "addresses", ())):
                    return True
    return False


def message_octets(message: Union[Message[Any, Any], bytes, bytearray, memoryview]) -> bytes:
    if isinstance(message, bytes):
        return message
    if isinstance(message, (bytearray, memoryview)):
        return bytes(message)
    if not isinstance(message, Message):
        kinds = "a Message, an email.message.EmailMessage, bytes or a path"
        raise TypeError(f"a message is {kinds}, not {type(message).__name__}")
    try:
        policy = message.policy.clone(linesep="\r\n")
        if isinstance(policy, EmailPolicy):
            # fields that came from a file stay as they are
            policy = policy.clone(refold_source="none", utf8=policy.utf8 or _international(message))
        # not by as_bytes(), whose arguments are others in some of Django's messages
        written = BytesIO()
        BytesGenerator(written, mangle_from_=False, policy=policy).flatten(message)
        return written.getvalue()
    except (ValueError, LookupError, MessageError) as e:
        raise InvalidInput(f"the message cannot be written out: {e}", code="invalid_message", phase="prepare") from e


def octets(what: str, text: str, code: str = "invalid_option") -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    # not by catching the error of encode(): it holds the text, which may be a password
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidInput(f"{what} holds a lone surrogate, which is no character", code=code, phase="prepare")
    return text.encode()


def optional_octets(what: str, text: Optional[str]) -> Optional[bytes]:
    return None if text is None else octets(what, text)


def file_octets(what: str, path: Union[str, os.PathLike[str], None]) -> Optional[bytes]:
    if path is None:
        return None
    name = os.fsencode(path)
    if not name or b"\0" in name:
        raise InvalidInput(f"{what} does not name a file", code="invalid_option", phase="prepare")
    return name


def names_a_broker(queue: object) -> bool:
    return isinstance(queue, str) and queue.startswith(("amqp://", "amqps://"))


def sender_octets(sender: Optional[str]) -> Optional[bytes]:
    return None if sender is None else octets("sender", sender, "invalid_address")


def recipient_octets(recipients: Union[str, Iterable[str], None]) -> Optional[List[bytes]]:
    if recipients is None:
        return None
    lists = [recipients] if isinstance(recipients, str) else recipients
    return [octets("a recipient", r, "invalid_address") for r in lists]


def seconds(what: str, value: Optional[float], *, zero: bool = False) -> Optional[float]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} must be a number of seconds, not {type(value).__name__}")
    if not (0 <= value <= 1e9) or (value == 0 and not zero):
        raise InvalidInput(f"{what} must be a number of seconds above 0, up to 1e9", code="invalid_option")
    return float(value)


def count(what: str, value: Optional[int], most: int) -> Optional[int]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    if not 1 <= value <= most:
        raise InvalidInput(f"{what} must be from 1 to {most}", code="invalid_option")
    return value


def check_names(given: Mapping[str, object], known: type) -> None:
    for name in given:
        if name not in known.__annotations__:
            raise TypeError(f"unexpected keyword argument {name!r}")


def choice(what: str, value: Optional[str], choices: List[str]) -> Optional[str]:
    if value is not None and value not in choices:
        raise InvalidInput(f"{what} must be one of: {', '.join(choices)}", code="invalid_option")
    return value
