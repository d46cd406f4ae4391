"""postroad.templates: what becomes of a template and a row, and what is refused."""

from __future__ import annotations

import email
import email.policy
import io
import re
import subprocess
import sys
import wsgiref.util
import wsgiref.validate

import postroad
import pytest
from postroad.templates import Template, text_from_html, with_inline_css
from postroad.unsubscribe import Unsubscribe

pytest.importorskip("jinja2")
ROW = {"email": "bob@example.org", "name": "Bob"}
SECRET = b"0123456789abcdef"


@pytest.fixture
def write(tmp_path):
    """Files of a template "hi" in a folder, and what it makes of a row."""

    def write(**files):
        files.setdefault("head", "Subject: Hello {{ name }}\nFrom: Shop <shop@example.com>\n")
        for end, content in files.items():
            name = f"hi.{end.replace('_', '.')}" if end in ("html", "txt", "head") or "_" in end else end
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / "hi"

    return write


def read(letter):
    return email.message_from_bytes(bytes(letter.message), policy=email.policy.default)


def test_a_letter_has_what_the_files_say(write):
    path = write(txt="Dear {{ name }},\nbye.\n", html="<p>Dear <b>{{ name }}</b>")
    letter = Template(path).render(ROW, to="bob@example.org")
    m = read(letter)
    assert letter.recipients == ("bob@example.org",)
    assert (m["Subject"], m["From"], m["To"]) == ("Hello Bob", "Shop <shop@example.com>", "bob@example.org")
    assert m.get_body(["plain"]).get_content().splitlines() == ["Dear Bob,", "bye."]
    assert m.get_body(["html"]).get_content().strip() == "<p>Dear <b>Bob</b>"


def test_a_byte_order_mark_is_no_part_of_a_template(write):
    mark = "\ufeff"
    head = f"{mark}Subject: Hello\nFrom: shop@example.com\n"
    path = write(txt=f"{mark}Dear {{% include 'end' %}}", html=f"{mark}<p>Dear", head=head, end=f"{mark}Bob")
    m = read(Template(path).render(ROW, to="bob@example.org"))
    assert m["Subject"] == "Hello"
    assert [p.get_content().strip() for p in m.iter_parts()] == ["Dear Bob", "<p>Dear"]


def test_spaces_around_the_address_of_a_row_are_no_part_of_it(write):
    path = write(txt="x", head="Subject: x\nFrom: a@x.example\nTo: {{ name }} <{{ email }}>\n")
    letter = Template(path).render({"email": " bob@example.org\t", "name": " Bob Lee "}, to="bob@example.org")
    assert read(letter)["To"] == "Bob Lee <bob@example.org>"


def test_a_field_of_your_own_may_stand_twice(write):
    path = write(txt="x", head="From: a@x.example\nX-Tag: {{ name }}\nX-Tag: two\n")
    assert read(Template(path).render(ROW, to="b@x.example")).get_all("X-Tag") == ["Bob", "two"]


@pytest.mark.parametrize("name", ["Subject", "subject", "Sender", "Tag"])
def test_a_field_that_stands_once_is_not_left_out_in_silence(write, name):
    path = write(txt="x", head=f"From: a@x.example\n{name.title()}: c@x.example\n{name}: d@x.example\n")
    with pytest.raises(postroad.InvalidInput, match=rf"hi\.head, line 3: {name} stands there before"):
        Template(path)


@pytest.mark.parametrize("arguments", [(1, SECRET, "l"), ("https://x", "s" * 20, "l"), ("https://x", SECRET, 1)])
def test_links_are_made_of_what_can_sign_them(arguments):
    with pytest.raises(TypeError):
        Unsubscribe(*arguments)


def test_the_address_of_a_row_is_one(write):
    template = Template(write(txt="x", head="From: a@x.example"))
    assert template.render({}, to="Bob <b@x.example>").recipients == ("b@x.example",)
    with pytest.raises(postroad.InvalidInput, match="to"):
        template.render({}, to="b@x.example, eve@x.example")


@pytest.mark.parametrize("name", ["subject", "from_", "sign", "unsubscribe"])
def test_an_argument_of_a_wrong_type_is_named(write, name):
    with pytest.raises(TypeError, match=f"{name} must be a"):
        Template(write(txt="x"), **{name: 5})


