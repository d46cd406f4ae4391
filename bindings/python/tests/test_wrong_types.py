"""What has a wrong type, or names no file, is a TypeError or InvalidInput that says which argument it was."""

from __future__ import annotations

import inspect
import io
import re
from datetime import datetime, timedelta, timezone
from email import message_from_bytes

import postroad
import pytest
from postroad import oauth, templates, testing, unsubscribe
from postroad.__main__ import main

MAIL = b"From: ann@example.com\r\nTo: bob@example.org\r\n\r\nHi\r\n"


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda listed: listed.add("bob@example.org", until=1.5), "until must be a datetime"),
        (lambda listed: listed.add_all(["bob@example.org"]), "an entry must be a SuppressionEntry"),
        (lambda listed: listed.import_csv("list.csv"), "file must be one that is opened"),
        (lambda listed: listed.import_csv(io.BytesIO(), until="later"), "until must be a datetime"),
        (lambda listed: listed.import_csv(io.StringIO("bob@example.org")), "file must be opened in binary mode"),
        (
            lambda _: postroad.Message(from_="a@x.example", to="b@x.example", text="", date="now"),
            "date must be a datetime",
        ),
        (
            lambda _: postroad.Message(from_="a@x.example", to="b@x.example", text="", headers=["X-Own"]),
            "headers must be",
        ),
        (
            lambda _: postroad.Message(from_="a@x.example", to="b@x.example", text="", headers={"X-Priority": 1}),
            "X-Priority must be a str or addresses, not int",
        ),
        (
            lambda _: postroad.Message(from_="a@x.example", to="b@x.example", text="").add_header("X-Own", None),
            "X-Own must be a str or addresses, not NoneType",
        ),
        (lambda _: postroad.Delivery(notify=[None]), "notify must be a str"),
        (
            lambda _: postroad.write_report(MAIL, ["bob@example.org"], reporting_mta="mx.example"),
            "a recipient must be a",
        ),
        (lambda _: testing.Sink(users=[("ann", "secret")]), "users must be a Mapping"),
        (lambda _: testing.Sink(faults="rcpt:1:450 later"), "faults must be a list"),
        (lambda _: testing.Sink(mechanisms="PLAIN"), "mechanisms must be a list"),
        (lambda _: testing.Sink(more_keywords="SIZE 5"), "more_keywords must be a list"),
        (lambda _: testing.Sink(certificate_names="mx.example"), "certificate_names must be a list"),
        (lambda _: postroad.Mailer("discard://", when_full=5), "when_full must be a str"),
        (lambda _: postroad.Mailer("discard://", queue=5), "queue must be a path"),
        (lambda _: postroad.Mailer("discard://", pace="5"), "pace must be a number of messages a second"),
        (lambda _: postroad.Mailer("discard://", class_weights=5), "class_weights must be a list"),
        (
            lambda _: postroad.Mailer("discard://", class_weights=[16, "1"]),
            r"class_weights\[1\] must be an int, not str",
        ),
        (lambda _: postroad.Mailer("discard://", sign=[5]), "sign must be a postroad.Dkim or several, not int"),
        (lambda _: postroad.Mailer("smtp://x.example", auth=5), "auth must be a list"),
        (lambda _: postroad.Mailer("discard://").send_many(MAIL), "messages must be a list or the like, not one bytes"),
        (
            lambda _: postroad.Mailer("discard://").asend_many(message_from_bytes(MAIL)),
            "messages must be a list or the like, not one Message",
        ),
        (lambda _: postroad.Mailer("discard://").send(MAIL, traffic_class="1"), "traffic_class must be an int"),
        (
            lambda _: postroad.Mailer("discard://").merge([], "letters/none", suppressed="left.db"),
            "suppressed must be a SuppressionList",
        ),
    ],
)
def test_a_wrong_type_is_named(call, named, tmp_path):
    with pytest.raises(TypeError, match=named):
        call(postroad.SuppressionList(tmp_path / "list.db"))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("idle", 0, "a number of seconds above 0, up to 1e9"),
        ("close_timeout", -1, "a number of seconds from 0 to 1e9"),
        ("pace", 0, "a number of messages a second above 0, up to 1e9"),
        ("tenant_pace", -1, "a number of messages a second above 0, up to 1e9"),
    ],
)
def test_a_number_out_of_range_is_told_its_unit_and_range(name, value, expected):
    with pytest.raises(postroad.InvalidInput, match=f"^{name} must be {expected}"):
        postroad.Mailer("discard://", **{name: value})


def test_a_list_of_no_mechanism_is_refused():
    with pytest.raises(postroad.InvalidInput, match="auth names no mechanism"):
        postroad.Mailer("smtp://x.example", auth=[])


@pytest.mark.parametrize("priority", [1 << 70, -(1 << 70)])
def test_a_priority_may_be_any_int(priority):
    with pytest.raises(postroad.InvalidInput, match="priority must be from -9 to 9"):
        postroad.Delivery(priority=priority)


@pytest.mark.parametrize("path", ["\ud800", "", "\0", "a\0b"])
@pytest.mark.parametrize("name", ["ca_file", "queue", "suppression"])
def test_what_cannot_name_a_file_is_refused(name, path):
    with pytest.raises(postroad.InvalidInput, match="does not name a file"):
        postroad.Mailer("smtp://x.example", **{name: path})


