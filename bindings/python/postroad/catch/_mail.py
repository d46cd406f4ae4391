"""What a caught message holds, whatever somebody put into it."""

from __future__ import annotations

import email
import email.policy
import email.utils
import re
from email.parser import BytesHeaderParser
from html.parser import HTMLParser
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

_SEARCHED = 20_000
_FIELD = 4000
_SHOWN = 1_000_000
# shown by the browser as they are; anything else is only given to be saved
_PICTURES = ("image/png", "image/gif", "image/jpeg", "image/webp")
_CLIPPED = 102 * 1024


class Part(NamedTuple):
    name: str
    media_type: str
    content_id: str
    octets: bytes

    @property
    def is_picture(self) -> bool:
        return self.media_type in _PICTURES


def _decoded(octets: bytes, charset: Optional[str]) -> str:
    try:
        return octets.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return octets.decode("latin-1")


class _Page(HTMLParser):
    """Links, and what images lack."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: List[str] = []
        self.remote = self.without_alt = 0

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href") and len(self.links) < 1000:
            self.links.append(_clean(str(given["href"])[:2000]))
        if tag == "img":
            self.without_alt += given.get("alt") is None
            self.remote += str(given.get("src") or "").strip().lower().startswith(("http:", "https:", "//"))


class Mail:
    """A message that was read without a word of trust."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._fields: Dict[str, str] = {}
        self._message = _parsed(octets)
        leaves = [p for p in self._message.walk() if not p.is_multipart()]
        self._text = self._first(leaves, "text/plain")
        self._html = self._first(leaves, "text/html")
        shown = [p for p in (self._text, self._html) if p is not None]
        self.parts = [self._part(p) for p in leaves if all(p is not s for s in shown)]

    @staticmethod
    def _first(leaves: List[Any], media_type: str) -> Optional[Any]:
        bodies = (p for p in leaves if p.get_content_type() == media_type and not _attached(p))
        return next(bodies, None)

    def _part(self, part: Any) -> Part:
        octets = part.get_payload(decode=True)
        name = _safely(part.get_filename) or ""
        content_id = _field(part, "Content-ID").strip("<> ")
        return Part(name, part.get_content_type(), content_id, octets if isinstance(octets, bytes) else b"")

    def field(self, name: str) -> str:
        if name not in self._fields:
            self._fields[name] = _field(self._message, name)
        return self._fields[name]

    @property
    def header(self) -> List[Tuple[str, str]]:
        return [(name, _clean(value)) for name, value in self._message.raw_items()][:1000]

    @property
    def text(self) -> Optional[str]:
        return self._content(self._text)

    @property
    def html(self) -> Optional[str]:
        return self._content(self._html)

    @staticmethod
    def _content(part: Optional[Any]) -> Optional[str]:
        if part is None:
            return None
        octets = part.get_payload(decode=True)
        text = _decoded(octets if isinstance(octets, bytes) else b"", _safely(part.get_content_charset))
        # utf-7 has lone surrogates, which are no text
        return text.encode("utf-8", "replace").decode()

    def summary(self) -> Dict[str, Any]:
        return {
            "subject": self.field("Subject")[:500],
            "from": self.field("From")[:500],
            "to": self.field("To")[:500],
            "attachments": len(self.parts),
            "size": len(self.octets),
        }

    def searched(self) -> str:
        fields = [self.field(name) for name in ("Subject", "From", "To", "Cc")]
        names = [p.name for p in self.parts]
        body = (self.text or self.html or "")[:_SEARCHED]
        return "\n".join([*fields, *names, body]).casefold()

    def detail(self, sender: str, recipients: List[str]) -> Dict[str, Any]:
        page = _Page()
        html = self.html
        if html is not None:
            _safely(lambda: page.feed(html[: 4 * _SHOWN]))
        parts = [
            {"name": p.name, "type": p.media_type, "size": len(p.octets), "picture": p.is_picture} for p in self.parts
        ]
        text = self.text
        links = page.links or re.findall(r"https?://[^\s<>\"]+", (text or "")[:_SHOWN])[:1000]
        return {
            **self.summary(),
            "cc": self.field("Cc"),
            "date": self.field("Date"),
            "envelope": {"sender": sender, "recipients": recipients},
            "header": self.header,
            "text": None if text is None else text[:_SHOWN],
            "html": html is not None,
            "remote": page.remote,
            "parts": parts,
            "links": links,
            "checks": [{"grade": grade, "text": words} for grade, words in self._checks(sender, page)],
        }

    def _checks(self, sender: str, page: _Page) -> Iterator[Tuple[str, str]]:
        """What a reader, or who filters mail, will mind."""
        for name in ("From", "Date", "Message-ID", "Subject"):
            if not self.field(name):
                yield "bad", f"the field {name} is missing or empty"
        _, author = _safely(lambda: email.utils.parseaddr(self.field("From"))) or ("", "")
        author = author.rpartition("@")[2].lower()
        bounces = sender.rpartition("@")[2].lower()
        if author and bounces and not (author == bounces or _related(author, bounces)):
            yield "notice", f"From is of {author}, the envelope of {bounces}: SPF does not count for DMARC"
        if self.html is not None and self.text is None:
            yield "notice", "there is HTML and no text: some readers show nothing, and filters mind"
        if self.html is not None and len(self.html) > _CLIPPED:
            yield "notice", f"the HTML has {len(self.html) // 1024} KiB: Gmail clips what is over 102"
        if page.without_alt:
            yield "notice", f"images without alt: {page.without_alt}; who sees no images does not know what they are"
        if page.remote:
            yield "notice", f"images from elsewhere: {page.remote}; many readers fetch none until asked"
        if plain := sum(link.lower().startswith("http:") for link in page.links):
            yield "notice", f"links that are http, not https: {plain}"
        yield from self._list_checks()
        longest = max((len(line.rstrip(b"\r")) for line in self.octets.split(b"\n")), default=0)
        if longest > 998:
            yield "notice", f"a line has {longest} octets, of 998 that SMTP allows"

    def _list_checks(self) -> Iterator[Tuple[str, str]]:
        leave, post = self.field("List-Unsubscribe"), self.field("List-Unsubscribe-Post")
        if not leave:
            return
        if "https:" not in leave:
            yield "notice", "List-Unsubscribe has no https link: one-click (RFC 8058) needs one"
        elif post.replace(" ", "").lower() != "list-unsubscribe=one-click":
            yield "notice", "List-Unsubscribe-Post: List-Unsubscribe=One-Click is missing (RFC 8058)"
        else:
            yield "good", "it can be unsubscribed by one click (RFC 8058)"

    def page(self) -> str:
        """The HTML, its own images beside it. What keeps it from harm is the policy it is served with; what would
        only get in the way is left out."""
        html = self.html or ""
        numbers = {p.content_id: n for n, p in enumerate(self.parts) if p.content_id}

        def image(found: "re.Match[str]") -> str:
            n = numbers.get(found[1])
            return found[0] if n is None else f"parts/{n}"

        html = re.sub(r"(?i)\bcid:([^\"'\s>)]{1,500})", image, html)
        # up to the next < at most: from one that is not closed to the end, for each, would take hours
        return re.sub(r"(?i)<(?:meta|link|base)\b[^<>]*>", "", html)