def test_html_is_escaped_and_text_is_not(write):
    path = write(txt="{{ name }}", html="<p>{{ name }}")
    letter = Template(path).render({"name": "<script>alert(1)</script> & Söhne"}, to="b@x.example")
    assert letter.text == "<script>alert(1)</script> & Söhne"
    assert letter.html == "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; Söhne"


def test_html_is_escaped_whatever_file_it_comes_from(write):
    page = "{% extends 'base.j2' %}{% block main %}{% include 'foot.txt' %}{% endblock %}"
    files = {"base.j2": "<p>{{ name }}{% block main %}{% endblock %}", "foot.txt": "-{{ name }}"}
    letter = Template(write(html=page, txt="{% include 'foot.txt' %}", **files)).render(
        {"name": "<b>"}, to="b@x.example"
    )
    assert letter.html == "<p>&lt;b&gt;-&lt;b&gt;"
    assert letter.text == "-<b>"


@pytest.mark.parametrize("value", [b"Bob", bytearray(b"Bob"), memoryview(b"Bob")])
def test_octets_are_no_text(write, value):
    with pytest.raises(postroad.InvalidInput, match=r"hi\.txt, line 2: .* no text: decode"):
        Template(write(txt="Dear\n{{ name }}", head="From: a@x.example")).render({"name": value}, to="b@x.example")


def test_a_variable_may_have_any_name(write):
    path = write(txt="{{ row['First name'] }} {{ row.name }} {{ row['last-name'] }}")
    row = {**ROW, "First name": "Ann", "last-name": "Lee"}
    assert Template(path).render(row, to="b@x.example").text == "Ann Bob Lee"
    with pytest.raises(postroad.InvalidInput, match=r"line 1: .* has no attribute 'First name'"):
        Template(path).render(ROW, to="b@x.example")


def test_a_variable_that_is_called_row_is_that(write):
    assert Template(write(txt="{{ row }}")).render({**ROW, "row": 7}, to="b@x.example").text == "7"


@pytest.mark.parametrize(
    ("row", "kind"), [(["a"], TypeError), (None, TypeError), ({None: ["more"]}, postroad.InvalidInput)]
)
def test_what_is_no_row_is_said_to_be_none(write, row, kind):
    with pytest.raises(kind, match=r"row must be a mapping|the name of a variable must be a str, not None"):
        Template(write(txt="x")).render(row, to="b@x.example")


def test_addresses_that_are_empty_are_left_out(write):
    head = 'From: a@x.example\nTo: {{ a }}, {{ b }}, {{ c }},\nCc: {{ b }}, {{ b }}\nBcc: "x,, y" <{{ a }}>,,\n'
    letter = Template(write(txt="x", head=head)).render({"a": "a@x.example", "b": "", "c": "c@x.example"})
    assert letter.recipients == ("a@x.example", "c@x.example")
    group = "From: a@x.example\nTo: Team: {{ b }}, {{ a }}, {{ b }};\n"
    assert Template(write(txt="x", head=group)).render({"a": "a@x.example", "b": ""}).recipients == ("a@x.example",)
    many = "From: a@x.example\nTo: {% for one in all %}{{ one }}, {% endfor %}\n"
    letter = Template(write(txt="x", head=many)).render({"all": ["a@x.example", "b@x.example"]})
    assert letter.recipients == ("a@x.example", "b@x.example")


def test_two_addresses_in_one_variable_are_refused_with_advice(write):
    path = write(txt="x", head="From: a@x.example\nCc: {{ cc }}\n")
    with pytest.raises(postroad.InvalidInput, match=r"cc: .*: a variable is one address or one name; .*{% for"):
        Template(path).render({"cc": "a@x.example, b@x.example"}, to="b@x.example")


def test_a_letter_is_signed(write, tmp_path):
    subprocess.run(["openssl", "genrsa", "-out", tmp_path / "key.pem", "2048"], check=True, capture_output=True)
    signer = postroad.Dkim("example.com", "letters", tmp_path / "key.pem")
    letter = Template(write(txt="x"), sign=signer).render(ROW, to="b@x.example")
    assert " s=letters;" in read(letter)["DKIM-Signature"]


