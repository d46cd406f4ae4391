"""Well-known services by name."""

from __future__ import annotations

import json
import re
import socket
import threading
from datetime import date
from pathlib import Path

import postroad
import pytest
from postroad import _services
from postroad.__main__ import main
from test_schemas import validator

PAGE = (Path(__file__).parents[3] / "docs/python.md").read_text()


@pytest.mark.parametrize("service", postroad.services.values(), ids=lambda s: s.name)
def test_each_service_is_a_url_that_a_mailer_takes(service):
    assert postroad.services[service.name] is service
    assert re.fullmatch(r"[a-z0-9-]+", service.name)
    assert re.fullmatch(r"[a-z0-9.-]+\.[a-z]+", service.host)
    assert (service.port, service.security) in ((465, "implicit"), (587, "starttls"))
    assert service.source.startswith("https://")
    assert service.hint
    with postroad.Mailer(service.name, user="ann", password="secret") as mail:
        assert repr(mail) == f"<postroad.Mailer {service.host}:{service.port}>"
    for same in (service.url, service.name.upper()):
        with postroad.Mailer(same):
            pass
    assert f"| `{service.name}` | {service.host}:{service.port} | {service.hint} |" in PAGE


def test_a_service_knows_the_domains_of_its_users():
    assert postroad.services["gmail"].domains == ("gmail.com", "googlemail.com")
    assert postroad.services["mailgun"].domains == ()
    found = [domain for service in postroad.services.values() for domain in service.domains]
    assert len(found) == len(set(found)) > 30


def test_an_unknown_name_is_invalid_input():
    with pytest.raises(postroad.InvalidInput, match='did you mean "gmail"') as e:
        postroad.Mailer("gmial")
    assert e.value.code == "invalid_url"
    with pytest.raises(TypeError):
        postroad.services["mine"] = None


def test_what_a_service_publishes_of_how_much_it_takes_has_a_page_and_a_day(capsys):
    assert postroad.services["t-online"].limits is None
    known = [service.limits for service in postroad.services.values() if service.limits is not None]
    assert len(known) > 8
    for limits in known:
        assert limits.source.startswith("https://")
        assert date(2026, 1, 1) <= date.fromisoformat(limits.seen)
        assert limits.messages_a_day or limits.recipients_a_message or limits.megabytes_a_message
    assert main(["services", "POSTMARK"]) == 0
    assert capsys.readouterr().out.splitlines()[2] == (
        "  takes: 50 recipients a message, 10 MB a message; https://postmarkapp.com/developer, seen 2026-11-30"
    )
    assert main(["services", "--json"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for service in printed:
        validator("services").validate(service)
    assert [service["name"] for service in printed] == list(postroad.services)
    assert main(["services", "gmial"]) == 64


def pass_on(source, to):
    for some in iter(lambda: source.recv(4096), b""):
        to.sendall(some)


def test_a_message_that_is_too_large_for_a_service_is_told_what_the_service_publishes(make_server):
    """Its name leads to a server of ours, by a proxy."""
    server = make_server(extensions=("SIZE 100",))
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def connect():
            client, _ = proxy.accept()
            with client, socket.create_connection(("127.0.0.1", server.port)) as to:
                while not client.recv(4096).endswith(b"\r\n\r\n"):
                    pass
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=pass_on, args=(to, client))
                back.start()
                pass_on(client, to)
                to.shutdown(socket.SHUT_WR)
                back.join(30)

        threading.Thread(target=connect, daemon=True).start()
        url = f"smtp+insecure://smtp.postmarkapp.com:2525?proxy=http:%2F%2F127.0.0.1:{proxy.getsockname()[1]}"
        with postroad.Mailer(url) as mail, pytest.raises(postroad.PermanentError) as e:
            mail.send(LETTER + b"x" * 100)
    assert e.value.code == "message_too_large"
    assert e.value.advice.endswith("than their files have: https://postmarkapp.com/developer")
    assert "postmark takes 10 MB a message, as it is sent" in e.value.advice


LETTER = b"From: ann@example.com\r\nTo: bob@example.org\r\n\r\nHello.\r\n"


@pytest.fixture
def nearby(start_sink, tmp_path, monkeypatch):
    """A sink as a service of that name, and an account of it in the configuration."""
    ca, config = tmp_path / "ca.pem", tmp_path / "postroad.toml"
    sink = start_sink("--starttls", "--ca-out", str(ca))
    service = postroad.Service("nearby", "localhost", sink.port, "starttls", (), "any", "https://example.com")
    monkeypatch.setattr(_services, "services", {"nearby": service})
    monkeypatch.setenv("POSTROAD_CONFIG", str(config))
    config.write_text(f'[accounts.near]\nurl = "Nearby"\nca_file = "{ca}"\n')
    (tmp_path / "one.eml").write_bytes(LETTER)
    monkeypatch.chdir(tmp_path)
    return sink


def test_an_account_of_the_configuration_names_a_service(nearby):
    assert main(["send", "one.eml"]) == 0
    assert nearby.stop()["messages"] == 1


@pytest.mark.parametrize("command", [["send", "NEARBY", "one.eml"], ["diagnose", "nearby"]])
def test_the_command_takes_a_service_where_a_url_may_stand(nearby, capsys, command):
    assert main(command) != 0  # nobody trusts its certificate
    said = "".join(capsys.readouterr())
    assert f"localhost:{nearby.port}" in said
    assert "certificate" in said


def test_a_service_is_no_file_and_goes_without_an_account(nearby, capsys):
    assert main(["send", "nearby"]) == 64
    assert "nothing is to be sent" in capsys.readouterr().err
    assert main(["send", "nearby", "--account", "near", "one.eml"]) == 64
    assert "a URL and --account are both given" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run", "nraby", "--queue", "q.db"], ["catch", "--relay", "nraby"]])
def test_what_is_no_server_is_not_taken_for_the_account(nearby, capsys, command):
    assert main(command) == 64
    assert "'nraby' is no server: write a URL" in capsys.readouterr().err
