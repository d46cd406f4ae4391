"""postroad send, as far as it composes, and the configuration: what goes out, and what the shell is told."""

from __future__ import annotations

import email
import email.policy
import io
import json
import os
import subprocess
import sys
import threading
import time
import types
from datetime import datetime, timedelta, timezone

import postroad
import pytest
from postroad import _compose_cli, _config
from postroad.__main__ import main

PLAIN = (
    b"From: ann@example.com\r\nTo: bob@example.org\r\nBcc: cid@example.org\r\nSubject: Hi\r\n"
    b"Date: Tue, 24 Nov 2026 20:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHello.\r\n"
)


@pytest.fixture(autouse=True)
def configure(tmp_path, monkeypatch):
    file = tmp_path / "postroad.toml"

    def write(text):
        file.write_text(text)

    write("")
    monkeypatch.setenv("POSTROAD_CONFIG", str(file))
    for name in ("POSTROAD_PASSWORD", "POSTROAD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return write


@pytest.fixture
def stdin(monkeypatch):
    def give(octets):
        given = types.SimpleNamespace(buffer=io.BytesIO(octets), isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", given)

    give(b"")
    return give


def arrived(server):
    (received,) = server.messages
    return received, email.message_from_bytes(received.content, policy=email.policy.default)


def test_a_message_is_composed(server, tmp_path, stdin):
    (tmp_path / "logo.gif").write_bytes(b"GIF89a")
    (tmp_path / "a b.pdf").write_bytes(b"%PDF-1.7")
    page = tmp_path / "page.html"
    page.write_text("<img src='cid:logo.gif'>")
    compose = ["--from", "Ann Lee <ann@example.com>", "--to", "Bob <bob@example.org>, dan@example.org"]
    compose += ["--cc", "cid@example.org", "--bcc", "eve@example.org", "--reply-to", "re@example.com"]
    compose += ["--subject", "Grüße", "--text", "Hello.", "--html", f"@{page}", "--header", "X-Job: 7: a"]
    compose += ["--attach", str(tmp_path / "a b.pdf"), "--inline", str(tmp_path / "logo.gif")]
    assert main(["send", *compose, server.url]) == 0
    received, m = arrived(server)
    assert received.sender == "ann@example.com"
    assert received.recipients == [f"{n}@example.org" for n in ("bob", "dan", "cid", "eve")]
    assert (m["From"], m["To"]) == ("Ann Lee <ann@example.com>", "Bob <bob@example.org>, dan@example.org")
    assert (m["Cc"], m["Reply-To"], m["Subject"], m["X-Job"]) == ("cid@example.org", "re@example.com", "Grüße", "7: a")
    assert m["Bcc"] is None
    assert m.get_body(["plain"]).get_content().strip() == "Hello."
    parts = {p.get_filename(): p for p in m.walk() if p.get_filename()}
    assert parts["a b.pdf"].get_content() == b"%PDF-1.7"
    assert parts["logo.gif"]["Content-ID"] == "<logo.gif>"


def test_standard_input_is_read_for_one_text_only(server, stdin, capsys):
    stdin(b"<p>Hello")
    address = ["--from", "a@x.example", "--to", "b@x.example"]
    assert main(["send", *address, "--text", "@-", "--html", "@-", server.url]) == 64
    assert "name a file for one" in capsys.readouterr().err
    assert server.messages == []


def test_an_argument_in_another_charset_is_said_to_be_that(server, stdin, capsys):
    assert (
        main(["send", "--from", "a@x.example", "--to", "b@x.example", "--subject", "Gr\udcfc\udcdfe", server.url]) == 65
    )
    assert "subject is not in the charset of the locale" in capsys.readouterr().err
    assert server.messages == []


def test_a_field_may_stand_twice(server, stdin):
    fields = ["--header", "X-Tag: one", "--header", "X-Tag: two"]
    assert main(["send", "--from", "a@x.example", "--to", "b@x.example", *fields, server.url]) == 0
    assert arrived(server)[1].get_all("X-Tag") == ["one", "two"]


def test_what_is_attached_may_be_a_fifo_which_is_opened_once(server, stdin, tmp_path):
    fifo = tmp_path / "report"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(b"a,b\n"), daemon=True)
    writer.start()
    assert main(["send", "--from", "a@x.example", "--to", "b@x.example", "--attach", str(fifo), server.url]) == 0
    assert [p.get_content() for p in arrived(server)[1].iter_attachments()] == [b"a,b\n"]


@pytest.mark.parametrize(
    "option",
    [
        *("--queue", "--at", "--delay", "--report", "--account", "--user", "--password-file", "--attach", "--inline"),
        *("--from", "--to", "--cc", "--bcc", "--reply-to"),
    ],
)
def test_an_option_that_is_empty_is_not_taken_for_none(server, stdin, capsys, option):
    with pytest.raises(SystemExit) as ended:
        main(["send", "--from", "a@x.example", "--to", "b@x.example", option, "", server.url])
    assert ended.value.code == 64
    assert f"{option}: it is empty" in capsys.readouterr().err
    assert server.messages == []


@pytest.mark.parametrize(
    "given",
    [
        ["suppress", "list.db", "remove", "bob@x.example", "--list", ""],
        ["suppress", "list.db", "remove", "bob@x.example", "--tenant", ""],
        ["queue", "amqp://mq.example", "count", "--queue-name", ""],
        ["queue", "amqp://mq.example", "count", "--queue-ca-file", ""],
        ["run", "--queue", "q.db", "--queue-name", ""],
        ["merge", "letter", "rows.csv", "--tag", ""],
        ["plan", "--hosts", ""],
        ["plan", "--recipients", ""],
        ["diagnose", "mx://", "--message", ""],
        ["check", ""],
        ["send", ""],
        ["send", "smtp://x.example", "--from", "", "one.eml"],
    ],
)
def test_an_argument_that_is_empty_is_refused_by_each_command(capsys, given):
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 64
    assert "it is empty" in capsys.readouterr().err


def run_it(*arguments, **streams):
    command = [sys.executable, "-m", "postroad", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, timeout=60, check=False, **streams)


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "--from", "a@x.example", "--to", "b@x.example", "--dry-run"],
        ["send", "--help"],
        ["check", "/dev/null"],
    ],
)
def test_who_reads_no_further_breaks_nothing(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as closed:
        done = run_it(*arguments, stdout=closed, stderr=subprocess.PIPE)
    assert done.returncode in (0, 65)
    assert b"Broken pipe" not in done.stderr
    assert b"Exception" not in done.stderr


def test_what_cannot_be_said_is_done(server, tmp_path):
    files = [tmp_path / f"{n}.eml" for n in range(3)]
    for file in files:
        file.write_bytes(PLAIN)
    with open("/dev/full", "w") as full:
        done = run_it("send", server.url, *files, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 73
    assert done.stderr == b"postroad: standard output: No space left on device: all was done, and not all was said\n"
    assert len(server.messages) == 3
    with open("/dev/full", "w") as full:
        assert run_it("send", "--transcript", server.url, *files, stdout=subprocess.PIPE, stderr=full).returncode == 0


@pytest.mark.parametrize("charset", ["ascii", "latin-1", "gbk"])
def test_a_charset_that_lacks_what_a_server_says_stops_nothing(make_server, tmp_path, charset):
    server = make_server(replies={"RCPT": "550 5.1.1 größe 日本 \U0001f600".encode().decode("latin-1")})
    file = tmp_path / "größe.eml"
    file.write_bytes(PLAIN)
    environment = {**os.environ, "PYTHONIOENCODING": charset}
    done = run_it("send", "--transcript", server.url, file, capture_output=True, env=environment)
    assert done.returncode == 69
    assert b"internal error" not in done.stderr
    assert b"eml: bob@example.org rejected 550 5.1.1 gr" in done.stdout
    for said in (done.stdout, done.stderr):
        assert b"\\U0001f600" in said


def test_the_text_comes_from_standard_input(server, stdin):
    stdin("Grüße\n".encode())
    assert main(["send", "--from", "a@x.example", "--to", "b@x.example", server.url]) == 0
    assert arrived(server)[1].get_content().strip() == "Grüße"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--to", "b@x.example"], 64, "say --from"),
        (["--from", "a@x.example", "--subject", "x"], 64, "say --to"),
        (["--from", "a@x.example", "--to", "no address"], 65, "--to"),
        (["--from", "a@x.example", "--to", "b@x.example", "--attach", "missing.pdf"], 66, "missing.pdf: No such file"),
        (["--from", "a@x.example", "--to", "b@x.example", "--text", "@missing"], 66, "missing: No such file"),
        (["--from", "a@x.example", "--to", "b@x.example", "--text", "@"], 64, "--text @ names no file: write @FILE"),
        (["--from", "a@x.example", "--to", "b@x.example", "--inline", "lögo.png"], 64, "give the file another name"),
        (["--from", "a@x.example", "--to", "b@x.example", "--header", "X-A"], 64, "X-Name: value"),
        (
            ["--from", "a@x.example", "--to", "b@x.example", "--header", "X-A: a\r\nBcc: e@x.example"],
            65,
            "invalid_header",
        ),
        (["--from", "a@x.example", "--to", "b@x.example", "--subject", "a\nb"], 65, "invalid_header"),
        (["--from", "a@x.example", "--to", "b@x.example", "--header", "To: c@x.example"], 65, "an option of its own"),
        (["--from", "a@x.example", "--to", "b@x.example", "--delay", "soon"], 64, "10m"),
        (["--from", "a@x.example", "--to", "b@x.example", "--at", "2001-01-01T00:00"], 64, "past"),
        (["--from", "a@x.example", "--to", "b@x.example", "--sign", "example.com"], 64, "DOMAIN:SELECTOR:FILE"),
        (["--password-file", "x", "--from", "a@x.example", "--to", "b@x.example"], 64, "goes with --user"),
        (["--account", "work", "--from", "a@x.example", "--to", "b@x.example"], 64, "give one of them"),
    ],
)
def test_what_is_wrong_is_one_line_that_says_what_to_do(server, stdin, capsys, arguments, status, says):
    assert main(["send", server.url, *arguments]) == status
    err = capsys.readouterr().err
    assert err.startswith("postroad: ")
    assert says in err
    assert err.count("\n") == 1
    assert server.messages == []


