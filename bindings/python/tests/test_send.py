"""send(): the receipt, the envelope, and that a message travels as it is."""

from __future__ import annotations

import email
import email.policy
import pathlib
from email.message import EmailMessage, Message

import postroad
import pytest
from conftest import compose
from postroad import Status

PLAIN = b"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: Hi\r\n\r\nHello.\r\n"


def send(server, message, **envelope):
    with postroad.Mailer(server.url) as mail:
        receipt = mail.send(message, **envelope)
    return receipt, server.messages[-1]


def test_a_message_arrives_and_the_receipt_says_so(server, message):
    receipt, got = send(server, message)
    assert receipt.all_accepted
    assert [r.address for r in receipt.accepted] == ["bob@example.org"]
    assert receipt.recipients == (
        postroad.RecipientOutcome("bob@example.org", Status.ACCEPTED, 250, "2.0.0", "queued", "content"),
    )
    assert (receipt.attempts, receipt.error, receipt.index) == (1, None, None)
    receipt.require_accepted()
    assert (got.sender, got.recipients) == ("ann@example.com", ["bob@example.org"])
    assert b"Subject: Hi\r\n" in got.content
    assert got.content.endswith(b"\r\n\r\nHello.\r\n")


def test_each_recipient_has_an_outcome(server):
    receipt, got = send(server, compose("ok@x.example, rejected@x.example, deferred@x.example"))
    assert got.recipients == ["ok@x.example"]
    assert [r.status for r in receipt.recipients] == [Status.ACCEPTED, Status.REJECTED, Status.DEFERRED]
    (rejected,) = receipt.rejected
    assert (rejected.code, rejected.enhanced, rejected.text, rejected.phase) == (550, "5.1.1", "no such user", "rcpt")
    assert [r.code for r in receipt.deferred] == [451]
    assert receipt.in_doubt == []
    assert receipt.not_attempted == []
    assert not receipt.all_accepted


@pytest.mark.parametrize(
    ("to", "code", "transient"),
    [
        ("rejected@x.example, deferred@x.example", "recipients_rejected", False),
        ("deferred@x.example", "recipients_deferred", True),
    ],
)
def test_require_accepted_says_who_was_not(server, to, code, transient):
    with postroad.Mailer(server.url) as mail:
        receipt = mail.send(compose(to))
    with pytest.raises(postroad.NotAccepted, match=r"deferred@x\.example deferred 451 4\.7\.1 later") as e:
        receipt.require_accepted()
    assert e.value.receipt is receipt
    assert (e.value.code, e.value.transient) == (code, transient)


def test_what_a_server_says_is_escaped_in_an_exception():
    outcome = postroad.RecipientOutcome("b@x.example", Status.REJECTED, 550, None, "no\x1b[31m\r\nway")
    with pytest.raises(postroad.NotAccepted) as e:
        postroad.Receipt((outcome,)).require_accepted()
    assert str(e.value) == r"b@x.example rejected 550 no\x1b[31m\r\nway"


def test_a_reply_lost_behind_the_content_is_in_doubt(make_server, message):
    server = make_server(stall="content")
    # enough for each reply before that one, also on a busy machine
    with postroad.Mailer(server.url, reply_timeout=5) as mail:
        with pytest.raises(postroad.TimedOut) as e:
            mail.send(message)
        assert [r.status for r in e.value.receipt.recipients] == [Status.IN_DOUBT]


def test_octets_travel_as_they_are(server):
    _, got = send(server, PLAIN)
    assert got.content == PLAIN
    _, got = send(server, bytearray(PLAIN.replace(b"\r\n", b"\n")))
    assert got.content == PLAIN


def test_recipients_of_bcc_get_the_message_and_the_field_does_not_travel(server, message):
    message["Bcc"] = "secret@example.net"
    _, got = send(server, message)
    assert got.recipients == ["bob@example.org", "secret@example.net"]
    assert b"secret@example.net" not in got.content
    assert message["Bcc"] == "secret@example.net"


@pytest.mark.parametrize(
    ("envelope", "sender", "recipients"),
    [
        ({}, "ann@example.com", ["bob@example.org"]),
        ({"sender": "bounces@x.example"}, "bounces@x.example", ["bob@example.org"]),
        ({"sender": ""}, "", ["bob@example.org"]),
        ({"recipients": "c@x.example"}, "ann@example.com", ["c@x.example"]),
        ({"recipients": "Cid <c@x.example>, d@x.example"}, "ann@example.com", ["c@x.example", "d@x.example"]),
        ({"recipients": iter(["c@x.example", "c@X.example"])}, "ann@example.com", ["c@x.example"]),
        ({"sender": "Eve <e@x.example>", "recipients": ["c@x.example"]}, "e@x.example", ["c@x.example"]),
    ],
)
def test_the_envelope_comes_from_the_arguments_and_else_from_the_header(server, message, envelope, sender, recipients):
    _, got = send(server, message, **envelope)
    assert (got.sender, got.recipients) == (sender, recipients)


