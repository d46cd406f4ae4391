"""postroad.configured: mailers by name."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor

import postroad
import pytest
from conftest import compose
from postroad._literals import Configuration, words

NOWHERE = "smtp+insecure://127.0.0.1:1"


def test_options_are_those_of_a_mailer():
    arguments = [n for n in inspect.signature(postroad.Mailer).parameters if n != "url"]
    assert list(postroad.MailerOptions.__annotations__) == arguments


def queue_for(name, tmp_path):
    return {"queue": tmp_path / "q.db"} if name == "queued" else {}


@pytest.mark.parametrize("name", sorted({*words(Configuration)} - {"distributed", "test"}))
def test_each_sends(server, tmp_path, name):
    with postroad.configured(name, server.url, **queue_for(name, tmp_path)) as mail:
        assert mail.send(compose()).all_accepted
    assert len(server.messages) == 1


def test_for_tests_nothing_leaves(server):
    with postroad.configured("test", server.url, user="ann", password="secret", pipelining="window") as mail:
        assert mail.send(compose()).all_accepted
        assert [m.recipients for m in mail.outbox] == [("bob@example.org",)]
    assert server.commands == []
    with pytest.raises(postroad.InvalidInput, match="conections"):
        postroad.configured("test", server.url + "?conections=2")


def test_in_bulk_who_gives_too_much_waits(make_server):
    server = make_server(stall="MAIL")
    with postroad.configured("bulk", server.url, capacity=1, connections=1) as mail:
        mail.submit(compose())
        assert server.stalled.wait(60)
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(mail.submit, compose())
            while not second.running():
                mail.count()
            server.resume.set()
            assert second.result().wait(60).all_accepted
    assert len(server.messages) == 2


@pytest.mark.parametrize("url", [NOWHERE + "?connections=2", NOWHERE + "?pipelining=lockstep", "discard://"])
def test_the_url_counts_more(url):
    postroad.configured("bulk", url).close()


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("queued", {}, "needs a queue in a file"),
        ("queued", {"queue": "amqp://localhost"}, "needs a queue in a file"),
        ("distributed", {}, "needs a queue at a broker"),
        ("distributed", {"queue": "q.db"}, "needs a queue at a broker"),
        ("direct", {"queue": "q.db"}, "direct has no queue"),
        ("fast", {}, "must be one of: direct, queued, bulk, distributed, test"),
    ],
)
def test_what_does_not_fit_is_refused(name, options, why):
    with pytest.raises(postroad.InvalidInput, match=why):
        postroad.configured(name, NOWHERE, **options)


def test_an_option_that_is_none_is_named():
    with pytest.raises(TypeError, match="conections"):
        postroad.configured("direct", NOWHERE, conections=2)


def test_settings_of_frameworks_name_one(server):
    from postroad._shared import shared

    mail = shared({"configuration": "test", "url": server.url})
    assert mail is shared({"url": server.url, "configuration": "test"})
    mail.send(compose())
    assert len(mail.outbox) == 1
    mail.close()


def test_a_shared_mailer_that_somebody_closed_is_made_anew(server):
    from postroad._shared import shared

    given = {"url": server.url, "client_name": "closed.example"}
    with shared(given) as first:
        assert shared(given) is first
    assert shared(given).send(compose()).all_accepted


def test_equal_settings_are_one_mailer_whatever_they_hold(server):
    from postroad._shared import shared

    def settings():
        routes = {"x.example": server.url, "y.example": server.url}
        return {"url": "mx://out.example", "routes": routes, "suppression": {"bob@x.example"}}

    mail = shared(settings())
    assert shared(settings()) is mail
    assert mail.send(compose("bob@x.example")).recipients[0].error == "suppressed"
    other = shared({**settings(), "suppression": {"cid@x.example"}})
    assert other is not mail
    mail.close()
    other.close()
