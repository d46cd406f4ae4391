"""examples/send_folder against real servers: what a folder holds arrives, and refusals are reported as documented."""

import importlib.util
import pathlib
import subprocess

import pytest

from fixtures import DOMAIN, crlf, free_ports
from sending import SAMPLES, SINK, WAYS, check_arrived, send_folder, travelling, url_of, ways


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


@ways(*WAYS)
def test_samples_arrive_byte_for_byte(server, url):
    files = sorted(SAMPLES.glob("*.eml"))
    run = send_folder(SAMPLES, url_of(server, url), server.ca, "alice")
    assert run.code == 0, run.output
    check_arrived(files, server.wait("alice", len(files)))


@ways("postfix-starttls", "postfix-implicit", "exim-starttls", "exim-implicit", "lmtp-plain", "lmtp-unix")
def test_strange_messages_arrive_byte_for_byte(server, url, python_messages):
    files = sorted(python_messages.glob("*.eml"))
    run = send_folder(python_messages, url_of(server, url), server.ca, "alice")
    assert run.code == 0, run.output
    check_arrived(files, server.wait("alice", len(files)))


@pytest.mark.parametrize("mode", ["envelope", "window"])  # DATA, BDAT
def test_strange_messages_pass_the_sink_byte_for_byte(mode, python_messages, tmp_path):
    command = [SINK, "--plain", "--chunking", "--maildir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sink:
        try:
            port = sink.stdout.readline().split()[1]
            url = f"smtp+insecure://127.0.0.1:{port}/?pipelining={mode}"
            run = send_folder(python_messages, url, None, "alice")
        finally:
            sink.terminate()
    assert run.code == 0, run.output
    # the sink puts two fields in front
    arrived = [crlf(path.read_bytes()).split(b"\r\n", 2)[2] for path in (tmp_path / "new").iterdir()]
    assert sorted(arrived) == sorted(travelling(path.read_bytes()) for path in python_messages.glob("*.eml"))


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
    assert sorted(run.reports) == files
    for file in files:
        recipient = run.recipients(file)[f"alice@{DOMAIN}"]
        assert (recipient["status"], recipient["code"], recipient["enhanced"]) == ("accepted", 250, "2.0.0")
    assert run.errors() == []
    server.wait("alice", len(files))  # nothing is left for the next test


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


def test_a_server_that_is_not_there_is_an_error(one, tls_dir, start_server):
    ca = start_server("exim").ca
    run = send_folder(one, f"smtps://localhost:{free_ports(1)[0]}", ca, "alice")
    assert run.code == 1, run.output
    assert len(run.errors()) == 1, run.output
    said = run.recipients("one.eml")[f"alice@{DOMAIN}"]
    assert said["status"] in ("deferred", "not_attempted")
