"""MailHandler: records by mail, digests, a limit."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading

import postroad
import pytest
from postroad.logging import MailHandler

PLACE = {"sender": "site@example.com", "recipients": ["ops@example.com", ("Ann", "ann@example.com")]}


@pytest.fixture
def logger():
    made = logging.Logger("test")
    yield made
    for handler in made.handlers:
        handler.close()


@pytest.fixture
def mail():
    with postroad.Mailer("memory://") as m:
        yield m


def settled(mail):
    """What is in the outbox once the mailer has nothing left to do."""
    while mail.count().total:
        pass
    return list(mail.outbox)


@pytest.mark.parametrize(
    ("mailer", "arguments", "kind"),
    [
        (5, {}, TypeError),
        ("discard://", {"subject": 5}, TypeError),
        ("discard://", {"sender": ""}, postroad.InvalidInput),
        ("discard://", {"recipients": []}, postroad.InvalidInput),
    ],
)
def test_what_no_mail_can_be_made_of_is_said_at_once(mailer, arguments, kind):
    with pytest.raises(kind):
        MailHandler(mailer, **{**PLACE, **arguments})


def test_a_record_goes_by_mail(logger, mail):
    logger.addHandler(handler := MailHandler(mail, **PLACE))
    logger.warning("not this")
    try:
        raise LookupError("gone")
    except LookupError:
        logger.exception("it went\nwrong: %s", "here")
    handler.flush()
    (stored,) = settled(mail)
    assert stored.sender == "site@example.com"
    assert stored.recipients == ("ops@example.com", "ann@example.com")
    assert stored.message["Subject"] == "ERROR: it went"
    assert stored.message["Auto-Submitted"] == "auto-generated"
    assert "wrong: here\nTraceback" in stored.message.get_content().replace("\r\n", "\n")
    assert "LookupError: gone" in stored.message.get_content()


def test_records_of_some_time_go_in_one_mail(logger, mail):
    logger.addHandler(handler := MailHandler(mail, digest=3600, level=logging.INFO, **PLACE))
    for i in range(5):
        logger.info("record %d", i)
    logger.critical("the worst")
    assert list(mail.outbox) == []
    handler.flush()
    (stored,) = settled(mail)
    assert stored.message["Subject"] == "CRITICAL: the worst (and 5 more)"
    assert [f"record {i}" in stored.message.get_content() for i in range(5)] == [True] * 5


def test_a_flood_makes_no_flood_of_mails(logger, mail):
    logger.addHandler(handler := MailHandler(mail, mails_per_hour=2, records=50, **PLACE))
    for i in range(300):
        logger.error("record %03d", i)
    handler.flush()
    texts = [m.message.get_content() for m in settled(mail)]
    assert 1 <= len(texts) <= 3
    shown = sum(text.count("record ") for text in texts)
    left_out = sum(int(line.split(" ")[0]) for t in texts for line in t.splitlines() if "left out" in line)
    assert shown + left_out == 300


def test_who_logs_does_not_wait_for_a_server(make_server, logger):
    server = make_server(stall="EHLO")
    handler = MailHandler(server.url, close_timeout=0, **PLACE)
    logger.addHandler(handler)
    for _ in range(100):
        logger.error("x")
    handler.flush()
    assert server.messages == []


def test_what_postroad_logs_is_not_sent(mail):
    root = logging.Logger("root")
    root.addHandler(handler := MailHandler(mail, level=0, **PLACE))
    for name in ("postroad", "postroad.events", "postroad.logging"):
        root.handle(logging.LogRecord(name, logging.ERROR, "x.py", 1, "no", (), None))
    handler.close()
    assert settled(mail) == []


@pytest.mark.parametrize("kind", [ValueError, KeyError, postroad.QueueFull, SystemExit])
def test_a_mail_that_cannot_be_sent_is_said_and_the_next_goes(logger, mail, caplog, kind):
    answers = iter([kind("bad"), "fine"])

    def subject(records):
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    logger.addHandler(handler := MailHandler(mail, subject=subject, **PLACE))
    logger.error("one")
    handler.flush()
    logger.error("two")
    handler.flush()
    assert [m.message["Subject"] for m in settled(mail)] == ["fine"]
    assert f"could not be sent: {kind.__name__}" in caplog.text


def test_a_flush_that_is_interrupted_leaves_the_digest_as_it_was(logger, mail, monkeypatch):
    logger.addHandler(handler := MailHandler(mail, digest=3600, subject=lambda records: _wait(entered, go_on), **PLACE))
    entered, go_on = threading.Event(), threading.Event()
    logger.error("one")
    real = handler._changed.wait

    def interrupted(timeout=None):
        if threading.current_thread() is not threading.main_thread():
            return real(timeout)
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(handler._changed, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            handler.flush()
    assert not handler._at_once
    go_on.set()


@pytest.mark.parametrize("call", ["flush", "close"])
def test_what_makes_the_subject_does_not_wait_for_itself(mail, call):
    def subject(records):
        getattr(handler, call)()
        return "made"

    handler = MailHandler(mail, subject=subject, **PLACE)
    handler.emit(logging.makeLogRecord({"msg": "one", "levelname": "ERROR"}))
    other = threading.Thread(target=handler.close, daemon=True)
    other.start()
    other.join(60)
    assert not other.is_alive()
    assert [m.message["Subject"] for m in settled(mail)] == ["made"]


def test_a_flush_without_a_thread_holds_up_nobody(mail, monkeypatch):
    def subject(records):
        other = threading.Thread(target=handler.emit, args=(records[0],), daemon=True)
        other.start()
        other.join(30)
        return f"waits: {other.is_alive()}"

    monkeypatch.setattr("postroad.logging.Worker", _none)
    handler = MailHandler(mail, subject=subject, **PLACE)
    handler.emit(logging.makeLogRecord({"msg": "one", "levelname": "ERROR"}))
    handler.flush()
    assert settled(mail)[0].message["Subject"] == "waits: False"
    handler.close()


def _none(*_):
    raise RuntimeError("can't start new thread")


def _wait(entered, go_on):
    entered.set()
    go_on.wait(60)
    return "subject"


CODES = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0xD800]


@pytest.mark.parametrize("own", [False, True])
def test_no_character_of_a_record_loses_the_mail(logger, mail, own):
    subjects = {"subject": lambda records: records[0].getMessage()} if own else {}
    logger.addHandler(handler := MailHandler(mail, digest=3600, mails_per_hour=1000, **subjects, **PLACE))
    for n, code in enumerate(CODES):
        logger.error("first%02d%s end", n, chr(code))
        logger.error("second%02d", n)
        handler.flush()
    stored = settled(mail)
    assert len(stored) == len(CODES)
    for n, m in enumerate(sorted(stored, key=lambda m: m.message.get_content())):
        assert f"first{n:02}" in m.message["Subject"]
        assert f"first{n:02}" in m.message.get_content()
        assert f"second{n:02}" in m.message.get_content()
    coloured = next(m.message for m in stored if "first27" in m.message["Subject"])
    assert r"first27\x1b end" in coloured["Subject"]


def test_a_record_that_cannot_be_formatted_does_not_reach_who_logs(logger, mail, capsys):
    logger.addHandler(MailHandler(mail, **PLACE))
    logger.error("%d", "x")
    assert "TypeError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"sender": "nobody"}, postroad.InvalidInput),
        ({"digest": -1}, postroad.InvalidInput),
        ({"mails_per_hour": 0}, postroad.InvalidInput),
        ({"attempts": 3}, TypeError),
    ],
)
def test_wrong_arguments_are_said_at_once(mail, wrong, kind):
    with pytest.raises(kind):
        MailHandler(mail, **{**PLACE, **wrong})


@pytest.mark.parametrize("when", ['logging.error("the end")', 'atexit.register(logging.error, "the end")'])
def test_what_is_held_goes_when_the_process_ends(server, when):
    program = f"""