@pytest.mark.parametrize("command", ["send", "sendmail"])
def test_what_goes_wrong_with_a_server_comes_with_advice(stdin, capsys, configure, closed_port, command):
    stdin(PLAIN)
    if command == "sendmail":
        configure(f'[accounts.a]\nurl = "smtp+insecure://127.0.0.1:{closed_port}"\n')
        assert main(["sendmail", "-f", "ann@example.com", "bob@example.org"]) == 75
    else:
        assert main(["send", f"smtp+insecure://127.0.0.1:{closed_port}", "-"]) == 75
    first = capsys.readouterr().err.splitlines()[0]
    assert "Connection refused" in first
    assert "Nothing listens at this port" in first


def test_a_queue_that_cannot_be_opened_says_where_to_look(stdin, capsys, configure):
    assert (
        main(["send", "--queue", "/proc/no/q.db", "--from", "a@x.example", "--to", "b@x.example", "--text", "x"]) == 73
    )
    err = capsys.readouterr().err
    assert "'/proc/no/q.db' cannot be opened" in err
    assert "make the folder '/proc/no', or name another file" in err
    configure('queue = "/proc/no/q.db"\n[accounts.a]\nurl = "smtp://x.example"\n')
    stdin(PLAIN)
    assert main(["sendmail", "-f", "ann@example.com", "bob@example.org"]) == 75


