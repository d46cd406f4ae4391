"""TLS with every server: by STARTTLS, from the start, opportunistic; wrong CAs, pins, and client certificates."""

import base64
import hashlib
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from fixtures import ServerInfo, running, split_trace
from sending import WAYS, Run, send_folder, url_of, ways

TLS = (
    *("postfix-mx", "postfix-starttls", "postfix-implicit", "submission-starttls", "submission-implicit"),
    *("exim-starttls", "exim-implicit", "lmtp-starttls", "lmtp-implicit"),
)
OPPORTUNISTIC = {
    "postfix": ("postfix", "smtp+opportunistic://localhost:{mx}"),
    "postfix-by-option": ("postfix", "smtp://localhost:{mx}/?tls=opportunistic"),
    "exim": ("exim", "smtp+opportunistic://localhost:{smtp}"),
    "lmtp": ("dovecot", "lmtp://localhost:{lmtp}/?tls=opportunistic"),
}


def pin_of(certificate) -> str:
    command = f"openssl x509 -in {certificate} -noout -pubkey | openssl pkey -pubin -outform der"
    key = subprocess.run(command, shell=True, check=True, capture_output=True).stdout
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def trace(server: ServerInfo) -> str:
    """What the server wrote in front of alice's one message."""
    server.wait("alice", 1)
    return split_trace(server.stored("alice")[0])[0].decode()


def came_by_tls(server: ServerInfo) -> bool:
    server.wait("alice", 1)
    if server.name == "dovecot":
        return "with LMTPS" in trace(server)
    # the topmost may be a hop behind
    return "ESMTPS" in trace(server) or "esmtps" in trace(server)


def check_refused(server: ServerInfo, run: Run, error: str = "tls_certificate") -> None:
    assert run.code == 1, run.output
    assert run.errors() == [error], run.output
    assert run.statuses("one.eml") == {"alice": "not_attempted"}
    assert server.messages("alice") == []


@ways(*TLS)
def test_mail_goes_over_tls(server, url, one):
    run = send_folder(one, url_of(server, url, ca=str(server.ca)), None, "alice")
    assert run.code == 0, run.output
    assert came_by_tls(server), trace(server)


@ways("postfix-plain", "exim-plain", "opensmtpd-plain", "lmtp-plain")
def test_insecure_none_goes_in_the_clear(server, url, one):
    run = send_folder(one, url_of(server, url), None, "alice")
    assert run.code == 0, run.output
    assert not came_by_tls(server), trace(server)


@ways(*TLS)
def test_a_certificate_of_an_unknown_ca_is_refused(server, url, one, tls_dir):
    run = send_folder(one, url_of(server, url, ca=str(tls_dir / "selfsigned.pem")), None, "alice")
    check_refused(server, run)
    assert "localhost" in run.output
    assert "AUTH" not in server.log()


# what the server shows -> what is said of it; docs/tls.md says what to do about each
BAD_CERTIFICATES = {
    "expired": "certificate of localhost expired on 2020-02-01",
    "wronghost": "certificate of localhost is for other.invalid; expected localhost",
    "selfsigned": "certificate of localhost is self-signed; give ca_file if it is your own",
}


@pytest.fixture(scope="module", params=BAD_CERTIFICATES)
def badly_certified(request, start_server, tls_dir) -> Iterator[tuple[str, ServerInfo]]:
    """A Postfix with its Dovecot, both with one of those certificates."""
    start_server("postfix")  # fills tls_dir
    certificates = tls_dir / f"only-{request.param}"  # where daemons that drop privileges get in
    shutil.copytree(tls_dir, certificates, ignore=shutil.ignore_patterns("only-*"))
    for each in ("pem", "key"):
        shutil.copy(certificates / f"{request.param}.{each}", certificates / f"server.{each}")
    with running("postfix", certificates) as info:
        yield request.param, info


@pytest.mark.parametrize(
    "url", [WAYS[way][1] for way in TLS if WAYS[way][0] == "postfix"] + ["lmtp://localhost:{lmtp}"]
)
def test_a_bad_certificate_is_an_error_that_says_what_is_wrong_with_it(badly_certified, url, one):
    certificate, server = badly_certified
    server.clear()
    run = send_folder(one, url_of(server, url, ca=str(server.ca)), None, "alice")
    check_refused(server, run)
    assert BAD_CERTIFICATES[certificate] in run.output
    assert "secret" not in run.output
    assert "AUTH" not in server.log()


@ways("postfix-mx", "exim-implicit", "lmtp-starttls")
def test_a_certificate_of_no_ca_of_the_system_is_refused(server, url, one):
    check_refused(server, send_folder(one, url_of(server, url), None, "alice"))


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("postfix", "smtp://localhost:{mx}"),
        ("postfix", "smtps://alice:secret@localhost:{smtps}"),
        ("exim", "smtp://localhost:{smtp}"),
        ("exim", "smtps://localhost:{smtps}"),
        ("dovecot", "lmtp://localhost:{lmtp}"),
    ],
    indirect=["server"],
)
def test_insecure_no_verify_takes_any_certificate(server, url, one, tls_dir):
    url = url_of(server, url, tls="insecure_no_verify", ca=str(tls_dir / "selfsigned.pem"))
    run = send_folder(one, url, None, "alice")
    assert run.code == 0, run.output
    assert came_by_tls(server), trace(server)


