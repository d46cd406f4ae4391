"""OAuth tokens, from a small token server."""

from __future__ import annotations

import copy
import errno
import http.server
import json
import multiprocessing
import os
import socket
import stat
import threading
import urllib.parse

import postroad
import pytest
from conftest import compose
from postroad import oauth, testing
from postroad.__main__ import main

SECRET = "correct-horse-battery"


class TokenServer:
    """Gives tokens token-1, token-2 and so on; `replies` come first, each a status and what its JSON is."""

    def __init__(self):
        self.forms = []
        self.replies = []
        self.lasts = 3600
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, found, headers = owner.answer(self.path, dict(urllib.parse.parse_qsl(body)))
                octets = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.url = self.base + "/token"

    def answer(self, path, form):
        with self.lock:
            self.forms.append((path, form))
            if self.replies:
                status, found, *headers = self.replies.pop(0)
                return status, found, headers[0] if headers else {}
            n = sum(1 for p, _ in self.forms if p == "/token")
            return 200, {"access_token": f"token-{n}", "expires_in": self.lasts, "token_type": "Bearer"}, {}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def tokens():
    server = TokenServer()
    yield server
    server.close()


def source(tokens, **more):
    return oauth.refresh(tokens.url, **{"client_id": "me", "refresh_token": SECRET, **more})


REQUEST = postroad.CredentialsRequest("smtp.example.com:587")


def refused(token):
    return postroad.CredentialsRequest("smtp.example.com:587", refused_token=token)


def test_a_token_is_got_once_and_kept_while_it_holds(tokens):
    s = source(tokens, client_secret="s", scope="mail")
    assert [s(REQUEST), s(REQUEST), s.token()] == ["token-1"] * 3
    assert tokens.forms == [
        (
            "/token",
            {
                "grant_type": "refresh_token",
                "client_id": "me",
                "client_secret": "s",
                "refresh_token": SECRET,
                "scope": "mail",
            },
        )
    ]


def test_a_token_is_got_anew_ahead_of_its_end_and_when_it_was_refused(tokens):
    tokens.lasts = 60
    s = source(tokens)
    assert [s(REQUEST), s(REQUEST)] == ["token-1", "token-2"]
    tokens.lasts = 3600
    assert [s(REQUEST), s(REQUEST), s(refused("token-3")), s(REQUEST), s(refused("token-4"))] == [
        "token-3",
        "token-3",
        "token-4",
        "token-4",
        "token-5",
    ]


def test_a_token_that_many_connections_had_is_got_anew_once(tokens):
    s = source(tokens)
    assert [s(REQUEST) for _ in range(4)] == ["token-1"] * 4
    assert [s(refused("token-1")) for _ in range(4)] == ["token-2"] * 4
    assert [s(REQUEST), s(refused("token-2"))] == ["token-2", "token-3"]  # refused as well


def test_who_was_refused_late_has_the_token_that_took_the_place(tokens):
    s = source(tokens)
    assert [s(REQUEST), s(REQUEST), s(refused("token-1"))] == ["token-1", "token-1", "token-2"]
    assert s(REQUEST) == "token-2"
    assert s(refused("token-1")) == "token-2"
    assert len(tokens.forms) == 2


def test_a_request_does_not_show_the_token():
    assert SECRET not in repr(refused(SECRET))


def test_a_secret_that_the_token_server_repeats_is_in_no_text(tokens):
    tokens.replies = [(400, {"error": "invalid_grant", "error_description": f"{'x' * 490} {SECRET}, hidden-word!"})]
    with pytest.raises(postroad.AuthenticationError, match="invalid_grant") as raised:
        source(tokens, client_secret="hidden-word").token()
    assert SECRET[:8] not in str(raised.value)
    assert "hidden" not in str(raised.value)
    assert SECRET[:8] not in raised.value.reply


@pytest.mark.parametrize("quote", [urllib.parse.quote, urllib.parse.quote_plus])
def test_nor_as_a_form_has_it(tokens, quote):
    secret = "hidden word/of+mine"
    tokens.replies = [(400, {"error": "invalid_grant", "error_description": f"client_secret={quote(secret)}&x"})]
    with pytest.raises(postroad.AuthenticationError, match="invalid_grant") as raised:
        source(tokens, client_secret=secret).token()
    assert "hidden" not in str(raised.value)


def test_what_is_nested_too_deeply_is_no_json(tokens, monkeypatch):
    monkeypatch.setattr(oauth.json, "loads", lambda _: (_ for _ in ()).throw(RecursionError))
    with pytest.raises(postroad.ProtocolError, match="no JSON"):
        source(tokens).token()


