"""postroad run: a sender for queues that last; postroad queue with JSON."""

from __future__ import annotations

import argparse
import codecs
import json
import os
import pty
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import postroad
import postroad.testing
import pytest
from conftest import compose
from dns_server import mx_url
from postroad.__main__ import main
from postroad._run import Log, Sender

SECRET = "correct-horse-battery"


class Run:
    """A process that runs the command."""

    def __init__(self, *arguments, env=None, most_octets=None):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "postroad", "run", "--log", "json", *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        if most_octets is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (most_octets, most_octets))
        self.said = []

    def until(self, event, **members):
        """Reads what it says until it says that."""
        while line := self.process.stderr.readline():
            self.said.append(json.loads(line))
            if self.said[-1]["event"] == event and members.items() <= self.said[-1].items():
                return self.said[-1]
        raise AssertionError((event, self.said))

    def end(self, order=signal.SIGTERM):
        self.process.send_signal(order)
        return self.rest()

    def rest(self):
        _, err = self.process.communicate(timeout=60)
        self.said += [json.loads(line) for line in err.splitlines()]
        return self.process.returncode


@pytest.fixture
def start():
    running = []

    def begin(*arguments, **more):
        running.append(Run(*arguments, **more))
        return running[-1]

    yield begin
    for run in running:
        if run.process.poll() is None:
            run.process.kill()
        run.process.communicate()


def submit(path, *recipients, **options):
    with postroad.Mailer("discard://", queue=path, submit_only=True) as mail:
        for recipient in recipients:
            mail.submit(compose(recipient), **options)


def test_a_report_says_at_the_end_what_it_did(server, start, tmp_path):
    pytest.importorskip("matplotlib")
    submit(tmp_path / "q.db", "bob@example.org", "rejected@example.com")
    report = tmp_path / "report.html"
    run = start(server.url, "--queue", tmp_path / "q.db", "--drain", "--report", report)
    assert run.rest() == 0
    page = report.read_text()
    assert "example.org" in page
    assert "550 5.1.1 no such user" in page
    assert page.count("<svg") == 4


def test_a_report_that_cannot_be_written_is_said_before_anything_is_sent(server, tmp_path, capsys):
    submit(tmp_path / "q.db", "bob@example.org")
    report = str(tmp_path / "no" / "report.html")
    assert main(["run", server.url, "--queue", str(tmp_path / "q.db"), "--drain", "--report", report]) == 73
    assert f"{report}: No such file or directory: name a file" in capsys.readouterr().err
    assert server.messages == []


def test_what_is_in_a_queue_and_comes_into_it_is_sent(server, start, tmp_path):
    path = tmp_path / "q.db"
    submit(path, "one@x.example")
    run = start("--queue", path, server.url)
    assert run.until("outcome", recipient="one@x.example")["status"] == "accepted"
    submit(path, "rejected@x.example")
    assert run.until("outcome", recipient="rejected@x.example")["code"] == 550
    assert run.end() == 0
    assert run.said[-1]["event"] == "stopped"
    assert postroad.Queue(path).count().total == 0
    assert "queue" in run.said[1]


def test_a_signal_waits_for_the_reply_and_begins_nothing_more(make_server, start, tmp_path):
    server = make_server(stall="content")
    path = tmp_path / "q.db"
    submit(path, *(f"r{i}@x.example" for i in range(5)))
    run = start("--queue", path, "--connections", 1, server.url)
    assert server.stalled.wait(60)
    run.process.send_signal(signal.SIGTERM)
    server.resume.set()
    run.until("outcome", status="accepted")
    assert run.rest() == 0
    counts = postroad.Queue(path).count()
    assert counts.by_state["in_doubt"] == 0
    assert counts.total + len(server.messages) == 5
    assert run.said[-1]["left"] == counts.total


