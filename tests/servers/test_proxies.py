"""Mail through real proxies: SOCKS5 (microsocks) and HTTP CONNECT (tinyproxy), with TLS to the server behind them."""

from urllib.parse import quote

import pytest

from fixtures import DOMAIN, PASSWORD
from sending import SAMPLES, WAYS, check_arrived, send_folder, url_of


def through(kind: str, url: str, proxies, password: str = PASSWORD) -> str:
    proxy = f"{kind}://alice:{password}@127.0.0.1:{proxies.ports[kind]}"
    return f"{url}/?proxy={quote(proxy, safe='')}"


@pytest.mark.parametrize("kind", ["socks5", "http"])
@pytest.mark.parametrize(
    ("server", "url"),
    [WAYS[way] for way in ("postfix-starttls", "exim-implicit")],
    ids=["starttls", "implicit"],
    indirect=["server"],
)
def test_samples_arrive_byte_for_byte(server, url, proxies, kind):
    files = sorted(SAMPLES.glob("*.eml"))
    run = send_folder(SAMPLES, through(kind, url_of(server, url), proxies), server.ca, "alice")
    assert run.code == 0, run.output
    check_arrived(files, server.wait("alice", len(files)))
    assert "localhost" in proxies.log()  # the name, not an address: the proxy looked it up


@pytest.mark.parametrize("kind", ["socks5", "http"])
def test_a_wrong_password_is_an_error_without_it(proxies, kind, one):
    run = send_folder(one, through(kind, "smtp://localhost:25", proxies, "wrong-word"), proxies.ca, "alice")
    assert run.code == 1, run.output
    assert run.errors() == ["proxy_failed"]
    assert run.recipients("one.eml")[f"alice@{DOMAIN}"]["status"] == "not_attempted"
    assert "wrong-word" not in run.output


@pytest.mark.parametrize("kind", ["socks5", "http"])
def test_a_server_that_the_proxy_does_not_reach_is_an_error_of_the_proxy(proxies, kind, one):
    run = send_folder(one, through(kind, "smtp://localhost:1", proxies), proxies.ca, "alice")
    assert run.code == 1, run.output
    assert run.errors() == ["proxy_failed"]
