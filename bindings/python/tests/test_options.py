"""docs/python-options.md names each option of C++, and the arguments that are checked and reach the engine."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import postroad
import pytest
from conftest import compose

ROOT = Path(__file__).parents[3]
HEADERS = ROOT / "include/postroad"
PAGE = (ROOT / "docs/python-options.md").read_text()
TABLES = re.findall(r"^## `(.+)` `(\w+)`\n\n.*\n\|---.*\n((?:\|.*\n)+)", PAGE, re.M)
ARGUMENTS = {
    *inspect.signature(postroad.Mailer).parameters,
    *postroad.Queued.__annotations__,
    *(f.name for f in dataclasses.fields(postroad.Delivery)),
}


def members(header, struct):
    """Those of an aggregate of options: what stands in it before its first function or type."""
    (body,) = re.findall(rf"^struct {struct} \{{\n(.*?)^\}};", (HEADERS / header).read_text(), re.M | re.S)
    body = re.sub(r"(?:^|\s)//.*", "", body, flags=re.M)
    body = re.split(r"^    (?:struct|explicit|friend|[^=\n;]*\()", body, maxsplit=1, flags=re.M)[0]
    declared = [re.split("[={]", d)[0].split() for d in body.split(";")]
    return [d[-1] for d in declared if d and d[0] not in ("using", "static")]


def url_options():
    text = "".join((HEADERS / "transport" / h).read_text() for h in ("url.hpp", "mx_url.hpp"))
    lists = re.findall(r"url_option_names\[\] = \{(.*?)\};", text, re.S)
    assert len(lists) == 2
    return set(re.findall(r'"(\w+)"', "".join(lists)))


def rows(text):
    for line in text.splitlines():
        member, arguments, url, why = (cell.strip() for cell in line.strip("|").split("|"))
        yield member.strip("`"), re.findall(r"`(\w+)`", arguments), re.findall(r"`(\w+)`", url), why


@pytest.mark.parametrize(("header", "struct", "table"), TABLES, ids=[t[1] for t in TABLES])
def test_each_option_has_an_argument_or_a_reason(header, struct, table):
    described = list(rows(table))
    assert [name for name, *_ in described] == members(header, struct)
    for name, arguments, url, why in described:
        assert set(arguments) <= ARGUMENTS, name
        assert set(url) <= url_options(), name
        assert bool(arguments or url) != bool(why), f"{name}: an argument or a reason, one of them"


def test_no_structure_of_options_is_left_out():
    named = {struct for _, struct, _ in TABLES}
    assert {"smtp_options", "mx_options", "dialing", "settings", "keep_alive", "memory", "sqlite_options"} <= named
    assert {"amqp_options", "basic_fair", "retry_rules", "send_options", "mail_options", "report_options"} <= named


def test_each_argument_and_url_option_stands_in_a_table():
    found = {word for _, _, table in TABLES for _, arguments, url, _ in rows(table) for word in (*arguments, *url)}
    # what is no option of a policy
    others = {"sign", "suppression", "on_event", "close_timeout", "anchors", "dnssec", "resolver"}
    assert (ARGUMENTS | url_options()) - found == others


NUMBERS = ["connections_per_destination", "capacity_octets", "most_in_doubt", "longest_wait", "give_up"]


@pytest.mark.parametrize("name", [*NUMBERS, "destination_pace"])
@pytest.mark.parametrize("value", [0, -1, 1e30, float("nan")])
def test_a_number_is_checked(name, value):
    with pytest.raises((postroad.InvalidInput, TypeError), match=name):
        postroad.Mailer("discard://" if name == "capacity_octets" else "smtp://x.example", **{name: value})
    with pytest.raises(TypeError, match=name):
        postroad.Mailer("smtp://x.example", **{name: "4"})


@pytest.mark.parametrize("weights", [[], [0], [-1], [1] * 257, [10**9]])
def test_weights_are_checked(weights):
    with pytest.raises(postroad.InvalidInput, match="class_weights"):
        postroad.Mailer("discard://", class_weights=weights)
    for wrong in ("12", [1.5], 7, [True]):
        with pytest.raises(TypeError):
            postroad.Mailer("discard://", class_weights=wrong)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("discard://", {"server_name": "x"}),
        ("discard://", {"down_convert": True}),
        ("discard://", {"most_in_doubt": 1}),
        ("discard://", {"connections_per_destination": 1}),
        ("discard://", {"journal_capacity": 1}),
        ("discard://", {"queue": "q.db", "capacity_octets": 1}),
        ("mx://out.example.com", {"server_name": "x"}),
    ],
)
def test_what_is_of_no_use_is_refused(url, options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(postroad.InvalidInput, match="is of use") as e:
        postroad.Mailer(url, **options)
    assert e.value.code == "contradiction"
    assert list(tmp_path.iterdir()) == []


def test_octets_bound_a_queue_in_memory(make_server):
    server = make_server(stall="MAIL")
    with postroad.Mailer(server.url, capacity_octets=1000, close_timeout=0) as mail:
        mail.submit(compose(text="x" * 600 + "\n"))
        with pytest.raises(postroad.QueueFull):
            mail.submit(compose(text="x" * 600 + "\n"))


def test_a_journal_keeps_the_last(server, tmp_path):
    with postroad.Mailer(server.url, queue=tmp_path / "q.db", journal_capacity=2) as mail:
        for receipt in mail.send_many(compose() for _ in range(150)):
            assert receipt.all_accepted
    # it is trimmed beside the work, not at each message
    assert len(list(postroad.Queue(tmp_path / "q.db").journal())) < 120


def test_a_message_is_given_up_once_it_is_too_old(server):
    with postroad.Mailer(server.url, attempts=3, first_wait=3600, give_up=60) as mail:
        receipt = mail.send(compose("deferred@x.example"))
    assert receipt.attempts == 1


def test_connections_to_a_destination_are_bounded(make_server):
    server = make_server()
    with postroad.Mailer(server.url, connections_per_destination=1) as mail:
        assert all(r.all_accepted for r in mail.send_many([compose()] * 20))
    assert sum(c.startswith("EHLO") for c in server.commands) == 1


def test_eight_bit_content_may_be_kept_as_it_is(make_server):
    server = make_server(extensions=("PIPELINING",))
    eight_bit = b"From: a@x.example\r\nTo: b@x.example\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xbc\r\n"
    assert postroad.send(server.url, eight_bit).all_accepted
    with postroad.Mailer(server.url, down_convert=False) as mail:
        with pytest.raises(postroad.PermanentError) as e:
            mail.send(eight_bit)
    assert e.value.code == "eight_bit_unsupported"


def test_a_certificate_may_name_another_host(start_sink, tmp_path):
    ca = tmp_path / "ca.pem"
    sink = start_sink("--implicit-tls", "--ca-out", str(ca))
    url = f"smtps://127.0.0.1:{sink.port}"
    with postroad.Mailer(url, ca_file=ca, server_name="localhost") as mail:
        assert mail.send(compose()).all_accepted
    with postroad.Mailer(url, ca_file=ca, server_name="other.example") as mail:
        with pytest.raises(postroad.Error):
            mail.send(compose())
