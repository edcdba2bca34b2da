"""Live worlds over a socket: films in pieces, worlds stepped from elsewhere, and peers that misbehave."""

from __future__ import annotations

import io
import json
import socket as sockets
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import gymnasium
import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("websockets")

from live_server import LiveServer, live_app
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from orrery.errors import BadUse, UserError
from orrery.serving import realtime
from orrery.serving.arrays import pack_arrays, unpack_arrays
from orrery.serving.client import RemoteWorld
from orrery.serving.framing import pack
from orrery.serving.opening import Playable
from orrery.serving.realtime import RealtimeLimits
from orrery.serving.service import LiveLimits
from orrery.serving.sockets import ConnectionLimits
from orrery.worlds.dummy import DummyWorld

VIDEO = "ws://localhost/v1/realtime/video"
WORLD = "ws://localhost/v1/realtime/world"
START = {"type": "session.start", "prompt": "to the left", "seed": 3, "num_frames": 40}


def _acting(push: float, **more: Any) -> dict[str, Any]:
    action = {"mode": "hold", "data": {"action": [push]}}
    event = {"multi_modal_data": {"action": action}}
    return {"type": "session.interaction", "interaction": {"event": event, **more}}


class Watcher:
    """The peer of one session. hears: everything until the end."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.said: list[dict[str, Any]] = []
        self.pieces: list[bytes] = []

    def say(self, message: dict[str, Any]) -> None:
        self.socket.send_json(message)

    def hear(self) -> dict[str, Any]:
        """The next control message; a piece is kept with its metadata."""
        event = self.socket.receive()
        if event["type"] == "websocket.close":
            return {"type": "closed", "code": event["code"], "reason": event["reason"]}
        message = json.loads(event["text"])
        self.said.append(message)
        if message["type"] == "video.chunk_metadata":
            self.pieces.append(self.socket.receive_bytes())
            assert len(self.pieces[-1]) == message["byte_length"]
        return message

    def hear_until(self, kind: str) -> dict[str, Any]:
        while (message := self.hear())["type"] != kind:
            assert message["type"] != "closed", message
        return message


@pytest.fixture
def watching(tmp_path: Path) -> Any:
    def opened(live: LiveLimits | None = None) -> Any:
        client = TestClient(live_app(tmp_path, live=live), base_url="http://localhost")
        return client.websocket_connect(VIDEO)

    return opened


def test_a_session_is_one_film_with_sound_and_touch(watching: Any) -> None:
    with watching() as socket:
        watcher = Watcher(socket)
        watcher.say(START)
        started = watcher.hear()
        assert (started["type"], started["format"]) == ("video.start", "m4s")
        assert started["config"]["seed"] == 3
        done = watcher.hear_until("session.done")
    assert (done["chunks"], done["stopped"], done["ended"]) == (len(watcher.pieces), False, "")
    pieces = [message for message in watcher.said if message["type"] == "video.chunk_metadata"]
    assert [piece["kind"] for piece in pieces] == ["media"] * 20 + ["trailer"]
    assert [piece["transport_chunk_index"] for piece in pieces] == list(range(21))
    world = DummyWorld(size=16)
    truth = world.reset(3, prompt="to the left")
    with av.open(io.BytesIO(b"".join(watcher.pieces))) as container:
        assert json.loads(container.metadata["comment"])["seed"] == 3
        assert container.streams.audio
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 40
    for number in range(20):
        assert np.abs(frames[2 * number].astype(int) - truth["video.main"][0, 0]).mean() < 4
        felt = np.array(pieces[number]["multi_modal_data"]["touch"]["taxels"])
        np.testing.assert_allclose(felt, truth["touch.finger"][0, -1], atol=1e-4)
        truth = world.step()


def test_a_sentence_happens_with_the_tick_that_says_so(watching: Any) -> None:
    with watching() as socket:
        watcher = Watcher(socket)
        watcher.say({**START, "num_frames": 400})
        watcher.say(_acting(0.5, event_id="push"))
        watcher.hear_until("session.interaction.queued")
        event = {"event_id": "turn", "event": {"prompt": "to the right"}}
        watcher.say({"type": "session.interaction", "interaction": event})
        assert watcher.hear_until("session.interaction.queued")["event_id"] == "turn"
        while "turn" not in (metadata := watcher.hear_until("video.chunk_metadata"))["started_event_ids"]:
            pass
        watcher.say({"type": "session.stop"})
        watcher.hear_until("session.done")
    acted = {
        event_id: message["generation_chunk_index"]
        for message in watcher.said
        for event_id in message.get("started_event_ids", ())
    }
    assert metadata["active_event_ids"] == ["push"]  # a sentence is over at once, and the action holds
    world = DummyWorld(size=16)
    world.reset(3, prompt="to the left")
    for number in range(1, acted["turn"] + 1):
        if number == acted["turn"]:
            world.direct("to the right")
        truth = world.step(np.array([[0.5]]) if number >= acted["push"] else None)
    felt = np.array(metadata["multi_modal_data"]["touch"]["taxels"])
    np.testing.assert_allclose(felt, truth["touch.finger"][0, -1], atol=1e-4)


def test_an_action_holds_from_the_next_tick_on(watching: Any) -> None:
    with watching() as socket:
        watcher = Watcher(socket)
        watcher.say({**START, "num_frames": 400})
        watcher.hear_until("video.chunk_metadata")
        watcher.say(_acting(1.0, event_id="push"))
        assert watcher.hear_until("session.interaction.queued")["event_id"] == "push"
        while "push" not in (metadata := watcher.hear_until("video.chunk_metadata"))["started_event_ids"]:
            assert metadata["active_event_ids"] == []
        assert metadata["active_event_ids"] == ["push"]
        acted = metadata["generation_chunk_index"]
        for _ in range(2):  # it holds: nothing is said of it again
            assert watcher.hear_until("video.chunk_metadata")["active_event_ids"] == ["push"]
        watcher.say({"type": "session.stop"})
        assert watcher.hear_until("session.done")["stopped"]
    world = DummyWorld(size=16)
    world.reset(3, prompt="to the left")
    for number in range(1, acted + 3):
        truth = world.step(np.array([[1.0]]) if number >= acted else None)
        if number >= acted:
            [pushed] = [m for m in watcher.said if m.get("generation_chunk_index") == number]
            felt = np.array(pushed["multi_modal_data"]["touch"]["taxels"])
            np.testing.assert_allclose(felt, truth["touch.finger"][0, -1], atol=1e-4)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        ("[" * 100_000, "JSON"),
        ("{}", "session.start"),
        ('{"type": "session.stop"}', "session.start"),
        ({**START, "format": "webm"}, "m4s"),
        ({**START, "model": "sora-2"}, "no model"),
        ({**START, "prompt": ""}, "prompt"),
        ({**START, "prompt": "upwards"}, "left or right"),
        ({**START, "seed": "3"}, "seed"),
        ({**START, "size": "64x64"}, "size"),
        ({**START, "num_frames": 10**6}, "num_frames"),
        ({**START, "video_noise_mask": [1]}, "video_noise_mask"),
        ({**START, "path": "/etc/passwd"}, "path"),
        (b"\x00", "JSON text"),
        ("x" * 200_000, "JSON"),
        (
            {**START, "input_reference": {"image_url": "data:image/png;base64,"}},
            "cannot start from a picture",
        ),
    ],
)
def test_what_is_no_start_closes_with_its_reason(watching: Any, said: Any, reason: str) -> None:
    with watching() as socket:
        if isinstance(said, bytes):
            socket.send_bytes(said)
        else:
            socket.send_text(said if isinstance(said, str) else json.dumps(said))
        watcher = Watcher(socket)
        while (message := watcher.hear())["type"] != "closed":
            pass
        assert message["code"] in (1003, 1008, 1009)
        assert reason in message["reason"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"type": "fly"}, "fly"),
        (_acting(7.0), "over 1.0"),
        (_acting(float("nan")), "finite"),
        ({"type": "session.interaction"}, "interaction"),
        ({"type": "session.interaction", "interaction": {"event": {"prompt": "upwards"}}}, "left or right"),
        ({"type": "session.interaction", "interaction": {"event": {"prompt": ""}}}, "prompt"),
        ({"type": "session.interaction", "interaction": {"event": {}}}, "a prompt, or an action"),
        ({"type": "session.interaction", "interaction": {"event": {}}}, "action"),
        (_acting(0.5, event_id=""), "event_id"),
        (_acting(0.5, transition_chunks=5), "transition_chunks"),
    ],
)
def test_what_is_wrong_on_the_way_is_said_and_it_goes_on(watching: Any, said: Any, reason: str) -> None:
    with watching() as socket:
        watcher = Watcher(socket)
        watcher.say({**START, "num_frames": 2000})
        watcher.hear_until("video.chunk_metadata")
        socket.send_text(json.dumps(said))
        assert reason in watcher.hear_until("error")["message"]
        watcher.say({"type": "session.ping"})
        watcher.hear_until("session.pong")
        watcher.hear_until("video.chunk_metadata")


def test_actions_at_ten_thousand_a_second_close(watching: Any) -> None:
    with watching() as socket:
        watcher = Watcher(socket)
        watcher.say({**START, "num_frames": 2000})
        for _ in range(2000):
            watcher.say(_acting(0.5))
        while (message := watcher.hear())["type"] != "closed":
            pass
        assert message["reason"] == "too many messages a second"


def test_more_than_can_be_answered_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slowly enough for the socket, too many for a world that takes its time over a sentence."""
    told, go_on = threading.Event(), threading.Event()

    class Slow(DummyWorld):
        def direct(self, sentence: str, mask: Any = None) -> None:
            told.set()
            assert go_on.wait(60)

    monkeypatch.setattr(realtime, "MAX_WAITING", 3)
    patient = ConnectionLimits(messages_per_second=1e9)
    live = LiveLimits(video=RealtimeLimits(connection=patient))
    playable = Playable("dummy", "exact", partial(Slow, size=16), sentences=True)
    client = TestClient(live_app(tmp_path, live=live, playable=playable), base_url="http://localhost")
    with client.websocket_connect(VIDEO) as socket:
        watcher = Watcher(socket)
        watcher.say({**START, "num_frames": 2000})
        watcher.hear_until("video.chunk_metadata")
        watcher.say({"type": "session.interaction", "interaction": {"event": {"prompt": "to the left"}}})
        assert told.wait(60)
        for _ in range(4):
            watcher.say({"type": "session.ping"})
        while (message := watcher.hear())["type"] == "video.chunk_metadata":
            pass
        go_on.set()
    assert message == {"type": "closed", "code": 1008, "reason": "too many messages a second"}