def test_half_an_envelope_is_read_from_the_topmost_resent_fields(server):
    resent = b"Resent-From: r@x.example\nResent-To: s@x.example,\n t@x.example\n" + PLAIN.replace(b"\r\n", b"\n")
    _, got = send(server, resent, recipients=["c@x.example"])
    assert (got.sender, got.recipients) == ("r@x.example", ["c@x.example"])
    _, got = send(server, resent, sender="e@x.example")
    assert (got.sender, got.recipients) == ("e@x.example", ["s@x.example", "t@x.example"])


@pytest.mark.parametrize(
    ("content", "envelope", "code"),
    [
        (b"To: b@x.example\n\nHi", {}, "no_sender"),
        (b"From: a@x.example\n\nHi", {}, "no_recipients"),
        (b"From: a@x.example\n\nHi", {"sender": "b@x.example"}, "no_recipients"),
        (b"To: b@x.example\n\nHi", {"recipients": ["b@x.example"]}, "no_sender"),
        (PLAIN, {"recipients": []}, "no_recipients"),
        (PLAIN, {"recipients": ["a@b@c"]}, "invalid_address"),
        (PLAIN, {"recipients": ["b@x.example\u00a0"]}, "invalid_address"),
        (PLAIN, {"recipients": ["b@x.example>\r\nRCPT TO:<c@x.example"]}, "invalid_address"),
        (PLAIN, {"sender": "a@x.example, b@x.example"}, "invalid_address"),
        (PLAIN, {"sender": "a\ud800@x.example"}, "invalid_address"),
        (PLAIN + b"\0", {}, "invalid_message"),
    ],
)
def test_a_message_that_is_not_valid_is_refused_before_anything_is_sent(server, content, envelope, code):
    with postroad.Mailer(server.url) as mail, pytest.raises(postroad.InvalidInput) as e:
        mail.send(content, **envelope)
    assert isinstance(e.value, ValueError)
    assert e.value.code == code
    assert server.commands == []


@pytest.mark.parametrize("wrong", ["From: a@x.example\n\n", None, 7, object()])
def test_what_is_no_message_is_a_type_error(server, wrong):
    with postroad.Mailer(server.url) as mail, pytest.raises(TypeError, match="EmailMessage, bytes or a path"):
        mail.send(wrong)


@pytest.mark.parametrize("lines", [1, 20_000])
def test_a_path_is_a_message(server, tmp_path, lines):
    file = tmp_path / "mail.eml"
    file.write_bytes(b"Bcc: c@x.example\n" + PLAIN + b".line\n" * lines)
    sent = PLAIN + b".line\r\n" * lines
    with postroad.Mailer(server.url) as mail:
        mail.send(file).require_accepted()
        mail.submit(file, sender="").wait().require_accepted()
        for receipt in mail.send_many([file], recipients=["d@x.example"]):
            receipt.require_accepted()
    assert [m.content for m in server.messages] == [sent] * 3
    assert len(server.messages[0].recipients) == 2
    assert server.messages[1].sender == ""
    assert server.messages[2].recipients == ["d@x.example"]


def test_a_path_that_is_no_file_is_refused(server, tmp_path):
    with postroad.Mailer(server.url) as mail:
        for wrong in (tmp_path, tmp_path / "missing"):
            with pytest.raises(postroad.InvalidInput, match=tmp_path.name) as e:
                mail.send(wrong)
            assert e.value.code == "unreadable_file"
        with pytest.raises(postroad.InvalidInput):
            mail.send(pathlib.Path("a\0b"))
    assert server.commands == []


def test_a_header_of_an_email_message_is_folded_and_encoded_by_the_email_package(server):
    subject = "Grüße an alle, " * 12
    _, got = send(server, compose(subject=subject.strip()))
    assert max(len(line) for line in got.content.split(b"\r\n")) <= 78
    assert got.content.isascii()
    assert email.message_from_bytes(got.content, policy=email.policy.default)["Subject"] == subject.strip()