def test_a_queue_is_drained(server, start, tmp_path):
    path, other = tmp_path / "q.db", tmp_path / "other.db"
    submit(path, "one@x.example", "two@x.example")
    submit(other, "three@x.example")
    run = start("--drain", "--queue", path, "--queue", other, server.url)
    assert run.rest() == 0
    assert len(server.messages) == 3
    submit(path, "deferred@x.example")
    run = start("--drain", "--queue", path, server.url)
    assert run.rest() == 75
    assert postroad.Queue(path).count().by_state["delayed"] == 1


def test_a_server_in_trouble_does_not_keep_a_drain_from_its_end(start, tmp_path):
    path = tmp_path / "q.db"
    submit(path, "one@x.example")
    run = start("--drain", "--queue", path, "smtp+insecure://127.0.0.1:1")
    assert run.rest() == 75
    assert postroad.Queue(path).count().total == 1


def test_a_disk_without_room_does_not_keep_a_drain_from_its_end_and_is_named(server, start, tmp_path):
    path = tmp_path / "q.db"
    submit(path, *(f"{n}@x.example" for n in range(100)))
    # what SQLite needs to open it, and little more
    run = start("--drain", "--grace", "1", "--queue", path, server.url, most_octets=48 * 1024)
    assert run.rest() == 75
    assert str(path) in next(said["name"] for said in run.said if said["event"] == "trouble")
    assert run.said[-1]["left"] == postroad.Queue(path).count().total > 0


def test_a_disk_without_room_is_said_once_and_that_there_is_room_again_once(server, start, tmp_path):
    path = tmp_path / "q.db"
    submit(path, *(f"{n}@x.example" for n in range(100)))
    run = start("--grace", "1", "--queue", path, server.url)
    no_limit = resource.RLIM_INFINITY
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (48 * 1024, no_limit))
    trouble = run.until("trouble")
    assert trouble["name"] == str(path)
    assert trouble["code"].startswith("storage_")
    assert trouble["why"]
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (no_limit, no_limit))
    assert run.until("trouble over")["name"] == str(path)
    assert run.end() == 0
    assert [said["event"] for said in run.said if "trouble" in said["event"]] == ["trouble", "trouble over"]


def test_a_password_is_read_anew(start, start_sink, tmp_path):
    sink = start_sink("--auth", f"ann:{SECRET}", "--require-auth")
    url = f"smtp+insecure://127.0.0.1:{sink.port}?insecure_authentication=true"
    path, password = tmp_path / "q.db", tmp_path / "password"
    password.write_text("wrong\n")
    submit(path, "one@x.example")
    run = start("--queue", path, "--user", "ann", "--password-file", password, url)
    assert run.until("closed")["error"] == "authentication_rejected"
    password.write_text(SECRET + "\n")
    run.process.send_signal(signal.SIGHUP)
    run.until("rereading")
    run.until("outcome", status="accepted")
    assert run.end() == 0
    assert SECRET not in json.dumps(run.said)


def test_settings_that_became_wrong_do_not_keep_it_from_its_end(start, server, tmp_path):
    path, password = tmp_path / "q.db", tmp_path / "password"
    password.write_text("right\n")
    run = start("--queue", path, "--user", "ann", "--password-file", password, "smtps://127.0.0.1:1")
    run.until("started")
    password.unlink()
    run.process.send_signal(signal.SIGHUP)
    run.until("cannot reread")
    assert run.end() == 0
    assert run.said[-1]["event"] == "stopped"


@pytest.mark.parametrize("place", ["[::1]:0", "127.0.0.1:0", ":0"])
def test_health_is_answered_at_any_address(start, server, tmp_path, place):
    if "[" in place and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    run = start("--queue", tmp_path / "q.db", "--health", place, server.url)
    port = run.until("listening")["port"]
    with socket.create_connection(("::1" if "[" in place else "127.0.0.1", port), 60) as s:
        s.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert s.makefile("rb").readline().split()[1] == b"200"
    assert run.end() == 0


