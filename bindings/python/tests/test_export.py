"""Copying messages out of a queue in a file."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from datetime import datetime, timezone

import postroad
import pytest
from conftest import compose
from postroad import _export
from postroad.__main__ import main
from test_schemas import validator

BODY = b"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: %s\r\n\r\nHello.\r\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "q.db"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


def lines_of(folder):
    found = [json.loads(line) for line in (folder / "messages.jsonl").read_bytes().splitlines()]
    for line in found:
        validator("queue_exported").validate(line)
    return found


def fill(path, n, **options):
    with postroad.Mailer("smtp+insecure://127.0.0.1:1", queue=path, submit_only=True) as mail:
        return [mail.submit(BODY % b"%d" % i, **options).id for i in range(n)]


def test_what_waits_is_copied_with_its_envelope_and_what_was_asked_and_stays(path, folder):
    asked = {"returned": "full", "envelope_id": "e1", "priority": 3, "require_tls": True, "submitter": "a@example.com"}
    asked.update(deliver_by=600, when_late="give_up", hold_until=datetime(2030, 1, 2, tzinfo=timezone.utc))
    with postroad.Mailer("smtp+insecure://127.0.0.1:1", queue=path, submit_only=True) as mail:
        mail.submit(
            BODY % b"one",
            recipients=["bob@example.org", "cid@example.net"],
            delivery=postroad.Delivery(**asked, notify=["failure", "delay"], original_recipient="robert@example.org"),
            delay=3600,
            give_up_after=7200,
            tenant="shop",
            tag="news",
            traffic_class=1,
            idempotency_key="k",
        )
    queue = postroad.Queue(path)
    (job,) = queue.jobs()
    assert queue.export(folder) == 1
    (line,) = lines_of(folder)
    assert (folder / line["file"]).read_bytes() == BODY % b"one"
    assert line["file"] == f"{job.id}.eml"
    assert (line["id"], line["state"], line["octets"]) == (job.id, "delayed", job.octets)
    assert (line["sender"], line["tenant"], line["tag"]) == ("ann@example.com", "shop", "news")
    assert (line["traffic_class"], line["idempotency_key"]) == (1, "k")
    assert line["queued"] < line["due"] < line["give_up"]
    assert line["failed"] is None
    assert line["delivery"] == {**asked, "trace": False, "hold_until": "2030-01-02T00:00:00+00:00"}
    assert [(r["address"], r["notify"], r["original_recipient"]) for r in line["recipients"]] == [
        (to, ["failure", "delay"], "robert@example.org") for to in ("bob@example.org", "cid@example.net")
    ]
    assert queue.jobs()[0].state == "delayed"
    assert json.loads((folder / "export.json").read_text())["complete"]
    assert {os.stat(folder / name).st_mode & 0o777 for name in os.listdir(folder)} == {0o600}


def test_what_failed_is_copied_with_what_the_server_said(server, path, folder):
    with postroad.Mailer(server.url, queue=path) as mail:
        assert not mail.submit(compose(to="rejected@x.example")).wait(30).all_accepted
        mail.submit(compose(), delay=3600)
    assert postroad.Queue(path).export(folder, state="failed") == 1
    (line,) = lines_of(folder)
    assert (line["state"], line["recipients"][0]["status"], line["recipients"][0]["code"]) == (
        "failed",
        "rejected",
        550,
    )
    assert line["failed"] >= line["queued"]
    assert postroad.Queue(path).export(folder.with_name("other")) == 1  # failed ones are meant where they are named


@pytest.mark.parametrize("which", [{"tag": "b"}, {"tenant": "t"}, {"domain": "Example.ORG"}, {"state": "held"}])
def test_those_that_match_are_copied_on_pages_of_any_size(path, folder, monkeypatch, which):
    monkeypatch.setattr(_export, "_PAGE", 2)
    fill(path, 3, tag="a")
    wanted = fill(path, 5, tag="b", tenant="t", delay=60)
    queue = postroad.Queue(path)
    if "state" in which:
        queue.hold(tag="b")
    if "domain" in which:
        wanted = [job.id for job in queue.jobs()]
    assert queue.export(folder, **which) == len(wanted)
    assert [line["id"] for line in lines_of(folder)] == wanted
    assert sorted(int(p.stem) for p in folder.glob("*.eml")) == sorted(wanted)


def test_an_export_that_was_killed_goes_on(path, folder):
    ids = fill(path, 20)
    code = f"""
        import os, postroad
        from postroad import _export
        _export._PAGE = 3
        add, n = _export._Folder.add, []
        def dies(self, page):
            n.append(1)
            if len(n) == 4:
                self._lines.write(b'{{"file": "half')
                self._lines.flush()
                os._exit(9)
            add(self, page)
        _export._Folder.add = dies
        postroad.Queue({str(path)!r}).export({str(folder)!r})
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False).returncode == 9
    assert postroad.Queue(path).export(folder) == 11
    assert [line["id"] for line in lines_of(folder)] == ids
    with pytest.raises(postroad.InvalidInput, match="is complete: name another folder"):
        postroad.Queue(path).export(folder)


