"""delivery, delay and give_up_after: what is asked for a message beside its delivery."""

from __future__ import annotations

import asyncio
import dataclasses
import pickle
import time
from datetime import datetime, timedelta, timezone

import postroad
import pytest
from conftest import compose
from postroad import Delivery

EXTENSIONS = ("PIPELINING", "DSN", "DELIVERBY 60", "FUTURERELEASE 86400 2099-01-01T00:00:00Z", "MT-PRIORITY MIXER")
NOON = datetime(2030, 1, 2, 12, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("delivery", "mail", "rcpt"),
    [
        ({}, "", ""),
        ({"notify": "never"}, "", "NOTIFY=NEVER"),
        ({"notify": ("success", "failure", "delay")}, "", "NOTIFY=SUCCESS,FAILURE,DELAY"),
        ({"notify": iter(["failure"])}, "", "NOTIFY=FAILURE"),
        ({"original_recipient": "list@example.org"}, "", "ORCPT=rfc822;list@example.org"),
        ({"returned": "headers"}, "RET=HDRS", ""),
        ({"returned": "full", "envelope_id": "order 7"}, "RET=FULL ENVID=order+207", ""),
        ({"deliver_by": 119.5}, "BY=120;N", ""),
        ({"deliver_by": 120, "when_late": "give_up", "trace": True}, "BY=120;RT", ""),
        ({"hold_for": 3600}, "HOLDFOR=3600", ""),
        ({"hold_until": NOON}, "HOLDUNTIL=2030-01-02T12:00:00Z", ""),
        ({"hold_until": NOON.astimezone(timezone(timedelta(hours=5)))}, "HOLDUNTIL=2030-01-02T12:00:00Z", ""),
        ({"priority": -9}, "MT-PRIORITY=-9", ""),
        ({"priority": 9}, "MT-PRIORITY=9", ""),
        ({"submitter": "ann@example.com"}, "", ""),  # the server does not offer AUTH
    ],
)
def test_what_is_asked_goes_out_as_parameters(make_server, delivery, mail, rcpt):
    server = make_server(extensions=EXTENSIONS)
    with postroad.Mailer(server.url) as mailer:
        receipt = mailer.send(compose("a@x.example, b@x.example"), delivery=Delivery(**delivery))
    assert receipt.all_accepted
    commands = [c.partition("> ")[2] for c in server.commands if c.startswith(("MAIL", "RCPT"))]
    assert commands == [mail, rcpt, rcpt]


@pytest.mark.parametrize(
    ("delivery", "code"),
    [
        ({"notify": "never"}, "dsn_unsupported"),
        ({"envelope_id": "7"}, "dsn_unsupported"),
        ({"deliver_by": 120}, "deliver_by_unsupported"),
        ({"hold_for": 1}, "future_release_unsupported"),
        ({"require_tls": True}, "require_tls_unsupported"),
    ],
)
def test_what_the_server_lacks_is_refused_before_anything_is_sent(server, message, delivery, code):
    with postroad.Mailer(server.url) as mail, pytest.raises(postroad.PermanentError) as e:
        mail.send(message, delivery=Delivery(**delivery))
    assert e.value.code == code
    assert not any(c.startswith("MAIL") for c in server.commands)


@pytest.mark.parametrize(
    ("delivery", "named"),
    [
        ({"notify": "sometimes"}, "notify"),
        ({"notify": ("never", "delay")}, "notify"),
        ({"returned": "half"}, "returned"),
        ({"envelope_id": "é"}, "envelope_id"),
        ({"envelope_id": "a" * 101}, "envelope_id"),
        ({"envelope_id": "a\r\nRCPT"}, "envelope_id"),
        ({"envelope_id": "\ud800"}, "envelope_id"),
        ({"original_recipient": "a" * 494}, "original_recipient"),
        ({"original_recipient": "a\n"}, "original_recipient"),
        ({"deliver_by": 0}, "deliver_by"),
        ({"deliver_by": 1e9}, "deliver_by"),
        ({"deliver_by": 9, "when_late": "cry"}, "when_late"),
        ({"when_late": "give_up"}, "deliver_by"),
        ({"trace": True}, "deliver_by"),
        ({"hold_for": 1e9}, "hold_for"),
        ({"hold_for": float("nan")}, "hold_for"),
        ({"hold_for": 1, "hold_until": NOON}, "hold_for"),
        ({"hold_until": datetime(2030, 1, 1)}, "time zone"),
        ({"hold_until": datetime(1969, 12, 31, tzinfo=timezone.utc)}, "hold_until"),
        ({"priority": 10}, "priority"),
        ({"priority": -10}, "priority"),
        ({"submitter": "nobody at all"}, "submitter"),
        ({"submitter": "jörg@example.com"}, "submitter"),
    ],
)
def test_a_value_that_no_server_takes_is_refused_where_it_is_made(delivery, named):
    with pytest.raises(postroad.InvalidInput, match=named):
        Delivery(**delivery)


