"""Real mail servers for tests: started on free ports of 127.0.0.1, stopped at the end.

As context managers: `with running("postfix") as server: ...`. As pytest fixtures: `postfix`, `dovecot`, `exim`,
`opensmtpd`, `proxies` (no mail: ways to the others), `dns` and `rabbitmq` (no mail either), and `server` for a test with
`@pytest.mark.parametrize("server", [...], indirect=True)`; a conftest.py imports them from here. One server of a kind
runs for the whole session; every test finds its mailboxes empty. A server that cannot start is an error, never a skip.

The scripts beside this file say how each server is set up. Users alice, bob and carol; password "secret"; domain
example.test.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

HERE = pathlib.Path(__file__).resolve().parent
PASSWORD = "secret"
DOMAIN = "example.test"
HOST = "mail.example.test"

# name -> the ports its start script takes, in order
PORTS = {
    "postfix": (
        *("mx", "submission", "smtps", "imap", "lmtp", "lmtps", "dovecot_submission", "dovecot_submissions"),
        *("mx_limit", "mx_no_8bitmime", "mx_no_chunking", "mx_no_pipelining", "mx_no_smtputf8", "mx_no_starttls"),
        *("offers", "cyrus"),
    ),
    "dovecot": ("imap", "lmtp", "lmtps"),
    "exim": ("smtp", "smtps", "cyrus"),
    "opensmtpd": ("smtp", "smtps", "submission"),
    "aiosmtpd": ("smtp", "smtps"),
    "haraka": ("smtp",),
    "mailpit": ("smtp", "http"),
    "maddy": ("smtp", "store", "store_smtps"),
    "proxies": ("socks5", "http"),
    "dns": ("dns",),
    "rabbitmq": ("amqp", "amqps", "erlang", "epmd"),
}
LOGS = ("*.log", "dovecot/*.log", "log/*")
DEADLINE = 120.0


class ServerError(Exception):
    """A server did not start, or did not deliver in time; the text ends with its logs."""


def crlf(text: bytes) -> bytes:
    """The text with CRLF line ends, as it travels; a mailbox stores LF."""
    return b"\r\n".join(text.replace(b"\r\n", b"\n").split(b"\n"))


def split_trace(stored: bytes) -> tuple[bytes, bytes]:
    """Splits what a server put in front of a message (Return-Path, Delivered-To, Received...) from the message.

    The last thing a server adds at the top is the Received field of its first hop, which names it; so trace fields that
    the message itself brought along stay with the message.
    """
    end = at = 0
    lines = stored.splitlines(keepends=True)
    names = (b"return-path", b"delivered-to", b"x-original-to", b"envelope-to", b"delivery-date", b"received")
    while lines and lines[0].split(b":")[0].lower() in names:
        fields = [lines.pop(0)]
        while lines and lines[0][:1] in (b" ", b"\t"):
            fields.append(lines.pop(0))
        text = b"".join(fields)
        at += len(text)
        if text.lower().startswith(b"received:") and b"by " + HOST.encode() in b" ".join(text.split()):
            end = at
    return stored[:end], stored[end:]


@dataclass
class ServerInfo:
    """A running server. Ports by name; see PORTS."""

    name: str
    dir: pathlib.Path
    ports: dict[str, int]
    ca: pathlib.Path
    maildirs: pathlib.Path
    _log_start: dict[pathlib.Path, int] = field(default_factory=dict)

    def _files(self, user: str) -> list[pathlib.Path]:
        found = []
        for folder in ("new", "cur"):
            with contextlib.suppress(FileNotFoundError):
                found += list(os.scandir(self.maildirs / user / "Maildir" / folder))
        # ctime is the moment of the delivery; file names are comparable within one second only on some servers
        found.sort(key=lambda entry: (entry.stat().st_ctime_ns, entry.name))
        return [pathlib.Path(entry.path) for entry in found]

    def _count(self, user: str) -> int:
        return len(self._files(user))

    def stored(self, user: str) -> list[bytes]:
        """The user's mail in order of arrival, as it lies in the mailbox."""
        return [path.read_bytes() for path in self._files(user)]

    def messages(self, user: str) -> list[bytes]:
        """The user's mail in order of arrival, without what the server put in front, with CRLF line ends."""
        return [crlf(split_trace(stored)[1]) for stored in self.stored(user)]

    def wait(self, user: str, count: int, deadline: float = DEADLINE) -> list[bytes]:
        """messages(user) once there are `count` of them; ServerError after `deadline` seconds, or if there are more."""
        end = time.monotonic() + deadline
        while (have := self._count(user)) < count:
            if time.monotonic() > end:
                text = f"{self.name}: {have} of {count} messages for {user} after {deadline} s"
                raise ServerError(f"{text}\n{self.log()}")
            time.sleep(0.02)
        if have > count:
            raise ServerError(f"{self.name}: {have} messages for {user} instead of {count}\n{self.log()}")
        return self.messages(user)

    def clear(self) -> None:
        """Empties all mailboxes, and makes log() start here."""
        for folder in ("new", "cur"):
            for path in self.maildirs.glob(f"*/Maildir/{folder}/*"):
                path.unlink(missing_ok=True)
        self._log_start = {path: path.stat().st_size for path in _logs(self.dir)}

    def wait_for_log(self, text: str, deadline: float = DEADLINE) -> None:
        """Waits until log() holds the text: a server writes it when it comes to it, often through another process."""
        end = time.monotonic() + deadline
        while text not in (log := self.log()):
            if time.monotonic() > end:
                raise ServerError(f"{self.name} did not log {text!r} within {deadline} s\n{log}")
            time.sleep(0.02)

    def log(self) -> str:
        """What the server logged since clear(), at most the last 20,000 bytes of each file."""
        parts = []
        for path in _logs(self.dir):
            text = path.read_bytes()[self._log_start.get(path, 0) :][-20_000:].decode(errors="replace")
            if text:
                parts.append(f"--- {path.relative_to(self.dir)}\n{text}")
        return "\n".join(parts)


