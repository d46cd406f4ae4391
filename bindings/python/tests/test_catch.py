"""postroad catch, as a process: what it takes, what the API and the page say of it; hostile mail does nothing."""

from __future__ import annotations

import contextlib
import gc
import http.server
import json
import os
import shutil
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import postroad
import pytest
from postroad.__main__ import main
from postroad.catch import _listening
from postroad.catch._mail import Mail
from postroad.catch._store import Store

for module in ("starlette", "uvicorn", "aiosmtpd"):
    pytest.importorskip(module)

HEAD = b"From: Ann <ann@example.com>\r\nTo: bob@example.org\r\nSubject: %s\r\n"
PNG = b"\x89PNG\r\n\x1a\n0000"


class Catch:
    def __init__(self, *options):
        command = [
            sys.executable,
            "-m",
            "postroad",
            "catch",
            "--smtp",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            *options,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.mail = self.process.stdout.readline().split()[-1]
        self.page = self.process.stdout.readline().split()[-1]

    def send(self, octets, to="bob@example.org"):
        host, _, port = self.mail.partition("://")[2].rpartition(":")
        with smtplib.SMTP(host, int(port)) as s:
            s.sendmail("ann@example.com", [to], octets)

    def ask(self, path, method="GET", **headers):
        request = urllib.request.Request(self.page + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as r:
                return r.status, r.headers, r.read()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.headers, e.read()

    def json(self, path, method="GET"):
        return json.loads(self.ask(path, method)[2])

    def latest(self):
        return self.json("api/messages?limit=1")["messages"][0]["id"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.communicate(timeout=60)[1] == ""
        return self.process.returncode


@pytest.fixture(scope="module")
def running():
    catch = Catch()
    yield catch
    assert catch.stop() == 0


@pytest.fixture
def catch(running):
    running.json("api/messages", "DELETE")
    return running


def test_what_is_sent_is_shown(catch):
    m = postroad.Message(
        from_="Ann <ann@example.com>",
        to="bob@example.org",
        subject="Grüße",
        text="Hello",
        html="<img src='cid:logo' alt=''><a href='https://x.example/'>x</a>",
    )
    m.attach(PNG, name="logo.png", content_id="logo", inline=True)
    m.attach(b"%PDF", name='a "b".pdf')
    with postroad.Mailer(catch.mail) as mail:
        mail.send(m, recipients=["bob@example.org", "cid@example.org"]).require_accepted()
    found = catch.json("api/messages")
    assert found["total"] == 1
    (summary,) = found["messages"]
    assert (summary["subject"], summary["from"]) == ("Grüße", "Ann <ann@example.com>")
    assert summary["recipients"] == ["bob@example.org", "cid@example.org"]
    detail = catch.json(f"api/messages/{summary['id']}")
    assert detail["text"].strip() == "Hello"
    assert detail["links"] == ["https://x.example/"]
    assert [(p["name"], p["picture"]) for p in detail["parts"]] == [("logo.png", True), ('a "b".pdf', False)]
    one = f"api/messages/{summary['id']}"
    _, headers, page = catch.ask(f"{one}/html")
    assert b"src='parts/0'" in page
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "http: https:" not in policy
    assert "http: https:" in catch.ask(f"{one}/html?remote=1")[1]["Content-Security-Policy"]
    _, headers, octets = catch.ask(f"{one}/parts/0")
    assert (headers["Content-Type"], octets) == ("image/png", PNG)
    _, headers, octets = catch.ask(f"{one}/parts/1")
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%20%22b%22.pdf"
    assert b"Subject: " in catch.ask(f"{one}/source")[2]
    assert catch.ask(f"{one}/parts/9")[0] == 404


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_program_may_wait_for_the_challenges(catch, mechanism, initial):
    host, _, port = catch.mail.partition("://")[2].rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=60) as s:
        s.ehlo()
        s.user, s.password = "shop", "secret"
        s.auth(mechanism, getattr(s, f"auth_{mechanism.lower()}"), initial_response_ok=initial)
        s.sendmail("ann@example.com", ["bob@example.org"], HEAD % b"x" + b"\r\nx\r\n")
    assert catch.json("api/messages")["total"] == 1


def test_a_program_that_logs_in_is_let_in(catch):
    url = catch.mail.replace("://", "://shop:secret@") + "?insecure_authentication=true"
    with postroad.Mailer(url) as mail:
        mail.send(HEAD % b"x" + b"\r\nx\r\n").require_accepted()
    assert catch.json("api/messages")["total"] == 1


def test_search_finds_all_the_words_in_any_case(catch):
    for subject, text in ((b"Invoice 7", b"Tea for Koeln"), (b"Invoice 8", b"Coffee"), (b"Letter", b"tea")):
        catch.send(HEAD % subject + b"\r\n" + text + b"\r\n")

    def subjects(words):
        return [m["subject"] for m in catch.json(f"api/messages?q={words}")["messages"]]

    assert subjects("TEA") == ["Letter", "Invoice 7"]
    assert subjects("invoice+tea") == ["Invoice 7"]
    assert subjects("%25") == []
    assert subjects("bob@example.org") == ["Letter", "Invoice 8", "Invoice 7"]


def test_a_list_comes_in_pages(catch):
    for n in range(5):
        catch.send(HEAD % str(n).encode() + b"\r\nx\r\n")
    first = catch.json("api/messages?limit=3")
    rest = catch.json(f"api/messages?limit=3&before={first['messages'][-1]['id']}")
    assert [m["subject"] for m in first["messages"] + rest["messages"]] == ["4", "3", "2", "1", "0"]
    assert (first["total"], rest["total"]) == (5, 5)
    assert catch.ask("api/messages?limit=x")[0] == 400


def test_what_is_deleted_is_gone(catch):
    catch.send(HEAD % b"x" + b"\r\nx\r\n")
    number = catch.latest()
    assert catch.json(f"api/messages/{number}", "DELETE") == {"deleted": 1}
    for path in ("", "/html", "/source", "/parts/0"):
        assert catch.ask(f"api/messages/{number}{path}")[0] == 404
    assert catch.ask(f"api/messages/{number}", "DELETE")[0] == 404


def test_the_page_is_told_as_it_happens(catch):
    host, _, port = catch.page.partition("://")[2].rstrip("/").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as s, s.makefile("rb") as lines:
        s.sendall(f"GET /api/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        while b": hello" not in lines.readline():
            pass
        catch.send(HEAD % b"News" + b"\r\nx\r\n")
        catch.json(f"api/messages/{catch.latest()}", "DELETE")
        told = []
        while len(told) < 4:
            line = lines.readline().strip()
            if line.startswith((b"event:", b"data:")):
                told.append(line)
    assert told[0] == b"event: caught"
    assert json.loads(told[1][6:])["subject"] == "News"
    assert told[2] == b"event: deleted"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Host": "evil.example"}, 403),
        ("GET", {"Host": "evil.example:8025"}, 403),
        ("GET", {"Host": "localhost:8025"}, 200),
        ("GET", {"Host": "[::1]:8025"}, 200),
        ("GET", {"Host": "192.0.2.7"}, 200),
        ("DELETE", {"Origin": "https://evil.example"}, 403),
        ("DELETE", {"Origin": "null"}, 403),
        ("DELETE", {"Host": "localhost", "Origin": "http://localhost"}, 200),
        ("DELETE", {}, 200),
    ],
)
def test_pages_of_others_get_nothing(catch, method, headers, status):
    assert catch.ask("api/messages", method, **headers)[0] == status


def test_a_number_that_is_too_long_for_one_is_404(catch):
    for path in ("9" * 5000, "1/parts/" + "9" * 5000):
        assert catch.ask(f"api/messages/{path}")[0] == 404


@pytest.mark.parametrize("number", [0, 1 << 63, 10**30])
def test_what_is_not_there_is_404_whatever_its_number(catch, number):
    one = f"api/messages/{number}"
    assert [catch.ask(f"{one}{path}")[0] for path in ("", "/html", "/source", "/parts/0")] == [404] * 4
    assert catch.ask(one, "DELETE")[0] == 404
    assert catch.json(f"api/messages?before={number}")["messages"] == []
    assert catch.json(f"api/messages?before=-{number}")["messages"] == []


@pytest.mark.parametrize(
    "fault", [b"[" * 100_000, b'{"fault": ["x"]}', b'{"fault": "\\ud800:1:x"}', b"[]", b"", b"\xff"]
)
def test_what_is_no_fault_is_told(catch, fault):
    request = urllib.request.Request(f"{catch.page}api/faults", fault, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as answer:
        assert answer.code == 400
        assert json.load(answer)["error"]


def test_the_page_itself_runs_only_its_own_script(catch):
    _, headers, page = catch.ask("")
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert b"<script src" in page
    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css")):
        status, headers, _ = catch.ask(name)
        assert (status, headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
    assert b"innerHTML" not in catch.ask("page.js")[2]


HOSTILE = {
    "no header": b"\r\nx",
    "nothing": b"",
    "not utf-8": b"Subject: \xff\xfe\r\nFrom: \xe9@\xe9\r\n\r\n\x80\x81",
    "charset": HEAD % b"x" + b"Content-Type: text/html; charset=no-such\r\n\r\n<p>\xff",
    "charset with nul": HEAD % b"x" + b'Content-Type: text/html; charset="a\0b"\r\n\r\n<p>x',
    "codec that is no text": HEAD % b"x" + b"Content-Type: text/html; charset=zlib\r\n\r\n<p>x",
    "encoded word": HEAD % b"=?utf-8?b?=/?= =?x?q?=?= =?utf-8?q?=FF=FE?=" + b"\r\nx",
    "addresses": b"From: <<<>>>\r\nTo: :;:;,,,@\r\nSubject: x\r\n\r\nx",
    "base64": HEAD % b"x" + b"Content-Transfer-Encoding: base64\r\n\r\n*** not base64 ***",
    "no such encoding": HEAD % b"x" + b"Content-Transfer-Encoding: none\r\n\r\nx",
    "no boundary": HEAD % b"x" + b"Content-Type: multipart/mixed\r\n\r\nx",
    "open multipart": HEAD % b"x" + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx",
    "nested": HEAD % b"x"
    + b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(60)),
    "nested deeply": HEAD % b"x"
    + b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(1200)),
    "messages in messages": HEAD % b"x" + b"Content-Type: message/rfc822\r\n\r\n" * 3000,
    "comments": b"From: " + b"(" * 3000 + b"\r\nSubject: x\r\n\r\nx",
    "long addresses": HEAD % b"x" + b'To: "' + b'"' * 50_000 + b"\r\n\r\nx",
    "file name": HEAD % b"x"
    + b"Content-Type: a/b; name*0*=utf-8''%FF; name*9=x\r\nContent-Disposition: attachment; filename=\"../../\r\n x\0\""
    + b"\r\n\r\nx",
    "date": HEAD % b"x" + b"Date: Tue, 99 Foo 99999 99:99:99 +9999\r\nMessage-ID: <>>><\r\n\r\nx",
    "long header": HEAD % (b"x" * 200_000) + b"\r\nx",
    "many fields": HEAD % b"x" + b"X-A: b\r\n" * 5000 + b"\r\nx",
    "markup": HEAD % b"<script>alert(1)</script>"
    + b"Content-Type: text/html\r\n\r\n<a href='javascript:alert(1)'>x</a><!--",
    "lone surrogates": HEAD % b"=?utf-8?b?7aCA?=" + b"\r\n\xed\xa0\x80",
    "surrogates of utf-7": HEAD % b"x"
    + b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA- https://x.example/+2AA-/",
    "surrogates in a link": HEAD % b"x"
    + b"Content-Type: text/html; charset=utf-7\r\n\r\n<a href='http://x/+2AA-'>x</a>",
    "parameter that ends early": HEAD % b"=?utf-8?q?J=C3=B6rg?=" + b"Content-Type: text/plain; name*\r\n\r\nx",
    "open tags": HEAD % b"x" + b"Content-Type: text/html\r\n\r\n" + b"<meta " * 200_000,
    "large": HEAD % b"x" + b"Content-Type: text/html\r\n\r\n" + b"<div><p>Hello &amp; <b>x</b>\r\n" * 350_000,
}


def test_a_field_is_never_shown_in_part():
    mail = Mail(HEAD % b"x" + b"Cc: " + b"bob@y.example, " * 500 + b"last@y.example\r\n\r\nx")
    assert mail.field("Cc").endswith("last@y.example")
    assert "last@y.example" in mail.searched()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_shown_like_any_other(name):
    mail = Mail(HOSTILE[name])
    store = Store()
    number = store.add("a@x.example", ["b@x.example"], mail)
    total, (summary,) = store.list()
    assert (total, summary["id"]) == (1, number)
    json.dumps(store.get(number)[3].detail("a@x.example", ["b@x.example"]), ensure_ascii=False).encode()
    mail.page().encode("utf-8", "replace")
    store.close()


def test_a_recipient_that_is_no_text_hides_nothing(catch):
    host, _, port = catch.mail.partition("://")[2].rpartition(":")
    with smtplib.SMTP(host, int(port)) as s:
        s.ehlo()
        s.docmd("MAIL FROM:<a@x.example>")
        s.sock.sendall(b"RCPT TO:<b\xff@x.example>\r\n")
        assert s.getreply()[0] == 250
        assert s.data(HEAD % b"x" + b"\r\nx")[0] == 250
    (found,) = catch.json("api/messages")["messages"]
    assert found["recipients"] == ["b?@x.example"]
    assert catch.json(f"api/messages/{found['id']}")["envelope"]["recipients"] == ["b?@x.example"]


def test_a_message_that_only_the_older_parser_reads_has_its_fields():
    assert Mail(HOSTILE["parameter that ends early"]).summary()["subject"] == "J\u00f6rg"


def test_the_api_shows_hostile_mail(catch):
    for octets in HOSTILE.values():
        if octets and len(octets) < 10_000 and b"\0" not in octets:
            with contextlib.suppress(smtplib.SMTPException):
                catch.send(octets)
                one = f"api/messages/{catch.latest()}"
                assert [catch.ask(f"{one}{path}")[0] for path in ("", "/html", "/source")] == [200] * 3
    assert catch.json("api/messages")["total"] > 10


@pytest.mark.parametrize(
    ("change", "grade", "says"),
    [
        ((b"", b""), "bad", "Date is missing"),
        ((b"ann@example.com>", b"ann@other.example>"), "notice", "DMARC"),
        (
            (b"\r\n\r\n", b"\r\nContent-Type: text/html\r\n\r\n<img src=//x.example/a>"),
            "notice",
            "images without alt: 1",
        ),
        ((b"\r\n\r\n", b"\r\nContent-Type: text/html\r\n\r\n<a href='http://x'>"), "notice", "http, not https: 1"),
        ((b"\r\n\r\n", b"\r\nContent-Type: text/html\r\n\r\n<p>"), "notice", "no text"),
        ((b"\r\n\r\n", b"\r\nList-Unsubscribe: <mailto:a@x>\r\n\r\n"), "notice", "no https link"),
        ((b"\r\n\r\n", b"\r\nList-Unsubscribe: <https://x/>\r\n\r\n"), "notice", "One-Click is missing"),
        (
            (
                b"\r\n\r\n",
                b"\r\nList-Unsubscribe: <https://x/>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n",
            ),
            "good",
            "one click",
        ),
        ((b"\r\n\r\n", b"\r\n\r\n" + b"x" * 1500), "notice", "a line has"),
    ],
)
def test_checks(change, grade, says):
    octets = (HEAD % b"x" + b"\r\nx\r\n").replace(*change) if change[0] else HEAD % b"x" + b"\r\nx\r\n"
    checks = Mail(octets).detail("ann@example.com", [])["checks"]
    assert any(c["grade"] == grade and says in c["text"] for c in checks), checks


def test_only_the_latest_are_kept():
    store = Store(keep=3)
    told = []
    store.listen(lambda what, about: told.append((what, about)))
    for n in range(5):
        store.add("a@x.example", [], Mail(HEAD % str(n).encode() + b"\r\nx"))
    assert [m["subject"] for m in store.list()[1]] == ["4", "3", "2"]
    assert [about for what, about in told if what == "deleted"] == [[1], [2]]
    store.close()


def test_a_file_of_something_else_is_not_kept_open(tmp_path):
    (tmp_path / "x.txt").write_text("x" * 4096)
    with pytest.raises(sqlite3.DatabaseError):
        Store(str(tmp_path / "x.txt"))
    gc.collect()


def test_ten_thousand_are_searched():
    store = Store()
    mails = [Mail(HEAD % f"Number {n}".encode() + b"\r\nHello.\r\n") for n in range(100)]
    for n in range(10_000):
        store.add("a@x.example", [f"p{n}@x.example"], mails[n % 100])
    assert store.list("p9999@x.example number 99")[0] == 1
    total, found = store.list("hello", limit=100)
    assert (total, len(found)) == (10_000, 100)
    store.close()


def test_a_page_that_is_open_lets_it_end_without_a_word():
    catch = Catch()
    with urllib.request.urlopen(catch.page + "api/events", timeout=60) as events:
        assert events.readline() == b": hello\n"
        catch.process.send_signal(signal.SIGINT)
        assert catch.process.communicate(timeout=60)[1] == ""
        assert b"Traceback" not in events.read()
    assert catch.process.returncode == 0


def test_a_file_keeps_messages(tmp_path):
    file = str(tmp_path / "mail.db")
    for n in (1, 2):
        catch = Catch("--store", file)
        catch.send(HEAD % b"x" + b"\r\nx\r\n")
        assert catch.json("api/messages")["total"] == n
        assert catch.stop() == 0


def test_a_line_that_is_too_long_is_caught_and_said(catch):
    for length in (998, 999, 100_000):
        catch.send(b"Subject: long\r\n\r\n" + b"x" * length + b"\r\n")
        texts = [c["text"] for c in catch.json(f"api/messages/{catch.latest()}")["checks"]]
        found = [t for t in texts if t.startswith("a line has")]
        assert found == ([f"a line has {length} octets, of 998 that SMTP allows"] if length > 998 else [])


def test_a_message_that_is_too_large_is_refused():
    catch = Catch("--max-size", "1000")
    with pytest.raises(smtplib.SMTPException):
        catch.send(HEAD % b"x" + b"\r\n" + b"x\r\n" * 1000)
    assert catch.json("api/messages")["total"] == 0
    catch.stop()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--smtp", "here"], "write HOST:PORT"),
        (["--http", "127.0.0.1:x"], "write HOST:PORT"),
        (["--smtp", "127.0.0.1:99999"], "write HOST:PORT"),
    ],
)
def test_a_place_that_is_none_is_refused(capsys, arguments, says):
    assert main(["catch", *arguments]) == 64
    assert says in capsys.readouterr().err


