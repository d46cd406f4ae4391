"""What a server offers is used, and what it lacks is made up for, or is an error."""

import email
import email.policy
import re

import pytest

from fixtures import DOMAIN
from sending import WAYS, numbered, numbers_in, send_folder, url_of, ways
from sink import wait_until

HEADER = (
    f"From: Ann <ann@{DOMAIN}>\r\nTo: alice@{DOMAIN}\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
    f"Message-ID: <ext@{DOMAIN}>\r\nSubject: extensions\r\nMIME-Version: 1.0\r\n"
)
EIGHT_BIT = HEADER + "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
TEXT = "Grüße aus Köln\r\n.\r\nund = zurück \r\n"


def without(word: str) -> str:
    return f"smtp://localhost:{{mx_no_{word}}}"


def log_of(postfix) -> str:
    return (postfix.dir / "postfix.log").read_text()


def connections(postfix, before: int) -> list[str]:
    """The last line about each connection that began behind `before` in the log of Postfix, which says what was used:
    "disconnect from ... mail=30 bdat=20". Postfix writes it when it has seen the end."""
    ends: list[str] = []

    def are_over() -> bool:
        ends.clear()
        log, open_ = log_of(postfix)[before:], set()
        for process, end, line in re.findall(r"smtpd\[(\d+)\]: ((?:dis)?)(connect from .*)", log):
            if not end:
                open_.add(process)
            elif process in open_:  # and not of one that began before
                open_.remove(process)
                ends.append(line)
        return bool(ends) and not open_

    wait_until(are_over, "the end of every connection in the log of Postfix")
    return ends


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of one message of that text, one.eml."""

    def make(text: str):
        (tmp_path / "one.eml").write_bytes(text.encode())
        return tmp_path

    return make


@ways("postfix-mx", "exim-starttls", "lmtp-starttls", "submission-starttls")
def test_eight_bit_text_arrives_as_it_is_where_8bitmime_is_offered(server, url, folder):
    run = send_folder(folder(EIGHT_BIT + TEXT), url_of(server, url), server.ca, "alice")
    assert run.code == 0, run.output
    assert server.wait("alice", 1) == [(EIGHT_BIT + TEXT).encode()]


def test_eight_bit_text_is_encoded_anew_where_8bitmime_is_not_offered(postfix, folder):
    run = send_folder(folder(EIGHT_BIT + TEXT), url_of(postfix, without("8bitmime")), postfix.ca, "alice")
    assert run.code == 0, run.output
    (arrived,) = postfix.wait("alice", 1)
    assert arrived.isascii()
    message = email.message_from_bytes(arrived, policy=email.policy.default)
    assert message["Content-Transfer-Encoding"] in ("quoted-printable", "base64")
    assert message.get_payload(decode=True) == TEXT.encode()


@pytest.mark.parametrize("mode", ["lockstep", "envelope", "across", "window"])
@pytest.mark.parametrize("word", ["8bitmime", "chunking", "pipelining", "smtputf8", "starttls"])
def test_a_mode_that_needs_what_is_missing_gives_way_to_a_lower_one(postfix, word, mode, tmp_path):
    before = len(log_of(postfix))
    for number in range(30):
        (tmp_path / f"{number:04}.eml").write_bytes(numbered(number, ("alice", "nobody", "bob")[number % 3]))
    scheme = "smtp+opportunistic" if word == "starttls" else "smtp"
    url = f"{scheme}://localhost:{{mx_no_{word}}}"
    run = send_folder(tmp_path, url_of(postfix, url, pipelining=mode, connections="1"), postfix.ca, sender="")
    statuses = [next(iter(run.recipients(f"{number:04}.eml").values()))["status"] for number in range(30)]
    assert statuses == ["accepted", "rejected", "accepted"] * 10, run.output
    assert numbers_in(postfix.wait("alice", 10)) == list(range(0, 30, 3))
    assert numbers_in(postfix.wait("bob", 10)) == list(range(2, 30, 3))
    used = [each for each in connections(postfix, before) if " mail=" in each]
    assert used
    assert any("bdat=" in each for each in used) == (mode == "window" and word not in ("chunking", "pipelining")), used


INTERNATIONAL = HEADER.replace("extensions", "Grüße") + f"X-To: jürgen@{DOMAIN}\r\n\r\nhello\r\n"


@ways("postfix-mx", "exim-starttls", "exim-implicit")
def test_an_international_address_and_header_arrive_as_they_are(server, url, folder):
    run = send_folder(folder(INTERNATIONAL), url_of(server, url), server.ca, "jürgen")
    assert run.code == 0, run.output
    assert server.wait("juergen", 1) == [INTERNATIONAL.encode()]


@pytest.mark.parametrize(
    ("server", "url"),
    [("postfix", without("smtputf8")), ("opensmtpd", WAYS["opensmtpd-plain"][1]), ("dovecot", WAYS["lmtp-unix"][1])],
    indirect=["server"],
)
@pytest.mark.parametrize("text", [HEADER + "\r\nhello\r\n", INTERNATIONAL], ids=["ascii-header", "utf8-header"])
def test_an_international_address_is_refused_where_smtputf8_is_not_offered(server, url, text, folder):
    run = send_folder(folder(text), url_of(server, url), server.ca, "jürgen")
    assert run.code == 1, run.output
    assert run.errors() == ["internationalised_unsupported"], run.output
    assert run.statuses("one.eml") == {"jürgen": "rejected"}


@pytest.mark.parametrize("url", ["smtp://localhost:{mx}", without("smtputf8")], ids=["smtputf8", "none"])
def test_an_international_domain_goes_as_a_labels(postfix, url, folder):
    text = HEADER + "\r\nhello\r\n"
    run = send_folder(folder(text), url_of(postfix, url), postfix.ca, "alice@bücher.test")
    assert run.code == 0, run.output
    assert list(run.recipients("one.eml")) == ["alice@bücher.test"]
    assert postfix.wait("alice", 1) == [text.encode()]
    envelope_to = postfix.stored("alice")[0].split(b"Received:")[0]
    assert b"xn--bcher-kva.test" in envelope_to


def test_a_report_of_success_names_envelope_and_recipient(postfix, folder):
    text = HEADER + "\r\nhello\r\n"
    run = send_folder(
        folder(text),
        url_of(postfix, WAYS["postfix-mx"][1]),
        postfix.ca,
        *("alice", "alice+x=y"),
        sender=f"bob@{DOMAIN}",
        flags=["--envelope-id", "order+7=a"],
    )
    assert run.code == 0, run.output
    postfix.wait("alice", 2)
    (report,) = postfix.wait("bob", 1)
    message = email.message_from_bytes(report, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    (status,) = (part for part in message.walk() if part.get_content_type() == "message/delivery-status")
    fields = [dict(each.items()) for each in status.get_payload()]
    assert fields[0]["Original-Envelope-Id"] == "order+7=a"
    said = {each["Original-Recipient"].split(";")[1].strip(): each["Action"] for each in fields[1:]}
    assert set(said) == {f"alice@{DOMAIN}", f"alice+x=y@{DOMAIN}"}
    assert set(said.values()) <= {"relayed", "delivered"}


@ways("exim-starttls", "postfix-mx", "opensmtpd-plain")
def test_dsn_parameters_are_taken_where_they_are_offered(server, url, folder):
    made = folder(HEADER + "\r\nhello\r\n")
    run = send_folder(made, url_of(server, url), server.ca, "alice", flags=["--envelope-id", "1"])
    assert run.code == 0, run.output
    server.wait("alice", 1)


@ways("submission-starttls", "lmtp-unix")
def test_dsn_parameters_are_refused_where_they_are_not(server, url, folder):
    made = folder(HEADER + "\r\nhello\r\n")
    run = send_folder(made, url_of(server, url), server.ca, "alice", flags=["--envelope-id", "1"])
    assert run.errors() == ["dsn_unsupported"], run.output
    assert run.statuses("one.eml") == {"alice": "rejected"}
    assert server.messages("alice") == []


@pytest.mark.parametrize(
    ("server", "url", "limit"),
    [
        ("postfix", "smtp://localhost:{mx}", 10_240_000),
        ("exim", "smtps://localhost:{smtps}", 20 * 1024 * 1024),
        ("opensmtpd", "smtp+insecure://localhost:{smtp}", 20 * 1024 * 1024),
    ],
    ids=["postfix", "exim", "opensmtpd"],
    indirect=["server"],
)
def test_a_message_over_the_servers_size_is_not_sent(server, url, limit, folder):
    head = HEADER + "\r\n"
    body = "x" * 76 + "\r\n"
    text = head + body * ((limit - len(head)) // 78)
    text += "y" * (limit - len(text) - 2) + "\r\n"
    assert len(text) == limit
    made = folder(text + "z\r\n")
    run = send_folder(made, url_of(server, url), server.ca, "alice")
    assert run.errors() == ["message_too_large"], run.output
    assert run.statuses("one.eml") == {"alice": "rejected"}
    # somewhat below, because servers count what they add
    (made / "one.eml").write_text(text[: -100 * 78] + "\r\n", newline="")
    run = send_folder(made, url_of(server, url), server.ca, "alice")
    assert run.code == 0, run.output
    assert [len(each) for each in server.wait("alice", 1)] == [limit - 7798]


@pytest.mark.parametrize("options", [{}, {"recipients": "1000"}], ids=["by-default", "all-at-once"])
def test_three_hundred_recipients_in_one_attempt_where_a_transaction_takes_a_hundred(postfix, options, folder):
    text = HEADER + "\r\nhello\r\n"
    to = [f"alice+{number}" for number in range(300)]
    before = len(log_of(postfix))
    run = send_folder(folder(text), url_of(postfix, "smtp://localhost:{mx_limit}", **options), postfix.ca, *to)
    assert run.code == 0, run.output
    assert list(run.statuses("one.eml")) == to
    assert run.reports["one.eml"]["attempts"] == 1
    assert postfix.wait("alice", 300) == [text.encode()] * 300
    # at once: of 300, 200 are refused; from then on a hundred at a time
    asked = "".join(connections(postfix, before))
    assert sum(int(each) for each in re.findall(r" rcpt=(\d+)", asked)) == (500 if options else 300)

    def sent_to() -> set[str]:
        return set(re.findall(r"to=<(alice\+\d+)@.*status=sent", log_of(postfix)[before:]))

    wait_until(lambda: len(sent_to()) == 300, "Postfix logs each delivery")
