#!/usr/bin/env python3
"""Kills processes that send from a durable queue, at random instants, by SIGKILL, SIGTERM or SIGINT, and counts what
arrives.

They write a journal, send reports about what is refused and leave out who is suppressed; and they fork children, which
live on when they are killed.

    tests/crash/check.py WORKER [park] [retry]      the program built from worker.cpp, and the rules; without any, both

POSTROAD_CRASH_KILLS: how many kills for each rule (default 10). POSTROAD_CRASH_SECONDS: after so many there are no more
for that rule (default 100, so that both end in time where ctest waits). POSTROAD_SEED: repeats the instants of a run.
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
SECONDS = float(os.environ.get("POSTROAD_CRASH_SECONDS", "100"))
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


def messages_of(arrived):
    return collections.Counter({i: n for i, n in arrived.items() if not i.startswith("report:")})


def lines_of(queue, kind):
    path = pathlib.Path(f"{queue}.{kind}")
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def rest_of(process):
    """What it and its children said: all there is once they are gone."""
    with process.stdout as said:
        return said.read()


def kill_many(sink, queue, rule, dice):
    """How many, and what their children said. Returns when all children are gone."""
    end = time.monotonic() + SECONDS
    killed = collections.deque()
    said = ""
    kills = 0

    def goes_on():
        if kills < KILLS and time.monotonic() < end:
            return True
        # On a busy machine it may take many to kill one that was sending.
        return kills < KILLS + 200 and not (lines_of(queue, "accepted") and lines_of(queue, "doubt"))

    while goes_on():
        command = [WORKER, "send", queue, sink.port, rule, queue, f"{rule}{kills}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # Sometimes before it has begun.
        if dice.random() < 0.9:
            line = process.stdout.readline()
            assert line == "started\n", line
        # The instant is the test.
        time.sleep(dice.expovariate(1 / (0.12 if kills < KILLS else 1)))
        how = dice.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
        process.send_signal(how)
        assert process.wait() == -how, process.returncode
        kills += 1
        killed.append(process)
        if len(killed) > 100:
            said += rest_of(killed.popleft())
    said += "".join(map(rest_of, killed))
    assert not said.replace("started\n", ""), said[:1000]
    return kills


CAPACITY = 300  # of the queue in worker.cpp, at the least


def check_reports(queue, arrived, refused, doubtful):
    """Each message that was refused has failed, and its sender knows once. Returns how many reports arrived."""
    reports = collections.Counter({i.removeprefix("report:"): n for i, n in arrived.items() if i.startswith("report:")})
    forgotten = int(run("forget", queue)[0])
    failed = set(run("list", queue, "failed"))
    # The oldest go where more failed than the queue holds.
    assert refused <= failed or len(failed) >= CAPACITY, "what was refused is not kept"
    # Somebody may have been killed before they wrote down that a message was taken.
    wrong = [i for i in reports if not i.endswith(".refused")]
    assert not wrong, f"reports of what was not refused: {wrong[:10]}"
    missing = refused - set(reports)
    assert len(missing) <= forgotten, f"not reported: {sorted(missing)[:10]}, and {forgotten} in doubt"
    again = sum(reports.values()) - len(reports)
    assert again <= doubtful, f"{again} reports came twice, and {doubtful} were in doubt"
    return sum(reports.values())


def check(rule, dice):
    # A kill is no power cut: memory will do for a disk, and lets more be under way.
    place = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=place) as folder, Sink() as sink:
        queue = pathlib.Path(folder) / "outbox.db"
        kills = kill_many(sink, queue, rule, dice)
        run("drain", queue, sink.port, rule, queue)
        left = {state: len(run("list", queue, state)) for state in ("waiting", "delayed", "sending", "held")}
        assert not any(left.values()), left
        everything = sink.arrived()
        arrived = messages_of(everything)
        accepted, doubt = set(lines_of(queue, "accepted")), set(lines_of(queue, "doubt"))
        parked = set(run("list", queue, "in_doubt"))
        refused = {i for i in accepted if i.endswith(".refused")} - parked
        doubtful = lines_of(queue, "doubt").count("report")
        reported = check_reports(queue, everything, refused, doubtful)
        twice = {i for i, n in arrived.items() if n > 1}
        assert accepted and doubt, "nothing was sent, or nothing was hit"
        over = collections.Counter(run("over", queue))
        assert max(over.values()) == 1, f"twice in the journal: {[i for i, n in over.items() if n > 1][:10]}"
        assert accepted - parked <= set(over), f"not in the journal: {sorted(accepted - parked - set(over))[:10]}"
        assert not parked & set(over), "in the journal, and still there"
        assert not any(i.endswith(".refused") for i in arrived)
        lost = accepted - set(arrived) - parked - refused
        assert not lost, f"lost: {sorted(lost)[:10]}, {len(lost)} in all"
        assert twice <= doubt, f"duplicates that were not in doubt: {sorted(twice - doubt)[:10]}"
        if rule == "park":
            assert not twice, f"duplicates: {sorted(twice)[:10]}"
            assert parked <= doubt, f"parked without a doubt: {sorted(parked - doubt)[:10]}"
            # Somebody decides, who knows what arrived.
            for i in parked:
                run("drop" if i in arrived else "retry", queue, i)
            run("drain", queue, sink.port, rule, queue)
            arrived = messages_of(sink.arrived())
            assert not {i for i in accepted if not i.endswith(".refused")} - set(arrived)
            assert max(arrived.values()) == 1
            assert accepted <= set(run("over", queue))
        children = sum(".child" in i for i in accepted)
        print(f"{rule}: {kills} kills, {len(accepted)} messages accepted, {children} of them of children, "
              f"{sum(arrived.values())} arrived, {len(refused)} refused, {reported} reports, {len(doubt)} in doubt, "
              f"{len(parked)} parked, {len(twice)} twice, 0 lost")


def main():
    print(f"POSTROAD_SEED={SEED}", flush=True)
    # Whom a shell has in the background ignores it, and so would they.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    dice = random.Random(SEED)
    for rule in sys.argv[2:] or ("park", "retry"):
        check(rule, dice)


main()