class Mailpit(ServerInfo):
    """Mailpit has no mailboxes: it keeps all mail in one database. What is found of a user is what names them as To."""

    def _ask(self, path: str, method: str = "GET") -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['http']}/api/v1/{path}", method=method)
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.read()

    def _ids(self, user: str) -> list[str]:
        query = urllib.parse.urlencode({"query": f"to:{user}@{DOMAIN}", "limit": 10_000})
        return [each["ID"] for each in reversed(json.loads(self._ask(f"search?{query}"))["messages"])]

    def _count(self, user: str) -> int:
        return len(self._ids(user))

    def stored(self, user: str) -> list[bytes]:
        return [self._ask(f"message/{each}/raw") for each in self._ids(user)]

    def messages(self, user: str) -> list[bytes]:
        # It says the machine's name in its Received field, the last that it puts in front.
        return [re.split(rb"\(Mailpit\) with SMTP\r\n.*\r\n", text, maxsplit=1)[1] for text in self.stored(user)]

    def clear(self) -> None:
        super().clear()
        self._ask("messages", "DELETE")


KINDS = {"mailpit": Mailpit}


def _logs(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for pattern in LOGS for path in folder.glob(pattern) if path.is_file())


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has now.

    They lie below those that the kernel gives out, so no connection and no other test's server gets one by chance: not
    before a server of ours listens, nor while it is started again, nor where nobody is to listen. Another run of these
    tests may choose the same, see running().
    """
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    for port in random.sample(range(10_000, max(first, 20_000)), 10 * count + 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise ServerError(f"{count} ports of 127.0.0.1 are wanted, and {len(found)} were found")


@contextlib.contextmanager
def _only_one(name: str) -> Iterator[None]:
    """Waits while another test run has a server of which a machine can have only one."""
    with open(pathlib.Path(tempfile.gettempdir()) / f"postroad-test-{name}.lock", "w") as lock:
        end = time.monotonic() + 300
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise ServerError(f"{name} is in use by another test run for 300 s ({lock.name})") from None
                time.sleep(0.2)
        yield


def _start(name: str, folder: pathlib.Path, tls: pathlib.Path) -> ServerInfo:
    ports = free_ports(len(PORTS[name]))
    command = [str(HERE / f"start-{name}"), str(folder), *map(str, ports)]
    env = os.environ | {"POSTROAD_TEST_TLS": str(tls)}
    # the daemons inherit stdout, so it must be a file: a pipe would stay open as long as they live
    with tempfile.TemporaryFile() as output:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        ended = subprocess.run(command, check=False, env=env, timeout=600, **quiet)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if ended.returncode:
        logs = "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-20_000:]}" for path in _logs(folder))
        raise ServerError(f"start-{name} failed ({ended.returncode}):\n{said}{logs}")
    said = dict(line.split("=", 1) for line in (folder / "info").read_text().splitlines())
    return KINDS.get(name, ServerInfo)(
        name=name,
        dir=folder,
        ports=dict(zip(PORTS[name], ports, strict=True)),
        ca=pathlib.Path(said["CA"]),
        maildirs=pathlib.Path(said["MAILDIRS"]),
    )


@contextlib.contextmanager
def running(name: str, tls: pathlib.Path | None = None) -> Iterator[ServerInfo]:
    """Starts a server, one of PORTS, and stops it at the end.

    `tls`: a directory of certificates to share with other servers, filled when empty. Raises ServerError.
    """
    if os.geteuid() != 0:
        raise ServerError(f"{name} needs root: it starts daemons that change to users of their own")
    with contextlib.ExitStack() as stack:
        if name == "opensmtpd":
            stack.enter_context(_only_one(name))
        top = pathlib.Path(tempfile.mkdtemp(prefix="postroad-"))
        stack.callback(shutil.rmtree, top, ignore_errors=True)
        top.chmod(0o755)  # daemons that drop privileges must get in
        for attempt in range(3):
            folder = top / f"{name}{attempt}"
            stack.callback(subprocess.run, [str(HERE / "stop"), str(folder)], check=False, timeout=300)
            try:
                info = _start(name, folder, tls or top / "tls")
                break
            except ServerError as error:
                # so we say, and so they do: "Address already in use"
                if "in use" not in str(error) or attempt == 2:
                    raise
        yield info


@pytest.fixture(scope="session")
def tls_dir() -> Iterator[pathlib.Path]:
    """Certificates that all servers of the session share; also expired, wronghost and selfsigned ones."""
    top = pathlib.Path(tempfile.mkdtemp(prefix="postroad-tls-"))
    top.chmod(0o755)
    yield top
    shutil.rmtree(top, ignore_errors=True)


@pytest.fixture(scope="session")
def start_server(tls_dir: pathlib.Path) -> Iterator[Callable[[str], ServerInfo]]:
    """start_server(name): that server, started at the first call of the session."""
    started: dict[str, ServerInfo] = {}
    with contextlib.ExitStack() as stack:

        def start(name: str) -> ServerInfo:
            if name not in started:
                started[name] = stack.enter_context(running(name, tls_dir))
            return started[name]

        yield start


@pytest.fixture
def server(request: pytest.FixtureRequest, start_server: Callable[[str], ServerInfo]) -> ServerInfo:
    """The server named by the test's parameter, with empty mailboxes."""
    info = start_server(request.param)
    info.clear()
    return info


def _fixture(name: str):
    @pytest.fixture(name=name)
    def get(start_server: Callable[[str], ServerInfo]) -> ServerInfo:
        info = start_server(name)
        info.clear()
        return info

    return get


postfix = _fixture("postfix")
dovecot = _fixture("dovecot")
exim = _fixture("exim")
opensmtpd = _fixture("opensmtpd")
proxies = _fixture("proxies")
dns = _fixture("dns")
rabbitmq = _fixture("rabbitmq")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Puts the logs of a failed test's servers into its report."""
    report = (yield).get_result()
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, ServerInfo):
                report.sections.append((f"{value.name} log", value.log()))
