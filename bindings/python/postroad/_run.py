"""The subcommand run: a sender, which takes messages from queues that last and sends them until it is told to stop."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import functools
import http.server
import json
import os
import signal
import socket
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple, Type

from ._config import load
from ._errors import Error, InvalidInput, printable
from ._events import Event
from ._jobs import Counts, Queue, Trouble
from ._mailer import Mailer
from ._messages import seconds
from ._report import Report, options_of, reporting
from ._shared import made
from ._shell import GOOD, TRY_LATER, URL_HELP, add_login, not_empty, proof, server_given
from ._threads import Worker
from ._tls_results import TlsResults

_LOGGED = ("retry", "late", "closed", "outcome", "lost", "decision")
_SAVED = 60.0
"""Seconds from one save of the counts to the next."""
_LOOKED = 5.0
"""Seconds from one look at whether files can be written to the next."""
_SIGNALS = {signal.SIGTERM: "stop", signal.SIGINT: "stop"}
if hasattr(signal, "SIGHUP"):
    _SIGNALS[signal.SIGHUP] = "reread"


class Log:
    """Lines on standard error, of text or of JSON. Nobody who reads there can break the sender."""

    def __init__(self, form: str) -> None:
        self._json = form == "json"
        self._lock = threading.Lock()

    def __call__(self, kind: str, **members: object) -> None:
        said = {name: value for name, value in members.items() if value not in (None, "", 0)}
        if self._json:
            now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
            line = json.dumps({"time": now, "event": kind, **said})
        else:
            line = " ".join([f"postroad: {kind}", *(f"{name}={printable(str(value))}" for name, value in said.items())])
        with self._lock, contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), (line + "\n").encode())

    def event(self, queue: str, e: Event) -> None:
        if e.kind not in _LOGGED or (e.kind == "closed" and e.error is None):
            return
        status = None if e.status is None else e.status.value
        recipient, text = (e.text, None) if e.kind == "outcome" else (None, e.text)
        self(
            e.kind,
            queue=queue,
            message=e.message,
            server=e.server,
            recipient=recipient,
            status=status,
            code=e.code,
            enhanced=e.enhanced,
            reply=e.reply,
            error=e.error,
            text=text,
            next_try=round(e.took, 1) if e.kind == "retry" else None,
        )


def _notify(state: str) -> None:
    """Tells systemd, where it started this (sd_notify(3))."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if place:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(state.encode(), "\0" + place[1:] if place.startswith("@") else place)


