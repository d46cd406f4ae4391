"""Messages that the C++ library composes."""

from __future__ import annotations

import binascii
import os
from collections.abc import Iterable as IterableABC
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Callable, Iterable, List, Mapping, NoReturn, Optional, Tuple, Union

from . import _core
from ._body_part import BodyPart, PartOptions, about_part, drained, file_of, given_message
from ._errors import InvalidInput
from ._key_check import KeyCheck, Lookup, check_key
from ._literals import DkimFieldSet, words
from ._messages import Mailbox, Mailboxes, check_several, choice, file_octets, instance, mailboxes, octets, seconds

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._messages import MessageLike

_OWN = "a str or addresses"  # of a field of one's own
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST = datetime(2262, 1, 1, tzinfo=timezone.utc)  # nanoseconds in 64 bits
_SECOND = timedelta(seconds=1)


# PEM, the path of it, or an algorithm and a function that signs a digest, and the public key if it is to be checked
Signing = Callable[[bytes], bytes]
Key = Union[str, bytes, "os.PathLike[str]", Tuple[str, Signing], Tuple[str, Signing, str]]
_ED25519 = b"\x06\x03\x2b\x65\x70"  # its identifier, as PKCS #8 has it


def _ed25519(pem: bytes, password: str) -> Optional[Tuple[Signing, bytes]]:
    """What signs with the Ed25519 key in the PEM, and its public key in base64; None if it is another."""
    body = pem.partition(b"-----BEGIN PRIVATE KEY-----")[2].partition(b"-----END")[0]
    try:
        plain = _ED25519 in binascii.a2b_base64(body)[:24]
    except binascii.Error:
        plain = False
    if not plain and b"-----BEGIN ENCRYPTED PRIVATE KEY-----" not in pem:
        return None
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
    except ImportError:
        if not plain:
            return None
        why = "DKIM: an Ed25519 key needs the package cryptography: pip install postroad[ed25519]"
        raise InvalidInput(why, code="invalid_option", phase="prepare") from None
    try:
        # of a key that is not encrypted the password is not asked for, as with RSA
        key = load_pem_private_key(pem, None if plain else octets("password", password) or None)
    except Exception:  # the C++ part says what is wrong, and without the key
        return None
    if not isinstance(key, Ed25519PrivateKey):
        return None
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return key.sign, binascii.b2a_base64(public, newline=False)


def _key_of(key: Key, password: str) -> Tuple[bytes, Optional[Signing], bytes]:
    """PEM and None, or an algorithm, what signs, and the public key in base64."""
    if isinstance(key, tuple):
        if len(key) not in (2, 3) or not isinstance(key[0], str) or not callable(key[1]):
            raise TypeError("key must be (algorithm, function), as ('rsa-sha256', sign), and may have a public key")
        public = key[2] if len(key) == 3 else ""
        return octets("the algorithm of a key", key[0]), key[1], octets("a public key", public)
    if isinstance(key, os.PathLike):
        key = Path(key).read_bytes()
    elif not isinstance(key, (str, bytes)):
        raise TypeError(f"key must be PEM as str or bytes, or a pathlib.Path, not {type(key).__name__}")
    pem = key if isinstance(key, bytes) else octets("key", key)
    ed25519 = _ed25519(pem, password)
    return (pem, None, b"") if ed25519 is None else (b"ed25519-sha256", *ed25519)