@pytest.mark.parametrize("since", [datetime(1, 1, 1), datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))])
def test_a_journal_is_searched_from_any_year(since, tmp_path):
    with postroad.Mailer("discard://", queue=tmp_path / "q.db") as mail:
        mail.send(MAIL)
    assert len(list(postroad.Queue(tmp_path / "q.db").journal(since=since))) == 1
    assert list(postroad.Queue(tmp_path / "q.db").journal(before=since)) == []


def test_a_queue_that_is_not_there_is_named_as_people_do(capsys):
    assert main(["queue", "/nonexistent/outbox.db"]) == 66
    assert capsys.readouterr().err == "postroad: /nonexistent/outbox.db: No such file or directory\n"


class Odd:
    """What no argument takes."""


RSA = ("rsa-sha256", lambda digest: b"")
TO = postroad.ReportedRecipient("bob@example.org", action="failed", status="5.1.1")
# of each callable, the arguments that are right
CALLS = {
    "Mailer": (postroad.Mailer, {"url": "discard://"}),
    "Message": (postroad.Message, {"from_": "a@x.example", "to": "b@x.example", "text": "Hi"}),
    "Delivery": (postroad.Delivery, {}),
    "Dkim": (postroad.Dkim, {"domain": "x.example", "selector": "s", "key": RSA}),
    "DkimFields": (postroad.DkimFields, {}),
    "Queue": (postroad.Queue, {"path": "q.db"}),
    "SuppressionList": (postroad.SuppressionList, {"path": "list.db"}),
    "TlsResults": (postroad.TlsResults, {"folder": "results"}),
    "write_report": (postroad.write_report, {"about": MAIL, "recipients": [TO], "reporting_mta": "mx.example"}),
    "Sink": (testing.Sink, {}),
    "FileStore": (oauth.FileStore, {"path": "token.json"}),
    "refresh": (oauth.refresh, {"provider": "google", "client_id": "id", "refresh_token": "secret"}),
    "client_credentials": (
        oauth.client_credentials,
        {"provider": "microsoft", "client_id": "id", "client_secret": "secret", "tenant": "t"},
    ),
    "Unsubscribe": (
        unsubscribe.Unsubscribe,
        {"url": "https://x.example/u", "secret": b"0123456789abcdef" * 2, "list_id": "news.x.example"},
    ),
    "Template": (templates.Template, {"path": "letter"}),
    "diagnose": (postroad.diagnose, {"url": "smtp+insecure://127.0.0.1:1", "patience": 5}),
    "send": (lambda **given: postroad.Mailer("discard://").send(**given), {"message": MAIL}),
    "submit": (lambda **given: postroad.Mailer("discard://").submit(**given), {"message": MAIL}),
    "send_many": (lambda **given: list(postroad.Mailer("discard://").send_many(**given)), {"messages": [MAIL]}),
    "Queue.jobs": (lambda **given: postroad.Queue("q.db").jobs(**given), {"limit": 1, "tag": "a"}),
    "Queue.export": (lambda **given: postroad.Queue("q.db").export(**given), {"folder": "out", "tag": "a"}),
    "SuppressionList.add": (lambda **given: listed().add(**given), {"address": "bob@example.org"}),
    "SuppressionList.add_all": (lambda **given: listed().add_all(**given), {"entries": []}),
    "SuppressionList.find": (lambda **given: listed().find(**given), {"address": "bob@example.org"}),
    "SuppressionList.of": (lambda **given: listed().of(**given), {}),
    "SuppressionList.entries": (lambda **given: listed().entries(**given), {}),
    "SuppressionList.export_csv": (lambda **given: listed().export_csv(**given), {"write": str}),
    "SuppressionList.import_csv": (lambda **given: listed().import_csv(**given), {"file": io.BytesIO()}),
}
METHODS = {
    "send": postroad.Mailer.send,
    "submit": postroad.Mailer.submit,
    "send_many": postroad.Mailer.send_many,
    "Queue.jobs": postroad.Queue.jobs,
    "Queue.export": postroad.Queue.export,
    **{f"SuppressionList.{name}": getattr(postroad.SuppressionList, name) for name in dir(postroad.SuppressionList)},
}
# what is said in place of the name: the field, or a word that stands for it
SAID = {"from_": "From", "about": "a message", "message": "a message", "text_type": "text", "text_charset": "text"}


def listed():
    return postroad.SuppressionList("list.db")


def cases():
    for name, (call, right) in CALLS.items():
        of = inspect.signature(METHODS.get(name, call)).parameters.values()
        each = {p.name for p in of if p.name != "self" and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        for parameter in sorted(each | set(right)):
            yield pytest.param(call, right, parameter, id=f"{name}-{parameter}")


@pytest.mark.parametrize(("call", "right", "parameter"), list(cases()))
def test_each_argument_of_a_wrong_type_is_refused_by_name(call, right, parameter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    postroad.Mailer("discard://", queue="q.db").close()
    (tmp_path / "letter.txt").write_text("Hi")
    with pytest.raises((TypeError, postroad.InvalidInput)) as raised:
        call(**{**right, parameter: Odd()})
    said = SAID.get(parameter, parameter).replace("_", "[_ -]?").rstrip("?")
    assert re.search(said, str(raised.value), re.IGNORECASE)