MBOX = (
    b"From ann@x.example Mon Jan  1 12:00:00 2024\nFrom: ann@x.example\nTo: bob@y.example\n\n>From here\nFrom there\n\n"
    b"From where?\n"
)
SECOND = b"\nFrom cid@x.example Mon Jan  1 12:00:01 2024\nFrom: ann@x.example\nTo: dan@y.example\n\nfor Dan\n"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("command", ["send", "stdin", "check"])
def test_several_messages_in_an_mbox_never_go_as_one(server, tmp_path, stdin, capsys, command, end):
    several, one = tmp_path / "several.mbox", tmp_path / "one.mbox"
    several.write_bytes((MBOX + SECOND).replace(b"\n", end))
    one.write_bytes(MBOX.replace(b"\n", end))
    if command == "stdin":
        stdin(several.read_bytes())
        status = main(["send", server.url, "-"])
    else:
        status = main(["send", server.url, str(several), str(one)] if command == "send" else ["check", str(several)])
    assert status == 65
    assert "an mbox of several messages, the second begins in line 10: give each" in capsys.readouterr().err
    assert [m.recipients for m in server.messages] == ([["bob@y.example"]] if command == "send" else [])


def test_files_and_a_composed_message_are_not_mixed(server, stdin, capsys):
    assert main(["send", "--subject", "Hi", server.url, "mail.eml"]) == 64
    assert "--subject composes a message, and mail.eml is one" in capsys.readouterr().err


