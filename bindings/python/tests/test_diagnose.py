"""diagnose(), and the command of that name."""

from __future__ import annotations

import urllib.parse

import postroad
import pytest
from postroad.__main__ import main

SECRET = "correct-horse-battery"


def test_every_step_is_told_and_nothing_is_sent(server):
    found = postroad.diagnose(server.url, sender="ann@example.com", recipients=["bob@example.org"])
    assert found.good
    assert found.error is None
    phases = [step.phase for step in found.steps]
    assert [p for p in ("connect", "greeting", "hello", "mail", "rcpt") if p in phases] == [
        "connect",
        "greeting",
        "hello",
        "mail",
        "rcpt",
    ]
    assert {step.server for step in found.steps} == {f"127.0.0.1:{server.port}"}
    assert all(step.seconds >= 0 for step in found.steps)
    assert str(found).count("\n") >= len(found.steps)
    assert "MAIL FROM:<ann@example.com>" in " ".join(server.commands)
    assert "DATA" not in server.commands
    assert server.messages == []


@pytest.mark.parametrize(
    ("recipient", "code", "status"),
    [("rejected@x.example", "recipients_rejected", 69), ("deferred@x.example", "recipients_deferred", 75)],
)
def test_a_recipient_that_is_refused_is_the_error(server, capsys, recipient, code, status):
    found = postroad.diagnose(server.url, recipients=recipient)
    assert not found.good
    assert found.error.code == code
    (bad,) = [step for step in found.steps if step.grade == "bad"]
    assert bad.phase == "rcpt"
    assert main(["diagnose", server.url, recipient]) == status
    assert recipient in capsys.readouterr().out


def test_tls_and_the_password_are_tried(start_sink, tmp_path, monkeypatch, capsys):
    ca = tmp_path / "ca.pem"
    sink = start_sink("--starttls", "--auth", f"ann:{SECRET}", "--ca-out", str(ca))
    url = f"smtp://localhost:{sink.port}"
    assert postroad.diagnose(url, user="ann", password=SECRET, ca_file=ca).good
    assert postroad.diagnose(url).error.code == "tls_certificate"
    config = tmp_path / "postroad.toml"
    config.write_text(
        f'[accounts.a]\nurl = "{url}"\nuser = "ann"\npassword_command = "echo {SECRET}"\nca_file = "{ca}"'
    )
    with monkeypatch.context() as m:
        m.setenv("POSTROAD_CONFIG", str(config))
        assert main(["diagnose"]) == 0
    monkeypatch.setenv("POSTROAD_PASSWORD", SECRET + "x")
    assert main(["diagnose", "--user", "ann", f"{url}?ca={ca}"]) == 77
    out, err = capsys.readouterr()
    assert "auth" in out
    assert SECRET not in out + err


def test_a_server_that_is_not_there_is_told(closed_port):
    found = postroad.diagnose(f"smtp+insecure://127.0.0.1:{closed_port}")
    assert found.error.transient
    assert [step.grade for step in found.steps][-1] == "bad"


def test_patience_bounds_each_step(make_server):
    found = postroad.diagnose(make_server(stall="greeting").url, patience=0.1)
    assert isinstance(found.error, postroad.TimedOut)


@pytest.mark.parametrize(
    ("url", "options", "code"),
    [
        ("http://x.example", {}, "invalid_url"),
        ("smtp+insecure://127.0.0.1:9", {"recipients": ["a@b@c"]}, "invalid_address"),
        ("smtp+insecure://127.0.0.1:9", {"sender": "a@b@c", "recipients": ["a@x.example"]}, "invalid_address"),
        (f"smtp://ann:{SECRET}@x.example", {"password": SECRET}, "contradiction"),
        ("smtp://x.example", {"patience": 0}, "invalid_option"),
    ],
)
def test_input_that_is_not_valid(url, options, code):
    with pytest.raises(postroad.InvalidInput) as e:
        postroad.diagnose(url, **options)
    assert e.value.code == code


def test_the_servers_of_an_address_are_looked_up_where_that_is_asked_for(dns):
    by = "mx://localhost?" + urllib.parse.urlencode({"resolver": dns.address, "dnssec": "off"})
    with pytest.raises(postroad.InvalidInput, match="no submission server is known"):
        postroad.diagnose("ann@site.example")
    with pytest.raises(postroad.InvalidInput, match="names no server; _submission"):
        postroad.diagnose("ann@site.example", lookup=by)
    assert set(dns.questions) == {("SRV", "_submissions._tcp.site.example"), ("SRV", "_submission._tcp.site.example")}
    dns.add("_submissions._tcp.site.example", "SRV", "0 0 465 mail.elsewhere.example")
    with pytest.raises(postroad.InvalidInput, match="whoever answered may have made it up"):
        postroad.diagnose("ann@site.example", lookup=by)
    dns.add("_submissions._tcp.near.example", "SRV", "0 0 4650 mail.near.example")
    found = postroad.diagnose("ann@near.example", lookup=by)
    assert {step.server for step in found.steps} == {"mail.near.example:4650"}
    assert found.error.code == "resolve_failed"
    # What has a server already is not asked about.
    asked = len(dns.questions)
    with pytest.raises(TypeError):
        postroad.diagnose("ann@near.example", lookup=1.0)
    assert postroad.diagnose("smtp+insecure://127.0.0.1:9", lookup=by).error
    assert len(dns.questions) == asked
