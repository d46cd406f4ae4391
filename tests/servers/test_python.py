"""The Python module with a queue at a broker, a real RabbitMQ.

POSTROAD_PYTHON names an interpreter that has the module.
"""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
from collections.abc import Iterator

import pytest

from fixtures import PASSWORD, ServerInfo
from sink import DEADLINE, Sink, wait_until

BEGIN = """
import os, signal, sys
import postroad

queue, name, server = sys.argv[1:4]

def message(number):
    return dict(
        message=b"Subject: Hi\\r\\n\\r\\nHello.\\r\\n",
        sender=f"n{number}@example.com",
        recipients=[f"bob@d{number % 5}.example"],
    )
"""


class Processes:
    """Processes that share a queue named after the test, and the server that they send to."""

    def __init__(self, broker: ServerInfo, name: str, sink: Sink) -> None:
        self.broker, self.name, self.sink = broker, name, sink
        self.running: list[subprocess.Popen[str]] = []

    def url(self, scheme: str = "amqp", password: str = PASSWORD) -> str:
        return f"{scheme}://alice:{password}@localhost:{self.broker.ports[scheme]}/postroad"

    def run(self, program: str, *more: object, queue: str | None = None) -> subprocess.Popen[str]:
        python = os.environ.get("POSTROAD_PYTHON")
        assert python, "POSTROAD_PYTHON must name an interpreter that has the module postroad"
        command = [python, "-c", BEGIN + textwrap.dedent(program), queue or self.url(), self.name]
        command += [f"smtp+insecure://127.0.0.1:{self.sink.port}", *map(str, more)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.running.append(subprocess.Popen(command, **pipes))
        return self.running[-1]

    def sends(self) -> subprocess.Popen[str]:
        """Sends what is queued until it is told to end."""
        return self.run("""
            with postroad.Mailer(server, queue=queue, queue_name=name):
                sys.stdin.read()
        """)

    def end(self) -> None:
        for each in self.running:
            each.kill()
            each.communicate()


@pytest.fixture
def processes(rabbitmq: ServerInfo, request: pytest.FixtureRequest) -> Iterator[Processes]:
    with Sink(delay=0) as sink:
        made = Processes(rabbitmq, request.node.name[5:], sink)
        yield made
        made.end()


def test_python_sends_what_a_process_submitted_that_was_killed(processes):
    submitter = processes.run("""
        mail = postroad.Mailer("smtp+insecure://127.0.0.1:1", queue=queue, queue_name=name, submit_only=True)
        for i in range(100):
            mail.submit(**message(i))
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    _, errors = submitter.communicate(timeout=DEADLINE)
    assert (submitter.returncode, errors) == (-signal.SIGKILL, "")
    sender = processes.sends()
    wait_until(lambda: len(processes.sink.got) == 100, "all messages arrive")
    assert sender.communicate("", timeout=DEADLINE) == ("", "")
    assert processes.sink.twice() == set()


def test_python_gets_the_outcome_from_the_process_that_sent(processes):
    processes.sends()
    waiting = processes.run(
        """
        with postroad.Mailer(
            server, queue=queue, queue_name=name, queue_shards=8, queue_ca_file=sys.argv[4], submit_only=True
        ) as mail:
            print(mail.send(**message(7)).recipients[0].status.value)
            print(sum(mail.count().by_state.values()))
            try:
                mail.submit(**message(8), idempotency_key="once")
            except postroad.InvalidInput as e:
                print(e.code)
        """,
        processes.broker.ca,
        queue=processes.url("amqps"),
    )
    out, errors = waiting.communicate(timeout=DEADLINE)
    assert (out.split(), errors) == (["accepted", "0", "invalid_option"], "")


def test_python_looks_after_a_queue_at_a_broker_without_a_mailer(processes):
    processes.sink.refuses.add(7)
    looking = processes.run(
        """
        with postroad.Mailer(server, queue=queue, queue_name=name, submit_only=True) as mail:
            mail.submit(**message(7))
            look = postroad.Queue(queue, queue_name=name)
            print(look.count().total)
        with postroad.Mailer(server, queue=queue, queue_name=name) as mail:
            while not (failed := look.jobs(state="failed")):
                pass
        print(len(failed), failed[0].recipients)
        print(look.retry_now(id=failed[0].id), len(look.jobs(state="failed")), look.count().total)
    """
    )
    out, errors = looking.communicate(timeout=DEADLINE)
    assert (out.splitlines(), errors) == (["1", "1 (('bob@d2.example', 'rejected'),)", "1 0 1"], "")


def test_python_is_told_what_is_wrong_with_the_broker(processes):
    tried = processes.run(
        """
        for url in sys.argv[4:]:
            try:
                postroad.Mailer(server, queue=url, queue_name=name)
            except postroad.Error as e:
                print(e.code, e)
        """,
        "amqp://alice:geheim@127.0.0.1:1/postroad",
        processes.url(password="geheim"),
        "amqp://alice:geheim@host:port/postroad",
        processes.url("amqps"),
    )
    out, errors = tried.communicate(timeout=DEADLINE)
    codes = [line.split()[0] for line in out.splitlines()]
    assert codes == ["broker_unreachable", "broker_refused", "invalid_url", "broker_unreachable"], out
    assert "geheim" not in out + errors
    assert errors == ""