def test_a_fault_that_is_none_is_refused_before_it_listens(capsys):
    assert main(["catch", "--smtp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--fault", "bogus"]) == 64
    said = capsys.readouterr()
    assert 'fault "bogus": the phase must be' in said.err
    assert said.out == ""


def test_a_port_that_is_taken_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["catch", "--smtp", f"127.0.0.1:{port}"]) == 69
    assert "Address already in use: name another, such as 127.0.0.1:0" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64, "\u00e4" * 64])
def test_a_host_that_is_not_known_is_named(capsys, host):
    assert main(["catch", "--smtp", f"{host}:25"]) == 69
    assert f"{host} is not known: name another, such as 127.0.0.1:0" in capsys.readouterr().err


def test_without_a_host_it_listens_for_this_machine():
    with _listening("--http", ":0") as found:
        assert found.getsockname()[0] == "127.0.0.1"


def test_a_package_that_is_missing_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["catch"]) == 69
    assert "pip install 'postroad[catch]'" in capsys.readouterr().err


ATTACK = """<html><head><meta http-equiv=refresh content="0;url={c}/refresh"><link rel=stylesheet href="{c}/css">
<link rel=preconnect href="{c}"><link rel=prefetch href="{c}/prefetch"><base href="{c}/base/">
<style>@import url({c}/import);
body {{background: url({c}/background)}}
@font-face {{font-family: f; src: url({c}/font)}}
p {{font-family: f}}</style><script>fetch("{c}/script"); top.document.title = "taken"</script>
<script src="{c}/script-src"></script></head><body onload="fetch('{c}/onload')" background="{c}/body"><p>Hello</p>
<img src="{c}/img" onerror="fetch('{c}/onerror')"><img srcset="{c}/srcset 1x">
<picture><source srcset="{c}/source"><img></picture>
<iframe src="{c}/iframe"></iframe><iframe srcdoc="<script>fetch('{c}/srcdoc')</script>"></iframe>
<object data="{c}/object"></object>
<embed src="{c}/embed"><video src="{c}/video" poster="{c}/poster" autoplay></video>
<audio src="{c}/audio" autoplay></audio>
<svg onload="fetch('{c}/svg')"><image href="{c}/svg-image"/><use href="{c}/use#a"/></svg>
<form id=f action="{c}/form"><input autofocus onfocus="fetch('{c}/focus')"><button>x</button></form>
<script>f.submit()</script>
<a id=a href="{c}/link" ping="{c}/ping" target=_top style="position:fixed;inset:0">everything is a link</a>"""


