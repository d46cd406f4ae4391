"""Exceptions: which, with what, and never with a secret."""

from __future__ import annotations

import errno
import inspect
import pickle
import smtplib
import subprocess
import sys
import traceback

import postroad
import pytest

SECRET = "correct-horse-battery"
HELLO = ("EHLO", "HELO")


def test_what_the_system_refuses_is_an_error_too():
    program = """
import resource, postroad
resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
try:
    postroad.Mailer("smtp://localhost")
except postroad.TransientError as e:
    print(e.code, isinstance(e, OSError))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("EMFILE True\n", "")


def patience(behaviour):
    """Little where no reply comes, and the usual where one may be slow."""
    return {"reply_timeout": 0.3} if "stall" in behaviour else {}


@pytest.mark.parametrize(
    ("behaviour", "kind", "code", "phase", "transient"),
    [
        ({"replies": {"greeting": "554 5.3.2 closed"}}, postroad.Error, "greeting_refused", "greeting", None),
        ({"replies": {"greeting": "hello there"}}, postroad.ProtocolError, "malformed_reply", "greeting", False),
        ({"replies": {"EHLO": "421 4.3.2 closing"}}, postroad.TransientError, "service_closing", "hello", True),
        ({"replies": dict.fromkeys(HELLO, "451 4.3.0 no")}, postroad.HelloRefused, "hello_refused", "hello", True),
        ({"replies": dict.fromkeys(HELLO, "550 5.7.1 no")}, postroad.HelloRefused, "hello_refused", "hello", False),
        ({"stall": "greeting"}, postroad.TimedOut, "timed_out", "greeting", True),
        ({"replies": {"greeting": "drop"}}, postroad.TransientError, "connection_closed", "greeting", True),
    ],
)
def test_a_server_that_does_not_serve(make_server, message, behaviour, kind, code, phase, transient):
    server = make_server(**behaviour)
    with postroad.Mailer(server.url, **patience(behaviour)) as mail, pytest.raises(kind) as e:
        mail.send(message)
    assert e.value.code == code
    assert e.value.host == f"127.0.0.1:{server.port}"
    assert phase is None or e.value.phase == phase
    assert transient is None or e.value.transient is transient
    assert [r.address for r in e.value.receipt.recipients] == ["bob@example.org"]
    assert e.value.receipt.error is e.value
    assert not e.value.receipt.all_accepted


def test_the_words_of_the_server_are_in_the_exception(make_server, message):
    server = make_server(replies={"greeting": "554 5.3.2 closed\x1b for today"})
    with postroad.Mailer(server.url) as mail, pytest.raises(postroad.Error) as e:
        mail.send(message)
    assert "for today" in e.value.reply
    assert "\x1b" not in e.value.reply + str(e.value)


def test_no_server_at_all_is_transient(closed_port, message):
    with postroad.Mailer(f"smtp+insecure://127.0.0.1:{closed_port}") as mail:
        with pytest.raises(postroad.TransientError) as e:
            mail.send(message)
    assert (e.value.code, e.value.phase, e.value.transient) == ("ECONNREFUSED", "connect", True)


def test_timed_out_is_a_timeout_error(make_server, message):
    server = make_server(stall="EHLO")
    with postroad.Mailer(server.url, reply_timeout=0.1) as mail, pytest.raises(TimeoutError) as e:
        mail.send(message)
    assert e.type is postroad.TimedOut


def test_a_server_without_what_the_message_needs_is_permanent(make_server):
    server = make_server(extensions=())
    content = "From: jörg@x.example\nTo: b@x.example\nSubject: Hi\n\nHi\n".encode()
    with postroad.Mailer(server.url, close_timeout=0) as mail, pytest.raises(postroad.PermanentError) as e:
        mail.submit(content).wait(60)
    assert e.value.code == "internationalised_unsupported"
    assert len(e.value.receipt.rejected) == 1


def test_tls_is_required_by_default(server, message):
    with postroad.Mailer(f"smtp://127.0.0.1:{server.port}") as mail, pytest.raises(postroad.TlsError) as e:
        mail.send(message)
    assert e.value.code == "tls_not_offered"
    assert not any(c.startswith("MAIL") for c in server.commands)


@pytest.mark.parametrize(("mode", "scheme"), [("--starttls", "smtp"), ("--implicit-tls", "smtps")])
def test_tls_is_verified_and_the_password_proven(start_sink, tmp_path, message, mode, scheme):
    ca = tmp_path / "ca.pem"
    sink = start_sink(mode, "--auth", f"ann:{SECRET}", "--require-auth", "--ca-out", str(ca))
    url = f"{scheme}://ann:{SECRET}@localhost:{sink.port}"
    with postroad.Mailer(url, ca_file=ca) as mail:
        assert mail.send(message).all_accepted
    with postroad.Mailer(f"{url}?ca={ca}") as mail:
        assert mail.send(message).all_accepted
    with postroad.Mailer(f"{scheme}://localhost:{sink.port}", user="ann", password=SECRET, ca_file=str(ca)) as mail:
        assert mail.send(message).all_accepted
    with postroad.Mailer(url) as mail, pytest.raises(postroad.TlsError) as e:
        mail.send(message)
    assert e.value.code == "tls_certificate"
    with postroad.Mailer(url.replace(SECRET, "wrong-" + SECRET), ca_file=ca) as mail:
        with pytest.raises(postroad.AuthenticationError) as refused:
            mail.send(message)
    assert refused.value.code == "authentication_rejected"
    assert SECRET not in shown(refused.value)
    assert sink.stop()["messages"] == 3


def test_credentials_are_not_sent_in_the_clear(server, message):
    url = server.url.replace("//", f"//ann:{SECRET}@")
    with postroad.Mailer(url) as mail, pytest.raises(postroad.AuthenticationError) as e:
        mail.send(message)
    assert e.value.code in ("insecure_authentication", "authentication_not_offered")
    assert SECRET not in shown(e.value) + repr(mail) + str(vars(mail))
    assert SECRET not in "".join(server.commands)


def shown(e):
    return "".join(traceback.format_exception(type(e), e, e.__traceback__)) + repr(vars(e)) + repr(e.__context__)


@pytest.mark.parametrize(
    ("url", "options", "code"),
    [
        (f"http://ann:{SECRET}@x.example", {}, "invalid_url"),
        (f"smtp://ann:{SECRET}@", {}, "invalid_url"),
        (f"smtp://ann:{SECRET}\ud800@x.example", {}, "invalid_url"),
        (f"smtp://ann:{SECRET}@x.example?conections=3", {}, "invalid_option"),
        (f"smtp://ann:{SECRET}@x.example", {"user": "bob"}, "contradiction"),
        (f"smtp://ann:{SECRET}@x.example", {"password": SECRET}, "contradiction"),
        (f"smtp://ann:{SECRET}@x.example", {"token": SECRET}, "contradiction"),
        ("smtp://x.example", {"user": "ann", "password": SECRET + "\n"}, "invalid_credentials"),
        ("smtp://x.example", {"user": "ann", "password": SECRET + "\udfff"}, "invalid_option"),
        ("smtp://x.example", {"user": "ann", "token": SECRET + " x"}, "invalid_credentials"),
        ("smtp://x.example?connections=3", {"connections": 3}, "contradiction"),
        ("smtp://x.example?ca=/x.pem", {"ca_file": "/x.pem"}, "contradiction"),
        ("smtp://x.example?helo=a.example", {"client_name": "a.example"}, "contradiction"),
        ("smtp://x.example?pipelining=across", {"pipelining": "across"}, "contradiction"),
        ("smtp://x.example?pool=3", {"connections": 3}, "contradiction"),
        ("smtp://x.example?recipients=3", {"recipients_per_transaction": 3}, "contradiction"),
        ("smtp://x.example?pipelining=window&window=3", {"window": 3}, "contradiction"),
        ("smtp://x.example?tls=insecure_no_verify", {"ca_file": "/x.pem"}, "contradiction"),
        ("smtp+insecure://x.example?tls=implicit", {}, "contradiction"),
        ("smtp://x.example", {"window": 3, "pipelining": "across"}, "contradiction"),
        ("smtp://x.example", {"window": 0, "pipelining": "window"}, "invalid_option"),
        ("smtp://x.example", {"window": 1001, "pipelining": "window"}, "invalid_option"),
        ("smtp://x.example", {"recipients_per_transaction": 0}, "invalid_option"),
        ("smtp://x.example", {"recipients_per_transaction": 100_001}, "invalid_option"),
        ("lmtp://x.example:25", {}, "contradiction"),
        ("smtp://x.example", {"client_name": "a b"}, "invalid_option"),
        ("smtp://x.example", {"pipelining": "fast"}, "invalid_option"),
        ("smtp://x.example", {"when_full": "drop"}, "invalid_option"),
        ("smtp://x.example", {"connections": 0}, "invalid_option"),
        ("smtp://x.example", {"connections": 10_001}, "invalid_option"),
        ("smtp://x.example", {"attempts": 0}, "invalid_option"),
        ("smtp://x.example", {"attempts": 1001}, "invalid_option"),
        ("smtp://x.example", {"idle": 0}, "invalid_option"),
        ("smtp://x.example", {"first_wait": -1}, "invalid_option"),
        ("smtp://x.example", {"connect_timeout": float("nan")}, "invalid_option"),
        ("smtp://x.example", {"connect_timeout": 1.1e9}, "invalid_option"),
        ("smtp://x.example", {"ca_file": ""}, "invalid_option"),
    ],
)
def test_settings_that_are_not_valid(url, options, code):
    with pytest.raises(postroad.InvalidInput) as e:
        postroad.Mailer(url, **options)
    assert e.value.code == code
    assert SECRET not in shown(e.value).replace(repr(url), "")


@pytest.mark.parametrize(
    "options",
    [
        {"url": f"smtp://ann:{SECRET}@x.example".encode()},
        {"password": SECRET.encode()},
        {"password": [SECRET]},
        {"connections": "3"},
        {"connections": True},
        {"idle": "3"},
        {"idle": True},
    ],
)
def test_settings_of_a_wrong_type(options):
    options = {"url": "smtp://x.example", **options}
    with pytest.raises(TypeError) as e:
        postroad.Mailer(**options)
    assert SECRET not in str(e.value)


def test_the_greatest_values_are_allowed():
    options = {"connections": 10_000, "attempts": 1000, "connect_timeout": 1e9, "first_wait": 1e9, "idle": 1e9}
    options |= {"pipelining": "window", "window": 1000, "recipients_per_transaction": 100_000}
    postroad.Mailer("smtp://x.example", capacity=1, **options).close()
    postroad.Mailer("smtp://x.example?pipelining=window", window=1000).close()


def test_a_repr_names_the_server_only():
    mail = postroad.Mailer(f"smtp://ann:{SECRET}@smtp.example.com:2587")
    assert repr(mail) == "<postroad.Mailer smtp.example.com:2587>"
    mail.close()
    assert repr(mail) == "<postroad.Mailer smtp.example.com:2587>"


def test_an_error_says_what_to_do_where_that_is_known(closed_port, message):
    with postroad.Mailer(f"smtp+insecure://127.0.0.1:{closed_port}") as mail:
        with pytest.raises(postroad.NoConnection) as e:
            mail.send(message)
    assert e.value.advice.startswith("Nothing listens at this port. Submission is 587 (smtp://)")
    with pytest.raises(postroad.InvalidInput) as e:
        postroad.Mailer("nowhere")
    assert e.value.advice == ""


def test_exceptions_and_receipts_can_be_pickled(closed_port, message):
    with postroad.Mailer(f"smtp+insecure://127.0.0.1:{closed_port}") as mail:
        with pytest.raises(postroad.TransientError) as e:
            mail.send(message)
    copy = pickle.loads(pickle.dumps(e.value))
    assert type(copy) is type(e.value)
    assert (str(copy), copy.code, copy.host, copy.phase) == (str(e.value), "ECONNREFUSED", e.value.host, "connect")
    assert copy.advice == e.value.advice
    assert copy.receipt.recipients == e.value.receipt.recipients
    assert copy.receipt.error is copy


@pytest.mark.parametrize("kind", [postroad.InvalidInput, postroad.TimedOut, postroad.QueueFull, postroad.NotAccepted])
def test_exceptions_can_be_made_in_tests_of_others(kind):
    e = kind("no", code="x", host="h:1", phase="mail", reply="550 no", transient=True)
    assert (str(e), e.code, e.host, e.phase, e.reply, e.receipt, e.transient) == (
        "no",
        "x",
        "h:1",
        "mail",
        "550 no",
        None,
        True,
    )
    assert isinstance(e, postroad.Error)


ERRORS = [e for e in vars(postroad).values() if isinstance(e, type) and issubclass(e, postroad.Error)]
KIN = {
    postroad.InvalidInput: ValueError,
    postroad.TimedOut: TimeoutError,
    postroad.NoConnection: ConnectionError,
    postroad.Disconnected: (ConnectionError, smtplib.SMTPServerDisconnected),
    postroad.GreetingRefused: smtplib.SMTPConnectError,
    postroad.HelloRefused: smtplib.SMTPHeloError,
    postroad.AuthenticationError: smtplib.SMTPAuthenticationError,
    postroad.Unsupported: smtplib.SMTPNotSupportedError,
    postroad.NotAccepted: smtplib.SMTPRecipientsRefused,
}


@pytest.mark.parametrize(
    "name", ["HelloRefused", "TlsError", "AuthenticationError", "GreetingRefused", "NoConnection", "ProtocolError"]
)
def test_what_is_wrong_with_a_site_says_nothing_about_a_message(name):
    assert not issubclass(getattr(postroad, name), postroad.PermanentError)


@pytest.mark.parametrize("kind", ERRORS)
def test_what_programs_catch_catches_each_error(kind):
    for usual in (smtplib.SMTPException, OSError):
        with pytest.raises(usual):
            raise kind("no")
    kin = KIN.get(kind, ())
    for one in kin if isinstance(kin, tuple) else (kin,):
        assert issubclass(kind, one)
    e = pickle.loads(pickle.dumps(kind("no", code="ECONNREFUSED", reply="535 5.7.8 no")))
    assert type(e) is kind
    assert (str(e), e.args, e.errno, e.smtp_code, e.smtp_error) == (
        "no",
        ("no",),
        errno.ECONNREFUSED,
        535,
        b"5.7.8 no",
    )
    assert (kind("no").errno, kind("no").smtp_code, kind("no").smtp_error) == (None, -1, b"")


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ({"replies": {"greeting": "554 5.3.2 closed"}}, smtplib.SMTPConnectError),
        ({"replies": {"EHLO": "550 no", "HELO": "550 no"}}, smtplib.SMTPHeloError),
        ({"replies": {"greeting": "drop"}}, smtplib.SMTPServerDisconnected),
        ({"replies": {"greeting": "drop"}}, ConnectionError),
        ({"replies": {"EHLO": "421 4.3.2 closing"}}, smtplib.SMTPServerDisconnected),
        ({"stall": "greeting"}, TimeoutError),
        ({"replies": {"greeting": "hello there"}}, smtplib.SMTPException),
        ({"extensions": ()}, smtplib.SMTPNotSupportedError),
        ({"replies": {"RCPT": "550 5.1.1 unknown"}}, smtplib.SMTPRecipientsRefused),
        ({"replies": {"MAIL": "550 5.1.1 unknown"}}, smtplib.SMTPRecipientsRefused),
        ({"replies": {"content": "drop"}}, smtplib.SMTPException),
    ],
)
def test_a_server_that_does_not_serve_is_an_error_of_smtplib(make_server, behaviour, kind):
    server = make_server(**behaviour)
    content = "From: jörg@x.example\nTo: b@x.example\nSubject: Hi\n\nHi\n".encode()
    plain = content.decode().encode("ascii", "replace")
    with postroad.Mailer(server.url, close_timeout=0, **patience(behaviour)) as mail, pytest.raises(kind) as e:
        mail.send(plain if "extensions" not in behaviour else content).require_accepted()
    assert isinstance(e.value, postroad.Error)
    assert isinstance(e.value, OSError)


def test_no_server_at_all_is_a_connection_error(closed_port, message):
    for host in (f"127.0.0.1:{closed_port}", "no-such-host.invalid"):
        with postroad.Mailer(f"smtp+insecure://{host}") as mail, pytest.raises(ConnectionError):
            mail.send(message)
    with pytest.raises(OSError, match="refused") as e:
        postroad.send(f"smtp+insecure://127.0.0.1:{closed_port}", message)
    assert e.value.errno == errno.ECONNREFUSED


def test_refused_recipients_stand_in_the_exception_as_in_that_of_smtplib(server):
    message = b"From: a@x.example\nTo: bob@x.example, rejected@x.example, deferred@x.example\n\nHi\n"
    with pytest.raises(smtplib.SMTPRecipientsRefused) as e:
        postroad.send(server.url, message).require_accepted()
    assert e.value.recipients == {
        "rejected@x.example": (550, b"no such user"),
        "deferred@x.example": (451, b"later"),
    }
    assert pickle.loads(pickle.dumps(e.value)).recipients == e.value.recipients


def test_a_refused_password_is_an_error_of_smtplib_with_the_reply(start_sink, message):
    sink = start_sink("--auth", f"ann:{SECRET}", "--require-auth")
    url = f"smtp+insecure://ann:wrong@localhost:{sink.port}?insecure_authentication=true"
    with pytest.raises(smtplib.SMTPAuthenticationError) as e:
        postroad.send(url, message)
    assert e.value.smtp_code == 535
    assert e.value.smtp_error.startswith(b"5.7.8")


def test_none_stands_for_what_is_not_given(server, message):
    names = [n for n in inspect.signature(postroad.Mailer).parameters if n != "url"]
    with postroad.Mailer(server.url, **dict.fromkeys(names)) as mail, postroad.Mailer(server.url) as usual:
        assert mail.send(message).all_accepted
        own = ("_close_timeout", "_capacity", "_asking", "_outbox")
        assert [getattr(mail, n) for n in own] == [getattr(usual, n) for n in own]
    for name in names:
        with postroad.Mailer(server.url, **{name: None}) as mail:
            assert mail._close_timeout == 30
    names = [n for n in inspect.signature(postroad.diagnose).parameters if n not in ("url", "sender", "recipients")]
    assert postroad.diagnose(server.url, **dict.fromkeys(names)).good
