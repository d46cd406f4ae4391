"""Mailer.merge() and postroad merge: each row once, whatever happens, and what is wrong by its row."""

from __future__ import annotations

import collections
import email
import email.policy
import gc
import io
import json
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import urllib.request

import postroad
import postroad.testing
import pytest
from postroad import _merge, _rows
from postroad.__main__ import main
from postroad._run_file import Attempts, RunFile
from postroad.templates import Template

pytest.importorskip("jinja2")


@pytest.fixture
def template(tmp_path, monkeypatch):
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "hi.txt").write_text("Dear {{ name }},\n")
    (folder / "hi.head").write_text("Subject: Hello {{ name }}\nFrom: shop@example.com\n")
    monkeypatch.setenv("POSTROAD_CONFIG", str(tmp_path / "postroad.toml"))
    (tmp_path / "postroad.toml").write_text("")
    return folder / "hi"


def people(n, start=0):
    return [{"email": f"p{i}@example.org", "name": f"P {i}"} for i in range(start, start + n)]


def states(merged):
    return {m.key: m.state for m in merged}


def received(server):
    return collections.Counter(r for m in server.messages for r in m.recipients)


def test_each_row_gets_its_letter(server, template):
    with postroad.Mailer(server.url) as mail:
        found = list(mail.merge(iter(people(50)), template, limit=8))
    assert sorted(m.row for m in found) == list(range(1, 51))
    assert {m.state for m in found} == {"sent"}
    assert received(server) == {p["email"]: 1 for p in people(50)}
    m = email.message_from_bytes(server.messages[0].content, policy=email.policy.default)
    assert m["Subject"] == f"Hello {m.get_content().strip()[5:-1]}"


def test_a_bad_row_is_named_and_stops_no_other(server, template):
    rows = [
        {"email": "a@x.example", "name": "A"},
        {"email": "b@x.example"},
        {"email": "no address", "name": "C"},
        {"email": "", "name": "D"},
        {"name": "E"},
        "text",
        {"email": "a@X.example", "name": "again"},
        {"email": "f@x.example", "name": "a\r\nBcc: eve@x.example"},
        _rows.BadRow("line 9: it is not UTF-8"),
        {"email": "z@x.example", "name": "Z"},
        {"email": "\ud800@x.example", "name": "half a character"},
    ]
    with postroad.Mailer(server.url) as mail:
        found = {m.row: m for m in mail.merge(rows, template)}
    assert {n for n, m in found.items() if m.state == "sent"} == {1, 10}
    assert {n for n, m in found.items() if m.state == "bad"} == {*range(2, 10), 11}
    for row, says in [(2, "'name' is undefined"), (4, "'email' is empty"), (5, "it has no 'email'"), (6, "str")]:
        assert says in found[row].why
    assert "the same 'email' as row 1" in found[7].why
    assert found[9].why == "line 9: it is not UTF-8"
    assert received(server) == {"a@x.example": 1, "z@x.example": 1}


def test_a_row_whose_files_are_odd_stops_no_other(server, template):
    (template.parent / "hi.head").write_text("Subject: s\nFrom: a@x.example\nAttach: bills/{{ order }}.pdf\n")
    (template.parent / "bills").mkdir()
    (template.parent / "bills" / "7.pdf").write_text("x")
    orders = ["a\0b", "x" * 300, "../" * 2000, "7"]
    rows = [{"email": f"p{n}@x.example", "name": "N", "order": order} for n, order in enumerate(orders)]
    with postroad.Mailer(server.url) as mail:
        found = {m.row: m for m in mail.merge(rows, template)}
    assert [found[n].state for n in (1, 2, 3, 4)] == ["bad", "bad", "bad", "sent"]
    assert all("to attach" in found[n].why or "outside" in found[n].why for n in (1, 2, 3))


