"""The fixtures themselves, driven by Python's smtplib: what a server gets is what is read back."""

import smtplib
import socket
import ssl

import pytest

import fixtures
from fixtures import PASSWORD, ServerInfo, crlf, split_trace

MESSAGE = crlf(
    b"Received: from elsewhere by another.example.test; Mon, 5 Feb 2024 09:14:03 +0100\n"
    b"From: alice@example.test\nTo: bob@example.test\nSubject: byte for byte\n"
    b"Date: Mon, 5 Feb 2024 09:14:03 +0100\nMessage-ID: <1@example.test>\n"
    b"Return-Path: <kept@example.test>\nX-Folded: a\n\tb\n\n"
    b".\n..\n.dot\n8-bit: \xc3\xa9\n\n trailing space \n"
)


def context(server: ServerInfo) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.ca))


def plain(server: ServerInfo, port: str) -> smtplib.SMTP:
    return smtplib.SMTP("localhost", server.ports[port], timeout=60)


def starttls(server: ServerInfo, port: str) -> smtplib.SMTP:
    client = plain(server, port)
    client.starttls(context=context(server))
    return client


def implicit(server: ServerInfo, port: str) -> smtplib.SMTP:
    return smtplib.SMTP_SSL("localhost", server.ports[port], timeout=60, context=context(server))


def lmtp(server: ServerInfo, port: str) -> smtplib.SMTP:
    return smtplib.LMTP("localhost", server.ports[port], timeout=60)


def simplest(server: ServerInfo) -> smtplib.SMTP:
    if server.name == "dovecot":
        return lmtp(server, "lmtp")
    return plain(server, "mx" if server.name == "postfix" else "smtp")


WAYS = [
    ("postfix", "mx", plain, None),
    ("postfix", "mx", starttls, None),
    ("postfix", "submission", starttls, "PLAIN"),
    ("postfix", "submission", starttls, "LOGIN"),
    ("postfix", "smtps", implicit, "PLAIN"),
    ("postfix", "smtps", implicit, "LOGIN"),
    ("postfix", "lmtp", lmtp, None),
    ("dovecot", "lmtp", lmtp, None),
    ("exim", "smtp", plain, None),
    ("exim", "smtp", starttls, "PLAIN"),
    ("exim", "smtp", starttls, "LOGIN"),
    ("exim", "smtps", implicit, "PLAIN"),
    ("exim", "smtps", implicit, "LOGIN"),
    ("opensmtpd", "smtp", plain, None),
]


def numbered(number: int) -> bytes:
    return b"Date: Mon, 5 Feb 2024 09:14:03 +0100\r\nMessage-ID: <%d@example.test>\r\n\r\n" % number


def authenticate(client: smtplib.SMTP, mechanism: str, password: str = PASSWORD) -> None:
    client.ehlo()
    client.user, client.password = "alice", password
    client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))


@pytest.mark.parametrize(
    ("server", "port", "connect", "mechanism"),
    WAYS,
    ids=[f"{name}-{port}-{connect.__name__}-{mechanism}" for name, port, connect, mechanism in WAYS],
    indirect=["server"],
)
def test_a_message_is_read_back_byte_for_byte(server, port, connect, mechanism):
    with connect(server, port) as client:
        if mechanism:
            authenticate(client, mechanism)
        client.sendmail("alice@example.test", ["bob@example.test"], MESSAGE)
    assert server.wait("bob", 1) == [MESSAGE]
    trace, _ = split_trace(server.stored("bob")[0])
    assert b"return-path: <alice@example.test>" in trace.lower()


@pytest.mark.parametrize("server", ["postfix", "exim"], indirect=True)
def test_a_bcc_that_a_client_forgot_to_remove_stays_visible(server):
    message = b"Bcc: hidden@example.test\r\n" + MESSAGE
    with simplest(server) as client:
        client.sendmail("alice@example.test", ["bob@example.test"], message)
    assert server.wait("bob", 1) == [message]


