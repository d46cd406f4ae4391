"""Mail without a relay: mx://, with a DNS of the tests."""

from __future__ import annotations

import base64
import datetime
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import postroad
import pytest
from conftest import compose, until
from dns_server import mx_url
from postroad import Error, Mailer, Status, _core, testing
from postroad.__main__ import main


def test_each_recipient_goes_to_the_servers_of_the_domain(dns, sink):
    dns.add("one.example", "MX", "10 mx.one.example").add("mx.one.example", "A", "127.0.0.1")
    dns.add("two.example", "A", "127.0.0.1")
    dns.add("none.example", "MX", "0 .")
    with Mailer(mx_url(dns, sink)) as mail:
        to = "a@one.example, b@two.example, c@none.example, d@gone.example"
        receipt = mail.send(compose(to=to))
    assert [r.status for r in receipt.recipients] == [Status.ACCEPTED] * 2 + [Status.REJECTED] * 2
    assert sorted(recipient for m in sink.messages for recipient in m.recipients) == ["a@one.example", "b@two.example"]
    assert {m.hello for m in sink.messages} == {"out.sender.example"}


def test_the_parts_of_a_message_are_named_together(dns, sink):
    for domain in ("one.example", "two.example"):
        dns.add(domain, "A", "127.0.0.1")
    with Mailer(mx_url(dns, sink)) as mail:
        mail.pause(tenant="shop")
        ticket = mail.submit(compose(to="a@one.example, b@two.example"), tenant="shop")
        whole = mail.jobs()[0].whole
        assert whole
        parts = mail.jobs(whole=whole)
        assert sorted(part.recipients[0][0] for part in parts) == ["a@one.example", "b@two.example"]
        assert {part.whole for part in mail.jobs()} == {whole}
        assert mail.drop(whole=whole) == 2
        with pytest.raises(postroad.Cancelled):
            ticket.wait(60)
    assert not sink.messages


def test_who_sends_to_strangers_is_not_told_to_log_in(dns):
    dns.add("d.example", "A", "127.0.0.1")
    refusal = testing.Fault("mail", 0, send="530 5.7.1 authentication required\r\n")
    with testing.Sink(faults=[refusal]) as sink:
        with Mailer(mx_url(dns, sink)) as mail, pytest.raises(postroad.NotAccepted) as strangers:
            mail.send(compose(to="bob@d.example")).require_accepted()
    with testing.Sink(faults=[refusal]) as sink:
        with Mailer(sink.url()) as mail, pytest.raises(postroad.NotAccepted) as ours:
            mail.send(compose(to="bob@d.example")).require_accepted()
    (theirs,), (mine,) = strangers.value.receipt.recipients, ours.value.receipt.recipients
    assert theirs.direct
    assert not mine.direct
    assert "login first" in mine.advice
    assert theirs.advice
    assert "login" not in theirs.advice
    assert strangers.value.advice == theirs.advice


def test_advice_of_a_connection_to_strangers_is_theirs(dns, closed_port):
    dns.add("d.example", "A", "127.0.0.1")
    with Mailer(mx_url(dns, SimpleNamespace(port=closed_port))) as mail, pytest.raises(postroad.Error) as caught:
        mail.send(compose(to="bob@d.example"))
    assert "Nothing listens" in caught.value.advice
    assert "587" not in caught.value.advice


@pytest.mark.parametrize(
    ("records", "code", "said"),
    [
        ([("gone.example", "A", "127.0.0.1")], "domain_unknown", "5.1.2"),
        ([("d.example", "MX", "0 .")], "domain_takes_no_mail", "5.1.10"),
        ([("d.example", "MX", "10 mx.d.example"), ("mx.d.example", "TXT", "x")], "domain_unknown", "5.4.4"),
    ],
)
def test_who_has_no_server_is_told_why(dns, sink, records, code, said):
    for record in records:
        dns.add(*record)
    with Mailer(mx_url(dns, sink)) as mail:
        with pytest.raises(postroad.Error) as caught:
            mail.send(compose(to="bob@d.example"))
    assert caught.value.code == code
    assert said in str(caught.value)
    assert not caught.value.transient