def test_a_dry_run_shows_the_message_and_needs_no_server(stdin, capfdbinary):
    stdin(b"Hello.\n")
    status = main(["send", "--dry-run", "--from", "a@x.example", "--to", "b@x.example", "--bcc", "c@x.example"])
    out, err = capfdbinary.readouterr()
    assert status == 0
    assert b"To: b@x.example\r\n" in out
    assert out.endswith(b"\r\n\r\nHello.\r\n")
    assert err == b"postroad: message: dry run, nothing is sent: from <a@x.example> to b@x.example, c@x.example\n"


def test_a_transcript_shows_the_conversation_and_no_secret(start_sink, tmp_path, stdin, capsys, monkeypatch):
    ca = tmp_path / "ca.pem"
    sink = start_sink("--starttls", "--auth", "ann:secret-word", "--require-auth", "--ca-out", str(ca))
    monkeypatch.setenv("POSTROAD_PASSWORD", "secret-word")
    url = f"smtp://localhost:{sink.port}?ca={ca}"
    assert main(["send", "--transcript", "--user", "ann", "--from", "a@x.example", "--to", "b@x.example", url]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert any(line.endswith("> STARTTLS") for line in lines)
    assert any("> MAIL FROM:<a@x.example>" in line for line in lines)
    assert any("< 250" in line for line in lines)
    assert not any("secret-word" in line or "c2VjcmV0" in line for line in lines)


def test_json_has_a_line_for_each_recipient(server, stdin, capsys):
    arguments = ["--from", "a@x.example", "--to", "b@x.example, rejected@x.example"]
    assert main(["send", "--json", *arguments, server.url]) == 69
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["recipient"], r["status"], r["enhanced"]) for r in found] == [
        ("b@x.example", "accepted", "2.0.0"),
        ("rejected@x.example", "rejected", "5.1.1"),
    ]


def test_a_queue_keeps_the_message_until_it_is_due(tmp_path, stdin, capsys):
    queue = str(tmp_path / "out.db")
    compose = ["--from", "a@x.example", "--to", "b@x.example", "--text", "Hi"]
    assert main(["send", "--queue", queue, "--delay", "2h", *compose]) == 0
    (job,) = postroad.Queue(queue).jobs()
    assert (job.state, job.sender) == ("delayed", "a@x.example")
    assert 7000 < job.until <= 7200
    assert capsys.readouterr().out == f"message: queued in {queue}\n"


def test_a_signature_covers_what_travels(server, tmp_path, stdin):
    import subprocess

    key = tmp_path / "dkim.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    (tmp_path / "mail.eml").write_bytes(PLAIN)
    sign = ["--sign", f"example.com:mail2026:{key}", server.url]
    assert main(["send", *sign, str(tmp_path / "mail.eml")]) == 0
    received, m = arrived(server)
    assert received.recipients == ["bob@example.org", "cid@example.org"]
    assert "d=example.com" in m["DKIM-Signature"]
    assert m["Bcc"] is None
    server.messages.clear()
    assert main(["send", "--from", "a@x.example", "--to", "b@x.example", *sign]) == 0
    assert "s=mail2026" in arrived(server)[1]["DKIM-Signature"]


@pytest.fixture
def sign(tmp_path):
    import subprocess

    key = tmp_path / "dkim.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    return ["--sign", f"example.com:mail2026:{key}"]


HIDDEN = b"From: ann@example.com\r\nBcc: bob@example.org\r\nSubject: Hi\r\n\r\nx\r\n"
RESENT = (
    b"Resent-From: ann@example.com\r\nResent-To: bob@example.org\r\nResent-Bcc: cid@example.org\r\n"
    b"From: eve@example.net\r\nTo: ann@example.com\r\n\r\nx\r\n"
)


