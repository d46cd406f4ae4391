"""send_many(): bounded, lazy, in the order of completion."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import os
import pickle
import sys
from email.message import EmailMessage
from pathlib import Path

import postroad
import pytest
from conftest import compose


def numbered(n):
    return [compose(f"r{i}@x.example") for i in range(n)]


def test_every_message_has_one_receipt_with_its_index(server):
    with postroad.Mailer(server.url) as mail:
        receipts = list(mail.send_many(numbered(50)))
    assert sorted(r.index for r in receipts) == list(range(50))
    assert all(r.all_accepted and r.recipients[0].address == f"r{r.index}@x.example" for r in receipts)
    assert len(server.messages) == 50


@pytest.mark.parametrize(("limit", "capacity"), [(1, None), (7, None), (1000, 7)])
def test_no_more_messages_than_the_limit_are_under_way(server, limit, capacity):
    most = min(limit, capacity or limit)
    taken = 0

    def source():
        nonlocal taken
        for m in numbered(40):
            taken += 1
            yield m

    with postroad.Mailer(server.url, capacity=capacity) as mail:
        for done, receipt in enumerate(mail.send_many(source(), limit=limit)):
            assert receipt.all_accepted
            assert taken - done <= most
    assert taken == 40


def test_nothing_happens_before_the_first_receipt_is_asked_for(server):
    def source():
        pytest.fail("consumed")
        yield

    with postroad.Mailer(server.url) as mail:
        mail.send_many(source())
    assert server.commands == []


def test_receipts_come_before_the_source_is_exhausted(server):
    def endless():
        while True:
            yield compose()

    with postroad.Mailer(server.url) as mail:
        receipts = mail.send_many(endless(), limit=5)
        assert [next(receipts).all_accepted for _ in range(12)] == [True] * 12
        receipts.close()


def test_receipts_come_in_the_order_of_completion(make_server):
    server = make_server(stall="RCPT TO:<r0@")
    with postroad.Mailer(server.url, connections=2) as mail:
        order = []
        for receipt in mail.send_many(numbered(4)):
            order.append(receipt.index)
            if len(order) == 3:
                server.resume.set()
    assert order[-1] == 0


def test_a_bad_message_is_a_receipt_with_an_error(server):
    good = compose()
    with postroad.Mailer(server.url) as mail:
        receipts = {
            r.index: r for r in mail.send_many([good, b"no header at all", compose("rejected@x.example"), good])
        }
    assert isinstance(receipts[1].error, postroad.InvalidInput)
    with pytest.raises(postroad.InvalidInput):
        receipts[1].require_accepted()
    assert receipts[2].error is None
    assert len(receipts[2].rejected) == 1
    assert receipts[0].all_accepted
    assert receipts[3].all_accepted


def test_no_server_is_a_receipt_with_an_error_for_each(make_server):
    server = make_server(replies={"greeting": "554 closed"})
    with postroad.Mailer(server.url) as mail:
        receipts = list(mail.send_many(numbered(3)))
    assert [r.error.code for r in receipts] == ["greeting_refused"] * 3
    assert all(len(r.not_attempted) == 1 for r in receipts)


def test_an_exception_of_the_source_comes_behind_the_receipts_before_it(server):
    def source():
        yield from numbered(3)
        raise LookupError("out of messages")

    got = []
    with postroad.Mailer(server.url) as mail, pytest.raises(LookupError, match="out of messages"):
        for receipt in mail.send_many(source()):
            got.append(receipt.index)
    assert sorted(got) == [0, 1, 2]


def broken(**attributes):
    m = compose()
    vars(m).update(attributes)
    return m


class Hostile:
    def __fspath__(self):
        raise AttributeError("no path")


os.PathLike.register(Hostile)
NO_MESSAGES = {
    "str": "text",
    "None": None,
    "int": 3,
    "list": [b"x"],
    "a class": EmailMessage,
    "payload": broken(_payload=object()),
    "payload of a multipart": broken(_payload=[None], _headers=[("From", "a@x"), ("Content-Type", "multipart/mixed")]),
    "headers": broken(_headers=[("To", None)]),
    "policy": broken(policy=None),
    "path": Path("no/such/file.eml"),
    "path with NUL": Path("a\0b"),
    "hostile path": Hostile(),
    "empty": b"",
    "released": memoryview(b"x"),
}
NO_MESSAGES["released"].release()


@pytest.mark.parametrize("name", NO_MESSAGES)
def test_what_is_no_message_is_a_receipt_with_an_error_and_stops_nothing(server, name):
    with postroad.Mailer(server.url) as mail:
        receipts = {r.index: r for r in mail.send_many([compose(), NO_MESSAGES[name], compose()])}
    assert receipts[0].all_accepted
    assert receipts[2].all_accepted
    assert isinstance(receipts[1].error, postroad.InvalidInput)
    assert str(receipts[1].error)
    assert len(receipts) == 3
    with pytest.raises((ValueError, TypeError, AttributeError)), postroad.Mailer(server.url) as mail:
        mail.send(NO_MESSAGES[name])


def test_ending_the_iteration_cancels_what_is_under_way(make_server):
    server = make_server(stall="RCPT TO:<r1@")
    with postroad.Mailer(server.url, connections=1) as mail:
        receipts = mail.send_many(numbered(10))
        assert next(receipts).index == 0
        assert server.stalled.wait(60)
        receipts.close()
        server.resume.set()
    assert [m.recipients for m in server.messages] == [["r0@x.example"]]


def test_whoever_follows_many_is_told_once_until_he_takes_them(server):
    told = []
    with postroad.Mailer(server.url) as mail:
        many = mail._many(None, None, {})
        many.on_ended(lambda: told.append(True))
        for index in range(5):
            many.begin(bytes(compose()), index)
    assert told == [True]
    receipts = many.ended(0.0)
    assert sorted(r.index for r in receipts) == list(range(5))
    assert all(r.all_accepted for r in receipts)
    assert many.ended(0.0) == []


def test_a_receipt_of_many_is_what_its_class_makes(server):
    with postroad.Mailer(server.url) as mail:
        (receipt,) = mail.send_many([compose("bob@x.example, rejected@x.example")])
    again = postroad.Receipt(
        tuple(postroad.RecipientOutcome(**vars(r)) for r in receipt.recipients), receipt.attempts, None, 0
    )
    assert again == receipt
    assert repr(again) == repr(receipt)
    assert hash(again) == hash(receipt)
    assert [set(vars(made)) for made in (receipt, *receipt.recipients)] == [
        {field.name for field in dataclasses.fields(made)} for made in (receipt, *receipt.recipients)
    ]
    assert pickle.loads(pickle.dumps(receipt)) == receipt
    with pytest.raises(AttributeError):
        receipt.attempts = 7


@pytest.mark.parametrize("limit", [0, -1])
def test_the_limit_is_checked_at_once(server, limit):
    with postroad.Mailer(server.url) as mail, pytest.raises(postroad.InvalidInput):
        mail.send_many([], limit=limit)


def test_progress_that_nobody_can_read_stops_nothing(server, monkeypatch):
    with open(os.devnull) as unwritable, postroad.Mailer(server.url) as mail:
        for stream in (None, unwritable):
            monkeypatch.setattr(sys, "stderr", stream)
            assert len(list(mail.send_many([compose(), compose()], progress=True))) == 2


def test_progress_is_told_on_standard_error(server, capsys):
    with postroad.Mailer(server.url) as mail:
        list(mail.send_many([compose(), compose("rejected@x.example")], progress=True))
    out, err = capsys.readouterr()
    assert out == ""
    assert "2 done, 1 not accepted" in err


# asyncio


async def slowly(messages):
    for message in messages:
        await asyncio.sleep(0)
        yield message


@pytest.mark.parametrize("kind", [iter, slowly])
def test_many_in_asyncio_yield_a_receipt_each(server, kind):
    messages = [compose(f"r{i}@x.example") for i in range(30)] + [compose("rejected@x.example"), 7, b"no header"]

    async def main():
        async with postroad.Mailer(server.url) as mail:
            return [r async for r in mail.asend_many(kind(messages), limit=4, tag="news")]

    receipts = asyncio.run(main())
    assert sorted(r.index for r in receipts) == list(range(33))
    assert sum(r.all_accepted for r in receipts) == 30
    by_index = {r.index: r for r in receipts}
    assert len(by_index[30].rejected) == 1
    assert isinstance(by_index[31].error, postroad.InvalidInput)
    assert isinstance(by_index[32].error, postroad.InvalidInput)


def test_many_in_asyncio_consume_no_more_than_there_is_room_for(make_server):
    server = make_server(stall="EHLO")
    taken = []

    async def main():
        async with postroad.Mailer(server.url) as mail:
            receipts = mail.asend_many((taken.append(i) or compose() for i in range(100)), limit=3)
            first = asyncio.ensure_future(receipts.__anext__())
            while not server.stalled.is_set() or len(taken) < 3:
                await asyncio.sleep(0)
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(taken) == 3
            server.resume.set()
            await first
            await receipts.aclose()

    asyncio.run(main())
    assert len(taken) < 10


@pytest.mark.parametrize("kind", [iter, slowly])
def test_what_the_iterable_raises_in_asyncio_comes_last(server, kind):
    def broken():
        yield compose()
        yield compose()
        raise LookupError("no more")

    async def main():
        receipts = []
        async with postroad.Mailer(server.url) as mail:
            with pytest.raises(LookupError, match="no more"):
                async for receipt in mail.asend_many(kind(broken())):
                    receipts.append(receipt)
        return receipts

    assert [r.all_accepted for r in asyncio.run(main())] == [True, True]


def test_leaving_the_loop_in_asyncio_cancels_what_is_under_way(make_server):
    server = make_server(stall="content")

    async def endless():
        for i in itertools.count():
            yield compose("rejected@x.example" if i == 0 else "bob@x.example")

    async def main():
        async with postroad.Mailer(server.url) as mail:
            receipts = mail.asend_many(endless(), limit=5)
            async for receipt in receipts:
                assert receipt.rejected
                break
            await receipts.aclose()
            while mail.count().total:
                await asyncio.sleep(0)
            server.resume.set()

    asyncio.run(main())


def test_nothing_is_sent_before_the_first_receipt_is_asked_for(server):
    async def main():
        async with postroad.Mailer(server.url) as mail:
            receipts = mail.asend_many([compose()])
            await asyncio.sleep(0)
            await receipts.aclose()
            with pytest.raises(postroad.InvalidInput):
                mail.asend_many([compose()], limit=0)

    asyncio.run(main())
    assert server.messages == []
