"""Direct delivery: knot with signed zones, libunbound that validates, and Postfix as everybody's server.

Beside it stands what Postfix itself decides on the same zones: posttls-finger, with the TLS library and the look-ups of
its SMTP client, at smtp_tls_security_level=dane. It asks whom resolv.conf names, so it gets one of its own."""

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


def decided_by_postfix(domain: str, dns: ServerInfo, postfix: ServerInfo) -> str:
    """ "verified", "refused", "unverified", or "looked up" where the DNS decides."""
    look = f"posttls-finger -c -l dane -t 30 -L summary,verbose -F {postfix.ca} -o inet_protocols=ipv4 -o dnssec_probe="
    command = f"mount --bind {dns.dir}/resolv.conf /etc/resolv.conf && exec {look} {domain}:{postfix.ports['mx']}"
    ended = subprocess.run(["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, timeout=120)
    said = ended.stdout + ended.stderr
    if "Verified TLS connection established" in said:
        return "verified"
    if "lookup failed" in said:
        return "looked up"
    assert "Untrusted TLS connection established" in said, said
    demanded = "DNSSEC-signed TLSA record" in said and "all TLSA records unusable" not in said
    return "refused" if demanded else "unverified"


def decided_by_us(domain: str, dns: ServerInfo, postfix: ServerInfo) -> str:
    command = [WORKER, "diagnose", dns.ports["dns"], dns.dir / "anchors", postfix.ports["mx"], dns.ca, f"bob@{domain}"]
    said = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=120).stdout
    if "mail goes to" not in said:
        return "looked up"
    if "Relay access denied" not in said:
        assert "TLSA" in said, said
        return "refused"
    return "verified" if "a TLSA record describes (DANE)" in said else "unverified"


VERIFIED = ("good", "ta", "two", "certificate", "key", "pkix", "alias")
REFUSED = ("wrong", "agile", "otherca")
UNVERIFIED = ("plain", "unusable", "short", "implicit")
LOOKED_UP = ("null", "nowhere", "missing")


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (f"{name}.signed.test", expected)
        for names, expected in (
            *((VERIFIED, "verified"), (REFUSED, "refused")),
            *((UNVERIFIED, "unverified"), (LOOKED_UP, "looked up")),
        )
        for name in names
    ]
    + [("bogus.test", "looked up")],
)
def test_postfix_decides_the_same(domain, expected, dns, postfix):
    assert decided_by_us(domain, dns, postfix) == expected
    assert decided_by_postfix(domain, dns, postfix) == expected


def test_what_postfix_decides_otherwise(dns, postfix):
    """It looks at the TLSA records of a signed host also where the MX record is not signed; RFC 7672 section 2.2.1
    leaves that to the client, since whoever can forge the MX record can name another host."""
    assert decided_by_us("unsigned.test", dns, postfix) == "unverified"
    assert decided_by_postfix("unsigned.test", dns, postfix) == "refused"


def test_diagnosis_tells_of_signatures_and_records(dns, postfix):
    command = [WORKER, "diagnose", dns.ports["dns"], dns.dir / "anchors", postfix.ports["mx"], dns.ca]
    said = subprocess.run([*map(str, command), "alice@example.test"], check=True, capture_output=True, text=True).stdout
    assert "MX of example.test: 10 mx1.example.test; signed" in said
    assert f"TLSA of _{postfix.ports['mx']}._tcp.mx1.example.test: 3 1 1 " in said
    assert "RCPT TO:<alice@example.test>: 250" in said