class Browser:
    """A headless Chromium, which script/bootstrap installs."""

    def __init__(self):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        program = shutil.which("chromedriver")
        assert program, "chromedriver is missing: run script/bootstrap"
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.add_argument("--window-size=1200,800")
        self.driver = webdriver.Chrome(options=options, service=Service(program))

    def all(self, css):
        return self.driver.find_elements("css selector", css)

    def one(self, css):
        return self.until(lambda: self.all(css))[0]

    def until(self, what, patience=60):
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        # the page may make its list anew while that is read
        renewed = [StaleElementReferenceException]
        return WebDriverWait(self.driver, patience, ignored_exceptions=renewed).until(lambda _: what())

    def script(self, text):
        return self.driver.execute_script(text)


@pytest.fixture(scope="module")
def browser():
    b = Browser()
    yield b
    b.driver.quit()


def test_in_a_browser_hostile_html_neither_runs_nor_loads(catch, browser):
    asked = []

    class Canary(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    canary = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Canary)
    threading.Thread(target=canary.serve_forever, daemon=True).start()
    html = ATTACK.format(c=f"http://127.0.0.1:{canary.server_port}").replace("\n", "\r\n")
    catch.send(HEAD % b"<img src=x onerror=alert(1)>" + b"Content-Type: text/html\r\n\r\n" + html.encode())
    driver = browser.driver
    try:
        driver.get(f"{catch.page}#{catch.latest()}")
        driver.switch_to.frame(browser.one("iframe"))
        browser.one("#a").click()
        driver.switch_to.default_content()
        assert browser.one("#subject").text == "<img src=x onerror=alert(1)>"
        browser.until(lambda: driver.title == "(1) postroad catch")
        browser.one("[data-tab=Links]").click()
        browser.until(lambda: any("/link" in td.text for td in browser.all("#body td")))
        catch.send(HEAD % b"The second" + b"\r\nx\r\n")
        browser.until(lambda: len(browser.all("nav a")) == 2)
        assert asked == []
    finally:
        canary.shutdown()
        canary.server_close()


