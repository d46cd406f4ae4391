"""A mail server that counts, and a way to wait until it has counted enough."""

from __future__ import annotations

import collections
import contextlib
import re
import socketserver
import threading
import time
from collections.abc import Callable

DEADLINE = 60.0


def wait_until(true: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    end = time.monotonic() + deadline
    while not true():
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        time.sleep(0.05)


class Sink(socketserver.ThreadingTCPServer):
    """A mail server that counts messages by the number in their reverse path, and connections by destination. It knows
    its clients by the first label of the name that they give. It refuses the recipients of messages in `refuses`."""

    allow_reuse_address = True
    daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError, ValueError):
                self.talk()

        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

        def talk(self) -> None:
            sink, domain, number, name = self.server, None, 0, ""
            to: list[str] = []
            self.say("220 sink ESMTP")
            try:
                while line := self.rfile.readline():
                    word = line.split()[0].upper()
                    if word == b"EHLO":
                        name = line.split()[1].split(b".")[0].decode()
                        self.say("250-sink\r\n250 PIPELINING")
                        continue
                    if word == b"QUIT":
                        break
                    if word == b"MAIL":
                        number, to = int(re.search(rb"<n(\d+)@", line)[1]), []
                    if word == b"RCPT" and number in sink.refuses:
                        self.say("550 5.1.1 no such user")
                        continue
                    if word == b"DATA" and not to:
                        self.say("554 5.5.1 no valid recipients")
                        continue
                    if word == b"RCPT":
                        to.append(re.search(rb"<([^>]+)>", line)[1].decode())
                    if word == b"RCPT" and domain is None:
                        domain = re.search(rb"@([^>]+)>", line)[1].decode()
                        with sink.lock:
                            sink.open[domain] += 1
                            sink.most[domain] = max(sink.most[domain], sink.open[domain])
                    if word == b"DATA":
                        self.say("354 go")
                        while (line := self.rfile.readline()) != b".\r\n":
                            if not line:
                                return
                        with sink.lock:
                            sink.got[number] += 1
                            sink.recipients.update((number, each) for each in to)
                            sink.times[number] = time.time()
                            sink.sent[name].append((number, domain))
                        time.sleep(sink.delay)
                    self.say("250 ok")
            finally:
                if domain:
                    with sink.lock:
                        sink.open[domain] -= 1
            self.say("221 bye")

    def __init__(self, delay: float = 0.02) -> None:
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.port = self.server_address[1]
        self.delay = delay
        self.refuses: set[int] = set()
        self.lock = threading.Lock()
        self.got: collections.Counter[int] = collections.Counter()
        self.recipients: collections.Counter[tuple[int, str]] = collections.Counter()
        self.times: dict[int, float] = {}
        self.sent: dict[str, list[tuple[int, str]]] = collections.defaultdict(list)
        self.open: collections.Counter[str] = collections.Counter()
        self.most: collections.Counter[str] = collections.Counter()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def twice(self) -> set[int]:
        return {number for number, times in self.got.items() if times > 1}
