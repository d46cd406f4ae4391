"""Addresses that must not get mail."""

from __future__ import annotations

import io
import json
import multiprocessing
from datetime import datetime, timedelta, timezone

import postroad
import pytest
from conftest import compose
from postroad import Status, SuppressionEntry, SuppressionList
from postroad.__main__ import main

BOUNCE = b"""From: MAILER-DAEMON@mx.example
Content-Type: multipart/report; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; bob@example.org
Action: failed
Status: 5.1.1
--b--
"""
COMPLAINT = b"""Content-Type: multipart/report; boundary=b

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
Original-Rcpt-To: cid@example.org
--b--
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "suppressed.db"


def test_who_is_suppressed_gets_nothing_and_the_others_do(server, path):
    SuppressionList(path).add("bob@example.org", source="his letter")
    with postroad.Mailer(server.url, suppression=path) as mail:
        receipt = mail.send(compose("ann@example.org, bob@example.org"))
    ann, bob = receipt.recipients
    assert (ann.status, ann.error, ann.why) == (Status.ACCEPTED, None, "")
    assert (bob.status, bob.phase, bob.error) == (Status.REJECTED, "policy", "suppressed")
    assert bob.why.startswith("bob@example.org is suppressed: manual since ")
    assert bob.why.endswith("(his letter)")
    assert [m.recipients for m in server.messages] == [["ann@example.org"]]
    with pytest.raises(postroad.NotAccepted, match=r"bob@example\.org is suppressed"):
        receipt.require_accepted()


def test_a_list_counts_by_tenant_and_list_id(server, path):
    suppressed = SuppressionList(path)
    suppressed.add("bob@example.org", tenant="acme")
    suppressed.add("bob@example.org", list="news.example.com")
    letter = compose("bob@example.org")
    listed = compose("bob@example.org")
    listed["List-Id"] = "News <news.example.com>"
    with postroad.Mailer(server.url, suppression=suppressed) as mail:
        assert mail.send(letter).all_accepted
        assert not mail.send(letter, tenant="acme").all_accepted
        assert not mail.send(listed).all_accepted
    assert "bob@example.org" not in suppressed
    assert "bob@example.org" in suppressed.of(list="NEWS.example.com")
    assert "bob@example.org" not in suppressed.of(list="other.example.com")


def test_what_is_no_address_is_not_in_a_list(path):
    suppressed = SuppressionList(path)
    suppressed.add("bob@example.org")
    for key in ("customer 7", "", 7, "a\nb@example.org", "\ud800@example.org"):
        assert key not in suppressed
        assert key not in suppressed.of(tenant="acme")
    with pytest.raises(postroad.InvalidInput):
        suppressed.find("customer 7")
    with pytest.raises(postroad.InvalidInput, match="tenant"):
        "bob@example.org" in suppressed.of(tenant="\ud800")  # noqa: B015


@pytest.mark.parametrize("kind", ["submit", "many", "queue"])
def test_every_way_of_sending_asks(server, path, tmp_path, kind):
    SuppressionList(path).add("bob@example.org")
    options = {"queue": tmp_path / "queue.db"} if kind == "queue" else {}
    with postroad.Mailer(server.url, suppression=path, **options) as mail:
        letter = compose("bob@example.org")
        receipt = next(mail.send_many([letter])) if kind == "many" else mail.submit(letter).wait()
    assert receipt.recipients[0].error == "suppressed"
    assert receipt.attempts == 0
    assert server.messages == []


def test_anything_with_in_is_a_list(server):
    class Failing:
        def __contains__(self, address):
            raise OSError("secret")

    with postroad.Mailer(server.url, suppression={"bob@example.org"}) as mail:
        assert mail.send(compose("bob@example.org")).recipients[0].error == "suppressed"
        assert mail.send(compose("ann@example.org")).all_accepted
    with postroad.Mailer(server.url, suppression=Failing()) as mail:
        with pytest.raises(postroad.Error, match="the suppression list raised OSError") as raised:
            mail.send(compose("bob@example.org"))
        assert "secret" not in str(raised.value)
    with pytest.raises(TypeError, match="suppression must be a path or have `in`, not int"):
        postroad.Mailer(server.url, suppression=7)


def test_entries_have_reason_source_and_time(path):
    suppressed = SuppressionList(path)
    until = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=1)
    assert suppressed.add("bob@example.org", reason="complaint", source="a call", until=until)
    assert not suppressed.add("bob@example.org", reason="unsubscribed", until=until)
    entry = suppressed.find("bob@EXAMPLE.org")
    assert (entry.reason, entry.until, entry.source) == ("unsubscribed", until, "")
    assert entry.added.tzinfo is not None
    assert [suppressed.find("Bob@example.org"), len(suppressed)] == [None, 1]
    assert suppressed.remove("bob@example.org")
    assert not suppressed.remove("bob@example.org")
    suppressed.add("bob@example.org", until=datetime(2001, 1, 1, tzinfo=timezone.utc))
    assert "bob@example.org" not in suppressed
    with pytest.raises(postroad.InvalidInput, match="time zone"):
        suppressed.add("bob@example.org", until=datetime(2030, 1, 1))
    with pytest.raises(postroad.InvalidInput):
        suppressed.add_all([SuppressionEntry("cid@example.org"), SuppressionEntry("no address")])
    assert "cid@example.org" not in suppressed


def test_reports_and_complaints_that_came_back_fill_a_list(path):
    suppressed = SuppressionList(path, bounces=2)
    assert [suppressed.read(BOUNCE), suppressed.read(BOUNCE)] == [0, 1]
    assert suppressed.find("bob@example.org").source == "report of mx.example"
    assert suppressed.read(COMPLAINT, tenant="acme") == 1
    assert suppressed.find("cid@example.org", tenant="acme").reason == "complaint"
    assert suppressed.read(compose()) == 0


def test_replies_that_there_is_no_such_mailbox_count(make_server, path):
    server = make_server(replies={"RCPT": "550 5.1.1 no such user"})
    suppressed = SuppressionList(path, bounces=2)
    for _ in range(2):
        with postroad.Mailer(server.url, suppression=suppressed) as mail:
            assert mail.send(compose("bob@example.org")).recipients[0].code == 550
    assert suppressed.find("bob@example.org").reason == "hard_bounce"


def test_csv_goes_out_and_comes_in_and_bad_rows_are_named(path, tmp_path):
    suppressed = SuppressionList(path)
    heard = []
    rows = b"email;reason\r\nbob@example.org;complaint\r\nnobody;\r\n;;\r\ncid@example.org;\r\n"
    done = suppressed.import_csv(io.BytesIO(rows), source="old", on_fault=lambda *f: heard.append(f))
    assert (done.added, done.known, done.faults) == (2, 0, 2)
    assert [line for line, _ in done.first_faults] == [3, 4]
    assert heard == list(done.first_faults)
    assert suppressed.find("cid@example.org").source == "old"
    text = io.StringIO()
    assert suppressed.export_csv(text.write) == 2
    again = SuppressionList(tmp_path / "again.db")
    done = again.import_csv(io.BytesIO(text.getvalue().encode()))
    assert (done.added, done.faults) == (2, 0)
    assert again.entries() == suppressed.entries()


def _use_in_child(suppressed, out):
    suppressed.add("cid@example.org")
    out.put("bob@example.org" in suppressed)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_uses_the_list_as_its_parent_does(path):
    suppressed = SuppressionList(path)
    suppressed.add("bob@example.org")
    fork = multiprocessing.get_context("fork")
    out = fork.Queue()
    child = fork.Process(target=_use_in_child, args=(suppressed, out))
    child.start()
    assert out.get(timeout=60)
    child.join()
    assert "cid@example.org" in suppressed


def test_a_file_of_something_else_is_named(tmp_path):
    (tmp_path / "x.txt").write_text("x" * 4096)
    with pytest.raises(postroad.Error, match=r"the suppression list '.*x\.txt'") as raised:
        SuppressionList(tmp_path / "x.txt")
    assert raised.value.code == "storage_damaged"


def test_the_command_looks_after_a_list(path, tmp_path, capsys):
    def run(*given):
        status = main(["suppress", str(path), *given])
        return status, capsys.readouterr()

    assert run("check", "bob@example.org")[0] == 66
    assert run("add", "bob@example.org", "cid@example.org", "--source", "a call", "--until", "2100-01-02")[0] == 0
    status, said = run("check", "bob@example.org", "ann@example.org")
    assert status == 69
    assert "bob@example.org: manual since " in said.out
    assert "until 2100-01-02 00:00Z (a call)" in said.out
    assert "ann@example.org: gets mail" in said.out
    status, said = run("list", "--json")
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [f["address"] for f in found] == ["bob@example.org", "cid@example.org"]
    assert found[0]["until"] == "2100-01-02T00:00:00+00:00"
    assert run("remove", "bob@example.org", "ann@example.org") == (0, ("1\n", ""))
    assert run("check", "bob@example.org")[0] == 0
    (tmp_path / "in.csv").write_text("dan@example.org\nnobody\n")
    status, said = run("import", str(tmp_path / "in.csv"), "--reason", "complaint", "--list", "news.example.com")
    assert status == 65
    assert "in.csv:2: 'nobody': " in said.err
    assert "1 added, 0 known, 1 left out" in said.out
    assert run("export", str(tmp_path / "out.csv"))[0] == 0
    assert "dan@example.org,,news.example.com,complaint,," in (tmp_path / "out.csv").read_text()
    assert run("export")[1].out == (tmp_path / "out.csv").read_bytes().decode()
    assert run("export", str(tmp_path / "no" / "out.csv"))[0] == 73
    out = str(tmp_path / "out.csv")
    for wrong in (
        ["list", "bob@x.example"],
        ["export", out, "more"],
        ["list", "--tenant", "a"],
        ["export", "--list", "n"],
    ):
        status, said = run(*wrong)
        assert (status, said.out) == (64, "")
        assert f"{wrong[0]} {'does not take' if '--' not in wrong[1] else 'has all entries'}" in said.err
    assert run("add")[0] == 64
    assert run("add", "no address")[0] == 65
    assert run("add", "bob@example.org", "--until", "soon")[0] == 64


def test_an_export_that_ends_early_is_not_taken_for_a_whole_one(path, monkeypatch, capsys):
    def broken(self, write):
        raise postroad.Error("the disk has an error", code="storage_failed")

    SuppressionList(path)
    monkeypatch.setattr(SuppressionList, "export_csv", broken)
    assert main(["suppress", str(path), "export"]) == 69
    assert "the disk has an error" in capsys.readouterr().err


def test_a_list_that_is_longer_than_what_is_shown_says_so(path, capsys, monkeypatch):
    monkeypatch.setattr("postroad._suppress_cli._MOST", 2)
    assert main(["suppress", str(path), "add", "ann@example.org", "bob@example.org", "cid@example.org"]) == 0
    capsys.readouterr()
    assert main(["suppress", str(path), "list"]) == 0
    out, err = capsys.readouterr()
    assert (out.count("\n"), err) == (2, "postroad: these are the first 2: --limit N takes more, export all\n")
    assert main(["suppress", str(path), "list", "--limit", "3"]) == 0
    assert capsys.readouterr().err == ""
