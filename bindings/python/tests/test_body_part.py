"""Trees of parts, images of the HTML, and texts that say what they are, read back by the email package."""

from __future__ import annotations

import copy
import email
import email.policy
from io import BytesIO

import postroad
import pytest
from postroad import BodyPart

BASE = {"from_": "Ann Lee <ann@example.com>", "to": "bob@example.org"}


def read(message):
    return email.message_from_bytes(bytes(message), policy=email.policy.default)


def shape(part):
    if not part.is_multipart() or part.get_content_type() == "message/rfc822":
        return part.get_content_type()
    return [part.get_content_type(), *(shape(p) for p in part.iter_parts())]


def test_a_tree_of_parts_is_what_was_said(tmp_path):
    file = tmp_path / "Größen.pdf"
    file.write_bytes(b"%PDF")
    tree = BodyPart.multipart(
        "multipart/mixed",
        BodyPart.text(
            "zwölf \nwords", media_type="text/plain; format=flowed; delsp=yes", headers={"Content-Language": "de"}
        ),
        BodyPart.multipart(
            'multipart/related; start="<page@x>"',
            BodyPart.text("<img src='cid:logo@x'>", media_type="text/html", content_id="page@x"),
            BodyPart.octets(memoryview(b"GIF89a"), name="logo.gif", content_id="logo@x"),
        ),
        BodyPart.file(file, description="Maße", headers={"X-Own": "Größe"}),
        BodyPart.stream(BytesIO(b"stream"), media_type="application/x-own", inline=True),
        BodyPart.stream((bytes([n]) for n in range(3)), name="c.bin"),
        BodyPart.message(b"Subject: nested\r\n\r\nx\r\n", name="first.eml"),
        BodyPart.text("Grüße"),
    )
    m = postroad.Message(**BASE, subject="x", body=tree)
    m.attach(b"beside", name="d.bin")
    got = read(m)
    related = ["multipart/related", "text/html", "image/gif"]
    rest = ["application/pdf", "application/x-own", "application/octet-stream", "message/rfc822", "text/plain"]
    body = ["multipart/mixed", "text/plain", related, *rest]
    assert shape(got) == ["multipart/mixed", body, "application/octet-stream"]
    inner, beside = got.iter_parts()
    text, page, pdf, own, numbers, nested, end = inner.iter_parts()
    assert text.get_content() == "zwölf \r\nwords"
    assert dict(text["Content-Type"].params) == {"format": "flowed", "delsp": "yes", "charset": "utf-8"}
    assert text["Content-Language"] == "de"
    assert page["Content-Type"].params["start"] == "<page@x>"
    assert [p["Content-ID"] for p in page.iter_parts()] == ["<page@x>", "<logo@x>"]
    assert (pdf.get_filename(), pdf.get_content(), pdf["X-Own"]) == ("Größen.pdf", b"%PDF", "Größe")
    assert pdf["Content-Description"] == "Maße"
    assert (own.get_content(), own.get_content_disposition()) == (b"stream", "inline")
    assert numbers.get_content() == b"\0\1\2"
    assert (nested.get_content()["Subject"], nested.get_filename()) == ("nested", "first.eml")
    assert end.get_content() == "Grüße"
    assert beside.get_content() == b"beside"
    assert not any(part.defects for part in got.walk())


def test_one_part_may_be_the_body_and_be_used_twice(server):
    part = BodyPart.octets(b"%PDF", media_type="application/pdf")
    for _ in range(2):
        with postroad.Mailer(server.url) as mail:
            mail.send(postroad.Message(**BASE, subject="x", body=part)).require_accepted()
    assert [email.message_from_bytes(m.content).get_payload(decode=True) for m in server.messages] == [b"%PDF"] * 2


def test_images_of_the_html_become_parts(tmp_path):
    (tmp_path / "logo.png").write_bytes(b"PNG of a file")
    m = postroad.Message(**BASE, text="x")
    page = "<p>ä<img src='logo.png'><img src=\"data:image/gif;base64,R0lG\"><img src='https://x.example/a.png'>"
    m.embed_images(page + "<img src='logo.png'>", tmp_path)
    got = read(m)
    assert shape(got) == [
        "multipart/alternative",
        "text/plain",
        ["multipart/related", "text/html", "image/png", "image/gif"],
    ]
    page, png, gif = list(got.iter_parts())[1].iter_parts()
    ids = [p["Content-ID"].strip("<>") for p in (png, gif)]
    assert [page.get_content().count(f"cid:{i}") for i in ids] == [2, 1]
    assert "https://x.example/a.png" in page.get_content()
    assert (png.get_content(), gif.get_content()) == (b"PNG of a file", b"GIF")
    before = shape(read(m))
    for wrong, named in (("../x.png", "folder"), ("none.png", "none.png"), ("data:text/html,x", "image")):
        with pytest.raises(postroad.InvalidInput, match=named):
            m.embed_images(f"<img src='logo.png'><img src='{wrong}'>", tmp_path)
    with pytest.raises(postroad.InvalidInput, match="NUL"):
        m.embed_images("<img src='logo.png'>\0", tmp_path)
    assert shape(read(m)) == before
    m.embed_images("<img src='logo.png'>")  # without a folder paths stay
    assert "'logo.png'" in bytes(m).decode()


def test_a_part_that_is_wrong_is_refused():
    deep = BodyPart.text("x")
    for _ in range(40):
        deep = BodyPart.multipart("multipart/mixed", deep)
    bytes(postroad.Message(**BASE, body=deep))
    for make, named in (
        (lambda: BodyPart.multipart("multipart/mixed", deep), "more than 40"),
        (lambda: BodyPart.multipart("multipart/mixed"), "at least one"),
        (lambda: BodyPart.multipart("text/plain", deep), "Content-Type"),
        (lambda: BodyPart.multipart("multipart/mixed; boundary=x", deep), "boundary"),
        (lambda: BodyPart.octets(b"x"), "type or a file name"),
        (lambda: BodyPart.octets(b"x", name="../a"), "file name"),
        (lambda: BodyPart.text("a\0"), "NUL"),
        (lambda: BodyPart.text("\ud800"), "surrogate"),
        (lambda: BodyPart.text("x", media_type="multipart/mixed"), "Content-Type"),
        (lambda: BodyPart.text("x", headers={"X-Own": "a\r\nBcc: v"}), "X-Own.*octet 1"),
        (lambda: BodyPart.text("x", headers={"Content-Type": "a/b"}), "Content-Type"),
        (lambda: postroad.Message(**BASE, body=deep, text="x"), "body"),
        (lambda: postroad.Message(**BASE, body=deep).embed_images("x"), "body"),
    ):
        with pytest.raises(postroad.InvalidInput, match=named):
            make()
    for wrong in (
        BodyPart,
        lambda: BodyPart.octets("x", name="a"),
        lambda: BodyPart.file("/etc/hostname"),
        lambda: BodyPart.stream("x", name="a"),
        lambda: BodyPart.text(b"x"),
        lambda: BodyPart.text("x", colour="red"),
        lambda: BodyPart.text("x", inline=1),
        lambda: BodyPart.multipart("multipart/mixed", "x"),
        lambda: postroad.Message(**BASE, body="x"),
        lambda: copy.copy(deep),
    ):
        with pytest.raises(TypeError):
            wrong()