import atexit, logging
from postroad.logging import MailHandler
handler = MailHandler({server.url!r}, sender="a@x.example", recipients="b@x.example", digest=3600)
logging.getLogger().addHandler(handler)
{when}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    (got,) = server.messages
    assert b"the end" in got.content


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork()")
@pytest.mark.parametrize("digest", [0, 3600])
def test_what_a_child_of_multiprocessing_holds_goes_when_it_ends(server, digest):
    program = f"""
import logging, multiprocessing
from postroad.logging import MailHandler
handler = MailHandler({server.url!r}, sender="a@x.example", recipients="b@x.example", digest={digest})
logging.getLogger().addHandler(handler)
child = multiprocessing.get_context("fork").Process(target=logging.error, args=("the end",))
child.start()
child.join()
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    (got,) = server.messages
    assert b"the end" in got.content


@pytest.mark.parametrize("end", ["logging.shutdown()", "logging.config.dictConfig({'version': 1})"])
def test_a_mail_that_cannot_be_sent_does_not_stop_the_end_of_logging(end):
    program = f"""
import logging, logging.config
from postroad.logging import MailHandler
def subject(records):
    raise ValueError
options = {{"sender": "a@x.example", "recipients": "b@x.example", "digest": 3600, "level": logging.INFO}}
logging.getLogger().addHandler(MailHandler("discard://", subject=subject, **options))
logging.error("the end")
{end}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork()")
def test_a_forked_process_sends_by_itself(server):
    program = f"""
import logging, os
from postroad.logging import MailHandler
handler = MailHandler({server.url!r}, sender="a@x.example", recipients="b@x.example")
logging.getLogger().addHandler(handler)
logging.error("parent")
handler.flush()
if os.fork() == 0:
    logging.error("child")
    handler.close()
    os._exit(0)
os.wait()
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(b"child" in m.content for m in server.messages) == [False, True]


def test_many_threads_may_log(logger, mail):
    logger.addHandler(handler := MailHandler(mail, digest=3600, records=10_000, **PLACE))
    threads = [threading.Thread(target=lambda: [logger.error("x") for _ in range(100)]) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    handler.flush()
    assert "(and 799 more)" in settled(mail)[0].message["Subject"]
