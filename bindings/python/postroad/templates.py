"""Letters from templates: a file for the text, one for the HTML, one for the header; Jinja2. See docs/templates.md."""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, NoReturn, Optional, Tuple, Union
from urllib.parse import unquote

from ._errors import InvalidInput
from ._message import Dkim, Message
from ._messages import check_optional_flags, instance, mailbox, mailboxes, path_of
from .unsubscribe import Unsubscribe

if TYPE_CHECKING:
    import os

    from jinja2 import Environment
    from jinja2 import Template as Compiled

_ADDRESSES = {"from": "from_", "to": "to", "cc": "cc", "bcc": "bcc", "reply-to": "reply_to", "sender": "sender"}
_ONCE = ("subject", "sender", "tag")
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"\\@]+@[^\s<>()\[\],;:\"\\@]+")
_SPECIAL = re.compile(r'[<>()\[\],;:"\\@.]')
_EXPRESSION = re.compile(r"\{[{%#]")


@dataclass(frozen=True)
class Letter:
    """What a template makes of a row."""

    message: Message
    recipients: Tuple[str, ...]
    """Of the envelope: those of To, Cc and Bcc."""
    text: Optional[str]
    html: Optional[str]
    tag: str = ""
    """What it belongs to; as of Mailer.send()."""


def _wrong(text: str, cause: Optional[BaseException] = None) -> NoReturn:
    raise InvalidInput(text, code="invalid_template", phase="prepare") from cause


def _jinja() -> Any:
    try:
        import jinja2
    except ImportError:
        text = "templates need the Python package jinja2: pip install 'postroad[templates]'"
        raise InvalidInput(text, code="not_installed") from None
    return jinja2


def _shown(value: object) -> object:
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"{type(value).__name__} are no text: decode what the row has there")
    return "" if value is None else value


def _shielded(value: object) -> object:
    """A value within a field of addresses: a name is quoted where it must be, so that it never becomes an address;
    spaces around either are of whoever wrote the row."""
    text = str(_shown(value)).strip(" \t")
    if _ADDRESS.fullmatch(text) or not _SPECIAL.search(text):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


