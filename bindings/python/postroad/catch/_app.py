"""The page and the API of postroad catch: an ASGI application."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from pathlib import Path
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, Iterable, Optional, Tuple
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .._errors import InvalidInput
from ._faults import Faults
from ._mail import Mail
from ._release import Release
from ._store import Store


class _Number(IntegerConvertor):
    regex = "[0-9]{1,100}"  # int() takes no more than some thousand digits


register_url_convertor("number", _Number())

_HERE = Path(__file__).parent
_FILES = {
    "": ("page.html", "text/html"),
    "page.js": ("page.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
}
_WAITING = 1000
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def mail_policy(origin: str, remote: bool) -> str:
    """Of a message's HTML: no script, no form, no frame, nothing from elsewhere unless asked for, and then images only.
    It has no origin, so that it could not use the API."""
    images = f"'self' {origin} data:" + (" http: https:" if remote else "")
    return (
        f"sandbox; default-src 'none'; img-src {images}; style-src 'unsafe-inline'; font-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )


def _is_ours(host: str, allowed: Iterable[str]) -> bool:
    """A name of somebody else's that leads here is how a page elsewhere would read the mail."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name.lower() in ("localhost", *allowed):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


class _Guard:
    """Refuses what other pages in the same browser ask for."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self._app, self._allowed = app, tuple(a.lower() for a in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        why = self._wrong(Request(scope))
        if why is None:
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse(why + "\n", 403, _SAFE)(scope, receive, send)

    def _wrong(self, request: Request) -> Optional[str]:
        host = request.headers.get("host", "")
        if not _is_ours(host, self._allowed):
            return "this name is not allowed: use localhost, or start it with --allow-host"
        origin = request.headers.get("origin")
        if request.method not in ("GET", "HEAD") and origin is not None and origin.partition("://")[2] != host:
            return "a page of another origin may not change anything"
        return None


class Pages:
    def __init__(self, store: Store, faults: Faults, release: Optional[Release]) -> None:
        self._store, self._faults, self._release = store, faults, release

    async def able(self, request: Request) -> Response:
        """What the page offers."""
        return JSONResponse({"relay": self._release.to if self._release else None}, 200, _SAFE)

    async def file(self, request: Request) -> Response:
        name, kind = _FILES[request.path_params.get("name", "")]
        headers = {**_SAFE, "Content-Security-Policy": _PAGE_POLICY}
        return Response((_HERE / name).read_bytes(), 200, headers, f"{kind}; charset=utf-8")

    async def faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._faults.clear()
        if request.method == "POST":
            try:
                self._faults.add(str(json.loads(await request.body())["fault"]))
            except InvalidInput as e:
                return JSONResponse({"error": str(e)}, 400, _SAFE)
            except (ValueError, KeyError, TypeError, RecursionError):
                return JSONResponse({"error": 'write {"fault": "rcpt:1:451 4.7.1 later"}'}, 400, _SAFE)
        return JSONResponse({"faults": self._faults.list()}, 200, _SAFE)

    async def list(self, request: Request) -> Response:
        q = request.query_params
        try:
            before = int(q["before"]) if "before" in q else None
            limit = min(max(int(q.get("limit", "100")), 1), 1000)
        except ValueError:
            return JSONResponse({"error": "before and limit are numbers"}, 400, _SAFE)
        total, found = self._store.list(q.get("q", "")[:1000], before, limit)
        return JSONResponse({"total": total, "messages": found}, 200, _SAFE)

    async def delete_all(self, request: Request) -> Response:
        return JSONResponse({"deleted": self._store.delete()}, 200, _SAFE)

    async def delete(self, request: Request) -> Response:
        n = self._store.delete([request.path_params["id"]])
        return JSONResponse({"deleted": n}, 200 if n else 404, _SAFE)

    async def _mail(self, request: Request, make: Callable[[Tuple[float, str, Any, Mail]], Response]) -> Response:
        found = self._store.get(request.path_params["id"])
        if found is None:
            return JSONResponse({"error": "there is no such message"}, 404, _SAFE)
        # a large message keeps nobody else waiting
        return await asyncio.to_thread(make, found)

    async def release(self, request: Request) -> Response:
        if self._release is None:
            return JSONResponse({"error": "there is no relay: start it with --relay URL"}, 409, _SAFE)
        found = self._store.get(request.path_params["id"])
        if found is None:
            return JSONResponse({"error": "there is no such message"}, 404, _SAFE)
        _, sender, recipients, mail = found
        status, answer = await self._release.send(mail.octets, sender, recipients, await request.body())
        return JSONResponse(answer, status, _SAFE)

    async def show(self, request: Request) -> Response:
        number = request.path_params["id"]

        def make(found: Tuple[float, str, Any, Mail]) -> Response:
            at, sender, recipients, mail = found
            return JSONResponse({"id": number, "at": at, **mail.detail(sender, recipients)}, 200, _SAFE)

        return await self._mail(request, make)

    async def html(self, request: Request) -> Response:
        origin = f"{request.url.scheme}://{request.headers.get('host', '')}"
        policy = mail_policy(origin, request.query_params.get("remote") == "1")

        def make(found: Tuple[float, str, Any, Mail]) -> Response:
            headers = {**_SAFE, "Content-Security-Policy": policy}
            del headers["Cross-Origin-Resource-Policy"]
            page = "<!doctype html><meta charset=utf-8>" + found[3].page()
            return Response(page.encode("utf-8", "replace"), 200, headers, "text/html; charset=utf-8")

        return await self._mail(request, make)

    async def source(self, request: Request) -> Response:
        headers = dict(_SAFE)
        if "download" in request.query_params:
            headers["Content-Disposition"] = f'attachment; filename="{request.path_params["id"]}.eml"'
        kind = "message/rfc822" if "download" in request.query_params else "text/plain; charset=utf-8"
        return await self._mail(request, lambda found: Response(found[3].octets, 200, headers, kind))

    async def part(self, request: Request) -> Response:
        n = request.path_params["n"]

        def make(found: Tuple[float, str, Any, Mail]) -> Response:
            if n >= len(found[3].parts):
                return JSONResponse({"error": "there is no such part"}, 404, _SAFE)
            part = found[3].parts[n]
            headers = {**_SAFE, "Content-Security-Policy": "sandbox; default-src 'none'"}
            # the frame of a message has no origin, and shows its own images all the same
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
            if part.is_picture:
                return Response(part.octets, 200, headers, part.media_type)
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(part.name or f'part-{n}', safe='')}"
            return Response(part.octets, 200, headers, "application/octet-stream")

        return await self._mail(request, make)

    async def events(self, request: Request) -> Response:
        # a proxy such as nginx keeps what comes until it is much, unless told
        return StreamingResponse(self._stream(), 200, {**_SAFE, "X-Accel-Buffering": "no"}, "text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        waiting: asyncio.Queue[Tuple[str, Any]] = asyncio.Queue()

        def told(what: str, about: Any) -> None:
            if waiting.qsize() < _WAITING or what == "end":
                waiting.put_nowait((what, about))
            elif waiting.qsize() == _WAITING:
                waiting.put_nowait(("lost", None))  # the page reads the list anew

        end = self._store.listen(told)
        try:
            yield ": hello\n\n"
            while True:
                try:
                    what, about = await asyncio.wait_for(waiting.get(), 15)
                    if what == "end":
                        return
                    yield f"event: {what}\ndata: {json.dumps(about)}\n\n"
                except asyncio.TimeoutError:
                    yield ": still here\n\n"
        finally:
            end()


def application(
    store: Store, faults: Faults, allowed: Iterable[str] = (), release: Optional[Release] = None
) -> Starlette:
    """allowed: names of hosts under which it may be asked, beside localhost and addresses."""
    pages = Pages(store, faults, release)
    one = "/api/messages/{id:number}"

    def route(path: str, method: str, answer: Callable[[Request], Awaitable[Response]]) -> Route:
        return Route(path, answer, methods=[method])

    routes = [
        route("/", "GET", pages.file),
        *(route(f"/{name}", "GET", _named(pages.file, name)) for name in ("page.js", "page.css")),
        route("/api/messages", "GET", pages.list),
        route("/api/messages", "DELETE", pages.delete_all),
        route("/api/events", "GET", pages.events),
        *(route("/api/faults", method, pages.faults) for method in ("GET", "POST", "DELETE")),
        route("/api/able", "GET", pages.able),
        route(one, "GET", pages.show),
        route(one, "DELETE", pages.delete),
        route(f"{one}/html", "GET", pages.html),
        route(f"{one}/source", "GET", pages.source),
        route(f"{one}/release", "POST", pages.release),
        route(f"{one}/parts/{{n:number}}", "GET", pages.part),
    ]
    return Starlette(routes=routes, middleware=[Middleware(_Guard, allowed=allowed)])


def _named(answer: Callable[[Request], Awaitable[Response]], name: str) -> Callable[[Request], Awaitable[Response]]:
    async def named(request: Request) -> Response:
        params: Dict[str, Any] = request.scope.setdefault("path_params", {})
        params["name"] = name
        return await answer(request)

    return named
