"""Threads, signals, fork() and the end of the interpreter. What ends a process runs in one of its own."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import postroad
import pytest
from conftest import compose
from postroad.__main__ import main

PRELUDE = f"""
import os, signal, sys, threading, time
sys.path[:0] = [{str(Path(__file__).parent)!r}]
import postroad
from conftest import compose
from smtp_server import Server
"""


def run(program):
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore:This process:DeprecationWarning", "-c", PRELUDE + program],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_mailer_that_cannot_be_set_up_waits_for_no_thread_that_needs_this_one():
    done = run(
        """
options = {"user": "u", "credentials": lambda: "x", "on_failure": "report", "reporting_mta": "bad name"}
try:
    postroad.Mailer("smtp://localhost:1", **options)
except postroad.InvalidInput as e:
    print(e.code)
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_threads_share_a_mailer(server):
    with postroad.Mailer(server.url) as mail, ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(mail.send, [compose() for _ in range(100)]))
    assert all(r.all_accepted for r in receipts)


def test_other_threads_run_while_one_sends(make_server, message):
    server = make_server(stall="content")
    with postroad.Mailer(server.url) as mail:
        sending = threading.Thread(target=mail.send, args=(message,))
        sending.start()
        assert server.stalled.wait(60)  # this thread and the server's run: the GIL is free
        server.resume.set()
        sending.join(60)
        assert not sending.is_alive()


def test_dropping_a_mailer_ends_its_connections(make_server, message):
    server = make_server()
    mail = postroad.Mailer(server.url)
    mail.send(message)
    del mail
    assert server.disconnected.wait(60)


def test_dropping_a_mailer_with_something_under_way_is_warned_of(make_server, tmp_path):
    server = make_server(stall="EHLO")
    mail = postroad.Mailer(server.url)
    mail.submit(compose())
    assert server.stalled.wait(60)
    with pytest.warns(ResourceWarning, match=r"Mailer 127.*dropped and not closed"):
        del mail
    server.resume.set()


def test_dropping_a_mailer_that_loses_nothing_is_not_warned_of(make_server, server, tmp_path):
    stalled = make_server(stall="EHLO")
    sent = postroad.Mailer(server.url)
    sent.submit(compose()).wait()
    closed = postroad.Mailer(stalled.url)
    closed.submit(compose())
    closed.close(0, grace=0)
    queued = postroad.Mailer(stalled.url, queue=tmp_path / "queue.db")
    queued.submit(compose())
    del sent, closed, queued  # a warning would be an error
    stalled.resume.set()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("options", "call"),
    [
        ({}, lambda mail: mail.send(compose())),
        ({}, lambda mail: mail.submit(compose()).wait()),
        ({}, lambda mail: list(mail.send_many([compose()] * 3))),
        ({}, lambda mail: (mail.submit(compose()), mail.close())),
        ({"capacity": 1, "when_full": "wait"}, lambda mail: [mail.submit(compose()) for _ in range(3)]),
    ],
    ids=["send", "wait", "send_many", "close", "submit"],
)
def test_a_keyboard_interrupt_ends_what_blocks(make_server, options, call):
    server = make_server(stall="EHLO")
    sent = []

    def interrupt():
        assert server.stalled.wait(60)
        sent.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    mail = postroad.Mailer(server.url, **options)
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        call(mail)
    mail.close(0)
    assert time.monotonic() - sent[0] < 30  # of the minutes that a reply may take
    server.resume.set()
    assert server.disconnected.wait(60)


def test_an_interrupted_send_is_over_within_200_ms():
    done = run("""
took = []
# until one is quick, since the machine may be busy with other things
while len(took) < 50 and min(took, default=1) >= 0.2:
    server = Server(stall="EHLO")
    mail = postroad.Mailer(server.url)
    sent = []
    def interrupt():
        server.stalled.wait()
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    try:
        mail.send(compose())
    except KeyboardInterrupt:
        took.append(time.monotonic() - sent[0])
    mail.close(0)
print(f"{1000 * min(took):.0f}")
""")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200


