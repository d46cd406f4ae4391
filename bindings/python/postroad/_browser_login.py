"""The part of a login that a browser on this machine plays (RFC 8252): it is sent to the provider, and comes back to a
port of this program with a code (RFC 6749 section 4.1), which is of use to who made the question only (RFC 7636)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.server
import queue
import secrets
import threading
import urllib.parse
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, Mapping, Optional, Tuple

_SILENCE = 30.0
_PAGE = """<!doctype html><meta charset=utf-8><title>postroad</title>
<p>{}</p>
"""


@dataclass(frozen=True)
class Answer:
    """What the browser came back with."""

    given: Mapping[str, str]
    """`code`, or `error` and `error_description`."""
    redirect_uri: str
    verifier: str


def ask(begin: str, form: Mapping[str, str], show: Callable[[str], object], patience: float) -> Optional[Answer]:
    """Shows a sentence with the page to open, and waits for the browser to come back.

    begin: the URL of the authorization endpoint.
    form: what it is asked beside what RFC 8252 and RFC 7636 want.
    patience: seconds; None is returned after these.
    """
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    answers: queue.Queue[Dict[str, str]] = queue.Queue()
    with _serving(state, answers) as server:
        where = f"http://127.0.0.1:{server.server_port}/"
        question = {
            **form,
            "response_type": "code",
            "redirect_uri": where,
            "state": state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        show(f"Open in a browser on this machine: {_with(begin, question)}")
        try:
            return Answer(answers.get(timeout=patience), where, verifier)
        except queue.Empty:
            return None


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _with(url: str, question: Mapping[str, str]) -> str:
    parts = urllib.parse.urlsplit(url)
    added = urllib.parse.urlencode(question, quote_via=urllib.parse.quote)
    return parts._replace(query=f"{parts.query}&{added}" if parts.query else added, fragment="").geturl()


class _Server(http.server.ThreadingHTTPServer):
    """On a free port of this machine. Browsers open connections that they do not use: each has a thread."""

    def __init__(self, state: str, answers: queue.Queue[Dict[str, str]]) -> None:
        self.state = state
        self.answers = answers
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away is nobody's trouble."""


@contextlib.contextmanager
def _serving(state: str, answers: queue.Queue[Dict[str, str]]) -> Iterator[_Server]:
    with _Server(state, answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _SILENCE
    server: _Server
    server_version = "postroad"
    sys_version = ""

    def do_GET(self) -> None:
        """The browser comes back, or asks for a picture of the page; others may come who know no `state`."""
        url = urllib.parse.urlsplit(self.path)
        given = dict(urllib.parse.parse_qsl(url.query))
        if url.path != "/":
            self._say(404, "There is nothing here.")
        elif not hmac.compare_digest(given.get("state", "").encode(), self.server.state.encode()):
            self._say(400, "This is not what the login that waits here asked for. Open its page again.")
        elif not given.get("code") and not given.get("error"):
            self._say(400, "There is no answer in this. Open the page of the login again.")
        else:
            self._say(200, "This page can be closed. The program that asked says how the login ended.")
            self.server.answers.put(given)

    def _say(self, status: int, text: str) -> None:
        octets = _PAGE.format(text).encode()
        headers: Tuple[Tuple[str, str], ...] = (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(octets))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("Connection", "close"),
        )
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_: object) -> None:
        """The line of a request has the code."""
