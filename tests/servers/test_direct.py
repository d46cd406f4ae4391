"""Direct delivery: knot with signed zones, libunbound that validates, and Postfix or Exim as everybody's server.

Beside it stands what Postfix itself decides on the same zones: posttls-finger, with the TLS library and the look-ups of
its SMTP client, at smtp_tls_security_level=dane. It asks whom resolv.conf names, so it gets one of its own."""

import http.server
import os
import ssl
import subprocess
import threading
from typing import ClassVar

import pytest

from fixtures import ServerInfo

WORKER = os.environ.get("POSTROAD_DIRECT_WORKER", "direct_worker")


@pytest.fixture
def deliver(dns, postfix):
    """deliver(address): status, the name of the error or "-", and the explanation."""

    def run(address: str) -> tuple[str, str, str]:
        command = [WORKER, dns.ports["dns"], dns.dir / "anchors", postfix.ports["mx"], dns.ca, address]
        ended = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=300)
        to, status, error, why = ended.stdout.strip("\n").split(" ", 3)
        assert to == address
        return status, error, why

    return run


def test_mail_reaches_the_mailbox_over_tls_that_its_tlsa_record_describes(deliver, postfix):
    assert deliver("alice@example.test")[0] == "accepted"
    (message,) = postfix.wait("alice", 1)
    assert b"Subject: Hello" in message
    assert b"ESMTPS" in postfix.stored("alice")[0]


# Postfix takes mail for example.test only, and says so to RCPT: the connection was good enough.
REACHED = ("rejected", "-")


@pytest.mark.parametrize("domain", ["good", "ta", "unusable", "plain", "mixed", "implicit", "many"])
def test_these_reach_a_server_by_tls(deliver, domain, postfix):
    status, error, why = deliver(f"bob@{domain}.signed.test")
    assert (status, error) == REACHED, why
    assert "Relay access denied" in why
    postfix.wait_for_log("TLS connection established")


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


def finger(domain: str, dns: ServerInfo, postfix: ServerInfo, level: str, match: str = "") -> str:
    look = (
        f"posttls-finger -c -l {level} -t 30 -L summary,verbose -F {postfix.ca} -o inet_protocols=ipv4 -o dnssec_probe="
    )
    where = f"{domain}:{postfix.ports['mx']} {match}"
    command = f"mount --bind {dns.dir}/resolv.conf /etc/resolv.conf && exec {look} {where}"
    ended = subprocess.run(["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, timeout=300)
    return ended.stdout + ended.stderr


def decided_by_postfix(domain: str, dns: ServerInfo, postfix: ServerInfo) -> str:
    """ "verified", "refused", "unverified", or "looked up" where the DNS decides."""
    said = finger(domain, dns, postfix, "dane")
    if "Verified TLS connection established" in said:
        return "verified"
    if "lookup failed" in said:
        return "looked up"
    assert "Untrusted TLS connection established" in said, said
    demanded = "DNSSEC-signed TLSA record" in said and "all TLSA records unusable" not in said
    return "refused" if demanded else "unverified"


def decided_by_us(domain: str, dns: ServerInfo, postfix: ServerInfo) -> str:
    command = [WORKER, "diagnose", dns.ports["dns"], dns.dir / "anchors", postfix.ports["mx"], dns.ca, f"bob@{domain}"]
    said = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=300).stdout
    if "mail goes to" not in said:
        return "looked up"
    if "Relay access denied" not in said:
        assert "TLSA" in said, said
        return "refused"
    return "verified" if "a TLSA record describes (DANE)" in said else "unverified"


VERIFIED = ("good", "ta", "two", "certificate", "key", "pkix", "alias", "aliases", "aliasfirst", "aliasout")
REFUSED = ("wrong", "agile", "otherca", "aliasboth", "aliasoutwrong")
UNVERIFIED = ("plain", "unusable", "short", "implicit", "aliasnone")
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


def sent(dns: ServerInfo, port: int, domains: list[str], *before: object) -> dict[str, tuple[str, str, str]]:
    """What became of mail to bob at each domain, as `deliver` gives it; one process for all."""
    addresses = [f"bob@{domain}" for domain in domains]
    command = [WORKER, *before, dns.ports["dns"], dns.dir / "anchors", port, dns.ca, *addresses]
    ended = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=300)
    lines = [line.split(" ", 3) for line in ended.stdout.splitlines() if line.startswith("bob@")]
    assert [line[0] for line in lines] == addresses, ended.stdout
    return {domain: (line[1], line[2], line[3]) for domain, line in zip(domains, lines, strict=True)}


