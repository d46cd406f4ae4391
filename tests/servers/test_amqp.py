"""The queue at a broker, with a real RabbitMQ: whatever dies, nothing is lost, and what comes twice was in doubt by name.

POSTROAD_AMQP_WORKER names the program built from amqp_worker.cpp.
"""

from __future__ import annotations

import collections
import contextlib
import gzip
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator

import pika
import pytest

import fixtures
from fixtures import HERE, PASSWORD, ServerInfo, free_ports
from sink import DEADLINE, Sink, wait_until


class Relay:
    """A way to the broker that can be cut: `cut` ends its connections and takes no more, `silent` passes nothing on."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.cut = False
        self.silent = threading.Event()
        self.open: list[socket.socket] = []
        self.taken = 0  # connections
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
                if self.cut:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            self.taken += 1
            self.open += [client, server]
            threading.Thread(target=self.pump_up, args=(client, server), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client), daemon=True).start()

    def pump_up(self, client: socket.socket, broker: socket.socket) -> None:
        self.pump(client, broker)

    def pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while self.silent.is_set() and not self.cut:
                    time.sleep(0.05)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        self.cut = True
        for each in self.open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self.open = []

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        # a listener that is only closed goes on listening while a thread waits in accept()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Executioner(Relay):
    """A way to the broker on which a worker dies: at the `at`th frame of those that it writes from the first part of a
    message that it divides on. That frame does not reach the broker."""

    PUBLISH, ACK = (60, 40), (60, 80)

    def __init__(self, to: int, exchange: str) -> None:
        super().__init__(to)
        self.exchange = exchange.encode()
        self.victim: Worker | None = None
        self.at = 0
        self.writes = 0
        self.divided = False  # the message was acknowledged before the worker died

    def pump_up(self, client: socket.socket, broker: socket.socket) -> None:
        with contextlib.suppress(OSError), client.makefile("rb") as frames:
            broker.sendall(frames.read(8))  # "AMQP", and the version
            while len(head := frames.read(7)) == 7:
                kind, channel, size = struct.unpack(">BHI", head)
                frame = frames.read(size + 1)
                if self.victim and self.kills(kind, channel, frame):
                    self.victim.process.kill()
                    broker.shutdown(socket.SHUT_RDWR)
                    return
                broker.sendall(head + frame)

    def kills(self, kind: int, channel: int, frame: bytes) -> bool:
        method = struct.unpack(">HH", frame[:4]) if kind == 1 else ()
        if not self.writes and not (method == self.PUBLISH and frame[7 : 7 + frame[6]] == self.exchange):
            return False
        if kind in (1, 2, 3):  # no heartbeat
            self.writes += 1
        if self.writes == self.at:
            return True
        self.divided |= method == self.ACK and channel == 1
        return False


class Worker:
    """A process of amqp_worker.cpp."""

    def __init__(self, *command: object) -> None:
        program = os.environ.get("POSTROAD_AMQP_WORKER")
        assert program, "POSTROAD_AMQP_WORKER must name the program built from tests/servers/amqp_worker.cpp"
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | {"text": True}
        self.process = subprocess.Popen([program, *map(str, command)], **pipes)
        self.lines: list[str] = []
        self.errors = ""
        self.readers = [
            threading.Thread(target=self.read, daemon=True),
            threading.Thread(target=self.read_errors, daemon=True),
        ]
        for each in self.readers:
            each.start()

    def read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def read_errors(self) -> None:
        self.errors = self.process.stderr.read()

    def said(self, word: str) -> set[int]:
        return {int(line.split()[1]) for line in list(self.lines) if line.startswith(word + " ")}

    def ready(self) -> Worker:
        wait_until(lambda: self.lines or self.process.poll() is not None, "a worker is ready")
        assert self.lines, f"{self.process.returncode}: {self.ended()}"
        return self

    def goes_on(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def ended(self, deadline: float = DEADLINE) -> str:
        self.process.wait(deadline)
        for each in self.readers:
            each.join(deadline)
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.errors

    def end(self, how: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.ended()


class Queue:
    """A queue of its own, and the processes that share it."""

    def __init__(self, broker: ServerInfo, name: str, sink: Sink) -> None:
        self.broker, self.name, self.sink = broker, name, sink
        self.workers: list[Worker] = []

    def url(self, port: int | None = None) -> str:
        return f"amqp://alice:{PASSWORD}@127.0.0.1:{port or self.broker.ports['amqp']}/postroad"

    def sends(self, *options: object, url: str | None = None) -> Worker:
        worker = Worker("send", url or self.url(), self.name, self.sink.port, *options)
        self.workers.append(worker)
        return worker.ready()

    def submits(self, first: int, count: int, domains: int = 5, *options: object, url: str | None = None) -> Worker:
        worker = Worker("submit", url or self.url(), self.name, first, count, domains, *options)
        self.workers.append(worker)
        return worker

    def count(self) -> dict[str, int]:
        worker = Worker("count", self.url(), self.name)
        assert worker.ended() == ""
        return {line.split()[0]: int(line.split()[1]) for line in worker.lines}

    def listed(self, state: str, *options: object) -> list[int]:
        """The numbers of the jobs in a state."""
        worker = Worker("list", self.url(), self.name, state, *options)
        assert worker.ended() == ""
        return [int(line.split()[1]) for line in worker.lines]

    def waits(self) -> int:
        """How many jobs are not over."""
        return sum(n for state, n in self.count().items() if state != "failed")

    def doubted(self) -> set[int]:
        return set().union(*(worker.said("doubt") for worker in self.workers))

    def parts_doubted(self) -> set[tuple[int, str]]:
        """The message, and the domain of its part."""
        lines = [line.split() for worker in self.workers for line in list(worker.lines) if line.startswith("doubt ")]
        return {(int(number), domain) for _, number, domain in lines}

    def all_arrive(self, numbers: set[int]) -> None:
        with contextlib.suppress(AssertionError):
            wait_until(lambda: numbers <= set(self.sink.got), "all messages arrive")
        lost = sorted(numbers - set(self.sink.got))
        assert not lost, f"lost: {lost}\n{self.count()}"

    def in_order(self, numbers: set[int]) -> None:
        """Nothing was lost, and each duplicate was in doubt by name."""
        self.all_arrive(numbers)
        self.doubles_are_doubted()

    def doubles_are_doubted(self) -> None:
        # A worker says so first, but a thread here has to read it.
        wait_until(lambda: self.sink.twice() <= self.doubted(), "each duplicate is in doubt by name")

    def nothing_is_left(self) -> None:
        """The broker may learn of an outcome behind who waited for it."""
        wait_until(lambda: sum(self.count().values()) == 0, "the queue is empty")

    @contextlib.contextmanager
    def channel(self) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(self.url()))) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel

    def end(self) -> None:
        for worker in self.workers:
            worker.end(signal.SIGKILL)


@pytest.fixture
def queue(rabbitmq: ServerInfo, request: pytest.FixtureRequest) -> Iterator[Queue]:
    """A queue named after the test, and a sink."""
    with Sink() as sink:
        made = Queue(rabbitmq, re.sub(r"\W", "_", request.node.name)[5:], sink)
        yield made
        made.end()


def shard(domain: str, shards: int = 4) -> int:
    """As amqp_shard() chooses it: FNV-1a."""
    value = 14695981039346656037
    for octet in domain.encode():
        value = (value ^ octet) * 1099511628211 % 2**64
    return value % shards


def start_again(broker: ServerInfo) -> None:
    command = [str(HERE / "start-rabbitmq"), str(broker.dir), *map(str, broker.ports.values())]
    with open(broker.dir / "again.log", "wb") as log:
        env = os.environ | {"POSTROAD_TEST_TLS": str(broker.ca.parent)}
        subprocess.run(command, check=True, timeout=600, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)


def kill(broker: ServerInfo) -> None:
    """All of it, at once, as by a power cut."""
    sessions = {os.getsid(int(line.split()[0])) for line in (broker.dir / "pids").read_text().splitlines()}
    for session in sessions:
        listed = subprocess.run(["ps", "-o", "pid=", "-s", str(session)], capture_output=True, text=True, check=False)
        for pid in listed.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: not _listens(broker.ports["epmd"]) and not _listens(broker.ports["amqp"]), "the broker is gone")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_what_is_queued_is_sent_once_and_the_outcome_comes_back(queue):
    queue.sends(
        "--ca", queue.broker.ca, url=f"amqps://alice:{PASSWORD}@localhost:{queue.broker.ports['amqps']}/postroad"
    )
    producer = queue.submits(0, 200, 5, "--wait")
    assert producer.ended() == ""
    assert producer.said("queued") == producer.said("outcome") == set(range(200))
    assert {line.split()[2] for line in producer.lines if line.startswith("outcome")} == {"accepted"}
    queue.in_order(set(range(200)))
    assert queue.doubted() == set()
    queue.nothing_is_left()


def test_killed_workers_lose_nothing_and_double_what_they_doubted(queue):
    numbers = set(range(800))
    queue.sends()
    producer = queue.submits(0, 800)
    for round_ in range(4):
        victim = queue.sends()
        at = 100 + 150 * round_
        wait_until(lambda at=at: len(queue.sink.got) >= at, f"{at} messages arrive")
        (victim if round_ % 2 else queue.workers[0 if round_ == 0 else -2]).end(signal.SIGKILL)
        queue.sends()
    assert producer.ended() == ""
    assert producer.said("queued") == numbers
    queue.in_order(numbers)
    # Not all that the dead had taken ahead: only what had left.
    assert len(queue.doubted()) <= 4 * 20 * 4


def test_a_worker_that_is_killed_at_any_write_of_a_division_leaves_each_recipient_once(queue):
    got = queue.sink.recipients

    def to(number: int) -> set[tuple[int, str]]:
        everybody = [f"to@d{n}.test" for n in range(3)] + [f"too@d{number % 3}.test"]
        return {(number, each) for each in everybody}

    def sends() -> tuple[Executioner, Worker]:
        relay = stack.enter_context(Executioner(queue.broker.ports["amqp"], queue.name))
        return relay, queue.sends("--each", url=queue.url(relay.port))

    with contextlib.ExitStack() as stack:
        relay, victim = sends()
        number = 0
        divided = False
        while not divided:
            number += 1
            relay.at, relay.victim = number, victim
            assert queue.submits(number, 1, 3, "--each").ended() == ""
            wait_until(lambda victim=victim: victim.process.poll() is not None, f"it dies at write {number}")
            divided = relay.divided
            relay, victim = sends()
            wait_until(lambda number=number: to(number) <= set(got), f"all of message {number} arrives")
        victim.end(signal.SIGTERM)
    assert number > 3 * 3  # method, header and body of each part, and the acknowledgement
    queue.nothing_is_left()
    assert set(got) == set().union(*(to(n) for n in range(1, number + 1)))
    twice = {(n, to.split("@")[1]) for (n, to), times in got.items() if times > 1}
    wait_until(lambda: twice <= queue.parts_doubted(), "each duplicate is in doubt by name")


def test_a_register_that_cannot_be_read_makes_doubtful_what_was_given_out(queue):
    queue.sends()
    assert queue.submits(0, 200).ended() == ""
    wait_until(lambda: len(queue.sink.got) >= 60, "60 messages arrive")
    queue.workers[0].end(signal.SIGKILL)
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(queue.url()))) as connection:
        channel = connection.channel()
        for n in range(4):  # somebody has them, and does not give them back
            wait_until(lambda n=n: channel.basic_get(f"{queue.name}.marked.{n}")[0], "a register")
        queue.sends()
        queue.in_order(set(range(200)))
    assert queue.doubted()


def test_what_is_parked_never_comes_twice(queue):
    numbers = set(range(300))
    assert queue.submits(0, 300).ended() == ""  # so that the worker has something under way whenever it dies
    victim = queue.sends("--doubt", "park")
    wait_until(lambda: len(queue.sink.got) >= 60, "60 messages arrive")
    victim.end(signal.SIGKILL)
    queue.sends("--doubt", "park")
    wait_until(lambda: len(queue.sink.got) + queue.count()["in_doubt"] >= 300, "each is sent or parked")
    wait_until(lambda: (c := queue.count())["waiting"] + c["delayed"] == 0, "nothing waits")
    assert queue.sink.twice() == set()
    assert 0 < queue.count()["in_doubt"] <= 20
    assert set(queue.sink.got) <= numbers


def test_a_destination_keeps_its_limit_over_two_workers(queue):
    queue.sends("--per-destination", 2)
    queue.sends("--per-destination", 2)
    assert queue.submits(0, 200, 4).ended() == ""
    queue.in_order(set(range(200)))
    assert set(queue.sink.most) == {f"d{n}.test" for n in range(4)}
    assert max(queue.sink.most.values()) <= 2, queue.sink.most
    assert queue.doubted() == set()


def spread(queue: Queue, messages: int, domains: int, *options: object) -> list[Worker]:
    """A worker finds a backlog, and another comes; until it sends, too."""
    queue.sink.delay = 0.05
    assert queue.submits(0, messages, domains, *options).ended() == ""
    first = queue.sends("--as", "first", *options)
    wait_until(lambda: len(queue.sink.got) >= 50, "50 messages arrive")
    second = queue.sends("--as", "second", *options)
    wait_until(lambda: len(queue.sink.sent["second"]) >= 20, "the second worker sends")
    return [first, second]


@pytest.mark.parametrize("domains", [8, 2])
def test_what_waits_spreads_over_workers(queue, domains):
    """Also where fewer shards have work than each worker may have."""
    spread(queue, 1200, domains, "--prefetch", 32)
    queue.in_order(set(range(1200)))
    assert queue.sink.twice() == queue.doubted() == set()
    sent = queue.sink.sent
    last = {name: collections.Counter(domain for _, domain in sent[name][-50:]) for name in ("first", "second")}
    assert not set(last["first"]) & set(last["second"]), last


def test_a_limit_holds_while_shards_are_handed_over(queue):
    # Enough for each destination: so each shard is busy when it is handed over.
    options = ["--per-destination", 1, "--connections", 16, "--shards", 8]
    spread(queue, 3000, 16, *options)
    queue.sends("--as", "third", *options)
    wait_until(lambda: len(queue.sink.sent["third"]) >= 20, "the third worker sends")
    queue.in_order(set(range(3000)))
    assert set(queue.sink.most.values()) == {1}, queue.sink.most
    assert queue.sink.twice() == queue.doubted() == set()


@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_that_is_killed_leaves_its_shards_to_the_other(queue, victim):
    spread(queue, 800, 8)[victim].end(signal.SIGKILL)
    queue.in_order(set(range(800)))
    assert len(queue.doubted()) <= 4 * 4


@pytest.mark.parametrize("how", ["cut", "silent"])
def test_a_network_that_is_cut_loses_nothing(queue, how):
    with Relay(queue.broker.ports["amqp"]) as relay:
        queue.sends("--heartbeat", 2, url=queue.url(relay.port))  # so that the broker soon misses it
        producer = queue.submits(0, 400)
        wait_until(lambda: len(queue.sink.got) >= 80, "80 messages arrive")
        if how == "silent":
            relay.silent.set()
        else:
            relay.end()
        queue.sends()
        wait_until(lambda: len(queue.sink.got) >= 200, "200 messages arrive")
        relay.silent.clear()
        relay.cut = False
        assert producer.ended() == ""
        queue.in_order(set(range(400)))


def test_a_network_that_breaks_again_and_again_stops_nobody(queue):
    with Relay(queue.broker.ports["amqp"]) as relay:
        queue.sends(url=queue.url(relay.port))
        assert queue.submits(0, 600).ended() == ""
        for round_ in range(8):
            at = 60 * round_ + 30
            wait_until(lambda at=at: len(queue.sink.got) >= at, f"{at} messages arrive")
            relay.end()
            relay.cut = False
        queue.in_order(set(range(600)))


def test_a_killed_broker_loses_nothing(queue):
    queue.sends()
    queue.sends()
    producer = queue.submits(0, 500)
    wait_until(lambda: len(queue.sink.got) >= 100, "100 messages arrive")
    kill(queue.broker)
    start_again(queue.broker)
    producer.ended()
    assert producer.said("queued") | producer.said("failed") == set(range(500))
    queue.in_order(producer.said("queued"))


REFUSED, UNREACHABLE = "the broker of the queue refused", "the broker of the queue cannot be reached"
MAIL = b"From: ann@example.test\nTo: to@d1.test\nSubject: Hi\n\nHello\n"


def test_anybody_may_publish_mail_in_plain_amqp(queue):
    worker = queue.sends()

    def publish(channel, headers, body=MAIL, **properties):
        channel.basic_publish(
            "", f"{queue.name}.in", body, pika.BasicProperties(headers=headers, delivery_mode=2, **properties)
        )

    now = int(time.time())
    with queue.channel() as channel:
        publish(channel, {"reverse_path": "n1@example.test", "recipients": "to@d1.test"})
        publish(
            channel,
            {"reverse_path": "n2@example.test", "recipients": ["to@d1.test"]},
            message_id="a",
            content_type="message/rfc822",
        )
        publish(channel, {"reverse_path": "n3@example.test", "recipients": "to@d2.test", "not_before": now + 6})
        publish(channel, {"reverse_path": "n4@example.test"})
        publish(channel, {"reverse_path": "n5@example.test", "recipients": "nobody"})
        publish(channel, {"reverse_path": "n6@example.test", "recipients": "to@d1.test"}, content_type="text/html")
        queue.all_arrive({1, 2, 3})
        assert queue.sink.times[3] >= now + 6
        assert queue.sink.twice() == set()
        reasons = []
        wait_until(
            lambda: channel.queue_declare(f"{queue.name}.dead", passive=True).method.message_count >= 3, "3 are dead"
        )
        while (found := channel.basic_get(f"{queue.name}.dead", auto_ack=True))[0]:
            assert found[2] == MAIL
            reasons.append(found[1].headers["postroad_reason"])
    assert sorted(text.split(":")[0] for text in reasons) == [
        "the content type is not message/rfc822",
        "the header recipients",
        "the header recipients is missing, or names nobody",
    ]
    assert worker.process.poll() is None
    assert set(queue.sink.got) == {1, 2, 3}


def publish(queue: Queue, where: str, number: int, headers: dict[str, object] | None = None, **properties) -> None:
    all_headers = {"reverse_path": f"n{number}@example.test", "recipients": ["to@d1.test"]} | (headers or {})
    with queue.channel() as channel:
        channel.basic_publish(
            "",
            f"{queue.name}.{where}",
            properties.pop("body", MAIL),
            pika.BasicProperties(headers=all_headers, delivery_mode=2, **properties),
        )


def park(queue: Queue, numbers: range, where: str = "in_doubt") -> None:
    with queue.channel() as channel:
        for number in numbers:
            headers = {"reverse_path": f"n{number}@example.test", "recipients": [f"to@d{number % 5}.test"]}
            properties = pika.BasicProperties(headers=headers, delivery_mode=2, message_id=f"postroad:{number + 1}")
            channel.basic_publish("", f"{queue.name}.{where}", MAIL, properties)


@pytest.mark.parametrize("state", ["held", "in_doubt"])
def test_what_is_parked_is_listed_again_and_again_and_goes_one_by_one(queue, state):
    numbers = range(600)  # more than are given out at once
    worker = queue.sends("--doubt", "park")
    park(queue, numbers, state)
    for most in (1, 250, 251, 1000):
        listed = queue.listed(state, "--most", most)
        assert len(listed) == len(set(listed)) == min(most, len(numbers))
        assert set(listed) <= set(numbers)
        assert queue.count()[state] == len(numbers)
    retries = Worker("retry", queue.url(), queue.name, state, "--most", 12)
    assert retries.ended() == ""
    gone = retries.said("retried")
    assert len(gone) == 12
    queue.all_arrive(gone)
    assert set(queue.listed(state)) == set(numbers) - gone
    worker.end(signal.SIGTERM)
    assert set(queue.sink.got) == gone
    assert queue.sink.twice() == set()


def test_who_looks_again_and_again_does_so_over_one_connection(queue):
    queue.sends("--doubt", "park").end(signal.SIGTERM)
    park(queue, range(20))
    with Relay(queue.broker.ports["amqp"]) as relay:
        retries = Worker("retry", queue.url(relay.port), queue.name, "in_doubt", "--most", 12)
        assert retries.ended() == ""
        assert len(retries.said("retried")) == 12
        assert relay.taken == 2  # the other is the queue's

        watch = Worker("list", queue.url(relay.port), queue.name, "in_doubt", "--asks")
        for n in range(5):
            if n == 3:
                relay.end()
                relay.cut = False
            if n:
                watch.goes_on()
            wait_until(lambda n=n: len(watch.lines) == 9 + n, "it is listed again")
        watch.process.stdin.close()
        assert watch.ended() == ""
        assert watch.lines[8:] == ["listed 8"] * 5


def test_what_failed_stays_and_is_listed_sent_again_or_dropped(queue):
    refused = set(range(20))
    queue.sink.refuses = set(refused)
    worker = queue.sends()
    producer = queue.submits(0, 30, 5, "--wait")  # also what somebody waited for
    assert producer.ended() == ""
    assert producer.said("outcome") == set(range(30))
    wait_until(lambda: queue.count()["failed"] == len(refused), "all that was refused is kept")
    wait_until(lambda: queue.waits() == 0, "all is over")
    for _ in range(2):
        listing = Worker("list", queue.url(), queue.name, "failed")
        assert listing.ended() == ""
        assert listing.said("job") == refused
        assert {line.split(" ", 2)[2] for line in listing.lines} == {"1 550 5.1.1 no such user"}
    assert queue.listed("in_doubt") == queue.listed("held") == []

    # Some get nothing the second time, either: they fail anew.
    queue.sink.refuses = {n for n in refused if n % 2}
    retries = Worker("retry", queue.url(), queue.name, "failed", "--most", 10)
    assert retries.ended() == ""
    again = retries.said("retried")
    assert len(again) == 10
    taken = {n for n in again if n % 2 == 0}
    queue.all_arrive(taken)
    wait_until(lambda: queue.waits() == 0, "the others have failed again")
    wait_until(lambda: set(queue.listed("failed")) == refused - taken, "those that were not sent stay")
    dropped = Worker("drop", queue.url(), queue.name, "failed", "--most", 5)
    assert dropped.ended() == ""
    gone = dropped.said("dropped")
    assert len(gone) == 5
    assert set(queue.listed("failed")) == refused - taken - gone
    worker.end(signal.SIGTERM)
    assert set(queue.sink.got) == set(range(20, 30)) | taken
    assert queue.sink.twice() == queue.doubted() == set()


def test_what_failed_stays_as_long_as_it_is_to_and_is_told_who_waits(queue):
    queue.sink.refuses = set(range(30))
    for number, (kept, expiration) in enumerate([("2592000", "2592000000"), ("0", None), ("1", None)]):
        worker = queue.sends("--kept", kept)
        producer = queue.submits(number * 10, 10, 5, "--wait")
        assert producer.ended() == ""
        assert {line.split()[2] for line in producer.lines if line.startswith("outcome")} == {"rejected"}
        worker.end(signal.SIGTERM)
        if expiration:
            wait_until(lambda: queue.count()["failed"] == 10, "all that was refused is kept")
            with queue.channel() as channel:
                while (found := channel.basic_get(f"{queue.name}.dead", auto_ack=True))[0]:
                    assert found[1].expiration == expiration
                    assert abs(found[1].headers["postroad_failed"] - time.time()) < DEADLINE * 10
        else:
            wait_until(lambda: queue.count()["failed"] == 0, "nothing is kept")
    wait_until(lambda: queue.waits() == 0, "all is over")


def test_what_is_no_mail_is_listed_and_stays_until_it_is_dropped(queue):
    worker = queue.sends()
    publish(queue, "in", 1, {"recipients": "nobody"}, expiration="1000000")
    publish(queue, "in", 2, content_type="text/html", message_id="mine")
    wait_until(lambda: queue.count()["failed"] == 2, "both are kept")
    listing = Worker("list", queue.url(), queue.name, "failed")
    assert listing.ended() == ""
    assert sorted(line.split(":")[0] for line in listing.lines) == [
        "job 0 0 the content type is not message/rfc822",
        "job 0 0 the header recipients",
    ]
    retries = Worker("retry", queue.url(), queue.name, "failed")
    assert retries.ended() == ""
    assert retries.lines == []
    dropped = Worker("drop", queue.url(), queue.name, "failed")
    assert dropped.ended() == ""
    assert dropped.lines == ["dropped 0"] * 2
    wait_until(lambda: queue.count()["failed"] == 0, "nothing is kept")
    worker.end(signal.SIGTERM)
    assert queue.sink.got == {}


def dead(queue: Queue) -> list[str]:
    """Why each message that is kept as failed is."""
    reasons = []
    with queue.channel() as channel:
        while (found := channel.basic_get(f"{queue.name}.dead"))[0]:
            reasons.append(found[1].headers["postroad_reason"])
    return sorted(reasons)


def test_nothing_that_a_stranger_publishes_ends_a_connection(queue):
    with Relay(queue.broker.ports["amqp"]) as relay:
        worker = queue.sends("--each", url=queue.url(relay.port))
        before = relay.taken
        many = [f"to{n}@d1.test" for n in range(3000)]
        two = ["to@d1.test", "to@d2.test"]
        publish(queue, "in", 1, reply_to="nobody.there", message_id="one")
        publish(queue, "in", 2, {"recipients": two}, message_id="x" * 255)
        publish(queue, f"{shard('d1.test')}", 3, {"recipients": two}, message_id="y" * 255, reply_to="nobody.there")
        publish(queue, "in", 4, {"recipients": many}, message_id="four")
        publish(queue, "in", 5, {"tag": "t" * 60_000}, message_id="five")
        publish(queue, f"{shard('d1.test')}", 6, {"tag": "t" * 60_000}, message_id="six")
        publish(queue, "in", 7, message_id="seven")
        queue.all_arrive({1, 2, 3, 7})
        wait_until(lambda: queue.waits() == 0, "all is over")
        assert relay.taken == before
        assert {queue.sink.got[n] for n in (1, 7)} == {1}
        assert dead(queue) == ["it has more than 1000 recipients"] + ["its headers take more than 40 KiB"] * 2
        worker.end(signal.SIGTERM)


@contextlib.contextmanager
def takes_at_most(broker: ServerInfo, octets: int) -> Iterator[None]:
    def limit(octets: int) -> None:
        each = (
            f"application:set_env(rabbit, max_message_size, {octets}), persistent_term:put(max_message_size, {octets})."
        )
        control(broker, "eval", each)

    limit(octets)
    try:
        yield
    finally:
        limit(134_217_728)


def test_a_message_larger_than_the_broker_takes_ends_alone(queue):
    with takes_at_most(queue.broker, 100_000), Relay(queue.broker.ports["amqp"]) as relay:
        queue.sends()
        large = queue.submits(0, 1, 5, "--octets", 200_000, "--patience", 20_000, url=queue.url(relay.port))
        large.ended()
        assert large.lines == ["failed 0 the message is larger than the server takes"]
        assert relay.taken <= 3
        assert queue.submits(1, 20).ended() == ""
        queue.in_order(set(range(1, 21)))
        assert queue.sink.twice() == set()


def test_what_the_broker_takes_no_more_is_with_somebody(queue):
    assert sum(queue.count().values()) == 0  # it has its queues
    large = MAIL + b"x\r\n" * 60_000
    publish(queue, "in", 1, body=large)
    publish(queue, f"{shard('d1.test')}", 2, body=large, message_id="two")
    later = {"not_before": int(time.time()) + 8}
    publish(queue, f"{shard('d1.test')}", 3, later, body=large, message_id="three")
    with takes_at_most(queue.broker, 100_000):
        queue.sends()
        publish(queue, "in", 4)
        queue.all_arrive({2, 3, 4})
        wait_until(lambda: queue.waits() == 0, "all is over")
        assert dead(queue) == ["the broker takes no more than 100000 octets (max_message_size)"]
        queue.doubles_are_doubted()  # the connection ends for the first of them


def test_what_is_too_large_to_be_divided_is_with_somebody(queue):
    producer = queue.submits(0, 1, 2, "--each", "--wait", "--octets", 200_000)
    wait_until(lambda: producer.said("queued") == {0}, "it is queued")
    with takes_at_most(queue.broker, 100_000), Relay(queue.broker.ports["amqp"]) as relay:
        worker = queue.sends("--each", url=queue.url(relay.port))
        wait_until(lambda: relay.taken >= 2, "its parts end the connection")
        publish(queue, f"{shard('d0.test')}", 1, {"recipients": ["to@d0.test"]})
        queue.all_arrive({1})  # it stands behind the other

        def told() -> bool:
            worker.process.send_signal(signal.SIGUSR1)
            time.sleep(0.2)
            return producer.process.poll() is not None

        wait_until(told, "it is found and dropped")
    assert producer.ended() == ""
    assert producer.lines[-1] == "failed 0 the broker takes no more than 100000 octets (max_message_size)"
    assert set(queue.sink.got) == {1}


def test_more_than_may_stay_of_what_became_too_large_are_over_and_the_others_flow(queue):
    assert sum(queue.count().values()) == 0  # it has its queues
    large = MAIL + b"x\r\n" * 60_000
    later = {"not_before": int(time.time()) + 3600}
    for number in range(1, 13):
        publish(queue, f"{shard('d1.test')}", number, later, body=large, message_id=f"large {number}")
    publish(queue, f"{shard('d1.test')}", 99)
    with takes_at_most(queue.broker, 100_000):
        worker = queue.sends("--prefetch", 4)
        queue.all_arrive({99})
        wait_until(lambda: queue.count()["failed"] == 10, "the others are over")
        assert dead(queue) == ["the broker takes no more than 100000 octets (max_message_size)"] * 10
        failed = queue.listed("failed")  # by name, without their content
        assert len(set(failed)) == 10
        assert set(failed) <= set(range(1, 13))
        assert Worker("retry", queue.url(), queue.name, "failed").ended() == ""
        assert queue.count()["failed"] == 10  # nothing of them is left to be sent
        worker.end(signal.SIGTERM)
    queue.sends("--prefetch", 4)
    wait_until(lambda: queue.count()["delayed"] == 2, "what stayed waits at the broker again")
    assert set(queue.sink.got) == {99}


@contextlib.contextmanager
def consumers_time_out(broker: ServerInfo, ms: int) -> Iterator[None]:
    """For connections that begin meanwhile."""

    def limit(ms: int, tick: int) -> None:
        each = [
            f"application:set_env(rabbit, {k}, {v})"
            for k, v in (("consumer_timeout", ms), ("channel_tick_interval", tick))
        ]
        control(broker, "eval", ", ".join(each) + ".")

    limit(ms, 500)
    try:
        yield
    finally:
        limit(1_800_000, 60_000)


def test_what_the_broker_takes_for_a_consumer_that_hangs_loses_and_doubles_nothing(queue):
    queue.sink.delay = 0.5
    with consumers_time_out(queue.broker, 3000), Relay(queue.broker.ports["amqp"]) as relay:
        began = time.monotonic()
        # The last of them is in line for ten seconds.
        worker = queue.sends("--per-destination", 1, url=queue.url(relay.port))
        assert queue.submits(0, 20, 1).ended() == ""
        queue.in_order(set(range(20)))
        wait_until(lambda: queue.waits() == 0, "all is over")
        assert relay.taken > 1  # it did end connections
        assert relay.taken <= 2 + (time.monotonic() - began) / 3  # and no more often than it says
        worker.end(signal.SIGTERM)
    assert queue.sink.twice() == set()


def test_a_large_part_of_a_long_list_is_sent(queue):
    """Its recipients take almost all that headers may, and a part names them twice."""
    queue.sends("--each")
    long = [f"recipient{n:010}@d1.test" for n in range(600)]
    publish(queue, "in", 1, {"recipients": [*long, "to@d2.test"]})
    queue.all_arrive({1})
    wait_until(lambda: queue.waits() == 0, "all is over")
    assert dead(queue) == []


def test_under_an_alarm_of_the_broker_a_connection_stays(queue):
    with Relay(queue.broker.ports["amqp"]) as relay:
        assert queue.submits(0, 60, 20, "--shards", 16).ended() == ""
        control(queue.broker, "set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            # What it publishes first blocks it, with the register of the next shard still to be read.
            queue.sends("--shards", 16, url=queue.url(relay.port))
            before = relay.taken
            time.sleep(12)  # an answer may take five seconds
            assert relay.taken == before
        finally:
            control(queue.broker, "set_vm_memory_high_watermark", "absolute", "1GB")
        queue.in_order(set(range(60)))
        assert queue.sink.twice() == set()
        assert dead(queue) == []


def test_who_waits_elsewhere_is_told_what_was_given_up_while_it_waited(queue):
    worker = Worker("send", queue.url(), queue.name, free_ports(1)[0])
    queue.workers.append(worker)
    worker.ready()
    producer = queue.submits(0, 5, 5, "--wait", "--give-up", 6000)
    assert producer.ended() == ""
    assert producer.said("queued") == producer.said("failed") == set(range(5)), producer.lines
    assert all("given up" in line for line in producer.lines if line.startswith("failed")), producer.lines


def test_who_waits_elsewhere_is_told_what_is_dropped_where_it_waits(queue):
    worker = Worker("send", queue.url(), queue.name, free_ports(1)[0])
    queue.workers.append(worker)
    worker.ready()
    producer = queue.submits(0, 8, 5, "--wait")
    wait_until(lambda: producer.said("queued") == set(range(8)), "all are queued")

    def told() -> bool:
        # What is given out meanwhile goes by the next one.
        worker.process.send_signal(signal.SIGUSR1)
        time.sleep(0.2)
        return producer.process.poll() is not None

    wait_until(told, "all are told")
    assert producer.ended() == ""
    assert producer.said("failed") == set(range(8))
    why = {line.split(" ", 2)[2] for line in producer.lines if line.startswith("failed")}
    assert why == {"the operation was cancelled"}


def test_those_who_look_at_the_same_time_see_everything(queue):
    queue.sends("--doubt", "park").end(signal.SIGTERM)
    numbers = range(300)
    park(queue, numbers)
    lookers = [Worker("list", queue.url(), queue.name, "in_doubt") for _ in range(4)]
    counts = [queue.count()["in_doubt"] for _ in range(3)]
    for each in lookers:
        assert each.ended() == ""
        assert each.said("job") == set(numbers)
    assert counts == [len(numbers)] * 3


def test_a_full_shard_stops_no_other(queue):
    full = shard("d1.test")
    others = [n for n in range(40) if shard(f"d{n % 5}.test") != full]
    producer = queue.submits(0, 40, 5, "--patience", 8000, "--asks").ready()
    policy = f"full_{queue.name}"
    limits = '{"max-length": 1, "overflow": "reject-publish"}'
    control(queue.broker, "set_policy", "-p", "postroad", policy, rf"^{queue.name}\.{full}$", limits)
    try:
        producer.goes_on()
        wait_until(lambda: set(others) <= producer.said("queued"), "all for other shards are queued")
        producer.ended()
    finally:
        control(queue.broker, "clear_policy", "-p", "postroad", policy)
    failed = producer.said("failed")
    assert failed
    assert failed | producer.said("queued") == set(range(40))
    assert {line.split(" ", 2)[2] for line in producer.lines if line.startswith("failed")} == {REFUSED}
    queue.sends()
    queue.in_order(producer.said("queued"))
    assert queue.sink.twice() == set()
    assert set(queue.sink.got) == producer.said("queued")


def test_shards_that_are_full_or_gone_lose_nothing_and_stop_no_other(queue):
    """With somebody who sends meanwhile, and queues that other processes have."""
    queue.sends()
    full = {shard("d1.test"), shard("d2.test")}
    others = {n for n in range(40) if shard(f"d{n % 5}.test") not in full}
    assert others
    assert len(full) > 1
    policy = f"full_{queue.name}"
    pattern = rf"^{queue.name}\.[{''.join(map(str, full))}]$"
    limits = '{"max-length": 1, "overflow": "reject-publish"}'
    control(queue.broker, "set_policy", "-p", "postroad", policy, pattern, limits)
    try:
        producer = queue.submits(0, 40, 5, "--patience", 8000)
        producer.ended()
    finally:
        control(queue.broker, "clear_policy", "-p", "postroad", policy)
    queued = producer.said("queued")
    assert others <= queued
    assert queued | producer.said("failed") == set(range(40))
    queue.in_order(queued)
    wait_until(lambda: queue.waits() == 0, "all is over")

    producer = queue.submits(100, 60, 5, "--asks").ready()
    with queue.channel() as channel:
        for n in full:
            channel.queue_delete(f"{queue.name}.{n}")
    # Nobody makes them anew but those who had them.
    producer.goes_on()
    producer.ended()
    queued = producer.said("queued")
    assert queued | producer.said("failed") == set(range(100, 160))
    assert {n for n in range(100, 160) if shard(f"d{n % 5}.test") not in full} <= queued
    queue.in_order(queued)


def test_a_password_that_is_rotated_stops_who_sends_until_it_is_right(queue):
    with Relay(queue.broker.ports["amqp"]) as relay:
        queue.sends(url=queue.url(relay.port))
        assert queue.submits(0, 200).ended() == ""
        wait_until(lambda: len(queue.sink.got) >= 40, "40 messages arrive")
        control(queue.broker, "change_password", "alice", "rotated")
        try:
            before = relay.taken
            relay.end()
            relay.cut = False
            wait_until(lambda: relay.taken >= before + 3, "it tries again and again")
        finally:
            control(queue.broker, "change_password", "alice", PASSWORD)
        queue.in_order(set(range(200)))


def test_monitors_that_list_all_the_time_stop_nobody(queue):
    worker = queue.sends("--doubt", "park")
    park(queue, range(1000, 1100), "held")
    park(queue, range(2000, 2100), "in_doubt")
    over = threading.Event()

    def listed(monitor: Worker) -> int:
        return sum(line.startswith("listed") for line in list(monitor.lines))

    def watch(state: str) -> Worker:
        monitor = Worker("list", queue.url(), queue.name, state, "--asks").ready()

        def ask() -> None:
            asked = 1
            while not over.is_set():
                wait_until(lambda asked=asked: listed(monitor) == asked, "a list")
                monitor.goes_on()
                asked += 1

        threads.append(threading.Thread(target=ask, daemon=True))
        threads[-1].start()
        return monitor

    threads: list[threading.Thread] = []
    monitors = [watch(state) for state in ("held", "in_doubt", "in_doubt", "failed")]
    try:
        producer = queue.submits(0, 300, 5, "--wait")
        assert producer.ended() == ""
        assert producer.said("outcome") == set(range(300))
        retries = Worker("retry", queue.url(), queue.name, "held", "--most", 5)
        assert retries.ended() == ""
        queue.all_arrive(retries.said("retried"))
    finally:
        over.set()
        for each in threads:
            each.join(DEADLINE)
    counts = [{int(n) for line in m.lines if (n := line.split()[1]) and line.startswith("listed")} for m in monitors]
    assert counts[0] <= set(range(95, 101))
    assert counts[1:] == [{100}, {100}, {0}]
    for each in monitors:
        each.end(signal.SIGKILL)
    worker.end(signal.SIGTERM)
    assert queue.sink.twice() == set()
    assert len(queue.sink.got) == 305


def test_who_submits_is_told_when_patience_ends_whatever_is_wrong(queue):
    broker = queue.broker
    with Relay(broker.ports["amqp"]) as relay:

        def submits(first: int, patience: int = 6000) -> Worker:  # in which the broker answers, or refuses
            return queue.submits(first, 8, 5, "--patience", patience, "--asks", url=queue.url(relay.port)).ready()

        def fail(producer: Worker) -> set[str]:
            producer.goes_on()
            producer.ended()
            failed = [line.split(" ", 2) for line in producer.lines if line.startswith("failed")]
            assert len(failed) == 8, producer.lines
            return {why for _, _, why in failed}

        producer = submits(0)
        relay.end()
        assert fail(producer) == {UNREACHABLE}
        relay.cut = False

        producer = submits(8)
        relay.silent.set()
        assert fail(producer) == {UNREACHABLE}
        relay.silent.clear()

        producer = submits(16)
        control(broker, "change_password", "alice", "rotated")
        try:
            relay.end()
            relay.cut = False
            assert fail(producer) == {REFUSED}
        finally:
            control(broker, "change_password", "alice", PASSWORD)

        producer = submits(24)
        control(broker, "set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            assert fail(producer) <= {UNREACHABLE}
        finally:
            control(broker, "set_vm_memory_high_watermark", "absolute", "1GB")

        producer = submits(32, 60_000)
        producer.goes_on()
        assert producer.ended() == ""
        assert producer.said("queued") == set(range(32, 40))


def control(broker: ServerInfo, *command: str) -> None:
    subprocess.run([str(broker.dir / "ctl"), "-q", *command], check=True, timeout=300, stdin=subprocess.DEVNULL)


def test_a_dead_letter_says_the_true_reason(queue):
    worker = queue.sends()
    publish(queue, "in", 1, body=gzip.compress(MAIL), content_encoding="gzip", message_id="a")
    publish(queue, "in", 2, {"give_up_at": int(time.time()) - 60}, message_id="b")
    publish(queue, "in", 3, content_encoding="UTF-8", message_id="c")
    queue.all_arrive({3})
    reasons = {}
    with queue.channel() as channel:
        dead = f"{queue.name}.dead"
        wait_until(lambda: channel.queue_declare(dead, passive=True).method.message_count >= 2, "2 are dead")
        while (found := channel.basic_get(dead, auto_ack=True))[0]:
            reasons[found[1].headers["reverse_path"][:2]] = found[1].headers["postroad_reason"]
            if found[1].headers["reverse_path"].startswith("n1"):
                assert found[1].content_encoding == "gzip"
                assert gzip.decompress(found[2]) == MAIL
    assert reasons == {
        "n1": "the content encoding is gzip: only what is not encoded is sent",
        "n2": "it was given up: its time was over while it waited for a connection to d1.test",
    }
    worker.end(signal.SIGTERM)
    assert set(queue.sink.got) == {3}


def test_shards_are_added_while_messages_come_and_go(queue):
    queue.sink.delay = 0.05
    old = queue.sends("--shards", 2, "--per-destination", 1)
    before = queue.submits(0, 300, 12, "--shards", 2)
    wait_until(lambda: len(queue.sink.got) >= 30, "30 messages arrive")
    park(queue, range(900, 910), "held")
    queue.sends("--shards", 6, "--per-destination", 1)
    after = queue.submits(300, 300, 12, "--shards", 6)
    wait_until(lambda: len(queue.sink.got) >= 100, "100 messages arrive")
    old.end(signal.SIGTERM)
    assert before.ended() == after.ended() == ""
    assert Worker("retry", queue.url(), queue.name, "held", "--shards", 6).ended() == ""
    queue.in_order(set(range(600)) | set(range(900, 910)))
    # Nothing stays in a shard that is not its own.
    queue.sink.most.clear()
    queue.sends("--shards", 6, "--per-destination", 1)
    assert queue.submits(1000, 200, 12, "--shards", 2).ended() == ""
    queue.in_order(set(range(1000, 1200)))
    assert set(queue.sink.most.values()) <= {1}, queue.sink.most


def test_errors_name_what_is_wrong_and_no_password(queue):
    ports = queue.broker.ports

    def refused(url: str, *options: object) -> str:
        worker = Worker("send", url, queue.name, queue.sink.port, *options)
        text = worker.ended()
        assert worker.process.returncode == 1
        assert "hunter2" not in text
        assert PASSWORD not in text
        return text

    text = refused(f"amqp://alice:hunter2@127.0.0.1:{ports['amqp']}/postroad")
    assert "the broker ended the connection logging in: 403 ACCESS_REFUSED" in text
    text = refused(f"amqp://alice:{PASSWORD}@127.0.0.1:{free_ports(1)[0]}/postroad")
    assert "cannot connect to the broker" in text
    text = refused(f"amqp://alice:{PASSWORD}@127.0.0.1:{ports['amqp']}/elsewhere")
    assert "logging in" in text
    text = refused(f"amqps://alice:{PASSWORD}@localhost:{ports['amqps']}/postroad")
    assert "cannot connect to the broker" in text
    assert "verif" in text
    text = refused(f"amqp:/alice:{PASSWORD}@localhost")
    assert "the URL of the broker must be" in text
    with queue.channel() as channel:
        channel.queue_declare(f"{queue.name}.in", durable=True)
    text = refused(queue.url())
    assert "PRECONDITION_FAILED" in text


def test_the_sink_of_these_tests_sees_duplicates_and_connections(queue):
    def talk(number: int, to: str) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", queue.sink.port))
        client.sendall(f"EHLO x\r\nMAIL FROM:<n{number}@x>\r\nRCPT TO:<a@{to}>\r\nDATA\r\n.\r\n".encode())
        return client

    open_ = [talk(1, "x.test"), talk(1, "x.test"), talk(2, "y.test")]
    wait_until(lambda: sum(queue.sink.got.values()) == 3, "three messages")
    assert queue.sink.twice() == {1}
    assert queue.sink.most == {"x.test": 2, "y.test": 1}
    for each in open_:
        each.close()
