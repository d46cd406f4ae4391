"""The programs of examples/python/ that need a framework or a server of their own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import postroad
import pytest
from postroad import testing
from test_examples import EXAMPLES, run
from test_oauth import TokenServer

SECRET = "correct-horse-battery"
PYTHON = [sys.executable, "-W", "ignore"]


@pytest.fixture
def start(tmp_path):
    """Starts a process with the place of the queue and the server in its environment."""
    running = []

    def begin(*arguments, url="discard://", **more):
        place = {"POSTROAD_URL": url, "POSTROAD_QUEUE": str(tmp_path / "q.db"), "PYTHONPATH": str(EXAMPLES), **more}
        log = (tmp_path / f"log{len(running)}").open("w")
        process = subprocess.Popen(
            [*PYTHON, "-m", *arguments], cwd=tmp_path, env={**os.environ, **place}, stdout=log, stderr=log
        )
        process.log = log
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.log.close()


def said(process):
    # not by its own file, whose place the process shares
    return Path(process.log.name).read_text()


@pytest.fixture
def free_port():
    """One that only a server gets which may take it over, as that of Django does."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        yield s.getsockname()[1]


def place_of(process):
    """Where the server says that it listens."""
    while not (found := re.search(r"http://127\.0\.0\.1:[1-9]\d*", said(process))):
        assert process.poll() is None, said(process)
        time.sleep(0.05)
    return found[0]


def asked(process, url, **form):
    """The answer of a server that may still be beginning."""
    data = urllib.parse.urlencode(form).encode() if form else None
    while process.poll() is None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=60) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read().decode()
        except urllib.error.URLError:
            time.sleep(0.05)
    raise AssertionError(said(process))


def end(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (0, -signal.SIGTERM), said(process)


def queued(tmp_path):
    return sorted(j.recipients[0][0] for j in postroad.Queue(tmp_path / "q.db").jobs())


@pytest.mark.parametrize("preload", [[], ["--preload"]])
def test_flask_shop_under_gunicorn(start, tmp_path, preload):
    options = ["--workers", "2", "--bind", "127.0.0.1:0", "--max-requests", "3", *preload]
    server = start("gunicorn", *options, "flask_shop:app")
    for n in range(8):
        assert asked(server, f"{place_of(server)}/order/{n}", email=f"c{n}@example.org") == (200, "Thank you.")
    status, text = asked(server, f"{place_of(server)}/order/9", email="no address")
    assert (status, "cannot be one" in text) == (400, True)
    end(server)
    assert queued(tmp_path) == [f"c{n}@example.org" for n in range(8)]


def test_workers_of_gunicorn_send_what_they_took_before_they_end(start):
    with testing.Sink() as sink:
        options = ["--workers", "2", "--bind", "127.0.0.1:0", "--max-requests", "2"]
        server = start("gunicorn", *options, "flask_shop:app", url=sink.url(), POSTROAD_QUEUE="")
        for n in range(8):
            assert asked(server, f"{place_of(server)}/order/{n}", email=f"c{n}@example.org")[0] == 200
        end(server)
        assert len(sink.messages) == 8
        assert sink.violations == []


def test_fastapi_shop(start):
    with testing.Sink() as sink:
        server = start("uvicorn", "--port", "0", "fastapi_shop:app", url=sink.url())
        base = f"{place_of(server)}/order"
        assert asked(server, f"{base}/7?email=bob@example.org", x="")[0] == 200
        assert asked(server, f"{base}/8?email=nobody", x="")[0] == 422
        end(server)
        assert [m.message["Subject"] for m in sink.messages] == ["Order 7"]


def test_celery_worker(start, tmp_path):
    broker = tmp_path / "broker"
    broker.mkdir()
    conf = tmp_path / "shop_broker.py"
    conf.write_text(
        "from celery_worker import app, confirm\n"
        f"app.conf.update(broker_url='filesystem://', broker_transport_options={{'data_folder_in': {str(broker)!r},"
        f" 'data_folder_out': {str(broker)!r}, 'control_folder': {str(tmp_path)!r}}})\n"
    )
    order = "from shop_broker import confirm\nfor n in range(6): confirm.delay(n % 5, f'c{n % 5}@example.org')"
    pool = ["--pool", "prefork", "-c", "2", "--max-tasks-per-child", "2", "--loglevel", "INFO"]
    worker = start("celery", "-A", "shop_broker", "worker", *pool)
    place = {**os.environ, "PYTHONPATH": str(EXAMPLES), "POSTROAD_URL": "discard://", "POSTROAD_QUEUE": "q.db"}
    subprocess.run([*PYTHON, "-c", order], cwd=tmp_path, env=place, check=True, timeout=60)
    while said(worker).count(" succeeded in ") < 6:
        assert worker.poll() is None, said(worker)
        time.sleep(0.05)
    end(worker)
    # one of the six was twice
    assert queued(tmp_path) == [f"c{n}@example.org" for n in range(5)]


def test_django_site_with_a_sender_of_its_own(start, free_port, tmp_path):
    with testing.Sink() as sink:
        place = {"url": sink.url()}
        pages = start("django_site", "runserver", "--noreload", str(free_port), **place)
        assert asked(pages, f"http://127.0.0.1:{free_port}/order/7?email=bob@example.org") == (200, "Thank you.")
        sender = start("django_site", "postroad", "run", "--drain", **place)
        assert sender.wait(60) == 0, said(sender)
        assert [m.message["Subject"] for m in sink.messages] == ["Order 7"]
        assert queued(tmp_path) == []


def test_oauth(tmp_path, monkeypatch):
    tokens = TokenServer()
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    monkeypatch.setenv("REFRESH_TOKEN", SECRET)
    with testing.Sink(
        security="starttls", users={"ann@example.com": "token-1"}, mechanisms=["XOAUTH2"], require_auth=True
    ) as sink:
        monkeypatch.setenv("CA_FILE", str(tmp_path / "ca.pem"))
        (tmp_path / "ca.pem").write_text(sink.ca_pem)
        arguments = (sink.url(), "ann@example.com", tokens.url, "client", str(tmp_path / "store"))
        done = run("oauth.py", *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "sent\n", "")
        assert len(sink.messages) == 1
        (tmp_path / "store").unlink()
        refused = run("oauth.py", *arguments)  # by token-2
        assert refused.returncode == 1
        assert SECRET not in refused.stderr
    tokens.server.shutdown()
    tokens.server.server_close()


def test_log_handler():
    with testing.Sink() as sink:
        done = run("log_handler.py", sink.url())
        assert done.returncode == 0
        (mail,) = sink.messages
        assert "and 2 more" in mail.message["Subject"]
        text = mail.message.get_content()
        assert all(f"disk {n} is full" in text for n in range(3))
        assert "not mailed" not in text


def test_metrics():
    with testing.Sink(faults=["rcpt@rejected@:0:550 5.1.1 no"]) as sink:
        done = run("metrics.py", sink.url())
        assert (done.returncode, done.stderr) == (0, "")
        assert 'postroad_recipients_total{mailer="shop",status="accepted"} 9.0' in done.stdout
        assert 'postroad_recipients_total{mailer="shop",status="rejected"} 1.0' in done.stdout
