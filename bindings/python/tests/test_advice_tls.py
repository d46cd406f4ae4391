"""What people are told to do when TLS fails: each row of tests/smtp/advice.cpp by a server that shows it."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import re
import socket
import ssl
import threading
from pathlib import Path
from typing import Callable, NamedTuple

import postroad
import pytest
from conftest import compose

x509 = pytest.importorskip("cryptography.x509")
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402

_TEXT = r'"((?:[^"\\]|\\.)*)"'
_ROW = re.compile(
    rf"\{{errc::tls_(handshake|certificate), phase::tls,\s*\w+,\s*(?:{_TEXT}\s*)+,"
    rf'\s*"",\s*{_TEXT}(?:,\s*{_TEXT})?\}}'
)


def rows():
    """Code, part of the advice, and what would mislead, as the rows of the C++ test have them."""
    source = (Path(__file__).parents[3] / "tests/smtp/advice.cpp").read_text()
    for found in _ROW.finditer(source.partition("of_strangers()")[0]):
        yield "tls_" + found[1], found[3], found[4]


NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
HERE = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
CRITICAL = {x509.NameConstraints}


class Identity(NamedTuple):
    key: object
    certificate: x509.Certificate


def named(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def issue(
    by=None, *, key=None, name="mx", names=HERE, begins=NOW - DAY, ends=NOW + DAY, ca=False, more=(), critical=()
):
    """A certificate, of one's own without `by`."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = by.key if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(by.certificate.subject if by else named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names and not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in more:
        builder = builder.add_extension(extension, critical=type(extension) in critical)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Identity(key, builder.sign(signer, digest))


def pem(*identities):
    return b"".join(i.certificate.public_bytes(serialization.Encoding.PEM) for i in identities)


CA = issue(name="known CA", ca=True)


class Case(NamedTuple):
    """What answers the ClientHello: octets, or a TLS server with these certificates, the leaf first."""

    answer: bytes = b""
    chain: tuple[Identity, ...] = ()
    starttls: bool = False
    query: Callable[[Path], str] = lambda folder: ""


def alert(number, **rest):
    return Case(answer=bytes([21, 3, 3, 0, 2, 2, number]), **rest)


def shows(*chain, **rest):
    return Case(chain=chain, **rest)


def below(*extensions, critical=(), key=None):
    """A leaf under a CA that has these extensions."""
    middle = issue(CA, name="R3", ca=True, more=extensions, critical=critical, key=key)
    return shows(issue(middle), middle)