@pytest.mark.parametrize(
    ("content", "options", "recipients"),
    [
        (HIDDEN, [], ["bob"]),
        (RESENT, [], ["bob", "cid"]),
        (b"From: ann@example.com\r\nTo: undisclosed-recipients:;\r\n\r\nx\r\n", ["--to", "bob@example.org"], ["bob"]),
        (b"From: nobody\r\nTo: bob@example.org\r\n\r\nx\r\n", ["--from", "ann@example.com"], ["bob"]),
    ],
    ids=["only Bcc", "resent", "given recipients", "given sender"],
)
def test_what_goes_without_a_signature_goes_with_one(
    server, tmp_path, stdin, capfdbinary, sign, content, options, recipients
):
    (tmp_path / "mail.eml").write_bytes(content)
    send = ["send", *options, server.url, str(tmp_path / "mail.eml")]
    assert main([*send, *sign]) == 0
    received, m = arrived(server)
    assert received.sender == "ann@example.com"
    assert received.recipients == [f"{name}@example.org" for name in recipients]
    assert m["DKIM-Signature"] is not None
    assert b"bcc:" not in received.content.lower()
    capfdbinary.readouterr()
    assert main([*send, *sign, "--dry-run"]) == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(b"DKIM-Signature: ")
    assert f"to {', '.join(received.recipients)}\n".encode() in err


def test_a_dry_run_asks_the_header_for_what_is_not_given_only(stdin, tmp_path, capfdbinary):
    assert main(["send", "--dry-run", "--from", "a@x.example", "--bcc", "b@x.example", "--text", "hi"]) == 0
    file = tmp_path / "mail.eml"
    file.write_bytes(b"From: ann@example.com\r\n\r\nx\r\n")
    assert main(["send", "--dry-run", "--to", "b@x.example", str(file)]) == 0
    err = capfdbinary.readouterr().err.decode()
    assert "from <a@x.example> to b@x.example\n" in err
    assert "from <ann@example.com> to b@x.example\n" in err
    assert main(["check", str(file)]) == 65
    assert "it may be given instead: --to" in capfdbinary.readouterr().err.decode()


@pytest.mark.parametrize("octets", [b"secret-word\n", b"\xef\xbb\xbfsecret-word\r\n"], ids=["plain", "of an editor"])
@pytest.mark.parametrize(
    "source",
    [
        lambda d: ["--password-command", f"cat {d / 'secret'}"],
        lambda d: ["--password-file", str(d / "secret")],
    ],
    ids=["command", "file"],
)
def test_a_password_comes_from(start_sink, tmp_path, stdin, source, octets):
    ca = tmp_path / "ca.pem"
    (tmp_path / "secret").write_bytes(octets)
    sink = start_sink("--starttls", "--auth", "ann:secret-word", "--require-auth", "--ca-out", str(ca))
    url = f"smtp://localhost:{sink.port}?ca={ca}"
    assert main(["send", "--user", "ann", *source(tmp_path), "--from", "a@x.example", "--to", "b@x.example", url]) == 0


@pytest.mark.parametrize("source", ["--password-command", "--password-file"])
def test_a_password_that_is_not_utf_8_is_refused_and_not_another_one_tried(server, tmp_path, stdin, capsys, source):
    secret = tmp_path / "secret"
    secret.write_bytes(b"s\xfccret\n")
    given = f"cat {secret}" if source == "--password-command" else str(secret)
    message = ["--from", "a@x.example", "--to", "b@x.example"]
    assert main(["send", server.url, "--user", "ann", source, given, *message]) == 64
    assert "is not UTF-8: convert it" in capsys.readouterr().err


def test_a_token_comes_from_a_command_and_is_renewed_once_it_is_refused(start_sink, tmp_path, stdin):
    ca = tmp_path / "ca.pem"
    script = tmp_path / "token.py"
    script.write_text(
        f"import pathlib; p = pathlib.Path({str(tmp_path / 'n')!r}); n = len(p.read_text()) if p.exists() else 0\n"
        "p.write_text('x' * (n + 1)); print(['stale', 'fresh'][min(n, 1)])"
    )
    sink = start_sink(
        "--starttls", "--auth", "ann:fresh", "--mechanism", "XOAUTH2", "--require-auth", "--ca-out", str(ca)
    )
    url = f"smtp://localhost:{sink.port}?ca={ca}"
    send = ["send", "--user", "ann", "--token-command", f"{sys.executable} {script}", "--from", "a@x.example"]
    first = main([*send, "--to", "b@x.example", url])
    assert first in (0, 77)  # whether the same message is tried again with the new one is the engine's choice
    assert main([*send, "--to", "b@x.example", url]) == 0