@pytest.mark.parametrize(("provider", "kind"), [("https://", ValueError), ("https://[::1", ValueError), (5, TypeError)])
def test_a_provider_that_cannot_be_is_refused(provider, kind):
    with pytest.raises(kind) as raised:
        oauth.refresh(provider, client_id="me", refresh_token=SECRET)
    assert kind is TypeError or isinstance(raised.value, postroad.InvalidInput)


def test_a_store_that_is_none_is_refused(tokens):
    with pytest.raises(TypeError, match="store must be"):
        source(tokens, store=5)


def test_many_threads_get_one_token(tokens):
    s = source(tokens)
    got = []
    threads = [threading.Thread(target=lambda: got.append(s(REQUEST))) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == ["token-1"] * 20


def test_a_new_refresh_token_takes_the_place_of_the_old(tokens, tmp_path):
    tokens.replies = [(200, {"access_token": "a", "expires_in": 0, "refresh_token": "second"})]
    s = source(tokens, store=tmp_path / "t.json")
    s.token()
    s.token()
    assert [f["refresh_token"] for _, f in tokens.forms] == [SECRET, "second"]
    assert json.loads((tmp_path / "t.json").read_text())["refresh_token"] == "second"


class FullStore(oauth.FileStore):
    def save(self, tokens):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().save(tokens)


def test_a_token_that_cannot_be_stored_is_used_and_its_refresh_token_is_not_lost(tokens, tmp_path, caplog):
    store = FullStore(tmp_path / "t.json")
    store.full = False
    tokens.replies = [(200, {"access_token": f"a{i}", "expires_in": i, "refresh_token": f"r{i}"}) for i in range(4)]
    s = source(tokens, store=store)
    s.token()
    store.full = True
    assert [s.token(), s.token()] == ["a1", "a2"]
    assert "could not be stored: No space left" in caplog.text
    store.full = False
    assert s.token() == "a3"
    assert [f["refresh_token"] for _, f in tokens.forms] == [SECRET, "r0", "r1", "r2"]
    assert store.load().refresh_token == "r3"


def test_what_answers_in_no_http_cannot_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"220 mail.example ESMTP\r\n")

        threading.Thread(target=answer, daemon=True).start()
        s = oauth.refresh(f"http://127.0.0.1:{listening.getsockname()[1]}/", client_id="me", refresh_token=SECRET)
        with pytest.raises(postroad.NoConnection) as raised:
            s.token()
    assert raised.value.code == "credentials_unavailable"


def test_a_file_keeps_tokens_for_others(tokens, tmp_path):
    path = tmp_path / "t.json"
    assert source(tokens, store=path).token() == "token-1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    other = oauth.refresh(tokens.url, client_id="me", store=str(path))
    assert other.token() == "token-1"
    assert other(refused("older")) == "token-1"
    assert other(refused("token-1")) == "token-2"
    path.write_text("{")
    assert source(tokens, store=path).token() == "token-3"
    assert sorted(os.listdir(tmp_path)) == ["t.json", "t.json.lock"]


@pytest.fixture
def keyring_store(tmp_path, monkeypatch):
    keyring = pytest.importorskip("keyring")
    kept = {}

    class InMemory(keyring.backend.KeyringBackend):
        priority = 1

        def get_password(self, service, username):
            return kept.get((service, username))

        def set_password(self, service, username, password):
            kept[service, username] = password

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    yield oauth.KeyringStore("postroad", "ann@example.com")
    keyring.set_keyring(before)


def test_a_keyring_keeps_tokens_for_others(tokens, keyring_store):
    assert source(tokens, store=keyring_store).token() == "token-1"
    other = oauth.refresh(tokens.url, client_id="me", store=oauth.KeyringStore("postroad", "ann@example.com"))
    assert other.token() == "token-1"
    assert oauth.KeyringStore("postroad", "bob@example.com").load() is None


def test_one_process_at_a_time_refreshes_what_a_keyring_has(keyring_store, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    with keyring_store.locked():
        (lock,) = (tmp_path / "postroad").iterdir()
        with open(lock) as f, pytest.raises(BlockingIOError):
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(lock) as f:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _token(url, path, queue):
    queue.put(oauth.refresh(url, client_id="me", refresh_token=SECRET, store=path).token())


def test_many_processes_get_one_token(tokens, tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_token, args=(tokens.url, str(tmp_path / "t.json"), queue)) for _ in range(3)]
    for p in processes:
        p.start()
    assert [queue.get(timeout=60) for _ in processes] == ["token-1"] * 3
    for p in processes:
        p.join()
    queue.close()


