"""What a mailer holds: in memory, and in a file that outlives the process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading

import postroad
import pytest
from conftest import compose, until
from postroad.__main__ import main


def test_a_mailer_whose_file_was_deleted_is_closed_and_says_so(server, tmp_path):
    mail = postroad.Mailer(server.url, queue=tmp_path / "q.db", close_timeout=3600)
    mail.submit(compose(), delay=3600)
    (tmp_path / "q.db").unlink()
    with pytest.raises(postroad.Error, match=r"q\.db' or its -wal was moved or deleted") as raised:
        mail.close()
    assert raised.value.code == "storage_failed"
    mail.close()


def test_who_watches_a_mailer_whose_file_was_deleted_is_told_the_rest(server, tmp_path, monkeypatch):
    closed = threading.Event()
    told = []

    def slow(event):
        assert closed.wait(60)
        told.append(event.kind)

    mail = postroad.Mailer(server.url, queue=tmp_path / "q.db", on_event=slow)
    assert mail.send(compose()).all_accepted
    (tmp_path / "q.db").unlink()
    end = mail._watching.end
    monkeypatch.setattr(mail._watching, "end", lambda: (end(), closed.set()))
    with pytest.raises(postroad.Error, match="moved or deleted"):
        mail.close()
    assert {"outcome", "closed"} <= set(told)


def test_what_waits_is_listed_counted_held_hurried_and_dropped(server):
    with postroad.Mailer(server.url) as mail:
        first = mail.submit(compose(), delay=3600, tag="news")
        second = mail.submit(compose(to="c@example.net"), delay=7200, tenant="shop", traffic_class=1)
        job, other = mail.jobs()
        assert (job.state, job.tag, job.sender) == ("delayed", "news", "ann@example.com")
        assert job.recipients == (("bob@example.org", "not_attempted"),)
        assert 3500 < job.until <= 3600
        assert (other.tenant, other.traffic_class) == ("shop", 1)
        assert [j.id for j in mail.jobs(domain="example.net")] == [j.id for j in mail.jobs(id=other.id)] == [other.id]
        assert [j.id for j in mail.jobs(limit=1)] == [job.id]
        assert mail.count().by_state["delayed"] == 2
        assert mail.drop(tag="news") == 1
        with pytest.raises(postroad.Cancelled):
            first.wait()
        assert mail.hold(tenant="shop") == 1
        assert mail.count().by_state["held"] == 1
        assert mail.retry_now(state="held") == 1
        assert second.wait(60).all_accepted
        assert mail.count().total == 0


def test_a_tenant_can_be_paused(server):
    with postroad.Mailer(server.url) as mail:
        mail.pause(tenant="shop")
        paused = mail.submit(compose(), tenant="shop")
        assert mail.send(compose(), tenant="bank").all_accepted
        assert not paused.done()
        mail.resume(tenant="shop")
        assert paused.wait(60).all_accepted


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"traffic_class": 256}, postroad.InvalidInput),
        ({"traffic_class": True}, TypeError),
        ({"tenant": "\ud800"}, postroad.InvalidInput),
        ({"idempotency_key": "k"}, postroad.InvalidInput),
        ({"colour": "red"}, TypeError),
    ],
)
def test_wrong_options_of_a_message_are_refused(server, options, kind):
    with postroad.Mailer(server.url) as mail, pytest.raises(kind):
        mail.send(compose(), **options)


def test_a_key_without_a_queue_in_a_file_is_named(server):
    with (
        postroad.Mailer(server.url) as mail,
        pytest.raises(postroad.InvalidInput, match="idempotency_key needs a queue"),
    ):
        mail.send(compose(), idempotency_key="k")


def test_a_selection_is_one_tenant_or_one_tag(server):
    with postroad.Mailer(server.url) as mail:
        for wrong in ({}, {"tenant": "a", "tag": "b"}):
            with pytest.raises(postroad.InvalidInput):
                mail.pause(**wrong)
        with pytest.raises(postroad.InvalidInput):
            mail.jobs(state="lost")


@pytest.mark.parametrize(
    ("which", "kind"),
    [
        *(({name: ""}, postroad.InvalidInput) for name in ("tenant", "tag", "domain")),
        *(({name: None}, TypeError) for name in postroad.JobFilter.__annotations__),
    ],
)
@pytest.mark.parametrize("call", ["jobs", "retry_now", "hold", "drop"])
def test_a_variable_that_is_empty_does_not_mean_all_messages(server, which, kind, call):
    with postroad.Mailer(server.url) as mail:
        mail.submit(compose(), delay=60)
        with pytest.raises(kind, match=next(iter(which))):
            getattr(mail, call)(**which)
        assert mail.drop() == 1


@pytest.mark.parametrize("name", ["--tenant", "--tag", "--domain"])
def test_nor_does_it_in_the_shell(server, name, tmp_path, capsys):
    with postroad.Mailer(server.url, queue=tmp_path / "q.db", submit_only=True) as mail:
        mail.submit(compose())
        assert main(["queue", str(tmp_path / "q.db"), "drop", name, ""]) == 64
        assert mail.count().total == 1
    assert "is empty" in capsys.readouterr().err


def test_options_of_a_file_need_a_file(server):
    with pytest.raises(postroad.InvalidInput):
        postroad.Mailer(server.url, submit_only=True)
    with pytest.raises(postroad.InvalidInput, match="in a file only"):
        postroad.Mailer(server.url, queue="amqp://localhost/", keys_kept=60)


@pytest.mark.parametrize("option", [{"queue_name": "news"}, {"queue_shards": 4}, {"queue_ca_file": "ca.pem"}])
def test_options_of_a_broker_need_a_broker(server, tmp_path, option):
    for queue in (None, tmp_path / "outbox.db"):
        with pytest.raises(postroad.InvalidInput, match="at a broker only"):
            postroad.Mailer(server.url, queue=queue, **option)


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ({"queue": "amqp://user:geheim@127.0.0.1:1/"}, "broker_unreachable"),
        ({"queue": "amqps://user:geheim@127.0.0.1:1/", "queue_ca_file": "none.pem"}, "tls_configuration"),
        ({"queue": "amqp://user:geheim\0@127.0.0.1/"}, "invalid_url"),
        ({"queue": "amqp://user:geheim@127.0.0.1:port/"}, "invalid_url"),
        ({"queue_name": "a\nb"}, "invalid_option"),
        ({"queue_name": ""}, "invalid_option"),
        ({"queue_shards": 257}, "invalid_option"),
        ({"capacity": 0}, "invalid_option"),
    ],
)
def test_what_is_wrong_with_a_broker_is_said(server, option, code):
    with pytest.raises(postroad.Error) as refused:
        postroad.Mailer(server.url, **{"queue": "amqp://user:geheim@127.0.0.1:1/", **option})
    assert refused.value.code == code
    assert "geheim" not in str(refused.value)


def test_what_is_wrong_with_a_broker_is_said_to_who_looks_too(tmp_path):
    with pytest.raises(postroad.Error) as refused:
        postroad.Queue("amqp://user:geheim@127.0.0.1:1/")
    assert refused.value.code == "broker_unreachable"
    assert "geheim" not in str(refused.value)
    with pytest.raises(postroad.InvalidInput) as refused:
        postroad.Queue(tmp_path / "outbox.db", queue_name="orders")
    assert refused.value.code == "contradiction"


def test_a_message_in_a_file_is_sent_by_the_next_mailer(make_server, tmp_path):
    path = tmp_path / "outbox.db"
    with postroad.Mailer("smtp+insecure://localhost:9", queue=path, submit_only=True) as mail:
        mail.submit(compose())
        assert mail.count().total == 1
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    server = make_server()
    with postroad.Mailer(server.url, queue=path):
        pass
    assert len(server.messages) == 1


def test_a_key_is_taken_once(server, tmp_path):
    with postroad.Mailer(server.url, queue=tmp_path / "outbox.db") as mail:
        assert mail.send(compose(), idempotency_key="invoice 7").all_accepted
        with pytest.raises(postroad.AlreadyQueued):
            mail.submit(compose(), idempotency_key="invoice 7")
    assert len(server.messages) == 1


def test_an_empty_key_is_refused(server, tmp_path):
    with postroad.Mailer(server.url, queue=tmp_path / "q.db") as mail:
        with pytest.raises(postroad.InvalidInput, match="idempotency_key is empty"):
            mail.submit(compose(), idempotency_key="")
        assert mail.count().total == 0


def test_a_queue_is_the_same_wherever_the_process_goes(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with postroad.Mailer(server.url, queue="q.db") as mail:
        queue = postroad.Queue("q.db")
        monkeypatch.chdir("/")
        mail.send(compose())
    assert len(list(mail.journal())) == len(list(queue.journal())) == 1


def test_a_file_that_is_no_queue_is_refused(server, tmp_path):
    path = tmp_path / "outbox.db"
    path.write_bytes(b"Dear diary,\n" * 1000)
    with pytest.raises(postroad.Error) as refused:
        postroad.Mailer(server.url, queue=path)
    assert "outbox.db" in str(refused.value)


def test_what_a_killed_process_submitted_goes_out_once(make_server, tmp_path):
    path = tmp_path / "outbox.db"
    program = """
        import os, signal, sys
        sys.path.insert(0, sys.argv[3])
        import postroad
        from conftest import compose
        mail = postroad.Mailer(sys.argv[1], queue=sys.argv[2], submit_only=True)
        for i in range(20):
            mail.submit(compose(subject=str(i)))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    server = make_server()
    command = [sys.executable, "-c", textwrap.dedent(program), server.url, path, os.path.dirname(__file__)]
    killed = subprocess.run(command, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    with postroad.Mailer(server.url, queue=path):
        pass
    assert len(server.messages) == 20


def test_what_is_in_doubt_waits_for_somebody(make_server, tmp_path):
    server = make_server(replies={"content": "drop"})
    with postroad.Mailer(server.url, queue=tmp_path / "outbox.db") as mail:
        ticket = mail.submit(compose())
        with pytest.raises(postroad.Error) as failed:
            ticket.wait(60)
        assert failed.value.receipt.in_doubt
        (job,) = mail.jobs(state="in_doubt")
        assert job.recipients == (("bob@example.org", "in_doubt"),)
        assert mail.drop(id=job.id) == 1


def test_what_was_refused_for_good_is_kept_and_can_go_again(make_server, tmp_path):
    path = tmp_path / "outbox.db"
    server = make_server(replies={"RCPT": "550 5.1.1 no such user"})
    with postroad.Mailer(server.url, queue=path) as mail:
        assert mail.send(compose()).rejected
    queue = postroad.Queue(path)
    assert (queue.jobs(), queue.count().total, queue.count().by_state["failed"]) == ([], 0, 1)
    (job,) = queue.jobs(state="failed")
    assert job.recipients == (("bob@example.org", "rejected"),)
    assert job.error == "550 5.1.1 no such user"
    assert 0 <= job.failed < 60
    assert queue.retry_now() == 0
    assert queue.retry_now(id=job.id) == 1
    server = make_server()
    with postroad.Mailer(server.url, queue=path):
        pass
    assert len(server.messages) == 1
    assert postroad.Queue(path).count().by_state["failed"] == 0


def test_a_file_can_be_looked_after_without_a_mailer(server, tmp_path, capsys):
    path = tmp_path / "outbox.db"
    with postroad.Mailer(server.url, queue=path) as mail:
        mail.submit(compose(), delay=3600, tag="news")
        mail.submit(compose(to="c@example.net"), delay=3600)
    queue = postroad.Queue(path)
    assert [j.tag for j in queue.jobs()] == ["news", ""]
    assert queue.count().by_state["delayed"] == 2
    assert main(["queue", str(path)]) == 0
    assert "delayed in" in capsys.readouterr().out
    assert main(["queue", str(path), "drop"]) == 64
    assert main(["queue", str(path), "hold", "--domain", "example.net"]) == 0
    assert main(["queue", str(path), "count"]) == 0
    assert "held: 1" in capsys.readouterr().out
    assert main(["queue", str(path), "drop", "--tag", "news"]) == 0
    assert main(["queue", str(path), "retry", "--all"]) == 0
    with postroad.Mailer(server.url, queue=path):
        pass
    assert [m.recipients for m in server.messages] == [["c@example.net"]]


@pytest.mark.parametrize("change", ["drop", "hold"])
def test_what_another_takes_from_the_sender_keeps_no_connection(make_server, tmp_path, change):
    server = make_server(stall="MAIL")
    with postroad.Mailer(server.url, queue=tmp_path / "q.db", connections=1) as mail:
        first, second = mail.submit(compose()), mail.submit(compose())
        assert server.stalled.wait(60)
        assert getattr(postroad.Queue(tmp_path / "q.db"), change)() == 1
        server.stall = ""
        server.resume.set()
        first.wait(60).require_accepted()
        with pytest.raises(postroad.Cancelled):
            second.wait(60)
        mail.send(compose(), give_up_after=60).require_accepted()
    assert len(server.messages) == 2


def test_looking_after_what_is_no_queue_says_so(tmp_path, capsys):
    with pytest.raises(FileNotFoundError):
        postroad.Queue(tmp_path / "none.db")
    assert main(["queue", str(tmp_path / "none.db")]) == 66
    (tmp_path / "diary.db").write_bytes(b"Dear diary,\n" * 1000)
    assert main(["queue", str(tmp_path / "diary.db")]) == 69
    assert "diary.db" in capsys.readouterr().err


def test_what_keeps_mail_waiting_is_named(make_server, message, tmp_path):
    server = make_server(replies={"EHLO": "550 go away", "HELO": "550 go away"})
    with postroad.Mailer(server.url, queue=tmp_path / "q.db", close_timeout=0) as mail:
        assert mail.count().troubles == ()
        mail.submit(message)
        (trouble,) = until(lambda: mail.count().troubles)
        assert trouble.code == "hello_refused"
        assert "go away" in trouble.why
        assert trouble.name == "127.0.0.1"
        assert trouble.waiting == 1
        assert 0 <= trouble.since < 60
        assert trouble.next_try is None or trouble.next_try >= 0
    assert postroad.Queue(tmp_path / "q.db").count().troubles == ()


def test_what_failed_is_kept_to_be_looked_at(server, tmp_path):
    with postroad.Mailer(server.url, queue=tmp_path / "q.db") as mail:
        assert len(mail.submit(compose("rejected@x.example"), tag="news").wait(60).rejected) == 1
        failed = until(lambda: mail.jobs(state="failed"))
        assert mail.jobs() == []
        assert (mail.count().by_state["failed"], mail.count().total) == (1, 0)
    (job,) = failed
    assert (job.state, job.tag, job.recipients[0][0]) == ("failed", "news", "rejected@x.example")
    assert job.failed >= 0
    assert "no such user" in job.error
    assert postroad.Queue(tmp_path / "q.db").jobs(state="failed")[0].id == job.id


def test_a_queue_is_the_same_file_behind_a_link(tmp_path, monkeypatch):
    (tmp_path / "real/folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/folder")
    monkeypatch.chdir(tmp_path)
    with postroad.Mailer("discard://", queue="link/../q.db", submit_only=True) as mail:
        assert os.path.samefile(mail._file, tmp_path / "real/q.db")
    queue = postroad.Queue("link/../q.db")
    monkeypatch.chdir("/")
    assert list(queue.journal()) == []
