"""Message: what it composes is read back by the email package, and what is wrong is refused when it is said."""

from __future__ import annotations

import base64
import copy
import email
import email.policy
import subprocess
from datetime import datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formataddr, getaddresses
from io import BytesIO, StringIO
from pathlib import Path
from random import Random

import dkim
import postroad
import pytest
from postroad.__main__ import main
from postroad._messages import STANDS_ONCE, message_octets

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


@pytest.mark.parametrize("extensions", [("8BITMIME",), ("8BITMIME", "SMTPUTF8")])
def test_a_header_in_utf8_goes_in_ascii_where_it_can(make_server, extensions):
    server = make_server(extensions=extensions)
    content = "From: Jörg <a@bücher.example>\nTo: b@x.example\nSubject: Grüße an alle\n"
    content += "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nzwölf\n"
    with postroad.Mailer(server.url) as mail:
        mail.send(content.encode()).require_accepted()
    assert "SMTPUTF8" not in server.messages[0].parameters
    raw = server.messages[0].content
    header, _, body = raw.partition(b"\r\n\r\n")
    assert header.isascii()
    assert body == "zwölf\r\n".encode()
    got = email.message_from_bytes(raw, policy=email.policy.default)
    assert (got["Subject"], got.get_content()) == ("Grüße an alle", "zwölf\r\n")
    assert got["From"] == "Jörg <a@xn--bcher-kva.example>"


def verified(signed, public, kind, index=0):
    record = f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}".encode()
    return dkim.DKIM(signed).verify(index, dnsfunc=lambda name, timeout=5: record)


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def test_ed25519_signs_and_so_does_a_key_kept_elsewhere(tmp_path):
    ed, enc, rsa = (tmp_path / name for name in ("ed.pem", "enc.pem", "rsa.pem"))
    openssl("genpkey", "-algorithm", "ed25519", "-out", ed)
    openssl("pkcs8", "-topk8", "-in", ed, "-passout", "pass:pw", "-out", enc)
    openssl("genrsa", "-out", rsa, "2048")
    public = openssl("pkey", "-in", ed, "-pubout", "-outform", "DER")[-32:]
    m = postroad.Message(**BASE, subject="Hi", text="x")
    for key, password in ((ed, ""), (ed.read_text(), ""), (ed, "needless"), (enc, "pw")):
        signed = postroad.Dkim("example.com", "s", key, password=password).sign(m)
        assert b"a=ed25519-sha256" in signed
        assert verified(signed, public, "ed25519")
    asked = []

    def sign(digest):
        asked.append(digest)
        given = tmp_path / "digest"
        given.write_bytes(digest)
        return openssl("pkeyutl", "-sign", "-inkey", rsa, "-in", given, "-pkeyopt", "digest:sha256")

    m.sign("example.com", "s", ("rsa-sha256", sign))
    assert verified(bytes(m), openssl("pkey", "-in", rsa, "-pubout", "-outform", "DER"), "rsa")
    assert [len(digest) for digest in asked] == [32]
    with pytest.raises(postroad.InvalidInput, match="is it this password"):
        postroad.Dkim("example.com", "s", enc, password="hunter2")


def test_a_key_that_fails_is_told_without_what_it_said(server):
    def broken(digest):
        raise ValueError("hunter2")

    for sign, why in ((broken, "the key raised ValueError"), (lambda digest: "text", "the key gave no bytes")):
        m = postroad.Message(**BASE, text="x")
        m.sign("example.com", "s", ("rsa-sha256", sign))
        with postroad.Mailer(server.url) as mail, pytest.raises(postroad.Error, match=why) as e:
            mail.send(m)
        assert "hunter2" not in str(e.value)
    for wrong in (("rsa-sha256",), ("rsa-sha256", 1), (1, broken)):
        with pytest.raises(TypeError):
            postroad.Dkim("example.com", "s", wrong)
    with pytest.raises(postroad.InvalidInput):
        postroad.Dkim("example.com", "s", ("a b", broken))
    assert not server.messages


