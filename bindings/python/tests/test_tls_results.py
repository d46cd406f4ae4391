"""Reports on TLS: what mailers of mx:// count, and what domains are told."""

from __future__ import annotations

import email
import gzip
import json
import re
from datetime import date, datetime, timedelta, timezone

import pytest
from conftest import compose
from dns_server import mx_url
from postroad import Error, InvalidInput, Mailer, TlsResults, _core, report_tls
from postroad.__main__ import main

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
    command = ["tls-report", str(counted), mx_url(dns, sink), "--contact", "tls@sender.example"]
    assert main(command) == 75
    assert "is tried again: https://two.example/r: HTTP 503" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["places"] == ["https://two.example/r"]
    assert posted == [("tls@sender.example", b"https://two.example/r")] * 2
    assert main(command) == 0
    assert capsys.readouterr().out == ""


def test_what_is_wrong_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="mx://"):
        Mailer("smtp://localhost", tls_results=TlsResults(tmp_path))
    with pytest.raises(InvalidInput, match="no address"):
        list(report_tls(tmp_path, "smtp://localhost", contact="ann@"))
    (tmp_path / str(today())).write_text("no count\n")
    with pytest.raises(Error, match="line 1"):
        TlsResults(tmp_path)