def test_in_a_browser_the_page_works_below_the_path_of_a_proxy(catch, browser):
    asked = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if not self.path.startswith("/mail/"):
                self.send_error(404)
                return
            request = urllib.request.Request(catch.page + self.path[6:], headers={"Host": self.headers["Host"]})
            with urllib.request.urlopen(request, timeout=60) as r, contextlib.suppress(OSError):
                self.send_response(r.status)
                for name in ("Content-Type", "Content-Security-Policy"):
                    if r.headers[name]:
                        self.send_header(name, r.headers[name])
                self.end_headers()
                while octets := r.read1(65536):
                    self.wfile.write(octets)

        def log_message(self, *_):
            pass

    m = postroad.Message(from_="a@x.example", to="b@x.example", subject="One", html="<img src='cid:logo' alt=''>")
    m.attach(PNG, name="logo.png", content_id="logo", inline=True)
    with postroad.Mailer(catch.mail) as mail:
        mail.send(m).require_accepted()
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    one = catch.latest()
    try:
        browser.driver.get(f"http://127.0.0.1:{proxy.server_port}/mail/#{one}")
        browser.until(lambda: f"/mail/api/messages/{one}/parts/0" in asked)
        assert browser.one("#subject").text == "One"
        browser.until(lambda: "/mail/api/events" in asked)
        catch.send(HEAD % b"Two" + b"\r\nx\r\n")
        browser.until(lambda: len(browser.all("nav a")) == 2)
        assert [path for path in asked if not path.startswith("/mail/") and path != "/favicon.ico"] == []
    finally:
        browser.driver.get("about:blank")
        proxy.shutdown()
        proxy.server_close()


