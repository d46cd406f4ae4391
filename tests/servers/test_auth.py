"""Every mechanism that a server offers, with the right secret and a wrong one."""

import base64
import hashlib
import hmac
import json
import os
import re
import smtplib
import subprocess
import time
from collections.abc import Iterable, Iterator
from itertools import chain, combinations

import pytest

from fixtures import DEADLINE, DOMAIN, PASSWORD
from sending import send_folder, url_of

SASL = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
# name -> server, URL, what it offers
SERVERS = {
    "postfix-starttls": ("postfix", "smtp://{user}localhost:{submission}", SASL),
    "postfix-implicit": ("postfix", "smtps://{user}localhost:{smtps}", SASL),
    "submission-starttls": ("postfix", "smtp://{user}localhost:{dovecot_submission}", SASL),
    "submission-implicit": ("postfix", "smtps://{user}localhost:{dovecot_submissions}", SASL),
    "exim-starttls": ("exim", "smtp://{user}localhost:{smtp}", SASL[:3]),
    "exim-implicit": ("exim", "smtps://{user}localhost:{smtps}", SASL[:3]),
}
CASES = [(name, mechanism) for name, (_, _, offered) in SERVERS.items() for mechanism in offered]
WRONG = "wr0ng-passw0rd"


def with_user(url: str, password: str) -> str:
    return url.replace("{user}", f"alice:{password}@")


def cases(pairs) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("server", "url", "mechanism"),
        [(*SERVERS[name][:2], mechanism) for name, mechanism in pairs],
        ids=[f"{name}-{mechanism}" for name, mechanism in pairs],
        indirect=["server"],
    )


def shown(secret: str) -> list[str]:
    return [secret, *(base64.b64encode(text.encode()).decode() for text in (secret, f"\0alice\0{secret}"))]