@pytest.mark.parametrize(
    "delivery",
    [
        {"envelope_id": "a" * 100},
        {"original_recipient": "a" * 493},
        {"deliver_by": 999_999_999},
        {"hold_for": 999_999_999},
        {"submitter": ""},
    ],
)
def test_the_greatest_values_are_allowed(delivery):
    Delivery(**delivery)


@pytest.mark.parametrize(
    "delivery",
    [{"notify": 7}, {"hold_until": "tomorrow"}, {"priority": 1.5}, {"require_tls": 1}, {"envelope_id": b"7"}],
)
def test_a_value_of_a_wrong_type_is_a_type_error(delivery):
    with pytest.raises(TypeError):
        Delivery(**delivery)


def test_a_delivery_is_a_value():
    d = Delivery(notify=["success"], hold_until=NOON)
    assert d == Delivery(notify=("success",), hold_until=NOON)
    assert pickle.loads(pickle.dumps(d)) == d
    assert dataclasses.replace(d, priority=3).notify == ("success",)
    assert len({d, dataclasses.replace(d)}) == 1


def test_a_wrong_type_of_delivery_is_a_type_error(server, message):
    with postroad.Mailer(server.url) as mail, pytest.raises(TypeError, match="Delivery"):
        mail.send(message, delivery={"priority": 3})


def each_way(mail, message, **options):
    """One message by each of the four methods that send."""
    yield mail.send(message, **options)
    yield mail.submit(message, **options).wait(60)
    yield from mail.send_many([message], **options)
    yield asyncio.run(mail.asend(message, **options))


def test_every_way_of_sending_takes_a_delivery(make_server, message):
    server = make_server(extensions=EXTENSIONS)
    with postroad.Mailer(server.url) as mail:
        assert all(r.all_accepted for r in each_way(mail, message, delivery=Delivery(priority=4)))
    assert [m.parameters for m in server.messages] == ["MT-PRIORITY=4"] * 4


def test_a_delayed_message_goes_out_later(server, message):
    with postroad.Mailer(server.url) as mail:
        for receipt in each_way(mail, message, delay=0.05):
            assert receipt.all_accepted
        start = time.monotonic()
        mail.send(message, delay=0.2)
        assert time.monotonic() - start >= 0.2


def test_a_message_is_given_up_in_time(make_server, message):
    server = make_server(stall="RCPT")
    with postroad.Mailer(server.url, connections=1, close_timeout=0) as mail:
        with pytest.raises(postroad.TimedOut) as e:
            mail.send(message, give_up_after=0.1)
        with pytest.raises(postroad.TimedOut):
            mail.submit(message, give_up_after=0.1).wait(60)
        with pytest.raises(postroad.TimedOut):
            asyncio.run(mail.asend(message, give_up_after=0.1))
        (receipt,) = mail.send_many([message], give_up_after=0.1)
    assert e.value.code == "timed_out"
    assert isinstance(receipt.error, postroad.TimedOut)
    assert [r.status for r in e.value.receipt.recipients] == [postroad.Status.NOT_ATTEMPTED]


@pytest.mark.parametrize("options", [{"delay": -1}, {"give_up_after": 0}, {"delay": float("inf")}])
def test_times_that_are_not_valid(server, message, options):
    with postroad.Mailer(server.url) as mail, pytest.raises(postroad.InvalidInput, match=next(iter(options))):
        mail.send(message, **options)


def test_a_delayed_message_that_is_cancelled_does_not_go_out(server, message):
    with postroad.Mailer(server.url) as mail:
        ticket = mail.submit(message, delay=1e6)
        ticket.cancel()
        with pytest.raises(postroad.Cancelled):
            ticket.wait(60)
    assert server.messages == []
