"""Interpreters and threads of other kinds than CPython's main ones: they work, or say so."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from test_lifecycle import PRELUDE


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "first",
    ["", "import postroad", "import postroad; postroad.Mailer('smtp://x.example')"],
    ids=["none", "main", "mailer"],
)
@pytest.mark.parametrize("name", ["postroad", "postroad.django", "postroad._core"])
def test_a_sub_interpreter_is_refused_and_the_main_one_works_on(first, name):
    for module in ("_interpreters", "_xxsubinterpreters"):
        try:
            importlib.import_module(module)
            break
        except ImportError:
            continue
    else:
        pytest.skip("this Python has no sub-interpreters")
    done = run(f"""
import {module} as interpreters
{first}
source = '''
try:
    import {name}
except ImportError as e:
    print(e, flush=True)
'''
for _ in range(2):
    other = interpreters.create()
    interpreters.{"exec" if module == "_interpreters" else "run_string"}(other, source)
    interpreters.destroy(other)
import postroad
postroad.Mailer("smtp://x.example").close()
print("end")
""")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, lines[-1], len(lines)) == (0, "", "end", 3)
    assert all("sub-interpreter" in line for line in lines[:-1])


PATCHES = {
    "gevent": "from gevent import monkey; monkey.patch_all()\nfrom gevent import sleep, spawn\n",
    "eventlet": "import eventlet; eventlet.monkey_patch()\nfrom eventlet import sleep, spawn\n",
}
# One server for all of it, in a process of its own: what is patched here shall be the client only.
SERVE = PRELUDE + "server = Server()\nprint(server.url, flush=True)\nsys.stdin.read()\n"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", PATCHES)
@pytest.mark.parametrize(
    "call",
    [
        "mail.send(compose())",
        "mail.submit(compose()).wait()",
        "list(mail.send_many([compose()]))[0]",
        "closed(mail, mail.submit(compose()))",
        "looked(mail, mail.send(compose()))",
    ],
)
def test_green_threads_go_on_while_one_waits(library, call):
    if importlib.util.find_spec(library) is None:
        pytest.skip("not here")
    with subprocess.Popen([sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as s:
        url = s.stdout.readline().strip()
        done = run(
            PATCHES[library]
            + PRELUDE
            + f"""
def closed(mail, ticket):
    mail.close()
    return ticket.wait(0)
def looked(mail, receipt):
    calls = [mail.count, mail.jobs, lambda: mail.drop(id=0), lambda: mail.hold(id=0), lambda: mail.retry_now(id=0),
             lambda: mail.pause(tenant="t"), lambda: mail.resume(tenant="t")]
    for call in calls:
        before = len(ticks)
        call()
        assert len(ticks) > before
    return receipt
ticks = []
def tick():
    while True:
        ticks.append(1)
        sleep(0)
spawn(tick)
asked = []
def happened(event):
    asked.append(event.kind)
told = []
mail = postroad.Mailer({url!r}, on_event=happened)
receipt = {call}
assert receipt.all_accepted, receipt
if not "close" in {call!r}:
    ticket = mail.submit(compose("second@x.example"))
    ticket.add_done_callback(told.append)
    ticket.wait()
    mail.close()
    assert told == [ticket], told
assert "outcome" in asked, asked
assert len(ticks) > 1
print("end", flush=True)
os._exit(0)
"""
        )
        s.stdin.close()
    assert done.stdout == "end\n", done.stderr


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", PATCHES)
def test_credentials_are_asked_for_under_green_threads(library, start_sink):
    if importlib.util.find_spec(library) is None:
        pytest.skip("not here")
    sink = start_sink("--auth", "ann:secret-word", "--require-auth")
    done = run(
        PATCHES[library]
        + PRELUDE
        + f"""
mail = postroad.Mailer("smtp+insecure://localhost:{sink.port}?insecure_authentication=true",
                       credentials=lambda request: ("ann", "secret-word"))
print(mail.send(compose()).all_accepted, flush=True)
mail.close()
os._exit(0)
"""
    )
    assert done.stdout == "True\n", done.stderr
