from __future__ import annotations

import argparse
import importlib
import os
import socket
import time
from email.message import EmailMessage
from pathlib import Path

import pytest
from dns_server import DnsServer
from postroad import testing
from smtp_server import Server

if os.environ.get("CI"):
    pytest.importorskip = importlib.import_module  # what could not run has failed there


@pytest.fixture
def server():
    s = Server()
    yield s
    s.close()


@pytest.fixture
def make_server():
    running = []

    def make(**behaviour):
        running.append(Server(**behaviour))
        return running[-1]

    yield make
    for s in running:
        s.close()


def compose(to="bob@example.org", subject="Hi", text="Hello.\n"):
    m = EmailMessage()
    m["From"] = "Ann Lee <ann@example.com>"
    m["To"] = to
    m["Subject"] = subject
    m.set_content(text)
    return m


def until(there, patience=60):
    """Waits for what another thread or process does, and gives it."""
    end = time.monotonic() + patience
    while not (found := there()):
        assert time.monotonic() < end, "this never came"
        time.sleep(0.01)
    return found


@pytest.fixture
def closed_port():
    """A port at which nobody listens, and which nobody else is given meanwhile."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        yield s.getsockname()[1]


@pytest.fixture
def within_a_day():
    """For what is counted by days: midnight, by UTC, is not within the next minute."""
    while (left := 86400 - time.time() % 86400) < 60:
        time.sleep(left)


@pytest.fixture
def message():
    return compose()


OPTIONS = argparse.ArgumentParser()
OPTIONS.add_argument("--starttls", dest="security", action="store_const", const="starttls", default="insecure_none")
OPTIONS.add_argument("--implicit-tls", dest="security", action="store_const", const="implicit")
OPTIONS.add_argument("--auth", default="")
OPTIONS.add_argument("--mechanism", action="append")
OPTIONS.add_argument("--require-auth", action="store_true")
OPTIONS.add_argument("--ca-out", default=os.devnull)


class Sink:
    """The test server of the library, which has TLS and AUTH, with the options of examples/sink.cpp."""

    def __init__(self, *options):
        o = OPTIONS.parse_args(options)
        user, _, password = o.auth.partition(":")
        self.sink = testing.Sink(
            security=o.security,
            users={user: password} if user else None,
            mechanisms=o.mechanism,
            auth_in_clear=o.security == "insecure_none",
            require_auth=o.require_auth,
        )
        Path(o.ca_out).write_text(self.sink.ca_pem)
        self.port = self.sink.port

    def stop(self):
        self.sink.stop()
        return self.sink.counts


@pytest.fixture
def dns():
    server = DnsServer()
    yield server
    server.close()


@pytest.fixture
def sink():
    with testing.Sink() as running:
        yield running


@pytest.fixture
def start_sink():
    running = []

    def start(*options):
        running.append(Sink(*options))
        return running[-1]

    yield start
    for sink in running:
        sink.stop()