def test_a_text_an_alternative_and_a_part_say_what_they_are():
    m = postroad.Message(**BASE, text="a \nb", text_type="text/plain; format=flowed; delsp=yes", html="<p>")
    m.add_alternative("*a*", "text/markdown")
    m.add_alternative(b"%PDF", "application/pdf")
    m.attach(b"x", name="a.bin", headers={"Content-Language": "de", "X-Own": "Größe"})
    m.attach_stream(BytesIO(b"file"), name="b.bin")
    m.attach_stream((bytes([n]) for n in range(3)), name="c.bin")
    parts = [p for p in read(m).walk() if not p.is_multipart()]
    kinds = ["text/plain", "text/markdown", "text/html", "application/pdf", *["application/octet-stream"] * 3]
    assert [p.get_content_type() for p in parts] == kinds
    assert parts[0]["Content-Type"].params["format"] == "flowed"
    assert (parts[4]["Content-Language"], parts[4]["X-Own"]) == ("de", "Größe")
    assert [p.get_content() for p in parts[5:]] == [b"file", b"\0\1\2"]
    for wrong in ("text", b"octets", StringIO("x"), ["x"], [1], 1, Path("x")):
        with pytest.raises(TypeError, match="a stream is a binary file object"):
            m.attach_stream(wrong, name="x")
    with pytest.raises(postroad.InvalidInput, match="Content-Type"):
        m.attach(b"x", name="x", headers={"Content-Type": "text/plain"})
    with pytest.raises(postroad.InvalidInput, match="text/plain"):
        postroad.Message(**BASE, text="x", text_type="text/html")


ADDRESSES = [
    "Jörg Müller <a@x.example>",
    formataddr(("Jörg Müller", "a@x.example")),
    ("Jörg Müller", "a@x.example"),
    Address("Jörg Müller", "a", "x.example"),
]


@pytest.mark.parametrize("given", ADDRESSES)
@pytest.mark.parametrize("field", ["from_", "to", "cc", "bcc", "reply_to", "sender"])
def test_a_mailbox_may_be_given_in_each_form(server, field, given):
    for value in (given, [given]) if field != "sender" else (given,):
        m = postroad.Message(**{**BASE, field: value, "subject": "x", "text": "x"})
        with postroad.Mailer(server.url) as mail:
            mail.send(m).require_accepted()
        if field == "bcc":
            assert "a@x.example" in server.messages[-1].recipients
            continue
        name = field.strip("_").replace("_", "-")
        [found] = email.message_from_bytes(server.messages[-1].content, policy=email.policy.default)[name].addresses
        assert (found.display_name, found.addr_spec) == ("Jörg Müller", "a@x.example")


def test_a_group_in_from_stays_one_and_needs_a_sender():
    partners = {**BASE, "from_": "Managing Partners: ben@example.com, Carol <carol@example.com>;"}
    m = postroad.Message(**partners, sender="ann@example.com")
    assert read(m)["From"] == "Managing Partners: ben@example.com, Carol <carol@example.com>;"
    m.add_group("Automatic", field="from")
    assert read(m)["From"] == "Automatic:;"
    with pytest.raises(postroad.InvalidInput, match="From: a group needs a sender"):
        bytes(postroad.Message(**partners))


@pytest.mark.parametrize("field", ["to", "cc", "reply_to"])
def test_a_group_keeps_its_name_in_each_field(field):
    m = postroad.Message(**{**BASE, field: "Zwölf: a@x.example, Ann <b@x.example>;, c@x.example, none:;"})
    m.add_group("Team", ["d@x.example"], field=field)
    groups = read(m)[field.replace("_", "-")].groups
    found = [(g.display_name, [a.addr_spec for a in g.addresses]) for g in groups]
    assert found == [
        (None, ["c@x.example"]),
        ("Zwölf", ["a@x.example", "b@x.example"]),
        ("none", []),
        ("Team", ["d@x.example"]),
    ]


