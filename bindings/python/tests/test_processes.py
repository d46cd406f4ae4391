"""Processes that are forked, that end, and that are told to: nothing hangs, and what was taken is not lost."""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import postroad
import pytest
from conftest import compose
from test_lifecycle import PRELUDE, run

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")

# Of each class what its functions are called with. Nothing public is left out.
CALLS = {
    postroad.Mailer: {
        "send": "mail.send(compose())",
        "asend": "asyncio.run(mail.asend(compose()))",
        "submit": "mail.submit(compose())",
        "asubmit": "asyncio.run(mail.asubmit(compose()))",
        "send_many": "next(mail.send_many([compose()]))",
        "asend_many": "asyncio.run(first(mail.asend_many([compose()])))",
        "merge": "next(mail.merge([{'email': 'bob@b.example'}], 'letter'))",
        "stats": "mail.stats()",
        "jobs": "mail.jobs()",
        "count": "mail.count()",
        "retry_now": "mail.retry_now()",
        "hold": "mail.hold()",
        "drop": "mail.drop()",
        "pause": "mail.pause(tag='x')",
        "resume": "mail.resume(tag='x')",
        "close": "mail.close()",
        "aclose": "asyncio.run(mail.aclose())",
    },
    postroad.Ticket: {
        "done": "ticket.done()",
        "wait": "ticket.wait()",
        "cancel": "ticket.cancel()",
        "add_done_callback": "ticket.add_done_callback(print)",
        "__await__": "asyncio.run(ticket._outcome())",
    },
    postroad.Queue: {
        "jobs": "queue.jobs()",
        "count": "queue.count()",
        "retry_now": "queue.retry_now()",
        "hold": "queue.hold()",
        "drop": "queue.drop()",
        "compact": "queue.compact()",
        "export": "queue.export('folder')",
    },
}
# They open the file anew, in whatever process.
ANYWHERE = {"journal"}


@pytest.mark.parametrize("kind", CALLS)
def test_nothing_public_is_left_out(kind):
    own = {n for n, v in inspect.getmembers(kind, inspect.isfunction) if not n.startswith("_")}
    assert own - ANYWHERE | {n for n in CALLS[kind] if n.startswith("_")} == set(CALLS[kind])


@needs_fork
@pytest.mark.parametrize("queue", [None, "outbox.db"])
def test_what_a_child_inherited_raises_in_it_and_goes_on_in_the_parent(tmp_path, queue):
    calls = [text for of in CALLS.values() for text in of.values()]
    calls += ["next(many)", "mail.__exit__(None, None, None)"]
    calls += ["mail.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)"]
    done = run(f"""
import asyncio
async def first(many):
    return await many.__anext__()
os.chdir({str(tmp_path)!r})
server = Server(stall="RCPT TO:<second@")
mail = postroad.Mailer(server.url, queue={queue!r}, on_event=lambda event: None)
postroad.Mailer(server.url, queue="other.db", submit_only=True).close()
queue = postroad.Queue("other.db")
assert mail.send(compose()).all_accepted
many = mail.send_many([compose(), compose()])
assert next(many).all_accepted
ticket = mail.submit(compose("second@x.example"))
ticket.add_done_callback(lambda ticket: None)
server.stalled.wait()
child = os.fork()
if child == 0:
    for call in {calls!r}:
        try:
            eval(call)
            print("no error:", call, flush=True)
        except RuntimeError as e:
            assert "fork" in str(e), (call, e)
    repr(mail)
    many.close()
    del mail, ticket, queue, many
    with postroad.Mailer(server.url) as mine:
        assert mine.send(compose("third@x.example")).all_accepted
    assert postroad.Queue("other.db").count().total == 0
    print("child done", flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
server.resume.set()
assert ticket.wait(60).all_accepted
assert [r.all_accepted for r in many] == [True]
assert mail.send(compose()).all_accepted
assert queue.count().total == 0
print("parent done")
""")
    assert (done.returncode, done.stdout) == (0, "child done\nparent done\n"), done.stderr
    assert done.stderr == ""


