"""stats() and Prometheus."""

from __future__ import annotations

import dataclasses

import postroad
import pytest
from conftest import compose, until
from postroad import testing


def test_a_mailer_counts_what_it_did():
    faults = ["rcpt@no@:0:550 5.1.1 no", "rcpt@later@:0:451 4.7.1 later", "content:2:+|drop"]
    with testing.Sink(faults=faults) as sink, sink.mailer(connections=1) as mail:
        assert set(dataclasses.astuple(mail.stats())) == {0}
        mail.send(compose("bob@x.example, no@x.example, later@x.example"))
        with pytest.raises(postroad.Disconnected):
            mail.send(compose())
        s = mail.stats()
        assert (s.accepted, s.rejected, s.deferred, s.in_doubt, s.not_attempted) == (1, 1, 1, 1, 0)
        assert s.connections == 1
        assert s.contents == 2
        assert s.octets > 100
        assert s.replies >= 8
        assert s.reply_seconds > 0
        assert s.broken_connections == 1
        assert s.open_connections == 0
    assert mail.stats().accepted == 1


def test_a_connection_that_cannot_be_made_is_counted():
    with postroad.Mailer("smtp+insecure://127.0.0.1:1") as mail:
        with pytest.raises(postroad.NoConnection):
            mail.send(compose())
        s = mail.stats()
    assert (s.not_attempted, s.connections, s.broken_connections >= 1) == (1, 0, True)


def test_events_that_are_too_slow_are_counted():
    assert postroad.Mailer("discard://").stats().lost_events == 0


def test_prometheus_is_shown_what_mailers_did_and_hold(tmp_path):
    prometheus_client = pytest.importorskip("prometheus_client")
    from postroad.prometheus import Collector

    registry = prometheus_client.CollectorRegistry()
    with testing.Sink() as sink:
        with sink.mailer() as mail, sink.mailer(queue=tmp_path / "q.db", submit_only=True) as bulk:
            registry.register(Collector({"one": mail, "bulk": bulk}))
            mail.send(compose())
            bulk.submit(compose())
            value = registry.get_sample_value
            assert value("postroad_recipients_total", {"mailer": "one", "status": "accepted"}) == 1
            assert value("postroad_recipients_total", {"mailer": "bulk", "status": "accepted"}) == 0
            assert value("postroad_jobs", {"mailer": "bulk", "state": "waiting"}) == 1
            assert value("postroad_connections_total", {"mailer": "one"}) == 1
            assert value("postroad_open_connections", {"mailer": "one"}) == 1
        # closed mailers show what they did
        assert value("postroad_recipients_total", {"mailer": "one", "status": "accepted"}) == 1
        assert value("postroad_jobs", {"mailer": "one", "state": "waiting"}) is None


@pytest.mark.parametrize("mailers", [5, [], {"news": 5}, {7: None}])
def test_what_is_no_mailer_is_not_collected(mailers):
    prometheus = pytest.importorskip("postroad.prometheus")
    with pytest.raises(TypeError, match="mailers must be a Mailer or several by name"):
        prometheus.Collector(mailers)


def test_prometheus_is_shown_what_keeps_mail_waiting(make_server, tmp_path):
    prometheus_client = pytest.importorskip("prometheus_client")
    from postroad.prometheus import Collector

    server = make_server(replies={"EHLO": "550 go away", "HELO": "550 go away"})
    with postroad.Mailer(server.url, queue=tmp_path / "q.db", close_timeout=0) as mail:
        registry = prometheus_client.CollectorRegistry()
        registry.register(Collector(mail))
        mail.submit(compose())
        labels = {"mailer": "default", "site": "127.0.0.1", "code": "hello_refused"}
        until(lambda: registry.get_sample_value("postroad_waiting_for", labels) == 1)
