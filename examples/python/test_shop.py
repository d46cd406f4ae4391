"""Tests of a program that sends mail, with the fixtures that pytest finds where postroad is installed."""

import postroad
import pytest


def confirm(url: str, address: str) -> bool:
    """What is tested."""
    message = postroad.Message(from_="shop@example.com", to=address, subject="Your order", text="Thank you.")
    return postroad.send(url, message).all_accepted


def test_an_order_is_confirmed(mail_outbox):
    assert confirm("smtp://smtp.example.com", "bob@example.org")
    assert mail_outbox[0].recipients == ("bob@example.org",)
    assert mail_outbox[0].message["Subject"] == "Your order"


@pytest.mark.mail_sink(faults=["rcpt@nobody@:0:550 5.1.1 no such user"])
def test_an_address_that_does_not_exist_is_said(mail_sink):
    assert not confirm(mail_sink.url(), "nobody@example.org")
    assert confirm(mail_sink.url(), "bob@example.org")
    assert len(mail_sink.messages) == 1
    assert mail_sink.violations == []
