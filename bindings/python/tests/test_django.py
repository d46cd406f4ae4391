"""Django's mail by postroad."""

from __future__ import annotations

import os
import smtplib

import django
import postroad
import pytest
from conftest import until
from django.conf import settings
from django.core import mail
from django.test import override_settings
from postroad.django import EmailBackend

settings.configure(EMAIL_BACKEND="postroad.django.EmailBackend", DEFAULT_FROM_EMAIL="site@example.com")
django.setup()


@pytest.fixture
def site(server):
    with override_settings(POSTROAD={"url": server.url}):
        yield server


def taken(server, n):
    """The `n` messages that it took: it counts one when it has replied."""
    until(lambda: len(server.messages) >= n)
    assert len(server.messages) == n
    return server.messages


def email(to, **more):
    return mail.EmailMessage("Grüße", "Schöne Grüße.\n", "Ann Lee <ann@example.com>", to, **more)


def test_a_mail_is_sent_to_all_and_names_those_that_it_should(site):
    message = email(["Bob <bob@example.org>"], cc=["cid@example.org"], bcc=["dan@example.org"])
    message.attach("notes.txt", "one\n", "text/plain")
    assert message.send() == 1
    (got,) = taken(site, 1)
    assert got.sender == "ann@example.com"
    assert got.recipients == ["bob@example.org", "cid@example.org", "dan@example.org"]
    assert b"dan@" not in got.content
    assert b"notes.txt" in got.content


def test_connections_last_from_one_mail_to_the_next(site):
    for _ in range(3):
        assert mail.send_mail("Hi", "Hello.", None, ["bob@example.org"]) == 1
    assert [m.sender for m in taken(site, 3)] == ["site@example.com"] * 3
    assert len([c for c in site.commands if c.startswith("EHLO")]) == 1


def test_mails_go_together_and_the_first_failure_is_raised_when_all_are_done(make_server):
    server = make_server(replies={"RCPT TO:<rejected@": "550 5.1.1 no such user"})
    mails = [email([to]) for to in ("a@example.org", "rejected@example.org", "b@example.org")]
    with override_settings(POSTROAD={"url": server.url}):
        with pytest.raises(postroad.NotAccepted, match="no such user"):
            mail.get_connection().send_messages(mails)
        taken(server, 2)
        assert mail.get_connection(fail_silently=True).send_messages(mails) == 2
        assert mail.get_connection().send_messages([]) == 0
        assert email([]).send() == 0
    taken(server, 4)


@pytest.mark.parametrize("silent", [False, True])
def test_a_mail_that_django_cannot_write_out_stops_no_other(site, silent):
    unwritable = [
        (email(["bob@example.org"], headers={"X-A": "a\nb"}), ValueError),
        (
            email(["bob@example.org"], attachments=[("a.txt", object(), "text/plain")]),
            (TypeError, AttributeError, KeyError),
        ),
    ]
    for n, (wrong, kind) in enumerate(unwritable, 1):
        mails = [email(["a@example.org"]), wrong, email(["c@example.org"])]
        with pytest.raises(kind):
            mail.get_connection(fail_silently=silent).send_messages(mails)
        taken(site, 2 * n)


def test_the_usual_except_catches_what_goes_wrong(make_server):
    server = make_server()
    for url, to in [("smtp+insecure://127.0.0.1:1", "a@x.example"), (server.url, "rejected@x"), ("http://x", "a@x")]:
        with override_settings(POSTROAD={"url": url}):
            try:
                email([to]).send()
                pytest.fail("sent")
            except (smtplib.SMTPException, OSError):
                pass


def test_what_cannot_be_sent_raises_unless_silenced():
    with override_settings(POSTROAD={"url": "smtp+insecure://127.0.0.1:1"}):
        with pytest.raises(postroad.TransientError):
            email(["bob@example.org"]).send()
        assert email(["bob@example.org"]).send(fail_silently=True) == 0
    with override_settings(POSTROAD={"url": "smtp+insecure://127.0.0.1:1", "queue_name": "x"}):
        with pytest.raises(postroad.InvalidInput):
            email(["bob@example.org"]).send()
    with pytest.raises(postroad.InvalidInput), override_settings(POSTROAD={"url": "smtp+insecure://127.0.0.1:1"}):
        email(["no address"]).send()


