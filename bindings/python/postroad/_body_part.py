"""Trees of parts that a Message takes as its body."""

from __future__ import annotations

import os
from collections.abc import Iterable as IterableABC
from typing import TYPE_CHECKING, BinaryIO, Iterable, List, Mapping, NoReturn, Tuple, TypedDict, Union

from . import _core
from ._messages import check_flags, check_names, file_octets, message_octets, octets

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._messages import MessageLike

Stream = Union[BinaryIO, Iterable[bytes]]


class PartOptions(TypedDict, total=False):
    """What is said of a part. What is not given follows from its name, or is the default of its kind."""

    name: str  # of the file
    media_type: str  # with parameters: "text/plain; format=flowed"
    content_id: str  # what a `cid:` URL names
    description: str
    inline: bool  # shown within the text
    headers: Mapping[str, str]  # further fields of the part


def about_part(about: PartOptions) -> Tuple[List[bytes], bool]:
    check_names(about, PartOptions)
    inline = about.get("inline", False)
    check_flags(inline=inline)
    texts = [about.get("name", ""), about.get("media_type", ""), about.get("content_id", "")]
    texts.append(about.get("description", ""))
    texts.extend(text for pair in about.get("headers", {}).items() for text in pair)
    return [octets("a part", text, "invalid_header") for text in texts], inline


def file_of(path: os.PathLike[str]) -> _core.File:
    return _core.File(file_octets("the path", path) or b"")


def given_message(message: MessageLike) -> _core.Given:
    """What the C++ part takes: octets, a file that it reads while it sends, or what it composed."""
    if isinstance(message, bytes):
        return message
    composed = getattr(message, "_core", None)
    if isinstance(composed, _core.Message):
        return composed
    if isinstance(message, os.PathLike):
        return file_of(message)
    return message_octets(message)


def drained(stream: Stream) -> bytes:
    """All that a file object or an iterable of bytes gives."""
    read = getattr(stream, "read", None)
    is_stream = read is not None or (isinstance(stream, IterableABC) and not isinstance(stream, (str, bytes)))
    chunks = [read()] if read is not None else list(stream) if is_stream else []
    if not is_stream or not all(isinstance(c, (bytes, bytearray, memoryview)) for c in chunks):
        raise TypeError("a stream is a binary file object or an iterable of bytes")
    return b"".join(chunks)


class BodyPart:
    """A part of a message, or several within a multipart: `Message(body=...)` takes it where text, HTML and attachments
    do not make the structure that is wanted. Everything is checked when it is made. Made by `text`, `octets`, `file`,
    `stream`, `message` and `multipart`; the options of a part are those of PartOptions."""

    _part: _core.BodyPart

    def __init__(self) -> None:
        raise TypeError("a BodyPart is made by BodyPart.text, octets, file, stream, message or multipart")

    @classmethod
    def _of(cls, core: _core.BodyPart) -> BodyPart:
        part = cls.__new__(cls)
        part._part = core
        return part

    @classmethod
    def text(cls, lines: str, **about: Unpack[PartOptions]) -> BodyPart:
        """Text, as text/plain unless `media_type` says otherwise."""
        return cls._of(_core.BodyPart.text(octets("the text", lines, "invalid_message"), *about_part(about)))

    @classmethod
    def octets(cls, data: Union[bytes, bytearray, memoryview], **about: Unpack[PartOptions]) -> BodyPart:
        """Octets; `name` or `media_type` is needed."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"octets are bytes, not {type(data).__name__}")
        return cls._of(_core.BodyPart.leaf(bytes(data), *about_part(about)))

    @classmethod
    def file(cls, path: os.PathLike[str], **about: Unpack[PartOptions]) -> BodyPart:
        """A file, read while the message is sent."""
        if not isinstance(path, os.PathLike):
            raise TypeError(f"a file is given as a pathlib.Path, not {type(path).__name__}")
        return cls._of(_core.BodyPart.leaf(file_of(path), *about_part(about)))

    @classmethod
    def stream(cls, stream: Stream, **about: Unpack[PartOptions]) -> BodyPart:
        """What a file object or an iterable of bytes gives: all of it now, into memory."""
        return cls.octets(drained(stream), **about)

    @classmethod
    def message(cls, nested: MessageLike, **about: Unpack[PartOptions]) -> BodyPart:
        """A message within the message (message/rfc822)."""
        return cls._of(_core.BodyPart.message(given_message(nested), *about_part(about)))

    @classmethod
    def multipart(cls, media_type: str, *parts: BodyPart) -> BodyPart:
        """Parts in a multipart: `BodyPart.multipart("multipart/mixed", a, b)`; at least one, at most 40 deep."""
        if not all(isinstance(part, BodyPart) for part in parts):
            raise TypeError("the parts of a multipart are BodyParts")
        kind = octets("the type of a multipart", media_type, "invalid_header")
        return cls._of(_core.BodyPart.multipart(kind, [part._part for part in parts]))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a BodyPart cannot be pickled or copied")
