"""Looks whether memory, threads and descriptors of a process stay as they are, however much it sends.

python flat.py [SENDS] [MAILERS] [FORKS]      (200000 3000 1000)

Prints a line for each kind of work: what the process had after a quarter of it, and at the end. Fails where it had more
at the end: a thread, a descriptor, or more memory than MOST.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import threading
import time

import postroad

MOST = 4 << 20  # octets: what allocators keep back
MAIL = b"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: Hi\r\n\r\n" + b"x" * 1000 + b"\r\n"
SINK = """
import sys
from postroad import testing
with testing.Sink(keep=False) as sink:
    print(sink.url(), flush=True)
    sys.stdin.read()
"""


def held():
    """Octets, threads, descriptors."""
    gc.collect()
    with open("/proc/self/statm") as f:
        resident = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resident, len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def steady(name, work, times):
    """Does it `times` times; whether nothing grew from a quarter on."""
    for _ in range(times // 4):
        work()
    before = held()
    for _ in range(times - times // 4):
        work()
    # a thread that is over may still be there for a moment
    end = time.monotonic() + 30
    while True:
        after = held()
        grown = [b - a for a, b in zip(before, after)]
        if max(grown[1:]) <= 0 or time.monotonic() > end:
            break
        time.sleep(0.01)
    had = f"{before[0] >> 10} KiB, {before[1]} threads, {before[2]} descriptors"
    print(f"{name}: {times}: {had}; then {grown[0] >> 10} KiB, {grown[1]}, {grown[2]} more", flush=True)
    return grown[0] <= MOST and grown[1] <= 0 and grown[2] <= 0


def in_a_child():
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            with postroad.Mailer(URL) as own:
                status = 0 if own.send(MAIL).all_accepted else 2
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def with_a_mailer():
    with postroad.Mailer(URL, on_event=lambda event: None) as own:
        own.submit(MAIL).add_done_callback(lambda ticket: None)


sends, mailers, forks = [*map(int, sys.argv[1:]), *(200_000, 3_000, 1_000)[len(sys.argv) - 1 :]]
with subprocess.Popen([sys.executable, "-c", SINK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sink:
    URL = sink.stdout.readline().strip()
    with postroad.Mailer(URL, connections=1) as mail:

        def hundred():
            assert all(r.all_accepted for r in mail.send_many([MAIL] * 100))

        fine = steady("sends by hundreds", hundred, sends // 100)
    fine &= steady("mailers", with_a_mailer, mailers)
    fine &= steady("forks", in_a_child, forks)
    assert threading.active_count() == 1
    sink.stdin.close()
sys.exit(0 if fine else 1)