def test_a_password_command_reads_nothing_of_what_is_ours():
    code = (
        "import sys; from postroad._shell import output_of\n"
        "print(output_of(['sh', '-c', 'cat; echo secret-word'], 'it'), sys.stdin.read())"
    )
    done = subprocess.run([sys.executable, "-c", code], input="a row", capture_output=True, text=True, timeout=60)
    assert done.stdout == "secret-word a row\n"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("/no/such/program", "No such file"),
        ("false", "ended with 1"),
        ("true", "printed nothing"),
        ("pass 'x", "--password-command: no closing quotation: quotes work as in a shell"),
    ],
)
def test_a_password_command_that_fails_is_named(server, stdin, capsys, command, says):
    arguments = ["--user", "ann", "--password-command", command, "--from", "a@x.example", "--to", "b@x.example"]
    assert main(["send", *arguments, server.url]) == 64
    assert says in capsys.readouterr().err


def test_a_keyring_has_the_password_or_says_how_to_put_it_there(server, stdin, capsys, monkeypatch):
    keyring = types.SimpleNamespace(get_password=lambda service, user: None)
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    arguments = ["--user", "ann", "--keyring", "--from", "a@x.example", "--to", "b@x.example"]
    assert main(["send", *arguments, server.url]) == 64
    assert f"keyring set 127.0.0.1:{server.port} ann" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert main(["send", *arguments, server.url]) == 69
    assert "pip install 'postroad[keyring]'" in capsys.readouterr().err


def test_a_keyring_that_is_locked_or_missing_is_said(server, stdin, capsys, monkeypatch):
    def locked(service, user):
        raise RuntimeError("no backend\nsee the manual")

    monkeypatch.setitem(sys.modules, "keyring", types.SimpleNamespace(get_password=locked))
    assert (
        main(["send", "--user", "ann", "--keyring", "--from", "a@x.example", "--to", "b@x.example", server.url]) == 64
    )
    assert capsys.readouterr().err.startswith(
        "postroad: invalid_credentials: the keyring gives no password: no backend:"
    )


def test_who_gives_no_password_is_told(server, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(PLAIN), isatty=lambda: True))
    monkeypatch.setattr("getpass.getpass", lambda prompt: (_ for _ in ()).throw(EOFError))
    assert main(["send", "--user", "ann", server.url, "-"]) == 64
    assert "no password was given" in capsys.readouterr().err


def test_an_account_says_where_mail_goes(server, start_sink, tmp_path, stdin, configure):
    ca = tmp_path / "ca.pem"
    sink = start_sink("--starttls", "--auth", "ann:secret-word", "--require-auth", "--ca-out", str(ca))
    configure(
        f'sender = "root@example.com"\naccount = "plain"\n[accounts.plain]\nurl = "{server.url}"\n'
        f'[accounts.work]\nurl = "smtp://localhost:{sink.port}"\nuser = "ann"\nca_file = "{ca}"\n'
        f'senders = ["*@work.example"]\npassword_command = "echo secret-word"\n'
        '[aliases]\nteam = ["Bob <bob@example.org>", "cid@example.org"]\n'
    )
    assert main(["send", "--to", "team", "--text", "x"]) == 0
    received, m = arrived(server)
    assert received.recipients == ["bob@example.org", "cid@example.org"]
    assert (m["From"], m["To"]) == ("root@example.com", "Bob <bob@example.org>, cid@example.org")
    assert main(["send", "--from", "Ann <ann@work.example>", "--to", "b@x.example", "--text", "x"]) == 0
    assert main(["send", "--account", "work", "--from", "c@y.example", "--to", "b@x.example", "--text", "x"]) == 0
    assert sink.stop()["messages"] == 2


def test_a_byte_order_mark_is_no_part_of_a_text_or_a_configuration(server, tmp_path, monkeypatch, stdin):
    file, text = tmp_path / "notepad.toml", tmp_path / "text"
    file.write_text("\ufeffsender = 'ann@x.example'\r\n")
    text.write_text("\ufeffHello")
    monkeypatch.setenv("POSTROAD_CONFIG", str(file))
    assert main(["send", server.url, "--to", "b@x.example", "--text", f"@{text}", "--html", f"@{text}"]) == 0
    received, m = arrived(server)
    assert received.sender == "ann@x.example"
    assert [p.get_content().strip() for p in m.iter_parts()] == ["Hello", "Hello"]


