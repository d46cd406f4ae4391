"""Fixtures of pytest for programs that send mail by postroad. pytest loads this by itself; nothing of postroad is
imported before a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

import pytest

if TYPE_CHECKING:
    from postroad.testing import Captured, Sink


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mail_sink(**options): arguments of postroad.testing.Sink for mail_sink")


@pytest.fixture
def mail_sink(request: pytest.FixtureRequest) -> Iterator[Sink]:
    """A mail server for this test: a postroad.testing.Sink, with the arguments of the marker mail_sink."""
    from postroad.testing import Sink

    marker = request.node.get_closest_marker("mail_sink")
    with Sink(**({} if marker is None else marker.kwargs)) as sink:
        yield sink


@pytest.fixture
def mail_outbox() -> Iterator[Captured]:
    """What the mailers that this test makes would send, as postroad.testing.captured() has it."""
    from postroad.testing import captured

    with captured() as kept:
        yield kept