def test_who_does_not_start_is_let_go(watching: Any) -> None:
    with watching(LiveLimits(video=RealtimeLimits(start_seconds=0.05))) as socket:
        assert "in time" in socket.receive_json()["message"]


def test_another_site_and_one_too_many_have_no_socket(tmp_path: Path) -> None:
    client = TestClient(live_app(tmp_path, live=LiveLimits(sockets=1)), base_url="http://localhost")
    for path in (VIDEO, WORLD):
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            client.websocket_connect(path, headers={"origin": "http://evil.example"}),
        ):
            pass
        assert closed.value.code == 1008
    with client.websocket_connect(VIDEO), client.websocket_connect(WORLD) as second:
        assert second.receive()["code"] == 1013


# ---- worlds stepped from elsewhere -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("live")) as started:
        yield started


def test_a_remote_world_is_the_world(server: LiveServer) -> None:
    remote, here = RemoteWorld(server.address, num_worlds=2), DummyWorld(2, size=16)
    assert remote.spec == here.spec
    given = [remote.reset(5, prompt="to the left"), here.reset(5, prompt="to the left")]
    for push in (None, 0.25, -1.0):
        for name, value in given[1].items():
            np.testing.assert_array_equal(given[0][name], value)
            assert given[0][name].dtype == value.dtype
        assert remote.text(1) == here.text(1)
        action = None if push is None else np.full((2, 1), push, np.float32)
        given = [remote.step(action), here.step(action)]
    remote.close()