def _without_gaps(addresses: str) -> str:
    """A list without the elements that are empty, as of a variable that is. What is in quotes stays."""
    elements = re.findall(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+', addresses)
    found = ""
    for element in filter(None, (e.strip() for e in elements)):
        within = found.endswith(":") or element.startswith(";")  # the ends of a group
        found += element if not found else f" {element}" if within else f", {element}"
    return found


def _language(name: object) -> str:
    """Of "de-AT", as of the locales "de_AT" and "de_AT.UTF-8"."""
    return str(name or "").strip().partition(".")[0].replace("_", "-").lower()


def _variables(row: Mapping[str, Any]) -> Dict[str, Any]:
    """Those of a row, and `row`, for names that stand for no variable in a template."""
    if not isinstance(row, Mapping):
        raise TypeError(f"row must be a mapping of names to values, not {type(row).__name__}")
    for name in row:
        if not isinstance(name, str):
            more = ", by which csv.DictReader means more fields than columns" if name is None else ""
            raise InvalidInput(f"the name of a variable must be a str, not {name!r}{more}", code="invalid_row")
    return {"row": row, **row}


class _Images(HTMLParser):
    """Where images stand that are files beside the template."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: List[Tuple[int, int, str]] = []
        self._starts = [0, *(end.end() for end in re.finditer("\n", text))]  # of lines as getpos() counts them
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        source = next((value for name, value in attrs if name in ("src", "background")), None)
        if (
            tag not in ("img", "table", "td", "body")
            or not source
            or re.match(r"(?!file:)[a-z][a-z0-9+.-]+:|//|#", source, re.I)
        ):
            return
        line, column = self.getpos()
        at = self._starts[line - 1] + column
        tag_text = self.get_starttag_text() or ""
        for hit in re.finditer(r"\b(?:src|background)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)", tag_text, re.I):
            if html.unescape(hit[1].strip("\"'")) == source:
                self.found.append((at + hit.start(1), at + hit.end(1), source))
                return

    handle_startendtag = handle_starttag


def text_from_html(page: str) -> str:
    """The text that stands beside an HTML, as Markdown, whose headings, lists and links people can read.

    Raises InvalidInput: the package markdownify is missing."""
    instance("page", page, str)
    try:
        from bs4 import BeautifulSoup
        from markdownify import MarkdownConverter
    except ImportError:
        text = "text from HTML needs the Python package markdownify: pip install 'postroad[templates]', or write a .txt"
        raise InvalidInput(text, code="not_installed") from None
    soup = BeautifulSoup(_as_browsers_read(page), "html.parser")
    for part in soup(["head", "style", "script", "title"]):
        part.decompose()
    _leave_what_is_read(soup)
    options: Dict[str, Any] = {
        "heading_style": "ATX",
        "escape_misc": False,
        "escape_asterisks": False,
        "escape_underscores": False,
        "table_infer_header": True,
    }
    found: str = MarkdownConverter(**options).convert_soup(soup)
    return re.sub(r"\n{3,}", "\n\n", found).strip() + "\n"


def _as_browsers_read(page: str) -> str:
    """With the ends of <p>, <li>, <td> and others that need none: without, each would stand within the one before. And
    with what hides by CSS."""
    inliner = _inliner(None)
    try:
        closed: str = page if inliner is None else inliner.inline(page)
    except Exception:  # css-inline has no public base of its errors
        return page
    return closed


_CELLS = ["tbody", "thead", "tfoot", "tr", "td", "th"]
_BLOCKS = ["p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "hr", "blockquote", "table"]


def _leave_what_is_read(soup: Any) -> None:
    """Without what is hidden, images as what stands for them, and blocks for tables that only place things."""
    hidden = soup.find_all(style=re.compile(r"display\s*:\s*none", re.I))
    for part in [*hidden, *soup.find_all(hidden=True)]:
        if not part.decomposed:
            part.decompose()
    for image in soup("img"):
        image.replace_with(image.get("alt") or "")
    placing = [table for table in soup("table") if _places(table)]
    parts = [part for table in placing for part in table(_CELLS) if part.find_parent("table") is table]
    for part in [*placing, *parts]:
        part.name = "div"


def _places(table: Any) -> bool:
    if table.get("role") in ("presentation", "none") or table.find(_BLOCKS) is not None:
        return True
    return all(len(row(["td", "th"])) < 2 for row in table("tr"))


def with_inline_css(page: str) -> str:
    """The HTML with the CSS of its <style> in the elements as well, for readers that need it so; nothing is fetched.

    Raises InvalidInput: the package css-inline is missing, or cannot read the CSS."""
    instance("page", page, str)
    return _styled(_inliner(True), page, "the HTML")


def _styled(inliner: Any, page: str, where: str) -> str:
    if inliner is None or "<style" not in page:
        return page
    try:
        styled: str = inliner.inline(page)
    except Exception as e:  # css-inline has no public base of its errors
        _wrong(f"{where}: its CSS cannot be inlined: {e}", e)
    return styled


def _place(trace: Optional[TracebackType], folder: str) -> str:
    """Where in a template something was raised: Jinja2 puts its files and lines into the traceback."""
    place = ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(folder):
            place = f"{name[len(folder) :].lstrip('/')}, line {trace.tb_lineno}: "
        trace = trace.tb_next
    return place


class Template:
    """A letter: NAME.html, NAME.txt, or both, and NAME.head, which holds fields of the header (Subject, From, Reply-To,
    Cc, own ones), Attach, a file, and Tag; all of them Jinja2. NAME.de.html and so on are for rows whose `language` is
    "de". Any thread may use it.

    path: of NAME, without an end, in the folder that also holds what it inherits, includes and shows.
    subject, from_: templates, instead of those fields in NAME.head.
    sign: signs each letter.
    unsubscribe: adds one-click unsubscription, and the variable `unsubscribe_url`.
    inline_css: None: if css-inline is installed.

    Raises InvalidInput, which names file and line, for what is wrong in any of it.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        subject: Optional[str] = None,
        from_: Optional[str] = None,
        sign: Optional[Dkim] = None,
        unsubscribe: Optional[Unsubscribe] = None,
        inline_css: Optional[bool] = None,
    ) -> None:
        kinds = {"subject": (subject, str), "from_": (from_, str), "sign": (sign, Dkim)}
        for what, (value, kind) in {**kinds, "unsubscribe": (unsubscribe, Unsubscribe)}.items():
            if value is not None:
                instance(what, value, kind)
        check_optional_flags(inline_css=inline_css)
        given = path_of("path", path)
        self.name = given.name
        self._folder = given.parent.resolve()
        if not self._folder.is_dir():
            _wrong(f"{given.parent} is no folder: give the path of a template, such as letters/welcome")
        self._sign, self._unsubscribe = sign, unsubscribe
        self._images: Dict[Path, bytes] = {}
        self._inliner = _inliner(inline_css)
        jinja = _jinja()
        self._env: Environment = jinja.Environment(
            loader=jinja.FileSystemLoader(self._folder, encoding="utf-8-sig"),
            undefined=jinja.StrictUndefined,
            keep_trailing_newline=True,
            finalize=_shown,
        )
        self._address_env = self._env.overlay(finalize=_shielded)
        # of whatever file: what it includes and inherits need not be called .html
        self._html_env = self._env.overlay(autoescape=True)
        self._bodies = self._compile_bodies()
        self._heads = self._compile_heads({"Subject": subject, "From": from_})

    def _compile_bodies(self) -> Dict[str, Dict[str, Compiled]]:
        """By kind and language."""
        bodies = {}
        for kind, env in (("html", self._html_env), ("txt", self._env)):
            files = self._by_language(kind)
            bodies[kind] = {of: self._compiled(path.name, env.get_template, path.name) for of, path in files.items()}
        if not any(bodies.values()):
            name, _, kind = self.name.rpartition(".")
            advice = f": name it {name}, without .{kind}" if name and kind in ("html", "txt", "head") else ""
            _wrong(f"there is neither {self.name}.html nor {self.name}.txt in {self._folder}{advice}")
        return bodies

    def _by_language(self, kind: str) -> Dict[str, Path]:
        pattern = re.compile(rf"{re.escape(self.name)}(?:\.([A-Za-z]+(?:[-_][A-Za-z0-9]+)*))?\.{kind}")
        files: Dict[str, Path] = {}
        for path in sorted(self._folder.iterdir()):
            found = pattern.fullmatch(path.name)
            other = files.setdefault(_language(found[1]), path) if found else path
            if other is not path:
                _wrong(f"{other.name} and {path.name} are of one language: leave one of them")
        return files

    def _compiled(self, where: str, make: Any, source: str) -> Compiled:
        jinja = _jinja()
        try:
            result: Compiled = make(source)
        except jinja.TemplateSyntaxError as e:
            # a field has no name, and its place is known
            place = f"{e.name}, line {e.lineno}" if e.name else where
            _wrong(f"{place}: {e.message}", e)
        except jinja.TemplateNotFound as e:
            _wrong(f"{where}: there is no template {e.name} in {self._folder}", e)
        except UnicodeDecodeError as e:
            _wrong(f"{where} is not UTF-8: convert it", e)
        return result

    def _compile_heads(self, given: Mapping[str, Optional[str]]) -> Dict[str, List[_Field]]:
        heads = {}
        for language, path in {"": None, **self._by_language("head")}.items():
            fields = [] if path is None else _fields(path)
            fields = [f for f in fields if given.get(f[0].title()) is None]
            fields += [(name, value, "an argument") for name, value in given.items() if value is not None]
            heads[language] = [
                _Field(name, value, where, self._compiled(f"{where}, {name}", self._env_of(name).from_string, value))
                for name, value, where in fields
            ]
        return heads

    def _env_of(self, name: str) -> Environment:
        return self._address_env if name.lower() in _ADDRESSES else self._env

    def render(self, row: Mapping[str, Any], to: Optional[str] = None, message_id: Optional[str] = None) -> Letter:
        """The letter for one row.

        row: the variables. What a template names and the row lacks is an error.
        to: the recipient, where NAME.head has no To.
        message_id: of the message, what stands before the domain, which is that of From.

        Raises InvalidInput: what is missing, an image that is not there, a line break in a field, an address that is
        none."""
        variables = _variables(row)
        language = _language(row.get("language"))
        head = self._head(variables, language)
        recipients = [a for n in ("to", "cc", "bcc") for a in head.addresses(n)] if head.has("to") else []
        if not head.has("to"):
            if not to:
                raise InvalidInput("nobody is named: the row has no address, and the head no To", code="no_recipients")
            head.values.insert(0, ("to", to))
            head.of_row = to
            recipients = [a for n in ("to", "cc", "bcc") for a in head.addresses(n)]
        if not head.has("from"):
            _wrong(f"{self.name}: no sender is known: write From into {self.name}.head, or give from_")
        link = None
        if self._unsubscribe is not None:
            variables["unsubscribe_url"] = link = self._unsubscribe.link(recipients[0])
        page, text = self._body("html", variables, language), self._body("txt", variables, language)
        if page is None and text is None:
            files = f"{self.name}.txt or {self.name}.html"
            _wrong(
                f"{self.name}: there is nothing in the language {language!r}, and there is no {files} for those without"
            )
        images: Dict[str, Path] = {}
        if page is not None:
            page = _styled(self._inliner, page, f"{self.name}.html")
            text = text_from_html(page) if text is None else text
            page, images = self._embedded(page)
        domain = head.addresses("from")[0].rpartition("@")[2]
        message = self._message(
            head, text, page, f"<{message_id}@{domain}>" if message_id and domain.isascii() else None
        )
        for content_id, path in images.items():
            message.attach(self._octets(path), name=path.name, content_id=content_id, inline=True)
        for path in head.attachments:
            message.attach(path)
        if self._unsubscribe is not None and link is not None:
            message.set_list(self._unsubscribe.list_id, one_click=link, unsubscribe=self._unsubscribe.mailto)
        if self._sign is not None:
            message._core.sign(self._sign._signature)
        return Letter(message, tuple(dict.fromkeys(recipients)), text, page, head.tag)

    def _message(self, head: _Head, text: Optional[str], page: Optional[str], message_id: Optional[str]) -> Message:
        known: Dict[str, Any] = {_ADDRESSES[n]: head.boxes(n) for n in _ADDRESSES if head.has(n)}
        if "sender" in known:
            known["sender"] = known["sender"][0]
        subject = next((v for n, v in head.values if n == "subject"), None)
        message = Message(**known, subject=subject, text=text, html=page, message_id=message_id)
        for name, value in head.values:
            if name not in _ADDRESSES and name != "subject":
                message.add_header(name, value)
        return message

    def _chosen(self, language: str, there: Any) -> Any:
        """Of "de-at": that, then "de", then the one without a language."""
        while language:
            if language in there:
                return there[language]
            language = language.rpartition("-")[0]
        return there.get("")

    def _rendered(self, compiled: Compiled, variables: Mapping[str, Any], where: str) -> str:
        try:
            return compiled.render(variables)
        except InvalidInput:
            raise
        except Exception as e:
            place = _place(e.__traceback__, str(self._folder)) or f"{where}: "
            kind = "" if type(e).__name__ == "UndefinedError" else f"{type(e).__name__}: "
            _wrong(f"{place}{kind}{e}", e)

    def _body(self, kind: str, variables: Mapping[str, Any], language: str) -> Optional[str]:
        compiled = self._chosen(language, self._bodies[kind])
        return None if compiled is None else self._rendered(compiled, variables, compiled.name or self.name)

    def _head(self, variables: Mapping[str, Any], language: str) -> _Head:
        head = _Head()
        for name, source, where, compiled in self._chosen(language, self._heads):
            value = self._rendered(compiled, variables, f"{where}, {name}").strip()
            value = _without_gaps(value) if name.lower() in _ADDRESSES else value
            if name.lower() == "attach":
                if value:
                    head.attachments.append(self._attachment(where, source, value))
            elif name.lower() == "tag":
                head.tag = value
            elif value:
                head.values.append((name.lower() if name.lower() in (*_ADDRESSES, "subject") else name, value))
        return head

    def _attachment(self, where: str, source: str, value: str) -> Path:
        """A variable leads to no file outside the folder that the template itself names."""
        fixed = _EXPRESSION.split(source)[0]
        base = (self._folder / fixed).resolve() if fixed.endswith("/") else (self._folder / fixed).resolve().parent
        base = self._folder if not fixed else base
        path = self._file(value)
        if path is not None and base not in path.parents:
            _wrong(f"{where}: the attachment {value!r} is outside of {base}")
        if path is None or not path.is_file():
            _wrong(f"{where}: there is no file {path or repr(value)} to attach")
        return path

    def _file(self, name: str) -> Optional[Path]:
        """None for what names no file, whatever it is."""
        try:
            path = (self._folder / name).resolve()
            path.is_file()
        except (OSError, ValueError, RuntimeError):  # too long, a NUL, links that go round
            return None
        return path

    def _embedded(self, page: str) -> Tuple[str, Dict[str, Path]]:
        images: Dict[str, Path] = {}
        parts, end = [], 0
        for start, stop, source in _Images(page).found:
            path = self._image(source) or self._image(unquote(source))
            if path is None:
                _wrong(f"{self.name}.html: the image {source!r} is not in {self._folder}: put it there")
            content_id = hashlib.sha256(str(path).encode()).hexdigest()[:16] + path.suffix.lower()
            images[content_id] = path
            parts += [page[end:start], f'"cid:{content_id}"']
            end = stop
        return "".join([*parts, page[end:]]), images

    def _image(self, name: str) -> Optional[Path]:
        path = self._file(name)
        return path if path is not None and self._folder in path.parents and path.is_file() else None

    def _octets(self, path: Path) -> bytes:
        if path not in self._images:
            try:
                self._images[path] = path.read_bytes()
            except OSError as e:
                _wrong(f"{self.name}.html: the image {path}: {e.strerror}", e)
        return self._images[path]


