"""A Celery worker that sends mail: a mailer in each process of its pool, and tasks that may run twice.

POSTROAD_URL=smtp://... POSTROAD_QUEUE=FILE CELERY_BROKER_URL=amqp://... celery -A celery_worker worker
"""

import contextlib
import functools
import os

import celery
import postroad

app = celery.Celery("shop")
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)


@functools.cache
def mailer() -> postroad.Mailer:
    """Made with the first mail: a mailer belongs to the process that made it."""
    return postroad.Mailer(os.environ["POSTROAD_URL"], queue=os.environ["POSTROAD_QUEUE"], submit_only=True)


@app.task
def confirm(order: int, address: str) -> None:
    message = postroad.Message(
        from_="shop@example.com", to=address, subject=f"Order {order}", text="Thank you for your order."
    )
    with contextlib.suppress(postroad.AlreadyQueued):
        mailer().submit(message, idempotency_key=f"order {order}")