def test_a_remote_world_is_an_environment(server: LiveServer) -> None:
    env = gymnasium.make("orrery/remote", address=server.address, render_mode="rgb_array")
    seen, _ = env.reset(seed=1)
    assert env.observation_space.contains(seen)
    seen, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert np.asarray(env.render()).shape == (16, 16, 3)
    env.close()


def test_how_a_remote_world_ended_is_known(tmp_path: Path) -> None:
    """Each of a batch by itself, as where it runs."""
    pytest.importorskip("gymnasium")
    from orrery.worlds.gymnasium import GymnasiumWorld

    make = partial(GymnasiumWorld, "CartPole-v1?max_episode_steps=12")
    with LiveServer(tmp_path, playable=Playable("cartpole", "exact", make)) as server:
        remote, here = RemoteWorld(server.address, num_worlds=2), make(num_worlds=2)
        for world in (remote, here):
            world.reset(3)
        assert not remote.ended.any()
        assert remote.endings == ["", ""]
        actions = [np.array([[[1]], [[number % 2]]]) for number in range(12)]
        for action in actions:
            remote.step(action)
            here.step(action)
            assert remote.ended.tolist() == list(here.ended)
            assert remote.endings == list(here.endings)
        assert remote.endings == ["terminated", "truncated"]
        assert remote.ended.dtype == bool
        remote.close()