@needs_fork
def test_a_child_is_forked_while_other_threads_use_what_it_inherits(tmp_path):
    done = run(f"""
os.chdir({str(tmp_path)!r})
server = Server()
mail = postroad.Mailer(server.url, queue="outbox.db")
queue = postroad.Queue("outbox.db")
ended = threading.Event()
def use():
    while not ended.is_set():
        queue.count()
        mail.count()
threads = [threading.Thread(target=use) for _ in range(3)]
for t in threads: t.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        for use_it in (mail.count, queue.count):
            try:
                use_it()
            except RuntimeError:
                continue
            os._exit(1)
        del mail, queue, use_it
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
ended.set()
for t in threads: t.join()
mail.close()
print("parent done")
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "parent done\n", "")


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_django_connection_that_was_open_at_the_fork_is_opened_anew(server):
    import test_django
    from django.core import mail

    connection = mail.get_connection(host="127.0.0.1", port=server.port)
    with connection:
        assert test_django.email(["bob@example.org"], connection=connection).send() == 1
        child = os.fork()
        if child == 0:
            sent = 0
            try:
                sent = test_django.email(["cid@example.org"], connection=connection).send()
                connection.close()
            finally:
                os._exit(0 if sent == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert test_django.email(["dan@example.org"], connection=connection).send() == 1
    assert [m.recipients[0][:3] for m in test_django.taken(server, 3)] == ["bob", "cid", "dan"]


CHILD = """
import multiprocessing, sys
sys.path[:0] = [TESTS]
import postroad
from concurrent.futures import ProcessPoolExecutor
from conftest import compose

kept = []
def submit(url, queue, to):
    mail = postroad.Mailer(url, queue=queue)
    kept.append((mail, [mail.submit(compose(f"{to}{i}@x.example")) for i in range(3)]))

if __name__ == "__main__":
    how, method, url, queue = sys.argv[1:]
    context = multiprocessing.get_context(method)
    if how == "process":
        child = context.Process(target=submit, args=(url, queue or None, "a"))
        child.start()
        child.join()
        print(child.exitcode)
    elif how == "pool":
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            pool.submit(submit, url, queue or None, "a").result()
        print(0)
    else:
        with context.Pool(1) as pool:
            pool.apply(submit, (url, queue or None, "a"))
            pool.close()
            pool.join()
        print(0)
"""


@needs_fork
@pytest.mark.parametrize(
    ("how", "method", "queue"),
    [
        ("process", "fork", ""),
        ("process", "fork", "outbox.db"),
        ("process", "forkserver", ""),
        ("process", "spawn", ""),
        ("pool", "fork", ""),
        ("older pool", "fork", ""),
    ],
)
def test_a_process_of_multiprocessing_sends_what_it_took(server, tmp_path, how, method, queue):
    program = tmp_path / "program.py"
    program.write_text(CHILD.replace("TESTS", repr(str(Path(__file__).parent))))
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(program), how, method, server.url, queue],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert sorted(m.recipients[0] for m in server.messages) == ["a0@x.example", "a1@x.example", "a2@x.example"]


@needs_fork
def test_what_watches_leaves_out_the_mailers_of_the_parent(server):
    pytest.importorskip("prometheus_client")
    program = f"""
import json, os, sys, postroad, postroad.opentelemetry
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from postroad.prometheus import Collector
from prometheus_client import CollectorRegistry, generate_latest
reader = InMemoryMetricReader()
options = {{"meter_provider": MeterProvider([reader])}}
message = b"From: a@x.example\\r\\nTo: b@x.example\\r\\n\\r\\nx\\r\\n"
parent = postroad.opentelemetry.Mailer({server.url!r}, **options)
parent.send(message)
if child := os.fork():
    sys.exit(os.waitpid(child, 0)[1])
own = postroad.opentelemetry.Mailer({server.url!r}, **options)
own.send(message)
registry = CollectorRegistry()
registry.register(Collector({{"parent": parent, "own": own}}))
text = generate_latest(registry).decode()
assert 'postroad_contents_total{{mailer="own"}} 1.0' in text, text
assert "parent" not in text, text
data = json.loads(reader.get_metrics_data().to_json())
found = {{m["name"]: m for r in data["resource_metrics"] for s in r["scope_metrics"] for m in s["metrics"]}}
(point,) = found["messaging.client.sent.messages"]["data"]["data_points"]
assert point["value"] == 1, point
own.close()
os._exit(0)
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


INTERRUPTIONS = [KeyboardInterrupt, SystemExit, GeneratorExit]


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
@pytest.mark.parametrize("queue", [None, "outbox.db"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "content"])
def test_what_is_under_way_gets_its_reply_when_a_block_is_interrupted(
    make_server, tmp_path, monkeypatch, step, queue, interruption
):
    monkeypatch.setattr("postroad._mailer._GRACE", 60.0)  # a busy machine may take longer than the usual
    server = make_server(stall=step)
    file = queue and tmp_path / queue
    with contextlib.suppress(interruption):
        with postroad.Mailer(server.url, connections=1, queue=file) as mail:
            tickets = [mail.submit(compose(f"r{i}@x.example")) for i in range(5)]
            assert server.stalled.wait(60)
            tickets[-1].add_done_callback(lambda ticket: server.resume.set())
            raise interruption
    assert tickets[0].wait(0).all_accepted
    assert [m.recipients for m in server.messages] == [["r0@x.example"]]
    for ticket in tickets[1:]:
        with pytest.raises(postroad.Cancelled) as e:
            ticket.wait(0)
        assert not e.value.receipt.in_doubt
    if file:
        assert postroad.Queue(file).count().total == 4
        assert postroad.Queue(file).count().by_state["in_doubt"] == 0


def test_the_same_in_asyncio(make_server, monkeypatch):
    import asyncio

    monkeypatch.setattr("postroad._mailer._GRACE", 60.0)
    server = make_server(stall="content")
    tickets = []

    async def main():
        async with postroad.Mailer(server.url, connections=1) as mail:
            tickets.extend([await mail.asubmit(compose()), await mail.asubmit(compose())])
            await asyncio.get_running_loop().run_in_executor(None, server.stalled.wait)
            tickets[1].add_done_callback(lambda ticket: server.resume.set())
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert tickets[0].wait(0).all_accepted
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("limits", "sent"),
    [({"grace": 60}, 1), ({"timeout": 0, "grace": 60}, 1), ({"timeout": 60}, 3), ({"timeout": 60, "grace": 0}, 3)],
)
def test_closing_waits_for_all_or_with_grace_for_what_is_under_way(make_server, limits, sent):
    server = make_server(stall="content")
    mail = postroad.Mailer(server.url, connections=1)
    tickets = [mail.submit(compose()) for _ in range(3)]
    assert server.stalled.wait(60)
    if sent == 1:
        tickets[2].add_done_callback(lambda ticket: server.resume.set())
    else:
        server.resume.set()
    mail.close(**limits)
    assert tickets[0].wait(0).all_accepted
    assert len(server.messages) == sent