def test_a_resolver_that_fails_is_no_answer(dns, sink):
    dns.fail("d.example")
    with Mailer(mx_url(dns, sink)) as mail:
        with pytest.raises(postroad.Error) as caught:
            mail.send(compose(to="bob@d.example"))
    assert (caught.value.code, caught.value.transient) == ("resolve_failed", True)


def test_nothing_goes_to_private_addresses_unless_it_may(dns, sink):
    dns.add("d.example", "A", "127.0.0.1")
    with Mailer(mx_url(dns, sink, private_addresses="")) as mail:
        with pytest.raises(postroad.Error) as caught:
            mail.send(compose(to="bob@d.example"))
    assert "127.0.0.1" in str(caught.value)
    assert sink.messages == []


def test_tls_may_be_demanded_of_everybody(dns, tmp_path):
    for domain in ("d.example", "e.example"):
        dns.add(domain, "MX", f"10 mx.{domain}").add(f"mx.{domain}", "A", "127.0.0.1")
    with testing.Sink(security="starttls", certificate_names=["mx.e.example"]) as sink:
        ca = tmp_path / "ca.pem"
        ca.write_text(sink.ca_pem)
        with Mailer(mx_url(dns, sink, tls="required", ca=ca)) as mail:
            with pytest.raises(postroad.TlsError) as caught:
                mail.send(compose(to="bob@d.example"))
            assert caught.value.code == "tls_certificate"
            assert mail.send(compose(to="bob@e.example")).all_accepted
        # with the usual floor any certificate is better than none
        with Mailer(mx_url(dns, sink)) as mail:
            assert mail.send(compose(to="bob@d.example")).all_accepted
        assert [m.tls for m in sink.messages] == [True, True]