def test_what_is_null_is_empty(write):
    assert Template(write(txt="a{{ x }}b", head="From: a@x.example")).render({"x": None}, to="b@x.example").text == "ab"


def test_templates_inherit_and_include(write, tmp_path):
    (tmp_path / "base.html").write_text("<title>{% block title %}{% endblock %}</title>{% block main %}{% endblock %}")
    (tmp_path / "foot.html").write_text("<i>{{ name }}</i>")
    child = "{% extends 'base.html' %}{% block main %}<p>x</p>{% include 'foot.html' %}{% endblock %}"
    assert Template(write(html=child)).render({"name": "<b>"}, to="b@x.example").html == (
        "<title></title><p>x</p><i>&lt;b&gt;</i>"
    )


def test_text_is_made_of_html_where_there_is_none(write):
    pytest.importorskip("markdownify")
    page = "<head><style>p {color: red}</style></head><h1>News</h1><p>Dear {{ name }},</p>"
    page += "<ul><li>one</li><li><a href='https://x.example/a_b'>two</a></li></ul><script>x()</script>"
    text = Template(write(html=page)).render({"name": "<Bob>"}, to="b@x.example").text
    assert "# News" in text
    assert "Dear <Bob>," in text
    assert "[two](https://x.example/a_b)" in text
    assert "red" not in text
    assert "x()" not in text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        # tables that place things, as most HTML for mail is made of
        (
            "<table role=presentation><tr><td><table><tr><td><h1>News</h1><p>Dear Bob,</p></td></tr>"
            "<tr><td><a href='https://x.example/a'>Read <b>more</b></a></td></tr></table></td></tr></table>",
            "# News\n\nDear Bob,\n\n[Read **more**](https://x.example/a)\n",
        ),
        ("<table><tr><td>left</td><td><p>right</p></td></tr></table>", "left\n\nright\n"),
        # and one that is a table, within
        (
            "<table><tr><td><table><tr><td>Item</td><td>Price</td></tr><tr><td>Book</td><td>5 &euro;</td></tr></table>"
            "</td></tr></table>",
            "| Item | Price |\n| --- | --- |\n| Book | 5 € |\n",
        ),
        ("<a href='https://x.example/a'><img src=b.png alt=Buy></a> <img src=c.png>", "[Buy](https://x.example/a)\n"),
        (
            "<div style='color:red; DISPLAY : none'>Preview<p style='display:none'>x</p></div><p hidden>x</p>Hello",
            "Hello\n",
        ),
    ],
)
def test_the_text_of_html_is_what_a_reader_sees(page, text):
    assert text_from_html(page) == text


def test_elements_that_need_no_end_have_none():
    assert text_from_html("<ul><li>x<li>y<li>z</ul>") == "* x\n* y\n* z\n"
    assert text_from_html("<p>a" * 1000).count("a\n") == 1000
    assert text_from_html("<table>" + "<tr><td>a<td>b" * 1000).count("| a | b |") == 1000
    assert text_from_html("<style>.pre{display:none}</style><p class=pre>Preview<p>Hello") == "Hello\n"


def test_a_message_of_ones_own_has_the_same_helpers():
    pytest.importorskip("markdownify")
    pytest.importorskip("css_inline")
    page = with_inline_css("<style>b { color: red }</style><h1>News</h1><p><b>Dear</b> Bob")
    assert '<b style="color: red' in page
    assert text_from_html(page) == "# News\n\n**Dear** Bob\n"
    assert with_inline_css("<p>Hi") == "<p>Hi"


def test_css_is_inlined_and_nothing_is_fetched(write):
    pytest.importorskip("css_inline")
    page = "<html><head><style>p { color: red } @media (max-width: 9px) { p { color: blue } }</style>"
    page += "<link rel=stylesheet href='http://127.0.0.1:9/x.css'></head><body><p>Hi</p></body></html>"
    html = Template(write(html=page, txt="Hi")).render(ROW, to="b@x.example").html
    assert '<p style="color: red' in html
    assert "@media" in html