@pytest.mark.parametrize(
    "elements",
    [
        ["eve@evil.example (", "bob@x.example", "cid@y.example)"],
        ["a@x.example, b@y.example"],
        ["Team: a@x.example, b@y.example;"],
        ['"a@x.example', 'b@y.example"'],
        ["a@x.example", ""],
        [("Ann", "a@x.example, b@y.example")],
        [("Ann", "a@x.example>, <b@y.example")],
        ["Ann", "a@x.example"],
    ],
)
def test_no_element_of_a_list_becomes_two_or_none(server, elements):
    for field in ("from_", "to", "cc", "bcc", "reply_to"):
        with pytest.raises(postroad.InvalidInput, match=r"\[\d\]: "):
            postroad.Message(**{**BASE, field: elements})
    with pytest.raises(postroad.InvalidInput, match=r"members\[\d\]: "):
        postroad.Message(**BASE).add_group("Team", elements)
    with pytest.raises(postroad.InvalidInput, match=r"X-Own\[\d\]: "):
        postroad.Message(**BASE, headers={"X-Own": elements})
    with postroad.Mailer(server.url) as mail, pytest.raises(postroad.InvalidInput, match=r"recipients\[\d\]: "):
        mail.send(postroad.Message(**BASE, text="x"), recipients=elements)
    assert not server.messages