class Sender:
    """The mailers of one run, one for each queue, from one reading of the settings to the next."""

    def __init__(self, args: argparse.Namespace, log: Log, report: Optional[Report] = None) -> None:
        self._args = args
        self.log = log
        self._report = report
        self.mailers: Dict[str, Mailer] = {}
        self.tls_results: Optional[TlsResults] = None
        self.is_direct = False
        self._unwritable: Set[str] = set()  # queues of which that was said

    def open(self) -> None:
        """Raises Error and OSError; then none is open."""
        queues, arguments = self.settings()
        try:
            for queue in queues:
                name = _name_of(queue)
                told = options_of(self._report, [functools.partial(self.log.event, name)])
                self.mailers[name] = made({**arguments, "queue": queue, **told})
        except BaseException:
            with contextlib.suppress(Error, OSError):
                self.close()
            raise

    def settings(self) -> Tuple[List[str], Dict[str, Any]]:
        """The queues, and the other arguments of a Mailer. Raises Error and OSError."""
        args = self._args
        config = load()
        url, account = server_given(args.url, args, config)
        self.is_direct = url.lower().startswith("mx:")
        queues = args.queue or ([config.queue] if config.queue else [])
        if not queues:
            raise InvalidInput("no queue is named: --queue FILE", code="invalid_option")
        arguments = {name: getattr(args, name) for name in ("connections", "pace", "attempts", "queue_name", "rules")}
        arguments["ca_file"] = args.ca_file or account.ca_file or None
        if args.tls_results and self.tls_results is None:
            self.tls_results = TlsResults(args.tls_results)
        arguments["tls_results"] = self.tls_results
        return queues, {"url": url, **arguments, **proof(args, url, account)}

    def close(self) -> int:
        """Begins nothing more, waits for replies, and leaves the rest in the queues; returns how many those are. Raises
        Error and OSError where that cannot be said, once all are closed."""
        mailers, self.mailers = self.mailers, {}
        at_brokers, failure = 0, None
        for mailer in (m for name, m in mailers.items() if "://" in name):
            try:
                at_brokers += mailer.count().total
            except (Error, OSError) as e:  # one that is away keeps nobody from being closed
                failure = e
        threads = [threading.Thread(target=self._close, args=(m,)) for m in mailers.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failure is not None:
            raise failure
        return at_brokers + sum(Queue(name).count().total for name in mailers if "://" not in name)

    def _close(self, mailer: Mailer) -> None:
        try:
            mailer.close(grace=self._args.grace)
        except Error as e:  # its file is gone
            self.log("cannot store", error=str(e))

    def save(self) -> None:
        """What was counted for reports on TLS, as far as there is room for it."""
        try:
            if self.tls_results is not None:
                self.tls_results.save()
        except OSError as e:
            self.log("cannot save", error=str(e))

    def look(self) -> None:
        """Says once that the file of a queue cannot be written, and once that it can again."""
        for name, mailer in self.mailers.items():
            if "://" in name:
                continue
            trouble = _storage_trouble(mailer)
            if trouble is not None and name not in self._unwritable:
                self._unwritable.add(name)
                self.log("trouble", name=name, **trouble)
            elif trouble is None and name in self._unwritable:
                self._unwritable.remove(name)
                self.log("trouble over", name=name)

    def counts(self) -> Dict[str, Counts]:
        return {name: mailer.count() for name, mailer in self.mailers.items()}

    def is_ready(self, troubles: Sequence[Trouble]) -> bool:
        """Whether mail can go out at all: among many domains some are always down."""
        hinders = [t for t in troubles if not self.is_direct or t.name == "*" or _is_of_storage(t)]
        return bool(self.mailers) and not hinders

    def status(self) -> Dict[str, Any]:
        """For people and monitors."""
        return {
            name: {
                **counts.by_state,
                "oldest": counts.oldest,
                "troubles": [dataclasses.asdict(t) for t in counts.troubles],
                "stats": dataclasses.asdict(self.mailers[name].stats()),
            }
            for name, counts in self.counts().items()
        }


def _name_of(queue: str) -> str:
    """A queue's name for people: a broker's URL may hold a password."""
    return queue.split("://")[0] + "://" + queue.rpartition("@")[2] if "://" in queue else queue


def _is_of_storage(trouble: Trouble) -> bool:
    """Whether nothing at all can go, since the file of the queue cannot be written."""
    return trouble.code.startswith("storage_")


def _storage_trouble(mailer: Mailer) -> Optional[Dict[str, object]]:
    """What the log says of it; None: its file can be written."""
    try:
        found = next(filter(_is_of_storage, mailer.count().troubles), None)
    except Error as e:  # the file is gone
        return {"code": e.code, "why": str(e)}
    return None if found is None else {"code": found.code, "why": found.why, "waiting": found.waiting}


def _is_drained(counts: Counts) -> bool:
    """Nothing can be sent now: all is sent, waits for its time, for a site in trouble, or for room on the disk."""
    if any(map(_is_of_storage, counts.troubles)):
        return True
    stuck = sum(t.waiting for t in counts.troubles)
    return counts.by_state["sending"] == 0 and counts.by_state["waiting"] <= stuck


def _address(text: str) -> Tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidInput("--health needs HOST:PORT", code="invalid_option")
    return host.strip("[]") or "127.0.0.1", int(port)


def _metrics(sender: Sender) -> bytes:
    from prometheus_client import CollectorRegistry, generate_latest

    from .prometheus import Collector

    registry = CollectorRegistry()
    registry.register(Collector(sender.mailers))
    return generate_latest(registry)


class _HealthServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: Tuple[str, int], handler: Type[http.server.BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asks may leave before the answer, as load balancers do: no news, and no line of the log."""


@contextlib.contextmanager
def _health(sender: Sender, place: Optional[str]) -> Iterator[None]:
    """Answers /health, /ready, /status and, where prometheus-client is installed, /metrics."""
    if place is None:
        yield
        return

    host, port = _address(place)

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10.0  # of a connection on which nothing comes

        def do_GET(self) -> None:
            try:
                code, octets, kind = _answer(sender, self.path.partition("?")[0])
            except (Error, RuntimeError):  # it rereads its settings
                code, octets, kind = 503, b'{"ready": false}\n', "application/json"
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(octets)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    try:
        listening = _HealthServer((host, port), Handler)
    except OSError as e:
        text = f"--health {place}: {e.strerror}: name another, such as 127.0.0.1:0 for a free port"
        raise InvalidInput(text, code="cannot_listen") from None
    with listening as server:
        sender.log("listening", port=server.server_port)
        Worker("postroad health", server.serve_forever)
        try:
            yield
        finally:
            server.shutdown()


def _answer(sender: Sender, path: str) -> Tuple[int, bytes, str]:
    if path == "/metrics":
        try:
            return 200, _metrics(sender), "text/plain; version=0.0.4; charset=utf-8"
        except ImportError:
            return 404, b"prometheus-client is not installed\n", "text/plain"
    found: Dict[str, Any]
    if path == "/health":
        code, found = 200, {"healthy": True}
    elif path == "/ready":
        troubles = [t for c in sender.counts().values() for t in c.troubles]
        ready = sender.is_ready(troubles)
        code, found = 200 if ready else 503, {"ready": ready, "troubles": [t.name for t in troubles]}
    elif path == "/status":
        code, found = 200, sender.status()
    else:
        code, found = 404, {"error": "there are /health, /ready, /status and /metrics"}
    return code, json.dumps(found).encode() + b"\n", "application/json"


@contextlib.contextmanager
def _told(tell: Callable[[str], None]) -> Iterator[None]:
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {s: signal.signal(s, lambda s, _: tell(_SIGNALS[signal.Signals(s)])) for s in _SIGNALS}
    try:
        yield
    finally:
        for s, was in before.items():
            signal.signal(s, was)


def run(args: argparse.Namespace, of: Type[Sender] = Sender) -> int:
    """Sends until a signal, or with --drain until nothing can be sent now. Raises Error and OSError of its settings."""
    log = Log(args.log)
    orders: List[str] = []
    ordered = threading.Event()

    def tell(order: str) -> None:
        if "stop" in orders and order == "stop":
            os._exit(TRY_LATER)  # the second time: at once
        orders.append(order)
        ordered.set()

    with reporting(args.report) as report, _told(tell):
        sender = of(args, log, report)
        sender.open()
        with _health(sender, args.health):
            log("started", mailers=", ".join(f"{name}: {m!r}" for name, m in sender.mailers.items()))
            _notify("READY=1")
            while not _stops(args, sender, orders, ordered):
                _notify("RELOADING=1")
                _reread(sender, orders, ordered)
                _notify("READY=1")
            _notify("STOPPING=1")
            left = sender.close()
    log("stopped", left=left)
    return TRY_LATER if args.drain and left else GOOD


def _reread(sender: Sender, orders: List[str], ordered: threading.Event) -> None:
    """What waits for its time, as for a password that works, is tried at once. What is wrong with the new settings
    leaves nothing to send with: it is said, and tried again until there is another order."""
    try:
        sender.close()
    except (Error, OSError) as e:  # a broker may be away, a file gone
        sender.log("cannot count", error=str(e))
    while "stop" not in orders:
        try:
            sender.open()
            break
        except (Error, OSError) as e:
            sender.log("cannot reread", error=str(e))
            ordered.clear()
            ordered.wait(5.0)
    ordered.set()  # what came meanwhile is looked at
    for mailer in sender.mailers.values():
        mailer.retry_now(state="delayed")


def _stops(args: argparse.Namespace, sender: Sender, orders: List[str], ordered: threading.Event) -> bool:
    """Waits for an order, or the end of --drain; False: the settings are to be read again."""
    saved = time.monotonic()
    while True:
        ordered.wait(0.2 if args.drain else _LOOKED)
        ordered.clear()
        if not args.drain:
            sender.look()
            if time.monotonic() - saved >= _SAVED:
                saved = time.monotonic()
                sender.save()
        if "stop" in orders:
            return True
        if "reread" in orders:
            orders.remove("reread")
            sender.log("rereading")
            return False
        if args.drain:
            counts = sender.counts()
            if all(map(_is_drained, counts.values())):
                for t in (t for c in counts.values() for t in c.troubles):
                    sender.log("trouble", name=t.name, why=t.why, waiting=t.waiting)
                return True


def register(commands: Any) -> None:
    """Adds the subcommand."""
    p = commands.add_parser(
        "run",
        help="send what is in queues",
        description="Sends what is in the queues, and what comes into them, until SIGTERM or SIGINT. That ends it in "
        "order: nothing more is begun, and replies are waited for. SIGHUP reads configuration, password and rules "
        "anew, and tries at once what waits.",
    )
    p.add_argument("url", metavar="URL", nargs="?", help=URL_HELP)
    add_login(p)
    p.add_argument("--queue", type=not_empty, metavar="FILE", action="append", help="a file, or amqp://...; repeatable")
    p.add_argument("--queue-name", type=not_empty, metavar="NAME", help="of a queue at a broker")
    p.add_argument("--ca-file", type=not_empty, metavar="FILE", help="CAs to trust instead of the system's")
    p.add_argument(
        "--rules", type=not_empty, metavar="FILE", help="with mx://, what providers bear, and where mail leaves from"
    )
    p.add_argument("--tls-results", type=not_empty, metavar="FOLDER", help="with mx://, count for postroad tls-report")
    p.add_argument("--connections", type=int, metavar="N", help="most connections at a time")
    p.add_argument("--pace", type=float, metavar="N", help="most messages a second")
    p.add_argument("--attempts", type=int, metavar="N", help="how often a message that was deferred is tried")
    add_running(p)
    p.set_defaults(run=run)


def _grace(text: str) -> float:
    try:
        given = seconds("--grace", float(text), zero=True)
    except (ValueError, InvalidInput):
        raise argparse.ArgumentTypeError("expected a number of seconds from 0 to 1e9") from None
    return given or 0.0


def add_running(p: argparse.ArgumentParser) -> None:
    """Adds the options that are not about where mail goes."""
    p.add_argument("--drain", action="store_true", help="end when nothing is left that can be sent now, as for cron")
    p.add_argument("--grace", type=_grace, metavar="SECONDS", default=30.0, help="for replies at the end (30)")
    p.add_argument(
        "--health", type=not_empty, metavar="HOST:PORT", help="answer /health, /ready, /status and /metrics there"
    )
    p.add_argument(
        "--report", type=not_empty, metavar="FILE", help="at the end write what happened as a page of HTML, with plots"
    )
    p.add_argument("--log", choices=["text", "json"], default="text", help="form of the lines on standard error")