def test_in_a_browser_the_page_stays_usable_with_all_the_hostile_mail(catch, browser):
    for octets in HOSTILE.values():
        if octets and b"\0" not in octets:
            with contextlib.suppress(smtplib.SMTPException):
                catch.send(octets)
    everything = catch.json("api/messages")["messages"]
    assert len(everything) > 12
    browser.driver.get(catch.page)
    browser.until(lambda: len(browser.all("nav a")) == len(everything))
    for m in everything:
        browser.script(f"location.hash = {m['id']}")
        browser.until(lambda m=m: browser.all(f"nav a[aria-current=true][data-id='{m['id']}']"))
        clicked = """return [...document.querySelectorAll("[role=tab]:not([disabled])")].map(
            (tab) => { tab.click(); return tab.getAttribute("aria-selected"); })"""
        assert set(browser.script(clicked)) == {"true"}
    assert browser.driver.title == f"({len(everything)}) postroad catch"


# 10,000 take the browser minutes.
CAUGHT = int(os.environ.get("POSTROAD_CAUGHT", 2_000))


def test_in_a_browser_thousands_scroll_and_are_searched(tmp_path, browser):
    file = str(tmp_path / "mail.db")
    store = Store(file)
    store._db.execute("BEGIN")
    mails = [Mail(HEAD % f"Number {n}".encode() + b"\r\nHello.\r\n") for n in range(100)]
    for n in range(CAUGHT):
        store.add("a@x.example", [f"p{n}@x.example"], mails[n % 100])
    store._db.execute("COMMIT")
    store.close()
    catch = Catch("--store", file)
    try:
        browser.driver.get(catch.page)
        browser.until(lambda: browser.one("#count").text == f"{CAUGHT:,} messages")
        # each hundred that comes is scrolled through
        browser.script("""const list = document.getElementById("list");
            const down = () => { list.scrollTop = list.scrollHeight; };
            new MutationObserver(down).observe(list, { childList: true });
            down();""")
        browser.until(lambda: browser.script("return document.querySelectorAll('nav a').length") == CAUGHT, 600)
        assert len(set(browser.script("return [...document.querySelectorAll('nav a')].map(a => a.hash)"))) == CAUGHT
        browser.one("#search").send_keys("p1321@x.example number")
        browser.until(lambda: browser.one("#count").text == "1 message")
        browser.until(lambda: [b.text for b in browser.all("nav b")] == ["Number 21"])
    finally:
        assert catch.stop() == 0