@pytest.mark.parametrize("page", ["<![foo", "<img src='a\0b'>", "<b>" * 5000, f"<img src='{'x' * 300}'>"])
def test_a_row_whose_page_nobody_can_read_stops_no_other(server, template, page):
    (template.parent / "hi.txt").unlink()
    (template.parent / "hi.html").write_text("<p>{{ page | safe }}")
    rows = [{"email": "a@x.example", "name": "A", "page": page}, {"email": "b@x.example", "name": "B", "page": ""}]
    with postroad.Mailer(server.url) as mail:
        found = states(mail.merge(rows, template))
    assert found["b@x.example"] == "sent"
    assert found["a@x.example"] in ("bad", "sent")  # newer versions of what reads it bear more


def test_an_image_that_cannot_be_read_is_named(template, monkeypatch):
    (template.parent / "hi.html").write_text("<img src='a.png'>")
    (template.parent / "a.png").write_text("x")
    made = Template(template)

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(template), "read_bytes", refuse)
    with pytest.raises(postroad.InvalidInput, match=r"a\.png: Permission denied"):
        made.render({"name": "N"}, to="a@x.example")


class _Raises:
    def keys(self):
        return ["email"]

    def __getitem__(self, name):
        raise RuntimeError("it is gone")

    __str__ = __repr__ = __getitem__


def test_a_row_that_raises_stops_no_other(server, template):
    rows = [_Raises(), {"email": _Raises(), "name": "A"}, {"email": "b@x.example", "name": "B"}]
    with postroad.Mailer(server.url) as mail:
        found = {m.row: m.state for m in mail.merge(rows, template)}
    assert found == {1: "bad", 2: "bad", 3: "sent"}


def test_what_the_rows_raise_comes_after_the_outcomes(server, template):
    def rows():
        yield from people(5)
        yield {"email": "bad@x.example"}
        raise RuntimeError("the cursor is closed")

    found = []
    with postroad.Mailer(server.url) as mail, pytest.raises(RuntimeError, match="cursor"):
        for m in mail.merge(rows(), template):
            found.append(m.state)
    assert sorted(found) == ["bad"] + ["sent"] * 5
    assert len(server.messages) == 5


def test_a_cursor_is_rows(server, template):
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (email, name)")
    db.executemany("INSERT INTO t VALUES (?, ?)", [("a@x.example", "A"), ("b@x.example", None)])
    with postroad.Mailer(server.url) as mail:
        assert set(states(mail.merge(db.execute("SELECT * FROM t"), template)).values()) == {"sent"}
    db.close()
    assert any(b"Dear ,\r\n" in m.content for m in server.messages)


def test_a_cursor_that_gives_mappings_is_rows(server, template):
    db = sqlite3.connect(":memory:")
    db.row_factory = lambda cursor, row: dict(zip([column[0] for column in cursor.description], row))
    with postroad.Mailer(server.url) as mail:
        (found,) = mail.merge(db.execute("SELECT 'a@x.example' AS email, 'A' AS name"), template)
    db.close()
    assert (found.key, found.state) == ("a@x.example", "sent")


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        ({"rows": "people.csv"}, TypeError, "rows must be an iterable of mappings, not str"),
        ({"rows": people(1)[0]}, TypeError, "rows must be an iterable of mappings, not dict"),
        ({"rows": None}, TypeError, "rows must be an iterable of mappings, not NoneType"),
        ({"key": 5}, TypeError, "key must be a str"),
        ({"key": ""}, postroad.InvalidInput, "key is empty"),
        ({"suppressed": None}, TypeError, "suppressed must be"),
        ({"dry_run": ""}, postroad.InvalidInput, "dry_run"),
        ({"resume": ""}, postroad.InvalidInput, "resume"),
        ({"delay": -1}, postroad.InvalidInput, "delay"),
        ({"tag": 5}, TypeError, "tag"),
    ],
)
def test_what_is_wrong_with_all_rows_is_raised_at_once(template, arguments, kind, says):
    with postroad.Mailer("memory://") as mail, pytest.raises(kind, match=says):
        mail.merge(**{"rows": people(2), "template": template, **arguments})


def test_a_mailer_that_takes_nothing_any_more_ends_the_run(server, template):
    mail = postroad.Mailer(server.url)
    mail.close()
    found = []
    with pytest.raises(postroad.Cancelled):
        for m in mail.merge(people(500), template, limit=4):
            found.append(m)  # what was told before it raised
    assert {m.state for m in found} == {"deferred"}
    assert len(found) < 50


