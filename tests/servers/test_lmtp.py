"""LMTP into Dovecot, over TCP and a Unix-domain socket: one reply for each recipient, behind the content."""

import pytest

from fixtures import DOMAIN
from sending import numbered, send_folder, travelling, url_of, ways

TRANSPORTS = ("lmtp-plain", "lmtp-starttls", "lmtp-implicit", "lmtp-unix")
MODES = ("lockstep", "envelope", "across", "window")


@pytest.mark.parametrize("mode", MODES)
@ways(*TRANSPORTS)
def test_each_recipient_has_an_outcome_of_its_own(server, url, mode, one):
    to = ("alice", "nobody", "full", "bob", "full+more")
    run = send_folder(one, url_of(server, url, pipelining=mode), server.ca, *to)
    assert run.code == 1, run.output
    said = run.recipients("one.eml")
    assert [(each["status"], each["code"], each["enhanced"]) for each in said.values()] == [
        ("accepted", 250, "2.0.0"),
        ("rejected", 550, "5.1.1"),
        ("rejected", 552, "5.2.2"),
        ("accepted", 250, "2.0.0"),
        ("rejected", 552, "5.2.2"),
    ], run.output
    sent = [travelling((one / "one.eml").read_bytes())]
    assert server.wait("alice", 1) == sent
    assert server.wait("bob", 1) == sent
    assert server.messages("full") == []


@ways("lmtp-unix", "lmtp-starttls")
def test_a_message_that_nobody_takes_leaves_the_connection_in_order(server, url, tmp_path):
    for number, to in enumerate(("nobody", "alice", "full", "nobody", "alice")):
        (tmp_path / f"{number}.eml").write_bytes(numbered(number, to))
    run = send_folder(tmp_path, url_of(server, url, connections="1", pipelining="window"), server.ca, sender="")
    said = [next(iter(run.recipients(f"{number}.eml").values()))["status"] for number in range(5)]
    assert said == ["rejected", "accepted", "rejected", "rejected", "accepted"]
    assert sorted(server.wait("alice", 2)) == [numbered(1, "alice"), numbered(4, "alice")]
    server.wait_for_log("Connect from")
    assert server.log().count("Connect from") == 1


@ways(*TRANSPORTS)
def test_a_hundred_recipients_and_one_more_are_split(server, url, one):
    to = [f"alice+{number}" for number in range(101)]
    run = send_folder(one, url_of(server, url), server.ca, *to)
    assert run.code == 0, run.output
    assert list(run.recipients("one.eml")) == [f"{each}@{DOMAIN}" for each in to]
    assert run.reports["one.eml"]["attempts"] == 1
    server.wait("alice", 101)


def test_a_socket_that_is_not_there_is_an_error(dovecot, one):
    run = send_folder(one, f"lmtp+unix://{dovecot.dir}/none", None, "alice")
    assert run.code == 1, run.output
    assert len(run.errors()) == 1, run.output
    assert run.statuses("one.eml") == {"alice": "not_attempted"}
