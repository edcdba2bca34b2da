"""Who may come in, with how much, and how often: what every way into a server goes through first."""

from __future__ import annotations

import ipaddress
import json
import secrets
import time
from urllib.parse import urlsplit

from fastapi import Request, WebSocket
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["COOKIE", "HEADERS", "Allowance", "BodyLimit", "Guard", "is_loopback"]

COOKIE = "orrery_token"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Of every answer."""
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


class _TooLarge(Exception):
    """More came than a body may have."""


class BodyLimit:
    """Refuses a body of more than `max_bytes`: before it is read where its length is said, else then."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if said.isdigit() and int(said) > self._max_bytes:
            await self._refuse(send)
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
            has_answered = True
            await send(message)

        try:
            await self._app(scope, counted, answered)
        except _TooLarge:
            if not has_answered:
                await self._refuse(send)

    async def _refuse(self, send: Send) -> None:
        text = f"a request has at most {self._max_bytes:,} bytes"
        body = json.dumps({"error": {"message": text, "type": "invalid_request_error", "param": None,
                                     "code": "too_large"}}).encode()  # fmt: skip
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})
