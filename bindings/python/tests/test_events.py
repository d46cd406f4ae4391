"""Who watches a mailer, and who is told when a message is done: nobody of them can stall it or break it."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref

import postroad
import pytest
from conftest import compose

SECRET = "correct-horse-battery"


def test_events_tell_what_a_mailer_does(make_server):
    server = make_server()
    events = []
    with postroad.Mailer(server.url, on_event=events.append, connections=1) as mail:
        mail.send(compose())
        mail.send(compose("rejected@x.example"))
    kinds = {e.kind for e in events}
    assert {"dialing", "connected", "command", "content", "reply", "outcome", "closed"} <= kinds
    commands = [e.text for e in events if e.kind == "command"]
    assert [c.partition(" ")[0] for c in commands if c.startswith(("EHLO", "MAIL", "QUIT"))] == [
        "EHLO",
        "MAIL",
        "MAIL",
        "QUIT",
    ]
    outcomes = [(e.text, e.status, e.code, e.enhanced, e.reply) for e in events if e.kind == "outcome"]
    assert outcomes == [
        ("bob@example.org", postroad.Status.ACCEPTED, 250, "2.0.0", "queued"),
        ("rejected@x.example", postroad.Status.REJECTED, 550, "5.1.1", "no such user"),
    ]
    assert [e.time for e in events] == sorted(e.time for e in events)
    assert {e.server for e in events if e.kind == "dialing"} == {f"127.0.0.1:{server.port}"}
    assert all(e.status is None for e in events if e.kind != "outcome")


def test_events_and_the_log_hold_no_secret(start_sink, message, caplog):
    sink = start_sink("--auth", f"ann:{SECRET}", "--require-auth")
    url = f"smtp+insecure://ann:{SECRET}@localhost:{sink.port}?insecure_authentication=true"
    events = []
    with caplog.at_level(logging.DEBUG, "postroad"), postroad.Mailer(url, on_event=events.append) as mail:
        assert mail.send(message).all_accepted
    with postroad.Mailer(url.replace(SECRET, SECRET + "x"), on_event=events.append) as mail:
        with pytest.raises(postroad.AuthenticationError):
            mail.send(message)
    assert any(e.text.startswith("AUTH") for e in events)
    assert "AUTH" in caplog.text
    assert SECRET not in repr(events) + caplog.text
    assert "Y29ycmVjd" not in repr(events) + caplog.text  # the same in base64


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING])
def test_the_logger_is_told_without_a_function(make_server, caplog, level):
    server = make_server(replies={"RCPT TO:<rejected@": "550 5.1.1 no\x1b such user"})
    with caplog.at_level(level, "postroad"):
        with postroad.Mailer(server.url, on_event=None if level < logging.WARNING else lambda event: None) as mail:
            mail.send(compose())
            mail.send(compose("rejected@x.example"))
    found = {(r.name, r.levelno) for r in caplog.records}
    assert (("postroad.transcript", logging.DEBUG) in found) == (level == logging.DEBUG)
    assert (("postroad.events", logging.INFO) in found) == (level <= logging.INFO)
    assert ("postroad.events", logging.WARNING) in found
    assert "550 5.1.1 no\\x1b such user" in caplog.text
    assert "\x1b" not in caplog.text


def test_nothing_is_watched_that_nobody_asked_for(server, message, capfd):
    with postroad.Mailer(server.url) as mail:
        mail.send(message)
        mail.send(compose("rejected@x.example"))
        assert mail._watching._worker is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [ValueError, SystemExit, asyncio.CancelledError])
def test_a_function_that_raises_is_told_the_rest(server, message, caplog, kind):
    told = []

    def broken(event):
        told.append(event.kind)
        raise kind(event.kind)

    with postroad.Mailer(server.url, on_event=broken) as mail:
        assert mail.send(message).all_accepted
    assert {"dialing", "outcome", "closed"} <= set(told)
    assert f"{kind.__name__}: outcome" in caplog.text


def test_a_function_that_hangs_stalls_nothing_and_is_told_what_was_lost(server):
    go = threading.Event()
    kinds = []

    def slow(event):
        assert go.wait(600)
        kinds.append((event.kind, event.text))

    with postroad.Mailer(server.url, on_event=slow, pipelining="lockstep") as mail:
        assert all(r.all_accepted for r in mail.send_many([compose() for _ in range(1500)]))
        go.set()
    lost = [text for kind, text in kinds if kind == "lost"]
    assert len(lost) == 1
    assert lost[0].endswith("events were lost: what looks at them is too slow")
    assert len(kinds) + int(lost[0].split()[0]) - 1 > 1500 * 8


def test_a_function_may_use_the_mailer(server):
    answered = threading.Event()

    def reply(event):
        if event.kind == "outcome" and event.text == "bob@example.org":
            mail.send(compose("second@x.example"))
            answered.set()

    with postroad.Mailer(server.url, on_event=reply) as mail:
        mail.send(compose())
        assert answered.wait(60)


def test_a_function_may_close_the_mailer(server, message):
    closed = threading.Event()

    def close(event):
        if event.kind == "outcome":
            mail.close()
            closed.set()

    mail = postroad.Mailer(server.url, on_event=close)
    mail.send(message)
    assert closed.wait(60)


@pytest.mark.parametrize("wrong", [7, "print", [print]])
def test_what_is_no_function_is_a_type_error(server, wrong):
    with pytest.raises(TypeError, match="on_event must be a function"):
        postroad.Mailer(server.url, on_event=wrong)
    with postroad.Mailer(server.url) as mail, pytest.raises(TypeError, match="callback must be a function"):
        mail.submit(compose()).add_done_callback(wrong)


def test_callbacks_are_called_once_each_and_in_order(make_server):
    server = make_server(stall="content")
    told = []
    all_told = threading.Event()
    with postroad.Mailer(server.url) as mail:
        ticket = mail.submit(compose())
        for n in range(3):
            ticket.add_done_callback(lambda ticket, n=n: told.append((n, ticket.wait(0).all_accepted)))
        assert told == []
        server.resume.set()
        ticket.wait(60)
        ticket.add_done_callback(lambda ticket: all_told.set())
        assert all_told.wait(60)
    assert told == [(0, True), (1, True), (2, True)]


def test_a_callback_is_told_of_a_ticket_that_nobody_keeps(server):
    told = []
    with postroad.Mailer(server.url) as mail:
        for i in range(20):
            mail.submit(compose(f"r{i}@x.example")).add_done_callback(lambda ticket: told.append(ticket.done()))
        gc.collect()
    assert told == [True] * 20


def test_a_callback_may_send_and_raise(server, caplog):
    told = threading.Event()

    def again(ticket):
        mail.send(compose("second@x.example"))
        told.set()
        raise ValueError("broken")

    with postroad.Mailer(server.url) as mail:
        mail.submit(compose()).add_done_callback(again)
        assert told.wait(60)
    assert "ValueError: broken" in caplog.text


def test_callbacks_of_what_is_cancelled_come_before_closing_ends(make_server):
    server = make_server(stall="EHLO")
    told = []
    with postroad.Mailer(server.url) as mail:
        for _ in range(3):
            mail.submit(compose()).add_done_callback(told.append)
        assert server.stalled.wait(60)
        mail.close(0, grace=60)  # no reply is due: so long it waits for the callbacks
    assert len(told) == 3
    for ticket in told:
        with pytest.raises(postroad.Cancelled):
            ticket.wait(0)


class Site:
    """Has a mailer that calls it back in each way there is."""

    def __init__(self, server):
        self.mail = postroad.Mailer(server.url, credentials=self.proof, on_event=self.happened)

    def proof(self, request):
        return "ann", SECRET

    def happened(self, event):
        pass

    def done(self, ticket):
        pass


@pytest.mark.filterwarnings("ignore:.*dropped and not closed:ResourceWarning")
def test_who_is_called_back_and_the_mailer_end_together(make_server):
    def threads():
        return [t for t in threading.enumerate() if t.name.startswith("postroad ")]

    before = threads()
    server = make_server(stall="EHLO")
    site = Site(server)
    ticket = site.mail.submit(compose())
    ticket.add_done_callback(site.done)
    assert server.stalled.wait(60)
    ends = [weakref.ref(site), weakref.ref(site.mail)]
    begun = [t for t in threads() if t not in before]
    assert len(begun) == 3
    del site, ticket
    for thread in begun:
        gc.collect()
        thread.join(60)
        assert not thread.is_alive()
    gc.collect()
    assert [end() for end in ends] == [None, None]


def test_a_ticket_can_be_awaited_more_than_once(make_server):
    server = make_server(stall="content")

    async def main():
        async with postroad.Mailer(server.url) as mail:
            ticket = await mail.asubmit(compose())
            assert isinstance(ticket, postroad.Ticket)
            waiting = [asyncio.ensure_future(ticket) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            server.resume.set()
            receipts = await asyncio.gather(*waiting[1:], ticket)
            assert waiting[0].cancelled()
            return receipts

    assert [r.all_accepted for r in asyncio.run(main())] == [True] * 3


def test_awaiting_a_ticket_raises_what_send_raises(make_server):
    server = make_server(replies={"greeting": "554 no"})

    async def main():
        async with postroad.Mailer(server.url) as mail:
            ticket = await mail.asubmit(compose())
            with pytest.raises(postroad.GreetingRefused):
                await ticket
            with pytest.raises(postroad.InvalidInput):
                await mail.asubmit(b"Subject: nobody\n\n")

    asyncio.run(main())


def test_asubmit_waits_for_room_while_the_loop_goes_on(make_server):
    server = make_server(stall="EHLO")

    async def main():
        async with postroad.Mailer(server.url, capacity=1, when_full="wait") as mail:
            first = await mail.asubmit(compose())
            second = asyncio.ensure_future(mail.asubmit(compose("second@x.example")))
            third = asyncio.ensure_future(mail.asubmit(compose("third@x.example")))
            while not server.stalled.is_set():
                await asyncio.sleep(0)
            assert not second.done()
            third.cancel()
            server.resume.set()
            assert (await first).all_accepted
            assert (await (await second)).all_accepted
            with pytest.raises(asyncio.CancelledError):
                await third

    asyncio.run(main())
    assert ["third@x.example"] not in [m.recipients for m in server.messages]


def test_asubmit_returns_once_the_message_is_in_the_file(tmp_path):
    async def main():
        async with postroad.Mailer("smtp://x.example", queue=tmp_path / "q.db", submit_only=True) as mail:
            for i in range(5):
                await mail.asubmit(compose(f"r{i}@x.example"), idempotency_key=f"{i}")
            with pytest.raises(postroad.AlreadyQueued):
                await mail.asubmit(compose(), idempotency_key="1")

    asyncio.run(main())
    assert postroad.Queue(tmp_path / "q.db").count().total == 5


def test_send_is_one_line(server, message):
    assert postroad.send(server.url, message).all_accepted
    assert postroad.send(server.url, message, sender="", recipients=["c@x.example"], tag="x").all_accepted
    assert [m.recipients for m in server.messages] == [["bob@example.org"], ["c@x.example"]]
    assert len(postroad.send(server.url, compose("rejected@x.example")).rejected) == 1
    with pytest.raises(postroad.InvalidInput):
        postroad.send(server.url, b"Subject: nobody\n\n")
    with pytest.raises(postroad.NoConnection):
        postroad.send("smtp+insecure://127.0.0.1:1", message)
