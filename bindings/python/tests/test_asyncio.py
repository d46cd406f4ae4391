"""asend() and the loop of asyncio."""

from __future__ import annotations

import asyncio

import postroad
import pytest
from conftest import compose
from postroad._tickets import _tell


def test_many_at_a_time(server):
    async def main():
        async with postroad.Mailer(server.url) as mail:
            return await asyncio.gather(*[mail.asend(compose(f"r{i}@x.example")) for i in range(100)])

    receipts = asyncio.run(main())
    assert [r.recipients[0].address for r in receipts] == [f"r{i}@x.example" for i in range(100)]
    assert all(r.all_accepted for r in receipts)


def test_the_loop_runs_while_a_message_is_sent(make_server, message):
    server = make_server(stall="content")

    async def main():
        async with postroad.Mailer(server.url) as mail:
            task = asyncio.create_task(mail.asend(message))
            while not server.stalled.is_set():
                await asyncio.sleep(0.001)
            assert not task.done()
            server.resume.set()
            return await task

    assert asyncio.run(main()).all_accepted


def test_errors_are_raised_where_it_is_awaited(make_server, message):
    server = make_server(replies={"greeting": "554 no"})

    async def main():
        async with postroad.Mailer(server.url) as mail:
            with pytest.raises(postroad.Error) as e:
                await mail.asend(message)
            with pytest.raises(postroad.InvalidInput):
                await mail.asend(b"")
            return e.value

    assert asyncio.run(main()).code == "greeting_refused"


def test_cancelling_the_task_cancels_the_message(make_server):
    server = make_server(stall="RCPT TO:<first@")
    complaints = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        async with postroad.Mailer(server.url, connections=1) as mail:
            first = asyncio.create_task(mail.asend(compose("first@x.example")))
            second = asyncio.create_task(mail.asend(compose("second@x.example")))
            while not server.stalled.is_set():
                await asyncio.sleep(0.001)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            server.resume.set()
            assert (await first).all_accepted
            assert (await mail.asend(compose("third@x.example"))).all_accepted

    asyncio.run(main())
    assert complaints == []
    assert [m.recipients for m in server.messages] == [["first@x.example"], ["third@x.example"]]


def test_a_time_limit_of_asyncio_ends_the_message(make_server, message):
    server = make_server(stall="EHLO")

    async def main():
        async with postroad.Mailer(server.url) as mail:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(mail.asend(message), 0.05)

    asyncio.run(main())


def test_closing_that_is_cancelled_waits_no_longer(make_server, message):
    server = make_server(stall="content")

    async def main():
        mail = postroad.Mailer(server.url)
        ticket = await mail.asubmit(message)
        while not server.stalled.is_set():
            await asyncio.sleep(0.001)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(mail.aclose(3600), 0.05)
        with pytest.raises(postroad.Cancelled):
            await ticket

    asyncio.run(main())  # which waits for threads of the loop


def test_a_block_whose_end_is_cancelled_waits_no_longer(make_server, message):
    server = make_server(stall="content")

    async def block(leaving):
        async with postroad.Mailer(server.url, close_timeout=3600) as mail:
            await mail.asubmit(message)
            while not server.stalled.is_set():
                await asyncio.sleep(0.001)
            leaving.set()

    async def main():
        leaving = asyncio.Event()
        task = asyncio.create_task(block(leaving))
        await leaving.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_message_that_outlives_its_loop_harms_nobody(make_server, message):
    server = make_server(stall="content")
    mail = postroad.Mailer(server.url)

    async def main():
        task = asyncio.create_task(mail.asend(message))
        while not server.stalled.is_set():
            await asyncio.sleep(0.001)
        return task

    asyncio.run(main())
    server.resume.set()
    mail.close()


def test_news_for_a_loop_that_is_closed_are_dropped():
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    loop.close()
    _tell(loop, future)
    assert not future.done()


def test_loops_in_several_threads_share_a_mailer(server):
    from concurrent.futures import ThreadPoolExecutor

    async def some(mail, name):
        return await asyncio.gather(*[mail.asend(compose(f"{name}{i}@x.example")) for i in range(10)])

    with postroad.Mailer(server.url) as mail, ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda name: asyncio.run(some(mail, name)), "abcd"))
    assert all(r.all_accepted for receipts in results for r in receipts)
    assert len(server.messages) == 40
