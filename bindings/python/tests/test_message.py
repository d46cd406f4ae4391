"""Message: what it composes is read back by the email package, and what is wrong is refused when it is said."""

from __future__ import annotations

import copy
import email
import email.policy
import subprocess
from datetime import datetime, timedelta, timezone

import postroad
import pytest

BASE = {"from_": "Ann Lee <ann@example.com>", "to": "bob@example.org"}


def read(message):
    return email.message_from_bytes(bytes(message), policy=email.policy.default)


def test_what_is_composed_is_read_back(server, tmp_path):
    file = tmp_path / "Größen.bin"
    file.write_bytes(bytes(range(256)) * 1000)
    m = postroad.Message(
        **BASE,
        cc=["Jörg Müller <cid@example.org>"],
        bcc="dee@example.net",
        subject="Größe",
        text="Zwölf\n",
        html="<p>Zwölf <img src='cid:logo'>",
        date=datetime(2026, 1, 6, 12, 0, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
        message_id="<1@example.com>",
        in_reply_to="<0@example.com>",
        importance="high",
        automatic="generated",
        headers={"X-Own": "Wert ä"},
    )
    m.attach(b"GIF89a", name="logo.gif", content_id="logo")
    m.attach(file, description="Maße")
    m.attach_message(postroad.Message(**BASE, subject="nested", text="x"))
    m.add_group("Team", ["eve@example.org", "Fay <fay@example.org>"])
    m.set_list("news.example.com", "News", one_click="https://example.com/u", help="https://example.com/h")
    with postroad.Mailer(server.url) as mail:
        receipt = mail.send(m, sender="bounces@example.com")
    assert [r.address.split("@")[0] for r in receipt.accepted] == ["bob", "eve", "fay", "cid", "dee"]
    assert server.messages[0].sender == "bounces@example.com"
    got = email.message_from_bytes(server.messages[0].content, policy=email.policy.default)
    assert str(got["Subject"]) == "Größe"
    assert str(got["Date"]) == "Tue, 06 Jan 2026 12:00:00 -0330"
    assert got["Cc"].addresses[0].display_name == "Jörg Müller"
    assert [g.display_name for g in got["To"].groups] == [None, "Team"]
    assert (got["Message-ID"], got["In-Reply-To"]) == ("<1@example.com>", "<0@example.com>")
    assert (got["Importance"], got["Auto-Submitted"]) == ("high", "auto-generated")
    assert str(got["X-Own"]) == "Wert ä"
    assert got["List-Unsubscribe"] == "<https://example.com/u>"
    assert got["List-Help"] == "<https://example.com/h>"
    assert got["Bcc"] is None
    assert got.get_body(("plain",)).get_content() == "Zwölf\r\n"
    parts = {p.get_filename() or p.get_content_type(): p for p in got.walk() if not p.is_multipart()}
    assert parts["Größen.bin"].get_content() == file.read_bytes()
    assert parts["logo.gif"]["Content-ID"] == "<logo>"
    assert b"Subject: nested\r\n" in server.messages[0].content


def test_every_way_of_sending_takes_it(server):
    m = postroad.Message(from_="ann@example.com", text="x")
    with postroad.Mailer(server.url) as mail:
        mail.submit(m, recipients="bob@example.org").wait().require_accepted()
        for receipt in mail.send_many([m, m], recipients=["bob@example.org"]):
            receipt.require_accepted()
        with pytest.raises(postroad.InvalidInput) as e:
            mail.send(m)
        assert e.value.code == "no_recipients"
    assert len({email.message_from_bytes(got.content)["Message-ID"] for got in server.messages}) == 3


def test_it_is_signed(tmp_path):
    pem = tmp_path / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", pem, "2048"], check=True, capture_output=True)
    m = postroad.Message(**BASE, text="x")
    m.sign("example.com", "one", pem)
    m.sign("example.com", "two", pem.read_bytes(), header="simple", body="simple")
    one, two = read(m).get_all("DKIM-Signature")
    assert "c=relaxed/relaxed; d=example.com; s=one" in one
    assert "c=simple/simple; d=example.com; s=two" in two
    with pytest.raises(postroad.InvalidInput, match="PEM"):
        m.sign("example.com", "one", b"hunter2")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"subject": "a\nBcc: v@x.example"}, "Subject: a line end is not allowed at octet 1"),
        ({"to": "a b@x.example"}, "To: .*octet 2"),
        ({"reply_to": ["a@x.example", "b"]}, "Reply-To: .*octet 13"),
        ({"headers": {"X\n": "1"}}, "not a field name"),
        ({"headers": {"X-Own": "a\ud800"}}, "lone surrogate"),
        ({"text": "a\0"}, "the text holds a NUL at octet 1"),
        ({"date": datetime(2026, 1, 6)}, "time zone"),
        ({"importance": "utmost"}, "importance must be one of"),
        ({"from_": ""}, "sender"),
    ],
)
def test_what_is_wrong_is_refused(arguments, named):
    with pytest.raises(postroad.InvalidInput, match=named):
        bytes(postroad.Message(**{**BASE, **arguments}))


def test_parts_that_are_wrong_are_refused(tmp_path):
    m = postroad.Message(**BASE)
    for what, about, named in (
        (b"x", {"name": "../a"}, "file name: expected no directory"),
        (b"x", {"name": "a", "media_type": "a\n"}, "Content-Type: "),
        (tmp_path / "none", {}, "none"),
    ):
        with pytest.raises(postroad.InvalidInput, match=named):
            m.attach(what, **about)
    with pytest.raises(postroad.InvalidInput, match="URL"):
        m.set_list("a.example", wrong="https://x.example")
    with pytest.raises(TypeError, match="pickled"):
        copy.copy(m)
