"""docs/command.schema.json describes what the command prints with --json."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path

import jsonschema
import postroad
import pytest
from postroad.__main__ import main

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/command.schema.json").read_text())
LETTER = b"From: ann@example.com\nTo: %s\nSubject: Hi\n\nHello.\n"


def validator(name):
    schema = {**SCHEMA, "$ref": f"#/$defs/{name}"}
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


@pytest.fixture
def printed(capsys):
    """Runs the command, and checks each object that it prints; gives them."""

    def run(name, *arguments, status=0):
        capsys.readouterr()
        assert main([*map(str, arguments), "--json"]) == status
        out = capsys.readouterr().out
        found = [json.loads(out)] if name == "diagnose" else [json.loads(line) for line in out.splitlines()]
        assert found
        for value in found:
            validator(name).validate(value)
        return found

    return run


@pytest.fixture
def letter(tmp_path):
    def write(to="bob@example.org, rejected@x.example"):
        path = tmp_path / "letter.eml"
        path.write_bytes(LETTER % to.encode())
        return path

    return write


def test_a_schema_refuses_what_it_does_not_name():
    for name, schema in SCHEMA["$defs"].items():
        if "enum" not in schema:
            assert not validator(name).is_valid({"unknown": 1})
    assert not validator("queue_changed").is_valid({"changed": -1})


def test_check(printed, letter):
    assert printed("check", "check", letter(), letter("a@x.example"))[0]["recipients"] == ["a@x.example"]


def test_tls_report():
    for told in (
        postroad.TlsReported("x.example", date(2026, 1, 1), ("mailto:tls@x.example",)),
        postroad.TlsReported("x.example", date(2026, 1, 1), (), "no route", True),
    ):
        validator("tls_report").validate(json.loads(json.dumps(dataclasses.asdict(told), default=str)))


def test_send(printed, server, letter, tmp_path):
    assert {r["status"] for r in printed("send", "send", server.url, letter(), status=69)} == {"accepted", "rejected"}
    printed("send", "send", "--queue", tmp_path / "q.db", server.url, letter())


def test_queue(printed, server, letter, tmp_path):
    path = tmp_path / "q.db"
    for to in ("bob@example.org", "cid@example.net"):
        printed("send", "send", "--queue", path, server.url, letter(to))
    assert len(printed("queue_list", "queue", path, "list")) == 2
    printed("queue_list", "queue", path, "show", "--id", printed("queue_list", "queue", path, "list")[0]["id"])
    assert printed("queue_count", "queue", path, "count")[0]["waiting"] == 2
    printed("queue_summary", "queue", path, "summary")
    assert printed("queue_export", "queue", path, "export", tmp_path / "out") == [{"exported": 2}]
    found = printed("queue_import", "queue", tmp_path / "other.db", "import", tmp_path / "out")
    assert found == [{"imported": 2, "known": 0, "refused": 0}]
    for action in ("hold", "release", "hold", "retry", "drop"):
        assert printed("queue_changed", "queue", path, action, "--all") == [{"changed": 2}]
    printed("queue_compact", "queue", path, "compact")


def test_journal(printed, server, tmp_path):
    path = tmp_path / "q.db"
    with postroad.Mailer(server.url, queue=path) as mail:
        mail.send(LETTER % b"bob@example.org")
    assert printed("journal", "journal", path)[0]["recipients"][0]["status"] == "accepted"


def test_suppress(printed, tmp_path):
    path, csv = tmp_path / "list.db", tmp_path / "list.csv"
    assert printed("suppress_add", "suppress", path, "add", "bob@example.org") == [{"added": 1}]
    printed("suppress_add", "suppress", path, "add", "cid@example.org", "--until", "2100-01-01")
    assert printed("suppress_check", "suppress", path, "check", "bob@example.org", status=69)[0]["suppressed"]
    assert not printed("suppress_check", "suppress", path, "check", "dan@example.org")[0]["suppressed"]
    assert len(printed("suppress_entry", "suppress", path, "list")) == 2
    printed("suppress_export", "suppress", path, "export", csv)
    printed("suppress_import", "suppress", path, "import", csv)
    assert printed("suppress_remove", "suppress", path, "remove", "bob@example.org") == [{"removed": 1}]


def test_diagnose(printed, server):
    printed("diagnose", "diagnose", server.url, "bob@example.org")
    assert printed("diagnose", "diagnose", "smtp+insecure://127.0.0.1:1", status=75)[0]["error"]["code"]


def test_merge(printed, server, tmp_path, monkeypatch):
    monkeypatch.setenv("POSTROAD_CONFIG", str(tmp_path / "postroad.toml"))
    (tmp_path / "postroad.toml").write_text("")
    template, rows = tmp_path / "hi", tmp_path / "rows.csv"
    (tmp_path / "hi.txt").write_text("Dear {{ email }},\n")
    (tmp_path / "hi.head").write_text("Subject: Hello\nFrom: shop@example.com\n")
    rows.write_text("email\nbob@example.org\nrejected@x.example\nnobody\n")
    found = printed("merge", "merge", server.url, template, rows, status=65)
    assert sorted(row["state"] for row in found) == ["bad", "refused", "sent"]
    printed("merge", "merge", "--dry-run", tmp_path / "out", template, rows, status=65)


def test_plan(printed):
    printed("plan", "plan", "--messages", 2000, "--sites", 50)
