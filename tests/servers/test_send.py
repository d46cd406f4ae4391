"""examples/send_folder against real servers: what a folder holds arrives, and refusals are reported as documented.

The program is named by the environment variable POSTROAD_SEND_FOLDER.
"""

import base64
import importlib.util
import json
import os
import pathlib
import re
import subprocess
from dataclasses import dataclass

import pytest

from fixtures import DOMAIN, PASSWORD, ServerInfo, crlf, free_ports

SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "samples"
LOGIN = f"alice:{PASSWORD}@"

# id -> server, URL
WAYS = {
    "postfix-starttls": ("postfix", f"smtp://{LOGIN}localhost:{{submission}}"),
    "postfix-implicit": ("postfix", f"smtps://{LOGIN}localhost:{{smtps}}"),
    "postfix-by-address": ("postfix", f"smtps://{LOGIN}127.0.0.1:{{smtps}}"),
    "postfix-mx": ("postfix", "smtp://localhost:{mx}"),
    "exim-starttls": ("exim", f"smtp://{LOGIN}localhost:{{smtp}}"),
    "exim-implicit": ("exim", f"smtps://{LOGIN}localhost:{{smtps}}"),
    "opensmtpd-plain": ("opensmtpd", "smtp+insecure://localhost:{smtp}"),
}

# Servers insert an empty line into a message that does not begin with a header, or whose header no empty line ends.
# Python's tests have two such messages.
NO_EMPTY_LINE = {"msg_19.eml", "msg_35.eml"}


@dataclass
class Run:
    """What one run of send_folder said."""

    code: int
    reports: list[dict]
    output: str

    def recipients(self, file: str) -> dict[str, dict]:
        """The recipients of that file, by address."""
        (report,) = (each for each in self.reports if pathlib.Path(each["file"]).name == file)
        return {each["address"]: each for each in report["recipients"]}

    def errors(self) -> list[str]:
        return [each["error"]["code"] for each in self.reports if each["error"]]


def send_folder(folder: pathlib.Path, url: str, ca: pathlib.Path, *to: str, sender: str = f"ann@{DOMAIN}") -> Run:
    binary = os.environ.get("POSTROAD_SEND_FOLDER")
    assert binary, "POSTROAD_SEND_FOLDER must name the program built from examples/send_folder.cpp"
    command = [binary, str(folder), url, "--ca", str(ca), "--json"]
    if sender:
        command += ["--from", sender]
    for each in to:
        command += ["--to", f"{each}@{DOMAIN}"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    output = ended.stdout + ended.stderr
    assert ended.returncode in (0, 1), output
    return Run(ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], output)


