"""python -m postroad: what it prints, and the exit status."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import types

import postroad
import pytest
from postroad.__main__ import main

PLAIN = (
    b"From: ann@example.com\r\nTo: bob@example.org\r\nDate: Tue, 24 Nov 2026 20:00:00 +0000\r\n"
    b"Message-ID: <1@example.com>\r\nSubject: Hi\r\n\r\nHello.\r\n"
)


@pytest.fixture
def write(tmp_path):
    def write(content=PLAIN, name="mail.eml"):
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


def test_send_says_what_became_of_each_recipient(server, write, capsys):
    one, two = write(), write(PLAIN.replace(b"bob", b"cid"), "two.eml")
    assert main(["send", server.url, one, two]) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == [
        f"{one}: bob@example.org accepted 250 2.0.0 queued",
        f"{two}: cid@example.org accepted 250 2.0.0 queued",
    ]
    assert len(server.messages) == 2


def test_send_takes_an_envelope(server, write, capsys):
    envelope = ["--bounces", "", "--to", "c@x.example", "--to", "d@x.example"]
    assert main(["send", *envelope, "--quiet", server.url, write()]) == 0
    assert capsys.readouterr().out == ""
    assert [(m.sender, m.recipients) for m in server.messages] == [("", ["c@x.example", "d@x.example"])]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--queue", "q.db", "discard://"],
        ["suppress", "s.db", "add", "a@x.example"],
        ["merge", "discard://", "x", "y"],
    ],
)
def test_a_working_directory_that_is_gone_is_said(tmp_path, arguments):
    (tmp_path / "gone").mkdir()
    code = (
        f"import os, sys; os.chdir({str(tmp_path / 'gone')!r}); os.rmdir(os.getcwd())\n"
        f"from postroad.__main__ import main; sys.exit(main({arguments!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (66, 73)
    assert "the working directory is gone" in done.stderr


def test_send_reads_standard_input(server, monkeypatch):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(PLAIN)))
    assert main(["send", server.url, "-"]) == 0
    assert [m.content for m in server.messages] == [PLAIN]


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("ok@x.example", 0),
        ("rejected@x.example", 69),
        ("deferred@x.example", 75),
        ("ok@x.example, deferred@x.example", 75),
        ("rejected@x.example, deferred@x.example", 69),
    ],
)
def test_the_exit_status_says_whether_to_try_again(server, write, to, status):
    assert main(["send", server.url, write(PLAIN.replace(b"bob@example.org", to.encode()))]) == status


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        ({"replies": {"greeting": "421 4.3.2 closing"}}, 75),
        ({"replies": {"greeting": "nonsense"}}, 69),
        ({"replies": {"content": "drop"}}, 69),  # in doubt: to try again may make a duplicate
    ],
)
def test_a_server_that_fails(make_server, write, capsys, behaviour, status):
    assert main(["send", make_server(**behaviour).url, write()]) == status
    assert "postroad: " in capsys.readouterr().err


def test_a_file_that_cannot_be_sent_stops_no_other(server, write, tmp_path, capsys):
    bad = write(b"Subject: nobody\r\n\r\n", "bad.eml")
    assert main(["send", server.url, str(tmp_path / "missing"), bad, write()]) == 65
    assert len(server.messages) == 1
    err = capsys.readouterr().err
    assert "missing: No such file" in err
    assert "bad.eml: no_sender" in err


@pytest.mark.parametrize(
    "arguments", [[], ["send"], ["send", "smtp://x.example"], ["fly"], ["check"], ["oauth", "login"]]
)
def test_a_wrong_command_line_is_status_64_and_one_line(capsys, arguments):
    try:
        status = main(arguments)
    except SystemExit as e:  # by argparse
        status = e.code
    assert status == 64
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("url", ["http://x.example", "smtp://x.example?conections=3"])
def test_a_wrong_url_is_status_64(write, capsys, url):
    assert main(["send", url, write()]) == 64
    assert capsys.readouterr().err.startswith("postroad: invalid_")


def test_the_password_comes_from_the_environment(start_sink, write, monkeypatch, tmp_path, capsys):
    ca = tmp_path / "ca.pem"
    sink = start_sink("--starttls", "--auth", "ann:secret-word", "--require-auth", "--ca-out", str(ca))
    monkeypatch.setenv("POSTROAD_PASSWORD", "secret-word")
    url = f"smtp://localhost:{sink.port}?ca={ca}"
    assert main(["send", "--user", "ann", url, write()]) == 0
    monkeypatch.setenv("POSTROAD_PASSWORD", "wrong-word")
    assert main(["send", "--user", "ann", url, write()]) == 77
    out, err = capsys.readouterr()
    assert "authentication_rejected" in err
    assert "-word" not in out + err


def test_what_a_server_says_is_escaped(make_server, write, capsys):
    server = make_server(replies={"RCPT": "550 no\x1b[31m"})
    assert main(["send", server.url, write()]) == 69
    assert capsys.readouterr().out.endswith("bob@example.org rejected 550 no\\x1b[31m\n")


def test_check_says_the_envelope_and_needs_no_server(write, capsys):
    file = write()
    assert main(["check", file]) == 0
    assert capsys.readouterr().out == f"{file}: from <ann@example.com> to bob@example.org, {len(PLAIN)} octets\n"


@pytest.mark.parametrize(
    ("change", "notice"),
    [
        ((b"Date", b"X-Date"), "the field Date is missing"),
        ((b"Message-ID", b"X-ID"), "the field Message-ID is missing"),
        ((b"Hello", b"Gr\xc3\xbc\xc3\x9fe"), "8BITMIME"),
        ((b"Hi", "Grüße".encode()), "goes in ASCII"),
        ((b"Hi", b"a" * 998), "998 octets, of 997 that SMTP allows: it is refused"),
        ((b"From: ", b"\xef\xbb\xbfFrom: "), "byte order mark"),
        ((b"From: ", b"From x\nFrom: "), "From line of an mbox"),
        ((b"Hi", b"Gr\xfc\xdfe\nContent-Type: text/plain; charset=iso-8859-1"), "become encoded words"),
        ((b"Hello", b"a" * 998), "999 octets"),
        ((b"From: ann@example.com", b"From: Partners: ann@example.com, b@example.com;"), "From holds a group"),
        ((b"From: ann@example.com", b'From: "B: C" <ann@example.com>, b@example.com'), "From names several authors"),
        ((b"Subject: Hi", b"Content-Type: multipart/mixed; boundary=x"), "StartBoundaryNotFoundDefect"),
    ],
)
def test_check_notices_what_may_go_wrong(write, capsys, change, notice):
    assert main(["check", write(PLAIN.replace(*change))]) == 0
    assert notice in capsys.readouterr().out


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"From ann Mon\n", b"\xef\xbb\xbfFrom x\n\xef\xbb\xbf"])
def test_check_reads_what_stands_behind_what_is_taken_off(write, capsys, before):
    assert main(["check", write(before + PLAIN)]) == 0
    out = capsys.readouterr().out
    assert "is taken off" in out
    assert "missing" not in out
    assert "Defect" not in out


@pytest.mark.parametrize(
    "field",
    [
        b"Content-Type: text/plain; name*",
        b"Message-ID: <)(.",
        b"Reply-To: ,.<",
        b"Date: yesterday",
        b"Content-Disposition: attachment; filename*",
    ],
)
def test_check_reads_mail_as_it_is(write, capsys, field):
    name = field.partition(b":")[0]
    kept = [line for line in PLAIN.split(b"\r\n") if not line.startswith(name)]
    assert main(["check", write(b"\r\n".join([field, *kept]))]) == 0
    assert "Defect" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "code"), [(b"Subject: x\r\n\r\n", "no_sender"), (PLAIN + b"\0", "invalid_message")]
)
def test_check_fails_for_what_cannot_be_sent(write, tmp_path, capsys, content, code):
    assert main(["check", write(content), str(tmp_path / "missing")]) == 65
    err = capsys.readouterr().err
    assert code in err
    assert "missing: No such file" in err


def test_the_module_is_a_command(write):
    done = subprocess.run(
        [sys.executable, "-m", "postroad", "check", write()], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    script = os.path.join(os.path.dirname(sys.executable), "postroad")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60)
    assert re.fullmatch(
        re.escape(postroad.__version__)
        + r" \(mbedTLS [\d.]+, libidn2 [\w.]+, libunistring [\d.]+"
        + r"(, SQLite [\d.]+)?(, librabbitmq [\d.]+)?(, libunbound [\d.]+)?(, libcurl [\d.]+)?(, zlib [\d.]+)?\)",
        " ".join(done.stdout.split()),  # lines are as long as the terminal's
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_what_the_command_says_of_itself_may_be_read_by_nobody(option, unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "postroad", option]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environment, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_version_that_finds_no_room_is_73():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "postroad", "--version"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 73
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("command", ["check", "sendmail"])
def test_a_fault_of_ours_is_one_line_unless_it_is_to_be_shown(monkeypatch, capsys, tmp_path, command):
    def fail(*_):
        raise RuntimeError("secret-word")

    monkeypatch.setattr(postroad.__main__, "octets_of", fail)
    monkeypatch.setattr(postroad._sendmail, "load", fail)
    given, status = (["check", str(tmp_path)], 70) if command == "check" else (["sendmail", "b@x.example"], 75)
    assert main(given) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert "internal error, RuntimeError" in line
    assert "secret-word" not in line
    if command == "check":
        assert main(["--debug", *given]) == status
        assert "Traceback" in capsys.readouterr().err


def test_where_an_error_arose_is_shown_if_wanted(capsys):
    assert main(["diagnose", "smtp://"]) == 64
    assert "Traceback" not in capsys.readouterr().err
    assert main(["--debug", "diagnose", "smtp://"]) == 64
    assert "Traceback" in capsys.readouterr().err


def test_a_key_to_diagnose_with_needs_its_file(capsys):
    assert main(["diagnose", "mx://", "bob@x.example", "--dkim", "example.com:2026"]) == 64
    assert "--dkim needs DOMAIN:SELECTOR:FILE" in capsys.readouterr().err
