"""Flask's mail by postroad."""

from __future__ import annotations

import postroad
import pytest
from conftest import compose

flask = pytest.importorskip("flask")
from postroad.flask import Mail  # noqa: E402


def test_a_view_sends(server):
    app = flask.Flask("site")
    app.config["POSTROAD"] = {"url": server.url}
    mail = Mail(app)

    @app.post("/order")
    def order():
        mail.send(compose()).require_accepted()
        return str(mail.submit(compose("second@x.example")).wait(60).all_accepted)

    with app.test_client() as client:
        assert client.post("/order").text == "True"
        assert client.post("/order").text == "True"
    assert len(server.messages) == 4
    assert len([c for c in server.commands if c.startswith("EHLO")]) <= 2
    assert app.extensions["postroad"] is mail


def test_an_application_that_is_tested_sends_to_memory():
    mail = Mail()
    app = flask.Flask("site")
    app.testing = True
    mail.init_app(app)
    with app.app_context():
        mail.mailer.outbox.clear()
        mail.send(compose())
        assert mail.mailer.outbox[0].recipients == ("bob@example.org",)


def test_how_a_mail_is_queued_is_of_no_matter_in_tests():
    app = flask.Flask("site")
    app.config["POSTROAD"] = {"url": "smtp://smtp.example.com", "queue": "outbox.db"}
    app.testing = True
    mail = Mail(app)
    with app.app_context():
        mail.mailer.outbox.clear()
        for _ in range(2):
            mail.submit(compose(), idempotency_key="order 7", delay=3600, tag="orders").wait(60).require_accepted()
        mail.send(compose(), idempotency_key="order 7", delay=3600)
        assert len(mail.mailer.outbox) == 3


def test_settings_that_are_missing_are_said():
    app = flask.Flask("site")
    mail = Mail(app)
    with app.app_context(), pytest.raises(postroad.InvalidInput, match="POSTROAD"):
        mail.send(compose())
