"""A live world over a socket starts from a picture; what is no picture is refused and disturbs nobody."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("websockets")

from live_server import LiveServer
from pictured import Pictured, png
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from orrery.serving.opening import Playable
from orrery.serving.realtime import RealtimeLimits
from orrery.serving.service import LiveLimits

START = {"type": "session.start", "prompt": "to the left", "seed": 3, "num_frames": 8}
LONG = {**START, "num_frames": 1200}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    world = Playable("dummy", "imagined", partial(Pictured, size=32), sentences=True)
    live = LiveLimits(video=RealtimeLimits(start_bytes=300_000))
    with LiveServer(tmp_path_factory.mktemp("pictured"), live, playable=world) as started:
        yield started


def referring(content: bytes, kind: str = "image/png") -> dict[str, Any]:
    url = f"data:{kind};base64," + base64.b64encode(content).decode()
    return {**START, "input_reference": {"image_url": url}}


def opened(server: LiveServer) -> ClientConnection:
    return connect(f"{server.address}/v1/realtime/video", max_size=None)


def frames_of(socket: ClientConnection) -> list[np.ndarray]:
    """The film of a session, to its end."""
    pieces: list[bytes] = []
    while (message := json.loads(socket.recv()))["type"] != "session.done":
        assert message["type"] != "error", message
        if message["type"] == "video.chunk_metadata":
            piece = socket.recv()
            assert isinstance(piece, bytes)
            pieces.append(piece)
    with av.open(io.BytesIO(b"".join(pieces)), "r") as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def refusal(socket: ClientConnection) -> tuple[str, int]:
    """What is said, and the code of closing."""
    said: list[str] = []

    def hear() -> None:
        while True:
            message = json.loads(socket.recv())
            assert message["type"] == "error", message
            said.append(message["message"])

    with pytest.raises(ConnectionClosed) as closed:
        hear()
    assert closed.value.rcvd is not None
    return said[-1] if said else closed.value.rcvd.reason, closed.value.rcvd.code


def test_the_picture_that_goes_in_is_what_the_first_frames_show(server: LiveServer) -> None:
    halves = np.zeros((64, 96, 3), np.uint8)
    halves[:, :48], halves[:, 48:] = (200, 30, 30), (30, 60, 200)
    content = io.BytesIO()
    Image.fromarray(halves).save(content, "PNG")
    with opened(server) as socket:
        socket.send(json.dumps(referring(content.getvalue())))
        assert json.loads(socket.recv())["config"]["has_picture"]
        frames = frames_of(socket)
    assert len(frames) == 8
    for frame in frames[:2]:  # the centre square of it, for one tick
        assert np.abs(frame[:, 2:12].astype(int) - (200, 30, 30)).mean() < 12
        assert np.abs(frame[:, 20:30].astype(int) - (30, 60, 200)).mean() < 12
    assert np.abs(frames[4].astype(int) - frames[0]).mean() > 20  # then the world goes on


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (referring(b""), "not a picture"),
        (referring(b"<svg onload='x'/>", "image/svg+xml"), "not a picture"),
        (referring(png((9, 9, 9), (300, 300))[:200]), "damaged"),
        (referring(png((0, 0, 0), (30_000, 30_000), "1")), "pixels"),
        (referring(png((0, 0, 0), (6000, 6000), "1")), "too many"),
        ({**START, "input_reference": {"image_url": "data:text/html;base64,AA=="}}, "data:image"),
        ({**START, "input_reference": "http://example.org/a.png"}, "nothing is fetched"),
        ({**START, "input_reference": 7}, "input_reference"),
        ({**START, "input_reference": {"image_url": "data:image/png;base64,!"}}, "not in base64"),
    ],
)
def test_what_is_no_picture_is_refused_and_others_play_on(
    server: LiveServer, start: dict[str, Any], said: str
) -> None:
    with opened(server) as other, opened(server) as socket:
        other.send(json.dumps(LONG))
        while json.loads(other.recv())["type"] != "video.chunk_metadata":
            pass
        other.recv()
        socket.send(json.dumps(start))
        reason, code = refusal(socket)
        assert said in reason
        assert code == 1008
        other.send(json.dumps({"type": "session.stop"}))
        while True:
            message = other.recv()
            if isinstance(message, str) and json.loads(message)["type"] == "session.done":
                break


def test_a_body_that_is_too_large_closes_and_the_next_is_served(server: LiveServer) -> None:
    with opened(server) as socket:
        socket.send(json.dumps(referring(b"\0" * 400_000)))
        reason, code = refusal(socket)
    assert (code, reason) == (1009, "a message has at most 300000 bytes")
    with opened(server) as socket:
        socket.send(json.dumps(referring(png((10, 200, 30)))))
        assert np.abs(frames_of(socket)[0].astype(int) - (10, 200, 30)).mean() < 12


def test_a_world_that_cannot_start_from_one_is_named(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server, opened(server) as socket:
        socket.send(json.dumps(referring(png((1, 2, 3)))))
        reason, code = refusal(socket)
    assert "dummy cannot start from a picture" in reason
    assert code == 1008