class _Field(NamedTuple):
    name: str
    source: str
    where: str
    compiled: Compiled


class _Head:
    def __init__(self) -> None:
        self.values: List[Tuple[str, str]] = []
        self.attachments: List[Path] = []
        self.tag = ""
        self.of_row: Optional[str] = None
        """The recipient where the head has no To: one, whatever stands in the row."""

    def has(self, name: str) -> bool:
        return any(n == name for n, _ in self.values)

    def boxes(self, name: str) -> List[Any]:
        given = [value for n, value in self.values if n == name]
        found = [b for text in given for b in ([mailbox(name, text)] if text is self.of_row else _listed(name, text))]
        return [(who.decode(), address.decode()) for _, who, address in found]

    def addresses(self, name: str) -> List[str]:
        return [address for _, address in self.boxes(name)]


def _listed(name: str, text: str) -> List[Tuple[bytes, bytes, bytes]]:
    try:
        return mailboxes(name, text)
    except InvalidInput as e:
        if not re.search(r'"[^"]*@[^"]*"', text):
            raise
        advice = "a variable is one address or one name; for several write {% for one in all %}{{ one }}, {% endfor %}"
        raise InvalidInput(f"{e}: {advice}", code=e.code, phase="prepare") from e


def _fields(path: Path) -> List[Tuple[str, str, str]]:
    """Name, template of the value, and where it stands. The values are templates of their own, so that no variable can
    begin another field."""
    fields: List[Tuple[str, str, str]] = []
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as e:
        _wrong(f"{path.name} is not UTF-8: convert it", e)
    for n, line in enumerate(lines, 1):
        name, colon, value = line.partition(":")
        if line[:1] in (" ", "\t") and fields and line.strip():
            name, value, where = fields.pop()
            fields.append((name, f"{value} {line.strip()}", where))
        elif not line.strip() or line.startswith("#"):
            continue
        elif not colon or not re.fullmatch(r"[!-9;-~]+", name):
            _wrong(f"{path.name}, line {n}: write Name: value")
        elif name.lower() in _ONCE and any(f[0].lower() == name.lower() for f in fields):
            _wrong(f"{path.name}, line {n}: {name} stands there before: leave one of them")
        else:
            fields.append((name, value.strip(), f"{path.name}, line {n}"))
    return fields


def _inliner(wanted: Optional[bool]) -> Any:
    if wanted is False:
        return None
    try:
        import css_inline
    except ImportError:
        if wanted:
            text = "inline_css needs the Python package css-inline: pip install 'postroad[templates]'"
            raise InvalidInput(text, code="not_installed") from None
        return None
    # nothing is fetched from anywhere
    return css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)
