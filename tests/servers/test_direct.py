"""Direct delivery: knot with signed zones, libunbound that validates, and Postfix as everybody's server."""

import os
import subprocess
import time

import pytest

from fixtures import DEADLINE, ServerInfo

WORKER = os.environ.get("POSTROAD_DIRECT_WORKER", "direct_worker")


@pytest.fixture
def deliver(dns, postfix):
    """deliver(address): status, the name of the error or "-", and the explanation."""

    def run(address: str) -> tuple[str, str, str]:
        command = [WORKER, dns.ports["dns"], dns.dir / "anchors", postfix.ports["mx"], dns.ca, address]
        ended = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=120)
        to, status, error, why = ended.stdout.strip("\n").split(" ", 3)
        assert to == address
        return status, error, why

    return run


def test_mail_reaches_the_mailbox_over_tls_that_its_tlsa_record_describes(deliver, postfix):
    assert deliver("alice@example.test")[0] == "accepted"
    (message,) = postfix.wait("alice", 1)
    assert b"Subject: Hello" in message
    assert b"ESMTPS" in postfix.stored("alice")[0]


def wait_for_log(server: ServerInfo, text: str) -> None:
    """Postfix writes its log when it comes to it."""
    end = time.monotonic() + DEADLINE
    while text not in server.log():
        assert time.monotonic() < end, server.log()
        time.sleep(0.02)


# Postfix takes mail for example.test only, and says so to RCPT: the connection was good enough.
REACHED = ("rejected", "-")


@pytest.mark.parametrize("domain", ["good", "ta", "unusable", "plain", "mixed", "implicit", "many"])
def test_these_reach_a_server_by_tls(deliver, domain, postfix):
    status, error, why = deliver(f"bob@{domain}.signed.test")
    assert (status, error) == REACHED, why
    assert "Relay access denied" in why
    wait_for_log(postfix, "TLS connection established")


def test_records_below_a_domain_that_is_not_signed_demand_nothing(deliver):
    assert deliver("bob@unsigned.test")[:2] == REACHED


def test_a_server_with_another_certificate_gets_nothing(deliver):
    status, error, why = deliver("bob@wrong.signed.test")
    assert (status, error) == ("not_attempted", "tls_certificate")
    assert "TLSA" in why


def test_a_bogus_domain_waits(deliver):
    status, error, why = deliver("bob@bogus.test")
    assert (status, error) == ("not_attempted", "resolve_failed")
    assert "4.4.3" in why


@pytest.mark.parametrize(
    ("domain", "error", "code"),
    [
        ("null", "domain_takes_no_mail", "5.1.10"),
        ("missing", "domain_unknown", "5.1.2"),
        ("nowhere", "domain_unknown", "5.4.4"),
    ],
)
def test_these_are_over(deliver, domain, error, code):
    status, said, why = deliver(f"bob@{domain}.signed.test")
    assert (status, said) == ("rejected", error)
    assert code in why
