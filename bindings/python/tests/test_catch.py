"""postroad catch, as a process: what it takes, what the API and the page say of it; hostile mail does nothing."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import postroad
import pytest
from postroad.__main__ import main
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
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
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
        self.process.communicate(timeout=60)
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
    assert f"/{one}/parts/0".encode() in page
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
    "file name": HEAD % b"x"
    + b"Content-Type: a/b; name*0*=utf-8''%FF; name*9=x\r\nContent-Disposition: attachment; filename=\"../../\r\n x\0\""
    + b"\r\n\r\nx",
    "date": HEAD % b"x" + b"Date: Tue, 99 Foo 99999 99:99:99 +9999\r\nMessage-ID: <>>><\r\n\r\nx",
    "long header": HEAD % (b"x" * 200_000) + b"\r\nx",
    "many fields": HEAD % b"x" + b"X-A: b\r\n" * 5000 + b"\r\nx",
    "markup": HEAD % b"<script>alert(1)</script>"
    + b"Content-Type: text/html\r\n\r\n<a href='javascript:alert(1)'>x</a><!--",
    "lone surrogates": HEAD % b"=?utf-8?b?7aCA?=" + b"\r\n\xed\xa0\x80",
    "large": HEAD % b"x" + b"Content-Type: text/html\r\n\r\n" + b"<div><p>Hello &amp; <b>x</b>\r\n" * 350_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_shown_like_any_other(name):
    mail = Mail(HOSTILE[name])
    store = Store()
    number = store.add("a@x.example", ["b@x.example"], mail)
    total, (summary,) = store.list()
    assert (total, summary["id"]) == (1, number)
    json.dumps(store.get(number)[3].detail("a@x.example", ["b@x.example"])).encode()
    mail.page("/api/messages/1").encode("utf-8", "replace")


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


def test_ten_thousand_are_searched():
    store = Store()
    mails = [Mail(HEAD % f"Number {n}".encode() + b"\r\nHello.\r\n") for n in range(100)]
    for n in range(10_000):
        store.add("a@x.example", [f"p{n}@x.example"], mails[n % 100])
    assert store.list("p9999@x.example number 99")[0] == 1
    total, found = store.list("hello", limit=100)
    assert (total, len(found)) == (10_000, 100)


def test_a_file_keeps_messages(tmp_path):
    file = str(tmp_path / "mail.db")
    for n in (1, 2):
        catch = Catch("--store", file)
        catch.send(HEAD % b"x" + b"\r\nx\r\n")
        assert catch.json("api/messages")["total"] == n
        assert catch.stop() == 0


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


def test_a_port_that_is_taken_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["catch", "--smtp", f"127.0.0.1:{port}"]) == 69
    assert "Address already in use: name another, such as 127.0.0.1:0" in capsys.readouterr().err


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


@pytest.mark.skipif(not shutil.which("chromedriver"), reason="chromedriver is not installed")
def test_in_a_browser_hostile_html_neither_runs_nor_loads(catch):
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

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
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.get(f"{catch.page}#{catch.latest()}")
        wait = WebDriverWait(driver, 60)
        frame = wait.until(lambda d: d.find_elements(By.TAG_NAME, "iframe"))[0]
        driver.switch_to.frame(frame)
        wait.until(lambda d: d.find_elements(By.ID, "a"))[0].click()
        driver.switch_to.default_content()
        assert driver.find_element(By.ID, "subject").text == "<img src=x onerror=alert(1)>"
        assert driver.title == "(1) postroad catch"
        driver.find_element(By.CSS_SELECTOR, "[data-tab=Links]").click()
        assert "/link" in wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, "#body td"))[1].text
        catch.send(HEAD % b"The second" + b"\r\nx\r\n")
        wait.until(lambda d: len(d.find_elements(By.CSS_SELECTOR, "nav a")) == 2)
        assert asked == []
    finally:
        driver.quit()
        canary.shutdown()
        canary.server_close()
