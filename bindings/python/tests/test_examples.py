"""The programs of examples/python/ do what they say."""

from __future__ import annotations

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
    names = {f.name for f in EXAMPLES.glob("*.py")}
    assert names == {"script.py", "newsletter.py", "outbox.py", "service.py", "test_shop.py"}


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