def test_images_of_the_folder_are_embedded_and_others_stay(write, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/logo & co.gif").write_bytes(b"GIF89a")
    page = '<img alt="src=x" src="pictures/logo &amp; co.gif"><img src=\'https://x.example/a.png\'>'
    page += "<img src='pictures/logo &amp; co.gif'><img src=cid:own><img src='data:image/gif;base64,R0lGODlh'>"
    letter = Template(write(html=page, txt="Hi")).render(ROW, to="b@x.example")
    (image,) = [p for p in read(letter).walk() if p.get_content_type() == "image/gif"]
    content_id = image["Content-ID"].strip("<>")
    assert letter.html.count(f'src="cid:{content_id}"') == 2
    assert image.get_content() == b"GIF89a"
    assert image.get_content_disposition() == "inline"
    for kept in ("https://x.example/a.png", "cid:own", "data:image/gif", 'alt="src=x"'):
        assert kept in letter.html


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\f", "\v", "\x1c", "\r", "\r\n"])
def test_an_image_is_found_behind_whatever_ends_a_line(write, tmp_path, end):
    (tmp_path / "logo.gif").write_bytes(b"GIF89a")
    letter = Template(write(html="<p>{{ name }}\n<img src=logo.gif>", txt="Hi")).render({"name": end}, to="b@x.example")
    assert letter.html.startswith(f'<p>{end}\n<img src="cid:')


def test_the_name_of_an_image_may_be_encoded_as_in_a_url(write, tmp_path):
    (tmp_path / "my logo.gif").write_bytes(b"GIF89a")
    assert "cid:" in Template(write(html="<img src='my%20logo.gif'>", txt="x")).render(ROW, to="b@x.example").html


def test_a_link_to_an_image_leads_nowhere_outside_of_the_folder(write, tmp_path):
    (tmp_path / "real.gif").write_bytes(b"GIF89a")
    (tmp_path / "alias.gif").symlink_to("real.gif")
    (tmp_path / "secret.gif").symlink_to("/etc/hostname")
    template = Template(write(html="<img src='{{ name }}.gif'>", txt="x"))
    assert "cid:" in template.render({"name": "alias"}, to="b@x.example").html
    with pytest.raises(postroad.InvalidInput, match=r"the image 'secret.gif' is not in"):
        template.render({"name": "secret"}, to="b@x.example")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de-AT", "Servus"),
        ("de_at", "Servus"),
        ("de_AT.UTF-8", "Servus"),
        ("de", "Hallo"),
        (" DE-ch ", "Hallo"),
        ("fr", "Hello"),
        (None, "Hello"),
    ],
)
def test_a_language_has_its_files(write, language, text):
    path = write(
        txt="Hello",
        de_txt="Hallo",
        **{"hi.de-AT.txt": "Servus", "hi.de.head": "Subject: {{ name }} de\nFrom: a@x.example"},
    )
    letter = Template(path).render({**ROW, "language": language}, to="b@x.example")
    assert letter.text == text
    assert read(letter)["Subject"] == ("Bob de" if text != "Hello" else "Hello Bob")


def test_a_letter_without_a_text_in_its_language_is_none(write):
    template = Template(write(de_txt="Hallo"))
    assert template.render({**ROW, "language": "de"}, to="b@x.example").text == "Hallo"
    for language in ("fr", ""):
        with pytest.raises(postroad.InvalidInput, match=r"there is no hi\.txt or hi\.html for those without"):
            template.render({**ROW, "language": language}, to="b@x.example")


def test_a_file_of_a_language_may_be_called_as_locales_are(write, tmp_path):
    (tmp_path / "hi.pt_BR.txt").write_text("Oi")
    path = write(txt="Hello")
    assert Template(path).render({**ROW, "language": "pt-BR"}, to="b@x.example").text == "Oi"
    (tmp_path / "hi.pt-br.txt").write_text("Oi")
    with pytest.raises(postroad.InvalidInput, match=r"hi.pt-br.txt and hi.pt_BR.txt are of one language"):
        Template(path)