def test_what_the_world_refuses_is_raised_and_it_goes_on(server: LiveServer) -> None:
    world = RemoteWorld(server.address)
    with pytest.raises(BadUse, match="reset the world"):
        world.step()
    with pytest.raises(BadUse, match="left or right"):
        world.reset(0, prompt="upwards")
    with pytest.raises(BadUse, match="cannot take given"):
        world.reset(0, given={"video.main": np.zeros((1, 2, 2, 16, 16, 3), np.uint8)})
    with pytest.raises(BadUse, match="no stream 'wings'"):
        world.reset(0, given={"wings": np.zeros((1, 2))})
    with pytest.raises(BadUse, match="mask"):
        world.reset(0, mask=np.array([1.0]))
    first = world.reset(0)
    assert np.isfinite(first["state"]).all()
    world.close()
    with pytest.raises(UserError, match="closed"):
        world.step()


@pytest.mark.parametrize(
    ("options", "said"), [({"model": "sora"}, "no model 'sora'"), ({"streams": ["wings"]}, "no stream"),
                          ({"num_worlds": 65}, "less than or equal to 64")],
)  # fmt: skip
def test_a_world_that_is_not_there_is_named(server: LiveServer, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        RemoteWorld(server.address, **options)


def test_no_server_is_an_error_in_words() -> None:
    with pytest.raises(UserError, match="no world is served there"):
        RemoteWorld("ws://127.0.0.1:9")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00",
        b"\xff\xff\xff\xff{}",
        (2).to_bytes(4, "little") + b"{}",
        pack_arrays({"type": "step"}, {}),
        pack_arrays({"type": "open", "num_worlds": -1}, {}),
        pack_arrays({"type": "open", "path": "/etc/passwd"}, {}),
        pack_arrays({"type": "open"}, {"a": np.zeros(3)})[:-1],
        pack_arrays({"type": "open"}, {"a": np.zeros(3)}) + b"x",
        pack({"type": "open"}, [({"name": "a", "dtype": "O", "shape": [1]}, bytes(8))]),
        pack({"type": "open"}, [({"name": "a", "dtype": "uint8", "shape": [2**62]}, bytes(8))]),
        pack({"type": "open"}, [({"name": "a", "dtype": "uint8", "shape": [-1, 2]}, bytes(8))]),
    ],
)
def test_what_is_no_message_closes(tmp_path: Path, message: bytes) -> None:
    client = TestClient(live_app(tmp_path), base_url="http://localhost")
    with client.websocket_connect(WORLD) as socket:
        socket.send_bytes(message)
        event = socket.receive()
        while event["type"] != "websocket.close":
            event = socket.receive()
        assert (event["code"], bool(event["reason"])) == (1008, True)


def test_arrays_come_back_as_they_were() -> None:
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([True, False]),
        "c": np.zeros((0, 2)),
    }
    header, again = unpack_arrays(pack_arrays({"type": "tick"}, arrays))
    assert header == {"type": "tick"}
    for name, value in arrays.items():
        np.testing.assert_array_equal(again[name], value)
        assert again[name].dtype == value.dtype


def test_a_socket_that_never_reads_is_let_go_and_disturbs_nobody(tmp_path: Path) -> None:
    unread = ConnectionLimits(unread_seconds=0.5)
    live = LiveLimits(sockets=2, video=replace(RealtimeLimits(), connection=unread))
    with LiveServer(tmp_path, live, size=512) as server:
        deaf = sockets.socket()
        deaf.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(_handshake(server.port) + _masked(json.dumps({**START, "num_frames": 10_000}).encode()))
        world = RemoteWorld(server.address)
        world.reset(0)
        while server.num_sockets() > 1:  # ends when the deaf one has been let go
            world.step()
        world.close()
        deaf.close()


def _handshake(port: int) -> bytes:
    return (
        f"GET /v1/realtime/video HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def _masked(content: bytes) -> bytes:
    """A text frame of a client, with a mask of zeros."""
    return b"\x81" + bytes([0x80 | 126]) + len(content).to_bytes(2, "big") + bytes(4) + content


def test_the_client_needs_nothing_of_the_server() -> None:
    """A program that only steps a world elsewhere loads no web server, no network and no simulator."""
    code = "import sys, orrery.serving.client; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("fastapi", "starlette", "uvicorn", "torch", "mujoco", "av", "PIL", "orrery.serving.session"):
        assert name not in loaded.split()
