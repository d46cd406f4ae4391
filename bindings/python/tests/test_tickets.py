"""submit() and its ticket; the bounds of the queue; closing."""

from __future__ import annotations

import copy
import pickle
import threading

import postroad
import pytest
from conftest import compose


def test_a_ticket_tells_when_the_message_is_done(make_server, message):
    server = make_server(stall="content")
    with postroad.Mailer(server.url) as mail:
        ticket = mail.submit(message)
        assert server.stalled.wait(60)
        assert not ticket.done()
        server.resume.set()
        assert ticket.wait().all_accepted
        assert ticket.done()
        assert ticket.wait(0).all_accepted


def test_a_ticket_has_the_number_by_which_the_message_is_found(server, message, tmp_path):
    file = tmp_path / "queue.db"
    with postroad.Mailer(server.url, queue=file) as mail:
        mail.pause(tenant="shop")
        ticket = mail.submit(message, tenant="shop")
        assert [job.id for job in mail.jobs()] == [ticket.id]
        mail.resume(tenant="shop")
        assert ticket.wait(60).all_accepted
    (entry,) = postroad.Queue(file).journal(id=ticket.id)
    assert entry.id == ticket.id


def test_who_asks_to_be_called_when_the_mailer_is_closed_is_called(server, message):
    mail = postroad.Mailer(server.url)
    ticket = mail.submit(message)
    ticket.wait(60)
    ticket.add_done_callback(lambda _: None)  # whose thread has ended with the mailer
    mail.close()
    called = threading.Event()
    ticket.add_done_callback(lambda _: called.set())
    assert called.wait(60)


def test_a_wait_that_takes_too_long_is_a_timeout_and_the_message_goes_on(make_server, message):
    server = make_server(stall="content")
    with postroad.Mailer(server.url) as mail:
        ticket = mail.submit(message)
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutError) as e:
                ticket.wait(timeout)
            assert e.type is TimeoutError
        server.resume.set()
        assert ticket.wait(60).all_accepted


def test_a_ticket_raises_what_send_raises(make_server, message):
    server = make_server(replies={"greeting": "554 no"})
    with postroad.Mailer(server.url) as mail:
        ticket = mail.submit(message)
        for _ in range(2):
            with pytest.raises(postroad.Error) as e:
                ticket.wait()
            assert e.value.code == "greeting_refused"


def test_bad_input_is_raised_by_submit(server):
    with postroad.Mailer(server.url) as mail, pytest.raises(postroad.InvalidInput) as e:
        mail.submit(b"Subject: nobody\n\n")
    assert e.value.code == "no_sender"


def test_a_cancelled_message_is_not_sent(make_server):
    server = make_server(stall="RCPT")
    with postroad.Mailer(server.url, connections=1) as mail:
        first = mail.submit(compose("first@x.example"))
        second = mail.submit(compose("second@x.example"))
        assert server.stalled.wait(60)
        second.cancel()
        second.cancel()
        with pytest.raises(postroad.Cancelled) as e:
            second.wait(60)
        assert e.value.code == "cancelled"
        assert len(e.value.receipt.not_attempted) == 1
        server.resume.set()
        assert first.wait(60).all_accepted
        first.cancel()
        assert first.wait().all_accepted
    assert [m.recipients for m in server.messages] == [["first@x.example"]]


def test_a_full_queue_refuses(make_server, message):
    server = make_server(stall="EHLO")
    with postroad.Mailer(server.url, capacity=2) as mail:
        tickets = [mail.submit(message) for _ in range(2)]
        with pytest.raises(postroad.QueueFull) as e:
            mail.submit(message)
        assert e.value.code == "queue_full"
        assert e.value.transient
        with pytest.raises(postroad.QueueFull):
            mail.send(message)
        server.resume.set()
        assert all(t.wait(60).all_accepted for t in tickets)


def test_a_full_queue_can_be_waited_for(make_server, message):
    server = make_server(stall="EHLO")
    with postroad.Mailer(server.url, capacity=1, when_full="wait") as mail:
        first = mail.submit(message)
        second = []
        waiting = threading.Thread(target=lambda: second.append(mail.submit(message)))
        waiting.start()
        assert server.stalled.wait(60)
        assert second == []
        server.resume.set()
        waiting.join(60)
        assert first.wait(60).all_accepted
        assert second[0].wait(60).all_accepted


def test_the_end_of_a_with_block_waits_for_messages(server, message):
    # of one connection QUIT is the last command; another may have begun only
    with postroad.Mailer(server.url, connections=1) as mail:
        tickets = [mail.submit(message) for _ in range(20)]
    assert all(t.done() and t.wait().all_accepted for t in tickets)
    assert len(server.messages) == 20
    assert server.commands[-1] == "QUIT"


def test_close_gives_up_after_its_timeout(make_server, message):
    server = make_server(stall="EHLO")
    mail = postroad.Mailer(server.url)
    ticket = mail.submit(message)
    assert server.stalled.wait(60)
    mail.close(0.05)
    with pytest.raises(postroad.Cancelled) as e:
        ticket.wait(0)
    assert e.value.code == "shut_down"


def test_an_interrupted_with_block_does_not_wait(make_server, message):
    server = make_server(stall="EHLO")
    with pytest.raises(KeyboardInterrupt), postroad.Mailer(server.url, close_timeout=1e9) as mail:
        ticket = mail.submit(message)
        raise KeyboardInterrupt
    assert ticket.done()


def test_a_closed_mailer_takes_nothing(server, message):
    mail = postroad.Mailer(server.url)
    mail.close()
    mail.close()
    for call in (mail.send, mail.submit):
        with pytest.raises(postroad.Cancelled) as e:
            call(message)
        assert e.value.code == "shut_down"
    (receipt,) = mail.send_many([message])
    assert receipt.error.code == "shut_down"


def test_a_ticket_keeps_its_mailer_alive(make_server, message):
    server = make_server(stall="content")
    ticket = postroad.Mailer(server.url).submit(message)
    assert server.stalled.wait(60)
    server.resume.set()
    assert ticket.wait(60).all_accepted


@pytest.mark.parametrize("how", [pickle.dumps, copy.copy, copy.deepcopy])
def test_mailers_and_tickets_are_not_pickled_or_copied(server, message, how):
    with postroad.Mailer(server.url) as mail:
        for thing in (mail, mail.submit(message)):
            with pytest.raises(TypeError, match="cannot be pickled or copied"):
                how(thing)
