"""A shop in Flask. Mail is stored in a file; `postroad run --queue FILE URL` beside it sends it.

POSTROAD_URL=smtp://... POSTROAD_QUEUE=FILE gunicorn --workers 4 flask_shop:app
"""

import os

import flask
import postroad
from postroad.flask import Mail

app = flask.Flask(__name__)
app.config["POSTROAD"] = {
    "url": os.environ.get("POSTROAD_URL", "discard://"),
    "queue": os.environ.get("POSTROAD_QUEUE") or None,
    "submit_only": bool(os.environ.get("POSTROAD_QUEUE")),
}
mail = Mail(app)


@app.post("/order/<int:order>")
def confirm(order: int) -> str:
    message = postroad.Message(
        from_="shop@example.com", to=flask.request.form["email"], subject=f"Order {order}", text="Thank you."
    )
    mail.submit(message, tag="orders")
    return "Thank you."


@app.errorhandler(postroad.InvalidInput)
def wrong(error: postroad.InvalidInput) -> "tuple[str, int]":
    return f"That address cannot be one: {error}", 400
