"""A mail server that counts, and a way to wait until it has counted enough."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import re
import threading
import time
from collections.abc import Callable

DEADLINE = 120.0


def wait_until(true: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    end = time.monotonic() + deadline
    while not true():
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        time.sleep(0.05)


class Sink:
    """A mail server that counts messages by the number in their reverse path, and connections by destination. It knows
    its clients by the first label of the name that they give. It refuses the recipients of messages in `refuses`.

    One thread reads all connections in turn: so one that a client has ended is not counted any more when the client's
    next one has come as far as RCPT."""

    def __init__(self, delay: float = 0.02) -> None:
        self.delay = delay
        self.refuses: set[int] = set()
        self.got: collections.Counter[int] = collections.Counter()
        self.recipients: collections.Counter[tuple[int, str]] = collections.Counter()
        self.times: dict[int, float] = {}
        self.sent: dict[str, list[tuple[int, str]]] = collections.defaultdict(list)
        self.open: collections.Counter[str] = collections.Counter()
        self.most: collections.Counter[str] = collections.Counter()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._handle, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(DEADLINE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError, asyncio.CancelledError), contextlib.closing(writer):
            await self._talk(reader, writer)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        domain, number, name = None, 0, ""
        to: list[str] = []

        def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")

        say("220 sink ESMTP")
        try:
            while line := await reader.readline():
                word = line.split()[0].upper()
                if word == b"EHLO":
                    name = line.split()[1].split(b".")[0].decode()
                    say("250-sink\r\n250 PIPELINING")
                    continue
                if word == b"QUIT":
                    break
                if word == b"MAIL":
                    number, to = int(re.search(rb"<n(\d+)@", line)[1]), []
                if word == b"RCPT" and number in self.refuses:
                    say("550 5.1.1 no such user")
                    continue
                if word == b"DATA" and not to:
                    say("554 5.5.1 no valid recipients")
                    continue
                if word == b"RCPT":
                    to.append(re.search(rb"<([^>]+)>", line)[1].decode())
                if word == b"RCPT" and domain is None:
                    domain = re.search(rb"@([^>]+)>", line)[1].decode()
                    self.open[domain] += 1
                    self.most[domain] = max(self.most[domain], self.open[domain])
                if word == b"DATA":
                    say("354 go")
                    while (line := await reader.readline()) != b".\r\n":
                        if not line:
                            return
                    self.got[number] += 1
                    self.recipients.update((number, each) for each in to)
                    self.times[number] = time.time()
                    self.sent[name].append((number, domain))
                    await asyncio.sleep(self.delay)
                say("250 ok")
        finally:
            if domain:
                self.open[domain] -= 1
        say("221 bye")

    def twice(self) -> set[int]:
        return {number for number, times in list(self.got.items()) if times > 1}
