"""What may hold a secret: arguments, tracebacks, what is printed; and the wire without TLS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import postroad
import pytest
from conftest import compose
from django.test import override_settings
from postroad.__main__ import main

SECRET = "correct-horse-battery"
PACKAGE = str(Path(postroad.__file__).parent)


def seen(e):
    """What tools show that print each frame with its locals, of our frames and of each exception behind this one."""
    shown = []
    while e is not None:
        trace = e.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename.startswith(PACKAGE):
                shown.append(repr(trace.tb_frame.f_locals))
            trace = trace.tb_next
        shown.append(repr(e) + str(e))
        e = e.__cause__ or e.__context__
    return "\n".join(shown)


WRONG = [
    {"url": f"http://ann:{SECRET}@x.example"},
    {"url": f"smtp://ann:{SECRET}@"},
    {"url": f"smtp://ann:{SECRET}\ud800@x.example"},
    {"url": f"smtp://ann:{SECRET}@x.example".encode()},
    {"url": f"smtp://ann:{SECRET}@x.example?conections=3"},
    {"user": "ann", "password": SECRET + "\n"},
    {"user": "ann", "password": SECRET + "\udfff"},
    {"user": "ann", "password": SECRET.encode()},
    {"user": "ann", "password": [SECRET]},
    {"user": "ann", "token": SECRET + " x"},
    {"user": "ann", "token": SECRET.encode()},
    {"password": SECRET},
    {"user": "ann", "password": SECRET, "ca_file": ""},
    {"user": "ann", "password": SECRET, "auth": "FLY"},
    {"user": "ann", "password": SECRET, "auth": 7},
    {"user": "ann", "password": SECRET, "insecure_authentication": "yes"},
    {"url": "smtp://x.example?certificate=none.pem", "key_passphrase": SECRET.encode()},
    {"key_passphrase": SECRET},
]
ONLY_OF_A_MAILER = [
    {"user": "ann", "password": SECRET, "credentials": lambda request: SECRET},
    {"user": "ann", "password": SECRET, "connections": 0},
    {"user": "ann", "password": SECRET, "on_event": 7},
    {"user": "ann", "password": SECRET, "no_such_argument": 7},
    {"queue": f"amqp://user:{SECRET}@127.0.0.1:1/"},
    {"queue": f"amqp://user:{SECRET}\ud800@127.0.0.1:1/"},
]


def django_mail(url, **options):
    import test_django

    with override_settings(POSTROAD={"url": url, **options}):
        test_django.email(["bob@example.org"]).send()


def flask_mail(url, **options):
    import flask
    from postroad.flask import Mail

    app = flask.Flask("site")
    app.config["POSTROAD"] = {"url": url, **options}
    mail = Mail(app)
    with app.app_context():
        mail.send(compose())


def django_settings(url, **options):
    """The mailer of an alias, as a command, or a page of the admin, asks for it."""
    import test_django  # noqa: F401  (it configures Django)
    from postroad.django import _settings

    options = {**({} if "host" in options else {"url": url}), "queue": "q.db", **options}
    with override_settings(MAILERS={"default": {"BACKEND": "postroad.django.EmailBackend", "OPTIONS": options}}):
        _settings.file()


def django_admins(url, **options):
    import test_django  # noqa: F401  (it configures Django)
    from postroad.django import AdminEmailHandler

    options = {**({} if "host" in options else {"url": url}), **options}
    mailers = {"default": {"BACKEND": "postroad.django.EmailBackend", "OPTIONS": options}}
    with override_settings(MAILERS=mailers, ADMINS=["ops@example.com"]):
        AdminEmailHandler().send_mail("s", "text")


@pytest.mark.parametrize(
    ("function", "options"),
    [(postroad.Mailer, o) for o in WRONG + ONLY_OF_A_MAILER]
    + [(postroad.diagnose, o) for o in WRONG]
    + [(lambda url, **o: postroad.send(url, compose(), **o), o) for o in WRONG if "key_passphrase" not in o]
    + [(django_mail, o) for o in WRONG + ONLY_OF_A_MAILER]
    + [(flask_mail, o) for o in WRONG + ONLY_OF_A_MAILER]
    + [(django_settings, {"queue": f"amqp://user:{SECRET}@127.0.0.1:1/"})]
    + [(django_settings, {"host": 7, "username": "ann", "password": SECRET})]
    + [(django_admins, {"host": 7, "username": "ann", "password": SECRET})],
)
def test_no_frame_holds_a_secret(function, options):
    with pytest.raises((postroad.Error, TypeError)) as e:
        function(**{"url": "smtp://x.example", **options})
    assert SECRET not in seen(e.value)


def test_frames_of_a_function_without_secrets_are_kept():
    with pytest.raises(postroad.InvalidInput) as e:
        postroad.Delivery(notify="often")
    assert "__post_init__" in [f.name for f in e.traceback]


def test_the_frames_of_an_exception_that_is_being_handled_are_kept():
    with pytest.raises(postroad.InvalidInput) as e:
        try:
            raise LookupError("of the caller")
        except LookupError:
            postroad.Mailer("smtp://")
    assert e.value.__context__.__traceback__ is not None


def test_a_mailer_that_was_not_made_has_a_repr():
    class Broken(postroad.Mailer):
        def __init__(self, url):
            try:
                super().__init__(url)
            finally:
                self.shown = repr(self)
                shown.append(self.shown)

    shown = []
    with pytest.raises(postroad.InvalidInput):
        Broken(f"smtp://ann:{SECRET}@")
    assert shown == ["<postroad.Mailer that was not made>"]
    assert repr(object.__new__(postroad.Mailer)) == shown[0]


@pytest.fixture
def secured(start_sink, tmp_path):
    ca = tmp_path / "ca.pem"
    sink = start_sink("--starttls", "--auth", f"ann:{SECRET}", "--require-auth", "--ca-out", str(ca))
    return f"smtp://localhost:{sink.port}", ca


PROOFS = [
    {"user": "ann", "password": SECRET},
    {"user": "ann", "credentials": lambda request: ("ann", SECRET)},
    {"credentials": lambda request: ("ann", SECRET)},
]


@pytest.mark.parametrize("options", PROOFS)
@pytest.mark.parametrize("auth", ["LOGIN", "plain", ["SCRAM-SHA-256", "PLAIN"], ("LOGIN",)])
def test_mechanisms_by_argument_go_with_credentials_by_argument(secured, message, auth, options):
    url, ca = secured
    with postroad.Mailer(url, auth=auth, ca_file=ca, **options) as mail:
        assert mail.send(message).all_accepted


@pytest.mark.parametrize("options", PROOFS)
@pytest.mark.parametrize("query", ["?auth=LOGIN", "?auth=PLAIN,LOGIN&connections=1", "/?connections=1&auth=plain"])
def test_mechanisms_of_the_url_go_with_credentials_by_argument(secured, message, query, options):
    url, ca = secured
    with postroad.Mailer(url + query, ca_file=ca, **options) as mail:
        assert mail.send(message).all_accepted


def test_the_mechanism_is_the_one_that_was_named(secured, message):
    url, ca = secured
    for auth in ("LOGIN", "PLAIN"):
        events = []
        with postroad.Mailer(url, user="ann", password=SECRET, auth=auth, ca_file=ca, on_event=events.append) as mail:
            mail.send(message)
        assert [e.text.split()[:2] for e in events if e.text.startswith("AUTH")] == [["AUTH", auth]]
        assert postroad.diagnose(url, user="ann", password=SECRET, auth=auth, ca_file=ca).good


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("query", ["?auth=OAUTHBEARER,XOAUTH2", ""])
def test_mechanisms_go_with_a_token(start_sink, tmp_path, message, mechanism, query):
    ca = tmp_path / "ca.pem"
    options = ("--starttls", "--auth", f"ann:{SECRET}", "--require-auth", "--mechanism", mechanism)
    url = f"smtp://localhost:{start_sink(*options, '--ca-out', str(ca)).port}{query}"
    auth = None if query else mechanism
    with postroad.Mailer(url, user="ann", token=SECRET, ca_file=ca, auth=auth) as mail:
        assert mail.send(message).all_accepted


@pytest.mark.parametrize(
    ("url", "options", "code"),
    [
        ("smtp://ann:x@localhost?auth=PLAIN", {"auth": "PLAIN"}, "contradiction"),
        ("smtp://ann:x@localhost", {"auth": "FLY"}, "invalid_option"),
        ("smtp://ann:x@localhost", {"auth": []}, "invalid_option"),
        ("smtp://localhost?auth=FLY", {"user": "ann", "password": "x"}, "invalid_option"),
        ("smtp://localhost?auth=", {"user": "ann", "password": "x"}, "invalid_option"),
        ("smtp://localhost?auth=PLAIN", {}, "invalid_credentials"),
        ("smtp://localhost?insecure_authentication=false", {}, "invalid_option"),
        ("smtp://localhost?insecure_authentication=", {}, "invalid_option"),
        ("smtp://localhost?insecure_authentication=true", {"insecure_authentication": True}, "contradiction"),
        ("smtp://localhost", {"key_passphrase": "x"}, "contradiction"),
    ],
)
def test_what_is_wrong_with_them_is_said(url, options, code):
    for function in (postroad.Mailer, postroad.diagnose):
        with pytest.raises(postroad.InvalidInput) as e:
            function(url, **options)
        assert e.value.code == code


@pytest.fixture
def clear(start_sink):
    return f"smtp+insecure://localhost:{start_sink('--auth', f'ann:{SECRET}', '--require-auth').port}"


@pytest.mark.parametrize("options", PROOFS)
def test_credentials_go_in_the_clear_only_where_that_is_written(clear, message, options):
    for off in ({}, {"insecure_authentication": False}, {"insecure_authentication": None}):
        with postroad.Mailer(clear, **options, **off) as mail, pytest.raises(postroad.AuthenticationError) as e:
            mail.send(message)
        assert e.value.code == "insecure_authentication"
    with postroad.Mailer(clear, insecure_authentication=True, **options) as mail:
        assert mail.send(message).all_accepted
    with postroad.Mailer(clear + "?insecure_authentication=true", **options) as mail:
        assert mail.send(message).all_accepted


def test_the_same_in_the_other_functions(clear, message, tmp_path, monkeypatch):
    own = {"user": "ann", "password": SECRET}
    assert not postroad.diagnose(clear, **own).good
    assert postroad.diagnose(clear, insecure_authentication=True, **own).good
    assert postroad.send(clear, message, insecure_authentication=True, **own).all_accepted
    django_mail(clear, insecure_authentication=True, auth=["PLAIN", "LOGIN"], **own)
    (tmp_path / "mail.eml").write_bytes(bytes(message))
    monkeypatch.setenv("POSTROAD_PASSWORD", SECRET)
    url = clear + "?insecure_authentication=true"
    assert main(["send", "--user", "ann", url + "&auth=LOGIN", str(tmp_path / "mail.eml")]) == 0
    full = url.replace("localhost", f"ann:{SECRET}@localhost")
    assert postroad.send(full, message).all_accepted


@pytest.fixture(scope="module")
def encrypted_identity(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identity")
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=ann"]
    new += ["-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-passout", f"pass:{SECRET}"]
    subprocess.run(new, check=True, capture_output=True)
    # the older form of encryption, which every TLS library reads
    again = ["openssl", "rsa", "-aes256", "-traditional", "-in", folder / "key.pem", "-out", folder / "old.pem"]
    again += ["-passin", f"pass:{SECRET}", "-passout", f"pass:{SECRET}"]
    subprocess.run(again, check=True, capture_output=True)
    return f"?certificate={folder}/cert.pem&key={folder}/old.pem".replace("/", "%2F")


def test_the_key_of_a_certificate_may_be_encrypted(secured, message, encrypted_identity):
    url, ca = secured
    own = {"user": "ann", "password": SECRET, "ca_file": ca}
    with postroad.Mailer(url + encrypted_identity, key_passphrase=SECRET, **own) as mail:
        assert mail.send(message).all_accepted
    assert postroad.diagnose(url + encrypted_identity, key_passphrase=SECRET, **own).good
    for wrong in (None, "another-word"):
        with pytest.raises(postroad.Error, match="key_passphrase") as e:
            with postroad.Mailer(url + encrypted_identity, key_passphrase=wrong, **own) as mail:
                mail.send(message)
        assert SECRET not in seen(e.value)


@pytest.mark.parametrize(
    ("environment", "status", "text"),
    [
        ({}, 64, "POSTROAD_PASSWORD"),
        ({"POSTROAD_PASSWORD": ""}, 64, "POSTROAD_PASSWORD"),
        ({"POSTROAD_PASSWORD": "x", "POSTROAD_TOKEN": "x"}, 64, "both set"),
        ({"POSTROAD_PASSWORD": SECRET}, 0, ""),
    ],
)
@pytest.mark.parametrize("command", ["send", "diagnose"])
def test_the_command_says_where_the_password_is_missing(
    clear, message, tmp_path, monkeypatch, capsys, command, environment, status, text
):
    for name in ("POSTROAD_PASSWORD", "POSTROAD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "mail.eml").write_bytes(bytes(message))
    rest = [str(tmp_path / "mail.eml")] if command == "send" else []
    assert main([command, "--user", "ann", clear + "?insecure_authentication=true", *rest]) == status
    err = capsys.readouterr().err
    assert text in err
    assert SECRET not in err


def test_the_command_asks_for_the_password_at_a_terminal(clear, message, tmp_path, monkeypatch):
    monkeypatch.delenv("POSTROAD_PASSWORD", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: SECRET)
    (tmp_path / "mail.eml").write_bytes(bytes(message))
    url = clear + "?insecure_authentication=true"
    assert main(["send", "--user", "ann", url, str(tmp_path / "mail.eml")]) == 0


def test_the_command_takes_a_token(start_sink, message, tmp_path, monkeypatch):
    sink = start_sink("--auth", f"ann:{SECRET}", "--require-auth", "--mechanism", "XOAUTH2")
    monkeypatch.delenv("POSTROAD_PASSWORD", raising=False)
    monkeypatch.setenv("POSTROAD_TOKEN", SECRET)
    (tmp_path / "mail.eml").write_bytes(bytes(message))
    url = f"smtp+insecure://localhost:{sink.port}?insecure_authentication=true"
    assert main(["send", "--user", "ann", url, str(tmp_path / "mail.eml")]) == 0


@pytest.mark.parametrize(
    "url", ["AMQP://ann:secret-word@x", "redis://ann:secret-word@x", "amqp+tls://ann:secret-word@x"]
)
def test_what_is_no_url_of_a_broker_is_no_file_either(url):
    for made in (lambda: postroad.Mailer("discard://", queue=url), lambda: postroad.Queue(url)):
        with pytest.raises(postroad.InvalidInput, match="begin with amqp://") as e:
            made()
        assert "secret-word" not in str(e.value)