def test_a_queue_in_a_file_waits_for_the_dns(dns, sink, tmp_path):
    dns.add("d.example", "A", "127.0.0.1").fail("d.example")
    queue = tmp_path / "queue.db"
    with Mailer(mx_url(dns, sink), queue=queue) as mail:
        mail.submit(compose(to="bob@d.example"))
        (trouble,) = until(lambda: mail.count().troubles)
        assert (trouble.name, trouble.code) == ("d.example", "resolve_failed")
        mail.close(0.0)
    dns.mend("d.example")
    with Mailer(mx_url(dns, sink), queue=queue) as mail:
        sink.wait_for(1)
    assert sink.messages[0].recipients == ("bob@d.example",)


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("mx://", "invalid_url", "names no host"),
        ("mx://user:secret@out.example", "invalid_url", "no user"),
        ("mx://out.example?resolver=nowhere", "invalid_option", "libunbound does not take"),
        ("mx://out.example?dane=maybe", "invalid_option", "off, on"),
        ("mx://out.example?resolve=1.2.3.4", "invalid_option", 'did you mean "resolver"'),
        ("mx://out.example?tls=insecure_none", "invalid_option", "opportunistic, required"),
        ("mx://out.example?private_addresses=yes", "invalid_option", "true"),
        ("mx://out.example?pipelining=envelope&window=3", "contradiction", "window"),
        ("mx://out.example?mta_sts=off&cache=/tmp/x", "contradiction", "mta_sts is off"),
        ("mx://out.example?anchors=/nonexistent", "invalid_option", "anchors"),
        ("mx://out.example?cache=/dev/null/x", "storage_failed", "/dev/null/x"),
    ],
)
def test_what_is_wrong_in_the_url_is_said(url, code, said):
    with pytest.raises(postroad.Error) as caught:
        Mailer(url)
    assert caught.value.code == code
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"user": "ann", "password": "secret"}, "with a server of ours only"),
        ({"auth": "PLAIN"}, "with a server of ours only"),
        ({"client_name": "out.example"}, "client_name"),
        ({"connections": 3}, "connections"),
        ({"pipelining": "window"}, "pipelining"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(argument, said):
    with pytest.raises(postroad.InvalidInput) as caught:
        Mailer("mx://out.example?connections=2&pipelining=across", **argument)
    assert caught.value.code == "contradiction"
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_routes_lead_elsewhere(dns, sink):
    dns.add("d.example", "A", "127.0.0.1")
    with testing.Sink(users={"ann": "secret"}, auth_in_clear=True) as relay:
        routes = {
            "closed.example": "refuse:closed since May",
            "*.corp.example": f"smtp+insecure://127.0.0.1:{relay.port}",
        }
        with Mailer(mx_url(dns, sink), routes=routes) as mail:
            to = "a@d.example, b@x.corp.example, c@closed.example"
            receipt = mail.send(compose(to=to))
        assert [r.status for r in receipt.recipients] == [Status.ACCEPTED] * 2 + [Status.REJECTED]
        assert [m.recipients for m in relay.messages] == [("b@x.corp.example",)]
    assert [m.recipients for m in sink.messages] == [("a@d.example",)]


def test_routes_lead_into_a_maildir(dns, sink, tmp_path):
    dns.add("d.example", "A", "127.0.0.1")
    rules = tmp_path / "rules.toml"
    rules.write_text(f'[[route]]\ndomain = "file.example"\nto = "maildir://{tmp_path}/second"\n')
    with Mailer(mx_url(dns, sink), routes={"here.example": f"maildir://{tmp_path}/in%20box"}, rules=rules) as mail:
        assert mail.send(compose(to="a@here.example, b@file.example, c@d.example")).all_accepted
    for box in ("in box", "second"):
        (stored,) = (tmp_path / box / "new").iterdir()
        assert b"Subject: " in stored.read_bytes()
    assert [m.recipients for m in sink.messages] == [("c@d.example",)]


@pytest.mark.parametrize(
    ("url", "routes", "kind"),
    [
        ("smtp://localhost", {"a.example": "smtp://b.example"}, postroad.InvalidInput),
        ("mx://out.example", {"a.example": "nonsense"}, postroad.InvalidInput),
        ("mx://out.example", {"a.example": ""}, postroad.InvalidInput),
        ("mx://out.example", {"a.example": "refuse:"}, postroad.InvalidInput),
        ("mx://out.example", {"a.example": "maildir://relative/path"}, postroad.InvalidInput),
        ("mx://out.example", {"a.example": "smtp://ann:secret@b.example?tls=auto"}, postroad.InvalidInput),
        ("mx://out.example", ["a.example"], TypeError),
        ("mx://out.example", {"a.example": 25}, TypeError),
    ],
)
def test_routes_that_are_wrong_are_refused(url, routes, kind):
    with pytest.raises(kind) as caught:
        Mailer(url, routes=routes)
    assert "secret" not in str(caught.value)


RULES = """
[[source]]
name = "one"
client_name = "one.sender.example"
addresses = ["127.0.0.2"]

[[source]]
name = "two"
client_name = "two.sender.example"
addresses = ["127.0.0.3"]
group = "bulk"

[[binding]]
tenant = "shop"
group = "bulk"
"""


def test_rules_say_where_mail_leaves_from(dns, sink, tmp_path):
    dns.add("d.example", "A", "127.0.0.1")
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    with Mailer(mx_url(dns, sink), rules=rules) as mail:
        mail.send(compose(to="bob@d.example"))
        mail.send(compose(to="bob@d.example"), tenant="shop")
    with Mailer(mx_url(dns, sink, rules=rules)) as mail:
        mail.send(compose(to="bob@d.example"), tenant="shop")
    names = ["one.sender.example", "two.sender.example", "two.sender.example"]
    assert [m.hello for m in sink.messages] == names


def of_new_domain(to):
    m = compose(to=to)
    m.replace_header("From", "ann@new.example")
    return m


@pytest.mark.usefixtures("within_a_day")
def test_a_rule_names_the_sources_for_a_provider_and_new_domains_send_little(dns, sink, tmp_path):
    for domain in ("d.example", "e.example"):
        dns.add(domain, "A", "127.0.0.1")
    rules = tmp_path / "rules.toml"
    today = datetime.datetime.now(datetime.timezone.utc).date()
    rules.write_text(
        RULES
        + '[[provider]]\nname = "large"\nservers = ["d.example"]\ngroup = "bulk"\n'
        + f'[[sender]]\ndomain = "new.example"\nwarm_up = {today}\nper_day = [1, 1]\n'
    )
    with Mailer(mx_url(dns, sink), rules=rules) as mail:
        mail.send(compose(to="bob@d.example"))
        mail.send(compose(to="bob@e.example"))
        mail.send(of_new_domain("bob@e.example"))
        waiting = mail.submit(of_new_domain("eve@e.example"))
        mail.send(of_new_domain("bob@d.example"))
        mail.send(compose(to="bob@e.example"))
        waiting.cancel()
    names = ["two", "one", "one", "two", "one"]
    assert [m.hello for m in sink.messages] == [f"{name}.sender.example" for name in names]
    rules.write_text(RULES + '[[provider]]\nname = "large"\nservers = ["d.example"]\ngroup = "bulc"\n')
    with pytest.raises(postroad.InvalidInput, match=r"line 19, column 9: no source is in the group bulc"):
        Mailer(mx_url(dns, sink), rules=rules)


def test_the_rules_that_are_shipped_have_a_name():
    shipped = Path(postroad.__file__).with_name("providers.toml")
    assert "[[provider]]" in shipped.read_text()
    Mailer("mx://out.example", rules="default").close()
    Mailer("mx://out.example?rules=default").close()


@pytest.mark.parametrize(
    ("url", "rules", "code", "said"),
    [
        ("mx://out.example", "[[providr]]", "invalid_option", "line 1, column 3"),
        ("mx://out.example", RULES + "[[source]]", "invalid_option", "a source has a name"),
        ("mx://out.example", None, "unreadable_file", "rules.toml"),
        ("mx://out.example?rules=default", "", "contradiction", "rules"),
        ("smtp://localhost", "", "contradiction", "mx://"),
    ],
)
def test_rules_that_are_wrong_are_refused(tmp_path, url, rules, code, said):
    file = tmp_path / "rules.toml"
    if rules is not None:
        file.write_text(rules)
    with pytest.raises(postroad.InvalidInput) as caught:
        Mailer(url, rules=file)
    assert caught.value.code == code
    assert said in str(caught.value)


def test_diagnosis_tells_each_step(dns, sink):
    dns.add("d.example", "MX", "10 mx.d.example").add("mx.d.example", "A", "127.0.0.1")
    found = postroad.diagnose(mx_url(dns, sink), sender="ann@sender.example", recipients=["bob@d.example"])
    assert found.good, str(found)
    for part in ("MX of d.example: 10 mx.d.example", "mail goes to mx.d.example first", "RCPT TO:<bob@d.example>: 250"):
        assert part in str(found)
    assert sink.messages == []


def test_diagnosis_looks_at_the_sender(dns, sink, tmp_path, capsys):
    dns.add("d.example", "A", "127.0.0.1")
    dns.add("sender.example", "TXT", "v=spf1 ip4:1.2.3.4 -all").add("out.sender.example", "A", "1.2.3.4")
    dns.add("4.3.2.1.in-addr.arpa", "PTR", "out.sender.example")
    dns.add("_dmarc.sender.example", "TXT", "v=DMARC1; p=reject").add("sender.example", "MX", "10 out.sender.example")
    subprocess.run(["openssl", "genrsa", "-out", tmp_path / "key.pem", "2048"], check=True, capture_output=True)
    public = ["openssl", "rsa", "-in", tmp_path / "key.pem", "-pubout", "-outform", "DER"]
    key = base64.b64encode(subprocess.run(public, check=True, capture_output=True).stdout).decode()
    dns.add("s1._domainkey.sender.example", "TXT", "v=DKIM1; p=" + key)
    file = tmp_path / "a.eml"
    file.write_bytes(b"From: Ann <ann@sender.example>\nSubject: x\n\nHello\n")
    url = mx_url(dns, sink, own="1.2.3.4")
    command = ["diagnose", url, "bob@d.example", "--from", "ann@sender.example", "--json"]
    command += ["--dkim", f"sender.example:s1:{tmp_path / 'key.pem'}", "--message", str(file)]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    of_sender = {s["text"].partition(":")[0]: s["grade"] for s in found["steps"] if s["phase"] == "policy"}
    assert of_sender == {
        **{"PTR": "good", "EHLO": "good", "MX": "good", "SPF": "good", "DKIM": "good", "DMARC": "good"},
        "one click": "notice",
    }
    # of another key nothing is good, and the shell is told
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "genrsa", "-out", other, "2048"], check=True, capture_output=True)
    command[command.index("--dkim") + 1] = f"sender.example:s1:{other}"
    assert main(command) == 69
    assert "the key of another pair" in capsys.readouterr().out


