"""What became of messages that went through a queue in a file, found again."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import postroad
import pytest
from conftest import compose
from postroad.__main__ import main


@pytest.fixture
def path(make_server, tmp_path):
    """A queue of which three messages are over: one was accepted, one refused, one dropped."""
    name = tmp_path / "outbox.db"
    with postroad.Mailer(make_server().url, queue=name) as mail:
        mail.send(compose(subject="Grüße"), tag="first", tenant="shop").require_accepted()
        mail.submit(compose(to="dee@example.net"), delay=3600, tag="third")
    with postroad.Mailer(make_server(replies={"RCPT": "550 5.1.1 no such user"}).url, queue=name) as mail:
        assert mail.send(compose(to="Cid@example.org"), tag="second").rejected
    assert postroad.Queue(name).drop(tag="third") == 1
    return name


def tags(path, **which):
    return " ".join(e.tag for e in postroad.Queue(path).journal(**which))


def test_an_entry_has_all_that_was_said(path):
    before = datetime.now(timezone.utc)
    third, second, first = postroad.Queue(path).journal()
    assert (first.tag, first.tenant, first.sender) == ("first", "shop", "ann@example.com")
    assert (first.subject, first.attempts, first.whole, first.error) == ("Grüße", 1, 0, "")
    assert first.tried is not None
    assert before - timedelta(minutes=5) < first.queued <= first.tried <= first.settled <= before
    (outcome,) = second.recipients
    assert (outcome.address, outcome.status) == ("Cid@example.org", postroad.Status.REJECTED)
    assert (outcome.code, outcome.enhanced, outcome.text, outcome.phase) == (550, "5.1.1", "no such user", "rcpt")
    assert second.error == "550 5.1.1 no such user"
    assert third.tried is None
    assert third.recipients[0].status is postroad.Status.NOT_ATTEMPTED


def test_entries_are_found_by_each_member(path):
    assert tags(path) == "third second first"
    assert tags(path, limit=2) == "third second"
    assert tags(path, recipient="cid@EXAMPLE.org") == "second"
    assert tags(path, sender="ann@example.com", tag="third") == "third"
    assert tags(path, tenant="shop") == "first"
    assert tags(path, status=postroad.Status.ACCEPTED) == "first"
    assert tags(path, recipient="' OR 1=1 --") == ""
    (first,) = postroad.Queue(path).journal(tag="first")
    assert tags(path, id=first.id) == "first"
    assert tags(path, before=first.settled) == ""
    assert tags(path, since=first.settled + timedelta(microseconds=1)) == "third second"


def test_a_mailer_has_the_journal_of_its_queue_also_when_it_is_closed(server, tmp_path):
    with postroad.Mailer(server.url, queue=tmp_path / "outbox.db") as mail:
        for n in range(120):
            mail.submit(compose(), tag=str(n))
    assert sorted(int(e.tag) for e in mail.journal(sender="ann@example.com")) == list(range(120))
    with postroad.Mailer(server.url) as mail, pytest.raises(postroad.InvalidInput, match="queue in a file"):
        mail.journal()


@pytest.mark.parametrize(
    ("which", "kind"),
    [
        ({"id": "1"}, TypeError),
        ({"id": -1}, postroad.InvalidInput),
        ({"status": "accepted"}, TypeError),
        ({"since": 17}, TypeError),
        ({"before": datetime(9999, 1, 1)}, postroad.InvalidInput),
        *(({name: None}, TypeError) for name in ("id", "recipient", "sender", "message_id", "tenant", "tag", "status")),
        *(({name: ""}, postroad.InvalidInput) for name in ("recipient", "sender", "message_id", "tenant", "tag")),
        ({"limit": 0}, postroad.InvalidInput),
        ({"colour": "red"}, TypeError),
    ],
)
def test_wrong_filters_are_refused(path, which, kind):
    with pytest.raises(kind):
        postroad.Queue(path).journal(**which)


def test_a_journal_can_be_switched_off(server, tmp_path):
    with postroad.Mailer(server.url, queue=tmp_path / "outbox.db", journal_kept=0) as mail:
        mail.submit(compose())
    assert list(mail.journal()) == []
    with pytest.raises(postroad.InvalidInput, match="in a file only"):
        postroad.Mailer(server.url, journal_kept=60)


def test_a_journal_keeps_no_more_entries_than_it_may(server, tmp_path):
    with postroad.Mailer(server.url, queue=tmp_path / "outbox.db", journal_capacity=3) as mail:
        for n in range(300):
            mail.submit(compose(), tag=str(n))
    # What is above goes with each hundred at the latest.
    assert 3 <= len(list(mail.journal())) <= 103


def test_the_command_prints_what_is_asked_for(path, capsys):
    assert main(["journal", str(path)]) == 0
    out = capsys.readouterr().out
    assert "<ann@example.com>, Grüße" in out
    assert "Cid@example.org rejected: 550 5.1.1 no such user" in out
    assert main(["journal", str(path), "--recipient", "cid@example.org", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    entry = json.loads(line)
    assert entry["tag"] == "second"
    assert entry["recipients"][0]["status"] == "rejected"
    assert main(["journal", str(path), "--status", "accepted", "--since", "2026-01-31T12:00Z", "--limit", "5"]) == 0
    assert main(["journal", str(path), "--before", "2026-01-31"]) == 0
    assert main(["journal", str(path), "--limit", "0"]) == 64
    with pytest.raises(SystemExit):
        main(["journal", str(path), "--since", "yesterday"])
    assert main(["journal", str(path) + ".none"]) == 66
