"""Live sessions of one learned model are stepped together: whoever asks for a tick takes along all who wait.

One pass of the network serves all sessions that asked for a tick while the last pass ran. A session that
stalls asks for nothing: its world stands still and holds nobody up. Nobody waits for others to ask, so that
one session alone is as fast as without the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future

from orrery.engines.base import Engine
from orrery.errors import BadUse
from orrery.inference.imagined import ImaginedWorld, step_together
from orrery.streams import Array, Observation

__all__ = ["MAX_ROWS", "Batch"]

MAX_ROWS = 16
"""Worlds in one pass, unless one session has more."""


class Batch:
    """The sessions of one model. most: worlds in one pass; 1 for one session after the other.

    Worlds may be stepped from any threads, each from one at a time.
    """

    def __init__(self, engine: Engine, most: int = MAX_ROWS) -> None:
        self._engine, self._most = engine, most
        self._pass = threading.Lock()
        self._changing = threading.Lock()
        self._waiting: list[_Request] = []
        self.num_passes = 0

    def make_world(self, num_worlds: int = 1, streams: Iterable[str] | None = None) -> ImaginedWorld:
        """A world whose steps are made together with those of the others."""
        return _BatchedWorld(self, self._engine, num_worlds, streams)

    def step(self, world: ImaginedWorld, action: Mapping[str, Array]) -> None:
        """Imagine the next tick of a world; returns once it is made. action: as `checked_action` gives it."""
        request = _Request(world, action)
        with self._changing:
            self._waiting.append(request)
        while not request.done():
            with self._pass:  # those who wait here were perhaps taken along meanwhile
                if not request.done():
                    self._make(self._taken())
        request.result()

    def _taken(self) -> list[_Request]:
        """The requests that have waited longest, as many as fit into one pass."""
        with self._changing:
            rows, number = 0, 0
            for request in self._waiting:
                rows += request.world.num_worlds
                if number and rows > self._most:
                    break
                number += 1
            taken, self._waiting = self._waiting[:number], self._waiting[number:]
        return taken

    def _make(self, requests: list[_Request]) -> None:
        self.num_passes += 1
        try:
            step_together([r.world for r in requests], [r.action for r in requests])
        except BaseException as error:
            for request in requests:
                request.set_exception(error)
            return
        for request in requests:
            request.set_result(None)


class _Request(Future[None]):
    def __init__(self, world: ImaginedWorld, action: Mapping[str, Array]) -> None:
        super().__init__()
        self.world, self.action = world, action


class _BatchedWorld(ImaginedWorld):
    def __init__(self, batch: Batch, engine: Engine, num_worlds: int, streams: Iterable[str] | None) -> None:
        super().__init__(engine, num_worlds, streams)
        self._batch = batch

    def step(self, action: Array | Mapping[str, Array] | None = None) -> Observation:
        """See `World.step`."""
        if self._state is None:
            raise BadUse("reset the world before its first step")
        self._batch.step(self, self.checked_action(action))
        return self._observe()
