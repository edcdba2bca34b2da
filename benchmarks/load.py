"""`orrery serve` under load: clients queue films, live sessions step worlds, and it is killed half-way.

    python benchmarks/load.py [MODEL] [--clients 50] [--sessions 4] [--minutes 5]

Every client asks for films, waits for them, and checks that each is its own: its name, and the seed that the
film says it was made from. After the kill (SIGKILL) the server starts again on the same folder. It ends
with an error where an accepted film was lost, made twice or somebody else's, or where more waited than may.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import tyro
from tyro.conf import Positional

from harness import show
from orrery.errors import UserError
from orrery.serving.client import RemoteWorld
from orrery.serving.videos import FilmLimits

PATIENCE_SECONDS = 600.0


@dataclass
class Settings:
    """model: as `orrery serve` takes it. prompt: for its films. each: films that a client has on their way.
    film_seconds: length of one. minutes: in which films are asked for."""

    model: Positional[str] = "dummy"
    prompt: str = "to the left"
    clients: int = 50
    each: int = 4
    sessions: int = 4
    film_seconds: float = 0.5
    minutes: float = 5.0


@dataclass
class Load:
    """What all clients share. counts: of what happened. faults: what must not."""

    settings: Settings
    address: str
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    most_waiting: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask(self, path: str, body: Any = None, method: str | None = None) -> tuple[int, Any]:
        """Status and content; status 0 where there is no server."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.address}{path}", data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content = answer.read()
                is_json = "json" in answer.headers.get("Content-Type", "")
                return answer.status, json.loads(content) if is_json else content
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except (OSError, ValueError):  # it is down, or was killed within its answer
            return 0, None


def main(settings: Settings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    load = Load(settings, f"127.0.0.1:{port}")
    with tempfile.TemporaryDirectory(prefix="orrery-load-") as folder:
        data = Path(folder)
        server = started(settings.model, port, data)
        threads = [threading.Thread(target=client, args=(load, n)) for n in range(settings.clients)]
        threads += [threading.Thread(target=session, args=(load, n)) for n in range(settings.sessions)]
        for thread in threads:
            thread.start()
        try:
            watch(load, settings.minutes * 30)
            os.kill(server.pid, signal.SIGKILL)
            server.wait()
            server = started(settings.model, port, data)
            watch(load, settings.minutes * 30)
            load.is_over.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS)
                if thread.is_alive():
                    load.faults.append("a client never came to its end")
        finally:
            load.is_over.set()
            server.terminate()
            server.wait()
    report(load)


def report(load: Load) -> None:
    if load.counts["accepted"] != load.counts["own film"]:
        load.faults.append(f"{load.counts['accepted']} accepted, {load.counts['own film']} received")
    if load.most_waiting > FilmLimits().waiting:
        load.faults.append(f"{load.most_waiting} films waited")
    show(
        f"{load.settings.clients} clients, {load.settings.sessions} live sessions, one kill",
        ["", ""],
        [
            *([name, count] for name, count in sorted(load.counts.items())),
            ["most waiting", load.most_waiting],
        ],
    )
    if load.faults:
        raise SystemExit("\n".join(sorted(set(load.faults))))


def started(model: str, port: int, data: Path) -> subprocess.Popen[str]:
    """The server, once it says where it is."""
    command = [sys.executable, "-m", "orrery", "serve", model, "--port", str(port), "--data", str(data)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    if not server.stdout.readline():
        raise SystemExit("the server ended before it said where it is")
    return server


def watch(load: Load, seconds: float) -> None:
    """Let it go on, and see how many films wait."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status, metrics = load.ask("/metrics")
        for line in metrics.decode().splitlines() if status == 200 else ():
            if line.startswith('orrery_jobs{status="queued"}'):
                load.most_waiting = max(load.most_waiting, int(line.split()[1]))
        time.sleep(0.25)


def client(load: Load, number: int) -> None:
    """Ask for films and receive them, until it is over and all of them are there."""
    asked: dict[str, int] = {}
    made: dict[str, int] = {}
    seed = number * 1_000_000
    while asked or not load.is_over.is_set():
        while len(asked) < load.settings.each and not load.is_over.is_set():
            seed += 1
            if (video_id := queued(load, number, seed)) is None:
                break
            asked[video_id] = seed
        for video_id in list(asked):
            if received(load, number, video_id, asked[video_id], made):
                del asked[video_id]
        time.sleep(0.2)


def queued(load: Load, number: int, seed: int) -> str | None:
    """The id of a film that was accepted."""
    settings = load.settings
    fields = {"prompt": settings.prompt, "seconds": settings.film_seconds, "seed": seed, "user": str(number)}
    status, video = load.ask("/v1/videos", fields)
    if status == 200:
        load.counts["accepted"] += 1
        return video["id"]
    load.counts["turned away (429)" if status == 429 else "no server"] += 1
    if status not in (0, 429):
        load.faults.append(f"asking: {status} {video}")
    return None


def received(load: Load, number: int, video_id: str, seed: int, made: dict[str, int]) -> bool:
    """Whether a film is over; if so it was looked into, and deleted. made: when each was, as far as known."""
    status, video = load.ask(f"/v1/videos/{video_id}")
    if status == 0 or (status == 200 and video["status"] not in ("completed", "failed")):
        if video_id in made and status == 200:
            load.faults.append(f"{video_id} is made again")
        return False
    if status != 200 or video["status"] == "failed":
        load.faults.append(f"{video_id} is lost: {status} {video}")
        return True
    if made.setdefault(video_id, video["completed_at"]) != video["completed_at"]:
        load.faults.append(f"{video_id} was made twice")
    status, content = load.ask(f"/v1/videos/{video_id}/content")
    if status != 200:
        return False
    with av.open(io.BytesIO(content)) as film:
        said = json.loads(film.metadata["comment"])
    if (said["seed"], video["seed"], video["user"]) != (seed, seed, str(number)):
        load.faults.append(f"{video_id} is somebody else's")
    load.counts["own film"] += 1
    load.ask(f"/v1/videos/{video_id}", method="DELETE")
    return True


def session(load: Load, number: int) -> None:
    """Step a world for as long as it goes, and connect anew where it does not."""
    while not load.is_over.is_set():
        try:
            world = RemoteWorld(f"ws://{load.address}")
            tick_seconds = world.spec.clock.tick_seconds
            world.reset(number)
            while not load.is_over.is_set():
                world.step()
                load.counts["live ticks"] += 1
                time.sleep(tick_seconds)
            world.close()
        except UserError:
            load.counts["live sessions cut off"] += 1
            time.sleep(0.5)


if __name__ == "__main__":
    main(tyro.cli(Settings))