def test_what_could_be_a_path_or_octets_is_refused_by_type(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("secret")
    m = postroad.Message(**BASE)
    for wrong in (str(file), BytesIO(b"x"), 1, None):
        with pytest.raises(TypeError, match=r"bytes or a pathlib\.Path"):
            m.attach(wrong, name="a.txt")
    for right in (file, b"x", bytearray(b"x"), memoryview(b"x")):
        m.attach(right, name="a.txt")
    for wrong in (str(file), 1, None, ["x"]):
        with pytest.raises(TypeError):
            m.attach_message(wrong)
    with pytest.raises(TypeError, match="PEM"):
        m.sign("example.com", "s", 1)
    for nonsense in ("hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n", str(file)):
        with pytest.raises(postroad.InvalidInput, match="private key") as e:
            m.sign("example.com", "s", nonsense)
        assert "hunter2" not in str(e.value)
        assert str(file) not in str(e.value)


@pytest.mark.parametrize("policy", [email.policy.default, email.policy.SMTP, email.policy.SMTPUTF8])
@pytest.mark.parametrize("size", [10, 60, 77, 78, 79, 200, 900])
def test_ids_urls_and_addresses_of_an_email_message_are_never_encoded(policy, size):
    long = "x" * size
    fields = {
        "List-Unsubscribe": f"<https://example.com/{long}>, <mailto:{long}@example.com>",
        "References": " ".join(f"<{n}{long}@example.com>" for n in range(5)),
        "In-Reply-To": f"<{long}@example.com>",
        "Message-ID": f"<{long}@example.com>",
        "X-Own": f"{long} {long}",
        "Subject": f"a {long} b",
        "To": f"Ann <a@{long[:60]}.example>, {long[:60]}@example.com",
    }
    m = EmailMessage(policy=policy)
    for name, value in fields.items():
        m[name] = value
    m["From"] = "Jörg <a@example.com>"
    m.set_content("x")
    m.add_attachment(b"x", maintype="a", subtype="b", filename="y" * 30)
    written = message_octets(m)
    header = written.partition(b"\r\n\r\n")[0].decode()
    lines = header.split("\r\n")
    assert all(len(line) <= 998 for line in lines)
    assert not any(line.isspace() for line in lines)
    unfolded = header.replace("\r\n ", " ")
    for name, value in fields.items():
        assert f"\n{name}: {value}\r\n" in f"\n{unfolded}\r\n".replace("\r\n", "\r\n"), name
    read = email.message_from_bytes(written, policy=email.policy.default)
    assert read["From"].addresses[0].display_name.encode("utf-8", "surrogateescape") == "Jörg".encode()
    assert [p.get_filename() for p in read.iter_attachments()] == ["y" * 30]


WORDS = [
    "für",
    "geändert",
    "Käse",
    "die",
    "Bestellung",
    "Straße",
    "Größe",
    "am",
    "Montag,",
    "übermorgen",
    "und",
    "(wieder)",
    "schön",
    "=3D",
    "viel_mehr",
    "ok",
]


def random_mailboxes(random):
    result = []
    for _ in range(random.randint(2, 10)):
        name = " ".join(random.choice(WORDS) for _ in range(random.randint(1, 4)))
        local = "a" * random.randint(1, 20)
        result.append((name, f"{local}@{random.choice(['x', 'bücher', 'mail.firma'])}.example"))
    return result


def quoted(mailbox):
    return f'"{mailbox[0]}" <{mailbox[1]}>'


def decoded(value):
    return str(make_header(decode_header(value)))


@pytest.mark.parametrize("make", [EmailMessage, email.message.Message])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_not_ascii_reads_back_as_it_was_given(make, seed):
    random = Random(seed)
    for _ in range(10):
        subject = " ".join(random.choice(WORDS) for _ in range(random.randint(6, 20))) + " ü"
        boxes = random_mailboxes(random)
        m = make()
        m["From"] = "Jörg <a@example.com>"
        m["To"] = ", ".join(map(quoted, boxes))
        m["Subject"] = subject
        m["List-Id"] = f"Größe der Liste <{'x' * random.randint(10, 70)}.example.com>"
        written = message_octets(m)
        assert written.isascii()
        assert max(map(len, written.splitlines())) <= 998
        assert b"?==?" not in written
        read = email.message_from_bytes(written)
        assert decoded(read["Subject"].replace("\n ", " ").replace("\r", "")) == subject
        found = getaddresses([read["To"].replace("\r\n", "")])
        ascii_boxes = [(name, address.replace("bücher", "xn--bcher-kva")) for name, address in boxes]
        assert [(decoded(name), address) for name, address in found] == ascii_boxes
        assert read["From"].endswith("?= <a@example.com>")
        assert m["List-Id"].rpartition(" ")[2] == read["List-Id"].split()[-1]


@pytest.mark.parametrize("name", ["List-Unsubscribe", "In-Reply-To"])
def test_an_id_or_url_that_is_not_ascii_is_refused_by_name(name):
    m = EmailMessage()
    m["From"], m["To"], m[name] = "a@x.example", "b@x.example", "<https://x.example/ü>"
    with pytest.raises(postroad.InvalidInput, match=f"{name}: .* octet 19") as e:
        message_octets(m)
    assert e.value.code == "invalid_header"


def test_only_a_local_part_makes_a_field_utf8():
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = "a@x.example", "Jörg <jörg@bücher.example>", "Grüße"
    written = message_octets(m)
    assert "To: Jörg <jörg@bücher.example>\r\n".encode() in written
    assert decoded(email.message_from_bytes(written)["Subject"]) == "Grüße"


def test_a_field_has_parameters():
    m = postroad.Message(**BASE, text="x")
    m.add_header("X-Own", "v")
    m.add_header("SIO-Label", "", {"marking": "für alle", "b": 'a "text"'})
    m.add_header("CFBL-Address", ("", "fbl@example.com"), {"report": "arf"})
    m.add_header("X-List", [Address("Ann", "ann", "x.example"), "b@x.example"], {"a": "b"})
    fields = read(m)
    assert fields["X-Own"] == "v"
    assert " ".join(fields["SIO-Label"].split()) == 'marking*=utf-8\'\'f%C3%BCr%20alle; b="a \\"text\\""'
    assert fields["CFBL-Address"] == "fbl@example.com; report=arf"
    assert fields["X-List"] == "Ann <ann@x.example>, b@x.example; a=b"
    with pytest.raises(postroad.InvalidInput, match="X-Own; a: a line end is not allowed at octet 1"):
        m.add_header("X-Own", "v", {"a": "x\nBcc: y"})
    for wrong in (b"v", 7):
        with pytest.raises(TypeError):
            m.add_header("X-Own", wrong)
        with pytest.raises(TypeError):
            m.add_header("X-Own", "v", {"a": wrong})
    with pytest.raises(TypeError):
        m.add_header("X-Own", "v", [("a", "b")])


@pytest.mark.parametrize("year", [2262, 2300, 2600])
def test_a_date_that_no_clock_holds_is_refused(year):
    with pytest.raises(postroad.InvalidInput, match="2262"):
        postroad.Message(**BASE, date=datetime(year, 1, 1, tzinfo=timezone.utc))


@pytest.mark.parametrize(
    ("given", "recipients"),
    [
        ("[Sales] Ann <ann@x.example>, bob@y.example", ["ann@x.example", "bob@y.example"]),
        ("bob@y.example <ann@x.example>", ["ann@x.example"]),
        ("Jörg [x] <ann@x.example>, bob@y.example", ["ann@x.example", "bob@y.example"]),
    ],
)
def test_no_recipient_is_lost_that_only_cpython_cannot_read(server, given, recipients):
    message = EmailMessage()
    message["From"] = "eve@x.example"
    message["To"] = given
    with postroad.Mailer(server.url) as mail:
        mail.send(message).require_accepted()
    assert server.messages[0].recipients == recipients
    message = EmailMessage()
    message["To"] = "Jörg <ann@x.example>; bob@y.example"
    written = postroad._messages.message_octets(message)
    assert b"<ann@x.example>" in written
    assert b"bob@y.example" in written


@pytest.mark.parametrize(
    "written",
    [
        "=?utf-8?q?eve=40x.example=2C_Bob?=<bob@y.example>",
        "=?utf-8?q?eve=40x.example=2C_=3D=3FBob?= <bob@y.example>",
        "=?utf-8?q?eve=40x.example=2C_B=C3=B6b=07?= <bob@y.example>",
        "=?utf-8?q?eve=40x.example=3B?=: bob@y.example;",
    ],
)
def test_nobody_becomes_a_recipient_by_a_name_that_is_taken_over(written):
    octets = f"From: bob@y.example\r\nCc: {written}\r\n\r\n"
    message = EmailMessage()
    message["From"] = "ann@y.example"
    message["Cc"] = email.message_from_string(octets, policy=email.policy.default)["Cc"]
    assert postroad._core.examine(message_octets(message), None, None)[1] == ("bob@y.example",)


@pytest.mark.parametrize("end", ["\x92", "\u2028", "\udcfc", "\x07", "x" * 1100])
def test_nobody_becomes_a_recipient_by_a_name_of_an_address(end):
    message = EmailMessage()
    message["From"] = "ann@y.example"
    message["To"] = Address("eve@x.example, B" + end, addr_spec="bob@y.example")
    assert postroad._core.examine(message_octets(message), None, None)[1] == ("bob@y.example",)


def test_a_name_that_cannot_be_read_never_becomes_a_recipient():
    message = EmailMessage()
    message["From"] = "ann@y.example"
    octets = "Cc: =?utf-8?q?[S]_E_=3Ceve=40x.example=3E?=, bob@y.example\r\n\r\n"
    message["Cc"] = email.message_from_string(octets, policy=email.policy.default)["Cc"]
    with pytest.raises(postroad.InvalidInput):
        postroad._core.examine(message_octets(message), None, None)


def test_fields_of_a_file_stay_as_they_are():
    octets = b"Subject: a  b\r\n\tc\r\nReferences: <" + b"x" * 200 + b"@y>\r\n\r\nx\r\n"
    assert message_octets(email.message_from_bytes(octets, policy=email.policy.default)) == octets


def test_anything_is_signed(tmp_path):
    pem = tmp_path / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", pem, "2048"], check=True, capture_output=True)
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", pem, "-passout", "pass:pw", "-out", tmp_path / "enc.pem"], check=True
    )
    existing = EmailMessage()
    existing["From"], existing["To"], existing["List-Unsubscribe"] = "a@example.com", "b@y", "<https://x.example>"
    existing.set_content("x")
    file = tmp_path / "a.eml"
    file.write_bytes(bytes(existing))
    for key, options in ((pem, {}), (pem.read_text(), {}), (tmp_path / "enc.pem", {"password": "pw"})):
        signer = postroad.Dkim("example.com", "s", key, identity="@example.com", valid_for=60, **options)
        for m in (postroad.Message(**BASE, text="x"), existing, bytes(existing), file):
            signed = signer.sign(m)
            assert signed.startswith(b"DKIM-Signature: ")
            values = dict(v.strip().split("=", 1) for v in str(read(signed)["DKIM-Signature"]).split(";"))
            assert int(values["x"]) - int(values["t"]) == 60
            assert values["i"] == "@example.com"
            names = values["h"].replace(" ", "").lower().split(":")
            assert names.count("from") == 2
            assert "sender" not in names
            assert "cc" not in names
    strict = postroad.Dkim("example.com", "s", pem, fields="strict").sign(existing)
    assert b"Sender" in strict.partition(b"bh=")[0]
    safe = postroad.Dkim("example.com", "s", pem, fields="mailing_list_safe").sign(existing)
    assert b"List-" not in safe.partition(b"bh=")[0]
    with pytest.raises(postroad.InvalidInput, match="its password"):
        postroad.Dkim("example.com", "s", tmp_path / "enc.pem")
    with pytest.raises(postroad.InvalidInput, match="is it this password"):
        postroad.Dkim("example.com", "s", tmp_path / "enc.pem", password="hunter2")
    with pytest.raises(postroad.InvalidInput, match="fields must be one of"):
        postroad.Dkim("example.com", "s", pem, fields="all")
    with pytest.raises(TypeError, match="pickled"):
        copy.copy(signer)


