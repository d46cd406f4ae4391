"""Taking messages into a queue in a file."""

from __future__ import annotations

import json
import mailbox
import signal
import sqlite3
import subprocess
import sys
from datetime import datetime, timezone

import postroad
import pytest
from conftest import compose
from postroad import _import
from postroad.__main__ import main

BODY = b"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: %s\r\n\r\nHello.\r\n"
ASKED = {
    "sender": "bounces@example.com",
    "recipients": ["bob@example.org", "cid@example.net"],
    "tenant": "shop",
    "tag": "news",
    "traffic_class": 1,
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "q.db"


@pytest.fixture
def other(tmp_path):
    return tmp_path / "other.db"


@pytest.fixture
def take(capsys):
    """Runs the command; returns its status, what it counted and what it complained of."""

    def run(queue, source):
        status = main(["queue", str(queue), "import", str(source), "--json"])
        out, err = capsys.readouterr()
        return status, tuple(json.loads(out).values()), err

    return run


def submit(path, *messages, **options):
    with postroad.Mailer("smtp+insecure://127.0.0.1:1", queue=path, submit_only=True) as mail:
        return [mail.submit(m, **options).id for m in messages]


def exported(path, folder, **which):
    postroad.Queue(path).export(folder, **which)
    return [json.loads(line) for line in (folder / "messages.jsonl").read_bytes().splitlines()]


def test_an_export_comes_back_with_its_envelope_its_times_and_what_was_asked(path, other, take, tmp_path):
    wishes = {"returned": "full", "envelope_id": "e1", "priority": 3, "require_tls": True, "submitter": "a@example.com"}
    wishes.update(deliver_by=600, when_late="give_up", hold_until=datetime(2030, 1, 2, tzinfo=timezone.utc))
    delivery = postroad.Delivery(**wishes, notify=["failure", "delay"], original_recipient="robert@example.org")
    submit(path, BODY % b"one", **ASKED, delivery=delivery, delay=3600, give_up_after=7200, idempotency_key="k")
    (was,) = exported(path, tmp_path / "one")
    assert take(other, tmp_path / "one") == (0, (1, 0, 0), "")
    (now,) = exported(other, tmp_path / "two")
    assert (tmp_path / "two" / now["file"]).read_bytes() == BODY % b"one"
    for name in ("sender", "recipients", "delivery", "tenant", "tag", "traffic_class", "state", "idempotency_key"):
        assert now[name] == was[name]
    for name in ("due", "give_up"):
        late = datetime.fromisoformat(now[name]) - datetime.fromisoformat(was[name])
        assert abs(late.total_seconds()) < 60


def test_what_was_taken_is_known_the_second_time(path, other, take, tmp_path):
    submit(path, *(BODY % b"%d" % n for n in range(5)))
    exported(path, tmp_path / "out")
    assert take(other, tmp_path / "out") == (0, (5, 0, 0), "")
    assert take(other, tmp_path / "out") == (0, (0, 5, 0), "")
    assert postroad.Queue(other).count().total == 5


def test_what_was_held_is_held(path, other, take, tmp_path):
    (held, _) = submit(path, BODY % b"one", BODY % b"two")
    postroad.Queue(path).hold(id=held)
    exported(path, tmp_path / "out")
    assert take(other, tmp_path / "out")[1] == (2, 0, 0)
    assert postroad.Queue(other).count().by_state["held"] == 1
    assert postroad.Queue(other).count().by_state["waiting"] == 1


def test_an_import_that_was_killed_before_it_held_what_it_took_is_finished_by_the_next(path, other, take, tmp_path):
    """Until then nothing of it goes by itself, however late that is."""
    submit(path, *(BODY % b"%d" % n for n in range(4)))
    postroad.Queue(path).hold(state="waiting")
    submit(path, BODY % b"later", delay=3600)
    exported(path, tmp_path / "out")
    code = f"""
import os, signal
from pathlib import Path
from postroad import Mailer, _import
hold, n = Mailer.hold, []
def dies(*args, **which):
    n.append(1)
    if len(n) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return hold(*args, **which)
Mailer.hold = dies
_import.take({str(other)!r}, Path({str(tmp_path / "out")!r}), print, lambda done: None)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    queue = postroad.Queue(other)
    assert queue.count().by_state == {**queue.count().by_state, "held": 1, "delayed": 4, "waiting": 0}
    assert sorted(job.until > 20 * 365 * 86400 for job in queue.jobs(state="delayed")) == [False, True, True, True]
    assert take(other, tmp_path / "out") == (0, (0, 5, 0), "")
    assert queue.count().by_state == {**queue.count().by_state, "held": 4, "delayed": 1}
    # one that somebody has released since stays so
    released = queue.jobs(state="held")[0].id
    queue.retry_now(id=released)
    assert take(other, tmp_path / "out") == (0, (0, 5, 0), "")
    assert queue.jobs(id=released)[0].state == "waiting"


def test_what_failed_waits_for_a_decision_and_goes_to_those_who_did_not_get_it(server, path, other, take, tmp_path):
    with postroad.Mailer(server.url, queue=path) as mail:
        mail.submit(compose(), recipients=["bob@x.example", "rejected@x.example"]).wait(30)
    exported(path, tmp_path / "out", state="failed")
    assert take(other, tmp_path / "out") == (0, (1, 0, 0), "")
    (job,) = postroad.Queue(other).jobs()
    assert (job.state, [to for to, _ in job.recipients]) == ("held", ["rejected@x.example"])


def test_each_bad_message_is_named_and_the_others_are_taken(path, other, take, tmp_path):
    folder = tmp_path / "out"
    submit(path, *(BODY % b"%d" % n for n in range(7)), delay=60, give_up_after=120)
    lines = exported(path, folder)
    (folder / lines[0]["file"]).unlink()
    lines[1]["file"] = "../q.db"
    lines[2].update(file=None, error="its content is damaged")
    lines[3]["give_up"] = "2020-01-01T00:00:00+00:00"
    lines[4]["recipients"][0]["address"] = "nobody"
    lines[5] = {"a": 1}
    (folder / "messages.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "{\n")
    status, counts, said = take(other, folder)
    assert (status, counts) == (65, (1, 0, 7))
    for n, why in enumerate(["No such file", "not in the folder", "damaged", "time is over", "nobody"], 1):
        assert any(f"line {n}: " in line and why in line for line in said.splitlines()), (why, said)
    assert said.count("is not as an export writes it") == 2


def test_mbox_maildir_and_eml_are_taken_with_the_envelope_of_their_fields(other, take, tmp_path, monkeypatch):
    monkeypatch.setattr(_import, "_AT_ONCE", 2)
    box = mailbox.mbox(tmp_path / "box")
    for n in range(3):
        box.add(b"From: ann@example.com\nTo: m%d@example.org\n\nFrom here\n" % n)
    box.add(b"Subject: of nobody to nobody\n\nHello\n")
    box.close()
    status, counts, said = take(other, tmp_path / "box")
    assert (status, counts) == (65, (3, 0, 1))
    assert "box: message 4: " in said
    assert exported(other, tmp_path / "out")
    assert all(b"\nFrom here" in p.read_bytes() for p in (tmp_path / "out").glob("*.eml"))
    maildir = mailbox.Maildir(tmp_path / "dir")
    maildir.add(BODY % b"new")
    (tmp_path / "dir" / "cur" / "1:2,S").write_bytes(BODY % b"cur")
    assert take(other, tmp_path / "dir") == (0, (2, 0, 0), "")
    (tmp_path / "dir" / "one.eml").write_bytes(BODY % b"cur")
    assert take(other, tmp_path / "dir" / "one.eml") == (0, (0, 1, 0), "")
    assert {job.sender for job in postroad.Queue(other).jobs()} == {"ann@example.com"}


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: None])
def test_what_is_no_source_is_refused(other, tmp_path, capsys, make):
    make(tmp_path / "in")
    assert main(["queue", str(other), "import", str(tmp_path / "in")]) in (64, 66)
    assert "in" in capsys.readouterr().err


def test_a_filter_and_a_broker_are_refused(other, tmp_path, capsys):
    assert main(["queue", str(other), "import", str(tmp_path), "--tag", "a"]) == 64
    assert "--tag is of use with export" in capsys.readouterr().err
    assert main(["queue", "amqp://localhost/", "import", str(tmp_path)]) == 64
    assert "in a file only" in capsys.readouterr().err


def test_a_queue_that_cannot_be_written_ends_it(path, tmp_path, capsys, monkeypatch):
    submit(path, *(BODY % b"%d" % n for n in range(3)))
    exported(path, tmp_path / "out")
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    assert main(["queue", str(path), "import", str(tmp_path / "out")]) not in (0, 65)
    assert "newer version" in capsys.readouterr().err