def test_rules_are_read_anew(start, tmp_path, dns, sink):
    path, rules = tmp_path / "q.db", tmp_path / "rules.toml"
    rule = '[[source]]\nname = "a"\naddresses = ["127.0.0.2"]\nclient_name = "{}.example"\n'
    rules.write_text(rule.format("one"))
    dns.add("x.example", "A", "127.0.0.1")
    submit(path, "one@x.example")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(60)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        run = start("--queue", path, "--rules", rules, mx_url(dns, sink), env=env)
        assert run.until("outcome")["status"] == "accepted"
        rules.write_text(rule.format("two"))
        run.process.send_signal(signal.SIGHUP)
        # what is submitted before that may still go by the rules of before
        assert [told.recv(100) for _ in range(3)] == [b"READY=1", b"RELOADING=1", b"READY=1"]
        submit(path, "two@x.example")
        assert run.until("outcome")["status"] == "accepted"
        assert run.end() == 0
    assert [m.hello for m in sink.messages] == ["one.example", "two.example"]


def test_how_tls_goes_is_counted_for_reports(start, tmp_path, dns, sink):
    path, folder = tmp_path / "q.db", tmp_path / "tls"
    dns.add("x.example", "A", "127.0.0.1")
    submit(path, "one@x.example")
    run = start("--queue", path, "--tls-results", folder, mx_url(dns, sink))
    assert run.until("outcome")["status"] == "accepted"
    assert run.end() == 0
    (counted,) = folder.iterdir()
    assert " x.example " in counted.read_text()


def test_health_can_be_asked_for(start, make_server, server, tmp_path):
    path = tmp_path / "q.db"
    run = start("--queue", path, "--health", "127.0.0.1:0", server.url)
    port = run.until("listening")["port"]
    run.until("started")

    def ask(what):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{what}", timeout=60) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read().decode()

    assert ask("health") == (200, '{"healthy": true}\n')
    assert ask("ready") == (200, '{"ready": true, "troubles": []}\n')
    submit(path, "one@x.example")
    run.until("outcome")
    assert json.loads(ask("status")[1])[str(path)]["stats"]["accepted"] == 1
    pytest.importorskip("prometheus_client")
    assert 'postroad_recipients_total{mailer="' in ask("metrics")[1]
    assert ask("else")[0] == 404
    assert ask("health?probe=1")[0] == 200
    head = urllib.request.Request(f"http://127.0.0.1:{port}/health", method="HEAD")
    with urllib.request.urlopen(head, timeout=60) as reply:
        assert (reply.status, reply.read()) == (200, b"")
    assert run.end(signal.SIGINT) == 0


def test_who_asks_for_health_and_leaves_before_the_answer_is_no_news(start, server, tmp_path):
    run = start("--queue", tmp_path / "q.db", "--health", "127.0.0.1:0", server.url)
    port = run.until("listening")["port"]
    for said in (b"", b"GET /status HTTP/1.1\r\n"):
        with socket.create_connection(("127.0.0.1", port)) as asking:
            asking.sendall(said)
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends by RST
    # as it has asked, too
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as reply:
        assert reply.status == 200
    assert run.end() == 0  # each line is JSON, or this raises


def test_a_site_in_trouble_is_not_ready(start, make_server, tmp_path):
    server = make_server(replies={"EHLO": "550 go away", "HELO": "550 go away"})
    path = tmp_path / "q.db"
    submit(path, "one@x.example")
    run = start("--queue", path, "--health", "127.0.0.1:0", server.url)
    port = run.until("listening")["port"]
    run.until("closed")
    code = 200
    while code == 200:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=60).close()
        except urllib.error.HTTPError as e:
            with e:
                code, found = e.code, json.loads(e.read())
    assert (code, found["troubles"]) == (503, ["127.0.0.1"])
    assert run.end() == 0


