"""Flask's mail by postroad.

app = Flask(__name__)
app.config["POSTROAD"] = {"url": "smtp://user:secret@smtp.example.com:587", "queue": "/var/lib/site/outbox.db"}
mail = postroad.flask.Mail(app)

@app.post("/order")
def order():
    mail.submit(postroad.Message(from_="shop@example.com", to="bob@example.org", subject="Your order", text="..."))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional

from flask import Flask, current_app

from ._errors import InvalidInput
from ._mailer import Mailer
from ._secrets import keeps_secrets
from ._shared import shared

if TYPE_CHECKING:
    from ._errors import Receipt
    from ._messages import MessageLike
    from ._tickets import Ticket

__all__ = ["Mail"]


@keeps_secrets
def _mailer() -> Mailer:
    arguments = dict(current_app.config.get("POSTROAD", {}))
    if current_app.testing:
        return shared({"url": "memory://"})
    if "url" not in arguments:
        raise InvalidInput('app.config["POSTROAD"] has no "url"', code="invalid_option")
    return shared(arguments)


def _options(given: Dict[str, Any]) -> Dict[str, Any]:
    """What is of use: in memory nobody waits, and no key is kept."""
    if not current_app.testing:
        return given
    return {name: value for name, value in given.items() if name not in ("delay", "idempotency_key")}


class Mail:
    """The extension. `app.config["POSTROAD"]` holds the arguments of Mailer. Each process keeps one mailer, made
    when the first mail is sent. With `app.testing` mail goes to memory, at once and whatever its `idempotency_key`, see
    `mailer.outbox`.

    app: the application; or call init_app() later.
    """

    def __init__(self, app: Optional[Flask] = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Registers with `app`."""
        app.extensions["postroad"] = self

    @property
    def mailer(self) -> Mailer:
        """That of the current application, in this process."""
        return _mailer()

    def send(self, message: MessageLike, **options: Any) -> Receipt:
        """As Mailer.send(), with its `options`, of `message`."""
        return self.mailer.send(message, **_options(options))

    def submit(self, message: MessageLike, **options: Any) -> Ticket:
        """As Mailer.submit(), with its `options`, of `message`."""
        return self.mailer.submit(message, **_options(options))
