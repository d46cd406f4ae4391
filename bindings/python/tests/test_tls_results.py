"""Reports on TLS: what mailers of mx:// count, and what domains are told."""

from __future__ import annotations

import email
import gzip
import json
import re
from datetime import date, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from conftest import compose
from dns_server import mx_url
from postroad import Error, InvalidInput, Mailer, SuppressionList, TlsResults, _core, _tls_report, report_tls
from postroad.__main__ import main
from postroad.testing import Sink

pytestmark = [
    pytest.mark.skipif(not hasattr(_core, "TlsResults"), reason="needs libunbound, libcurl and zlib"),
    pytest.mark.usefixtures("within_a_day"),
]


def today() -> date:
    return datetime.now(timezone.utc).date()


@pytest.fixture
def counted(dns, sink, tmp_path):
    """A folder with what was counted for one.example, as if it had been yesterday."""
    dns.add("one.example", "A", "127.0.0.1").add(
        "_smtp._tls.one.example", "TXT", "v=TLSRPTv1; rua=mailto:r@two.example"
    )
    dns.add("two.example", "A", "127.0.0.1")
    with Mailer(mx_url(dns, sink), tls_results=TlsResults(tmp_path, sending_ip="203.0.113.7")) as mail:
        mail.send(compose(to="bob@one.example"))
    file = tmp_path / str(today())
    number = (today() - date(1970, 1, 1)).days
    lines = re.sub(rb"(?m)^(\w+) %d " % number, rb"\1 %d " % (number - 1), file.read_bytes())
    (tmp_path / str(today() - timedelta(days=1))).write_bytes(lines)
    file.unlink()
    return tmp_path


def test_who_starts_again_on_the_same_day_counts_on(dns, sink, tmp_path):
    dns.add("one.example", "A", "127.0.0.1")
    for _ in range(2):
        with Mailer(mx_url(dns, sink), tls_results=TlsResults(tmp_path)) as mail:
            mail.send(compose(to="bob@one.example"))
    (line,) = [x for x in (tmp_path / str(today())).read_text().splitlines() if x.startswith("policy")]
    assert "one.example" in line
    assert line.split()[-1] == "2"


def test_a_domain_is_told_of_the_day_that_is_over_once(dns, sink, counted):
    sink.clear()
    (told,) = report_tls(
        counted, mx_url(dns, sink), contact="tls@sender.example", organization="Example Inc.", settled=0
    )
    assert (told.domain, told.day, told.places) == ("one.example", today() - timedelta(days=1), ("r@two.example",))
    (stored,) = sink.messages
    message = email.message_from_bytes(stored.content)
    assert message["TLS-Report-Domain"] == "one.example"
    assert message["TLS-Report-Submitter"] == "sender.example"
    octets = message.get_payload()[1].get_payload(decode=True)
    report = json.loads(gzip.decompress(octets))
    assert report["organization-name"] == "Example Inc."
    assert report["policies"][0]["failure-details"][0]["sending-mta-ip"] == "203.0.113.7"
    assert list(report_tls(counted, mx_url(dns, sink), contact="tls@sender.example", settled=0)) == []
    assert list(counted.iterdir()) == []


def test_what_cannot_be_told_now_is_told_later_and_who_wants_nothing_is_left_alone(dns, sink, counted):
    dns.fail("_smtp._tls.one.example")
    (told,) = report_tls(counted, mx_url(dns, sink), contact="tls@sender.example", settled=0)
    assert told.again
    assert "_smtp._tls.one.example" in told.error
    dns._failing.clear()
    dns._records.pop("_smtp._tls.one.example")
    (told,) = report_tls(counted, mx_url(dns, sink), contact="tls@sender.example", settled=0)
    assert (told.places, told.error, told.again) == ((), "", False)
    assert list(counted.iterdir()) == []


def test_by_https_and_by_the_command(dns, sink, counted, monkeypatch, capsys):
    dns._records["_smtp._tls.one.example"]["TXT"] = ["v=TLSRPTv1; rua=https://two.example/r"]
    posted = []
    answers = iter([("later", "HTTP 503"), ("taken", "HTTP 200")])

    def post(octets, url, ca_file, addresses):
        posted.append((json.loads(gzip.decompress(octets))["contact-info"], url))
        return next(answers)

    monkeypatch.setattr(_core, "post_tls_report", post)
    monkeypatch.setattr("postroad._tls_report._SETTLED", 0.0)
    start = _tls_report._now()
    command = ["tls-report", str(counted), mx_url(dns, sink), "--contact", "tls@sender.example"]
    assert main(command) == 75
    assert "is tried again: https://two.example/r: HTTP 503" in capsys.readouterr().out
    assert main(command) == 75
    assert "it failed before, and is left alone until" in capsys.readouterr().out
    monkeypatch.setattr(_tls_report, "_now", lambda: start + 5400)
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["places"] == ["https://two.example/r"]
    assert posted == [("tls@sender.example", b"https://two.example/r")] * 2
    assert main(command) == 0
    assert capsys.readouterr().out == ""


