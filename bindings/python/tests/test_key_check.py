"""A published DKIM key is looked up and held against the private one."""

from __future__ import annotations

import base64
import socket
import subprocess
import threading

import dns.message
import dns.resolver
import dns.rrset
import postroad
import pytest


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Of each type: the key, the algorithm's name, and the public key as OpenSSL writes it."""
    folder = tmp_path_factory.mktemp("keys")
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", folder / "rsa.pem")
    openssl("genpkey", "-algorithm", "ED25519", "-out", folder / "ed25519.pem")
    found = {}
    for kind, last in (("rsa", 0), ("ed25519", -32)):
        public = openssl("pkey", "-in", folder / f"{kind}.pem", "-pubout", "-outform", "DER")[last:]
        found[kind] = folder / f"{kind}.pem", f"{kind}-sha256", base64.b64encode(public).decode()
    return found


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_the_record_is_that_of_openssl_and_is_good(keys, kind):
    key, algorithm, public = keys[kind]
    record = f"v=DKIM1; k={kind}; p={public}"
    asked = []

    def lookup(name):
        asked.append(name)
        return [record.encode()]

    for signer in (
        postroad.Dkim("bücher.example", "s", key),
        postroad.Dkim("bücher.example", "s", (algorithm, lambda digest: b"", public)),
    ):
        name = "s._domainkey.xn--bcher-kva.example"
        assert signer.record() == (name, record)
        assert signer.check(lookup) == postroad.KeyCheck("good", "", name, record)
        assert asked.pop() == name
        assert signer.check(lambda name: iter([record])).verdict == "good"


def test_what_is_wrong_with_a_published_key_is_said(keys):
    signer = postroad.Dkim("example.com", "s", keys["rsa"][0], identity="@a.example.com")
    public = keys["rsa"][2]
    for records, verdict, word in (
        ([], "bad", "no TXT record"),
        ([f"k=ed25519; p={keys['ed25519'][2]}"], "bad", "ed25519"),
        (["p="], "bad", "revoked"),
        ([f"p={public[:200]}"], "bad", "cut off"),
        ([f"t=s; p={public}"], "bad", "subdomain"),
        ([f"t=y; p={public}"], "notice", "t=y"),
        ([b"\xff\x1b"], "bad", r"\\xff\\x1b"),
    ):
        found = signer.check(lambda name, records=records: records)
        assert found.verdict == verdict
        assert word.replace("\\\\", "\\") in found.why

    def broken(name):
        raise OSError("no route\n")

    failed = signer.check(broken)
    assert (failed.verdict, failed.why) == ("unknown", r"the look-up failed: OSError: no route\x0a")
    held = postroad.Dkim("example.com", "s", ("rsa-sha256", lambda digest: b""))
    assert held.check(lambda name: [f"p={public}"]).verdict == "unknown"
    assert held.record() == ("s._domainkey.example.com", "")
    for wrong in ("text", b"octets", [1], None):
        with pytest.raises(TypeError):
            signer.check(lambda name, wrong=wrong: wrong)
    with pytest.raises(TypeError):
        postroad.Dkim("example.com", "s", ("rsa-sha256", lambda digest: b"", 1))


@pytest.fixture
def zone(monkeypatch):
    """Records by name, which dnspython is answered by a server of ours."""
    records = {}
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve():
        while True:
            octets, client = server.recvfrom(4096)
            if octets == b"end":
                return
            question = dns.message.from_wire(octets)
            answer = dns.message.make_response(question)
            name = question.question[0].name
            found = records.get(str(name))
            if found is None:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            elif found:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", found))
            server.sendto(answer.to_wire(), client)

    thread = threading.Thread(target=serve)
    thread.start()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = server.getsockname()[1]
    resolver.lifetime = 60.0
    monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
    yield records
    server.sendto(b"end", server.getsockname())
    thread.join()
    server.close()


def test_without_a_function_dnspython_looks_up(keys, zone):
    key, _, public = keys["rsa"]
    record = f"v=DKIM1; k=rsa; p={public}"
    zone["s._domainkey.example.com."] = f'"{record[:255]}" "{record[255:]}"'
    zone["empty._domainkey.example.com."] = ""
    verdicts = {s: postroad.Dkim("example.com", s, key).check() for s in ("s", "empty", "none")}
    assert verdicts["s"].verdict == "good"
    for s in ("empty", "none"):
        assert (verdicts[s].verdict, "no TXT record" in verdicts[s].why) == ("bad", True)
