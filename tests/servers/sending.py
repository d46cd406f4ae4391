"""Runs examples/send_folder, which the environment variable POSTROAD_SEND_FOLDER names, and looks at what arrived."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from fixtures import DOMAIN, PASSWORD, ServerInfo, crlf

SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "samples"
# examples/sink.cpp, built beside send_folder
SINK = pathlib.Path(os.environ.get("POSTROAD_SEND_FOLDER", "send_folder")).with_name("sink")
LOGIN = f"alice:{PASSWORD}@"

# id -> server, URL
WAYS = {
    "postfix-plain": ("postfix", "smtp+insecure://localhost:{mx}"),
    "postfix-starttls": ("postfix", f"smtp://{LOGIN}localhost:{{submission}}"),
    "postfix-implicit": ("postfix", f"smtps://{LOGIN}localhost:{{smtps}}"),
    "postfix-by-address": ("postfix", f"smtps://{LOGIN}127.0.0.1:{{smtps}}"),
    "postfix-mx": ("postfix", "smtp://localhost:{mx}"),
    "submission-starttls": ("postfix", f"smtp://{LOGIN}localhost:{{dovecot_submission}}"),
    "submission-implicit": ("postfix", f"smtps://{LOGIN}localhost:{{dovecot_submissions}}"),
    "exim-plain": ("exim", "smtp+insecure://localhost:{smtp}"),
    "exim-starttls": ("exim", f"smtp://{LOGIN}localhost:{{smtp}}"),
    "exim-implicit": ("exim", f"smtps://{LOGIN}localhost:{{smtps}}"),
    "opensmtpd-plain": ("opensmtpd", "smtp+insecure://localhost:{smtp}"),
    "aiosmtpd-plain": ("aiosmtpd", "smtp+insecure://localhost:{smtp}"),
    "aiosmtpd-starttls": ("aiosmtpd", "smtp://localhost:{smtp}"),
    "aiosmtpd-implicit": ("aiosmtpd", "smtps://localhost:{smtps}"),
    "haraka-plain": ("haraka", "smtp+insecure://localhost:{smtp}"),
    "haraka-starttls": ("haraka", "smtp://localhost:{smtp}"),
    "maddy-plain": ("maddy", "smtp+insecure://localhost:{smtp}"),
    "maddy-starttls": ("maddy", "smtp://localhost:{smtp}"),
    "lmtp-plain": ("dovecot", "lmtp+insecure://localhost:{lmtp}"),
    "lmtp-starttls": ("dovecot", "lmtp://localhost:{lmtp}"),
    "lmtp-implicit": ("dovecot", "lmtp://localhost:{lmtps}/?tls=implicit"),
    "lmtp-unix": ("dovecot", "lmtp+unix://{dir}/lmtp"),
}

# Mailpit writes recipients that the header does not name into it, so only messages of whole headers are sent there.
MAILPIT = {
    "mailpit-plain": ("mailpit", "smtp+insecure://localhost:{smtp}"),
    "mailpit-starttls": ("mailpit", f"smtp://{LOGIN}localhost:{{smtp}}"),
}

# Servers insert an empty line into a message that does not begin with a header, or whose header no empty line ends.
# Python's tests have two such messages.
NO_EMPTY_LINE = {"msg_19.eml", "msg_35.eml"}


@dataclass
class Run:
    """What one run of send_folder said."""

    code: int
    reports: dict[str, dict]
    output: str

    def recipients(self, file: str) -> dict[str, dict]:
        """The recipients of that file, by address."""
        return {each["address"]: each for each in self.reports[file]["recipients"]}

    def statuses(self, file: str) -> dict[str, str]:
        """What became of that file, by local part."""
        return {address.split("@")[0]: each["status"] for address, each in self.recipients(file).items()}

    def errors(self) -> list[str]:
        return [each["error"]["code"] for each in self.reports.values() if each["error"]]


def command_for(
    folder: pathlib.Path, url: str, ca: pathlib.Path | None, *to: str, sender: str = f"ann@{DOMAIN}", flags=()
) -> list[str]:
    binary = os.environ.get("POSTROAD_SEND_FOLDER")
    assert binary, "POSTROAD_SEND_FOLDER must name the program built from examples/send_folder.cpp"
    command = [binary, str(folder), url, "--json", *flags]
    if ca:
        command += ["--ca", str(ca)]
    if sender:
        command += ["--from", sender]
    for each in to:
        command += ["--to", each if "@" in each else f"{each}@{DOMAIN}"]
    return command


def run_of(command: list[str], code: int, stdout: str, stderr: str) -> Run:
    assert code in (0, 1), f"{command}\n{stdout}{stderr}"
    reports = [json.loads(line) for line in stdout.splitlines()]
    by_file = {each["file"]: each for each in reports}
    assert len(by_file) == len(reports), "a file is reported twice"
    return Run(code, by_file, stdout + stderr)


def send_folder(
    folder: pathlib.Path, url: str, ca: pathlib.Path | None, *to: str, sender: str = f"ann@{DOMAIN}", flags=()
) -> Run:
    """One run. `ca` is None when the URL speaks of TLS itself."""
    command = command_for(folder, url, ca, *to, sender=sender, flags=flags)
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    return run_of(command, ended.returncode, ended.stdout, ended.stderr)


def travelling(text: bytes) -> bytes:
    """What must arrive of a file: CRLF line ends, the last line ended, and without the fields that stay behind."""
    text = crlf(text.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    if not text.endswith(b"\r\n"):
        text += b"\r\n"
    header, end, body = text.partition(b"\r\n\r\n")
    header = re.sub(rb"\AFrom .*\r\n", b"", header + (b"\r\n" if end else b""))
    header = re.sub(rb"(?im)^(?:resent-)?(?:bcc|return-path)[ \t]*:.*\r\n(?:[ \t].*\r\n)*", b"", header)
    return header + (b"\r\n" + body if end else b"")


def nearest(sent: bytes, arrived: list[bytes]) -> bytes:
    """The message that shows best what was changed on the way."""
    return max(arrived, key=lambda text: len(os.path.commonprefix([text, sent])))


def without_empty_lines(text: bytes) -> bytes:
    return b"".join(line for line in text.splitlines(keepends=True) if line.strip())


def check_arrived(files: list[pathlib.Path], arrived: list[bytes]) -> None:
    for path in files:
        sent = travelling(path.read_bytes())
        if path.name in NO_EMPTY_LINE:
            (found,) = (text for text in arrived if without_empty_lines(text) == without_empty_lines(sent))
        else:
            found = sent if sent in arrived else nearest(sent, arrived)
            assert found.split(b"\r\n") == sent.split(b"\r\n"), path.name
        arrived.remove(found)
    assert arrived == []


def url_of(server: ServerInfo, template: str, **options: str) -> str:
    url = template.format(**server.ports, dir=server.dir)
    return url + ("&" if "?" in url else "?") + urlencode(options) if options else url


def ways(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("server", "url"), [WAYS[name] for name in names], ids=names, indirect=["server"])


def numbered(number: int, to: str) -> bytes:
    """A small message of its own, with dots where they hurt."""
    return (
        f"From: Ann <ann{number}@{DOMAIN}>\r\nTo: {to}@{DOMAIN}\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
        f"Message-ID: <{number}@{DOMAIN}>\r\nSubject: number {number}\r\n\r\n.line {number}\r\n.\r\nend\r\n"
    ).encode()


def numbers_in(messages: list[bytes]) -> list[int]:
    """The numbers of such messages as they arrived, sorted; each must be whole."""
    found = []
    for text in messages:
        number = int(re.search(rb"^Subject: number (\d+)\r$", text, re.MULTILINE)[1])
        to = re.search(rb"^To: (\w+)@", text, re.MULTILINE)[1].decode()
        assert text == numbered(number, to)
        found.append(number)
    return sorted(found)
