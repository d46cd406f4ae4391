"""Spans and metrics of OpenTelemetry, by its own SDK."""

from __future__ import annotations

import asyncio
import gc
import json
import re
from pathlib import Path

import postroad
import pytest
from conftest import compose, until
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from postroad import testing
from postroad.opentelemetry import Mailer

DOCS = Path(__file__).parents[3] / "docs"
SECRET = "correct-horse-battery"


class Seen:
    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.tracing = TracerProvider()
        self.tracing.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.providers = {"tracer_provider": self.tracing, "meter_provider": self.meters}

    def spans(self):
        return self.exporter.get_finished_spans()

    def metrics(self):
        data = json.loads(self.reader.get_metrics_data().to_json())
        return {m["name"]: m for r in data["resource_metrics"] for s in r["scope_metrics"] for m in s["metrics"]}


@pytest.fixture
def seen():
    s = Seen()
    yield s
    s.tracing.shutdown()
    s.meters.shutdown()


def test_a_message_is_a_span_under_that_of_its_caller(server, seen):
    tracer = seen.tracing.get_tracer("shop")
    with Mailer(server.url, **seen.providers) as mail, tracer.start_as_current_span("order") as parent:
        assert mail.send(compose("bob@x.example, rejected@x.example")).rejected
    span, order = sorted(seen.spans(), key=lambda s: s.name == "order")
    assert order.name == "order"
    assert span.parent.span_id == parent.get_span_context().span_id
    assert span.name == "send 127.0.0.1"
    assert dict(span.attributes) == {
        "messaging.system": "smtp",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "postroad.attempts": 1,
        "postroad.recipients.accepted": 1,
        "postroad.recipients.rejected": 1,
        "postroad.reply.code": 550,
        "error.type": "rejected",
    }
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "rejected")


def test_each_way_to_send_has_spans(server, seen):
    async def main(mail):
        await mail.asend(compose())
        await (await mail.asubmit(compose()))
        return [r async for r in mail.asend_many([compose()])]

    with Mailer(server.url, **seen.providers) as mail:
        mail.send(compose())
        mail.submit(compose()).wait(60)
        list(mail.send_many([compose(), compose(), b"no message"]))
        asyncio.run(main(mail))
    assert len(server.messages) == 7
    spans = seen.spans()
    assert sorted(s.attributes["messaging.operation.name"] for s in spans) == ["send"] * 6 + ["submit"] * 2
    assert [s.attributes.get("error.type") for s in spans if s.status.status_code is StatusCode.ERROR] in (
        [],
        ["no_sender"],
    )


def test_each_letter_of_a_merge_is_a_span(server, seen, tmp_path):
    pytest.importorskip("jinja2")
    (tmp_path / "hi.txt").write_text("x")
    (tmp_path / "hi.head").write_text("From: a@x.example\nSubject: s\n")
    with Mailer(server.url, **seen.providers) as mail:
        assert [m.state for m in mail.merge([{"email": "b@x.example"}, {"email": "c@x.example"}], tmp_path / "hi")] == [
            "sent"
        ] * 2
    assert [s.attributes["messaging.operation.name"] for s in seen.spans()] == ["send"] * 2


def test_what_cannot_be_sent_says_why_and_no_secret(seen):
    with Mailer("smtp+insecure://127.0.0.1:1", user="ann", password=SECRET, **seen.providers) as mail:
        with pytest.raises(postroad.Error):
            mail.send(compose("hidden@x.example"))
        with pytest.raises(postroad.InvalidInput):
            mail.send(b"From: a@x.example\r\n\r\n")
    assert {s.attributes["error.type"] for s in seen.spans()} == {"ECONNREFUSED", "no_recipients"}
    for s in seen.spans():
        assert SECRET not in s.to_json()
        assert "hidden@" not in s.to_json()
    assert SECRET not in json.dumps(seen.metrics())


def test_metrics_are_as_the_page_names_them(server, seen, tmp_path):
    with Mailer(server.url, queue=tmp_path / "q.db", **seen.providers) as mail:
        mail.send(compose())
        # the time of a message is told in the thread of the callbacks, after send() has returned
        until(lambda: "messaging.client.operation.duration" in seen.metrics())
        found = seen.metrics()
        page = (DOCS / "python-observing.md").read_text()
        named = set(re.findall(r"^\| `((?:postroad|messaging)\.[a-z_.]+)` \|", page, re.MULTILINE))
        assert {n for n in named if n in found} == set(found)
        by = {
            p["attributes"]["postroad.status"]: p["value"] for p in found["postroad.recipients"]["data"]["data_points"]
        }
        assert (by["accepted"], by["rejected"]) == (1, 0)
        (duration,) = found["messaging.client.operation.duration"]["data"]["data_points"]
        assert (duration["count"], found["messaging.client.operation.duration"]["unit"]) == (1, "s")
        assert duration["attributes"]["server.port"] == server.port
        assert found["postroad.connections.open"]["data"]["data_points"][0]["value"] == 1
    # a closed mailer shows what it did, and no queue
    assert "postroad.messages" not in seen.metrics()


def test_each_mailer_of_a_provider_is_observed(make_server, seen):
    servers = [make_server(), make_server()]
    urls = [servers[0].url, servers[1].url, servers[1].url]
    mailers = [Mailer(url, **seen.providers) for url in urls]
    for mail in mailers:
        mail.send(compose())

    def accepted():
        points = seen.metrics()["postroad.recipients"]["data"]["data_points"]
        by = [(p["attributes"], p["value"]) for p in points]
        return {a["server.port"]: n for a, n in by if a["postroad.status"] == "accepted"}

    assert accepted() == {servers[0].port: 1, servers[1].port: 2}
    for mail in mailers:
        mail.close()
    del mail, mailers[0]
    gc.collect()
    assert accepted() == {servers[1].port: 2}


def test_what_is_under_way_does_not_keep_the_mailer(make_server, seen):
    server = make_server(stall="EHLO")
    mail = Mailer(server.url, **seen.providers)
    ticket = mail.submit(compose())
    assert server.stalled.wait(60)
    del ticket
    with pytest.warns(ResourceWarning, match="dropped and not closed"):
        del mail
    gc.collect()
    server.resume.set()
    assert server.disconnected.wait(60)


def test_an_exporter_that_fails_or_hangs_does_not_touch_the_engine(server, seen):
    import threading

    held = threading.Event()

    class Bad(SimpleSpanProcessor):
        def on_end(self, span):
            held.wait(60)
            raise ValueError("no")

    seen.tracing.add_span_processor(Bad(InMemorySpanExporter()))
    mail = Mailer(server.url, **seen.providers)
    assert mail.send(compose()).all_accepted
    assert mail.send(compose()).all_accepted
    held.set()
    mail.close()


def test_the_dashboard_asks_for_metrics_that_there_are(tmp_path):
    prometheus_client = pytest.importorskip("prometheus_client")
    from postroad.prometheus import Collector

    dashboard = json.loads((DOCS / "grafana.json").read_text())
    expressions = [t["expr"] for p in dashboard["panels"] for t in p.get("targets", [])]
    asked = set(re.findall(r"postroad_[a-z_]+", " ".join(expressions)))
    registry = prometheus_client.CollectorRegistry()
    with testing.Sink() as sink, sink.mailer(queue=tmp_path / "q.db") as mail:
        registry.register(Collector(mail))
        mail.send(compose())
        text = prometheus_client.generate_latest(registry).decode()
    there = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert asked <= there
    assert {t for t in there if not t.endswith("_created")} - asked == set()
    assert len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"])