@pytest.fixture
def relayed(make_server):
    server = make_server(replies={"RCPT TO:<no@": "550 5.1.1 no such user"})
    catch = Catch("--relay", server.url)
    yield catch, server
    assert catch.stop() == 0


def released(catch, body=None, status=200):
    path = f"api/messages/{catch.latest()}/release"
    request = urllib.request.Request(catch.page + path, method="POST", data=body)
    try:
        with urllib.request.urlopen(request, timeout=60) as r:
            assert r.status == status
            return json.load(r)
    except urllib.error.HTTPError as e:
        found = e
    with found:
        assert found.code == status
        return json.load(found)


def test_a_message_is_released_as_it_came(relayed):
    catch, server = relayed
    octets = HEAD % b"x" + b"\r\n..two dots\r\n"
    catch.send(octets)
    (recipient,) = released(catch)["recipients"]
    assert (recipient["recipient"], recipient["status"], recipient["code"]) == ("bob@example.org", "accepted", 250)
    (got,) = server.messages
    assert (got.sender, got.recipients, got.content) == ("ann@example.com", ["bob@example.org"], octets)
    released(catch, b'{"recipients": ["cid@example.org"]}')
    assert server.messages[1].recipients == ["cid@example.org"]
    assert catch.json("api/messages")["total"] == 1


