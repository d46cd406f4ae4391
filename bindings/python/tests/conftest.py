from __future__ import annotations

import json
import os
import signal
import subprocess
from email.message import EmailMessage

import pytest
from smtp_server import Server


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


@pytest.fixture
def message():
    return compose()


class Sink:
    """The test server of the C++ library, which has TLS and AUTH."""

    def __init__(self, *options):
        program = os.environ.get("POSTROAD_SINK")
        assert program, "set POSTROAD_SINK to the program built from examples/sink.cpp"
        self.process = subprocess.Popen([program, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        word, port = self.process.stdout.readline().split()
        assert word == "listening"
        self.port = int(port)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=20)
        return json.loads(out)


@pytest.fixture
def start_sink():
    running = []

    def start(*options):
        running.append(Sink(*options))
        return running[-1]

    yield start
    for sink in running:
        if sink.process.poll() is None:
            sink.process.kill()
        sink.process.communicate()