class Message:
    """A message that the C++ library composes: faster than email.message.EmailMessage, with attachments that are read
    while it is sent, and with DKIM. All is checked at once: InvalidInput names the field and the octet.

    Addresses are a str as it stands in a header, `Ann Lee <ann@example.com>, bob@example.org`, or an iterable in which
    each element is one mailbox: a str, (name, address), or an email.headerregistry.Address.
    `text_type` is the type of the text with its parameters: "text/plain; format=flowed". `body` is a tree of parts of
    one's own instead of `text`, `html` and `calendar`; attachments stand beside it.
    `date` needs a time zone. Where it or `message_id` is missing, it is made each time the message is sent.
    """

    def __init__(
        self,
        *,
        from_: Mailboxes,
        to: Mailboxes = (),
        cc: Mailboxes = (),
        bcc: Mailboxes = (),
        reply_to: Mailboxes = (),
        sender: Optional[Mailbox] = None,
        subject: Optional[str] = None,
        text: Optional[str] = None,
        text_type: str = "",
        html: Optional[str] = None,
        calendar: Optional[str] = None,
        body: Optional[BodyPart] = None,
        date: Optional[datetime] = None,
        message_id: Optional[str] = None,
        in_reply_to: Optional[str] = None,
        references: Optional[str] = None,
        importance: Optional[str] = None,
        automatic: Optional[str] = None,
        headers: Optional[Mapping[str, Union[str, Iterable[Mailbox]]]] = None,
    ) -> None:
        self._core = _core.Message()
        lists = {"From": from_, "Sender": sender or (), "To": to, "Cc": cc, "Bcc": bcc, "Reply-To": reply_to}
        for name, given in lists.items():
            what = name.lower().replace("-", "_")
            if given and isinstance(given, str) and name in ("From", "To", "Cc", "Reply-To"):
                # with the groups in it
                self._core.set(what, [octets(name, given, "invalid_address")])
            elif found := given and mailboxes(name, given):
                self._core.set_mailboxes(what, found, b"")
        values = {
            **{"subject": subject, "html": html, "calendar": calendar},
            **{"message_id": message_id, "in_reply_to": in_reply_to, "references": references},
            "importance": choice("importance", importance, ["low", "normal", "high"]),
            "automatic": choice("automatic", automatic, ["generated", "replied"]),
        }
        for field, value in values.items():
            if value is not None:
                self._set(field, value)
        if text is not None:
            self._set("text", text, text_type)
        if body is not None:
            if not isinstance(body, BodyPart):
                raise TypeError(f"body must be a BodyPart, not {type(body).__name__}")
            self._core.body(body._part)
        instance("headers", headers or {}, MappingABC)
        for name, own in (headers or {}).items():
            if isinstance(own, str):
                self._set("header", name, own)
            else:
                where = octets("a header", name, "invalid_header")
                self._core.set_mailboxes("header", mailboxes(name, own, _OWN), where)
        if date is not None:
            instance("date", date, datetime)
            offset = date.utcoffset()
            if offset is None:
                raise InvalidInput("date needs a time zone", code="invalid_header", phase="prepare")
            if date >= _LAST:
                raise InvalidInput("date must be before the year 2262", code="invalid_header", phase="prepare")
            self._set("date", str((date - _EPOCH) // _SECOND), str(offset // (60 * _SECOND)))

    def _set(self, what: str, *values: str) -> None:
        self._core.set(what, [octets(what, value, "invalid_header") for value in values])

    def embed_images(self, html: str, folder: Optional[os.PathLike[str]] = None) -> None:
        """Makes `html` the HTML, and the images that it names parts of the message: files in `folder` by relative
        paths, read while it is sent, and `data:` URIs, which Outlook and Gmail do not show. All other URLs stay."""
        where = b"" if folder is None else file_octets("folder", folder) or b""
        self._core.embed_images(octets("the HTML", html, "invalid_message"), where)

    def attach(self, what: Union[bytes, bytearray, memoryview, os.PathLike[str]], **about: Unpack[PartOptions]) -> None:
        """Attaches octets, or a file that is read while it is sent: a pathlib.Path, since a str could be either. What
        is not given follows from the name. With a `content_id` it belongs to the HTML, which shows it where it names
        `cid:...`. `headers` are further fields of the part."""
        if isinstance(what, os.PathLike):
            self._core.attach(file_of(what), *about_part(about))
        elif isinstance(what, (bytes, bytearray, memoryview)):
            self._core.attach(bytes(what), *about_part(about))
        else:
            raise TypeError(f"what is attached is bytes or a pathlib.Path, not {type(what).__name__}")

    def attach_stream(self, stream: Union[BinaryIO, Iterable[bytes]], **about: Unpack[PartOptions]) -> None:
        """Attaches what a file object or an iterable of bytes gives: all of it now, into memory."""
        self.attach(drained(stream), **about)

    def add_alternative(self, what: Union[str, bytes], media_type: str) -> None:
        """Adds another form of the text: a str of a text/ type, poorer than the HTML, or octets of any other type."""
        if isinstance(what, str):
            self._set("alternative", what, media_type)
        elif isinstance(what, bytes):
            self._core.alternative(what, octets("a part", media_type, "invalid_header"))
        else:
            raise TypeError(f"an alternative is str or bytes, not {type(what).__name__}")

    def attach_message(self, nested: MessageLike, *, name: str = "") -> None:
        """Attaches a message (message/rfc822), as "message.eml" if no name is given."""
        self._core.attach_message(given_message(nested), octets("a part", name, "invalid_header"))

    def add_group(self, name: str, members: Mailboxes = (), *, field: str = "to") -> None:
        """Adds recipients under one name to the field `to`, `cc` or `reply_to`; it may be empty:
        undisclosed-recipients. With `from` it takes the place of the authors, and a `sender` is needed (RFC 6854)."""
        group = f"{choice('field', field, ['from', 'to', 'cc', 'reply_to'])}_group"
        found = mailboxes("members", members) if members else []
        self._core.set_mailboxes(group, found, octets("a group", name, "invalid_header"))

    def set_list(
        self, list_id: str, name: str = "", *, one_click: str = "", unsubscribe: str = "", **urls: str
    ) -> None:
        """Says of what list it is: the id that never changes, its name for people, how to leave it (`one_click`: https,
        RFC 8058), and the URLs `help`, `subscribe`, `post`, `owner`, `archive`."""
        self._set("list_id", list_id, name)
        if one_click or unsubscribe:
            self._set("unsubscribe", one_click, unsubscribe)
        for what, url in urls.items():
            self._set(choice("a URL of a list", what, ["help", "subscribe", "post", "owner", "archive"]) or "", url)

    def add_header(
        self, name: str, value: Union[str, Mailboxes] = "", parameters: Optional[Mapping[str, str]] = None
    ) -> None:
        """Adds a field: a text, or mailboxes that are no str, and parameters behind it, without quotes of yours:
        `add_header("CFBL-Address", "fbl@example.com", {"report": "arf"})`."""
        instance("parameters", parameters or {}, MappingABC)
        where = octets("a header", name, "invalid_header")
        given = [
            (octets("a parameter", key, "invalid_header"), octets(f"{name}; {key}", text, "invalid_header"))
            for key, text in (parameters or {}).items()
        ]
        if isinstance(value, str):
            self._core.header(where, octets(name, value, "invalid_header"), None, given)
        else:
            self._core.header(where, b"", mailboxes(name, value, _OWN), given)

    def sign(
        self,
        domain: str,
        selector: str,
        key: Key,
        *,
        password: str = "",
        header: str = "relaxed",
        body: str = "relaxed",
        fields: Union[DkimFieldSet, DkimFields] = "standard",
        identity: str = "",
        valid_for: Optional[float] = None,
    ) -> None:
        """Signs with DKIM whenever it is sent; each call adds a signature. The arguments are those of Dkim."""
        signer = Dkim(
            domain,
            selector,
            key,
            password=password,
            header=header,
            body=body,
            fields=fields,
            identity=identity,
            valid_for=valid_for,
        )
        self._core.sign(signer._signature)

    def __bytes__(self) -> bytes:
        """The message as it would be sent now, in the form that every server takes."""
        return self._core.octets()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Message may hold keys and cannot be pickled or copied: pass bytes(message) on")


@dataclass(frozen=True)
class DkimFields:
    """Which fields a signature covers, by name. Of From it is always each, and that there is no other."""

    names: Iterable[str] = ()
    """Signed where the message has them."""
    oversigned: Iterable[str] = ()
    """Of these, signed or not, nobody can add another where the message has one."""
    kept_absent: Iterable[str] = ()
    """Of these nobody can add one even where the message has none."""

    def __post_init__(self) -> None:
        for name in ("names", "oversigned", "kept_absent"):
            given = getattr(self, name)
            check_several(name, given)
            object.__setattr__(self, name, tuple(given))

    def _octets(self) -> Tuple[List[bytes], List[bytes], List[bytes]]:
        names, oversigned, absent = (
            [octets(what, name) for name in of]
            for what, of in (("names", self.names), ("oversigned", self.oversigned), ("kept_absent", self.kept_absent))
        )
        return names, oversigned, absent


class Dkim:
    """Signs messages with DKIM (RFC 6376): any that can be sent.

    `key` is an RSA or Ed25519 key: its PEM as str or bytes, or the path of one (a pathlib.Path); Ed25519 needs the
    package cryptography. It may also be (algorithm, function), for a key kept elsewhere: the function gets a SHA-256
    digest and returns the signature, in whatever thread sends; a third element is the public key in base64, as the
    DNS has it, for `check`. `header` and `body` are "relaxed" or "simple". `fields` is "standard"; "mailing_list_safe",
    which leaves out what lists change; "strict", where nobody can add a field that the message does not have; or a
    DkimFields. `identity` is for whom in the domain it is signed (i=); `valid_for` says for how many seconds it holds
    (x=)."""

    def __init__(
        self,
        domain: str,
        selector: str,
        key: Key,
        *,
        password: str = "",
        header: str = "relaxed",
        body: str = "relaxed",
        fields: Union[DkimFieldSet, DkimFields] = "standard",
        identity: str = "",
        valid_for: Optional[float] = None,
    ) -> None:
        pem, function, public = _key_of(key, password)
        forms = [choice(what, form, ["relaxed", "simple"]) for what, form in (("header", header), ("body", body))]
        own = DkimFields()
        if isinstance(fields, DkimFields):
            own = fields
            forms.append("")
        else:
            forms.append(choice("fields", fields, words(DkimFieldSet)))
        named = {"domain": domain, "selector": selector, "password": password}
        texts = [octets(what, text) for what, text in named.items()]
        texts += [octets("fields", text or "") for text in forms] + [octets("identity", identity)]
        lifetime = seconds("valid_for", valid_for) or 0
        values = [*texts[:2], pem, *texts[2:], str(int(lifetime)).encode(), public]
        self._signature: _core.Signature = (values, function, own._octets())
        _core.check_signature(self._signature)

    def sign(self, message: MessageLike) -> bytes:
        """The message with a signature on top. Bcc is not in it: give `recipients` when you send it."""
        return _core.signed(given_message(message), self._signature)

    def record(self) -> Tuple[str, str]:
        """The name and the text of the TXT record to publish, which is empty where the public key is not known."""
        return _core.key_record(self._signature)

    def check(self, lookup: Optional[Lookup] = None) -> KeyCheck:
        """Looks the published key up and says what verifiers make of it. `lookup` gets a name and gives its TXT
        records, none where there are none; what it raises makes the verdict "unknown". Without it, dnspython looks
        up."""
        return check_key(self._signature, lookup)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Dkim holds a key and cannot be pickled or copied")


def signatures_of(sign: Union[Dkim, Iterable[Dkim], None]) -> Optional[List[_core.Signature]]:
    """What signs for a mailer."""
    if sign is None:
        return None
    signers = [sign] if isinstance(sign, Dkim) else list(sign) if isinstance(sign, IterableABC) else None
    wrong = next((s for s in signers or () if not isinstance(s, Dkim)), sign)
    if not signers or wrong is not sign:
        raise TypeError(f"sign must be a postroad.Dkim or several, not {type(wrong).__name__}")
    return [s._signature for s in signers]
