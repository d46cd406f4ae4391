"""A login in a browser on this machine, at a small authorization server."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import re
import socket
import stat
import threading
import urllib.error
import urllib.parse
import urllib.request

import postroad
import pytest
from postroad import oauth
from postroad.__main__ import main

SECRET = "correct-horse-battery"


class AuthorizationServer:
    """Sends a browser back with a code, or with what `refuses` says, and gives tokens for the code to whom it is of."""

    def __init__(self):
        self.asked = {}
        self.forms = []
        self.refuses = {}
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
                back = owner.refuses or {"code": "a-code-that-is-long"}
                found = urllib.parse.urlencode({**back, "state": owner.asked["state"]})
                self.send_response(302)
                self.send_header("Location", f"{owner.asked['redirect_uri']}?{found}")
                self.end_headers()

            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                owner.forms.append(form)
                status, found = owner.tokens_for(form)
                octets = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{self.server.server_port}"
        self.token_url, self.login_url = f"{base}/token", f"{base}/authorize?hd=example.com"

    def tokens_for(self, form):
        proof = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        rightly = (
            form["code"] == "a-code-that-is-long"
            and challenge == self.asked["code_challenge"]
            and form["redirect_uri"] == self.asked["redirect_uri"]
            and form["client_id"] == self.asked["client_id"]
        )
        if not rightly:
            return 400, {"error": "invalid_grant", "error_description": f"bad code {form['code']}"}
        return 200, {"access_token": "token-1", "expires_in": 3600, "refresh_token": SECRET}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server():
    s = AuthorizationServer()
    yield s
    s.close()


class Browser:
    """Follows where the sentence for the user leads, on a thread as a browser would; `before` is called with the URL
    that the browser is to come back to, and the state."""

    def __init__(self, before=None):
        self.sentences = []
        self.page = None
        self.headers = {}
        self.before = before
        self.thread = threading.Thread(target=self.visit)

    def show(self, sentence):
        self.sentences.append(sentence)
        self.thread.start()

    def visit(self):
        url = re.search(r"http://\S+", self.sentences[0]).group()
        if self.before:
            asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
            self.before(asked["redirect_uri"], asked["state"])
        with urllib.request.urlopen(url, timeout=30) as reply:
            self.page, self.headers = reply.read().decode(), reply.headers


def login(server, browser, **more):
    return oauth.browser_login(
        server.token_url, **{"client_id": "me", "login_url": server.login_url, "show": browser.show, **more}
    )


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return reply.status
    except urllib.error.HTTPError as e:
        with e:
            return e.code


def test_a_user_logs_in_with_a_browser(server, tmp_path):
    browser, store = Browser(), tmp_path / "t.json"
    source = login(server, browser, scope="mail", client_secret="of-the-application", store=store)
    browser.thread.join(30)
    assert source.token() == "token-1"
    assert server.asked.pop("state")
    assert server.asked.pop("code_challenge")
    where = server.asked.pop("redirect_uri")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", where)
    assert server.asked == {
        "hd": "example.com",
        "client_id": "me",
        "scope": "mail",
        "response_type": "code",
        "code_challenge_method": "S256",
    }
    (form,) = server.forms
    assert len(form.pop("code_verifier")) >= 43
    assert form == {
        "grant_type": "authorization_code",
        "client_id": "me",
        "client_secret": "of-the-application",
        "code": "a-code-that-is-long",
        "redirect_uri": where,
    }
    assert "can be closed" in browser.page
    assert browser.headers["Referrer-Policy"] == "no-referrer"
    assert stat.S_IMODE(os.stat(store).st_mode) == 0o600
    assert json.loads(store.read_text())["refresh_token"] == SECRET
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(where).port), timeout=30).close()


def test_each_login_has_its_own_state_and_verifier(server):
    asked = []
    for _ in range(2):
        login(server, Browser())
        asked.append((server.asked["state"], server.asked["code_challenge"], server.forms[-1]["code_verifier"]))
    assert not set(asked[0]) & set(asked[1])


def test_what_others_send_to_the_port_ends_no_login(server):
    found = []

    def before(where, state):
        silent = socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(where).port))
        silent.sendall(b"GET / HT")  # and no more: browsers open connections ahead
        found.append(silent)
        found.extend(
            status_of(where + tail)
            for tail in ("favicon.ico", "", "?code=another&state=guessed", f"?state={state}", "?error=x&state=%ff")
        )

    browser = Browser(before)
    assert login(server, browser).token() == "token-1"
    assert found[1:] == [404, 400, 400, 400, 400]
    assert [form["code"] for form in server.forms] == ["a-code-that-is-long"]
    found[0].close()


def test_a_user_may_refuse(server):
    server.refuses = {"error": "access_denied", "error_description": "no,\nthanks"}
    with pytest.raises(postroad.AuthenticationError, match="access_denied: no,") as raised:
        login(server, Browser())
    assert "\n" not in str(raised.value)
    assert server.forms == []


def test_a_user_may_take_too_long(server):
    with pytest.raises(postroad.AuthenticationError, match="nobody logged in in time"):
        oauth.browser_login(
            server.token_url, client_id="me", login_url=server.login_url, show=lambda _: None, patience=0.1
        )


def test_a_code_that_is_refused_is_in_no_text(server):
    server.tokens_for = lambda form: (400, {"error": "invalid_grant", "error_description": f"bad {form['code']}"})
    with pytest.raises(postroad.AuthenticationError, match="invalid_grant") as raised:
        login(server, Browser())
    assert "a-code-that-is-long" not in str(raised.value)


def test_nobody_logs_in_for_a_store_that_cannot_be(server, tmp_path):
    shown = []
    with pytest.raises(FileNotFoundError):
        login(server, Browser(), store=tmp_path / "none" / "t.json", show=shown.append)
    assert shown == []


def test_a_provider_has_a_page_to_log_in_at_or_is_told_it(server):
    with pytest.raises(postroad.InvalidInput, match="login_url is not given"):
        oauth.browser_login(server.token_url, client_id="me")
    with pytest.raises(postroad.InvalidInput, match="https"):
        oauth.browser_login(server.token_url, client_id="me", login_url="http://accounts.example/")


@pytest.mark.parametrize(
    ("provider", "options", "page"),
    [
        ("google", [], "https://accounts.google.com/o/oauth2/v2/auth"),
        (
            "microsoft",
            ["--browser", "--tenant", "a b"],
            "https://login.microsoftonline.com/a%20b/oauth2/v2.0/authorize",
        ),
    ],
)
def test_known_providers_have_a_page_to_log_in_at(provider, options, page, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(oauth._browser_login, "ask", lambda begin, form, show, _: show(f"{begin} {sorted(form)}"))
    store = str(tmp_path / "t.json")
    assert main(["oauth", "login", provider, "--client-id", "me", "--store", store, *options]) == 77
    said = capsys.readouterr().err
    assert page in said
    assert ("access_type" in said) == (provider == "google")


def test_the_command_logs_in_with_a_browser(server, tmp_path, capsys, monkeypatch):
    browser, store = Browser(), str(tmp_path / "t.json")
    monkeypatch.setattr("postroad._oauth_cli.aside", browser.show)
    place = [server.token_url, "--client-id", "me", "--store", store]
    assert main(["oauth", "login", *place, "--login-url", server.login_url]) == 0
    assert main(["oauth", "token", *place]) == 0
    assert capsys.readouterr().out == "token-1\n"
    assert browser.sentences[0].startswith("Open in a browser on this machine: ")


def test_two_ways_to_log_in_contradict_each_other(server, tmp_path, capsys):
    place = [server.token_url, "--client-id", "me", "--store", str(tmp_path / "t.json")]
    assert main(["oauth", "login", *place, "--login-url", server.login_url, "--device-url", server.login_url]) == 64
    assert "--device-url" in capsys.readouterr().err
