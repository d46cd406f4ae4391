"""What a URL may say beside the server: TLS, several servers, LMTP, how much is sent at once."""

from __future__ import annotations

import re
import socket

import postroad
import pytest
from conftest import compose


@pytest.fixture
def secured(start_sink, tmp_path):
    folder = tmp_path / "authorities"
    folder.mkdir()
    sink = start_sink("--starttls", "--ca-out", str(folder / "ca.pem"))
    return f"smtp://localhost:{sink.port}", folder


def test_a_certificate_of_an_unknown_ca_is_refused(secured, message):
    url, _ = secured
    with postroad.Mailer(url) as mail, pytest.raises(postroad.TlsError) as e:
        mail.send(message)
    assert e.value.code == "tls_certificate"


@pytest.mark.parametrize("option", ["ca={0}/ca.pem", "ca={0}/", "tls=insecure_no_verify"])
def test_a_url_says_whom_tls_trusts(secured, message, option):
    url, folder = secured
    with postroad.Mailer(f"{url}?{option.format(str(folder).replace('/', '%2F'))}") as mail:
        assert mail.send(message).all_accepted


def test_a_pin_in_a_url_is_asked_for(secured, message):
    url, folder = secured
    pin = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"
    with postroad.Mailer(f"{url}?pin={pin}", ca_file=folder / "ca.pem") as mail, pytest.raises(postroad.TlsError) as e:
        mail.send(message)
    assert e.value.code == "tls_certificate"


def test_a_client_certificate_in_a_url_is_read(secured, message):
    url, folder = secured
    with pytest.raises(postroad.Error, match="missing") as e:
        with postroad.Mailer(f"{url}?certificate=%2Fmissing.pem&key=%2Fmissing.key", ca_file=folder / "ca.pem") as mail:
            mail.send(message)
    assert e.value.code in ("unreadable_file", "tls_configuration")


def test_a_url_names_a_server_to_fall_back_on(server, closed_port, message):
    with postroad.Mailer(f"smtp+insecure://127.0.0.1:{closed_port}?backup=127.0.0.1:{server.port}") as mail:
        assert mail.send(message).all_accepted


def test_a_proxy_in_a_url_is_used(server, closed_port, message):
    with postroad.Mailer(f"{server.url}?proxy=socks5:%2F%2F127.0.0.1:{closed_port}") as mail:
        with pytest.raises(postroad.TransientError):
            mail.send(message)
    assert server.commands == []


def test_a_window_sends_whole_messages_by_bdat(make_server):
    server = make_server(extensions=("PIPELINING", "CHUNKING", "8BITMIME"))
    with postroad.Mailer(server.url, pipelining="window", window=4, connections=1) as mail:
        assert all(r.all_accepted for r in mail.send_many(compose(f"b{i}@x.example") for i in range(20)))
    assert len([c for c in server.commands if c.startswith("BDAT")]) >= 20
    assert "DATA" not in server.commands
    assert len(server.messages) == 20


@pytest.mark.parametrize("options", [{"recipients_per_transaction": 2}, {}])
def test_recipients_beyond_the_limit_go_into_further_transactions(make_server, options):
    server = make_server()
    url = server.url if options else f"{server.url}?recipients=2"
    with postroad.Mailer(url, connections=1, **options) as mail:
        receipt = mail.send(compose("a@x.example, b@x.example, c@x.example"))
    assert [r.address for r in receipt.accepted] == ["a@x.example", "b@x.example", "c@x.example"]
    assert [m.recipients for m in server.messages] == [["a@x.example", "b@x.example"], ["c@x.example"]]


def test_lmtp_has_an_outcome_for_each_recipient_behind_the_content(make_server):
    server = make_server(replies={"content1": "452 4.2.2 full", "content2": "552 5.2.2 over quota"})
    with postroad.Mailer(server.url.replace("smtp", "lmtp")) as mail:
        receipt = mail.send(compose("a@x.example, b@x.example, c@x.example"))
    assert [(r.status.value, r.code) for r in receipt.recipients] == [
        ("accepted", 250),
        ("deferred", 452),
        ("rejected", 552),
    ]
    assert server.commands[0].startswith("LHLO ")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix-domain sockets")
def test_lmtp_to_a_socket_in_the_file_system(make_server, tmp_path, monkeypatch, message):
    server = make_server(path=str(tmp_path / "lmtp"))
    with postroad.Mailer(server.url) as mail:
        assert mail.send(message).all_accepted
        assert re.search(r"/lmtp\b", repr(mail))
    assert [m.recipients for m in server.messages] == [["bob@example.org"]]