def test_exim_gets_mail_of_the_same_domains(dns, exim):
    zones = {name: f"{name}.signed.test" for name in (*VERIFIED, *UNVERIFIED, *REFUSED)}
    found = sent(dns, exim.ports["smtp"], list(zones.values()))
    for name, domain in zones.items():
        status, error, why = found[domain]
        # Exim sends its certificate alone, not that of the CA whose digest "ta" has (RFC 7672 section 3.1.2).
        if name in (*REFUSED, "ta"):
            assert (status, error) == ("not_attempted", "tls_certificate"), (domain, why)
        else:
            assert (status, error) == REACHED, (domain, why)
            assert "relay not permitted" in why, (domain, why)


def test_mail_reaches_a_mailbox_of_exim(dns, exim):
    command = [WORKER, dns.ports["dns"], dns.dir / "anchors", exim.ports["smtp"], dns.ca, "alice@example.test"]
    said = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=300).stdout
    assert said.startswith("alice@example.test accepted"), said
    (message,) = exim.wait("alice", 1)
    assert b"Subject: Hello" in message
    assert b"esmtps" in exim.stored("alice")[0]


class Policies(http.server.BaseHTTPRequestHandler):
    """https://mta-sts.DOMAIN/.well-known/mta-sts.txt, by the first label of DOMAIN."""

    says: ClassVar[dict[str, tuple[str, str]]] = {
        "sts-good": ("enforce", "mx1.example.test"),
        "sts-wildcard": ("enforce", "*.example.test"),
        "sts-notnamed": ("enforce", "mx2.example.test"),
        "sts-othername": ("enforce", "plain-host.unsigned.test"),
        "sts-testing": ("testing", "plain-host.unsigned.test"),
        "sts-none": ("none", "plain-host.unsigned.test"),
    }

    def do_GET(self) -> None:
        found = self.says.get(self.headers["Host"].removeprefix("mta-sts.").split(".")[0])
        body = b""
        if found and self.path == "/.well-known/mta-sts.txt":
            body = f"version: STSv1\r\nmode: {found[0]}\r\nmx: {found[1]}\r\nmax_age: 86400\r\n".encode()
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def policies(tls_dir, start_server, tmp_path_factory):
    """The port of who has the policies of the domains in unsigned.test."""
    start_server("dns")  # which makes the CA
    folder = tmp_path_factory.mktemp("policies")
    names = ",".join(f"DNS:mta-sts.{label}.unsigned.test" for label in [*Policies.says, "sts-broken"])
    key, request, certificate, more = (folder / name for name in ("key", "csr", "pem", "extensions"))
    more.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
    make = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=policies"]
    sign = f"openssl x509 -req -days 30 -CA {tls_dir}/ca.pem -CAkey {tls_dir}/ca.key -set_serial 4711".split()
    subprocess.run([*make, "-keyout", key, "-out", request], check=True, capture_output=True)
    files = ["-in", request, "-out", certificate, "-extfile", more]
    subprocess.run([*sign, *files], check=True, capture_output=True)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Policies) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


ENFORCED = {"sts-good": REACHED, "sts-wildcard": REACHED, "sts-othername": ("not_attempted", "tls_certificate")}
POLICIES = ENFORCED | {
    "sts-notnamed": ("not_attempted", "resolve_failed"),
    "sts-testing": REACHED,
    "sts-none": REACHED,
    "sts-broken": REACHED,
}


@pytest.mark.parametrize(("server", "port"), [("postfix", "mx"), ("exim", "smtp")], indirect=["server"])
def test_policies_are_obeyed(server, port, dns, policies):
    found = sent(dns, server.ports[port], [f"{label}.unsigned.test" for label in POLICIES], "policies", policies)
    assert {label: found[f"{label}.unsigned.test"][:2] for label in POLICIES} == POLICIES, found


# The names of the policy, as match= of smtp_tls_policy_maps takes them.
@pytest.mark.parametrize(
    ("label", "match"),
    [
        ("sts-good", "mx1.example.test"),
        ("sts-wildcard", ".example.test"),
        ("sts-othername", "plain-host.unsigned.test"),
    ],
)
def test_postfix_decides_the_same_where_names_are_given(label, match, dns, postfix):
    said = finger(f"{label}.unsigned.test", dns, postfix, "secure", match)
    assert ("Verified TLS connection established" in said) == (ENFORCED[label] == REACHED), said


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