@pytest.mark.parametrize(
    ("reply", "kind", "transient"),
    [
        (
            (400, {"error": "invalid_grant", "error_description": "Token \x1b has expired"}),
            "AuthenticationError",
            False,
        ),
        ((401, {}), "AuthenticationError", False),
        ((200, {"access_token": 7}), "AuthenticationError", False),
        ((500, {"error": "server_error"}), "NoConnection", True),
        ((429, b""), "NoConnection", True),
        (
            (400, {"error": SECRET, "error_description": f"the refresh token {SECRET} is not known"}),
            "AuthenticationError",
            False,
        ),
        ((200, b"[" * 100_000), "ProtocolError", False),
        ((200, b"<html>"), "ProtocolError", False),
        ((200, b"[1]"), "ProtocolError", False),
        ((302, b"", {"Location": "http://127.0.0.1:1/"}), "ProtocolError", False),
    ],
)
def test_a_token_server_that_gives_none(tokens, reply, kind, transient):
    tokens.replies = [reply]
    with pytest.raises(getattr(postroad, kind)) as e:
        source(tokens, client_secret=SECRET).token()
    assert (e.value.code, e.value.transient) == ("credentials_unavailable", transient)
    assert SECRET not in str(e.value)
    assert "\x1b" not in str(e.value)
    assert len(tokens.forms) == 1
    assert source(tokens).token() == "token-2"


def test_a_token_server_that_is_not_there():
    with pytest.raises(postroad.NoConnection) as e:
        oauth.refresh("http://127.0.0.1:1/", client_id="me", refresh_token=SECRET).token()
    assert e.value.transient


def test_an_application_gets_tokens_for_itself(tokens):
    s = oauth.client_credentials(tokens.url, client_id="me", client_secret=SECRET, scope="mail")
    assert s(REQUEST) == "token-1"
    assert tokens.forms[0][1] == {
        "grant_type": "client_credentials",
        "client_id": "me",
        "client_secret": SECRET,
        "scope": "mail",
    }


def test_a_user_logs_in_on_another_device(tokens, tmp_path):
    begun = {"device_code": "d", "user_code": "AB-12", "verification_uri": "https://x.example/d", "interval": 0}
    tokens.replies = [
        (200, begun),
        (400, {"error": "authorization_pending"}),
        (400, {"error": "authorization_pending"}),
        (200, {"access_token": "a", "expires_in": 3600, "refresh_token": SECRET}),
    ]
    shown = []
    s = oauth.device_login(
        tokens.url,
        device_url=tokens.base + "/device",
        client_id="me",
        scope="mail",
        store=tmp_path / "t.json",
        show=shown.append,
    )
    assert shown == ["Open https://x.example/d and enter the code AB-12"]
    assert s(REQUEST) == "a"
    assert [path for path, _ in tokens.forms] == ["/device", "/token", "/token", "/token"]
    assert tokens.forms[1][1]["device_code"] == "d"
    later = oauth.refresh(tokens.url, client_id="me", store=tmp_path / "t.json")
    assert later(REQUEST) == "a"
    later(refused("a"))
    assert tokens.forms[-1][1]["refresh_token"] == SECRET


@pytest.fixture
def command(tokens, tmp_path):
    """Runs postroad oauth for a file of tokens, and returns the status."""

    def run(step, *more, provider=tokens.url):
        store = str(tmp_path / "t.json")
        return main(["oauth", step, provider, "--client-id", "me", "--store", store, *more])

    return run


def test_the_command_logs_in_and_prints_tokens(tokens, command, capsys, monkeypatch):
    begun = {"device_code": "d", "user_code": "AB-12", "verification_uri": "https://x.example/d", "interval": 0}
    tokens.replies = [(200, begun), (200, {"access_token": "a", "expires_in": 1, "refresh_token": SECRET})]
    monkeypatch.setenv("POSTROAD_CLIENT_SECRET", "of-the-application")
    assert command("login", "--device-url", tokens.base + "/device", "--scope", "mail") == 0
    said = capsys.readouterr()
    assert "Open https://x.example/d and enter the code AB-12" in said.err
    assert said.out == ""
    assert command("token") == 0
    assert capsys.readouterr().out == "token-2\n"
    assert tokens.forms[-1][1]["refresh_token"] == SECRET
    assert tokens.forms[-1][1]["client_secret"] == "of-the-application"


def test_the_command_keeps_a_refresh_token_that_was_got_in_a_browser(tokens, command, capsys, monkeypatch):
    monkeypatch.setenv("POSTROAD_REFRESH_TOKEN", SECRET)
    assert command("login") == 0
    monkeypatch.delenv("POSTROAD_REFRESH_TOKEN")
    assert command("token") == 0
    assert capsys.readouterr().out == "token-1\n"