def test_python_exits_while_a_message_is_under_way():
    done = run("""
server = Server(stall="EHLO")
mail = postroad.Mailer(server.url, close_timeout=0.1)
ticket = mail.submit(compose())
server.stalled.wait()
import asyncio
async def main():
    asyncio.ensure_future(mail.asend(compose()))
    await asyncio.sleep(0)
asyncio.run(main())
print("end")
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_python_sends_what_it_holds_before_it_exits():
    done = run("""
import atexit
server = Server()
atexit.register(lambda: os.write(1, b"%d\\n" % len(server.messages)))
import importlib
sys.modules.pop("postroad._mailer"); importlib.reload(postroad)
mail = postroad.Mailer(server.url)
for i in range(20):
    mail.submit(compose())
""")
    assert (done.returncode, done.stdout) == (0, "20\n"), done.stderr


def test_an_interrupt_at_exit_leaves_no_mailer_open():
    done = run("""
from postroad import _mailer
mails = [postroad.Mailer("discard://") for _ in range(3)]
real = postroad.Mailer.close
calls = []
def close(self, *args, **options):
    calls.append(options)
    if len(calls) == 1:
        raise KeyboardInterrupt
    real(self, *args, **options)
postroad.Mailer.close = close
try:
    _mailer._close_all()
except KeyboardInterrupt:
    print(len(calls), calls[1:])
postroad.Mailer.close = real
""")
    assert done.stdout == "3 [{'grace': 0}, {'grace': 0}]\n", done.stderr


def test_a_mailer_made_at_exit_is_refused():
    done = run("""
import atexit
from postroad import _mailer
atexit.unregister(_mailer._close_all)
def late():
    try:
        postroad.Mailer("smtp://x.example")
    except RuntimeError as e:
        print(e)
atexit.register(late)
atexit.register(_mailer._close_all)
""")
    assert done.stdout == "Python is exiting: a Mailer cannot be made any more\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_forked_child_cannot_use_the_mailer_of_its_parent():
    done = run("""
server = Server(stall="RCPT TO:<second@")
mail = postroad.Mailer(server.url)
assert mail.send(compose()).all_accepted
ticket = mail.submit(compose("second@x.example"))
server.stalled.wait()
child = os.fork()
if child == 0:
    calls = [lambda: mail.send(compose()), lambda: mail.submit(compose()), lambda: next(mail.send_many([compose()])),
             lambda: ticket.wait(), lambda: ticket.done(), lambda: ticket.cancel(), lambda: mail.close(),
             lambda: mail.__exit__(None, None, None)]
    for call in calls:
        try:
            call()
            print("no error")
        except RuntimeError as e:
            assert "fork" in str(e), e
    repr(mail)
    del mail, ticket, calls, call
    print("child done", flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
server.resume.set()
assert ticket.wait(60).all_accepted
assert mail.send(compose()).all_accepted
print("parent done")
""")
    assert (done.returncode, done.stdout) == (0, "child done\nparent done\n"), done.stderr
    assert done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_forked_child_has_mailers_of_its_own():
    done = run("""
server = Server()
mail = postroad.Mailer(server.url)
mail.send(compose())
child = os.fork()
if child == 0:
    with postroad.Mailer("smtp+insecure://127.0.0.1:1") as mine:
        try:
            mine.send(compose())
        except postroad.TransientError as e:
            print(e.code, flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ECONNREFUSED\n", "")


# Interrupts itself when a module is looked for.
INTERRUPTING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


def interrupted(folder, module, *arguments):
    """Python with those arguments, interrupted when it looks for that module."""
    (folder / "sitecustomize.py").write_text(INTERRUPTING)
    folders = [str(folder), str(Path(postroad.__file__).parent.parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "INTERRUPT_AT": module}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.skipif(sys.version_info < (3, 10), reason="what is being run is not known there")
@pytest.mark.parametrize("module", ["postroad._interpreter", "postroad._core", "postroad._run", "postroad.__main__"])
@pytest.mark.parametrize("script", [False, True], ids=["module", "script"])
def test_the_command_that_is_interrupted_while_it_begins_says_nothing(tmp_path, module, script):
    command = ["-m", "postroad"]
    if script:
        command = [str(tmp_path / "postroad")]
        (tmp_path / "postroad").write_text("import sys\nfrom postroad.__main__ import main\nsys.exit(main())\n")
    done = interrupted(tmp_path, module, *command, "--version")
    # what a shell shows as 130
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_program_that_imports_the_module_is_interrupted_as_ever(tmp_path):
    program = "try:\n    import postroad\nexcept KeyboardInterrupt:\n    print('caught')\n"
    done = interrupted(tmp_path, "postroad._core", "-c", program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "caught\n", "")


def test_the_command_that_is_interrupted_while_it_reads_its_arguments_ends_with_130(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("postroad.__main__._parser", interrupted)
    monkeypatch.setattr("sys.argv", ["anything", "--version"])
    assert main() == 130


@pytest.mark.parametrize("taken", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
def test_what_holds_something_open_is_not_copied(tmp_path, taken):
    with postroad.Mailer("smtp://localhost:1", queue=tmp_path / "q.db") as mail:
        for held in (mail, postroad.Queue(tmp_path / "q.db"), postroad.SuppressionList(tmp_path / "s.db")):
            with pytest.raises(TypeError, match=f"a {type(held).__name__} holds .* cannot be pickled or copied"):
                taken(held)
