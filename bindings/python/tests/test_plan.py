"""postroad plan: what it predicts, and what it says of files and options that are wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import types

import postroad
import pytest
from conftest import compose
from postroad import _plan_cli
from postroad.__main__ import main

HOSTS = "name,share,connections,messages_a_minute,work_ms\nlarge.example,3,10,,\n*,1,2,60,200\n"
KEYS = {
    "messages", "accepted", "failed", "attempts", "deferrals", "connections", "most_connections", "replies_421",
    "unreachable", "questions", "t50_s", "t95_s", "t100_s", "steps", "classes", "tenants_at_half", "course_s", "broken",
}  # fmt: skip


@pytest.fixture
def hosts(tmp_path):
    file = tmp_path / "hosts.csv"
    file.write_text(HOSTS)
    return str(file)


def planned(capsys, *options):
    assert main(["plan", "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_plan_says_when_all_is_out(capsys):
    assert main(["plan", "--messages", "2000", "--sites", "50"]) == 0
    said = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert said["messages"].strip() == "2,000"
    assert said["accepted"].strip().startswith("2,000, ")
    assert set(said) >= {"half accepted after", "95 % accepted after", "the last accepted after"}


def test_equal_arguments_make_equal_plans_and_the_object_is_as_documented(capsys):
    options = ("--messages", "2000", "--sites", "50", "--domains", "200")
    one = planned(capsys, *options)
    assert one == planned(capsys, *options)
    assert set(one) == KEYS
    assert one != planned(capsys, *options, "--seed", "2")
    assert one["messages"] == one["accepted"] + one["failed"] == 2000
    assert one["course_s"] == sorted(one["course_s"])


def test_there_may_be_fewer_domains_than_hosts(capsys):
    found = planned(capsys, "--messages", "100", "--sites", "10", "--domains", "5")
    assert (found["accepted"], found["questions"]) == (100, 5)


def test_the_slowest_host_decides(capsys, hosts):
    found = planned(capsys, "--messages", "400", "--hosts", hosts)
    # a quarter of them, of which it takes sixty a minute
    assert found["t100_s"] > 60
    assert found["accepted"] == 400


def test_messages_go_by_the_domains_of_recipients(capsys, hosts, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text("mail\n" + "".join(f"p{i}@LARGE.example\n" for i in range(300)))
    fast = planned(capsys, "--recipients", str(people), "--key", "mail", "--hosts", hosts)
    assert fast["messages"] == 300
    people.write_text("mail\n" + "".join(f"p{i}@small.example\n" for i in range(300)))
    slow = planned(capsys, "--recipients", str(people), "--key", "mail", "--hosts", hosts)
    assert slow["t100_s"] > 240 > 10 * fast["t100_s"]


def test_from_a_queue_in_a_file_less_is_seen_at_a_time(capsys):
    options = ("--messages", "20000", "--sites", "5000")
    queued = planned(capsys, *options, "--queued")
    assert queued["accepted"] == 20000
    assert not queued["broken"]
    # fewer of those that are seen go to one site
    assert queued["connections"] > 1.2 * planned(capsys, *options)["connections"]


def test_pace_and_limits_count(capsys, hosts):
    options = ("--messages", "600", "--hosts", hosts)
    assert planned(capsys, *options, "--pace", "2")["t100_s"] > 290
    assert planned(capsys, *options, "--connections", "3")["most_connections"] <= 3
    assert planned(capsys, *options, "--over", "1h")["t100_s"] > 3500


def test_a_page_says_the_same_and_fetches_nothing(capsys, tmp_path):
    page = tmp_path / "plan.html"
    assert main(["plan", "--messages", "2000", "--sites", "50", "--report", str(page)]) == 0
    text = page.read_text()
    for line in capsys.readouterr().out.splitlines():
        assert line.split("  ")[-1].strip() in text
    assert "<svg" in text
    for word in ("<script", "src=", "@import", "url(http"):
        assert word not in text


def test_a_terminal_gets_a_plot(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["plan", "--messages", "2000", "--sites", "50"]) == 0
    assert "seconds" in capsys.readouterr().out


def test_a_terminal_shows_how_far_it_is_and_a_pipe_gets_nothing(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    options = ("plan", "--messages", "20000", "--sites", "50")
    assert main([*options]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main([*options]) == 0
    assert "20000 of 20000 done" in capsys.readouterr().err


def test_an_interrupt_ends_it():
    code = """
        import os, signal, sys
        from postroad import _progress
        from postroad.__main__ import main
        reach = _progress.Bar.reach
        def interrupted(self, done):
            reach(self, done)
            os.kill(os.getpid(), signal.SIGINT)
        _progress.Bar.reach = interrupted
        sys.exit(main(["plan", "--messages", "100000000"]))
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 130, ended.stderr


def test_a_plotext_of_another_interface_is_none(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "plotext", types.ModuleType("plotext"))
    assert main(["plan", "--messages", "2000", "--sites", "50"]) == 0
    assert "accepted" in capsys.readouterr().out


