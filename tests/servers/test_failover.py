"""Several servers: what the first does not take goes to the next, and nothing is lost or doubled on the way."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

import fixtures
from fixtures import DOMAIN, free_ports
from sending import command_for, numbered, numbers_in, run_of, send_folder, travelling, url_of
from sink import wait_until

MODES = ("lockstep", "envelope", "across", "window")


class Wire:
    """Passes connections on to a server until that many octets went there in all; then all of them end, and no
    further one is accepted."""

    def __init__(self, to: int, octets: int) -> None:
        self._to, self._left = to, octets
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                with self._lock:
                    self._open += [client, server]
                threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                with self._lock:
                    if counted:
                        data = data[: self._left]
                        self._left -= len(data)
                    if data and not self.cut:
                        sink.sendall(data)
                    last = self._left == 0
                if last:
                    return self.close()
            sink.shutdown(socket.SHUT_WR)
        return None

    def close(self) -> None:
        with self._lock:
            self.cut = True
            # a listener that is only closed goes on listening while a thread waits in accept()
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            self._open = []


def write_messages(folder, count: int) -> None:
    for number in range(count):
        (folder / f"{number:04}.eml").write_bytes(numbered(number, "alice"))


def statuses(run, count: int) -> list[str]:
    return [run.statuses(f"{number:04}.eml")["alice"] for number in range(count)]


def processes_of(leader: str) -> set[str]:
    listed = subprocess.run(["ps", "-o", "pid=", "-s", leader], capture_output=True, text=True)
    return set(listed.stdout.split())


def is_busy(server) -> bool:
    """Something is on its way to a mailbox. What waits for another attempt is not: a report that nobody takes stays."""
    if server.name == "exim":  # which has a process for each client and for each delivery
        leader = (server.dir / "pids").read_text().split()[0]
        return processes_of(leader) > {leader}
    queues = [server.dir / "spool" / name for name in ("maildrop", "incoming", "active")]
    return any(path.is_file() for queue in queues for path in queue.rglob("*"))


def arrived(server) -> list[int]:
    """The numbers of what arrived, once nothing more comes."""
    wait_until(lambda: not is_busy(server), f"{server.name} has delivered everything")
    return numbers_in(server.messages("alice"))


@pytest.mark.parametrize("mode", MODES)
def test_the_backup_gets_everything_while_the_first_is_down(postfix, exim, mode, tmp_path):
    write_messages(tmp_path, 30)
    url = f"smtp://localhost:{free_ports(1)[0]}/"
    url = url_of(exim, url, backup=f"localhost:{postfix.ports['mx']}", pipelining=mode)
    run = send_folder(tmp_path, url, exim.ca, sender="")
    assert run.code == 0, run.output
    assert {each["attempts"] for each in run.reports.values()} == {1}
    assert numbers_in(postfix.wait("alice", 30)) == list(range(30))
    assert exim.messages("alice") == []


def test_all_servers_down_is_one_error_for_each_message(exim, tmp_path):
    write_messages(tmp_path, 3)
    first, second, third = free_ports(3)
    url = url_of(exim, f"smtp://localhost:{first}/", backup=f"localhost:{second},localhost:{third}")
    run = send_folder(tmp_path, url, exim.ca, sender="")
    assert statuses(run, 3) == ["not_attempted"] * 3, run.output
    assert len(run.errors()) == 3


def test_a_refusal_of_the_first_is_final(postfix, exim, one):
    url = url_of(exim, "smtp://localhost:{smtp}/", backup=f"localhost:{postfix.ports['mx']}")
    run = send_folder(one, url, exim.ca, "alice", "reject", "nobody")
    assert run.statuses("one.eml") == {"alice": "accepted", "reject": "rejected", "nobody": "rejected"}
    assert exim.wait("alice", 1) == [travelling((one / "one.eml").read_bytes())]
    assert postfix.messages("alice") == []


def test_credentials_that_the_first_refuses_are_not_shown_to_the_next(postfix, exim, one):
    url = url_of(exim, "smtp://alice:wrong@localhost:{smtp}/", backup=f"localhost:{postfix.ports['submission']}")
    run = send_folder(one, url, exim.ca, "alice")
    assert run.errors() == ["authentication_rejected"], run.output
    assert "auth=" not in postfix.log()  # of the end of a connection; others come from its start and from earlier tests


# What was on its way when the first died: with TLS about 500 octets a message and 3,000 for a handshake.
@pytest.mark.parametrize("octets", [500, 2_000, 6_011, 12_345, 23_456])
@pytest.mark.parametrize("mode", MODES)
def test_when_the_first_dies_nothing_is_lost_or_doubled(postfix, exim, mode, octets, tmp_path):
    count = 60
    write_messages(tmp_path, count)
    wire = Wire(exim.ports["smtp"], octets)
    url = f"smtp://localhost:{wire.port}/"
    url = url_of(exim, url, backup=f"localhost:{postfix.ports['mx']}", pipelining=mode, connections="2")
    run = send_folder(tmp_path, url, exim.ca, sender="")
    wire.close()
    said = statuses(run, count)
    accepted = [number for number in range(count) if said[number] == "accepted"]
    doubtful = [number for number in range(count) if said[number] == "in_doubt"]
    assert len(accepted) + len(doubtful) == count, run.output
    assert len(doubtful) <= 2 * (1 if mode in ("lockstep", "envelope") else 2 if mode == "across" else 16), run.output
    at_first, at_second = arrived(exim), arrived(postfix)
    assert sorted(set(at_first)) == at_first
    assert sorted(set(at_second)) == at_second
    assert not set(at_first) & set(at_second), "doubled"
    assert not set(at_second) & set(doubtful), "what is in doubt was given to the next server"
    assert set(accepted) <= set(at_first) | set(at_second), "lost"
    assert set(at_first) | set(at_second) <= set(accepted) | set(doubtful)


def kill_session(leader: str) -> None:
    """All processes of a daemon, and those that began meanwhile."""
    killed: set[str] = set()
    while left := processes_of(leader) - killed:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        killed |= left


@pytest.mark.parametrize("mode", ["envelope", "window"])
def test_when_the_first_is_killed_nothing_is_lost_or_doubled(postfix, mode, tmp_path, tls_dir):
    count = {"envelope": 200, "window": 400}[mode]
    write_messages(tmp_path, count)
    with fixtures.running("exim", tls_dir) as first:
        url = url_of(first, "smtp://localhost:{smtp}/", backup=f"localhost:{postfix.ports['mx']}", pipelining=mode)
        command = command_for(tmp_path, url, first.ca, sender="")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sending:
            end = time.monotonic() + fixtures.DEADLINE
            log = first.dir / "log/mainlog"
            while (log.read_text() if log.exists() else "").count(" <= ") < 10 and time.monotonic() < end:
                time.sleep(0.001)
            kill_session((first.dir / "pids").read_text().split()[0])
            stdout, stderr = sending.communicate(timeout=300)
        run = run_of(command, sending.returncode, stdout, stderr)
        # what it had taken and not yet delivered lies in its spool
        prefix = os.environ.get("POSTROAD_TEST_PREFIX", "/opt/postroad-test")
        exim4 = f"{prefix}/exim/usr/sbin/exim4"
        deliver = [exim4, "-C", str(first.dir / "exim.conf"), "-qff"]
        subprocess.run(deliver, check=True, timeout=300, capture_output=True)
        at_first = set(numbers_in(first.messages("alice")))
    said = statuses(run, count)
    accepted = {number for number in range(count) if said[number] == "accepted"}
    doubtful = {number for number in range(count) if said[number] == "in_doubt"}
    assert len(accepted) + len(doubtful) == count, run.output
    at_second = arrived(postfix)
    assert at_second, "the first was not killed in time"
    assert sorted(set(at_second)) == at_second
    assert not at_first & set(at_second), "doubled"
    assert not set(at_second) & doubtful, "what is in doubt was given to the next server"
    assert accepted <= at_first | set(at_second), "lost"


def test_the_wire_of_these_tests_cuts_where_it_says():
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = Wire(server.getsockname()[1], 5)
        with socket.create_connection(("127.0.0.1", wire.port)) as client:
            there, _ = server.accept()
            client.sendall(b"123456789")
            with there:
                there.settimeout(60)
                assert there.makefile("rb").read() == b"12345"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", wire.port)).close()
        assert wire.cut
