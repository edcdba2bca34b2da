"""What every socket of a server shares: who may open one, how many there are, and what ends it.

A peer that says too much, too fast or nothing, or that does not read, is let go with a code and a reason.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from orrery.errors import UserError
from orrery.serving.guard import Allowance, Guard

__all__ = ["Admission", "Closing", "Connection", "ConnectionLimits"]

log = logging.getLogger("orrery.serving")


class Closing(Exception):
    """The socket is to be closed, with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:120].decode(errors="ignore")  # a close frame holds no more


@dataclass(frozen=True)
class ConnectionLimits:
    """message_bytes: of one message. messages_per_second: on average over some seconds. idle_seconds: without
    a word. unread_seconds: that one message waits until the peer takes it."""

    message_bytes: int = 131_072
    messages_per_second: float = 300.0
    idle_seconds: float = 1800.0
    unread_seconds: float = 20.0


class Connection:
    """One socket within its limits. Raises `Closing` where the peer breaks one, `WebSocketDisconnect` when it
    has gone."""

    def __init__(self, socket: WebSocket, limits: ConnectionLimits) -> None:
        self._socket, self._limits = socket, limits
        self._allowance = Allowance(limits.messages_per_second)
        self._sending = asyncio.Lock()

    async def receive_text(self, message_bytes: int | None = None) -> str:
        """The next message, JSON text. message_bytes: of it, instead of the connection's own limit."""
        most = message_bytes or self._limits.message_bytes
        event = await self._receive()
        text = event.get("text")
        if text is None:
            raise Closing(1003, "messages are JSON text")
        if len(text.encode()) > most:
            raise Closing(1009, f"a message has at most {most} bytes")
        return text

    async def receive_bytes(self) -> bytes:
        """The next message, binary."""
        event = await self._receive()
        content = event.get("bytes")
        if content is None:
            raise Closing(1003, "messages are binary")
        if len(content) > self._limits.message_bytes:
            raise Closing(1009, f"a message has at most {self._limits.message_bytes} bytes")
        return content

    async def send_json(self, values: Mapping[str, Any], piece: bytes | None = None) -> None:
        """Send a message, and right behind it the binary one that it announces."""
        async with self._taken(), self._sending:
            await self._socket.send_text(json.dumps(values, allow_nan=False))
            if piece is not None:
                await self._socket.send_bytes(piece)

    async def send_bytes(self, content: bytes) -> None:
        async with self._taken(), self._sending:
            await self._socket.send_bytes(content)

    async def _receive(self) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                event = await self._socket.receive()
        except TimeoutError as error:
            raise Closing(1001, "nothing was heard for too long; connect anew to go on") from error
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1000))
        if not self._allowance.take():
            raise Closing(1008, "too many messages a second")
        return dict(event)

    @asynccontextmanager
    async def _taken(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limits.unread_seconds):
                yield
        except TimeoutError as error:
            raise Closing(1008, "what is sent is not read") from error


class Admission:
    """How many sockets there may be at once, and who may open one. most: of them. full: what is said then."""

    def __init__(self, guard: Guard, most: int, full: str) -> None:
        self._guard, self._most, self._full = guard, most, full
        self._open: set[WebSocket] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def host(self, socket: WebSocket, serve: Callable[[WebSocket], Awaitable[None]]) -> None:
        """Serve a socket from its opening to its end, if it may come in."""
        refusal = self._guard.refusal(socket) or self._guard.foreign(socket)
        if refusal is not None:
            await socket.close(1008, refusal[1])  # before it was accepted: the browser gets a 403
            return
        await socket.accept()
        if len(self._open) >= self._most:
            await socket.close(1013, self._full)
            return
        self._open.add(socket)
        try:
            closing = await self._served(socket, serve)
        finally:
            self._open.discard(socket)
        with suppress(
            TimeoutError, RuntimeError, WebSocketDisconnect
        ):  # who does not read hears this neither
            async with asyncio.timeout(1.0):
                await socket.close(closing.code, closing.reason)

    async def _served(self, socket: WebSocket, serve: Callable[[WebSocket], Awaitable[None]]) -> Closing:
        try:
            await serve(socket)
        except Closing as closing:
            return closing
        except WebSocketDisconnect:
            pass
        except UserError as error:
            return Closing(1011, str(error))
        except Exception:
            log.exception("a socket ended in an error of this program")
            return Closing(1011, "an error of this program")
        return Closing(1000, "")
