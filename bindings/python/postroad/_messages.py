"""Messages and arguments as what the C++ part takes."""

from __future__ import annotations

import os
import re
import unicodedata
from email.errors import InvalidHeaderDefect, MessageError
from email.generator import BytesGenerator
from email.header import Header
from email.headerregistry import Address
from email.message import Message
from email.policy import Compat32, EmailPolicy, Policy
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Protocol, Tuple, Union

from . import _core
from ._errors import InvalidInput

if TYPE_CHECKING:

    class Composed(Protocol):
        """A postroad.Message."""

        _core: _core.Message

    MessageLike = Union[Composed, Message[Any, Any], bytes, bytearray, memoryview, os.PathLike[str]]

# "Ann <ann@example.com>", ("Ann", "ann@example.com"), or an object
Mailbox = Union[str, Tuple[str, str], Address]
# one, several as they stand in a header, or one each
Mailboxes = Union[Mailbox, Iterable[Mailbox]]

_SURROGATE = re.compile("[\ud800-\udfff]")
# RFC 5322 section 3.6, RFC 2045
STANDS_ONCE = (
    *("From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
)


def _written(name: str, value: str, utf8: bool) -> Optional[bytes]:
    """A field that is not ASCII as its grammar has it. CPython puts ids, URLs and commas between addresses into encoded
    words, and loses spaces between them (gh-92081, gh-100884). None for what it writes well: fields of parts, octets of
    no known charset."""
    text = re.sub(r"\r?\n(?=[ \t])", "", value)
    surrogate = holds_surrogate(text)
    # It hides control characters and separators of lines in encoded words, as that of 1252 read as Latin-1.
    hidden = any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text if c != "\t")
    if text.isascii() or surrogate or hidden or "\r" in text or "\n" in text or name.lower().startswith("content-"):
        return None
    return _core.written_field(name.encode(), text.encode(), utf8)


def _source(token: Any) -> str:
    """What an address list was read of, with its encoded words: what they hold would become addresses."""
    if token.token_type == "encoded-word":
        held = str(token).encode("utf-8", "replace").decode()
        return Header(held, "utf-8").encode(linesep="")
    if isinstance(token, str):
        return str.__str__(token)
    if token.token_type in ("bare-quoted-string", "comment"):
        return str(token)  # between its quotes
    return "".join(map(_source, token))


def _addresses(value: Any) -> str:
    """An address list, as text that _written() or ASCII holds: CPython may fold a name without its quotes, so that what
    stands in it becomes addresses."""
    text = str(value)
    if any(isinstance(d, InvalidHeaderDefect) for d in value.defects):
        # of what it cannot read it shows nothing, so that a recipient would be lost
        text = _source(value._parse_tree)
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return re.sub("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]", "\ufffd", text)


class _Written(EmailPolicy):
    """What CPython folds well is left to it. Of text without spaces that is longer than a line it makes encoded words,
    also of ids and URLs, which nobody reads then: List-Unsubscribe, References, In-Reply-To, long addresses."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        # a value without a name came from a file and stays as it is
        if not hasattr(value, "name"):
            return super().fold_binary(name, value)
        of_addresses = hasattr(value, "addresses")
        text = _addresses(value) if of_addresses else str(value)
        ours = _written(name, text, self.utf8)
        if ours is not None:
            return ours
        if not of_addresses and (not text.isascii() or "=?" in text or "\r" in text or "\n" in text):
            return super().fold_binary(name, value)
        lines = [name + ":"]
        for word in text.split(" "):
            if word and len(lines[-1]) + 1 + len(word) > 78 and lines[-1].strip() not in ("", name + ":"):
                lines.append("")
            lines[-1] += " " + word
        written = "\r\n".join(lines) + "\r\n"
        fits = of_addresses or max(map(len, lines)) <= 998
        return written.encode() if fits else super().fold_binary(name, value)


class _WrittenOld(Compat32):
    """The same for messages of the older classes."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        ours = _written(name, value, False) if isinstance(value, str) else None
        return super().fold_binary(name, value) if ours is None else ours


@lru_cache(maxsize=None)
def _writing_class(given: type) -> type:
    return type(given.__name__, (_Written if issubclass(given, EmailPolicy) else _WrittenOld, given), {})


