"""credentials: a function that is asked when a connection has to authenticate."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import traceback

import postroad
import pytest
from conftest import compose

SECRET = "correct-horse-battery"


@pytest.fixture
def start_secured(start_sink, tmp_path):
    def start(*options):
        ca = tmp_path / "ca.pem"
        sink = start_sink("--starttls", "--auth", f"ann:{SECRET}", "--require-auth", "--ca-out", str(ca), *options)
        return {"url": f"smtp://localhost:{sink.port}", "ca_file": ca}

    return start


@pytest.fixture
def secured(start_secured):
    return start_secured()


class Source:
    """Gives `answers` one after the other, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, request):
        self.asked.append((request, threading.current_thread()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


def test_a_user_and_a_password(secured, message):
    source = Source(("ann", SECRET))
    with postroad.Mailer(credentials=source, connections=1, **secured) as mail:
        assert mail.send(message).all_accepted
        assert mail.send(message).all_accepted
    ((request, thread),) = source.asked
    assert request == postroad.CredentialsRequest(secured["url"].removeprefix("smtp://"), refused_token=None)
    assert thread is not threading.main_thread()


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_token_goes_with_the_user_of_the_mailer(start_secured, message, mechanism):
    server = start_secured("--mechanism", mechanism)
    with postroad.Mailer(user="ann", credentials=lambda request: SECRET, **server) as mail:
        assert mail.send(message).all_accepted


def test_a_token_that_is_refused_is_asked_for_again(start_secured, message):
    source = Source("expired", SECRET)
    with postroad.Mailer(user="ann", credentials=source, **start_secured("--mechanism", "XOAUTH2")) as mail:
        assert mail.send(message).all_accepted
    assert [request.refused_token for request, _ in source.asked] == [None, "expired"]


def test_each_connection_asks(secured):
    source = Source(("ann", SECRET))
    with postroad.Mailer(credentials=source, messages_per_connection=1, connections=1, **secured) as mail:
        for i in range(3):
            assert mail.send(compose(f"b{i}@x.example")).all_accepted
    assert len(source.asked) == 3


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (ValueError(SECRET), "it raised ValueError"),
        (SystemExit(SECRET), "it raised SystemExit"),
        (None, "it returned NoneType"),
        (("ann", SECRET, "x"), "it returned tuple"),
        (("ann", SECRET.encode()), "it returned tuple"),
        (("bob", SECRET), "another user"),
        (("ann", SECRET + "\n"), "the password holds a control character"),
        (("ann", SECRET + "\ud800"), "it raised InvalidInput"),
        (SECRET + " x", "the token holds a character"),
        (("ann", SECRET * 30), "the password is longer than"),
    ],
)
def test_what_is_no_answer_is_an_error_without_the_secret(secured, message, answer, text):
    with postroad.Mailer(user="ann", credentials=Source(answer), **secured) as mail:
        with pytest.raises(postroad.AuthenticationError, match=text) as e:
            mail.send(message)
    assert (e.value.code, e.value.phase, e.value.transient) == ("credentials_unavailable", "auth", True)
    shown = "".join(traceback.format_exception(type(e.value), e.value, e.value.__traceback__)) + repr(vars(e.value))
    assert SECRET not in shown.replace(repr(answer), "")


@pytest.mark.parametrize("answer", [("", ""), ""])
def test_an_answer_that_is_empty_is_no_wrong_input(secured, message, answer):
    with postroad.Mailer(credentials=Source(answer), **secured) as mail:
        with pytest.raises(postroad.AuthenticationError, match="empty"):
            mail.send(message)


def test_after_an_error_the_next_connection_asks_again(secured, message):
    source = Source(OSError(), ("ann", SECRET))
    with postroad.Mailer(credentials=source, **secured) as mail:
        with pytest.raises(postroad.AuthenticationError):
            mail.send(message)
        assert mail.send(message).all_accepted