@pytest.mark.parametrize("certificate", ["server", "ca"])
@ways("postfix-mx", "postfix-implicit", "exim-starttls", "exim-implicit", "submission-starttls", "lmtp-starttls")
def test_the_right_pin_lets_mail_through(server, url, certificate, one, tls_dir):
    pins = f"{pin_of(tls_dir / 'wronghost.pem')},{pin_of(tls_dir / f'{certificate}.pem')}"
    run = send_folder(one, url_of(server, url, ca=str(server.ca), pin=pins), None, "alice")
    # the CA is no part of the chain that these servers send, but of the one that is verified
    assert run.code == 0, run.output
    assert came_by_tls(server), trace(server)


@ways("postfix-mx", "postfix-implicit", "exim-starttls", "exim-implicit", "submission-starttls", "lmtp-starttls")
def test_a_wrong_pin_does_not(server, url, one, tls_dir):
    pin = pin_of(tls_dir / "wronghost.pem")
    check_refused(server, send_folder(one, url_of(server, url, ca=str(server.ca), pin=pin), None, "alice"))


@pytest.mark.parametrize(("server", "url"), OPPORTUNISTIC.values(), ids=OPPORTUNISTIC, indirect=["server"])
def test_opportunistic_takes_the_tls_that_is_offered(server, url, one):
    run = send_folder(one, url_of(server, url), None, "alice")
    assert run.code == 0, run.output
    assert came_by_tls(server), trace(server)


def test_opportunistic_goes_in_the_clear_where_no_tls_is_offered(postfix, one):
    run = send_folder(one, f"smtp+opportunistic://localhost:{postfix.ports['mx_no_starttls']}", None, "alice")
    assert run.code == 0, run.output
    assert not came_by_tls(postfix), trace(postfix)


def test_required_does_not(postfix, one):
    run = send_folder(one, f"smtp://localhost:{postfix.ports['mx_no_starttls']}", postfix.ca, "alice")
    check_refused(postfix, run, "tls_not_offered")


# Debian 12's OpenSMTPD offers TLS, and each handshake fails.
BROKEN = ("smtp://localhost:{smtp}", "smtps://localhost:{smtps}", "smtp://localhost:{submission}")


def test_opportunistic_goes_in_the_clear_after_a_failed_handshake_over_a_new_connection(opensmtpd, one):
    run = send_folder(one, f"smtp+opportunistic://localhost:{opensmtpd.ports['smtp']}", None, "alice")
    assert run.code == 0, run.output
    assert not came_by_tls(opensmtpd), trace(opensmtpd)
    assert opensmtpd.log().count("smtp connected") == 2, opensmtpd.log()


@pytest.mark.parametrize("url", BROKEN)
@pytest.mark.parametrize("options", [{}, {"tls": "insecure_no_verify"}], ids=["verified", "not-verified"])
def test_a_failed_handshake_is_an_error(opensmtpd, url, options, one):
    url = url_of(opensmtpd, url + "/", ca=str(opensmtpd.ca), **options)
    check_refused(opensmtpd, send_folder(one, url, None, "alice"), "tls_handshake")


def test_postfix_sees_the_client_certificate(postfix, one, tls_dir):
    pair = {"certificate": str(tls_dir / "client.pem"), "key": str(tls_dir / "client.key")}
    for port in ("mx", "submission"):
        postfix.clear()
        url = f"smtp://{'alice:secret@' if port == 'submission' else ''}localhost:{postfix.ports[port]}/"
        run = send_folder(one, url_of(postfix, url, ca=str(postfix.ca), **pair), None, "alice")
        assert run.code == 0, run.output
        assert 'Client CN "alice"' in trace(postfix), trace(postfix)
        assert "(verified OK)" in trace(postfix), trace(postfix)


def test_without_one_it_sees_none(postfix, one):
    run = send_folder(one, url_of(postfix, WAYS["postfix-mx"][1]), postfix.ca, "alice")
    assert run.code == 0, run.output
    assert "No client certificate requested" in trace(postfix) or "Client did not present" in trace(postfix)


def test_exim_takes_the_client_certificate_for_a_password(exim, one, tls_dir):
    pair = {"certificate": str(tls_dir / "client.pem"), "key": str(tls_dir / "client.key"), "auth": "EXTERNAL"}
    for url in ("smtp://localhost:{smtp}/", "smtps://localhost:{smtps}/"):
        exim.clear()
        run = send_folder(one, url_of(exim, url, ca=str(exim.ca), **pair), None, "alice")
        assert run.code == 0, run.output
        exim.wait("alice", 1)
        assert "A=external:alice" in (exim.dir / "log" / "mainlog").read_text(), exim.log()


def test_exim_offers_no_external_to_a_client_without_certificate(exim, one):
    url = url_of(exim, "smtps://localhost:{smtps}/", ca=str(exim.ca), auth="EXTERNAL")
    check_refused(exim, send_folder(one, url, None, "alice"), "no_common_mechanism")