def test_without_a_queue_a_mail_is_waited_for():
    with override_settings(POSTROAD={"url": "smtp+insecure://127.0.0.1:1", "queue": None}):
        with pytest.raises(postroad.TransientError):
            email(["bob@example.org"]).send()


def test_with_a_queue_a_mail_is_sent_once_it_is_stored(make_server, tmp_path):
    queue = str(tmp_path / "outbox.db")
    with override_settings(POSTROAD={"url": "smtp+insecure://127.0.0.1:1", "queue": queue, "submit_only": True}):
        assert email(["bob@example.org"]).send() == 1
    server = make_server()
    with postroad.Mailer(server.url, queue=queue):
        pass
    assert server.messages[0].recipients == ["bob@example.org"]


@pytest.fixture
def queued(tmp_path):
    """Where mails are put, and nobody sends."""
    place = {"url": "smtp+insecure://127.0.0.1:1", "queue": tmp_path / "outbox.db", "submit_only": True}
    with postroad.Mailer(**place), override_settings(POSTROAD=place):
        yield postroad.Queue(place["queue"])


def test_a_mail_says_how_it_is_queued_by_attribute_or_header(queued):
    message = email(["bob@example.org"], headers={"X-Postroad-Tag": "März", "x-postroad-traffic-class": "1"})
    message.postroad = {"delay": 3600, "idempotency_key": "order 7", "delivery": postroad.Delivery(notify="never")}
    assert message.send() == 1
    (job,) = queued.jobs()
    assert (job.tag, job.traffic_class, job.state) == ("März", 1, "delayed")
    with pytest.raises(postroad.AlreadyQueued):
        message.send()


def test_what_a_mail_says_of_its_queueing_does_not_travel(site):
    headers = {"X-Postroad-Tag": "june", "X-POSTROAD-Tenant": "x", "X-Own": "1"}
    assert email(["bob@example.org"], headers=headers).send() == 1
    (got,) = taken(site, 1)
    assert b"X-Own: 1" in got.content
    assert b"postroad" not in got.content.lower()


@pytest.mark.parametrize(
    ("attribute", "headers", "said"),
    [
        ({}, {"X-Postroad-Delay": "soon"}, "X-Postroad-Delay must be a number"),
        ({}, {"X-Postroad-Delay": "nan"}, "delay must be a number of seconds"),
        ({}, {"X-Postroad-Colour": "red"}, "X-Postroad-Colour is none of: X-Postroad-Delay,"),
        ({"tag": "a"}, {"X-Postroad-Tag": "b"}, "says its tag twice"),
        ({"tags": "a"}, {}, "unexpected keyword argument 'tags'"),
        ("june", {}, "must be a dict, not str"),
    ],
)
@pytest.mark.parametrize("backend", ["EmailBackend", "MemoryBackend"])
def test_what_a_mail_says_wrong_of_its_queueing_is_told(queued, backend, attribute, headers, said):
    message = email(["bob@example.org"], headers=headers)
    message.postroad = attribute
    with override_settings(EMAIL_BACKEND=f"postroad.django.{backend}"):
        with pytest.raises((postroad.InvalidInput, TypeError), match=said):
            message.send()
    assert queued.jobs() == []