def _writing(policy: Policy) -> Policy:
    """The same policy with our fold_binary, whatever class it has."""
    if not isinstance(policy, (EmailPolicy, Compat32)):
        return policy
    result: Policy = object.__new__(_writing_class(type(policy)))
    for name, value in vars(policy).items():
        object.__setattr__(result, name, value)
    return result


def message_octets(message: object) -> bytes:
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
            policy = policy.clone(refold_source="none")
        # not by as_bytes(), whose arguments are others in some of Django's messages
        written = BytesIO()
        BytesGenerator(written, mangle_from_=False, policy=_writing(policy)).flatten(message)
        return written.getvalue()
    except InvalidInput:
        raise
    except (ValueError, LookupError, MessageError) as e:
        raise InvalidInput(f"the message cannot be written out: {e}", code="invalid_message", phase="prepare") from e
    except (TypeError, AttributeError) as e:
        text = f"the message cannot be written out: what it holds must be a text, or a list of messages: {e}"
        raise InvalidInput(text, code="invalid_message", phase="prepare") from e


def holds_surrogate(text: str) -> bool:
    """Whether part of it is no character, as what was read as UTF-8 and is none."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def octets(what: str, text: str, code: str = "invalid_option") -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    # not by catching the error of encode(): it holds the text, which may be a password
    if holds_surrogate(text):
        raise InvalidInput(f"{what} holds a lone surrogate, which is no character", code=code, phase="prepare")
    return text.encode()


def check_several(what: str, given: object) -> None:
    """A str would be its characters."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{what} must be a list or the like, not {type(given).__name__}")


def several(what: str, given: Iterable[str]) -> List[bytes]:
    """Of each text."""
    check_several(what, given)
    return [octets(what, text) for text in given]


def filter_number(which: Mapping[str, Any], name: str) -> Optional[int]:
    """The number of a message in a filter; None if it is not there."""
    if name not in which:
        return None
    given = which[name]
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"{name} must be an int, not {type(given).__name__}")
    if not 0 <= given < 1 << 64:
        raise InvalidInput(f"{name} is no number of a message", code="invalid_option")
    return given


def filter_octets(which: Mapping[str, Any], name: str) -> bytes:
    """Those of a text in a filter. An empty one would match all, which is not what an empty variable stands for."""
    if name not in which:
        return b""
    text = octets(name, which[name])
    if not text:
        raise InvalidInput(f"{name} is empty: leave it out to mean all", code="invalid_option")
    return text


def optional_octets(what: str, text: Optional[str]) -> Optional[bytes]:
    return None if text is None else octets(what, text)


def file_octets(what: str, path: Union[str, os.PathLike[str], None]) -> Optional[bytes]:
    if path is None:
        return None
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"{what} must be a path, not {type(path).__name__}")
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        name = b""
    if not name or b"\0" in name:
        raise InvalidInput(f"{what} does not name a file", code="invalid_option", phase="prepare")
    return name


def path_of(what: str, path: Union[str, os.PathLike[str]]) -> Path:
    """Raises TypeError and InvalidInput for what names no file."""
    if path is None:
        raise TypeError(f"{what} must be a path, not NoneType")
    return Path(os.fsdecode(file_octets(what, path) or b""))


def lasting(name: bytes) -> bytes:
    """The same file whatever the working directory is later. Not by abspath(), to which link/.. is nothing."""
    if os.path.isabs(name):
        return name
    try:
        return os.path.join(os.getcwdb(), name)
    except FileNotFoundError as e:
        raise FileNotFoundError(
            e.errno, "the working directory is gone: change to another", os.fsdecode(name)
        ) from None


def names_a_broker(queue: object) -> bool:
    return isinstance(queue, str) and queue.startswith(("amqp://", "amqps://"))


def broker_arguments(
    queue: object, name: Optional[str], shards: Optional[int], ca_file: Union[str, os.PathLike[str], None]
) -> Dict[str, Any]:
    """What says more of a queue at a broker than its URL."""
    # said without it: what is no broker's may hold a password all the same
    if isinstance(queue, str) and "://" in queue and not names_a_broker(queue):
        raise InvalidInput(
            "queue must be a file, or begin with amqp:// or amqps://, in small letters", code="invalid_url"
        )
    if not names_a_broker(queue) and (name, shards, ca_file) != (None, None, None):
        raise InvalidInput(
            "queue_name, queue_shards and queue_ca_file are of use with a queue at a broker only, amqp://...",
            code="contradiction",
        )
    return {
        "queue_name": optional_octets("queue_name", name),
        "queue_shards": count("queue_shards", shards, 256),
        "queue_ca_file": file_octets("queue_ca_file", ca_file),
    }