@pytest.fixture
def for_many(dns, counted):
    """The same for ten domains, which name the same place."""
    (file,) = counted.iterdir()
    lines = file.read_bytes()
    for n in range(10):
        dns.add(f"_smtp._tls.d{n}.example", "TXT", "v=TLSRPTv1; rua=mailto:r@two.example")
    file.write_bytes(b"".join(lines.replace(b"one.example", b"d%d.example" % n) for n in range(10)))
    return counted


@pytest.fixture
def mailed(monkeypatch):
    """The answers to reports by mail."""
    answers = []
    send = _tls_report._mailed

    def counting(mail, letter):
        answers.append(send(mail, letter))
        return answers[-1]

    monkeypatch.setattr(_tls_report, "_mailed", counting)
    return answers


def calls(dns, sink, folder, monkeypatch, hours, **options):
    """What calls in each of so many hours yield; in those the day does not end."""
    start = _tls_report._now()
    for hour in range(hours):
        monkeypatch.setattr(_tls_report, "_now", lambda now=start + hour * 3600: now)
        yield list(report_tls(folder, mx_url(dns, sink), contact="tls@sender.example", settled=0, **options))


def test_a_place_that_puts_off_is_asked_a_few_times_a_day_whichever_domains_name_it(dns, for_many, mailed, monkeypatch):
    with Sink(faults=["rcpt:0:452 4.2.2 full"]) as sink:
        all_told = list(calls(dns, sink, for_many, monkeypatch, 24))
    assert len(mailed) <= 5
    assert {answer for answer, _ in mailed} == {"later"}
    assert all(told.again for told in all_told[0])
    assert "452 4.2.2 full" in all_told[0][0].error
    assert "left alone until" in all_told[0][1].error


def test_a_place_that_refuses_is_asked_once_a_day_and_its_report_is_dropped(dns, for_many, mailed, monkeypatch):
    with Sink(faults=["rcpt:0:550 5.1.1 no such user"]) as sink:
        first, *others = calls(dns, sink, for_many, monkeypatch, 20)
    assert [answer for answer, _ in mailed] == ["refused"]
    assert not first[0].again
    assert len(first) == 10
    assert all(len(told) == 9 for told in others)


def test_a_server_that_is_away_is_asked_once_for_all_its_addresses(dns, counted, mailed, closed_port):
    (file,) = counted.iterdir()
    lines = file.read_bytes()
    for n in range(10):
        dns.add(f"_smtp._tls.d{n}.example", "TXT", f"v=TLSRPTv1; rua=mailto:r{n}@two.example")
    file.write_bytes(b"".join(lines.replace(b"one.example", b"d%d.example" % n) for n in range(10)))
    url = mx_url(dns, SimpleNamespace(port=closed_port))
    told = list(report_tls(counted, url, contact="tls@sender.example", settled=0))
    assert [answer for answer, _ in mailed] == ["away"]
    assert len(told) == 10
    assert all(t.again for t in told)


def test_what_rests_longer_than_its_report_is_kept_is_not_told(dns, sink, counted, monkeypatch):
    rests = _core.ReportRests(b"")
    for days in range(0, 60, 6):
        rests.answered(b"r@two.example", b"refused", _tls_report._now() - (60 - days) * 86400)
    (counted / "rests").write_bytes(rests.text(_tls_report._now()))
    (told,) = report_tls(counted, mx_url(dns, sink), contact="tls@sender.example", settled=0)
    assert (told.places, told.again) == ((), False)
    assert "left alone until" in told.error
    assert sink.messages[1:] == []


def test_an_address_whose_reports_come_back_gets_no_more(dns, sink, counted, tmp_path, capsys, monkeypatch):
    listed = str(tmp_path.parent / "suppressed.db")
    SuppressionList(listed).add("r@two.example", reason="hard_bounce")
    sink.clear()
    monkeypatch.setattr("postroad._tls_report._SETTLED", 0.0)
    command = ["tls-report", str(counted), mx_url(dns, sink), "--contact", "tls@sender.example"]
    assert main([*command, "--suppressed", listed]) == 69
    assert "r@two.example is suppressed" in capsys.readouterr().out
    assert sink.messages == []


def test_no_report_is_about_the_sessions_of_reports(dns, sink, counted, tmp_path):
    results = TlsResults(tmp_path / "also")
    with pytest.raises(InvalidInput, match="sessions that carry reports"):
        list(report_tls(counted, mx_url(dns, sink), contact="tls@sender.example", settled=0, tls_results=results))
    list(report_tls(counted, mx_url(dns, sink), contact="tls@sender.example", settled=0))
    assert list(counted.glob("2*")) == []


def test_what_is_wrong_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="mx://"):
        Mailer("smtp://localhost", tls_results=TlsResults(tmp_path))
    with pytest.raises(InvalidInput, match="no address"):
        list(report_tls(tmp_path, "smtp://localhost", contact="ann@"))
    (tmp_path / str(today())).write_text("no count\n")
    with pytest.raises(Error, match="line 1"):
        TlsResults(tmp_path)
    (tmp_path / "rests").write_text("no rest\n")
    with pytest.raises(Error, match="line 1 is no place that rests"):
        list(report_tls(tmp_path, "smtp://localhost", contact="tls@sender.example"))