def test_the_head_names_everything_of_a_row(write, tmp_path):
    (tmp_path / "bills").mkdir()
    (tmp_path / "bills/7.pdf").write_bytes(b"%PDF-1.7")
    head = (
        "# a comment\nSubject: Bill {{ n }}\n  of {{ name }}\nFrom: {{ who }} <shop@example.com>\n"
        "To: {{ name }} <{{ email }}>\nCc: {{ boss }}\nReply-To: re@example.com\nX-Bill: {{ n }}\nX-None: {{ none }}\n"
        "Attach: bills/{{ n }}.pdf\nAttach: {{ none }}\nTag: bills\n"
    )
    row = {**ROW, "n": 7, "who": "Müller, Söhne & Co.", "boss": "", "none": ""}
    letter = Template(write(txt="x", head=head)).render(row)
    m = read(letter)
    assert letter.recipients == ("bob@example.org",)
    assert letter.tag == "bills"
    assert (m["Subject"], m["Reply-To"], m["X-Bill"]) == ("Bill 7 of Bob", "re@example.com", "7")
    assert m["From"].addresses[0].display_name == "Müller, Söhne & Co."
    assert m["X-None"] is m["Cc"] is m["Attach"] is m["Tag"] is None
    assert [p.get_content() for p in m.iter_attachments()] == [b"%PDF-1.7"]


@pytest.mark.parametrize(
    "name",
    [
        "x@evil.example, y",
        'Bob" <x@evil.example>, "',
        "a, b",
        "x@evil.example",
        "\\",
        "Bob <x@evil.example>",
        "g: x@evil.example;",
    ],
)
def test_a_name_never_becomes_a_recipient(write, name):
    template = Template(write(txt="x", head="Subject: s\nFrom: a@x.example\nTo: {{ name }} <{{ email }}>\n"))
    try:
        letter = template.render({**ROW, "name": name})
    except postroad.InvalidInput:
        return
    assert letter.recipients == ("bob@example.org",)
    assert [a.addr_spec for a in read(letter)["To"].addresses] == ["bob@example.org"]


@pytest.mark.parametrize("value", ["a\r\nBcc: eve@x.example", "a\nb", "a\rb", "a\0b"])
@pytest.mark.parametrize("field", ["Subject", "X-Own", "Reply-To"])
def test_a_variable_never_becomes_a_field(write, field, value):
    path = write(txt="x", head=f"From: a@x.example\n{field}: x{{{{ value }}}}y\n")
    with pytest.raises(postroad.InvalidInput):
        bytes(Template(path).render({"value": value}, to="b@x.example").message)


@pytest.mark.parametrize(
    ("source", "file", "says"),
    [
        ("Attach: {{ file }}", "/etc/hostname", "outside"),
        ("Attach: {{ file }}", "../secret.txt", "outside"),
        ("Attach: bills/{{ file }}", "../hi.txt", "outside"),
        ("Attach: bills/{{ file }}", "none.pdf", "there is no file"),
        ("Attach: bills/{{ file }}", "", "outside"),
    ],
)
def test_an_attachment_comes_from_the_folder_that_the_template_names(write, tmp_path, source, file, says):
    (tmp_path / "bills").mkdir()
    head = f"From: a@x.example\n{source}\n"
    with pytest.raises(postroad.InvalidInput, match=says):
        Template(write(txt="x", head=head)).render({"file": file}, to="b@x.example")