def test_an_envelope_that_cannot_be_read_names_the_argument_that_helps(server):
    with postroad.Mailer(server.url) as mail:
        for octets, argument in (
            (b"From: a b@x.example\nTo: b@y.example\n\nx\n", "sender="),
            (b"From: a@x.example\nTo: a b@y.example\n\nx\n", "recipients="),
            (b"To: b@y.example\n\nx\n", "sender="),
            (b"From: a@x.example\n\nx\n", "recipients="),
        ):
            with pytest.raises(postroad.InvalidInput, match=f"may be given instead: {argument}$"):
                mail.send(octets)
            mail.send(octets, sender="a@x.example", recipients=[("Bob", "b@y.example")]).require_accepted()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"subject": "a\nBcc: v@x.example"}, "Subject: a line end is not allowed at octet 1"),
        ({"to": "a b@x.example"}, "To: .*octet 2"),
        ({"reply_to": ["a@x.example", "b"]}, r"Reply-To\[1\]: .*octet 0"),
        ({"to": [("Bob", "b@x.example"), ("Cid", "c@y@z")]}, r"To\[1\]: .*octet 3"),
        ({"cc": [("Bob\n", "b@x.example")]}, "Cc: a line end"),
        ({"sender": "a@x.example, b@x.example"}, "sender: expected one"),
        ({"headers": {"List-Help": "<https://b\u00fccher.example>"}}, "List-Help: .*octet 10"),
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


