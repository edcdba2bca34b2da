"""A page that plays the dummy world, as a program."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from starlette.testclient import WebSocketTestSession

from orrery.serving.framing import unpack
from orrery.serving.opening import Playable
from orrery.streams import Clock
from orrery.worlds.dummy import DummyWorld

FAST = Clock(frames_per_second=200, frames_per_tick=2, samples_per_second=48_000)
"""A hundred ticks a second, so that nothing waits long."""


PLAY = "ws://localhost/play"


def dummy_playable(clock: Clock = FAST, size: int = 16) -> Playable:
    return Playable(
        "dummy",
        "exact",
        partial(DummyWorld, size=size, clock=clock),
        sentences=True,
        about={"world": "dummy"},
    )


class Page:
    """The page's side of the socket. acknowledges: says of every tick that it was shown."""

    def __init__(self, socket: WebSocketTestSession, acknowledges: bool = True) -> None:
        self.socket, self._acknowledges = socket, acknowledges
        self.hello = self.hear()[0]

    def say(self, kind: str, **values: Any) -> None:
        self.socket.send_json({"type": kind, **values})

    def hear(self) -> tuple[dict[str, Any], list[bytes]]:
        """The next message and its parts. AssertionError where the socket is closed instead."""
        event = self.socket.receive()
        assert event["type"] == "websocket.send", event
        if event.get("bytes") is None:
            return json.loads(event["text"]), []
        header, parts = unpack(event["bytes"])
        if header["type"] == "tick" and self._acknowledges:
            self.say("ack", id=header["id"])
        return header, parts

    def hear_until(self, kind: str) -> dict[str, Any]:
        while True:
            header, self.parts = self.hear()
            if header["type"] == kind:
                return header

    def start(self, **values: Any) -> dict[str, Any]:
        """Start the world; its first tick."""
        self.say("reset", **{"seed": 0, **values})
        self.hear_until("started")
        return self.hear_until("tick")
