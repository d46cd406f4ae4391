"""The sink seen by a client that is not ours: Python's smtplib."""

import base64
import json
import mailbox
import os
import select
import signal
import smtplib
import socket
import ssl
import subprocess

import pytest

CONTENT = b"Subject: hello\r\n\r\n.a dot\r\nend\r\n"


class Sink:
    def __init__(self, *options):
        program = os.environ.get("POSTROAD_SINK")
        assert program, "set POSTROAD_SINK to the sink program"
        self.process = subprocess.Popen([program, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert select.select([self.process.stdout], [], [], 60)[0], "the sink does not say that it listens"
        word, self.port = self.process.stdout.readline().split()
        assert word == "listening"
        self.port = int(self.port)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, self.noted = self.process.communicate(timeout=60)
        return json.loads(out)


@pytest.fixture
def start():
    running = []

    def go(*options):
        running.append(Sink(*options))
        return running[-1]

    yield go
    for sink in running:
        if sink.process.poll() is None:
            sink.process.kill()
            sink.process.communicate()


def connect(sink, kind=smtplib.SMTP, **options):
    return kind("localhost", sink.port, local_hostname="client.example", timeout=60, **options)


def trusting(ca):
    return ssl.create_default_context(cafile=ca)


def test_plain_message_is_stored_in_the_maildir(start, tmp_path):
    sink = start("--maildir", str(tmp_path / "mail"))
    with connect(sink) as client:
        refused = client.sendmail("a@x.example", ["b@y.example", "c@y.example"], CONTENT)
        assert refused == {}
    totals = sink.stop()
    assert totals["messages"] == 1 and totals["octets"] == len(CONTENT) and totals["violations"] == 0
    (message,) = mailbox.Maildir(tmp_path / "mail", create=False)
    assert message["Return-Path"] == "<a@x.example>"
    assert message.get_all("Delivered-To") == ["b@y.example", "c@y.example"]
    assert message.get_payload(decode=True).replace(b"\r\n", b"\n") == b".a dot\nend\n"


@pytest.mark.parametrize("mode", ["--starttls", "--implicit-tls"])
def test_tls_is_verified_and_credentials_are_taken(start, tmp_path, mode):
    ca = str(tmp_path / "ca.pem")
    sink = start(mode, "--auth", "ann:secret", "--require-auth", "--ca-out", ca)
    if mode == "--starttls":
        client = connect(sink)
        client.starttls(context=trusting(ca))
    else:
        client = connect(sink, smtplib.SMTP_SSL, context=trusting(ca))
    with client:
        with pytest.raises(smtplib.SMTPSenderRefused, match="530"):
            client.sendmail("a@x.example", "b@y.example", CONTENT)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("ann", "wrong")
        client.login("ann", "secret")
        client.sendmail("a@x.example", "b@y.example", CONTENT)
    totals = sink.stop()
    assert totals["messages"] == 1 and totals["handshakes"] == 1 and totals["auth_attempts"] >= 2
    assert sink.noted == ""


@pytest.mark.parametrize("mechanism", ["auth_plain", "auth_login"])
@pytest.mark.parametrize("initial", [True, False])
def test_each_form_of_auth(start, mechanism, initial):
    sink = start("--auth", "ann:secret")
    with connect(sink) as client:
        client.ehlo()
        client.user, client.password = "ann", "secret"
        name = mechanism.removeprefix("auth_").upper()
        assert client.auth(name, getattr(client, mechanism), initial_response_ok=initial)[0] == 235
    assert sink.stop()["violations"] == 0


def test_certificate_is_not_trusted_without_the_ca(start):
    sink = start("--implicit-tls")
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(sink, smtplib.SMTP_SSL, context=ssl.create_default_context())


def test_large_message_over_tls_arrives_whole(start, tmp_path):
    ca = str(tmp_path / "ca.pem")
    sink = start("--implicit-tls", "--maildir", str(tmp_path / "mail"), "--ca-out", ca)
    line = base64.b64encode(bytes(range(57))) + b"\r\n"
    body = line * 40_000
    with connect(sink, smtplib.SMTP_SSL, context=trusting(ca)) as client:
        client.sendmail("a@x.example", "b@y.example", b"\r\n" + body)
    assert sink.stop()["octets"] == len(body) + 2
    (name,) = os.listdir(tmp_path / "mail" / "new")
    assert (tmp_path / "mail" / "new" / name).read_bytes().endswith(b"\r\n\r\n" + body)


def test_faults_of_the_command_line_come_in_their_turn(start):
    sink = start("--fault", "rcpt:2:451 4.7.1 later", "--fault", "content:2:+|drop")
    with connect(sink) as client:
        refused = client.sendmail("a@x.example", ["b@y.example", "c@y.example"], CONTENT)
        assert refused == {"c@y.example": (451, b"4.7.1 later")}
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.sendmail("a@x.example", "b@y.example", CONTENT)
    assert sink.stop()["messages"] == 2


def test_size_and_chunking_are_announced(start):
    sink = start("--size", "20", "--chunking", "--no-pipelining")
    with connect(sink) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == "20"
        assert client.has_extn("chunking") and not client.has_extn("pipelining")
        with pytest.raises(smtplib.SMTPSenderRefused, match="552"):
            client.sendmail("a@x.example", "b@y.example", CONTENT)


def test_violations_are_printed(start):
    sink = start()
    with socket.create_connection(("localhost", sink.port), timeout=60) as raw:
        raw.recv(1000)
        raw.sendall(b"MAIL FROM:<>\r\n")
        raw.recv(1000)
    assert sink.stop()["violations"] == 1
    assert sink.noted == "violation: connection 1: MAIL before EHLO\n"


@pytest.mark.parametrize(
    "options", [["--prot", "1"], ["--port", "x"], ["--port", "70000"], ["--auth", "ann"], ["--fault", "x"], ["--port"]]
)
def test_wrong_options_are_refused(options):
    program = os.environ.get("POSTROAD_SINK")
    assert program, "set POSTROAD_SINK to the sink program"
    done = subprocess.run([program, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("sink: ")