def test_no_more_are_under_way_than_the_mailer_holds(server, template):
    with postroad.Mailer(server.url, capacity=2) as mail:
        assert {m.state for m in mail.merge(people(20), template)} == {"sent"}


def test_a_merge_that_is_never_begun_leaves_no_file_open(server, template, tmp_path):
    # since Python 3.13 that is a ResourceWarning, and an error here
    with postroad.Mailer(server.url) as mail:
        mail.merge(people(1), template, resume=tmp_path / "run.db")
        with pytest.raises(postroad.InvalidInput):
            mail.merge(people(1), template, preview=-1)
    gc.collect()


def test_refusals_and_deferrals_are_told_apart_and_only_the_latter_go_again(make_server, template, tmp_path):
    rows = [{"email": f"{n}@x.example", "name": n} for n in ("ok", "rejected", "deferred")]
    run = tmp_path / "run.db"
    first, second = make_server(), make_server(replies={"RCPT": "250 2.1.5 ok"})
    with postroad.Mailer(first.url) as mail:
        found = list(mail.merge(rows, template, resume=run))
    assert states(found) == {"ok@x.example": "sent", "rejected@x.example": "refused", "deferred@x.example": "deferred"}
    assert "550 5.1.1 no such user" in [m.why for m in found]
    with postroad.Mailer(second.url) as mail:
        found = list(mail.merge(rows, template, resume=run))
    assert states(found) == {"ok@x.example": "done", "rejected@x.example": "done", "deferred@x.example": "sent"}
    assert received(second) == {"deferred@x.example": 1}


def test_a_file_remembers_by_key_and_not_by_place(server, template, tmp_path):
    run = tmp_path / "run.db"
    with postroad.Mailer(server.url) as mail:
        list(mail.merge(people(5), template, resume=run))
        found = list(mail.merge(people(6, start=-1), template, resume=run))
    assert states(found)["p-1@example.org"] == "sent"
    assert len(server.messages) == 6


def test_a_run_file_belongs_to_one_template_and_one_process(server, template, tmp_path):
    run = tmp_path / "run.db"
    (template.parent / "other.txt").write_text("x")
    (template.parent / "other.head").write_text("From: a@x.example")
    with postroad.Mailer(server.url) as mail:
        merge = mail.merge(people(3), template, resume=run)
        next(merge)
        with pytest.raises(postroad.Error, match="in use by another merge") as e:
            mail.merge(people(3), template, resume=run)
        assert e.value.transient
        list(merge)
        with pytest.raises(postroad.InvalidInput, match="is of the template 'hi'"):
            mail.merge(people(3), template.parent / "other", resume=run)
        with postroad.Mailer(server.url, queue=tmp_path / "queue.db", submit_only=True):
            pass
        with pytest.raises(postroad.InvalidInput, match="is no file of a merge"):
            mail.merge(people(3), template, resume=tmp_path / "queue.db")
        (tmp_path / "diary.txt").write_text("Dear diary, " * 100)
        with pytest.raises(postroad.InvalidInput, match="is no file of a merge"):
            mail.merge(people(3), template, resume=tmp_path / "diary.txt")


def test_a_reply_that_never_came_is_in_doubt_until_somebody_decides(make_server, template, tmp_path):
    run = tmp_path / "run.db"
    broken, good = make_server(replies={"content": "drop"}), make_server()
    with postroad.Mailer(broken.url) as mail:
        assert states(mail.merge(people(1), template, resume=run)) == {"p0@example.org": "in_doubt"}
    with postroad.Mailer(good.url) as mail:
        assert states(mail.merge(people(1), template, resume=run)) == {"p0@example.org": "in_doubt"}
        assert good.messages == []
        assert states(mail.merge(people(1), template, resume=run, in_doubt="retry")) == {"p0@example.org": "sent"}


