"""The application of `orrery serve`: films, live worlds, and what whoever runs it needs to see.

Everything comes in through one gate: the body's size, the Host header, the token, and the Origin of whatever
changes something. docs/serving.md has the routes.
"""

from __future__ import annotations

import asyncio
import html
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect

from orrery import __version__
from orrery.serving.arrays import PATH
from orrery.serving.film_request import Refused
from orrery.serving.guard import Gate, Guard, failure
from orrery.serving.jobs import Jobs
from orrery.serving.metrics import KIND, exposition
from orrery.serving.models import Model
from orrery.serving.realtime import Realtime, RealtimeLimits
from orrery.serving.sockets import Admission, ConnectionLimits
from orrery.serving.stepping import Stepping, stepping_limits
from orrery.serving.supervisor import Supervisor
from orrery.serving.videos import MAX_REQUEST_BYTES, FilmLimits, videos_router

__all__ = ["LiveLimits", "create_service"]


@dataclass(frozen=True)
class LiveLimits:
    """sockets: open at once. video, world: of each kind."""

    sockets: int = 8
    video: RealtimeLimits = field(default_factory=RealtimeLimits)
    world: ConnectionLimits = field(default_factory=stepping_limits)


def create_service(
    models: Mapping[str, Model],
    jobs: Jobs,
    supervisor: Supervisor,
    host: str = "127.0.0.1",
    token: str | None = None,
    limits: FilmLimits | None = None,
    live: LiveLimits | None = None,
) -> FastAPI:
    """The application. models: by name, the first the default. supervisor: not started yet; it runs as long
    as the application does. host, token: as `Guard` takes them."""
    guard, requests = Guard(host, token), Counter[tuple[str, int]]()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        jobs.forget_unkept()
        supervisor.start()
        yield
        supervisor.stop()

    app = FastAPI(title="Orrery", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)

    def seen(method: str, status: int) -> None:
        requests[method if method in _METHODS else "other", status] += 1

    app.add_middleware(Gate, guard=guard, max_bytes=MAX_REQUEST_BYTES, free=("/health",), seen=seen)
    _add_failures(app)
    app.include_router(videos_router(models, jobs, supervisor, limits or FilmLimits()))

    live, decoding = live or LiveLimits(), asyncio.Lock()
    admission = Admission(guard, live.sockets, f"{live.sockets} sockets are open already; close one")

    @app.websocket("/v1/realtime/video")
    async def video(socket: WebSocket) -> None:
        await admission.host(socket, lambda one: Realtime(one, models, live.video, decoding).serve())

    @app.websocket(PATH)
    async def world(socket: WebSocket) -> None:
        await admission.host(socket, lambda one: Stepping(one, models, live.world).serve())

    @app.get("/health", tags=["operation"])
    def health() -> JSONResponse:
        """200 while films can be made, else 503."""
        up = supervisor.is_up
        return JSONResponse({"status": "ok" if up else "the worker is down"}, 200 if up else 503)

    @app.get("/metrics", tags=["operation"], response_class=PlainTextResponse)
    def metrics() -> Response:
        """Counts, in Prometheus' text format."""
        text = exposition(jobs.counts(), requests, len(admission), supervisor.is_up, supervisor.num_restarts)
        return Response(text, media_type=KIND)

    @app.get("/docs", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(_page(app))

    return app


_METHODS = ("GET", "HEAD", "POST", "DELETE")


def _add_failures(app: FastAPI) -> None:
    """Every refusal in one form."""

    @app.exception_handler(AnyHTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return failure(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = str(first["loc"][-1])
        return failure(422, f"{field}: {first['msg']}", field)

    @app.exception_handler(Refused)
    async def wrong(_: Request, error: Refused) -> Response:
        return failure(400, str(error), error.field)

    @app.exception_handler(sqlite3.Error)
    @app.exception_handler(OSError)
    async def unkept(_: Request, error: Exception) -> Response:
        return failure(507, f"the films' folder cannot be used ({error}); is its disk full?")

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: ClientDisconnect) -> Response:
        return failure(408, "whoever asked has gone")


def _page(app: FastAPI) -> str:
    """What there is, as one page that needs nothing from elsewhere."""
    rows = [
        f"<tr><td><code>{method.upper()}</code><td><code>{html.escape(path)}</code>"
        f"<td>{html.escape(operation.get('description', ''))}"
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    ]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Orrery</title><h1>Orrery</h1>"
        '<p>Described for programs in <a href="/openapi.json">openapi.json</a>.</p>'
        f"<table>{''.join(rows)}</table>"
    )
