#!/usr/bin/env python3
"""What a message costs in Python: postroad beside smtplib, aiosmtplib and Django's backend.

    bench/python_clients.py [COUNT] [DELAY_MS] [ROUNDS]      (2000 0 1)

Each client is a process of its own against the library's sink, over one connection. Printed of each: messages a second,
CPU of the process a message, how much that is of what smtplib takes, and its peak memory. What starting costs is taken
off by a run of one message. In several rounds the clients take turns, and the figures are the middle ones.
"""

import json
import statistics
import subprocess
import sys

OCTETS = "b'From: a@x.example\\r\\nTo: b@x.example\\r\\nSubject: Hi\\r\\n\\r\\n' + (b'x' * 76 + b'\\r\\n') * 13"
MAILER = "import postroad\nmail = postroad.Mailer(URL, connections=1, pipelining={!r})\n"
MANY = "for r in mail.send_many([M] * N): pass\nmail.close()"
DJANGO = """
from django.conf import settings
settings.configure(EMAIL_HOST='127.0.0.1', EMAIL_PORT=PORT, POSTROAD={{'url': URL, 'connections': 1}})
from django.core.mail import EmailMessage
from {} import EmailBackend
EmailBackend().send_messages([EmailMessage('Hi', 'x' * 1000, 'a@x.example', ['b@x.example']) for _ in range(N)])
"""
CLIENTS = {
    "smtplib": "import smtplib\nwith smtplib.SMTP('127.0.0.1', PORT) as s:\n"
    "  for _ in range(N): s.sendmail('a@x.example', ['b@x.example'], M)",
    "postroad.smtplib": "from postroad import smtplib\nwith smtplib.SMTP('127.0.0.1', PORT) as s:\n"
    "  for _ in range(N): s.sendmail('a@x.example', ['b@x.example'], M)",
    "aiosmtplib": "import aiosmtplib, asyncio\nasync def main():\n"
    "  async with aiosmtplib.SMTP(hostname='127.0.0.1', port=PORT, start_tls=False) as s:\n"
    "    for _ in range(N): await s.sendmail('a@x.example', ['b@x.example'], M)\nasyncio.run(main())",
    "send": MAILER.format(None) + "for _ in range(N): mail.send(M)\nmail.close()",
    "send_many": MAILER.format(None) + MANY,
    "send_many, envelope": MAILER.format("envelope") + MANY,
    "send_many, window": MAILER.format("window") + MANY,
    "asend_many": "import asyncio\n" + MAILER.format(None) + "async def main():\n"
    "  async for r in mail.asend_many([M] * N): pass\nasyncio.run(main())\nmail.close()",
    "Django": DJANGO.format("django.core.mail.backends.smtp"),
    "Django by postroad": DJANGO.format("postroad.django"),
}
RUN = """
import json, resource, sys, time
URL, PORT, N, M = {url!r}, {port}, {n}, {octets}
began = time.perf_counter()
{client}
u = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([time.perf_counter() - began, u.ru_utime + u.ru_stime, u.ru_maxrss]))
"""


def measured(sink, client, n):
    """Seconds, of them by the CPU, and KiB; None where it is not installed."""
    text = RUN.format(url=sink.url(), port=sink.port, n=n, octets=OCTETS, client=client)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", text], capture_output=True, text=True)
    if "ModuleNotFoundError" in done.stderr:
        return None
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def differences(sink, client, count):
    """Of a run of so many messages and one of one."""
    one, all_of_them = measured(sink, client, 1), measured(sink, client, count)
    if one is None or all_of_them is None:
        return None
    took, cpu = (max(b - a, 1e-9) for a, b in zip(one[:2], all_of_them[:2]))
    return (count - 1) / took, 1e6 * cpu / (count - 1), all_of_them[2] / 1024


def main():
    from postroad import testing

    count, delay, rounds = (int(a) for a in [*sys.argv[1:], *("2000", "0", "1")[len(sys.argv) - 1 :]])
    print(f"{count} messages of 1 KB, {delay} ms a reply")
    print(f"{'':20} {'a second':>10} {'CPU us each':>12} {'of smtplib':>11} {'least':>6} {'most':>6} {'peak MB':>8}")
    with testing.Sink(keep=False, delay=delay / 1000, chunking=True) as sink:
        taken = [{name: differences(sink, client, count) for name, client in CLIENTS.items()} for _ in range(rounds)]
    for name in CLIENTS:
        if taken[0][name] is None:
            print(f"{name:20} not installed")
            continue
        rate, cpu, peak = (statistics.median(t[name][i] for t in taken) for i in range(3))
        parts = [t[name][1] / t["smtplib"][1] for t in taken]
        spread = f"{statistics.median(parts):11.2f} {min(parts):6.2f} {max(parts):6.2f}"
        print(f"{name:20} {rate:10.0f} {cpu:12.0f} {spread} {peak:8.0f}")


main()
