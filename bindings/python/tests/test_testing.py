"""The sink, captured mailers, the fixtures of pytest, memory:// and its relatives."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
import threading
from pathlib import Path

import postroad
import pytest
from conftest import compose
from postroad import testing


def test_what_arrives_at_a_sink_is_a_message_of_the_standard_library():
    with testing.Sink() as sink, sink.mailer() as mail:
        mail.send(compose(subject="Grüße"), recipients=["bob@example.org", "cid@example.org"]).require_accepted()
        (stored,) = sink.messages
    assert (stored.sender, stored.recipients) == ("ann@example.com", ("bob@example.org", "cid@example.org"))
    assert stored.message["Subject"] == "Grüße"
    assert stored.message.get_content().strip() == "Hello."
    assert not stored.tls
    assert stored.connection == 1
    assert sink.violations == []
    assert sink.counts["messages"] == 1
    assert [c.split(" ")[0] for c in sink.commands][:2] == ["EHLO", "MAIL"]


@pytest.mark.parametrize("security", ["starttls", "implicit"])
def test_a_sink_has_tls_and_authentication(security):
    with testing.Sink(security=security, users={"ann": "s p@ce"}, require_auth=True, require_tls=True) as sink:
        with sink.mailer("ann") as mail:
            mail.send(compose()).require_accepted()
        assert sink.messages[0].tls
        assert sink.messages[0].user == "ann"
        assert sink.ca_pem.startswith("-----BEGIN CERTIFICATE")
        ca_file = sink.ca_file
        assert os.path.exists(ca_file)
        with sink.mailer() as mail, pytest.raises(KeyError):
            sink.url("bob")
        with postroad.Mailer(sink.url("ann")) as mail, pytest.raises(postroad.TlsError):
            mail.send(compose())
    assert not os.path.exists(ca_file)


def test_a_sink_in_the_clear_takes_credentials_where_it_is_asked_to():
    with testing.Sink(users={"ann": "secret"}, auth_in_clear=True) as sink, sink.mailer("ann") as mail:
        mail.send(compose()).require_accepted()
        assert sink.messages[0].user == "ann"
        assert not any("secret" in line for line in sink.commands)


@pytest.mark.parametrize("options", [{"expired": True}, {"certificate_names": ["other.example"]}])
def test_a_certificate_may_be_wrong(options):
    with testing.Sink(security="starttls", **options) as sink, sink.mailer() as mail:
        with pytest.raises(postroad.TlsError) as e:
            mail.send(compose())
    assert e.value.code == "tls_certificate"


def test_faults_are_data():
    reply = testing.Fault.reply("rcpt", "550 5.1.1 no such user")
    lost = testing.Fault("content", send="", takes_effect=True, then="drop")
    assert testing.Fault.parse("content:1:+|drop") == testing.Fault("content", send=b"", takes_effect=True, then="drop")
    with testing.Sink(faults=[reply, lost]) as sink, sink.mailer() as mail:
        assert mail.send(compose()).rejected[0].text == "no such user"
        with pytest.raises(postroad.Disconnected) as e:
            mail.send(compose())
        assert len(e.value.receipt.in_doubt) == 1
        assert len(sink.messages) == 1
        sink.add("rcpt@cid:1:451 4.7.1 later")
        assert mail.send(compose("bob@x.example, cid@x.example")).deferred[0].address == "cid@x.example"
        sink.add(testing.Fault.drop("mail"))
        sink.clear_faults()
        mail.send(compose()).require_accepted()
        sink.clear()
        assert (sink.messages, sink.commands, sink.counts["messages"]) == ([], [], 0)


def test_a_sink_may_stall_and_drop():
    with testing.Sink(faults=[testing.Fault.stall("mail", nth=0)]) as sink:
        with sink.mailer(reply_timeout=0.2) as impatient, pytest.raises(postroad.TimedOut):
            impatient.send(compose())
        sink.clear_faults()
        with sink.mailer() as mail:
            mail.send(compose()).require_accepted()
            sink.drop_connections()
            mail.send(compose()).require_accepted()


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": "supper"},
        {"at": "rcpt", "then": "sing"},
        {"at": "rcpt", "nth": -1},
        {"at": "rcpt", "wait": -1.0},
    ],
)
def test_a_fault_that_cannot_be_is_invalid_input(wrong):
    with pytest.raises(postroad.InvalidInput):
        testing.Fault(**wrong)


@pytest.mark.parametrize("wrong", ["", "rcpt", "supper:1:no", "rcpt:x:no", "rcpt:1:no|sing"])
def test_a_fault_in_text_that_cannot_be_is_invalid_input(wrong):
    with pytest.raises(postroad.InvalidInput):
        testing.Fault.parse(wrong)
    with pytest.raises(postroad.InvalidInput):
        testing.Sink(faults=[wrong])


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"security": "some"}, postroad.InvalidInput),
        ({"port": 70000}, postroad.InvalidInput),
        ({"delay": -1}, postroad.InvalidInput),
        ({"lmtp": 1}, TypeError),
        ({"faults": [7]}, TypeError),
        ({"users": {"ann": 7}}, TypeError),
    ],
)
def test_wrong_options_of_a_sink_are_said(wrong, kind):
    with pytest.raises(kind):
        testing.Sink(**wrong)


def test_a_port_in_use_is_an_oserror():
    with testing.Sink() as sink, pytest.raises(OSError, match="in use"):
        testing.Sink(port=sink.port)


def test_waiting_for_messages(tmp_path):
    with testing.Sink() as sink, sink.mailer() as mail:
        for i in range(3):
            mail.submit(compose(f"r{i}@x.example"))
        assert len(sink.wait_for(3)) == 3
        with pytest.raises(TimeoutError, match="3 of 4"):
            sink.wait_for(4, timeout=0)


def test_a_sink_serves_other_clients_and_notes_what_they_do():
    with testing.Sink() as sink:
        with smtplib.SMTP("127.0.0.1", sink.port) as client:
            client.sendmail("a@x.example", ["b@x.example"], "Subject: hi\r\n\r\nHello\r\n")
            client.docmd("DATA")
        assert sink.messages[0].content == b"Subject: hi\r\n\r\nHello\r\n"
        assert len(sink.violations) == 1


def test_a_sink_of_the_parent_is_of_no_use_behind_fork():
    if not hasattr(os, "fork"):
        pytest.skip("no fork()")
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore:This process:DeprecationWarning",
            "-c",
            """