@pytest.mark.parametrize("name", STANDS_ONCE)
def test_check_speaks_of_fields_that_stand_twice(capsys, tmp_path, name):
    file = tmp_path / "m.eml"
    once = "From: a@x\nTo: b@y\nDate: Mon, 6 Jan 2025 12:00:00 +0000\nMessage-ID: <1@x>\n"
    value = {"From": "a@x", "To": "b@y", "Sender": "a@x", "Cc": "c@y"}.get(name, "1")
    for times in (1, 2, 3):
        more = times - (f"\n{name}: " in "\n" + once)
        file.write_text(once + f"{name.upper()}: {value}\n" * more + "\nx\n")
        main(["check", str(file)])
        said = capsys.readouterr().out
        assert (f"the field {name} stands {times} times" in said) == (times > 1), said


def test_a_mailer_signs_whatever_it_sends(tmp_path):
    pem = tmp_path / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", pem, "2048"], check=True, capture_output=True)
    own = postroad.Message(**BASE, text="x")
    own.sign("example.com", "own", pem)
    octets = b"From: a@example.com\nTo: b@x.example\nBcc: c@x.example\n\nHi\n"
    (tmp_path / "m.eml").write_bytes(octets)
    given = [octets, tmp_path / "m.eml", email.message_from_bytes(octets), postroad.Message(**BASE, text="x"), own]
    with postroad.Mailer("memory://", sign=postroad.Dkim("example.com", "all", pem)) as mail:
        for m in given:
            mail.send(m).require_accepted()
        mail.submit(octets).wait(60).require_accepted()
        for receipt in mail.send_many(given):
            receipt.require_accepted()
        selectors = [
            [field.split(" s=")[1].split(";")[0] for field in m.message.get_all("DKIM-Signature")] for m in mail.outbox
        ]
        assert selectors[:6] == [["all"], ["all"], ["all"], ["all"], ["all", "own"], ["all"]]
        assert sorted(selectors[6:]) == [["all"], ["all"], ["all"], ["all"], ["all", "own"]]
        assert mail.outbox[0].recipients == ("b@x.example", "c@x.example")
        assert mail.outbox[0].message["Bcc"] is None
        with pytest.raises(postroad.InvalidInput):
            mail.send(b"From: a@example.com\nFrom: e@example.com\nTo: b@x.example\n\nHi\n")
    for nonsense in (str(pem), 1, [], [str(pem)]):
        with pytest.raises(TypeError, match="sign must be"):
            postroad.Mailer("memory://", sign=nonsense)