def test_a_mail_that_waits_needs_a_queue(site):
    message = email(["bob@example.org"], headers={"X-Postroad-Delay": "600"})
    with pytest.raises(postroad.InvalidInput, match="delay needs"):
        message.send()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork() here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_is_forked_has_connections_of_its_own(site):
    assert email(["bob@example.org"]).send() == 1
    child = os.fork()
    if child == 0:
        sent = 0
        try:
            sent = email(["cid@example.org"]).send()
        finally:
            os._exit(0 if sent == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert email(["dan@example.org"]).send() == 1
    assert [m.recipients[0][:3] for m in taken(site, 3)] == ["bob", "cid", "dan"]
    assert len([c for c in site.commands if c.startswith("EHLO")]) == 2


@pytest.mark.parametrize(
    ("own", "arguments"),
    [
        ({}, {"url": "smtp+insecure://localhost:25"}),
        ({"EMAIL_USE_TLS": True, "EMAIL_PORT": 587}, {"url": "smtp://localhost:587"}),
        (
            {"EMAIL_USE_SSL": True, "EMAIL_HOST": "::1", "EMAIL_TIMEOUT": 7, "EMAIL_SSL_CERTFILE": "a b.pem"},
            {"url": "smtps://[::1]:25/?certificate=a%20b.pem", "connect_timeout": 7, "reply_timeout": 7},
        ),
        (
            {"EMAIL_HOST_USER": "ann", "EMAIL_HOST_PASSWORD": "geheim", "POSTROAD": {"connections": 2}},
            {"url": "smtp+insecure://localhost:25", "user": "ann", "password": "geheim", "connections": 2},
        ),
        ({"POSTROAD": {"url": "smtps://mx"}, "EMAIL_HOST_USER": "ann", "EMAIL_TIMEOUT": 7}, {"url": "smtps://mx"}),
    ],
)
def test_the_settings_of_django_say_where_mail_goes(own, arguments):
    with override_settings(**own):
        assert EmailBackend()._arguments == arguments


def test_mailers_of_others_leave_postroad_of_the_settings_as_it_is():
    # with MAILERS Django 6.1 has no EMAIL_HOST and the like any more
    others = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    with override_settings(MAILERS=others, POSTROAD={"url": "smtps://mx", "queue": "q.db"}):
        assert EmailBackend()._arguments == {"url": "smtps://mx", "queue": "q.db"}
        assert EmailBackend(host="other")._arguments == {"url": "smtp+insecure://other:25", "queue": "q.db"}


def test_a_connection_with_arguments_has_a_mailer_of_its_own(make_server):
    server, other = make_server(), make_server()
    with override_settings(POSTROAD={"url": server.url}):
        connection = mail.get_connection(host="127.0.0.1", port=other.port)
        assert email(["bob@example.org"], connection=connection).send() == 1
        assert other.disconnected.wait(60)
        with connection:
            for _ in range(2):
                assert email(["bob@example.org"], connection=connection).send() == 1
    taken(other, 3)
    assert server.messages == []
    assert len([c for c in other.commands if c.startswith("EHLO")]) == 2
    wrong = mail.get_connection(host="-", fail_silently=True)
    assert wrong.send_messages([email(["bob@example.org"])]) == 0


def test_the_arguments_of_a_connection_stand_for_settings():
    with override_settings(POSTROAD={"url": "smtps://mx"}):
        assert EmailBackend(username="ann", password="geheim")._arguments == {
            "url": "smtps://mx",
            "user": "ann",
            "password": "geheim",
        }
        assert EmailBackend(host="other", use_tls=True)._arguments == {"url": "smtp://other:25"}
    with pytest.raises(ValueError, match="EMAIL_USE_TLS"):
        EmailBackend(use_tls=True, use_ssl=True)


@override_settings(EMAIL_BACKEND="postroad.django.MemoryBackend")
def test_mail_of_tests_is_in_the_outbox_of_django():
    mail.outbox = []
    assert mail.send_mail("Hi", "Hello.", None, ["bob@example.org"]) == 1
    assert mail.send_mass_mail([("one", "x", None, ["a@x.example"]), ("two", "x", None, ["b@x.example"])]) == 2
    assert [m.subject for m in mail.outbox] == ["Hi", "one", "two"]
    with pytest.raises(postroad.InvalidInput):
        mail.send_mail("Hi", "Hello.", None, ["bob@@example.org"])
    assert mail.send_mail("Hi", "Hello.", None, ["bob@@example.org"], fail_silently=True) == 0
    assert len(mail.outbox) == 3


@override_settings(EMAIL_BACKEND="postroad.django.MemoryBackend")
def test_how_a_mail_is_queued_is_of_no_matter_in_tests():
    mail.outbox = []
    message = email(["bob@example.org"], headers={"X-Postroad-Idempotency-Key": "order 7"})
    message.postroad = {"delay": 3600}
    assert [message.send(), message.send()] == [1, 1]
    assert mail.outbox[0].postroad == {"delay": 3600}