def test_what_is_sent_before_its_content_is_read_is_left_out(path, folder, monkeypatch):
    big = BODY % b"big" + b"x" * 70 + b"\r\n"
    with postroad.Mailer("smtp+insecure://127.0.0.1:1", queue=path, submit_only=True) as mail:
        gone, stays = mail.submit(big).id, mail.submit(big).id
    queue = postroad.Queue(path)
    copied = _export._copied

    def drops(core, *rest):
        queue.drop(id=gone)
        return copied(core, *rest)

    monkeypatch.setattr(_export, "_copied", drops)
    assert queue.export(folder) == 1
    assert [line["id"] for line in lines_of(folder)] == [stays]
    assert not (folder / f"{gone}.eml").exists()


def test_a_message_that_is_damaged_is_named_and_keeps_none_from_being_copied(path, folder):
    first, second = fill(path, 2)
    with sqlite3.connect(path) as file:
        file.execute(
            "UPDATE parts SET octets = replace(octets, 'Hello', 'Hallo') WHERE part = (SELECT min(part) FROM parts)"
        )
    file.close()
    assert postroad.Queue(path).export(folder) == 2
    bad, good = lines_of(folder)
    assert (bad["id"], bad["file"]) == (first, None)
    assert "damaged" in bad["error"]
    assert (good["id"], good["error"]) == (second, "")


def test_it_goes_on_while_others_send(server, path, folder):
    fill(path, 200, delay=3600)
    with postroad.Mailer(server.url, queue=path) as mail:
        for i in range(50):
            mail.submit(BODY % b"now %d" % i)
        assert postroad.Queue(path).export(folder, state="delayed") == 200
        assert mail.send(BODY % b"last").all_accepted
    assert len(lines_of(folder)) == 200


def refused(capsys, *arguments, status=73):
    assert main(["queue", *map(str, arguments)]) == status
    return capsys.readouterr().err


def test_a_folder_that_is_something_else_is_refused(path, folder, capsys):
    fill(path, 1)
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    assert "is not empty, and holds no export" in refused(capsys, path, "export", folder)
    assert os.listdir(folder) == ["mine.txt"]
    assert "mine.txt" in refused(capsys, path, "export", folder / "mine.txt")
    (folder / "export.json").write_text("[1]")
    assert "is not one of an export" in refused(capsys, path, "export", folder)
    assert "export needs a FOLDER" in refused(capsys, path, "export", status=64)
    assert "a FOLDER goes with export and import only" in refused(capsys, path, "drop", folder, "--all", status=64)


def test_an_export_of_other_messages_or_of_another_process_is_refused(path, folder, capsys):
    fill(path, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_export._Folder, "complete", lambda self, of: None)
        postroad.Queue(path).export(folder, tag="a")
    assert "of other messages" in refused(capsys, path, "export", folder)
    with open(folder / "messages.jsonl", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another process exports into it" in refused(capsys, path, "export", folder, "--tag", "a")
    assert main(["queue", str(path), "export", str(folder), "--tag", "a"]) == 0


def test_a_full_disk_is_said_and_the_same_again_goes_on(path, folder, capsys, monkeypatch):
    fill(path, 3)

    def full(of):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        said = refused(capsys, path, "export", folder)
    assert "No space left on device: what is there stays, and the same again goes on" in said
    assert main(["queue", str(path), "export", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"exported": 3}


def test_what_is_held_is_released_and_nothing_else(path, capsys):
    fill(path, 2, delay=3600)
    first, second = (job.id for job in postroad.Queue(path).jobs())
    assert main(["queue", str(path), "hold", "--id", str(first)]) == 0
    capsys.readouterr()
    assert main(["queue", str(path), "release", "--all"]) == 0
    assert capsys.readouterr().out == "1\n"
    assert [job.state for job in postroad.Queue(path).jobs(id=second)] == ["delayed"]
    assert "leave --state out" in refused(capsys, path, "release", "--state", "held", status=64)
