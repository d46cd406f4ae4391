"""Makes the servers available to the tests of this directory."""

import pathlib

import pytest

from fixtures import (  # noqa: F401
    dns,
    dovecot,
    exim,
    opensmtpd,
    postfix,
    proxies,
    pytest_runtest_makereport,
    rabbitmq,
    server,
    start_server,
    tls_dir,
)
from sending import SAMPLES


@pytest.fixture
def one(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with one message, one.eml."""
    (tmp_path / "one.eml").write_bytes((SAMPLES / "plain.eml").read_bytes())
    return tmp_path