@pytest.mark.parametrize(
    ("step", "provider", "status", "says"),
    [
        ("login", "goggle", 64, "one of google, microsoft, or the URL of a token server"),
        ("login", "https://tokens.example/", 64, "give its --device-url or --login-url"),
        ("token", "microsoft", 77, "t.json has no tokens: run postroad oauth login"),
    ],
)
def test_a_login_that_cannot_be_says_what_to_do(command, capsys, step, provider, status, says):
    assert command(step, provider=provider) == status
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_a_login_that_is_refused_is_77(tokens, command, capsys):
    begun = {"device_code": "d", "user_code": "AB-12", "verification_uri": "https://x.example/d", "interval": 0}
    tokens.replies = [(200, begun), (400, {"error": "access_denied"})]
    assert command("login", "--device-url", tokens.base + "/d") == 77
    assert "access_denied" in capsys.readouterr().err


@pytest.mark.parametrize("reply", [{"error": "access_denied"}, {"error": "expired_token"}])
def test_a_user_may_refuse(tokens, reply):
    begun = {"device_code": "d", "user_code": "AB-12", "verification_uri": "https://x.example/d", "interval": 0}
    tokens.replies = [(200, begun), (400, reply)]
    with pytest.raises(postroad.AuthenticationError, match=reply["error"]):
        oauth.device_login(tokens.url, device_url=tokens.base + "/d", client_id="me", show=str)


def test_a_user_may_take_too_long(tokens):
    begun = {"device_code": "d", "user_code": "AB-12", "verification_uri": "x", "interval": 5, "expires_in": 1}
    tokens.replies = [(200, begun), (400, {"error": "authorization_pending"})]
    with pytest.raises(postroad.AuthenticationError, match="in time"):
        oauth.device_login(tokens.url, device_url=tokens.base + "/d", client_id="me", show=str)


@pytest.mark.parametrize(
    "call",
    [
        lambda: oauth.refresh("http://tokens.example/", client_id="me", refresh_token=SECRET),
        lambda: oauth.refresh("goggle", client_id="me", refresh_token=SECRET),
        lambda: oauth.refresh("google", client_id="me"),
        lambda: oauth.client_credentials("google", client_id="me", client_secret=SECRET),
        lambda: oauth.device_login("google", client_id="me"),
    ],
)
def test_what_cannot_be_is_invalid_input(call):
    with pytest.raises(postroad.InvalidInput) as e:
        call()
    assert SECRET not in str(e.value)


def test_known_providers_have_their_urls():
    google = oauth.refresh("google", client_id="me", refresh_token=SECRET)
    assert repr(google) == "<postroad.oauth.TokenSource at oauth2.googleapis.com>"
    microsoft = oauth.client_credentials("microsoft", client_id="me", client_secret=SECRET, tenant="a b/c")
    assert microsoft._url == "https://login.microsoftonline.com/a%20b%2Fc/oauth2/v2.0/token"
    assert microsoft._form["scope"] == "https://outlook.office365.com/.default"
    with pytest.raises(TypeError, match="pickled"):
        copy.copy(google)
    assert SECRET not in repr(oauth.Tokens(SECRET, 0.0, SECRET))


def test_a_mailer_takes_tokens(tokens):
    sink = testing.Sink(users={"ann": "token-2"}, mechanisms=["XOAUTH2"], auth_in_clear=True, require_auth=True)
    url = sink.url() + "?insecure_authentication=true"
    with sink, postroad.Mailer(url, user="ann", credentials=source(tokens)) as mail:
        mail.send(compose()).require_accepted()  # the first token was refused, the second not
        assert sink.counts["auth_attempts"] == 2


def test_a_mailer_says_why_there_is_no_token(tokens):
    tokens.replies = [(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})]
    sink = testing.Sink(users={"ann": "x"}, mechanisms=["XOAUTH2"], auth_in_clear=True, require_auth=True)
    url = sink.url() + "?insecure_authentication=true"
    with sink, postroad.Mailer(url, user="ann", credentials=source(tokens)) as mail:
        with pytest.raises(postroad.AuthenticationError, match="invalid_grant: Token has been expired") as e:
            mail.send(compose())
    assert e.value.code == "credentials_unavailable"


@pytest.mark.parametrize("lasts", ["NaN", "-Infinity", "1e400", "-5", '"nan"', "null", "[]", "1" + "0" * 400])
def test_a_life_that_cannot_be_is_an_hour(tokens, lasts):
    tokens.replies = [(200, b'{"access_token": "a", "expires_in": %s}' % lasts.encode())]
    s = source(tokens)
    assert [s.token(), s.token()] == ["a", "a"]