def test_leaving_early_cancels_and_the_next_run_goes_on(make_server, template, tmp_path):
    run = tmp_path / "run.db"
    server = make_server(stall="RCPT TO:<p3@")
    with postroad.Mailer(server.url, connections=1) as mail:
        merge = mail.merge(people(20), template, resume=run, limit=4)
        for found in merge:
            assert found.state == "sent"
            if server.stalled.is_set() or found.row == 3:
                break
        server.stalled.wait(60)
        server.resume.set()
        merge.close()
        rest = states(mail.merge(people(20), template, resume=run))
    assert set(rest.values()) <= {"sent", "done", "in_doubt"}
    count = received(server)
    assert max(count.values()) == 1
    assert set(count) | {k for k, s in rest.items() if s == "in_doubt"} == {p["email"] for p in people(20)}


def test_who_interrupts_twice_loses_no_outcome_that_was_told(make_server, template, tmp_path, monkeypatch):
    run = tmp_path / "run.db"
    server = make_server(stall="RCPT TO:<p1@")

    def interrupted(self):
        raise KeyboardInterrupt

    with postroad.Mailer(server.url, connections=1) as mail:
        merge = mail.merge(people(2), template, resume=run, limit=2)
        assert next(merge).state == "sent"
        with monkeypatch.context() as m:
            m.setattr(_merge.Merge, "_abandon", interrupted)
            with pytest.raises(KeyboardInterrupt):
                merge.close()
        server.resume.set()
        assert states(mail.merge(people(1), template, resume=run)) == {"p0@example.org": "done"}


def test_files_of_addresses_are_for_their_owner(server, template, tmp_path):
    with postroad.Mailer(server.url) as mail:
        list(mail.merge(people(1), template, resume=tmp_path / "run.db"))
        (written,) = mail.merge(people(1), template, dry_run=tmp_path / "out")
    assert {stat.S_IMODE(f.stat().st_mode) for f in (tmp_path / "run.db", written.path)} == {0o600}


def test_a_server_that_is_away_ends_the_run_and_nothing_is_lost(make_server, closed_port, template, tmp_path):
    run = tmp_path / "run.db"
    with postroad.Mailer(f"smtp+insecure://127.0.0.1:{closed_port}") as mail, pytest.raises(postroad.NoConnection):
        for found in mail.merge(people(1000), template, resume=run, limit=4):
            assert found.state == "deferred"
            assert found.row < 100
    good = make_server()
    with postroad.Mailer(good.url) as mail:
        list(mail.merge(people(1000), template, resume=run))
    assert received(good) == {p["email"]: 1 for p in people(1000)}


def test_a_preview_and_a_dry_run_send_nothing(server, template, tmp_path):
    with postroad.Mailer(server.url) as mail:
        shown = list(mail.merge(people(10), template, preview=3))
        written = list(mail.merge([{"email": "no"}, *people(10)], template, dry_run=tmp_path / "out"))
    assert [m.state for m in shown] == ["preview"] * 3
    assert shown[2].message.startswith(b"From:") or b"Subject: Hello P 2" in shown[2].message
    assert [m.state for m in written] == ["bad"] + ["written"] * 10
    assert len(list((tmp_path / "out").glob("*.eml"))) == 10
    assert written[-1].path.name == "000011-p9@example.org.eml"
    assert server.messages == []


def test_who_left_gets_nothing(server, template, tmp_path):
    left = postroad.SuppressionList(tmp_path / "left.db", ignore_case=True)
    left.add("P1@example.org")
    with postroad.Mailer(server.url) as mail:
        found = states(mail.merge(people(3), template, suppressed=left))
    assert found["p1@example.org"] == "suppressed"
    assert set(received(server)) == {"p0@example.org", "p2@example.org"}


def test_whom_the_mailer_holds_back_is_suppressed_too(server, template, tmp_path):
    left = postroad.SuppressionList(tmp_path / "left.db")
    left.add("p1@example.org")
    with postroad.Mailer(server.url, suppression=left) as mail:
        found = {m.key: m for m in mail.merge(people(3), template, resume=tmp_path / "run.db")}
        assert found["p1@example.org"].state == "suppressed"
        assert "suppressed" in found["p1@example.org"].why
        left.remove("p1@example.org")
        again = states(mail.merge(people(3), template, resume=tmp_path / "run.db"))
    assert again == {"p0@example.org": "done", "p1@example.org": "sent", "p2@example.org": "done"}


