"""What of a message that failed stays in the file of a queue, and how the file shrinks."""

from __future__ import annotations

import json

import postroad
import pytest
from conftest import compose
from postroad.__main__ import main


@pytest.fixture
def refusing(make_server):
    return make_server(replies={"RCPT": "550 5.1.1 no such user"}).url


@pytest.mark.parametrize(
    ("options", "again"), [({}, 1), ({"kept_content": "header"}, 0), ({"kept_content": "nothing"}, 0)]
)
def test_what_failed_is_kept_as_it_is_asked_for(refusing, tmp_path, options, again):
    path = tmp_path / "outbox.db"
    with postroad.Mailer(refusing, queue=path, **options) as mail:
        assert mail.send(compose(text="secret\n")).rejected
    queue = postroad.Queue(path)
    (job,) = queue.jobs(state="failed")
    assert job.error == "550 5.1.1 no such user"
    assert (job.octets == 0) == (options.get("kept_content") == "nothing")
    assert queue.retry_now(id=job.id) == again


def test_nothing_of_what_failed_is_kept(refusing, tmp_path):
    with postroad.Mailer(refusing, queue=tmp_path / "outbox.db", kept=0) as mail:
        assert mail.send(compose()).rejected
    assert postroad.Queue(tmp_path / "outbox.db").jobs(state="failed") == []


@pytest.mark.parametrize("option", [{"kept_content": "header"}, {"journal_capacity": 5}])
def test_options_of_what_is_kept_need_a_file(server, option):
    for queue in (None, "amqp://localhost/"):
        with pytest.raises(postroad.InvalidInput, match="in a file only"):
            postroad.Mailer(server.url, queue=queue, **option)
    with pytest.raises(postroad.InvalidInput, match="with queue only"):
        postroad.Mailer(server.url, kept=60)
    with pytest.raises(postroad.InvalidInput, match="must be one of"):
        postroad.Mailer(server.url, queue="outbox.db", kept_content="half")


def test_a_broker_is_told_how_long_what_failed_stays(server):
    # Before anything is asked of the broker, of which there is none.
    with pytest.raises(postroad.InvalidInput, match="from 0 to 49 days"):
        postroad.Mailer(server.url, queue="amqp://localhost:1/", kept=50 * 86400)


def test_a_file_that_was_emptied_shrinks(server, tmp_path, capsys):
    path = tmp_path / "outbox.db"
    with postroad.Mailer(server.url, queue=path, journal_kept=0) as mail:
        for _ in range(20):
            mail.submit(compose(text="x" * 70 + "\n" * 50_000), delay=3600)
        assert mail.drop() == 20
    assert postroad.Queue(path).compact() > 500_000
    assert main(["queue", str(path), "compact", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"octets": 0}