@pytest.fixture
def outbox(make_server, tmp_path):
    """A queue whose journal has four messages to one host and one to another, over at once, and one that failed."""
    name = tmp_path / "outbox.db"
    with postroad.Mailer(make_server().url, queue=name) as mail:
        for to in ("a@One.example", "b@one.example", "c@one.example", "d@one.example", "e@two.example"):
            mail.send(compose(to=to)).require_accepted()
    return str(name)


def test_a_journal_says_which_hosts_there_are_and_how_fast(capsys, outbox):
    hosts = _plan_cli._learned(outbox)
    assert {name: host["share"] for name, host in hosts.items()} == {"one.example": 4, "two.example": 1, "*": 0}
    assert all(0 <= host["work_ms"] < 60_000 and host["greylisting_s"] == 0 for host in hosts.values())
    assert planned(capsys, "--journal", outbox)["messages"] == 5
    assert planned(capsys, "--journal", outbox, "--messages", "1000", "--over", "1h")["t100_s"] > 3500


def test_what_most_messages_were_made_to_wait_is_taken_for_greylisting():
    host = _plan_cli._observed([0.3], [300.0, 320.0, 310.0])
    assert (host["share"], host["work_ms"], host["greylisting_s"]) == (4, pytest.approx(200), 310)
    assert _plan_cli._observed([0.3, 0.4, 0.5], [300.0])["greylisting_s"] == 0


def test_recipients_that_no_journal_knows_are_as_the_usual_host(capsys, outbox, tmp_path):
    (tmp_path / "people.csv").write_text("email\nx@one.example\ny@new.example\n")
    found = planned(capsys, "--journal", outbox, "--recipients", str(tmp_path / "people.csv"))
    assert found["accepted"] == found["messages"] == 2


def test_a_journal_that_says_nothing_is_named(capsys, tmp_path):
    with postroad.Mailer("smtp://localhost", queue=tmp_path / "q.db", submit_only=True):
        pass
    assert main(["plan", "--journal", str(tmp_path / "q.db")]) == 65
    assert "q.db: its journal has no message that was tried" in capsys.readouterr().err
    assert main(["plan", "--journal", str(tmp_path / "none.db")]) == 66
    assert "none.db" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--journal", "a.db", "--hosts", "b.csv"], "give one of them"),
        (["--messages", "0"], "--messages 0: write a number from 1"),
        (["--messages", "100000001"], "from 1 to 100000000"),
        (["--sites", "0"], "--sites 0"),
        (["--connections", "0"], "--connections 0"),
        (["--per-destination", "-1"], "--per-destination -1"),
        (["--pace", "0"], "letters a second"),
        (["--pace", "nan"], "letters a second"),
        (["--over", "1h"], "--over goes with"),
    ],
)
def test_an_option_that_is_wrong_is_named(capsys, arguments, says):
    assert main(["plan", *arguments]) == 64
    assert says in capsys.readouterr().err


def test_a_time_without_end_is_named(capsys, hosts):
    assert main(["plan", "--messages", "5", "--hosts", hosts, "--over", "200000d"]) == 64
    assert "--over must be a number of seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "the first line must name the columns"),
        ("name,share\n", "there are no rows"),
        ("name,speed\na,1\n", "there is no column 'speed': write name, share"),
        ("name,share\na,-1\n", "row 1: share must be a number"),
        ("name,share\na,nan\n", "row 1: share must be a number"),
        ("name,connections\na,1.5\n", "row 1: connections must be a whole number"),
        ("name,share\na,1\nA,1\n", "row 2: 'a' stands there before"),
        ("name,share\na\n", "row 1: line 2: 1 fields"),
        ("name,share\na,0\n", "no host has a share"),
    ],
)
def test_a_file_of_hosts_that_is_wrong_is_named_by_its_row(capsys, tmp_path, content, says):
    file = tmp_path / "hosts.csv"
    file.write_text(content)
    assert main(["plan", "--messages", "10", "--hosts", str(file)]) == 65
    assert says in capsys.readouterr().err


def test_a_file_is_csv_unless_its_name_says_otherwise(capsys, tmp_path):
    (tmp_path / "hosts").write_text(HOSTS)
    assert planned(capsys, "--messages", "10", "--hosts", str(tmp_path / "hosts"))["accepted"] == 10


def test_files_that_are_not_there_are_named(capsys, tmp_path):
    assert main(["plan", "--hosts", str(tmp_path / "none.csv")]) == 66
    assert "none.csv" in capsys.readouterr().err
    assert main(["plan", "--report", str(tmp_path / "no" / "plan.html")]) == 73
    assert "plan.html" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (59.4, "59.4 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 5 min"),
        (180000, "2 d 2 h"),
    ],
)
def test_times_in_words(seconds, words):
    assert _plan_cli.in_words(seconds) == words
