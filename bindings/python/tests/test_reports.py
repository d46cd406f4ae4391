"""Reports that came back are read and explained; those that are written are read back."""

from __future__ import annotations

import email
import email.policy
from datetime import datetime, timezone

import postroad
import pytest

MESSAGE = b"From: Ann <ann@example.com>\nTo: bob@example.org\nSubject: Hi\nMessage-ID: <1@example.com>\n\nsecret\n"
BOB = postroad.ReportedRecipient(
    "bob@example.org", "failed", "5.1.1", "550 5.1.1 User unknown", "mx.example.org", original="Bob@example.org"
)


def test_what_is_written_is_read_back(server):
    raw = postroad.write_report(MESSAGE, [BOB], reporting_mta="mx.example.com", arrived=datetime.now(timezone.utc))
    report = postroad.read_report(raw)
    assert (report.form, report.reporting_mta, report.original_message_id) == (
        "standard",
        "mx.example.com",
        "<1@example.com>",
    )
    [found] = report.recipients
    assert found.address == "Bob@example.org"
    assert (found.final, found.action, found.status) == (BOB.final, BOB.action, BOB.status)
    assert (found.diagnostic, found.remote_mta) == (BOB.diagnostic, BOB.remote_mta)
    assert (found.cause, found.certainty) == ("unknown_recipient", "certain")
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert read.get_content_type() == "multipart/report"
    assert read["To"] == "ann@example.com"
    assert b"secret" not in raw
    assert b"secret" in postroad.write_report(MESSAGE, [BOB], reporting_mta="mx.example.com", full=True)
    with postroad.Mailer(server.url) as mail:
        mail.send(raw, sender="").require_accepted()
    assert server.messages[0].sender == ""
    assert server.messages[0].recipients == ["ann@example.com"]


def test_nobody_gets_a_report_who_must_not():
    relayed = postroad.ReportedRecipient("bob@example.org", "relayed")
    assert postroad.write_report(MESSAGE, [relayed], reporting_mta="mx.example.com") is None
    assert postroad.write_report(MESSAGE, [], reporting_mta="mx.example.com") is None
    assert postroad.write_report(MESSAGE, [BOB], reporting_mta="mx.example.com", sender="") is None
    for arguments in ({"reporting_mta": "a b"}, {"reporting_mta": "mx.example", "arrived": datetime(2026, 1, 1)}):
        with pytest.raises(postroad.InvalidInput):
            postroad.write_report(MESSAGE, [BOB], **arguments)
    with pytest.raises(postroad.InvalidInput, match="action must be one of"):
        postroad.write_report(MESSAGE, [postroad.ReportedRecipient("bob@y")], reporting_mta="mx.example.com")


def test_a_report_goes_where_the_return_path_leads():
    def reported(header):
        return postroad.write_report(header + MESSAGE, [BOB], reporting_mta="mx.example.com")

    assert reported(b"Return-Path: <>\n") is None
    assert reported(b"return-path:\n <>\n") is None
    for header, to in (
        (b"Return-Path: <bounces@example.com>\n", "bounces@example.com"),
        (b"Return-Path: MAILER-DAEMON\n", "ann@example.com"),
        (b"Return-Path: <a@x.example>, <b@x.example>\n", "ann@example.com"),
        (b"Return-Path: <j\xf6rg@example.com>\n", "ann@example.com"),
        (b"", "ann@example.com"),
    ):
        assert email.message_from_bytes(reported(header))["To"] == to
    assert "\nTo: jörg@bücher.example\r\n".encode() in reported("Return-Path: <jörg@bücher.example>\n".encode())
    given = postroad.write_report(
        b"Return-Path: <>\n" + MESSAGE, [BOB], reporting_mta="mx.example.com", sender="eve@example.com"
    )
    assert email.message_from_bytes(given)["To"] == "eve@example.com"


def test_old_servers_are_read_and_people_are_not(tmp_path):
    text = (
        b"From: MAILER-DAEMON@mx.example\n\nHi. This is the qmail-send program at mx.example.\n\n"
        b"<bob@example.org>:\n552 5.2.2 Over quota\n"
    )
    file = tmp_path / "bounce.eml"
    file.write_bytes(text)
    for given in (text, bytearray(text), file, email.message_from_bytes(text)):
        report = postroad.read_report(given)
        assert report.form == "text"
        assert [(r.address, r.status, r.cause) for r in report.recipients] == [
            ("bob@example.org", "5.2.2", "mailbox_full")
        ]
    for given in (b"", MESSAGE, text.replace(b"MAILER-DAEMON", b"ann"), postroad.Message(from_="a@x", to="b@y")):
        assert postroad.read_report(given) is None
    with pytest.raises(TypeError):
        postroad.read_report("From: ...")


def test_the_sender_of_what_is_refused_gets_a_report(make_server, message):
    server = make_server(replies={"RCPT TO:<bob": "550 5.1.1 no such user"})
    with postroad.Mailer(server.url, on_failure="report", reporting_mta="mx.example.com") as mail:
        assert mail.send(message).recipients[0].code == 550
    (report,) = server.messages
    assert report.recipients == ["ann@example.com"]
    found = postroad.read_report(report.content)
    assert found.reporting_mta == "mx.example.com"
    assert [(r.final, r.action, r.status) for r in found.recipients] == [("bob@example.org", "failed", "5.1.1")]


def test_what_failed_is_kept_or_forgotten_as_asked(make_server, message, tmp_path):
    server = make_server(replies={"RCPT TO:<bob": "550 5.1.1 no such user"})
    for kind, kept in (("keep", 1), ("report", 1), ("drop", 0)):
        file = tmp_path / f"{kind}.db"
        with postroad.Mailer(server.url, queue=file, on_failure=kind) as mail:
            mail.submit(message).wait(60)
        assert len(postroad.Queue(file).jobs(state="failed")) == kept
    assert len(server.messages) == 1  # the report


@pytest.mark.parametrize(
    "options",
    [
        {"on_failure": "drop"},
        {"on_failure": "weep"},
        {"reporting_mta": "mx.example.com"},
        {"on_failure": "report", "reporting_mta": "two words"},
    ],
)
def test_wrong_wishes_for_failures_are_named(server, options):
    with pytest.raises(postroad.InvalidInput):
        postroad.Mailer(server.url, **options)