def token(key: bytes = b"postroad-test-key") -> str:
    """A JWT that lets alice in for an hour (RFC 7519)."""
    now = int(time.time())
    claims = {"email": f"alice@{DOMAIN}", "sub": "alice", "iat": now, "nbf": now - 60, "exp": now + 3600}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.new(key, signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@cases(CASES)
def test_the_right_password_lets_mail_through(server, url, mechanism, one):
    run = send_folder(one, url_of(server, with_user(url, PASSWORD), auth=mechanism), server.ca, "alice")
    assert run.code == 0, run.output
    server.wait("alice", 1)
    if server.name == "exim":
        server.wait_for_log(f"A={'cram' if mechanism == 'CRAM-MD5' else mechanism.lower()}:alice")
    else:
        server.wait_for_log(f"method={mechanism},")


@cases(CASES)
def test_a_wrong_password_is_an_error_without_it(server, url, mechanism, one):
    run = send_folder(one, url_of(server, with_user(url, WRONG), auth=mechanism), server.ca, "alice")
    assert run.code == 1, run.output
    assert run.errors() == ["authentication_rejected"], run.output
    assert mechanism in run.output
    assert not [text for text in shown(WRONG) if text in run.output]
    assert server.messages("alice") == []


@pytest.mark.parametrize(
    ("server", "url", "best"),
    [(*SERVERS[name][:2], "SCRAM-SHA-256" if name[0] in "ps" else "PLAIN") for name in SERVERS],
    ids=SERVERS,
    indirect=["server"],
)
def test_the_strongest_that_is_offered_is_taken(server, url, best, one):
    run = send_folder(one, url_of(server, with_user(url, WRONG)), server.ca, "alice")
    assert any(f"by {best}{end}" in run.output for end in " :;"), run.output


OAUTH = [(name, mechanism) for name in SERVERS if name[0] in "ps" for mechanism in ("OAUTHBEARER", "XOAUTH2")]


@cases(OAUTH)
def test_a_token_lets_mail_through(server, url, mechanism, one):
    url = url_of(server, with_user(url, token()), auth=mechanism)
    run = send_folder(one, url, server.ca, "alice", flags=["--oauth"])
    assert run.code == 0, run.output
    server.wait("alice", 1)


@cases(OAUTH)
def test_a_token_of_another_key_is_an_error_without_it(server, url, mechanism, one):
    forged = token(b"another key")
    url = url_of(server, with_user(url, forged), auth=mechanism)
    run = send_folder(one, url, server.ca, "alice", flags=["--oauth"])
    assert run.code == 1, run.output
    assert run.errors() == ["authentication_rejected"], run.output
    assert forged not in run.output
    assert server.messages("alice") == []


@pytest.mark.parametrize("name", ["submission-starttls", "submission-implicit"])
def test_a_scram_that_lacks_its_secret_is_no_obstacle(postfix, name, one):
    url = url_of(postfix, SERVERS[name][1].replace("{user}", f"hashed:{PASSWORD}@"))
    run = send_folder(one, url, postfix.ca, "alice")
    assert run.code == 0, run.output
    postfix.wait("alice", 1)
    postfix.wait_for_log("method=PLAIN,")


@pytest.fixture
def offer(postfix):
    """Makes Dovecot's submission offer these mechanisms; all of them again at the end."""
    conf = postfix.dir / "dovecot/dovecot.conf"
    before = conf.read_text()

    def set_to(text: str, names: set[str]) -> None:
        conf.write_text(text)
        subprocess.run(["doveadm", "-c", conf, "reload"], check=True)
        end = time.monotonic() + DEADLINE
        while offered(postfix.ports["dovecot_submission"]) != names:
            assert time.monotonic() < end, postfix.log()
            time.sleep(0.05)

    every = offered(postfix.ports["dovecot_submission"])
    setting = re.compile("(?m)^(auth_mechanisms = ).*")
    yield lambda *names: set_to(setting.sub(rf"\1{' '.join(names)}", before), {*names})
    set_to(before, every)


def offered(port: int) -> set[str]:
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as server:
            server.ehlo("client.example")
            return set(server.esmtp_features.get("auth", "").split())
    except (OSError, smtplib.SMTPException):
        return set()  # it is being started again


@pytest.mark.parametrize("user", ["alice", "hashed"])
def test_login_works_whichever_mechanisms_are_switched_off(postfix, offer, user, one):
    every = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN")
    url = url_of(postfix, SERVERS["submission-starttls"][1].replace("{user}", f"{user}:{PASSWORD}@"))
    for bits in range(1, 16):
        names = [name for i, name in enumerate(every) if bits >> i & 1]
        offer(*names)
        run = send_folder(one, url, postfix.ca, "alice")
        able = user == "alice" or {"PLAIN", "LOGIN"} & set(names)
        assert run.code == (0 if able else 1), (names, run.output)
        if able:
            postfix.wait("alice", 1)  # nothing is left for the next test
            postfix.clear()
        else:
            assert run.errors() == ["authentication_rejected"], (names, run.output)


# By preference; each of these is safe over TLS.
SAFE = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN")
# name -> server, URL, a file that names what is offered, what can be; of hashed there is no secret for SCRAM
OFFERS = {
    "postfix-dovecot": ("postfix", "smtp://{user}localhost:{offers}", "etc/offered", SAFE),
    "postfix-cyrus": ("postfix", "smtp://{user}localhost:{cyrus}", "etc/offered", SAFE),
    "exim-cyrus": ("exim", "smtp://{user}localhost:{cyrus}", "offered", SAFE),
    "exim": ("exim", "smtp://{user}localhost:{smtp}", "offered", SAFE[2:]),
}


@pytest.fixture
def listed(server):
    """Makes a server list these mechanisms; all of them again at the end."""
    before = {}

    def set_to(file: str, names: Iterable[str]) -> None:
        path = server.dir / file
        before.setdefault(path, path.read_text())
        path.write_text("".join(f"{name}: ok\n{name.lower()} ok\n" for name in names))
        os.utime(path, (0, 0))  # Postfix waits until a file is some seconds old

    yield set_to
    for path, text in before.items():
        path.write_text(text)


def some_of(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All there are, none left out but all."""
    return chain.from_iterable(combinations(names, n) for n in range(len(names), 0, -1))


@pytest.mark.parametrize(
    ("server", "url", "file", "every", "user"),
    [(*OFFERS[name], user) for name in OFFERS for user in ("alice", "hashed") if user == "alice" or name[0] == "p"],
    ids=[f"{name}-{user}" for name in OFFERS for user in ("alice", "hashed") if user == "alice" or name[0] == "p"],
    indirect=["server"],
)
def test_login_works_by_what_a_server_has_left(server, listed, url, file, every, user, one):
    for names in some_of(every):
        listed(file, [*names, "CRAM-MD5"])
        run = send_folder(one, url_of(server, url.replace("{user}", f"{user}:{PASSWORD}@")), server.ca, "alice")
        able = user == "alice" or {"PLAIN", "LOGIN"} & {*names}
        assert run.code == (0 if able else 1), (names, run.output, server.log())
        assert run.errors() == ([] if able else ["authentication_rejected"]), (names, run.output)
        if able:
            server.wait("alice", 1)  # nothing is left for the next test
            server.clear()


@pytest.mark.parametrize(
    ("server", "url", "file"), [OFFERS[name][:3] for name in OFFERS], ids=list(OFFERS), indirect=["server"]
)
def test_where_no_safe_mechanism_is_left_none_is_taken(server, listed, url, file, one):
    listed(file, ["CRAM-MD5"])
    run = send_folder(one, url_of(server, url.replace("{user}", f"alice:{PASSWORD}@")), server.ca, "alice")
    assert run.errors() in (["no_common_mechanism"], ["authentication_not_offered"]), run.output


def test_no_mechanism_in_common_is_an_error(exim, one):
    url = url_of(exim, with_user(SERVERS["exim-implicit"][1], PASSWORD), auth="SCRAM-SHA-256")
    run = send_folder(one, url, exim.ca, "alice")
    assert run.errors() == ["no_common_mechanism"], run.output


@pytest.mark.parametrize("server", ["postfix"], indirect=True)
def test_no_password_goes_out_in_the_clear(server, one):
    # Dovecot offers AUTH without TLS
    url = url_of(server, with_user("smtp+insecure://{user}localhost:{dovecot_submission}", PASSWORD))
    run = send_folder(one, url, None, "alice")
    assert run.errors() == ["insecure_authentication"], run.output
    assert server.messages("alice") == []