def test_diagnosis_tells_a_name_of_all_neighbours_and_a_sender_who_cannot_be_answered(dns, sink):
    name = "dsl-1-2-3-4.isp.example"
    dns.add("d.example", "A", "127.0.0.1").add(name, "A", "1.2.3.4").add("4.3.2.1.in-addr.arpa", "PTR", name)
    url = mx_url(dns, sink, name=name, own="1.2.3.4")
    found = postroad.diagnose(url, sender="ann@sender.example", recipients=["bob@d.example"])
    said = {s.text.partition(":")[0]: s for s in found.steps if s.phase == "policy"}
    assert (said["PTR"].grade, said["MX"].grade) == ("notice", "bad")
    assert "it is made of the address" in said["PTR"].text
    assert "sender.example has neither MX records nor an address" in said["MX"].text


def test_a_rule_says_by_which_family_its_servers_are_connected(dns, sink, tmp_path):
    file = tmp_path / "rules.toml"
    file.write_text('[[provider]]\nname = "p"\nservers = [".p.example"]\nfamily = "ipv4"\n')
    dns.add("d.example", "MX", "10 mx.p.example").add("mx.p.example", "A", "127.0.0.1").add(
        "mx.p.example", "AAAA", "::2"
    )
    dns.add("six.example", "MX", "10 six.p.example").add("six.p.example", "AAAA", "::2")
    with Mailer(mx_url(dns, sink), rules=file) as mail:
        assert mail.send(compose(to="bob@d.example")).all_accepted
        with pytest.raises(Error, match="no address of IPv4, by which mail goes there by the rule for p"):
            mail.send(compose(to="bob@six.example"))
    assert ("mx.p.example", "AAAA") not in dns.questions