def test_a_configuration_in_another_charset_is_said_to_be_that(tmp_path, monkeypatch, stdin, capsys):
    file = tmp_path / "latin.toml"
    file.write_bytes(b"sender = 'J\xf6rg <j@x.example>'")
    monkeypatch.setenv("POSTROAD_CONFIG", str(file))
    assert main(["send", "--to", "b@x.example", "--text", "x"]) == 78
    assert "latin.toml: it is not UTF-8: convert it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sender = ", "it is no TOML"),
        ("sneder = 'a@x'", "did you mean 'sender'?"),
        ("sender = 7", "sender must be a text"),
        ("sender = 'no address'", "sender: expected an address"),
        ("sender = 'a@x.example, b@x.example'", "sender must be one address"),
        ("[accounts.a]\nurl = 'smtp://x'\nsender = 'b'", "accounts.a.sender: expected an address"),
        ("queue = 'out.db'", "queue must be a whole path, such as /var/spool/postroad/out.db"),
        ("aliases.root = ''", "the alias 'root' leads to an empty text"),
        ("accounts = 1", "accounts must be a table"),
        ("accounts.a = 1", "accounts.a must be a table"),
        ("[accounts.a]\nuser = 'b'", "accounts.a has no url"),
        ("[accounts.a]\nurl = 'http://x.example'", "accounts.a.url: "),
        ("[accounts.a]\nurl = 'smtp://secret-word@'", "accounts.a.url: "),
        ("[accounts.a]\nurl = 'smtp://x?tsl=auto'", "tsl"),
        ("[accounts.a]\nurl = 'smtp://x?auth=GSSAPI'", "accounts.a.url: "),
        ("[accounts.a]\nurl = 'smtp://x?tls=maybe'", 'option "tls" must be one of'),
        ("[accounts.a]\nurl = 'mx://'", "names no host"),
        ("[accounts.a]\nurl = 'discard://x'", "nothing may stand behind discard://"),
        ("account = 'b'\n[accounts.a]\nurl = 'x'\n[accounts.b]\nurl = 'smtp://x'", "accounts.a.url: "),
        ("[accounts.a]\nurl = 'smtp://x'\npassword = 'secret-word'", "use password_command, password_file or keyring"),
        ("[accounts.a]\nurl = 'smtp://x'\nusr = 'b'", "did you mean 'user'?"),
        (
            "[accounts.a]\nurl = 'smtp://x'\npassword_command = \"pass show 'x\"",
            "password_command: no closing quotation: quotes work as in a shell",
        ),
        ("[accounts.a]\nurl = 'smtp://x'\nkeyring = 'yes'", "accounts.a.keyring must be true or false"),
        ("[accounts.a]\nurl = 7", "accounts.a.url must be a text"),
        ("[accounts.a]\nurl = 'smtp://x'\nsenders = [7]", "accounts.a.senders must be a text"),
        (
            "[accounts.a]\nurl = 'smtp://x'\nuser = 'b'\npassword_file = 'f'\nkeyring = true",
            "accounts.a has password_file and keyring: leave one of them",
        ),
        ("domain = 'web 1'", "domain: "),
        ("aliases.root = 7", "aliases.root must be a text"),
        ("account = 'wrok'\n[accounts.work]\nurl = 'smtp://x'", "there is no account 'wrok'; did you mean 'work'?"),
        (f"sender = {'[' * 100_000}", "it is no TOML"),
    ],
)
def test_a_configuration_that_is_wrong_is_named(configure, stdin, capsys, text, says):
    configure(text)
    assert main(["send", "--to", "b@x.example", "--text", "x"]) == 78
    err = capsys.readouterr().err
    assert "postroad.toml: " in err
    assert says in err
    assert "secret-word" not in err


@pytest.mark.parametrize(
    "url", ["smtp://ann@x", "smtps://ann:pw@x?auth=PLAIN", "smtp://x?auth=LOGIN", "mx://out.example", "maildir:///m"]
)
def test_any_url_may_be_that_of_an_account(configure, url):
    configure(f"[accounts.a]\nurl = '{url}'\nuser = 'ann'")
    assert _config.load().accounts["a"].url == url


@pytest.fixture
def no_secret_around(monkeypatch):
    for name in ("POSTROAD_PASSWORD", "POSTROAD_TOKEN"):
        monkeypatch.delenv(name, raising=False)


ANN_MAY_SEND = ("--auth", "ann:pw", "--require-auth")