@pytest.mark.parametrize(
    "source",
    [
        "none.png",
        "../../etc/hostname",
        "..%2fhostname",
        "{{ name }}",
        "/etc/hostname",
        "FILE:///etc/hostname",
        r"C:\logo.png",
    ],
)
def test_an_image_that_is_not_in_the_folder_is_named(write, source):
    with pytest.raises(postroad.InvalidInput, match="is not in"):
        Template(write(html=f"<img src='{source}'>", txt="x")).render({"name": "../x.png"}, to="b@x.example")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"txt": "a\n{{ nme }}\n"}, "hi.txt, line 2: 'nme' is undefined"),
        ({"txt": "x", "head": "From: a@x.example\nSubject: {{ nme }}"}, "hi.head, line 2, Subject: 'nme' is undefined"),
        ({"txt": "x", "de_head": "\n# x\nFrom: {{ nme }}"}, "hi.de.head, line 3, From: 'nme'"),
        ({"txt": "x", "de_head": "From: a@x.example\nAttach: no.pdf"}, "hi.de.head, line 2: there is no file"),
        ({"txt": "{{ 1 / 0 }}"}, "hi.txt, line 1: ZeroDivisionError"),
        ({"txt": "\n{% include 'part.html' %}", "part.html": "\n\n{{ gone }}"}, "part.html, line 3: 'gone'"),
    ],
)
def test_a_missing_variable_is_named_with_its_place(write, files, says):
    template = Template(write(**files))
    with pytest.raises(postroad.InvalidInput) as e:
        template.render({**ROW, "language": "de"}, to="b@x.example")
    assert says in str(e.value)
    assert e.value.code == "invalid_template"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "neither hi.html nor hi.txt"),
        ({"txt": "a\n{% if %}"}, "hi.txt, line 2"),
        ({"txt": "{{ 'a' | nofilter }}"}, "nofilter"),
        ({"txt": b"\xff\xfe"}, "hi.txt is not UTF-8"),
        ({"txt": "x", "head": b"Subject: \xff"}, "hi.head is not UTF-8"),
        ({"txt": "x", "head": "Subject: a\nno colon\n"}, "hi.head, line 2: write Name: value"),
        ({"txt": "x", "head": "Subject: a\nX: {{ b\n"}, "hi.head, line 2, X: unexpected end"),
    ],
)
def test_a_template_that_is_wrong_is_refused_at_once(write, files, says):
    with pytest.raises(postroad.InvalidInput, match=re.escape(says)):
        Template(write(**files))


def test_what_a_base_lacks_is_named(write):
    with pytest.raises(postroad.InvalidInput, match="gone"):
        Template(write(html="{% extends 'gone.html' %}", txt="x")).render(ROW, to="b@x.example")


def test_who_sends_must_be_known(write):
    with pytest.raises(postroad.InvalidInput, match=r"write From into hi\.head"):
        Template(write(txt="x", head="Subject: s")).render(ROW, to="b@x.example")


def test_arguments_count_more_than_the_head(write):
    template = Template(write(txt="x"), subject="{{ name }}!", from_="Ann <ann@x.example>")
    m = read(template.render(ROW, to="b@x.example"))
    assert (m["Subject"], m["From"]) == ("Bob!", "Ann <ann@x.example>")


@pytest.mark.parametrize(
    ("module", "files", "options"),
    [
        ("jinja2", {"txt": "x"}, {}),
        ("markdownify", {"html": "x"}, {}),
        ("css_inline", {"txt": "x"}, {"inline_css": True}),
    ],
)
def test_a_package_that_is_missing_is_named(write, monkeypatch, module, files, options):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(postroad.InvalidInput, match=r"pip install 'postroad\[templates\]'") as e:
        Template(write(**files), **options).render(ROW, to="b@x.example")
    assert e.value.code == "not_installed"