def test_a_relay_of_an_account_is_trusted_by_its_ca_file(start_sink, tmp_path, monkeypatch):
    ca = tmp_path / "ca.pem"
    sink = start_sink("--starttls", "--ca-out", str(ca))
    config = tmp_path / "postroad.toml"
    config.write_text(f'[accounts.a]\nurl = "smtp://localhost:{sink.port}"\nca_file = "{ca}"\n')
    monkeypatch.setenv("POSTROAD_CONFIG", str(config))
    catch = Catch("--account", "a")
    try:
        catch.send(HEAD % b"x" + b"\r\nx")
        assert catch.ask(f"api/messages/{catch.latest()}/release", "POST")[0] == 200
    finally:
        catch.stop()


def test_what_is_not_released_says_why(relayed):
    catch, server = relayed
    catch.send(HEAD % b"x" + b"\r\nx\r\n")
    answer = released(catch, b'{"recipients": ["no@example.org"]}', 502)
    (recipient,) = answer["recipients"]
    assert (recipient["status"], recipient["code"], recipient["text"]) == ("rejected", 550, "no such user")
    for body in (b"x", b"[]", b'{"recipients": "bob@example.org"}', b'{"recipients": []}', b'{"recipients": ["a b"]}'):
        assert released(catch, body, 400)["error"]
    assert catch.ask("api/messages/99/release", "POST")[0] == 404
    assert catch.ask("api/messages/1/release", "POST", Origin="https://evil.example")[0] == 403
    assert server.messages == []


def test_a_relay_that_is_away_is_named(closed_port):
    catch = Catch("--relay", f"smtp+insecure://127.0.0.1:{closed_port}")
    catch.send(HEAD % b"x" + b"\r\nx\r\n")
    assert f"127.0.0.1:{closed_port}" in released(catch, status=502)["error"]
    assert catch.stop() == 0


def test_without_a_relay_nothing_is_released(catch):
    catch.send(HEAD % b"x" + b"\r\nx\r\n")
    assert "--relay URL" in released(catch, status=409)["error"]
    assert catch.json("api/able") == {"relay": None}


def test_in_a_browser_a_message_is_released_to_whom_one_writes(relayed, browser):
    catch, server = relayed
    catch.send(HEAD % b"x" + b"\r\nx\r\n")
    browser.driver.get(f"{catch.page}#{catch.latest()}")
    browser.until(lambda: browser.one("#release").is_displayed())
    browser.one("#release").click()
    to = browser.one("#release-to")
    assert to.get_attribute("value") == "bob@example.org"
    to.clear()
    to.send_keys("cid@example.org\nno@example.org")
    browser.one("#release-now").click()
    browser.until(lambda: "no@example.org: rejected (550 5.1.1 no such user)" in browser.one("#released").text)
    assert "cid@example.org: accepted" in browser.one("#released").text
    assert server.messages[0].recipients == ["cid@example.org"]


def fail(catch, text):
    body = json.dumps({"fault": text}).encode()
    with urllib.request.urlopen(urllib.request.Request(catch.page + "api/faults", data=body), timeout=60) as r:
        return json.load(r)["faults"]


@pytest.fixture
def faulty(catch):
    yield catch
    catch.json("api/faults", "DELETE")


def sent(catch, **options):
    with postroad.Mailer(catch.mail, attempts=1, **options) as mail:
        try:
            return mail.send(HEAD % b"x" + b"\r\nx\r\n", sender="ann@example.com", recipients=["bob@example.org"])
        except postroad.Error as e:
            return e.receipt


@pytest.mark.parametrize(
    ("fault", "status", "reply", "caught"),
    [
        ("rcpt:1:451 4.7.1 come back later", "deferred", (451, "4.7.1", "come back later"), 0),
        ("rcpt@bob:1:550 5.1.1 no such user", "rejected", (550, "5.1.1", "no such user"), 0),
        ("mail:1:550 5.1.0 not you", "rejected", (550, "5.1.0", "not you"), 0),
        ("content:1:554 5.7.1 spam", "rejected", (554, "5.7.1", "spam"), 0),
        ("content:1:+250 2.0.0 kept", "accepted", (250, "2.0.0", "kept"), 1),
        ("content:1:+|drop", "in_doubt", None, 1),
        ("content:1:|drop", "in_doubt", None, 0),
        ("hello:1:=|wait=1", "accepted", None, 1),
        ("rcpt:2:550 5.1.1 no such user", "accepted", None, 1),
        ("rcpt@nobody:0:550 5.1.1 no such user", "accepted", None, 1),
    ],
)
def test_what_is_to_go_wrong_goes_wrong(faulty, fault, status, reply, caught):
    assert fail(faulty, fault) == [{"fault": fault, "happened": 0}]
    (recipient,) = sent(faulty).recipients
    assert recipient.status.value == status
    if reply:
        assert (recipient.code, recipient.enhanced, recipient.text) == reply
    assert faulty.json("api/messages")["total"] == caught
    happened = not fault.startswith(("rcpt:2", "rcpt@nobody"))
    assert faulty.json("api/faults")["faults"][0]["happened"] == happened
    faulty.json("api/faults", "DELETE")
    assert sent(faulty).all_accepted


