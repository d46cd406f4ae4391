"""Well-known services by name."""

from __future__ import annotations

import re
from pathlib import Path

import postroad
import pytest

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
