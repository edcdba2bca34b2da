"""Who may come in, with how much, and how often: what every way into a server goes through first."""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Callable, Container, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import Request, WebSocket
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["COOKIE", "HEADERS", "Allowance", "Gate", "Guard", "failure", "is_loopback"]

COOKIE = "orrery_token"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Of every answer."""
_LAST = {"Connection": "close"}
"""Nothing more of such a request is taken in."""
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """Who may come in. host: what the server is bound to. token: asked of everyone, None for nobody, which
    only a server on loopback may be (ValueError)."""

    def __init__(self, host: str, token: str | None) -> None:
        if token is None and not is_loopback(host):
            raise ValueError("beyond loopback a token is needed")
        self._names = set(_LOOPBACK_NAMES) if is_loopback(host) else None
        self._token = token

    def refusal(self, request: Request | WebSocket) -> tuple[int, str] | None:
        """Status and reason, or None for one who may.

        The token comes as `Authorization: Bearer`, as the cookie of the page, or as `?token=`.
        """
        named = urlsplit(f"//{request.headers.get('host', '')}").netloc.rpartition("@")[2]
        name = named.rpartition(":")[0] if named.rpartition(":")[2].isdigit() else named
        if self._names is not None and name.lower() not in self._names:
            return 421, "this server answers to localhost alone"
        if self._token is None:
            return None
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        bearer = bearer.strip() if scheme.lower() == "bearer" else ""
        given = bearer or request.query_params.get("token") or request.cookies.get(COOKIE) or ""
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            return 401, "the token is missing or wrong; use the one that was printed at the start"
        return None

    def foreign(self, request: Request | WebSocket) -> tuple[int, str] | None:
        """A refusal for a page of another site. Programs that are no browsers send no Origin."""
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return 403, "this server is for its own pages alone, not for those of another site"
        return None


class Allowance:
    """So many a second on average, twice that at once."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left = self._most = max(1.0, 2 * per_second)
        self._last = time.monotonic()

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._last) * self._per_second)
        self._last = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def failure(
    status: int, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An answer that says what was wrong, in the form of OpenAI's API. field: the one that is wrong."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    code = HTTPStatus(status).phrase.lower().replace(" ", "_")
    error = {"message": message, "type": kind, "param": field, "code": code}
    return JSONResponse({"error": error}, status, dict(headers or {}))


class _TooLarge(Exception):
    """More came than a body may have."""


class Gate:
    """What every request over HTTP goes through: who it is from, and how large it is.

    A body of more than `max_bytes` is refused before it is read where its length is said, else on the way.
    free: paths that need no token, and say nothing that does. seen: called with the method and the status of
    every answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        guard: Guard,
        max_bytes: int,
        free: Container[str],
        seen: Callable[[str, int], None],
    ) -> None:
        self._app, self._guard, self._max_bytes, self._free, self._seen = app, guard, max_bytes, free, seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        count, has_answered = 0, False

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > self._max_bytes:
                raise _TooLarge
            return message

        async def answered(message: Message) -> None:
            nonlocal has_answered
            if message["type"] == "http.response.start":
                has_answered = True
                MutableHeaders(scope=message).update(HEADERS)
                self._seen(scope["method"], message["status"])
            await send(message)

        refusal = self._refusal(Request(scope))
        if refusal is not None:
            await failure(*refusal, headers=_LAST)(scope, receive, answered)
            return
        try:
            await self._app(scope, counted, answered)
        except _TooLarge:
            if not has_answered:
                await failure(*self._too_large(), headers=_LAST)(scope, receive, answered)

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        refusal = None if request.url.path in self._free else self._guard.refusal(request)
        if refusal is None and request.method not in ("GET", "HEAD"):
            refusal = self._guard.foreign(request)
        said = request.headers.get("content-length", "0")
        if refusal is None and said.isdigit() and int(said[:20]) > self._max_bytes:
            return self._too_large()
        return refusal

    def _too_large(self) -> tuple[int, str]:
        return 413, f"a request has at most {self._max_bytes:,} bytes"