def test_an_answer_that_takes_too_long_is_a_time_out_and_closing_does_not_wait_for_it(secured, message):
    never = threading.Event()
    with postroad.Mailer(credentials=lambda request: never.wait() or "", reply_timeout=0.2, **secured) as mail:
        with pytest.raises((postroad.TimedOut, postroad.AuthenticationError)):
            mail.send(message)
    never.set()


@pytest.mark.filterwarnings("ignore:.*dropped and not closed:ResourceWarning")
def test_the_thread_ends_with_the_mailer(secured, message):
    def asking():
        return [t for t in threading.enumerate() if t.name == "postroad credentials"]

    for t in asking():
        t.join(60)
    mail = postroad.Mailer(credentials=Source(("ann", SECRET)), **secured)
    (thread,) = asking()
    mail.close()
    thread.join(60)
    assert not thread.is_alive()
    mail = postroad.Mailer(credentials=Source(("ann", SECRET)), **secured)
    mail.submit(message)
    (thread,) = asking()
    del mail
    gc.collect()
    thread.join(60)
    assert not thread.is_alive()
    with pytest.raises(postroad.InvalidInput):
        postroad.Mailer("smtp://", credentials=Source(""))
    gc.collect()
    for t in asking():
        t.join(60)
        assert not t.is_alive()


@pytest.mark.parametrize("options", [{"password": SECRET}, {"credentials": lambda _: SECRET}, {"token": SECRET}])
@pytest.mark.parametrize("rest", ["", "?connections=1", "?auth=XOAUTH2,PLAIN"])
def test_the_user_may_stand_in_the_url_alone(start_secured, message, options, rest):
    token = "password" not in options
    server = start_secured(*(["--mechanism", "XOAUTH2"] if token else []))
    url = server["url"].replace("//", "//%61nn@") + rest
    with postroad.Mailer(url, ca_file=server["ca_file"], **options) as mail:
        assert mail.send(message).all_accepted


@pytest.mark.parametrize("options", [{"user": "bob", "password": "x"}, {"user": "ann"}])
def test_two_users_contradict_each_other(options):
    with pytest.raises(postroad.InvalidInput, match="the URL holds credentials, and the arguments too"):
        postroad.Mailer("smtp://ann@localhost", **options)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("smtp://ann:x@localhost", {}),
        ("smtp://localhost", {"user": "ann", "password": "x"}),
        ("smtp://localhost", {"user": "ann", "token": "x"}),
    ],
)
def test_credentials_and_a_function_contradict_each_other(url, options):
    with pytest.raises(postroad.InvalidInput) as e:
        postroad.Mailer(url, credentials=Source(""), **options)
    assert e.value.code == "contradiction"


async def coroutine(request):
    return ""


@pytest.mark.parametrize("source", [SECRET, ("ann", SECRET), coroutine])
def test_what_is_no_function_is_a_type_error(source):
    with pytest.raises(TypeError, match="must be a function") as e:
        postroad.Mailer("smtp://localhost", credentials=source)
    assert SECRET not in str(e.value)


def test_a_submitted_message_is_still_authenticated_when_python_exits(secured):
    program = f"""
import atexit
atexit.register(lambda: print(ticket.wait(0).all_accepted))  # runs behind what the module registers
import postroad
options = {{"ca_file": {str(secured["ca_file"])!r}, "credentials": lambda request: ("ann", {SECRET!r})}}
mail = postroad.Mailer({secured["url"]!r}, **options)
ticket = mail.submit(b"From: a@x.example\\r\\nTo: b@x.example\\r\\n\\r\\nHi\\r\\n")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_a_function_that_hangs_does_not_keep_python_from_exiting(secured):
    program = f"""
import postroad, threading
asked = threading.Event()
def hang(request):
    asked.set()
    threading.Event().wait()
mail = postroad.Mailer({secured["url"]!r}, ca_file={str(secured["ca_file"])!r}, credentials=hang, close_timeout=0)
mail.submit(b"From: a@x.example\\r\\nTo: b@x.example\\r\\n\\r\\nHi\\r\\n")
asked.wait()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