def test_one_click_unsubscription_is_in_the_header_and_in_the_text(write):
    leave = Unsubscribe("https://x.example/leave", SECRET, "news.x.example", "mailto:leave@x.example")
    letter = Template(write(txt="{{ unsubscribe_url }}"), unsubscribe=leave).render(ROW, to="bob@example.org")
    m = read(letter)
    assert m["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"<{letter.text}>" in m["List-Unsubscribe"]
    assert leave.verify(letter.text.partition("u=")[2]) == "bob@example.org"


def call(leave, take, token, method="GET"):
    environ = {"QUERY_STRING": f"u={token}", "REQUEST_METHOD": method, "wsgi.input": io.BytesIO(b"")}
    environ["CONTENT_LENGTH"] = "0"
    wsgiref.util.setup_testing_defaults(environ)
    told = []
    body = wsgiref.validate.validator(leave.app(take))(environ, lambda status, headers: told.append(status))
    text = b"".join(body).decode()
    body.close()
    return told[0], text


def test_the_application_asks_who_looks_and_takes_who_posts(tmp_path):
    leave = Unsubscribe("https://x.example/leave?a=b", SECRET, "news.x.example")
    left = postroad.SuppressionList(tmp_path / "left.db")
    link = leave.link("bob+x&i@example.org")
    assert link.startswith("https://x.example/leave?a=b&u=")
    token = link.partition("u=")[2]
    status, page = call(leave, left, token)
    assert status == "200 OK"
    assert "bob+x&amp;i@example.org" in page
    assert left.find("bob+x&i@example.org", list="news.x.example") is None
    assert call(leave, left, token, "POST")[0] == "200 OK"
    assert left.find("bob+x&i@example.org", list="news.x.example") is not None


def test_who_leaves_gets_no_more_mail_of_that_list(tmp_path):
    leave = Unsubscribe("https://x.example/leave", SECRET, "news.x.example")
    left = postroad.SuppressionList(tmp_path / "left.db")
    token = leave.link("bob@example.org").partition("u=")[2]
    assert call(leave, left, token, "POST")[0] == "200 OK"
    entry = left.find("bob@example.org", list="news.x.example")
    assert (entry.reason, entry.source) == ("unsubscribed", "one-click unsubscription")
    assert left.find("bob@example.org") is None
    assert left.find("bob@example.org", list="other.x.example") is None
    heard = []
    assert call(leave, heard.append, token, "POST")[0] == "200 OK"
    assert heard == ["bob@example.org"]


def test_a_forged_link_takes_nobody_off():
    leave = Unsubscribe("https://x.example/leave", SECRET, "news.x.example")
    token = leave.link("bob@example.org").partition("u=")[2]
    other_list = Unsubscribe("https://x.example/leave", SECRET, "other.x.example").link("bob@example.org")
    forged = [Unsubscribe("https://x.example/leave", b"another secret!!", "news.x.example").link("bob@example.org")]
    tokens = [t.partition("u=")[2] for t in [*forged, other_list]] + [
        "",
        ".",
        "ä",
        "x" * 100_000,
        token[:-2],
        token + "A",
    ]
    tokens += [token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(len(token) - 1)]
    taken = []
    for bad in tokens:
        assert call(leave, taken.append, bad, "POST")[0] == "404 Not Found"
    assert taken == []


def test_a_secret_can_be_changed():
    before = Unsubscribe("https://x.example/", SECRET, "l.x.example")
    after = Unsubscribe("https://x.example/", [b"another secret!!", SECRET], "l.x.example")
    token = before.link("bob@example.org").partition("u=")[2]
    assert after.verify(token) == "bob@example.org"
    assert before.verify(after.link("bob@example.org").partition("u=")[2]) is None
    assert "0123456789abcdef" not in repr(before)


@pytest.mark.parametrize(
    ("url", "list_id", "mailto"),
    [
        ("https://", "l.x.example", ""),
        ("https:///leave", "l.x.example", ""),
        ("https://x.example/#leave", "l.x.example", ""),
        ("https://x.example/a b", "l.x.example", ""),
        ("https://[x.example/", "l.x.example", ""),
        ("https://x.example/", "", ""),
        ("https://x.example/", "News <l.x.example>", ""),
        ("https://x.example/", "l.x.example", "leave@x.example"),
    ],
)
def test_links_that_no_letter_can_have_are_refused_at_once(url, list_id, mailto):
    with pytest.raises(postroad.InvalidInput):
        Unsubscribe(url, SECRET, list_id, mailto)


@pytest.mark.parametrize("address", [None, 5, b"bob@example.org"])
def test_a_link_is_of_an_address_that_is_text(address):
    leave = Unsubscribe("https://x.example/", SECRET, "l.x.example")
    with pytest.raises(TypeError, match="must be a str"):
        leave.link(address)
    with pytest.raises(TypeError, match="must be a str"):
        leave.verify(address)


def test_a_link_that_was_written_with_more_escapes_is_the_same():
    leave = Unsubscribe("https://x.example/", SECRET, "l.x.example")
    token = leave.link("bob@example.org").partition("u=")[2]
    taken = []
    call(leave, taken.append, token.replace(".", "%2E"), "POST")
    assert taken == ["bob@example.org"]


@pytest.mark.parametrize(
    "arguments", [("http://x.example/", SECRET), ("https://x.example/", b"short"), ("https://x.example/", [])]
)
def test_a_link_that_would_not_do_is_refused(arguments):
    with pytest.raises(postroad.InvalidInput):
        Unsubscribe(*arguments, "l.x.example")
