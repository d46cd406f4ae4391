"""--report of send, merge and run: one page that says what happened."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
import time
from html.parser import HTMLParser

import postroad
import pytest
from postroad import Event, Status
from postroad.__main__ import main
from postroad._report import Report, reporting
from postroad._shell import written

pytest.importorskip("matplotlib")
MAIL = b"From: ann@example.com\r\nTo: %s\r\nSubject: Hi\r\n\r\nHello.\r\n"


@pytest.fixture
def mail(tmp_path, monkeypatch):
    monkeypatch.setenv("POSTROAD_CONFIG", str(tmp_path / "postroad.toml"))
    (tmp_path / "postroad.toml").write_text("")
    (tmp_path / "mail.eml").write_bytes(MAIL % b"bob@example.org, rejected@example.com")
    return str(tmp_path / "mail.eml")


def rows(page):
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    return [tuple(c) for c in cells]


def test_a_page_says_what_became_of_the_messages(server, mail, tmp_path):
    report = tmp_path / "report.html"
    assert main(["send", "--report", str(report), server.url, mail]) == 69
    found = rows(report.read_text())
    assert ("accepted", "1") in found
    (refused,) = (row for row in found if row[:3] == ("rejected", "550 5.1.1 no such user", "1"))
    assert "address" in refused[3]
    assert ("example.org", "1", "0", "0", "0", "0") in found
    assert any(row[:2] == ("rcpt", "2") for row in found)
    assert report.read_text().count("<svg") == 4


def test_a_merge_has_one_too(server, tmp_path, mail):
    (tmp_path / "hi.txt").write_text("x")
    (tmp_path / "hi.head").write_text("From: a@x.example")
    (tmp_path / "rows.csv").write_text("email\n" + "".join(f"p{n}@example.org\n" for n in range(20)))
    report = tmp_path / "report.html"
    assert main(["merge", "--report", str(report), server.url, str(tmp_path / "hi"), str(tmp_path / "rows.csv")]) == 0
    assert ("accepted", "20") in rows(report.read_text())


def test_what_a_server_says_is_text_and_nothing_is_fetched(make_server, mail, tmp_path):
    server = make_server(replies={"RCPT": "550 <script>alert(1)</script> $x^ \\frac{"})
    report = tmp_path / "report.html"
    assert main(["send", "--report", str(report), server.url, mail]) == 69
    tags = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

    Tags().feed(report.read_text())
    assert not {"script", "link", "img", "iframe"} & set(tags)
    assert "&lt;script&gt;" in report.read_text()


def test_the_file_stays_what_it_is(server, mail, tmp_path):
    private, link = tmp_path / "private.html", tmp_path / "link.html"
    private.touch(0o640)
    link.symlink_to(private)
    assert main(["send", "--report", str(link), server.url, mail]) == 69
    assert link.is_symlink()
    assert stat.S_IMODE(private.stat().st_mode) == 0o640
    assert ("accepted", "1") in rows(private.read_text())


def test_it_may_be_a_pipe(server, mail, tmp_path):
    fifo, got = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: got.append(fifo.read_text()), daemon=True)
    reader.start()
    assert main(["send", "--report", str(fifo), server.url, mail]) == 69
    reader.join(60)
    assert ("accepted", "1") in rows(got[0])
    assert fifo.is_fifo()


def test_it_is_written_when_the_run_ends_by_an_error(closed_port, tmp_path, mail):
    (tmp_path / "hi.txt").write_text("x")
    (tmp_path / "hi.head").write_text("From: a@x.example")
    (tmp_path / "rows.csv").write_text("email\n" + "".join(f"p{n}@example.org\n" for n in range(200)))
    report = tmp_path / "report.html"
    command = [
        "merge",
        "--report",
        str(report),
        "--limit",
        "4",
        f"smtp+insecure://127.0.0.1:{closed_port}",
        str(tmp_path / "hi"),
        str(tmp_path / "rows.csv"),
    ]
    assert main(command) == 75
    assert "not attempted" in report.read_text()


def test_one_that_cannot_be_written_in_the_end_is_said(server, mail, capsys):
    assert main(["send", "--report", "/dev/full", server.url, mail]) == 73
    assert "/dev/full: No space left on device" in capsys.readouterr().err
    assert len(server.messages) == 1


def test_one_that_cannot_be_written_hides_nothing(tmp_path, capsys):
    with pytest.raises(postroad.Error, match="the disk has an error"), reporting("/dev/full"):
        raise postroad.Error("the disk has an error")
    assert written(69) == 73
    with reporting("/dev/full"):
        pass
    assert written(130) == 130
    assert capsys.readouterr().err.count("/dev/full: No space left on device: name a file") == 2


def test_none_is_written_when_all_is_to_end_at_once(tmp_path):
    report = tmp_path / "report.html"
    with pytest.raises(KeyboardInterrupt), reporting(str(report)):
        raise KeyboardInterrupt
    assert report.read_text() == ""


def test_a_report_that_cannot_be_written_is_said_before_anything_is_sent(server, mail, tmp_path, capsys):
    assert main(["send", "--report", str(tmp_path / "no/report.html"), server.url, mail]) == 73
    assert "report.html: No such file" in capsys.readouterr().err
    assert server.messages == []


def test_a_package_that_is_missing_is_named(server, mail, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["send", "--report", str(tmp_path / "report.html"), server.url, mail]) == 69
    assert "pip install 'postroad[report]'" in capsys.readouterr().err
    assert server.messages == []


def event(kind, **about):
    usual = {"connection": 1, "message": 1, "server": "", "phase": "rcpt", "text": "", "code": None, "enhanced": None}
    usual.update(reply="", status=None, octets=0, took=0.0, error=None, time=time.monotonic())
    return Event(kind=kind, **{**usual, **about})


def test_a_long_run_is_held_in_sums(tmp_path):
    report = Report(str(tmp_path / "report.html"))
    start = report._clock + 0.25
    for n in range(60_000):
        report.told(event("reply", took=n / 60_000))
        report.told(event("outcome", text=f"a@d{n}.example", status=Status.ACCEPTED, time=start + n))
    report.told(event("outcome", text="bob@x.example", status=Status.IN_DOUBT, error="connection_closed"))
    report.told(event("lost"))
    report.write()
    page = (tmp_path / "report.html").read_text()
    assert len(page) < 300_000
    assert "some events were lost" in page
    assert ("bob@x.example",) in rows(page)
    assert any(row[:3] == ("in doubt", "connection_closed", "1") for row in rows(page))
    assert len(report._by_time) <= 10_000
    assert ("0 to 3000", "3000", "1.0", "3001", "0") in rows(page)


def test_what_is_put_off_is_told_by_time(tmp_path):
    report = Report(str(tmp_path / "report.html"))
    start = report._clock + 0.25
    for n in (0, 30, 90):
        report.told(event("retry", took=60.0, time=start + n + 0.5))
    report.told(event("outcome", text="bob@x.example", status=Status.ACCEPTED, time=start + 99.5))
    report.write()
    found = rows((tmp_path / "report.html").read_text())
    assert ("put off to be tried again", "3") in found
    assert ("30 to 35", "0", "0.0", "0", "1") in found
    assert ("95 to 100", "1", "0.2", "1", "0") in found
