"""The programs of examples/python/ do what they say."""

from __future__ import annotations

import mailbox
import subprocess
import sys
from pathlib import Path

import pytest
from postroad import testing

EXAMPLES = Path(__file__).parents[3] / "examples/python"
FAULTS = ["rcpt@rejected@:0:550 5.1.1 no such user", "rcpt@reader3@:0:550 5.1.1 moved"]


@pytest.fixture
def sink():
    with testing.Sink(faults=FAULTS) as s:
        yield s
        assert s.violations == []


def run(name, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments], capture_output=True, text=True, timeout=120
    )


def test_each_has_a_test():
    tests = "".join(f.read_text() for f in Path(__file__).parent.glob("test_examples*.py"))
    assert {f.name for f in EXAMPLES.glob("*.py") if f.stem not in tests} == set()


def test_script(sink):
    done = run("script.py", sink.url())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("bob@example.org: accepted 250 ")
    (stored,) = sink.messages
    assert [p.get_filename() for p in stored.message.iter_attachments()] == ["report.csv"]


def test_newsletter(sink):
    done = run("newsletter.py", sink.url(), "50")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("49 accepted")
    assert done.stdout.splitlines()[1:] == ["reader3: moved"]
    assert sink.messages[0].message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_outbox(sink, tmp_path):
    done = run("outbox.py", sink.url(), str(tmp_path / "q.db"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "failed: rejected@example.org: " in done.stdout
    again = run("outbox.py", sink.url(), str(tmp_path / "q.db"))
    assert "order 0 was confirmed before\n" in again.stdout
    assert len(sink.messages) == 1


def test_failures(sink, tmp_path):
    done = run("failures.py", sink.url(), str(tmp_path / "q.db"))
    assert (done.returncode, done.stderr) == (0, "")
    assert " failed for rejected@example.org: 550 no such user\n" in done.stdout
    assert "kept: rejected@example.org: " in done.stdout
    (report,) = sink.messages
    assert report.message["Subject"] == "Your message was not delivered"
    assert report.message["To"] == "shop@example.com"


def test_read_reports(tmp_path):
    maildir = mailbox.Maildir(tmp_path / "mail")
    maildir.add(
        b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/feedback-report\n\n"
        b"Feedback-Type: abuse\nOriginal-Rcpt-To: bob@example.org\n--b--\n"
    )
    maildir.add(b"Subject: Hello\n\nNo report.\n")
    for shown in ["bob@example.org: abuse", ""]:
        done = run("read_reports.py", str(tmp_path / "mail"), str(tmp_path / "suppressed.db"))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(shown)
        assert done.stdout.endswith("suppressed: bob@example.org: complaint (report of an unnamed server)\n")
    assert len(done.stdout.splitlines()) == 1


def test_service(sink):
    done = run("service.py", sink.url())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"order {n}: sent" for n in range(20)]


def test_tests_of_others():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "test_shop.py")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=EXAMPLES,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