def travelling(text: bytes) -> bytes:
    """What must arrive of a file: CRLF line ends, the last line ended, and without the fields that stay behind."""
    text = crlf(text.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    if not text.endswith(b"\r\n"):
        text += b"\r\n"
    header, end, body = text.partition(b"\r\n\r\n")
    header = re.sub(rb"\AFrom .*\r\n", b"", header + b"\r\n")
    header = re.sub(rb"(?im)^(?:resent-)?(?:bcc|return-path)[ \t]*:.*\r\n(?:[ \t].*\r\n)*", b"", header)
    return header + (b"\r\n" + body if end else b"")


def without_empty_lines(text: bytes) -> bytes:
    return b"".join(line for line in text.splitlines(keepends=True) if line.strip())


def nearest(sent: bytes, arrived: list[bytes]) -> bytes:
    """The message that shows best what was changed on the way."""
    return max(arrived, key=lambda text: len(os.path.commonprefix([text, sent])))


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


@pytest.fixture
def one(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with one message, one.eml."""
    (tmp_path / "one.eml").write_bytes((SAMPLES / "plain.eml").read_bytes())
    return tmp_path


@pytest.fixture(scope="session")
def python_messages(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The messages that Python tests its email package with: badly nested, truncated and strange ones among them."""
    spec = importlib.util.find_spec("test.test_email")
    assert spec, "this Python lacks its tests: run tests/servers/install, and use /usr/bin/python3"
    folder = tmp_path_factory.mktemp("python-messages")
    for path in pathlib.Path(spec.origin).parent.glob("data/msg_*.txt"):
        (folder / path.with_suffix(".eml").name).write_bytes(path.read_bytes())
    assert len(list(folder.iterdir())) >= 47
    return folder


def url_of(server: ServerInfo, template: str) -> str:
    return template.format(**server.ports)


def ways(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("server", "url"), [WAYS[name] for name in names], ids=names, indirect=["server"])


@ways(*WAYS)
def test_samples_arrive_byte_for_byte(server, url):
    files = sorted(SAMPLES.glob("*.eml"))
    run = send_folder(SAMPLES, url_of(server, url), server.ca, "alice")
    assert run.code == 0, run.output
    check_arrived(files, server.wait("alice", len(files)))


@ways("postfix-starttls", "postfix-implicit", "exim-starttls", "exim-implicit")
def test_strange_messages_arrive_byte_for_byte(server, url, python_messages):
    files = sorted(python_messages.glob("*.eml"))
    run = send_folder(python_messages, url_of(server, url), server.ca, "alice")
    assert run.code == 0, run.output
    check_arrived(files, server.wait("alice", len(files)))


@ways("postfix-starttls", "exim-implicit")
def test_two_recipients_get_one_copy_each(server, url, one):
    run = send_folder(one, url_of(server, url), server.ca, "alice", "bob")
    assert run.code == 0, run.output
    sent = [travelling((one / "one.eml").read_bytes())]
    assert server.wait("alice", 1) == sent
    assert server.wait("bob", 1) == sent


@ways("postfix-implicit", "opensmtpd-plain")
def test_each_file_is_reported_once(server, url):
    run = send_folder(SAMPLES, url_of(server, url), server.ca, "alice")
    files = sorted(path.name for path in SAMPLES.glob("*.eml"))
    assert sorted(pathlib.Path(report["file"]).name for report in run.reports) == files
    for file in files:
        recipient = run.recipients(file)[f"alice@{DOMAIN}"]
        assert (recipient["status"], recipient["code"], recipient["enhanced"]) == ("accepted", 250, "2.0.0")
    assert run.errors() == []


REFUSALS = [
    ("postfix-starttls", "reject", "rejected", 550, "5.7.1"),
    ("postfix-starttls", "nobody", "rejected", 550, "5.1.1"),
    ("postfix-starttls", "greylist", "deferred", 451, "4.7.1"),
    ("postfix-starttls", "defer", "deferred", 450, "4.2.0"),
    ("postfix-starttls", "full", "deferred", 452, "4.2.2"),
    ("postfix-starttls", "drop421", "deferred", 421, "4.3.2"),
    ("exim-implicit", "reject", "rejected", 550, "5.7.1"),
    ("exim-implicit", "nobody", "rejected", 550, "5.1.1"),
    ("exim-implicit", "greylist", "deferred", 451, "4.7.1"),
    ("exim-implicit", "full", "deferred", 452, "4.2.2"),
    ("opensmtpd-plain", "nobody", "rejected", 524, "5.2.4"),
]


@pytest.mark.parametrize(
    ("server", "url", "recipient", "status", "code", "enhanced"),
    [(*WAYS[way], *rest) for way, *rest in REFUSALS],
    ids=[f"{way}-{recipient}" for way, recipient, *_ in REFUSALS],
    indirect=["server"],
)
def test_a_refusal_is_reported(server, url, recipient, status, code, enhanced, one):
    run = send_folder(one, url_of(server, url), server.ca, recipient)
    assert run.code == 1, run.output
    said = run.recipients("one.eml")[f"{recipient}@{DOMAIN}"]
    assert (said["status"], said["code"], said["enhanced"]) == (status, code, enhanced), run.output


@pytest.mark.parametrize(
    ("refused", "status"),
    [("reject", "rejected"), ("nobody", "rejected"), ("greylist", "deferred"), ("full", "deferred")],
)
@ways("postfix-starttls", "exim-implicit")
def test_a_refused_recipient_does_not_keep_the_message_from_the_others(server, url, refused, status, one):
    run = send_folder(one, url_of(server, url), server.ca, "alice", refused, "bob")
    assert run.code == 1, run.output
    said = {address.split("@")[0]: each["status"] for address, each in run.recipients("one.eml").items()}
    assert said == {"alice": "accepted", refused: status, "bob": "accepted"}
    server.wait("alice", 1)
    server.wait("bob", 1)


def test_a_refused_sender_is_a_refusal_of_each_recipient(postfix, one):
    url = url_of(postfix, WAYS["postfix-starttls"][1])
    run = send_folder(one, url, postfix.ca, "alice", "bob", sender=f"blocked@{DOMAIN}")
    assert run.code == 1, run.output
    said = run.recipients("one.eml").values()
    assert [(each["status"], each["code"]) for each in said] == [("rejected", 554)] * 2, run.output


@ways("postfix-starttls", "postfix-implicit", "exim-starttls", "exim-implicit")
def test_a_wrong_password_fails_without_showing_it(server, url, one):
    wrong = "wr0ng-passw0rd"
    url = url_of(server, url).replace(f":{PASSWORD}@", f":{wrong}@")
    run = send_folder(one, url, server.ca, "alice")
    assert run.code == 1, run.output
    assert run.errors() == ["authentication_rejected"], run.output
    for secret in (wrong, *(base64.b64encode(text.encode()).decode() for text in (wrong, f"\0alice\0{wrong}"))):
        assert secret not in run.output
    assert server.messages("alice") == []


@ways("postfix-starttls", "postfix-implicit", "exim-starttls", "exim-implicit")
def test_a_server_with_a_certificate_of_an_unknown_ca_gets_nothing(server, url, one, tls_dir):
    run = send_folder(one, url_of(server, url), tls_dir / "selfsigned.pem", "alice")
    assert run.code == 1, run.output
    assert run.errors() == ["tls_certificate"], run.output
    assert "AUTH" not in server.log()
    assert server.messages("alice") == []


def test_a_failed_handshake_never_falls_back_to_plaintext(opensmtpd, one):
    run = send_folder(one, f"smtp://localhost:{opensmtpd.ports['smtp']}", opensmtpd.ca, "alice")
    assert run.code == 1, run.output
    assert run.errors() == ["tls_handshake"], run.output
    assert opensmtpd.messages("alice") == []


def test_a_server_that_is_not_there_is_an_error(one, tls_dir, start_server):
    ca = start_server("exim").ca
    run = send_folder(one, f"smtps://localhost:{free_ports(1)[0]}", ca, "alice")
    assert run.code == 1, run.output
    assert len(run.errors()) == 1, run.output
    said = run.recipients("one.eml")[f"alice@{DOMAIN}"]
    assert said["status"] in ("deferred", "not_attempted")


MODES = [
    (way, mode)
    for way in ("postfix-starttls", "exim-implicit", "opensmtpd-plain")
    for mode in ("lockstep", "envelope", "across", "window", "window&window=64")
]


@pytest.mark.parametrize(
    ("server", "url", "mode"),
    [(*WAYS[way], mode) for way, mode in MODES],
    ids=[f"{way}-{mode}" for way, mode in MODES],
    indirect=["server"],
)
def test_many_messages_a_third_refused_in_every_pipelining_mode(server, url, mode, tmp_path):
    names = {"alice": "accepted", "nobody": "rejected", "bob": "accepted"}
    files: dict[str, list[pathlib.Path]] = {name: [] for name in names}
    for number in range(240):
        name = list(names)[number % 3]
        path = tmp_path / f"{number:04}.eml"
        path.write_bytes(
            f"From: Ann <ann{number}@{DOMAIN}>\r\nTo: {name}@{DOMAIN}\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
            f"Message-ID: <{number}@{DOMAIN}>\r\nSubject: number {number}\r\n\r\n.line {number}\r\n.\r\nend\r\n".encode()
        )
        files[name].append(path)
    run = send_folder(tmp_path, f"{url_of(server, url)}/?connections=2&pipelining={mode}", server.ca, sender="")
    assert run.code == 1
    for name, status in names.items():
        for path in files[name]:
            assert run.recipients(path.name)[f"{name}@{DOMAIN}"]["status"] == status
    for name in ("alice", "bob"):
        check_arrived(files[name], server.wait(name, len(files[name])))
