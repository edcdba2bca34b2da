"""The sockets of `orrery serve` on the dummy world, in this process."""

from __future__ import annotations

import socket
import threading
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from orrery.serving.jobs import Jobs
from orrery.serving.models import Model
from orrery.serving.opening import Playable
from orrery.serving.service import LiveLimits, create_service
from orrery.serving.supervisor import Supervisor
from orrery.serving.videos import FilmLimits
from orrery.worlds.dummy import DummyWorld


def live_app(
    folder: Path,
    live: LiveLimits | None = None,
    size: int = 16,
    limits: FilmLimits | None = None,
    playable: Playable | None = None,
) -> FastAPI:
    """The whole service, of the dummy world or another; its worker runs only where the application's lifespan
    does."""
    playable = playable or Playable("dummy", "exact", partial(DummyWorld, size=size), sentences=True)
    jobs = Jobs(folder)
    supervisor = Supervisor(jobs, {"dummy": "dummy"}, 60.0)
    return create_service(
        {"dummy": Model("dummy", playable, "dummy")}, jobs, supervisor, limits=limits, live=live
    )


class LiveServer:
    """That application on a port of its own, for as long as the block lasts. Its worker does not run."""

    def __init__(
        self,
        folder: Path,
        live: LiveLimits | None = None,
        size: int = 16,
        limits: FilmLimits | None = None,
        playable: Playable | None = None,
    ) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self.address = f"ws://127.0.0.1:{self.port}"
        self._app = live_app(folder, live or LiveLimits(sockets=100), size, limits, playable)
        config = uvicorn.Config(self._app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )

    def __enter__(self) -> LiveServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)

    def num_sockets(self) -> int:
        """Open now, as the server's own metrics say."""
        import urllib.request

        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("orrery_realtime_sessions"):
                    return int(line.split()[1])
        raise AssertionError("the metrics do not say")