def test_a_mailer_signs_with_several_keys_and_says_which_fields(tmp_path):
    rsa, ed = tmp_path / "rsa.pem", tmp_path / "ed.pem"
    openssl("genrsa", "-out", rsa, "2048")
    openssl("genpkey", "-algorithm", "ed25519", "-out", ed)
    publics = {
        "rsa": openssl("pkey", "-in", rsa, "-pubout", "-outform", "DER"),
        # without what an Ed25519 key has in front (RFC 8463 section 4)
        "ed25519": openssl("pkey", "-in", ed, "-pubout", "-outform", "DER")[-32:],
    }
    fields = postroad.DkimFields(["Subject", "to"], oversigned=("Subject",), kept_absent=["Reply-To"])
    signers = [postroad.Dkim("example.com", "s", key, fields=fields, valid_for=60) for key in (rsa, ed)]
    with postroad.Mailer("memory://", sign=iter(signers)) as mail:
        mail.send(postroad.Message(**BASE, subject="x", text="x")).require_accepted()
        (stored,) = mail.outbox
    found = stored.message.get_all("DKIM-Signature")
    names = ["".join(f.split("h=")[1].split(";")[0].split()).lower().split(":") for f in found]
    assert names == [names[0]] * 2
    assert sorted(names[0]) == ["from", "from", "reply-to", "subject", "subject", "to"]
    assert sorted(f.split("a=")[1].split("-")[0] for f in found) == ["ed25519", "rsa"]
    for i, f in enumerate(found):
        assert verified(stored.content, publics[f.split("a=")[1].split("-")[0]], f.split("a=")[1].split("-")[0], i)


@pytest.mark.parametrize("fields", [{"names": "Subject"}, {"kept_absent": b"To"}])
def test_names_of_fields_are_several(fields):
    with pytest.raises(TypeError, match="must be a list or the like"):
        postroad.DkimFields(**fields)