@pytest.mark.parametrize("account", ["url = 'smtp://{}'\nuser = 'ann'", "url = 'smtp://ann@{}'"])
def test_an_account_whose_user_has_no_password_is_a_wrong_configuration(
    no_secret_around, configure, stdin, capsys, account
):
    configure("[accounts.a]\n" + account.format("localhost:9"))
    assert main(["send", "--from", "a@x.example", "--to", "b@x.example", "--text", "x"]) == 78
    err = capsys.readouterr().err
    assert "password_command, password_file, keyring, token_command" in err
    assert "--password" not in err


def test_a_user_in_a_url_without_a_password_needs_one(no_secret_around, stdin, capsys):
    message = ["--from", "a@x.example", "--to", "b@x.example", "--text", "x"]
    assert main(["send", "smtp://ann@localhost:9", *message]) == 64
    assert "--password-command" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["command", "configuration", "environment"])
def test_a_user_in_a_url_gets_the_password_from_where_it_is(
    no_secret_around, configure, stdin, start_sink, monkeypatch, tmp_path, where
):
    sink = start_sink(*ANN_MAY_SEND)
    url = f"smtp+insecure://a%6en@localhost:{sink.port}?insecure_authentication=true"
    (tmp_path / "secret").write_text("pw\n")
    command = ["send"]
    if where == "command":
        command += [url, "--password-file", str(tmp_path / "secret")]
    else:
        configure(f"[accounts.a]\nurl = '{url}'\n")
    if where == "configuration":
        configure(f"[accounts.a]\nurl = '{url}'\npassword_file = '{tmp_path / 'secret'}'\n")
    if where == "environment":
        monkeypatch.setenv("POSTROAD_PASSWORD", "pw")
    assert main([*command, "--from", "a@x.example", "--to", "b@x.example", "--text", "x"]) == 0


def test_an_account_that_is_not_there_is_guessed(configure, stdin, capsys):
    configure("[accounts.work]\nurl = 'smtp://x'\n")
    assert main(["send", "--account", "wrok", "--to", "b@x.example"]) == 64
    assert "did you mean 'work'?" in capsys.readouterr().err


def test_without_a_server_it_says_where_to_write_one(stdin, capsys):
    assert main(["send", "--to", "b@x.example"]) == 64
    assert os.environ["POSTROAD_CONFIG"] in capsys.readouterr().err


def test_of_several_accounts_none_is_chosen_by_itself(configure, stdin, capsys):
    configure("[accounts.work]\nurl = 'smtp://x'\n[accounts.home]\nurl = 'smtp://y'\n")
    assert main(["send", "--from", "a@x.example", "--to", "b@x.example", "--text", "x"]) == 64
    assert "none of the accounts work and home is chosen: name one by --account" in capsys.readouterr().err


def test_a_service_that_is_mistyped_is_guessed(stdin, capsys):
    assert main(["send", "gmial", "--from", "a@x.example", "--to", "b@x.example"]) == 64
    assert 'did you mean "gmail"?' in capsys.readouterr().err


def test_an_option_that_is_not_known_leads_to_the_help_of_its_command(stdin, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["send", "smtp://x.example", "--jsn"])
    assert ended.value.code == 64
    assert "--jsn; see postroad send --help" in capsys.readouterr().err


def test_aliases_that_go_round_end():
    config = _config.Config(aliases={"a": ("b", "x@x.example"), "b": ("a", "y@x.example")})
    assert config.expand("a") == ["y@x.example", "x@x.example"]


NOW = datetime(2026, 11, 29, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def clock_in(monkeypatch):
    def there(zone):
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield there
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12:30", 1800), ("11:00", 82800), ("2026-11-29T13:00:00Z", 3600), ("2026-11-29T13:00+01:00", 0)],
)
def test_times(clock_in, text, seconds):
    clock_in("UTC")
    assert _compose_cli.seconds_until(text, NOW) == seconds


def test_tomorrow_may_have_another_zone(clock_in):
    clock_in("CET-1CEST,M3.5.0,M10.5.0/3")
    evening = datetime(2026, 10, 24, 20, 0, tzinfo=timezone(timedelta(hours=2)))
    assert _compose_cli.seconds_until("18:30", evening) == 23.5 * 3600
    assert _compose_cli.seconds_until("20:30", evening) == 1800


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_durations(text, seconds):
    assert _compose_cli.duration(text) == seconds