def test_without_grace_what_is_under_way_is_in_doubt(make_server):
    server = make_server(stall="content")
    mail = postroad.Mailer(server.url)
    ticket = mail.submit(compose())
    assert server.stalled.wait(60)
    mail.close(grace=0)
    with pytest.raises(postroad.Cancelled) as e:
        ticket.wait(0)
    assert e.value.receipt.in_doubt


def test_what_outlasts_the_time_for_all_still_gets_its_reply(make_server):
    server = make_server(stall="content")
    mail = postroad.Mailer(server.url, connections=1)
    tickets = [mail.submit(compose()) for _ in range(2)]
    assert server.stalled.wait(60)
    tickets[1].add_done_callback(lambda ticket: server.resume.set())
    mail.close(0.01, grace=60)
    assert tickets[0].wait(0).all_accepted
    assert len(server.messages) == 1


def test_a_mailer_that_was_closed_in_its_block_may_be_interrupted(server):
    with contextlib.suppress(KeyboardInterrupt):
        with postroad.Mailer(server.url) as mail:
            mail.close()
            raise KeyboardInterrupt


@pytest.mark.skipif(not hasattr(signal, "SIGTERM") or os.name == "nt", reason="needs POSIX signals")
def test_a_handler_of_sigterm_that_exits_loses_no_reply():
    done = run("""
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
postroad._mailer._GRACE = 60.0
server = Server(stall="content")
import atexit
with postroad.Mailer(server.url, connections=1) as mail:
    ticket, other = mail.submit(compose()), mail.submit(compose())
    server.stalled.wait()
    other.add_done_callback(lambda ticket: server.resume.set())
    atexit.register(lambda: print(ticket.wait(0).all_accepted))
    os.kill(os.getpid(), signal.SIGTERM)
    ticket.wait()
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


COMMAND = PRELUDE + textwrap.dedent("""
import contextlib
from postroad.__main__ import main
server = Server(stall="content")
postroad._mailer._GRACE = 60.0
start, close = postroad._core.Many.start, postroad._core.Mailer.close
begun = threading.Semaphore(0)
second = len(sys.argv) > 2
def resume(core):
    with contextlib.suppress(postroad.Cancelled):  # the second call finds it closed
        while core.count()[0]["waiting"]:
            pass
    server.resume.set()
def starting(*given):
    receipts = start(*given)
    begun.release()
    return receipts
def closing(core, *limits):
    if second:
        os.kill(os.getpid(), signal.SIGINT)
    else:
        threading.Thread(target=resume, args=(core,)).start()
    close(core, *limits)
postroad._core.Many.start, postroad._core.Mailer.close = starting, closing
def tell():
    server.stalled.wait()
    for _ in range(3):  # also of what waits behind it something becomes
        begun.acquire()
    os.kill(os.getpid(), int(sys.argv[1]))
threading.Thread(target=tell, daemon=True).start()
sys.exit(main(["send", "--quiet", server.url + "?connections=1", "one.eml", "two.eml", "three.eml"]))
""")


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_what_became_of_each_message_when_it_is_interrupted(tmp_path, number):
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.eml").write_bytes(bytes(compose()))
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(int(number))], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 130, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == "postroad: interrupted: waiting for replies to what is under way; once more ends at once"
    assert sorted(line.split(":")[1].strip() for line in lines[1:]) == ["three.eml", "two.eml"]
    assert done.stdout.count("not_attempted") == 2
    again = subprocess.run(
        [sys.executable, "-c", COMMAND, str(int(number)), "twice"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert again.returncode == 130, again.stderr
    assert "Traceback" not in again.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX pipes")
@pytest.mark.parametrize("command", ["send", "check", "diagnose", "queue", "count", "export", "merge"])
def test_a_reader_that_leaves_early_is_no_failure(server, tmp_path, command):
    files = []
    for i in range(3):
        files.append(str(tmp_path / f"{i}.eml"))
        Path(files[-1]).write_bytes(bytes(compose()))
    queue = str(tmp_path / "outbox.db")
    with postroad.Mailer(server.url, queue=queue, submit_only=True) as mail:
        mail.submit(compose())
    postroad.SuppressionList(tmp_path / "left.db").add("a@x.example")
    (tmp_path / "hi.txt").write_text("x" * 20_000)
    (tmp_path / "hi.head").write_text("From: a@x.example\n")
    (tmp_path / "rows.csv").write_text("email\na@x.example\nb@x.example\nc@x.example\n")
    arguments = {
        "send": ["send", server.url, *files],
        "check": ["check", *files],
        "diagnose": ["diagnose", server.url],
        "queue": ["queue", queue],
        "count": ["queue", queue, "count"],
        "export": ["suppress", str(tmp_path / "left.db"), "export"],
        "merge": ["merge", "--preview", "3", str(tmp_path / "hi"), str(tmp_path / "rows.csv")],
    }[command]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "postroad", *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writing)
    said = [f"postroad: row {n + 1} ({c}@x.example):" for n, c in enumerate("abc")] if command == "merge" else []
    assert (done.returncode, done.stderr.splitlines()) == (0, said)
    assert len(server.messages) == (3 if command == "send" else 0)


@pytest.mark.parametrize(
    "call", ["mail.send(compose())", "mail.submit(compose()).wait()", "mail.close()", "list(many)"]
)
def test_daemon_threads_that_wait_do_not_abort_a_python_that_ends(call):
    for _ in range(3):
        done = run(f"""
server = Server(stall="EHLO")
mails = [postroad.Mailer(server.url, close_timeout=0, on_event=lambda event: None) for _ in range(8)]
begun = threading.Barrier(9)
def use(mail):
    many = mail.send_many([compose()])
    try:
        mail.submit(compose())
        begun.wait()
        {call}
    except postroad.Error:
        pass
for mail in mails:
    threading.Thread(target=use, args=(mail,), daemon=True).start()
begun.wait()
""")
        assert (done.returncode, done.stderr) == (0, "")
