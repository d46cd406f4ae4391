#!/usr/bin/env python3
"""Kills processes that send from a durable queue, at random instants, and counts what arrives.

    tests/crash/check.py WORKER [park] [retry]      the program built from worker.cpp, and the rules; without any, both

POSTROAD_CRASH_KILLS: how many kills for each rule (default 10). POSTROAD_SEED: repeats the instants of a run.
"""

import collections
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

WORKER = sys.argv[1]
KILLS = int(os.environ.get("POSTROAD_CRASH_KILLS", "10"))
SEED = int(os.environ.get("POSTROAD_SEED", str(random.SystemRandom().randrange(10**9))))


class Sink:
    def __init__(self):
        self.process = subprocess.Popen([WORKER, "sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = self.process.stdout.readline().strip()

    def arrived(self):
        """How often each message arrived."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        ids = list(iter(lambda: self.process.stdout.readline().strip(), "end"))
        assert not any(i.startswith("violation") for i in ids), [i for i in ids if i.startswith("violation")][:5]
        return collections.Counter(ids)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def run(*words):
    done = subprocess.run([WORKER, *map(str, words)], capture_output=True, text=True, check=False, timeout=700)
    assert done.returncode == 0, f"{words}: {done.returncode} {done.stderr}"
    return done.stdout.split()


def lines(path):
    return set(path.read_text(encoding="utf-8").split()) if path.exists() else set()


def kill_many(sink, queue, rule, dice):
    for n in range(KILLS):
        command = [WORKER, "send", queue, sink.port, rule, queue, f"{rule}{n}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            # Sometimes before it has begun.
            if dice.random() < 0.9:
                assert process.stdout.readline() == "started\n"
            # The instant is the test.
            time.sleep(dice.expovariate(1 / 0.12))
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL, process.returncode


def check(rule, dice):
    # A kill is no power cut: memory will do for a disk, and lets more be under way.
    place = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=place) as folder, Sink() as sink:
        queue = pathlib.Path(folder) / "outbox.db"
        kill_many(sink, queue, rule, dice)
        run("drain", queue, sink.port, rule, queue)
        left = {state: len(run("list", queue, state)) for state in ("waiting", "delayed", "sending", "held")}
        assert not any(left.values()), left
        arrived = sink.arrived()
        accepted, doubt = lines(pathlib.Path(f"{queue}.accepted")), lines(pathlib.Path(f"{queue}.doubt"))
        parked = set(run("list", queue, "in_doubt"))
        twice = {i for i, n in arrived.items() if n > 1}
        assert accepted and doubt, "nothing was sent, or nothing was hit"
        lost = accepted - set(arrived) - parked
        assert not lost, f"lost: {sorted(lost)[:10]}, {len(lost)} in all"
        assert twice <= doubt, f"duplicates that were not in doubt: {sorted(twice - doubt)[:10]}"
        if rule == "park":
            assert not twice, f"duplicates: {sorted(twice)[:10]}"
            assert parked <= doubt, f"parked without a doubt: {sorted(parked - doubt)[:10]}"
            # Somebody decides, who knows what arrived.
            for i in parked:
                run("drop" if i in arrived else "retry", queue, i)
            run("drain", queue, sink.port, rule, queue)
            arrived = sink.arrived()
            assert not accepted - set(arrived)
            assert max(arrived.values()) == 1
        print(f"{rule}: {KILLS} kills, {len(accepted)} messages accepted, {sum(arrived.values())} arrived, "
              f"{len(doubt)} in doubt, {len(parked)} parked, {len(twice)} twice, 0 lost")


def main():
    print(f"POSTROAD_SEED={SEED}", flush=True)
    dice = random.Random(SEED)
    for rule in sys.argv[2:] or ("park", "retry"):
        check(rule, dice)


main()