@pytest.mark.parametrize("server", ["postfix", "dovecot", "exim", "opensmtpd"], indirect=True)
def test_messages_come_in_the_order_of_arrival(server):
    with simplest(server) as client:
        for number in range(12):
            client.sendmail("alice@example.test", ["bob@example.test"], numbered(number))
            server.wait("bob", number + 1)
    assert server.messages("bob") == [numbered(number) for number in range(12)]


@pytest.mark.parametrize(
    ("server", "port", "connect"),
    [("postfix", "submission", starttls), ("postfix", "smtps", implicit), ("exim", "smtp", starttls)],
    indirect=["server"],
)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_wrong_password_is_refused(server, port, connect, mechanism):
    with connect(server, port) as client, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        authenticate(client, mechanism, "wrong")
    assert refused.value.smtp_code == 535


@pytest.mark.parametrize(
    ("server", "recipient", "code"),
    [
        ("postfix", "reject", 550),
        ("postfix", "greylist", 451),
        ("postfix", "defer", 450),
        ("postfix", "full", 452),
        ("postfix", "drop421", 421),
        ("postfix", "nobody", 550),
        ("exim", "reject", 550),
        ("exim", "greylist", 451),
        ("exim", "full", 452),
        ("exim", "nobody", 550),
        ("opensmtpd", "nobody", 524),
        ("dovecot", "nobody", 550),
    ],
    indirect=["server"],
)
def test_a_recipient_is_refused_as_documented(server, recipient, code):
    with simplest(server) as client:
        client.ehlo()
        client.mail("alice@example.test")
        assert client.rcpt(f"{recipient}@example.test")[0] == code


def test_postfix_refuses_a_blocked_sender(postfix):
    with plain(postfix, "mx") as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.sendmail("blocked@example.test", ["bob@example.test"], MESSAGE)
    assert refused.value.recipients["bob@example.test"][0] == 554


def test_postfix_wants_authentication_on_its_submission_port(postfix):
    with starttls(postfix, "submission") as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.sendmail("alice@example.test", ["bob@example.test"], MESSAGE)
    assert refused.value.recipients["bob@example.test"][0] == 554


@pytest.mark.parametrize("server", ["postfix", "dovecot", "exim", "opensmtpd"], indirect=True)
def test_a_server_listens_on_loopback_only(server):
    # what listens on all addresses listens on 127.0.0.2 too
    for port in server.ports.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5).close()


def test_all_servers_share_one_ca(start_server):
    assert len({start_server(name).ca for name in fixtures.PORTS}) == 1


def test_waiting_for_what_does_not_come_ends_with_the_log(exim):
    with pytest.raises(fixtures.ServerError, match="0 of 1 messages for bob"):
        exim.wait("bob", 1, deadline=0)


def test_what_a_message_brought_along_is_not_taken_for_trace():
    own = b"Return-Path: <a@x>\nReceived: from c\n\tby mail.example.test with ESMTP; now\n"
    brought = b"Return-Path: <b@x>\nReceived: from e by elsewhere\nSubject: s\n\nReceived: by mail.example.test\n"
    assert split_trace(own + brought) == (own, brought)
    assert split_trace(brought) == (b"", brought)


@pytest.mark.parametrize("name", ["postfix", "dovecot", "exim"])
def test_a_server_is_gone_after_its_block(name):
    with fixtures.running(name) as server:
        socket.create_connection(("127.0.0.1", next(iter(server.ports.values())))).close()
    assert not server.dir.exists()
    for port in server.ports.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_a_missing_server_is_an_error_that_names_the_cure(monkeypatch):
    monkeypatch.setenv("POSTROAD_TEST_PREFIX", "/nonexistent")
    with pytest.raises(fixtures.ServerError, match="run tests/servers/install"), fixtures.running("exim"):
        pass


def test_without_root_the_error_says_so(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(fixtures.ServerError, match="needs root"), fixtures.running("exim"):
        pass