import os
from postroad import testing
sink = testing.Sink()
if os.fork() == 0:
    try:
        sink.messages
    except RuntimeError:
        os._exit(0)
    os._exit(1)
_, status = os.wait()
sink.stop()
print(status)
""",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


# without a server


def test_a_mailer_of_memory_keeps_what_it_is_given():
    with postroad.Mailer("memory://") as mail:
        receipt = mail.send(compose("bob@x.example, cid@x.example"))
        receipt.require_accepted()
        mail.send(compose(subject="second"), sender="")
        assert len(mail.outbox) == 2
        first, second = mail.outbox
        assert (first.sender, first.recipients) == ("ann@example.com", ("bob@x.example", "cid@x.example"))
        assert [m.message["Subject"] for m in mail.outbox] == ["Hi", "second"]
        assert second.sender == ""
        assert mail.outbox[-1] == second
        with pytest.raises(postroad.InvalidInput):
            mail.send(b"Subject: nobody\n\n")
        assert mail.outbox[0:1] == (first,)
    assert len(mail.outbox) == 2
    mail.outbox.clear()
    assert list(mail.outbox) == []


def test_a_mailer_of_discard_accepts_and_one_of_a_maildir_writes(tmp_path):
    assert postroad.send("discard://", compose()).all_accepted
    assert postroad.send("Discard://", compose()).all_accepted
    with postroad.Mailer("discard://") as mail, pytest.raises(AttributeError):
        mail.outbox  # noqa: B018
    folder = tmp_path / "in box?"
    assert postroad.send(f"maildir://{tmp_path}/in%20box%3F", compose()).all_accepted
    (file,) = (folder / "new").iterdir()
    assert b"Subject: Hi\r\n" in file.read_bytes()


def test_what_waits_in_a_file_may_go_to_memory(tmp_path):
    with postroad.Mailer("memory://", queue=tmp_path / "q.db") as mail:
        mail.submit(compose(), idempotency_key="1").wait(60).require_accepted()
        with pytest.raises(postroad.AlreadyQueued):
            mail.submit(compose(), idempotency_key="1")
        assert len(mail.outbox) == 1


@pytest.mark.parametrize("url", ["memory://x", "discard://x", "maildir://", "maildir://x/y", "maildir:///x?y=1"])
def test_a_wrong_url_without_a_server_is_invalid_input(url):
    with pytest.raises(postroad.InvalidInput):
        postroad.Mailer(url)


@pytest.mark.parametrize(
    "argument",
    [{"user": "ann"}, {"token": "x"}, {"ca_file": "x"}, {"client_name": "x"}, {"queue": "amqp://localhost"}],
)
def test_what_only_servers_need_is_refused_without_one(argument):
    with pytest.raises(postroad.InvalidInput) as e:
        postroad.Mailer("memory://", **argument)
    assert e.value.code == "contradiction"


def test_captured_mailers_keep_what_they_would_send(tmp_path):
    with testing.captured() as kept:
        with postroad.Mailer("smtp://ann:secret@smtp.nowhere.invalid", queue=tmp_path / "q.db") as one:
            one.submit(compose()).wait(60).require_accepted()
        assert postroad.send("smtp://smtp.nowhere.invalid", compose("cid@x.example")).all_accepted
        assert [m.recipients for m in kept] == [("bob@example.org",), ("cid@x.example",)]
        with pytest.raises(postroad.InvalidInput, match="did you mean"):
            postroad.Mailer("smtp://smtp.nowhere.invalid?conections=4")
        with pytest.raises(postroad.InvalidInput):
            postroad.Mailer("smtp://ann:secret@smtp.nowhere.invalid", user="ann")
    assert len(kept) == 2
    kept.clear()
    assert len(kept) == 0
    with postroad.Mailer("smtp+insecure://127.0.0.1:1") as mail, pytest.raises(postroad.NoConnection):
        mail.send(compose())


def test_capturing_holds_for_every_thread():
    with testing.captured() as kept:
        thread = threading.Thread(target=postroad.send, args=("smtp://x.invalid", compose()))
        thread.start()
        thread.join()
        assert len(kept) == 1


# pytest

TESTS = """
import postroad, pytest
from postroad import testing

MAIL = b"From: a@x.example\\nTo: b@x.example\\n\\nHi\\n"

def test_outbox(mail_outbox):
    postroad.send("smtp://smtp.nowhere.invalid", MAIL)
    assert mail_outbox[0].recipients == ("b@x.example",)

def test_the_next_begins_with_none(mail_outbox):
    assert len(mail_outbox) == 0

def test_sink(mail_sink):
    with mail_sink.mailer() as mail:
        mail.send(MAIL).require_accepted()
    assert mail_sink.messages[0].message["To"] == "b@x.example"

@pytest.mark.mail_sink(security="starttls", users={"ann": "secret"}, faults=["rcpt:1:451 4.7.1 later"])
def test_options(mail_sink):
    with mail_sink.mailer("ann") as mail:
        assert len(mail.send(MAIL).deferred) == 1
"""


def test_the_fixtures_are_there_where_postroad_is_installed(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_pytest_starts_without_postroad():
    done = subprocess.run(
        [sys.executable, "-c", "import pytest_postroad, sys; print('postroad' in sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("name", testing.__all__)
def test_everything_public_is_documented(name):
    assert name in (Path(__file__).parents[3] / "docs/python-testing.md").read_text()
