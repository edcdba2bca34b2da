"""The web application of live play: one page, and one socket on which it plays.

Safe by default. Everything is refused that does not come from the page that this server sent: the Host header
must be one of ours (no DNS rebinding), a socket's Origin must be that host, and beyond loopback a token is
needed. Nothing that a request says becomes a path.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from orrery.errors import UserError
from orrery.serving.decode import MAX_PICTURE_BYTES, decode_upload
from orrery.serving.guard import COOKIE, HEADERS, Guard
from orrery.serving.opening import Playable
from orrery.serving.player import Limits, Player
from orrery.serving.recording import Recording
from orrery.serving.sockets import Admission
from orrery.streams import Array

__all__ = ["MAX_SESSIONS", "create_app"]

MAX_SESSIONS = 2
"""Pages that play at once; each has a world of its own."""
MAX_PICTURES = 8
"""Uploads that are kept to start from."""
UPLOAD_SECONDS = 60.0
_KINDS = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "wire.js": "text/javascript; charset=utf-8",
    "controls.js": "text/javascript; charset=utf-8",
    "sound.js": "text/javascript; charset=utf-8",
    "strip.js": "text/javascript; charset=utf-8",
    "worklet.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files of the page, and what they are."""
Next = Callable[[Request], Awaitable[Response]]


def create_app(
    playable: Playable, host: str = "127.0.0.1", token: str | None = None, limits: Limits | None = None
) -> FastAPI:
    """The application for one world. host: what the server is bound to. token: asked of everyone, None for
    nobody, which only a server on loopback may be."""
    guard = Guard(host, token)
    recordings: dict[str, Recording] = {}
    pictures: dict[str, Array] = {}
    app = FastAPI(title="Orrery", docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def guarded(request: Request, call_next: Next) -> Response:
        refusal = guard.refusal(request)
        if refusal is None and request.method not in ("GET", "HEAD"):
            refusal = guard.foreign(request)
        response = PlainTextResponse(refusal[1], refusal[0]) if refusal else await call_next(request)
        response.headers.update(HEADERS)
        return response

    _add_page(app, token)
    _add_pictures(app, playable, pictures)
    _add_recordings(app, playable.title, recordings)
    admission = Admission(guard, MAX_SESSIONS, f"{MAX_SESSIONS} pages play already; close one and reload")

    @app.websocket("/play")
    async def play(socket: WebSocket) -> None:
        """One page's session, from its first message to its last; see docs/serving.md."""
        await admission.host(
            socket, lambda one: Player(one, playable, pictures, recordings, limits or Limits()).play()
        )

    return app


def _add_page(app: FastAPI, token: str | None) -> None:
    @app.get("/")
    async def page(request: Request) -> Response:
        if "token" not in request.query_params:
            return _file("index.html")
        response = RedirectResponse("/", 303)  # out of the address bar, into a cookie
        response.set_cookie(COOKIE, token or "", httponly=True, samesite="strict")
        return response

    @app.get("/{name}")
    async def file(name: str) -> Response:
        return _file(name) if name in _KINDS else PlainTextResponse("there is nothing here", 404)


def _add_pictures(app: FastAPI, playable: Playable, pictures: dict[str, Array]) -> None:
    decoding = asyncio.Lock()

    @app.post("/pictures")
    async def upload(request: Request) -> Response:
        """Keep a picture that a world can start from, and answer with its name. The last few are kept."""
        if not playable.picture_side:
            return PlainTextResponse("this world cannot start from a picture", 400)
        content = bytearray()
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                async for piece in request.stream():
                    content += piece
                    if len(content) > MAX_PICTURE_BYTES:
                        said = f"a picture has at most {MAX_PICTURE_BYTES:,} bytes"
                        return PlainTextResponse(said, 413, {"Connection": "close"})
        except TimeoutError:
            return PlainTextResponse("the picture took too long to arrive", 408, {"Connection": "close"})
        try:
            async with decoding:
                picture = await run_in_threadpool(decode_upload, bytes(content), playable.picture_side)
        except UserError as error:
            return PlainTextResponse(str(error), 400)
        name = secrets.token_urlsafe(16)
        pictures[name] = picture
        while len(pictures) > MAX_PICTURES:
            del pictures[next(iter(pictures))]
        return PlainTextResponse(name)


def _add_recordings(app: FastAPI, title: str, recordings: Mapping[str, Recording]) -> None:
    kinds = {"film.mp4": "video/mp4", "film.json": "application/json"}
    stem = "".join(c if c.isalnum() else "-" for c in title)

    @app.get("/recordings/{name}/{file}")
    async def recording(name: str, file: str) -> Response:
        found = recordings.get(name)
        if found is None or file not in kinds:
            return PlainTextResponse("there is no such recording; it is kept until its page is left", 404)
        path = found.film if file == "film.mp4" else found.film.with_suffix(".json")
        return FileResponse(path, media_type=kinds[file], filename=f"{stem}{path.suffix}")


def _file(name: str) -> Response:
    content = files("orrery.serving").joinpath("web", name).read_bytes()
    return Response(content, media_type=_KINDS[name])