def looked_up(leaf, revoked, until):
    def query(folder):
        entry = x509.RevokedCertificateBuilder().serial_number(revoked.certificate.serial_number)
        builder = x509.CertificateRevocationListBuilder().issuer_name(CA.certificate.subject)
        builder = builder.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
        builder = builder.last_update(NOW - 3 * DAY).next_update(until)
        (folder / "crl.pem").write_bytes(builder.sign(CA.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return f"?crl={folder / 'crl.pem'}"

    return shows(leaf, query=query)


def chain_of(length):
    chain = [CA]
    for number in range(length):
        chain.append(issue(chain[-1], name=f"CA {number}", ca=True))
    return shows(issue(chain[-1]), *reversed(chain[1:]))


LEAF = issue(CA)
OUT_OF_DATE = issue(CA, name="R3", ca=True, begins=NOW - 3 * DAY, ends=NOW - DAY)
HELLO_OF_TLS_1_0 = bytes([22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1]) + bytes(range(32)) + bytes([0, 0, 47, 0])
SPEAKS_TLS_13 = not postroad.libraries["mbedTLS"].startswith("2.")
CASES = {
    "?certificate=FILE": alert(116, starttls=True),
    "Ask who runs it": alert(46),
    "no certificate for this name": alert(112),
    "none of the versions" if SPEAKS_TLS_13 else "mbedTLS 3.6": alert(70),
    "TLS 1.2 at least": Case(answer=HELLO_OF_TLS_1_0),
    "web server": Case(answer=b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "IMAP": Case(answer=b"* OK ready\r\n"),
    "smtp://": Case(answer=b"220 mx\r\n"),
    "cannot do it": Case(answer=b"500 what?\r\n", starttls=True),
    "587 or 25": alert(40),
    "cipher suite": alert(40, starttls=True),
    "do not go on": looked_up(LEAF, revoked=LEAF, until=NOW + DAY),
    "newer list": looked_up(LEAF, revoked=CA, until=NOW - DAY),
    "renewed": shows(issue(CA, begins=NOW - 3 * DAY, ends=NOW - DAY)),
    "chain of today": shows(issue(OUT_OF_DATE), OUT_OF_DATE),
    "clock": shows(issue(CA, begins=NOW + DAY, ends=NOW + 3 * DAY)),
    "new certificate": below(key=rsa.generate_private_key(65537, 1024)),
    "P-256": below(key=ed25519.Ed25519PrivateKey.generate()),
    "no others": chain_of(10),
    "OpenSSL": below(
        x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("127.0.0.0/8"))], None), critical=CRITICAL
    ),
    "subjectAltName": shows(issue(CA, names=[x509.DNSName("127.0.0.1")])),
    "Use the name": shows(issue(CA, names=[x509.DNSName("a.example")])),
    "?ca=FILE": shows(issue()),
    "intermediate": shows(issue(issue(CA, name="R3", ca=True))),
    "serverAuth": shows(issue(CA, more=[x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH])])),
    "pin": shows(LEAF, query=lambda folder: "?pin=" + "A" * 43 + "%3D"),
    "another CA": below(x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))], None)),
    "explanation": shows(
        issue(
            CA,
            more=[x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")],
            critical={x509.UnrecognizedExtension},
        )
    ),
}
# What an error, other than a diagnosis, does not know is whether TLS came first.
IN_ERRORS = {"587 or 25": "cipher suite"}
ROWS = [row for row in rows() if row[1] != ("mbedTLS 3.6" if SPEAKS_TLS_13 else "none of the versions")]


class Server:
    """Answers each connection as the case says, until it is closed."""

    def __init__(self, case, folder):
        self.case, self.context = case, None
        if case.chain:
            (folder / "chain.pem").write_bytes(pem(*case.chain))
            (folder / "key.pem").write_bytes(
                case.chain[0].key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.set_ciphers("ALL:@SECLEVEL=0")  # weak ones are to be shown
            self.context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                with contextlib.suppress(ConnectionError, ssl.SSLError), self.listener.accept()[0] as client:
                    self._answer(client)

    def _answer(self, client):
        client.settimeout(30)
        if self.case.starttls:
            client.sendall(b"220 mx ESMTP\r\n")
            client.recv(1000)
            client.sendall(b"250-mx\r\n250 STARTTLS\r\n")
            client.recv(1000)
            client.sendall(b"220 go\r\n")
        if self.context:
            with self.context.wrap_socket(client, server_side=True) as secured:
                secured.recv(1)
            return
        client.recv(4)  # of the ClientHello; what is left unread would reset the connection
        client.sendall(self.case.answer)
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def test_each_row_has_a_server_that_shows_it():
    assert {part for _, part, _ in ROWS} == set(CASES)


@pytest.mark.parametrize(("code", "part", "misleads"), ROWS, ids=[part for _, part, _ in ROWS])
def test_each_failure_of_tls_comes_with_its_advice(tmp_path, code, part, misleads):
    case = CASES[part]
    server = Server(case, tmp_path)
    (tmp_path / "ca.pem").write_bytes(pem(CA))
    scheme = "smtp" if case.starttls else "smtps"
    url = f"{scheme}://127.0.0.1:{server.port}{case.query(tmp_path)}"
    try:
        found = postroad.diagnose(url, ca_file=tmp_path / "ca.pem")
        with (
            postroad.Mailer(url, ca_file=tmp_path / "ca.pem", attempts=1) as mail,
            pytest.raises(postroad.TlsError) as e,
        ):
            mail.send(compose())
    finally:
        server.close()
    assert e.value.code == code
    (bad,) = [step for step in found.steps if step.grade == "bad"]
    assert IN_ERRORS.get(part, part) in e.value.advice
    for advice in (found.error.advice, bad.advice):
        assert part in advice
    for advice in (e.value.advice, found.error.advice, bad.advice):
        assert not misleads or misleads not in advice