def begun_in(queue, run, ago=0):
    """As if the process had died between the two files."""
    db = sqlite3.connect(run)
    why = Attempts(os.fsencode(queue)).text().split(" ", 1)
    db.execute("UPDATE merged SET state = 'begun', why = ?", (f"{int(why[0]) - ago} {why[1]}",))
    db.commit()
    db.close()


def test_a_queue_has_each_row_once_and_nothing_is_in_doubt(server, template, tmp_path):
    run, queue = tmp_path / "run.db", tmp_path / "queue.db"
    options = {"queue": queue, "submit_only": True}
    with postroad.Mailer(server.url, **options) as mail:
        merge = mail.merge(people(10), template, resume=run)
        next(merge)
        merge.close()
    begun_in(queue, run)
    with postroad.Mailer(server.url, **options) as mail:
        assert set(states(mail.merge(people(10), template, resume=run)).values()) <= {"queued", "done"}
    assert postroad.Queue(queue).count().total == 10
    assert {job.traffic_class for job in postroad.Queue(queue).jobs()} == {1}


@pytest.mark.parametrize(
    ("ago", "file", "state"),
    [
        (0, "queue.db", "queued"),
        (43190, "queue.db", "queued"),
        (43201, "queue.db", "in_doubt"),
        (-60, "queue.db", "in_doubt"),  # by a clock that was set back since
        (0, "another.db", "in_doubt"),
    ],
)
def test_what_a_queue_may_have_forgotten_is_in_doubt(server, template, tmp_path, ago, file, state):
    run, queue = tmp_path / "run.db", tmp_path / file
    with postroad.Mailer(server.url, queue=tmp_path / "queue.db", submit_only=True) as mail:
        list(mail.merge(people(3), template, resume=run))
    begun_in(tmp_path / "queue.db", run, ago)
    with postroad.Mailer(server.url, queue=queue, submit_only=True) as mail:
        assert set(states(mail.merge(people(3), template, resume=run)).values()) == {state}
    assert postroad.Queue(tmp_path / "queue.db").count().total == 3


def test_what_is_begun_again_is_as_old_as_it_was(server, template, tmp_path):
    run, queue = tmp_path / "run.db", tmp_path / "queue.db"
    with postroad.Mailer(server.url, queue=queue, submit_only=True, keys_kept=100) as mail:
        list(mail.merge(people(3), template, resume=run))
        begun_in(queue, run, 30)
        file = RunFile(run, "hi", Attempts(os.fsencode(queue), 50))
        assert file.attempt("p0@example.org") == file._stored("p0@example.org")[1]
        assert file.attempt("new") > file.attempt("p0@example.org")
        file.close()


def test_rows_of_a_run_without_a_queue_are_in_doubt_with_one(server, template, tmp_path):
    run = tmp_path / "run.db"
    with postroad.Mailer(server.url) as mail:
        list(mail.merge(people(2), template, resume=run))
    db = sqlite3.connect(run)
    db.execute("UPDATE merged SET state = 'begun'")
    db.commit()
    db.close()
    with postroad.Mailer(server.url, queue=tmp_path / "queue.db", submit_only=True) as mail:
        assert set(states(mail.merge(people(2), template, resume=run)).values()) == {"in_doubt"}
        assert set(states(mail.merge(people(2), template, resume=run, in_doubt="retry")).values()) == {"queued"}


DIES = """
import os, sys, postroad
url, template, run, queue = sys.argv[1:]
def rows():
    for i in range(4):
        yield {"email": f"p{i}@example.org", "name": "P"}
    os._exit(9)
with postroad.Mailer(url, queue=queue, submit_only=True) as mail:
    list(mail.merge(rows(), template, resume=run, limit=2))
"""


def test_what_is_in_a_queue_is_known_before_the_next_row_is_taken(server, template, tmp_path):
    run, queue = tmp_path / "run.db", tmp_path / "queue.db"
    command = [sys.executable, "-c", DIES, server.url, str(template), str(run), str(queue)]
    assert subprocess.run(command, timeout=60).returncode == 9
    db = sqlite3.connect(run)
    assert db.execute("SELECT state, count(*) FROM merged GROUP BY state").fetchall() == [("queued", 4)]
    db.close()