def test_what_is_sent_is_captured_in_tests():
    with testing.captured() as kept:
        with Mailer("mx://out.example") as mail:
            assert mail.send(compose(to="bob@d.example")).all_accepted
    assert [m.recipients for m in kept] == [("bob@d.example",)]


def test_the_command_sends_directly(dns, sink, tmp_path, capsys):
    dns.add("d.example", "A", "127.0.0.1")
    file = tmp_path / "a.eml"
    file.write_bytes(compose(to="bob@d.example, eve@gone.example").as_bytes())
    assert main(["send", mx_url(dns, sink), str(file)]) == 69
    assert "gone.example" in capsys.readouterr().out
    assert [m.recipients for m in sink.messages] == [("bob@d.example",)]


def test_a_sender_drains_a_queue(dns, sink, tmp_path):
    dns.add("d.example", "A", "127.0.0.1")
    queue = tmp_path / "queue.db"
    with Mailer(mx_url(dns, sink), queue=queue, submit_only=True) as mail:
        mail.submit(compose(to="bob@d.example"))
    assert main(["run", mx_url(dns, sink), "--queue", str(queue), "--drain"]) == 0
    assert [m.recipients for m in sink.messages] == [("bob@d.example",)]


def test_the_libraries_are_named():
    assert {"libunbound", "libcurl"} <= set(_core.libraries)
