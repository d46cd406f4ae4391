"""postroad.smtplib: a program sees what it sees of the standard module, and a server what the engine does."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import smtplib as standard
import ssl
import subprocess
import sys
from pathlib import Path

import postroad
import pytest
from conftest import compose
from postroad import smtplib, testing

PROGRAM = Path(__file__).with_name("standard_smtplib.py")
SENDER = "Ann Lee <ann@example.com>"


@pytest.mark.parametrize(("form", "least"), [([], 3), (["domains"], 12)])
def test_the_tests_of_the_standard_module_pass(form, least):
    if importlib.util.find_spec("test.test_smtplib") is None:
        version = "{}.{}".format(*sys.version_info)
        pytest.fail(f"Python's own tests are not installed: apt install libpython{version}-testsuite")
    done = subprocess.run([sys.executable, str(PROGRAM), *form], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # the case of verbs, which servers do not see
    assert set(found["failed"]) <= {"SMTPSimTests.test_lowercase_mail_from_rcpt_to"}, found["failed"]
    assert found["run"] >= 60
    assert found["engine"] >= least


def told(
    module, server, to=("bob@x.example", "cid@x.example"), message=b"Subject: Hi\r\n\r\n.\r\nHello\r\n", **options
):
    """What becomes of one message and of the next, as a program sees it."""
    said = []
    with module.SMTP("127.0.0.1", server.port, local_hostname="client.example", timeout=60) as client:
        for _ in range(2):
            try:
                said.append(client.sendmail(SENDER, to, message))
            except standard.SMTPException as e:
                said.append((type(e), e.args, {n: v for n, v in vars(e).items() if n != "args"}))
            said.append(client.sock is None)
            if client.sock is None:
                client.connect("127.0.0.1", server.port)
    return said


@pytest.mark.parametrize("extensions", [("PIPELINING", "8BITMIME", "SIZE 100000"), ("8BITMIME",), ()])
@pytest.mark.parametrize(
    "replies",
    [
        {},
        {"MAIL": "550 5.7.1 not you"},
        {"MAIL": "421 4.3.2 closing"},
        {"MAIL": "550 without a code of that kind"},
        {"RCPT": "450 likewise"},
        {"RCPT TO:<bob": "550 5.1.1 no such user"},
        {"RCPT TO:<bob": "251 will forward"},
        {"RCPT": "452-4.5.3 too many\r\n452 4.5.3 really"},
        {"DATA": "451 4.3.0 not now"},
        {"content": "554 5.6.0 no"},
        {"content": "421 4.3.2 closing"},
        {"EHLO": "502 5.5.1 what"},
        {"EHLO": "502 5.5.1 what", "HELO": "550 no"},
    ],
    ids=lambda r: " ".join(r),
)
def test_a_program_sees_no_difference(make_server, replies, extensions):
    servers = [make_server(replies=replies, extensions=extensions) for _ in range(2)]
    expected, got = (told(m, s) for m, s in zip((standard, smtplib), servers))
    assert got == expected
    arrived = [[(m.sender, m.recipients, m.content) for m in s.messages] for s in servers]
    assert arrived[1] == arrived[0]
    assert "HELO" in replies or len(arrived[0]) == (2 if set(replies) <= {"RCPT TO:<bob", "EHLO"} else 0)


@pytest.mark.parametrize("at", ["MAIL", "RCPT", "DATA", "content"])
def test_a_connection_that_breaks_is_said_as_there(make_server, at):
    for module in (standard, smtplib):
        server = make_server(replies={at: "drop", at.lower(): "drop"})
        with module.SMTP("127.0.0.1", server.port, local_hostname="client.example") as client:
            with pytest.raises(standard.SMTPServerDisconnected):
                client.sendmail(SENDER, "bob@x.example", "Subject: Hi\n\nx\n")
            assert client.sock is None


def test_a_transaction_is_one_round_trip_where_the_server_takes_that(make_server):
    server = make_server(stall="MAIL")
    client = smtplib.SMTP("127.0.0.1", server.port)
    client.ehlo()
    sent = []
    client.send = lambda octets, send=client.send: (sent.append(octets), server.resume.set(), send(octets))
    assert client.sendmail(SENDER, ["bob@x.example", "cid@x.example"], b"Subject: Hi\n\nx\n") == {}
    assert sent[0].split(b"\r\n") == [
        b"MAIL FROM:<ann@example.com>",
        b"RCPT TO:<bob@x.example>",
        b"RCPT TO:<cid@x.example>",
        b"DATA",
        b"",
    ]
    client.quit()


@pytest.mark.parametrize("kind", [smtplib.SMTP, smtplib.LMTP])
def test_so_many_recipients_that_their_replies_fill_buffers_go_one_by_one(make_server, tmp_path, kind):
    server = make_server(path=str(tmp_path / "s") if kind is smtplib.LMTP else "")
    for many, writes in ((1000, 2), (1001, 1004)):
        with kind(server.path or "127.0.0.1", server.port) as client:
            client.ehlo()
            sent = []
            client.send = lambda octets, sent=sent, send=client.send: (sent.append(octets), send(octets))
            assert client.sendmail(SENDER, [f"u{i}@x.example" for i in range(many)], b"x\n") == {}
            assert len(sent) == writes
            client.quit()


def test_lmtp_has_a_reply_for_each_recipient(make_server, tmp_path):
    server = make_server(path=str(tmp_path / "s"), replies={"content1": "452 4.2.2 over quota"})
    with smtplib.LMTP(server.path) as client:
        to = ["bob@x.example", "cid@x.example"]
        for _ in range(2):
            assert client.sendmail(SENDER, to, "Subject: Hi\n\nx\n") == {"cid@x.example": (452, b"4.2.2 over quota")}
    server = make_server(path=str(tmp_path / "t"), replies={"content": "452 4.2.2 over quota"})
    with smtplib.LMTP(server.path) as client, pytest.raises(smtplib.SMTPDataError, match="over quota"):
        client.sendmail(SENDER, to, "Subject: Hi\n\nx\n")


def test_lmtp_keeps_what_one_recipient_has_if_the_server_leaves_behind_it(make_server, tmp_path):
    server = make_server(path=str(tmp_path / "s"), replies={"content1": "421 4.3.2 closing"})
    with smtplib.LMTP(server.path) as client:
        to = ["bob@x.example", "cid@x.example"]
        assert client.sendmail(SENDER, to, "Subject: Hi\n\nx\n") == {"cid@x.example": (421, b"4.3.2 closing")}
        assert client.sock is None


@pytest.mark.parametrize(
    ("extensions", "content", "options"),
    [
        (("SIZE 20",), b"Subject: Hi\n\n" + b"x" * 20 + b"\n", ()),
        ((), b"Content-Type: multipart/signed; boundary=b\n\n--b\n\n\xc3\xbc\n--b--\n", ()),
        (("8BITMIME",), b"Subject: Hi\n\nx\n", ("NOTIFY=NEVER",)),
    ],
    ids=["size", "8bit", "dsn"],
)
def test_what_is_refused_here_leaves_the_connection_open(make_server, extensions, content, options):
    server = make_server(extensions=extensions)
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        with pytest.raises(standard.SMTPException):
            client.sendmail(SENDER, ["bob@x.example", "cid@x.example"], content, rcpt_options=options)
        assert client.sock is not None
        assert client.sendmail(SENDER, "bob@x.example", b"x\n") == {}
    assert [c for c in server.commands if c.startswith(("MAIL", "RCPT"))][1:] == ["RCPT TO:<bob@x.example>"]


def test_a_reply_that_is_none_is_said_beside_refused_recipients(make_server):
    server = make_server(replies={"RCPT TO:<bob": "550 5.1.1 no such user", "content": "what?"})
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        with pytest.raises(postroad.ProtocolError):
            client.sendmail(SENDER, ["bob@x.example", "cid@x.example"], b"x\n")
        assert client.sock is None


def test_a_message_with_tls_and_a_password():
    for security, kind in (("starttls", smtplib.SMTP), ("implicit", smtplib.SMTP_SSL)):
        with testing.Sink(security=security, users={"ann": "secret"}, require_auth=True) as sink:
            context = ssl.create_default_context(cadata=sink.ca_pem)
            more = {} if security == "starttls" else {"context": context}
            with kind("localhost", sink.port, **more) as client:
                if security == "starttls":
                    client.starttls(context=context)
                with pytest.raises(smtplib.SMTPAuthenticationError):
                    client.login("ann", "wrong")
                client.login("ann", "secret")
                assert client.send_message(compose(["bob@x.example"])) == {}
                assert client.noop()[0] == 250
            (stored,) = sink.messages
            assert stored.message["Subject"] == "Hi"
            assert sink.violations == []


def test_what_is_asked_of_the_server_goes_with_it(make_server):
    server = make_server(extensions=("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"))
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        asked = {"mail_options": ["body=8bitmime", "RET=HDRS"], "rcpt_options": ["NOTIFY=SUCCESS,FAILURE"]}
        client.sendmail(SENDER, "bob@x.example", "Subject: Hi\n\nGrüße\n".encode(), **asked)
        client.sendmail("jörg@x.example", "bob@x.example", b"x\n", ["SMTPUTF8"])
        client.sendmail(SENDER, "bob@x.example", b"x\n", ["XOWN=1"])
        client.sendmail("cron", "root", b"x\n")
        client.sendmail("", "bob@x.example", b"x\n")
        assert client.esmtp_features.pop("dsn") == ""
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.sendmail(SENDER, "bob@x.example", b"x\n", rcpt_options=["NOTIFY=NEVER"])
    assert [c for c in server.commands if c.startswith(("MAIL", "mail", "RCPT"))][:4] == [
        "MAIL FROM:<ann@example.com> BODY=8BITMIME RET=HDRS",
        "RCPT TO:<bob@x.example> NOTIFY=SUCCESS,FAILURE",
        "MAIL FROM:<jörg@x.example> SMTPUTF8",
        "RCPT TO:<bob@x.example>",
    ]
    # in capitals or not, by Python's version
    commands = [c.lower() for c in server.commands]
    assert "mail from:<ann@example.com> xown=1" in commands
    assert "rcpt to:<root>" in commands
    assert "MAIL FROM:<>" in server.commands


def test_an_address_puts_no_command_into_the_conversation(make_server):
    server = make_server()
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        for to in ("bob@x.example\r\nVRFY x", "bob@x.example>\r\nVRFY x", "b b@x.example", "<\r\nVRFY x@x.example>"):
            with contextlib.suppress(smtplib.SMTPException, ValueError):
                client.sendmail(SENDER, to, b"x\n")
        assert client.sendmail(SENDER, "bob@x.example", b"x\n") == {}
    assert not any(c.startswith("VRFY") for c in server.commands)


def test_a_conversation_is_shown(make_server, capsys):
    server = make_server()
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.set_debuglevel(1)
        client.sendmail(SENDER, "bob@x.example", b"Subject: Hi\n\nx\n")
    err = capsys.readouterr().err
    assert "send: b'MAIL FROM:<ann@example.com>\\r\\nRCPT TO" in err
    assert "reply: b'250 2.0.0 queued\\r\\n'" in err


def test_a_content_of_megabytes(make_server):
    server = make_server()
    content = b"Subject: Hi\r\n\r\n" + b"." * 70 + b"\r\n" + (b"x" * 70 + b"\r\n") * 50_000
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail(SENDER, "bob@x.example", content)
    assert server.messages[0].content == content


@pytest.mark.parametrize("message", [5, None, [72, 105], object()])
def test_what_is_no_message_is_a_type_error_and_nothing_is_said(make_server, message):
    server = make_server()
    with smtplib.SMTP("127.0.0.1", server.port, timeout=60) as client:
        with pytest.raises(TypeError, match="msg must be a str or octets"):
            client.sendmail("ann@x.example", "bob@x.example", message)
        assert client.sendmail("ann@x.example", "bob@x.example", b"Subject: Hi\r\n\r\nHello\r\n") == {}
    assert len(server.messages) == 1