def test_a_queue_at_a_broker_takes_each_row_and_knows_no_keys(server, template, tmp_path):
    run = tmp_path / "run.db"
    with postroad.testing.captured() as outbox:
        with postroad.Mailer(server.url, queue="amqp://localhost/") as mail:
            assert set(states(mail.merge(people(3), template, resume=run)).values()) == {"queued"}
            db = sqlite3.connect(run)
            db.execute("UPDATE merged SET state = 'begun'")
            db.commit()
            db.close()
            assert set(states(mail.merge(people(3), template, resume=run)).values()) == {"in_doubt"}
        assert len(outbox) == 3


KILLED = """
import sys, postroad
url, template, run, n = sys.argv[1:]
rows = ({"email": f"p{i}@example.org", "name": f"P {i}"} for i in range(int(n)))
with postroad.Mailer(url) as mail:
    for m in mail.merge(rows, template, resume=run, limit=8):
        if m.state != "done":
            print(m.key, m.state, flush=True)
"""


def test_killed_again_and_again_each_is_delivered_once_or_named_in_doubt(server, template, tmp_path):
    n, run = int(os.environ.get("POSTROAD_MERGE_ROWS", "600")), str(tmp_path / "run.db")
    command = [sys.executable, "-c", KILLED, server.url, str(template), run, str(n)]
    kills = int(os.environ.get("POSTROAD_MERGE_KILLS", "5"))
    for _ in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(random.randint(1, n // 8)):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    in_doubt = {line.split()[0] for line in done.stdout.splitlines() if line.endswith("in_doubt")}
    count = received(server)
    everybody = {f"p{i}@example.org" for i in range(n)}
    assert max(count.values()) == 1
    assert set(count) | in_doubt == everybody
    assert len(in_doubt) <= 8 * kills
    ids = [email.message_from_bytes(m.content)["Message-ID"] for m in server.messages]
    assert len(set(ids)) == n - len(everybody - set(count))


def test_the_command_merges_csv_and_says_what_is_wrong_by_row(server, template, tmp_path, capsys):
    rows = tmp_path / "rows.csv"
    rows.write_bytes(
        b'\xef\xbb\xbfemail;name\r\na@x.example;"A; a"\r\nb@x.example\r\nc@x.example;J\xf6rg\r\n'
        b'rejected@x.example;R\r\n\r\nd@x.example;D\r\n"e@x.example;E\r\n'
    )
    assert main(["merge", server.url, str(template), str(rows)]) == 65
    out, err = capsys.readouterr()
    assert received(server) == {"a@x.example": 1, "d@x.example": 1}
    assert out == "3 bad, 2 sent, 1 refused\n"
    assert f"postroad: {rows}: row 2: bad: line 3: 1 fields where the first line names 2\n" in err
    assert f"{rows}: row 3: bad: line 4: it is not UTF-8\n" in err
    assert f"{rows}: row 4 (rejected@x.example): refused: 550 5.1.1 no such user\n" in err
    assert f"{rows}: row 6: bad: line 8: unexpected end of data\n" in err


def test_each_row_behind_a_quote_that_is_not_closed_is_named():
    text = 'email,name\nv@x,1\nx@x,"open\ny@x,1\nz@x,2\nw@x,"3"\nu@x,4\nq@x,"5\nr@x,6\n'
    found = list(_rows.read_csv(io.StringIO(text, newline="")))
    assert [r["email"] for r in found if isinstance(r, dict)] == ["v@x", "u@x"]
    why = [str(r) for r in found if isinstance(r, _rows.BadRow)]
    assert [w.partition(":")[0] for w in why] == [f"line {n}" for n in (3, 4, 5, 6, 8, 9)]
    assert why[1:4] == [f"line {n}: it stands behind a quote of line 3 that is not closed" for n in (4, 5, 6)]


@pytest.mark.parametrize("delimiter", ";,\t|")
def test_a_first_line_by_which_excel_names_the_delimiter_is_no_header(delimiter):
    text = f"sep={delimiter}\r\nemail{delimiter}name\r\nb@x.example{delimiter}Bob\r\n"
    assert list(_rows.read_csv(io.StringIO(text, newline=""))) == [{"email": "b@x.example", "name": "Bob"}]


def test_a_name_of_a_column_may_be_wrapped_as_in_a_spreadsheet():
    rows = list(_rows.read_csv(io.StringIO('email,"First\r\nname"\r\nb@x.example,Bob\r\nc@x.example\r\n', newline="")))
    assert rows[0] == {"email": "b@x.example", "First name": "Bob"}
    assert str(rows[1]) == "line 4: 1 fields where the first line names 2"


def test_a_quote_in_the_names_that_is_not_closed_reads_no_whole_file():
    lines = iter(['email,"name\n', *["b@x.example,Bob\n"] * 1000])

    class File:
        def readline(self):
            return next(lines, "")

    with pytest.raises(postroad.InvalidInput, match="the first line must name the columns"):
        next(_rows.read_csv(File()))
    assert len(list(lines)) > 900


def test_a_bad_row_behind_that_line_has_the_number_of_its_line():
    (row,) = _rows.read_csv(io.StringIO("sep=;\nemail;name\nb@x.example\n", newline=""))
    assert str(row) == "line 3: 1 fields where the first line names 2"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"email": "b@x.example", "name": NaN}', "line 1: it is no JSON: NaN is no number of JSON"),
        ('{"email": "b@x.example", "name": -Infinity}', "line 1: it is no JSON: -Infinity is no number of JSON"),
        ('{"email": "b@x.example", "email": "c@x.example"}', "line 1: 'email' stands there twice"),
        ('{"email": "b@x.example", "who": {"a": 1, "a": 2}}', "line 1: 'a' stands there twice"),
    ],
)
def test_what_json_leaves_open_is_refused_by_row(text, why):
    assert [str(r) for r in _rows.read_jsonl([text])] == [why]


