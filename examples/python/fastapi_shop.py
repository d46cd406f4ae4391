"""A shop in FastAPI: one mailer for the life of the process, and requests that wait for no mail server.

POSTROAD_URL=smtp://... uvicorn fastapi_shop:app
"""

import contextlib
import os
from typing import AsyncIterator, Dict

import fastapi
import postroad


@contextlib.asynccontextmanager
async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
    async with postroad.Mailer(
        os.environ["POSTROAD_URL"], queue=os.environ.get("POSTROAD_QUEUE") or None
    ) as app.state.mail:
        yield


app = fastapi.FastAPI(lifespan=lifespan)


@app.post("/order/{order}")
async def confirm(order: int, email: str, request: fastapi.Request) -> Dict[str, str]:
    try:
        message = postroad.Message(from_="shop@example.com", to=email, subject=f"Order {order}", text="Thank you.")
        await request.app.state.mail.asubmit(message)
    except postroad.InvalidInput as e:
        raise fastapi.HTTPException(422, str(e)) from None
    return {"order": str(order)}