def _parsed(octets: bytes) -> Any:
    """By the older parser where the newer one falls over, as over a Content-Type with `; name*`; the header only where
    both do, as over a thousand parts within each other."""
    for parse in (
        lambda: email.message_from_bytes(octets, policy=email.policy.default),
        lambda: email.message_from_bytes(octets),
    ):
        if (found := _safely(parse)) is not None:
            return found
    return BytesHeaderParser().parsebytes(octets)


def _related(one: str, other: str) -> bool:
    return one.endswith("." + other) or other.endswith("." + one)


def _attached(part: Any) -> bool:
    return bool(_safely(part.get_content_disposition) == "attachment")


def _safely(function: Any) -> Any:
    """What somebody wrote to break a parser breaks only its own field."""
    try:
        return function()
    except Exception:
        return None


def _clean(text: str) -> str:
    return re.sub(r"\r?\n", "", str(text)).encode("utf-8", "replace").decode("utf-8")


def _field(part: Any, name: str) -> str:
    raw = next((v for n, v in part.raw_items() if n.lower() == name.lower()), "")
    # as it stands where it is long: the parser of addresses and encoded words takes seconds for a megabyte
    found = None if len(raw) > _FIELD else _safely(lambda: email.policy.default.header_fetch_parse(name, raw))
    return _clean(raw if found is None else found)
