"""What people are told to do: each reply of tests/smtp/advice.cpp through receipts, exceptions and diagnose()."""

from __future__ import annotations

import base64
import re
import socket
import threading
from pathlib import Path

import postroad
import pytest
from conftest import compose
from postroad import testing

_TEXT = r'"((?:[^"\\]|\\.)*)"'
_LITERAL = rf"((?:{_TEXT}\s*)+)"
_AT = re.compile(rf"at\((?:(mail|rcpt|content),)?\s*{_LITERAL},\s*{_TEXT}(?:,\s*{_TEXT})?\)")


def examples():
    """Phase, reply and part of the advice, as the rows of the C++ test have them."""
    source = (Path(__file__).parents[3] / "tests/smtp/advice.cpp").read_text()
    for found in _AT.finditer(source):
        reply = "".join(re.findall(_TEXT, found[2])).replace("\\r\\n", "\r\n")
        yield found[1] or "auth", reply, found[4]


ALL = list(examples())


def test_the_rows_are_found():
    assert len(ALL) > 100
    assert {phase for phase, _, _ in ALL} == {"auth", "mail", "rcpt", "content"}


@pytest.mark.parametrize(("phase", "reply", "part"), ALL)
def test_each_reply_comes_with_its_advice(phase, reply, part):
    fault = testing.Fault(phase, 0, send=reply + "\r\n")
    login = {"user": "ann", "password": "secret"} if phase == "auth" else {}
    asks = {"users": {"ann": "secret"}, "auth_in_clear": True} if login else {}
    with testing.Sink(faults=[fault], **asks) as sink:
        url = sink.url() + ("?insecure_authentication=true" if login else "")
        found = postroad.diagnose(url, sender="ann@x.example", recipients="bob@y.example", **login)
        with postroad.Mailer(url, **login) as mail:
            with pytest.raises(postroad.Error) as e:
                mail.send(compose()).require_accepted()
    assert part in e.value.advice
    if phase != "content":
        assert part in "\n".join(step.advice for step in found.steps if step.grade == "bad")
    if isinstance(e.value, postroad.NotAccepted):
        (recipient,) = e.value.receipt.recipients
        assert recipient.advice == e.value.advice


def test_who_accepted_has_none():
    with testing.Sink() as sink, postroad.Mailer(sink.url()) as mail:
        (recipient,) = mail.send(compose()).recipients
    assert recipient.advice == ""


def test_advice_that_depends_on_whose_server_it_was_is_left_out_where_that_is_not_known():
    def advice(enhanced, text, direct):
        said = {"code": 550, "enhanced": enhanced, "text": text, "phase": "rcpt"}
        return postroad.RecipientOutcome("b@x.example", postroad.Status.REJECTED, **said, direct=direct).advice

    known = {direct: advice("5.1.1", "no such user", direct) for direct in (False, True, None)}
    assert known[False] == known[True] == known[None] != ""
    asks = {direct: advice("5.7.0", "Authentication required", direct) for direct in (False, True, None)}
    assert asks[False] != asks[True]
    assert asks[None] == ""


def test_who_is_hung_up_on_before_a_greeting_is_told_to_try_tls_from_the_start():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        hang_up = threading.Thread(target=lambda: listening.accept()[0].close(), daemon=True)
        hang_up.start()
        with postroad.Mailer(f"smtp://127.0.0.1:{listening.getsockname()[1]}", attempts=1) as mail:
            with pytest.raises(postroad.Error) as e:
                mail.send(compose())
        hang_up.join()
    assert e.value.phase == "greeting"
    assert "expect TLS from the first octet. Use smtps://" in e.value.advice


@pytest.mark.parametrize(
    ("word", "code", "part"),
    [
        ("invalid-proof", "authentication_rejected", "not that of this user"),
        ("unknown-user", "authentication_rejected", "nothing for SCRAM"),
        ("invalid-username-encoding", "authentication_rejected", "nothing for SCRAM"),
        ("other-error", "authentication_rejected", "does not say why"),
        ("invalid-encoding", "authentication_rejected", "another mechanism"),
        ("extensions-not-supported", "authentication_rejected", "another mechanism"),
        ("channel-binding-not-supported", "authentication_rejected", "another mechanism"),
        ("unsupported-channel-binding-type", "authentication_rejected", "another mechanism"),
        ("channel-bindings-dont-match", "authentication_failed", "no password there"),
        ("server-does-support-channel-binding", "authentication_failed", "no password there"),
        ("no-resources", "authentication_deferred", "Try later"),
    ],
)
def test_what_scram_is_refused_for_is_named_with_its_advice(make_server, word, code, part):
    server = make_server(
        replies={
            "greeting": "220 x",
            "EHLO": "250-x\r\n250 AUTH SCRAM-SHA-256",
            "AUTH": "334 " + base64.b64encode(f"e={word}".encode()).decode(),
            "": "535 5.7.8 no",
        }
    )
    login = {"user": "ann", "password": "secret", "insecure_authentication": True}
    found = postroad.diagnose(server.url, **login)
    with postroad.Mailer(server.url, **login) as mail, pytest.raises(postroad.Error) as e:
        mail.send(compose())
    assert e.value.code == code
    assert e.value.transient == (code == "authentication_deferred")
    assert f"the server reports {word}" in str(e.value)
    assert part in e.value.advice
    assert [step.advice for step in found.steps if step.grade == "bad"] == [e.value.advice]