@pytest.mark.parametrize(
    "policy", [email.policy.default, email.policy.SMTP, email.policy.SMTPUTF8, email.policy.compat32]
)
def test_a_parsed_message_is_not_changed(server, policy):
    long = b"X-Long: " + b"word " * 40 + b"end\r\n" if policy is not email.policy.compat32 else b""
    original = (
        b"From: Ann <ann@example.com>\r\n" + long + b"To: bob@example.org\r\nDKIM-Signature: a=1;\r\n\t b=2;  c=3\r\n"
        b"\r\nFrom here on\r\n.a dot\r\n\r\ntrailing \t\r\n"
    )
    _, got = send(server, email.message_from_bytes(original, policy=policy))
    assert got.content == original


@pytest.mark.parametrize("policy", [email.policy.default, email.policy.compat32])
def test_eight_bit_octets_of_a_parsed_message_survive(server, policy):
    original = PLAIN.replace(b"Hello", b"Gr\xfc\xdfe") + b"\xff\xfe\r\n"
    _, got = send(server, email.message_from_bytes(original, policy=policy))
    assert got.content == original
    assert "BODY=8BITMIME" in got.parameters


def test_a_legacy_message_with_text_that_it_cannot_encode_is_refused(server):
    legacy = Message()
    legacy["From"] = "a@x.example"
    legacy["To"] = "b@x.example"
    legacy.set_payload("Grüße")
    with postroad.Mailer(server.url) as mail:
        with pytest.raises(postroad.InvalidInput, match="cannot be written out"):
            mail.send(legacy)
        legacy.set_payload("Grüße", "utf-8")
        assert mail.send(legacy).all_accepted


@pytest.mark.parametrize("held", [["text"], [b"octets"], [None], {"a": 1}, 5])
@pytest.mark.parametrize("kind", [Message, EmailMessage])
@pytest.mark.parametrize("media_type", ["multipart/mixed", "text/plain"])
def test_what_is_no_part_of_a_message_is_named(server, kind, media_type, held):
    message = kind()
    message["From"], message["To"], message["Content-Type"] = "a@x.example", "b@x.example", media_type
    message.set_payload(held)
    with postroad.Mailer(server.url) as mail:
        with pytest.raises(postroad.InvalidInput, match="text, or a list of messages") as e:
            mail.send(message)
        assert e.value.code == "invalid_message"
        good, bad = sorted(mail.send_many([compose(), message]), key=lambda r: r.index)
    assert good.all_accepted
    assert bad.error.code == "invalid_message"


@pytest.mark.parametrize("where", ["Subject", "To", "text"])
def test_a_lone_surrogate_in_a_message_is_a_value_error(server, where):
    message = Message()
    message["From"] = "a@x.example"
    if where == "text":
        message["To"] = "b@x.example"
        message.set_payload("a\ud800b")
    else:
        message[where] = "a\ud800b"
    with postroad.Mailer(server.url) as mail, pytest.raises(ValueError, match="cannot be written out") as e:
        mail.send(message)
    assert e.type is postroad.InvalidInput


def test_an_address_that_is_not_ascii_makes_an_internationalised_message(server):
    _, got = send(server, compose("Jörg <jörg@example.org>"))
    assert got.recipients == ["jörg@example.org"]
    assert "SMTPUTF8" in got.parameters
    assert "To: Jörg <jörg@example.org>\r\n".encode() in got.content


def test_a_name_that_is_not_ascii_does_not(server):
    _, got = send(server, compose("Jörg <joerg@example.org>"))
    assert got.parameters == ""
    assert b"To: =?utf-8?b?SsO2cmc=?= <joerg@example.org>\r\n" in got.content


def test_an_attachment_arrives_whole(server, message):
    data = bytes(range(256)) * 500
    message.add_attachment(data, maintype="application", subtype="octet-stream", filename="all.bin")
    _, got = send(server, message)
    parsed = email.message_from_bytes(got.content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    (attachment,) = parsed.iter_attachments()
    assert attachment.get_content() == data


def test_messages_share_a_connection(server, message):
    with postroad.Mailer(server.url) as mail:
        for _ in range(3):
            mail.send(message)
    assert [c.split(" ")[0] for c in server.commands].count("EHLO") == 1


def test_a_deferred_message_is_tried_again_where_attempts_allow(make_server, message):
    server = make_server()
    replies = iter(["451 4.7.1 greylisted"])
    usual = server._usual_rcpt
    server._usual_rcpt = lambda argument: next(replies, usual(argument))
    with postroad.Mailer(server.url, attempts=2, first_wait=0.01) as mail:
        receipt = mail.send(message)
    assert receipt.all_accepted
    assert receipt.attempts == 2