def test_one_domain_in_trouble_keeps_no_other(start, dns, sink, tmp_path):
    dns.add("d.example", "A", "127.0.0.1").fail("d.example")
    path = tmp_path / "q.db"
    submit(path, "bob@d.example")
    run = start("--queue", path, "--health", "127.0.0.1:0", mx_url(dns, sink))
    port = run.until("listening")["port"]
    found = {"troubles": []}
    while not found["troubles"]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=60) as reply:
            found = json.loads(reply.read())
    assert found == {"ready": True, "troubles": ["d.example"]}
    assert run.end() == 0


def test_systemd_is_told(start, server, tmp_path):
    place = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(place))
        s.settimeout(60)
        run = start("--queue", tmp_path / "q.db", server.url, env={"NOTIFY_SOCKET": str(place)})
        assert s.recv(100) == b"READY=1"
        assert run.end() == 0
        assert s.recv(100) == b"STOPPING=1"


def test_the_unit_that_comes_along_is_that_of_the_page_and_is_one(tmp_path):
    root = Path(__file__).parents[3]
    unit = (root / "share/postroad.service").read_text()
    assert textwrap.indent(unit, "    ") in (root / "docs/python-sender.md").read_text()
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not here")
    (tmp_path / "postroad.service").write_text(unit.replace("/opt/site/venv/bin/postroad", sys.executable))
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / "postroad.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "postroad.service" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--queue", "{}/no/folder/q.db", "smtp://x.example"], 73),
        (["--queue", "{}/q.db", "ftp://x.example"], 64),
        (["--queue", "{}/q.db", "--user", "ann", "smtp://x.example"], 64),
        (["--queue", "{}/q.db", "--user", "ann", "--password-file", "{}/none", "smtp://x.example"], 64),
        (["--queue", "{}/q.db", "--health", "here", "smtp://x.example"], 64),
        (["--queue", "{}/q.db", "--health", "127.0.0.1:\u00b2", "smtp://x.example"], 64),
        (["--queue", "{}/q.db", "--health", "192.0.2.1:0", "smtp://x.example"], 69),
        (["smtp://x.example"], 64),
    ],
)
def test_what_is_wrong_is_one_line(arguments, status, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("POSTROAD_PASSWORD", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["run", *(a.format(tmp_path) for a in arguments)]) == status
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("postroad: ")


# postroad queue


def test_a_queue_is_shown_as_json(tmp_path, capsys):
    path = tmp_path / "q.db"
    submit(path, "one@x.example", "two@y.example", tag="news", tenant="t")

    def said(*arguments):
        assert main(["queue", str(path), *arguments, "--json"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    one, two = said("list")
    assert (one["recipients"], one["tag"], one["state"]) == ([["one@x.example", "not_attempted"]], "news", "waiting")
    assert said("show", "--id", str(two["id"])) == [{**two, "age": pytest.approx(two["age"], abs=60)}]
    assert said("count")[0]["waiting"] == 2
    (summary,) = said("summary")
    assert (summary["messages"], summary["domains"]) == (2, {"x.example": 1, "y.example": 1})
    assert (summary["tags"], summary["tenants"], summary["states"]) == ({"news": 2}, {"t": 2}, {"waiting": 2})
    assert said("hold", "--all") == [{"changed": 2}]
    assert said("drop", "--domain", "y.example") == [{"changed": 1}]


def test_a_queue_is_shown_to_people(tmp_path, capsys):
    path = tmp_path / "q.db"
    submit(path, "one@x.example", tag="news")
    job = postroad.Queue(path).jobs()[0]
    assert main(["queue", str(path), "show", "--id", str(job.id)]) == 0
    out = capsys.readouterr().out
    assert "recipient: one@x.example not_attempted\n" in out
    assert "tag: news\n" in out
    assert main(["queue", str(path), "summary"]) == 0
    assert "domains:\n  1 x.example\n" in capsys.readouterr().out
    assert main(["queue", str(path), "show"]) == 64
    assert "--id" in capsys.readouterr().err


def test_what_failed_is_listed(make_server, tmp_path, capsys):
    path = tmp_path / "q.db"
    with postroad.Mailer(make_server().url, queue=path) as mail:
        mail.submit(compose("rejected@x.example"))
    submit(path, "one@x.example")
    assert main(["queue", str(path), "failed"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "failed, " in line
    assert "rejected@x.example (rejected)" in line


def test_a_queue_is_watched_at_a_terminal(tmp_path):
    path = tmp_path / "q.db"
    submit(path, "one@x.example")
    ours, theirs = pty.openpty()
    shown = ""
    decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end within a character

    def until(text):
        nonlocal shown
        while text not in shown:
            shown += decoder.decode(os.read(ours, 4096))

    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    program = [sys.executable, "-m", "postroad", "queue", str(path), "watch"]
    with subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as watching:
        try:
            until("waiting 1;")
            until("x.example")
            submit(path, "two@y.example")
            until("waiting 2;")
            until("y.example")
            watching.send_signal(signal.SIGINT)
            assert watching.wait(60) == 0
        finally:
            watching.kill()
            os.close(ours)
            os.close(theirs)
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (["show", "--id", "7"], "no message has the number 7"),
        (["--queue-shards", "0"], "with a queue at a broker only"),
        (["count", "--tag", "news"], "count is about all messages: summary"),
        (["compact", "--domain", "x.example"], "compact is about all messages"),
        (["show", "--id", "1", "--limit", "1"], "--limit is of use with list, failed and summary only"),
        (["failed", "--state", "held"], "leave --state out"),
        (["watch", "--json"], "watch has no JSON"),
        (["watch"], "watch needs a terminal"),
        (["drop", "--all", "--limit", "1"], "--limit is of use with list, failed and summary only"),
    ],
)
def test_what_would_not_count_is_refused(action, said, tmp_path, capsys):
    path = tmp_path / "q.db"
    submit(path, "one@x.example", "two@x.example")
    assert main(["queue", str(path), *action]) == 64
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err
    assert postroad.Queue(path).count().total == 2


@pytest.mark.parametrize("action", ["list", "summary"])
def test_a_list_that_ends_before_the_queue_says_so(action, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("postroad._queue._MOST", 2)
    path = tmp_path / "q.db"
    submit(path, "one@x.example", "two@x.example", "three@x.example")
    assert main(["queue", str(path), action]) == 0
    assert capsys.readouterr().err == "postroad: these are the oldest 2: --limit N takes more\n"
    assert main(["queue", str(path), action, "--limit", "2"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("grace", ["-1", "nan", "inf", "soon"])
def test_a_grace_that_is_none_is_refused(grace, tmp_path, capsys):
    with pytest.raises(SystemExit, match="64"):
        main(["run", "--queue", str(tmp_path / "q.db"), "--grace", grace, "discard://"])
    assert "expected a number of seconds" in capsys.readouterr().err


def test_a_queue_that_is_gone_keeps_no_reply_from_being_waited_for(make_server, tmp_path):
    server = make_server(stall="content")
    path = tmp_path / "q.db"
    submit(path, "one@x.example")
    command = [sys.executable, "-m", "postroad", "run", "--queue", str(path), server.url]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stalled.wait(60)
    path.rename(tmp_path / "away.db")
    run.send_signal(signal.SIGTERM)
    server.resume.set()
    _, err = run.communicate(timeout=60)
    assert "recipient=one@x.example status=accepted" in err
    assert "Traceback" not in err
    assert run.returncode == 66


def test_a_broker_that_is_away_keeps_no_mailer_from_being_closed():
    class Stub:
        closed = False

        def count(self):
            raise postroad.Error("the broker cannot be reached", transient=True)

        def close(self, grace):
            self.closed = True

    sender = Sender(argparse.Namespace(grace=0.0), Log("text"))
    stubs = [Stub(), Stub()]
    sender.mailers = {"amqp://one": stubs[0], "amqp://two": stubs[1]}
    with pytest.raises(postroad.Error, match="cannot be reached"):
        sender.close()
    assert [s.closed for s in stubs] == [True, True]
    assert sender.mailers == {}
