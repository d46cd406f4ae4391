#!/usr/bin/env python3
"""A campaign without a relay: many domains at many sites on addresses of 127.0.0.0/8, a tenth of them broken in all ways.

    tests/campaign/check.py WORKER [MESSAGES DOMAINS SITES]        worker.cpp; by default 2000 400 20

The sender is killed twice on the way. What is looked at: each message arrives once, or ends as its domain says; what was
under way at a kill is in doubt, and nothing else; no site and not all of them together ever have more connections than
they may; memory is bounded.
"""

import asyncio
import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

WORKER = sys.argv[1]
MESSAGES, DOMAINS, SITES = (int(n) for n in (sys.argv[2:5] or (2000, 400, 20)))
PER_SITE, IN_ALL = 3, 40
MEMORY = 150_000 + MESSAGES  # kB
# AddressSanitizer holds back what was freed, which is no memory of the sender.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=16"


class Servers:
    """One listener for all addresses; which one was meant says what kind of server it is."""

    def __init__(self):
        self.arrived = collections.Counter()
        self.open = collections.Counter()
        self.most = collections.Counter()
        self.most_in_all = 0
        self.victim = None  # killed when so many have arrived
        self.enough = 0
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def start():
            server = await asyncio.start_server(self.serve, "0.0.0.0", 0, backlog=1024)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()

        self.loop.create_task(start())
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        ready.wait()

    async def serve(self, reader, writer):
        site = writer.get_extra_info("sockname")[0]
        self.open[site] += 1
        self.most[site] = max(self.most[site], self.open[site])
        self.most_in_all = max(self.most_in_all, sum(self.open.values()))
        try:
            await self.speak(site, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open[site] -= 1
            writer.close()

    async def speak(self, site, reader, writer):
        if site.startswith("127.99.1."):
            return
        if site.startswith("127.99.0."):
            writer.write(b"554 5.7.1 not from you\r\n")
            return
        writer.write(b"220 mx ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif verb == b"RCPT" and site.startswith("127.99.2."):
                writer.write(b"450 4.2.0 later\r\n")
            elif verb == b"RCPT" and site.startswith("127.99.3."):
                writer.write(b"550 5.1.1 nobody\r\n")
            elif verb == b"DATA":
                if site.startswith("127.99."):
                    writer.write(b"554 5.5.1 for nobody\r\n")
                    continue
                writer.write(b"354 go\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                self.arrived[re.search(rb"Message-ID: <(\w+)>", content)[1].decode()] += 1
                # Here, and not by another thread, which may come when all has been sent.
                if self.victim and len(self.arrived) >= self.enough:
                    self.victim.kill()
                    self.victim = None
                writer.write(b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 ok\r\n")


def run(*words):
    done = subprocess.run([WORKER, *map(str, words)], capture_output=True, text=True, check=False, timeout=3000)
    assert done.returncode == 0, f"{words}: {done.returncode} {done.stderr}"
    return done.stdout


# What becomes of a domain that is broken.
WAYS = [
    "rejected domain_unknown",
    "rejected domain_takes_no_mail",
    "rejected mail_loop",
    "waits",
    "waits",
    "rejected domain_unknown",
    "waits",
    "waits",
    "waits",
    "rejected 550",
]


def expected(number):
    domain = number % DOMAINS
    return WAYS[domain // 10 % 10] if domain % 10 == 7 else "accepted 250"


def main():
    servers = Servers()
    doubt = set()
    with tempfile.TemporaryDirectory(prefix="postroad-campaign-") as folder:
        queue = pathlib.Path(folder) / "outbox.db"
        run("fill", queue, MESSAGES, DOMAINS)
        command = [WORKER, "send", queue, DOMAINS, SITES, servers.port]
        begun = time.monotonic()
        for part in (3, 2):
            servers.enough = MESSAGES // part
            with subprocess.Popen([str(w) for w in command], stdout=subprocess.PIPE, text=True) as process:
                servers.victim = process
            assert process.returncode == -signal.SIGKILL, f"it ended after {len(servers.arrived)} messages"
            doubt |= set(run("doubt", queue).split())
        memory = int(run(*command[1:]).split()[0])
        took = time.monotonic() - begun
        left = dict(line.split() for line in run("list", queue).splitlines())
        ended = dict(line.split(" ", 1) for line in pathlib.Path(f"{queue}.outcomes").read_text().splitlines())

    wrong = []
    untold = 0  # over in the queue when the kill came, and not told yet
    for number in range(MESSAGES):
        tag = f"m{number}"
        wanted, outcome, times, state = expected(number), ended.get(tag), servers.arrived[tag], left.get(tag)
        if tag in doubt and state == "in_doubt":
            fine = times <= 1
        elif wanted == "waits":
            fine = state is not None and outcome is None and times == 0
        else:
            fine = state is None and outcome in (wanted, None) and times == (wanted == "accepted 250")
            untold += outcome is None
        if not fine:
            wrong.append(f"{tag}: {wanted}, arrived {times} times, left: {state}, outcome: {outcome}")
    most = max(servers.most.values())
    print(f"{MESSAGES} messages, {len(servers.arrived)} arrived, {len(left)} left, {len(doubt)} in doubt after 2 kills")
    print(f"at most {most} connections to a site, {servers.most_in_all} in all; {memory} kB; {took:.0f} s")
    assert not wrong, f"{len(wrong)} wrong, such as:\n" + "\n".join(wrong[:20])
    assert most <= PER_SITE, f"{most} connections to one site"
    assert servers.most_in_all <= IN_ALL, f"{servers.most_in_all} connections"
    assert memory <= MEMORY, f"{memory} kB"
    # of each connection what is under way, and what is over and not stored yet
    assert len(doubt) <= 2 * 4 * IN_ALL, f"{len(doubt)} in doubt"
    assert untold <= 2 * IN_ALL, f"{untold} ended without a word"


if __name__ == "__main__":
    main()