def test_rows_that_can_be_read_only_once_are(server, template, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    reading, writing = os.pipe()
    os.write(writing, "".join(json.dumps(p) + "\n" for p in people(3)).encode())
    os.close(writing)
    assert main(["merge", "--format", "jsonl", server.url, str(template), f"/dev/fd/{reading}"]) == 0
    os.close(reading)
    assert received(server) == {p["email"]: 1 for p in people(3)}


def test_a_fifo_of_rows_keeps_its_writer(server, template, tmp_path):
    fifo = tmp_path / "rows"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "postroad", "merge", "--format", "csv", server.url, str(template), str(fifo)]
    process = subprocess.Popen(command)
    try:
        with fifo.open("w") as f:
            f.write("email,name\na@x.example,A\n")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert received(server) == {"a@x.example": 1}


def test_the_command_merges_json_lines_and_resumes(server, template, tmp_path, capsys):
    rows, run = tmp_path / "rows.jsonl", str(tmp_path / "run.db")
    lines = [json.dumps(p) for p in people(3)]
    rows.write_text("\n".join([*lines, "", "{", "[]"]) + "\n")
    command = ["merge", "--resume", run, "--json", server.url, str(template), str(rows)]
    assert main(command) == 65
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert collections.Counter(f["state"] for f in found) == {"sent": 3, "bad": 2}
    assert main(command) == 65
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert collections.Counter(f["state"] for f in found) == {"done": 3, "bad": 2}
    assert len(server.messages) == 3