def _is_pair(given: object) -> bool:
    """Whether it is (name, address); two addresses are two mailboxes."""
    return isinstance(given, tuple) and len(given) == 2 and all(isinstance(x, str) for x in given)


def mailbox(where: str, given: object) -> Tuple[bytes, bytes, bytes]:
    if isinstance(given, Address):
        name, address = given.display_name, given.addr_spec
    elif isinstance(given, tuple) and _is_pair(given):
        name, address = given
    elif isinstance(given, str):
        [(name, address)] = _core.mailboxes(where.encode(), octets(where, given, "invalid_address"), True)
    else:
        kinds = "a str, (name, address) or an email.headerregistry.Address"
        raise TypeError(f"{where} is {kinds}, not {type(given).__name__}")
    return where.encode(), octets(where, name, "invalid_header"), octets(where, address, "invalid_address")


def mailboxes(where: str, given: Mailboxes, kinds: str = "addresses") -> List[Tuple[bytes, bytes, bytes]]:
    """Where each stands, its name and its address. A str is a list as it stands in a header; of all else each element
    is one mailbox, and never becomes two."""
    if isinstance(given, str):
        text = octets(where, given, "invalid_address")
        found = _core.mailboxes(where.encode(), text, False)
        return [(where.encode(), name.encode(), address.encode()) for name, address in found]
    if isinstance(given, Address) or (isinstance(given, tuple) and _is_pair(given) and "@" not in given[0]):
        return [mailbox(where, given)]
    if isinstance(given, (bytes, bytearray)) or not isinstance(given, Iterable):
        raise TypeError(f"{where} must be {kinds}, not {type(given).__name__}")
    return [mailbox(f"{where}[{n}]", one) for n, one in enumerate(given)]


def sender_octets(sender: Optional[Mailbox]) -> Optional[bytes]:
    if sender is None or isinstance(sender, str):
        return None if sender is None else octets("sender", sender, "invalid_address")
    return mailbox("sender", sender)[2]


def recipient_octets(recipients: Optional[Mailboxes]) -> Optional[List[bytes]]:
    return None if recipients is None else [address for _, _, address in mailboxes("recipients", recipients)]


def seconds(what: str, value: Optional[float], *, zero: bool = False, of: str = "seconds") -> Optional[float]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} must be a number of {of}, not {type(value).__name__}")
    if not (0 <= value <= 1e9) or (value == 0 and not zero):
        least = "from 0" if zero else "above 0, up"
        raise InvalidInput(f"{what} must be a number of {of} {least} to 1e9", code="invalid_option")
    return float(value)


def rate(what: str, value: Optional[float]) -> Optional[float]:
    return seconds(what, value, of="messages a second")


def count(what: str, value: Optional[int], most: int) -> Optional[int]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    if not 1 <= value <= most:
        raise InvalidInput(f"{what} must be from 1 to {most}", code="invalid_option")
    return value


def instance(what: str, value: object, kind: type) -> None:
    """Raises TypeError for anything else."""
    if not isinstance(value, kind):
        raise TypeError(f"{what} must be a {kind.__name__}, not {type(value).__name__}")


def check_flags(**flags: object) -> None:
    for what, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{what} must be a bool")


def check_optional_flags(**flags: object) -> None:
    check_flags(**{what: value for what, value in flags.items() if value is not None})


def check_function(what: str, value: Any) -> None:
    if not callable(value):
        raise TypeError(f"{what} must be a function, not {type(value).__name__}")


def check_names(given: Mapping[str, object], known: type) -> None:
    for name in given:
        if name not in known.__annotations__:
            raise TypeError(f"unexpected keyword argument {name!r}")


def choice(what: str, value: Optional[str], choices: List[str]) -> Optional[str]:
    if not isinstance(value, (str, type(None))):
        raise TypeError(f"{what} must be a str, not {type(value).__name__}")
    if value is not None and value not in choices:
        raise InvalidInput(f"{what} must be one of: {', '.join(choices)}", code="invalid_option")
    return value