@pytest.mark.parametrize("fault", ["greeting:0:421 4.7.0 full|drop", "mail:0:|drop", "hello:0:=|drop"])
def test_a_connection_is_refused_or_closed(faulty, fault):
    fail(faulty, fault)
    assert not sent(faulty).all_accepted
    assert faulty.json("api/messages")["total"] == 0
    assert faulty.json("api/faults")["faults"][0]["happened"] > 0


def test_a_server_that_hangs_says_nothing_until_the_client_goes(faulty):
    fail(faulty, "mail:1:|stall")
    host, _, port = faulty.mail.partition("://")[2].rpartition(":")
    with smtplib.SMTP(host, int(port)) as s:
        s.ehlo()
        s.putcmd("MAIL FROM:<a@example.com>")
        s.sock.settimeout(0.2)
        with pytest.raises(socket.timeout):  # before Python 3.10 no TimeoutError
            s.sock.recv(1)
        s.close()
    assert sent(faulty).all_accepted


def talk_to(faulty):
    host, _, port = faulty.mail.partition("://")[2].rpartition(":")
    s = smtplib.SMTP(host, int(port), timeout=60)
    s.ehlo()
    return s


def test_a_server_speaks_unasked_behind_a_transaction(faulty):
    fail(faulty, "idle:1:421 4.4.2 idle too long|drop")
    with talk_to(faulty) as s:
        assert s.docmd("RSET")[0] == 250
        s.sendmail("a@example.com", ["b@example.org"], b"Subject: x\r\n\r\nx\r\n")
        assert s.getreply() == (421, b"4.4.2 idle too long")
        with pytest.raises(smtplib.SMTPServerDisconnected):
            s.getreply()
        assert faulty.json("api/messages")["total"] == 1
    assert sent(faulty).all_accepted
    assert faulty.json("api/faults")["faults"][0]["happened"] == 1


@pytest.mark.parametrize("ends", ["", "|drop"])
def test_content_is_refused_while_it_is_on_its_way(faulty, ends):
    fail(faulty, f"content:1:552 5.3.4 too large|early{ends}")
    with talk_to(faulty) as s:
        s.mail("a@example.com")
        s.rcpt("b@example.org")
        assert s.docmd("DATA")[0] == 354
        s.send(b"S")
        assert s.getreply() == (552, b"5.3.4 too large")
        if not ends:
            # The rest is read, and answered no more.
            s.send(b"ubject: x\r\n\r\nx\r\n.\r\n")
            assert s.docmd("NOOP")[0] == 250
    assert faulty.json("api/messages")["total"] == 0
    assert sent(faulty).all_accepted


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{}", "write {"),
        (b"x", "write {"),
        (b"[]", "write {"),
        (b'{"fault": "lunch:1:x"}', "lunch"),
        (b'{"fault": "starttls:1:454 x"}', "cannot fail at starttls"),
        (b'{"fault": "rcpt:1:452 x|early"}', "early"),
        (b'{"fault": "content:1:552 x|early|stall"}', "cannot stall early"),
    ],
)
def test_a_fault_that_is_none_says_why(catch, body, says):
    request = urllib.request.Request(catch.page + "api/faults", data=body)
    with pytest.raises(urllib.error.HTTPError) as e:
        urllib.request.urlopen(request, timeout=60)
    with e.value as reply:
        assert reply.code == 400
        assert says in json.load(reply)["error"]
    assert catch.json("api/faults") == {"faults": []}


def test_in_a_browser_a_fault_is_chosen_and_happens(faulty, browser):
    browser.driver.get(faulty.page)
    browser.one("#faults").click()
    browser.one("#fault-ready option[value^='rcpt:0']").click()
    browser.one("#fault-add").click()
    browser.until(lambda: "has not happened" in browser.one("#faults-now").text)
    assert not sent(faulty).all_accepted
    browser.one("#fault").send_keys("lunch:1:x\n")
    browser.until(lambda: "lunch" in browser.one("#fault-said").text)
    browser.one("#faults-end").click()
    browser.one("#faults").click()
    browser.until(lambda: "happened 1 time" in browser.one("#faults-now").text)
    browser.one("#faults-clear").click()
    browser.until(lambda: "There are none" in browser.one("#failing").text)
    assert sent(faulty).all_accepted


@pytest.mark.parametrize("option", ["--keep", "--max-size"])
@pytest.mark.parametrize("number", ["0", "-1", str(10**30)])
def test_a_limit_that_cannot_be_is_refused(option, number, capsys):
    assert main(["catch", "--smtp", "127.0.0.1:0", "--http", "127.0.0.1:0", f"{option}={number}"]) == 64
    assert f"{option} {number}: write a number from 1" in capsys.readouterr().err