def test_the_command_previews_without_a_server(template, tmp_path, capfdbinary):
    rows = tmp_path / "rows.csv"
    rows.write_text("email,name\na@x.example,A\nb@x.example,B\n")
    assert main(["merge", "--preview", "1", str(template), str(rows)]) == 0
    out = capfdbinary.readouterr().out
    assert b"Subject: Hello A" in out
    assert b"Hello B" not in out
    assert main(["merge", "--dry-run", str(tmp_path / "out"), str(template), str(rows)]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert main(["merge", "--queue", str(tmp_path / "q.db"), str(template), str(rows)]) == 0
    assert postroad.Queue(tmp_path / "q.db").count().total == 2


def test_the_command_previews_on_a_page(template, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("email,name\na@x.example,A\nb@x.example,B\nc@x.example\nd@x.example,D\n")
    command = [sys.executable, "-m", "postroad", "merge", "--page", "--preview", "3", str(template), str(rows)]
    shown = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = shown.stdout.readline().split()[2]
        with urllib.request.urlopen(address + "api/messages", timeout=60) as r:
            found = json.load(r)["messages"]
        assert [(m["subject"], m["recipients"]) for m in found][::2] == [
            ("Hello D", ["d@x.example"]),
            ("Hello A", ["a@x.example"]),
        ]
    finally:
        shown.send_signal(signal.SIGINT)
        out, err = shown.communicate(timeout=60)
    assert "row 3: bad: line 4: 1 fields" in err
    assert (out, shown.returncode) == ("", 65)


@pytest.mark.parametrize("name", ["hi", "h[i]"])
def test_an_account_says_who_sends_where_the_head_does_not(template, tmp_path, capfdbinary, name):
    (tmp_path / "postroad.toml").write_text("[accounts.a]\nurl = 'smtp://x'\nsender = 'Web <web@x.example>'\n")
    (tmp_path / "rows.csv").write_text("email,name\na@x.example,A\n")
    for neighbour in (name, f"{name}-2"):
        (template.parent / f"{neighbour}.txt").write_text("x")
        (template.parent / f"{neighbour}.head").write_text("Subject: s\n")
    (template.parent / f"{name}-2.head").write_text("From: own@x.example\n")
    senders = {name: b"Web <web@x.example>", f"{name}-2": b"own@x.example"}
    for of, sender in senders.items():
        assert main(["merge", "--preview", "1", str(template.parent / of), str(tmp_path / "rows.csv")]) == 0
        assert b"From: " + sender + b"\r\n" in capfdbinary.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["{t}"], 64, "TEMPLATE ROWS"),
        (["{t}", "missing.csv"], 66, "missing.csv: No such file"),
        (["{d}/nothing", "{rows}"], 65, "neither nothing.html nor nothing.txt"),
        (["{d}/hi.html", "{rows}"], 65, "name it hi, without .html"),
        (["{t}", "{d}/letters/hi.txt"], 64, "--format"),
        (["{t}", "{d}/empty.csv"], 65, "name the columns"),
        (["{t}", "{d}/twice.csv"], 65, "a name of its own"),
        (["--unsubscribe", "https://x.example/", "{t}", "{rows}"], 64, "POSTROAD_UNSUBSCRIBE_SECRET"),
        (["--dry-run", "{rows}", "{t}", "{rows}"], 73, "rows.csv"),
        (["--suppressed", "{d}/left.db", "{t}", "{rows}"], 66, "left.db: No such file"),
        (["--resume", "{d}/no/run.db", "{t}", "{rows}"], 73, "no/run.db: No such file or directory: name a file that"),
        (["--resume", "{d}", "{t}", "{rows}"], 73, "name a file that can be written"),
        (["--resume", "/proc/run.db", "{t}", "{rows}"], 73, "/proc/run.db: "),
    ],
)
def test_the_command_says_what_to_do(server, template, tmp_path, capsys, arguments, status, says):
    (tmp_path / "rows.csv").write_text("email,name\na@x.example,A\n")
    (tmp_path / "empty.csv").write_text("\n")
    (tmp_path / "twice.csv").write_text("email,email\n")
    given = [a.format(t=template, d=tmp_path, rows=tmp_path / "rows.csv") for a in arguments]
    assert main(["merge", server.url, *given]) == status
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_the_key_need_not_be_the_address(server, template):
    (template.parent / "hi.head").write_text("Subject: s\nFrom: a@x.example\nTo: {{ name }} <{{ mail }}>\n")
    rows = [{"id": n, "mail": "same@x.example", "name": "N"} for n in range(3)]
    with postroad.Mailer(server.url) as mail:
        assert states(mail.merge(rows, Template(template), key="id")) == {"0": "sent", "1": "sent", "2": "sent"}
    assert received(server) == {"same@x.example": 3}
