"""The socket plays, goes back and records; who says what is wrong, or comes from elsewhere, is told why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
from dummy_page import FAST, PLAY, dummy_playable
from fastapi import FastAPI
from pictured import Pictured, png
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from orrery.media import read_film
from orrery.serving.app import MAX_SESSIONS, create_app
from orrery.serving.framing import pack, unpack
from orrery.serving.guard import COOKIE, is_loopback
from orrery.serving.messages import MAX_MESSAGE_BYTES
from orrery.serving.opening import Playable
from orrery.serving.player import Limits
from orrery.streams import Clock
from orrery.worlds.dummy import DummyWorld


def client_of(app: FastAPI | None = None, host: str = "localhost") -> TestClient:
    return TestClient(app or create_app(dummy_playable()), base_url=f"http://{host}")


def test_the_page_says_hello_and_starts(playing: Any) -> None:
    with playing() as page:
        assert page.hello["title"] == "dummy"
        assert page.hello["ticks_per_second"] == 100
        assert page.hello["sound"] == {"rate": 48_000, "channels": 2}
        assert page.hello["controls"][0]["axes"][0]["more"] == "ArrowRight"
        first = page.start(seed=3)
        assert (first["tick"], first["jump"]) == (0, True)
        assert page.hear_until("mark")["mark"] == 0


def test_an_action_changes_what_is_seen(playing: Any) -> None:
    def picture(push: float) -> bytes:
        with playing() as page:
            page.start(seed=3)
            page.say("action", values={"action": [push]}, stamp=12.5)
            page.say("pause", on=False)
            ticks = [page.hear_until("tick") for _ in range(20)]
            assert ticks[-1]["stamp"] == 12.5
            assert [tick["tick"] for tick in ticks] == list(range(1, 21))
            return page.parts[0]

    assert picture(1.0) != picture(-1.0)


def test_a_tick_brings_pictures_and_sound(playing: Any) -> None:
    with playing() as page:
        page.start()
        page.say("step")
        header, parts = page.hear()
        while header["type"] != "tick" or header["tick"] == 0:
            header, parts = page.hear()
        assert [about["kind"] for about in header["parts"]] == ["picture", "picture", "sound"]
        assert [len(part) for part in parts] == [16 * 16 * 3, 16 * 16 * 3, 480 * 2 * 2]
        assert len(set(parts[0])) > 1


def test_only_two_ticks_are_ever_on_their_way(playing: Any) -> None:
    with playing(acknowledges=False) as page:
        page.start()
        page.say("pause", on=False)
        assert page.hear_until("tick")["id"] == 2
        page.say("record", on=True)  # an answer to this comes, but no tick
        assert page.hear_until("recording")["on"]
        page.say("ack", id=2)
        assert page.hear_until("tick")["id"] == 3


def test_one_goes_back_and_branches(playing: Any) -> None:
    with playing(dummy_playable(Clock())) as page:
        page.start(seed=3)
        marks = [page.hear_until("mark")]
        for _ in range(13):
            page.say("step")
            page.hear_until("tick")
        page.say("rewind", mark=0)
        back = page.hear_until("tick")
        assert (back["tick"], back["jump"]) == (0, True)
        page.say("step")
        assert page.hear_until("tick")["branch"] == 1
        assert marks[0]["parts"][0]["form"] == "jpeg"


def test_a_sentence_happens_on_the_way_and_is_in_the_recording(playing: Any) -> None:
    with playing() as page:
        page.say("reset", seed=3, prompt="to the right")
        assert page.hear_until("started")["directs"]
        page.hear_until("tick")
        page.say("record", on=True)
        page.say("direct", sentence="to the left")
        assert page.hear_until("directed") == {
            "type": "directed",
            "sentence": "to the left",
            "refused": None,
        }
        page.say("direct", sentence="upwards")
        assert "left or right" in page.hear_until("directed")["refused"]
        for number in (1, 2):
            page.say("step")
            assert page.hear_until("tick")["tick"] == number
        page.say("record", on=False)
        while "name" not in (made := page.hear_until("recording")):
            pass
        settings = page.client.get(f"/recordings/{made['name']}/film.json").json()
    assert settings["sentences"] == [[0, "to the left"]]
    assert len(settings["actions"]) == 2


class Deaf(DummyWorld):
    """A dummy world that takes no sentence on its way."""

    direct = None  # type: ignore[assignment]


def test_a_world_that_takes_no_sentence_has_no_field_for_one(playing: Any) -> None:
    with playing(Playable("deaf", "exact", lambda: Deaf(clock=FAST))) as page:
        page.say("reset", seed=3)
        assert not page.hear_until("started")["directs"]
        page.say("direct", sentence="to the left")
        assert "takes no sentence" in page.hear_until("directed")["refused"]


def test_a_world_starts_from_a_picture(playing: Any) -> None:
    with playing(Playable("pictured", "imagined", lambda: Pictured(clock=FAST))) as page:
        assert page.hello["pictures"]
        answer = page.client.post("/pictures", content=png((200, 20, 40)))
        assert answer.status_code == 200
        page.start(picture=answer.text)
        assert page.parts[0] == bytes((200, 20, 40)) * 16 * 16
        page.say("reset", seed=0, picture="another")
        assert "choose it again" in page.hear_until("refused")["text"]
        page.say("reset", seed=0, picture=answer.text, recording=0)
        assert "not from both" in page.hear_until("refused")["text"]
        names = [page.client.post("/pictures", content=png((0, 0, shade))).text for shade in range(8)]
        page.say("reset", seed=0, picture=answer.text)  # the last eight are kept
        assert "choose it again" in page.hear_until("refused")["text"]
        page.start(picture=names[0])


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"no picture", 400, "picture"),
        (png((0, 0, 0), (6000, 6000)), 400, "pixels"),
        (b"0" * 20_000_001, 413, "bytes"),
    ],
)
def test_what_is_no_picture_is_refused(content: bytes, status: int, said: str) -> None:
    client = client_of(create_app(Playable("pictured", "imagined", lambda: Pictured())))
    answer = client.post("/pictures", content=content)
    assert answer.status_code == status
    assert said in answer.text


def test_pictures_come_from_this_page_alone_and_to_worlds_that_take_them() -> None:
    client = client_of(create_app(Playable("pictured", "imagined", lambda: Pictured())))
    elsewhere = {"Origin": "http://evil.example"}
    assert client.post("/pictures", content=png((0, 0, 0)), headers=elsewhere).status_code == 403
    assert client_of().post("/pictures", content=png((0, 0, 0))).status_code == 400


def test_what_the_world_refuses_is_said_and_play_goes_on(playing: Any) -> None:
    with playing() as page:
        page.start()
        page.say("reset", seed=0, prompt="upwards")
        assert "left or right" in page.hear_until("refused")["text"]
        page.say("rewind", mark=99)
        assert "no mark 99" in page.hear_until("refused")["text"]
        page.say("reset", seed=0, recording=0)
        assert "no recordings" in page.hear_until("refused")["text"]
        page.say("step")
        assert page.hear_until("tick")["tick"] == 1


def test_what_cannot_start_or_record_is_refused(playing: Any) -> None:
    silent = Playable("dummy", "exact", lambda: DummyWorld(size=16, streams=["state", "action"]))
    with playing(silent) as page:
        assert (page.hello["picture"], page.hello["sound"]) == (None, None)
        page.say("record", on=True)
        assert "start the world first" in page.hear_until("refused")["text"]
        page.start()
        page.say("record", on=True)
        assert "no pictures" in page.hear_until("refused")["text"]
        page.say("reset", seed=0, prompt="to the left")
        assert "does not start from a sentence" in page.hear_until("refused")["text"]


def test_a_recording_is_a_film_and_its_settings(playing: Any, tmp_path: Path) -> None:
    with playing() as page:
        page.start(seed=3)
        page.say("record", on=True)
        page.hear_until("recording")
        page.say("action", values={"action": [0.5]})
        for _ in range(5):
            page.say("step")
            page.hear_until("tick")
        page.say("record", on=False)
        name = page.hear_until("recording")["name"]
        answer = page.client.get(f"/recordings/{name}/film.mp4")
        assert answer.headers["content-type"] == "video/mp4"
        (tmp_path / "film.mp4").write_bytes(answer.content)
        film = read_film(tmp_path / "film.mp4")
        assert film.frames.shape == (10, 256, 256, 3)
        assert film.audio is not None
        settings = page.client.get(f"/recordings/{name}/film.json").json()
        assert (settings["seed"], settings["num_ticks"], settings["first_tick"]) == (3, 5, 1)
        assert settings["actions"] == [{"action": [0.5]}] * 5
        assert page.client.get(f"/recordings/{name}/other.mp4").status_code == 404
        assert page.client.get("/recordings/unknown/film.mp4").status_code == 404
        app = page.client.app
    assert TestClient(app, base_url="http://localhost").get(f"/recordings/{name}/film.mp4").status_code == 404


def test_a_rate_that_aac_does_not_have_is_resampled(playing: Any, tmp_path: Path) -> None:
    with playing(dummy_playable(Clock(15, 1, 30_720))) as page:
        page.start()
        page.say("record", on=True)
        page.hear_until("recording")
        for _ in range(6):
            page.say("step")
            page.hear_until("tick")
        page.say("record", on=False)
        name = page.hear_until("recording")["name"]
        (tmp_path / "film.mp4").write_bytes(page.client.get(f"/recordings/{name}/film.mp4").content)
    film = read_film(tmp_path / "film.mp4")
    assert film.audio is not None
    assert abs(len(film.audio) - 6 * 3200) < 64


def test_a_recording_that_is_long_enough_ends(playing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orrery.serving.recording.MAX_SECONDS", 0.02)
    with playing() as page:
        page.start()
        page.say("record", on=True)
        page.say("pause", on=False)
        assert page.hear_until("recording")["on"]
        assert page.hear_until("recording")["seconds"] == 0.02


def test_recording_nothing_is_refused(playing: Any) -> None:
    with playing() as page:
        page.start()
        page.say("record", on=True)
        page.say("record", on=False)
        assert "nothing was recorded" in page.hear_until("refused")["text"]


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        ("{", 1008, "Invalid JSON"),
        ("[]", 1008, "object"),
        ("{}", 1008, "type"),
        ('{"type": "fly"}', 1008, "fly"),
        ('{"type": "action", "values": {"action": [7]}}', 1008, "over 1.0"),
        ('{"type": "action", "values": {"action": [NaN]}}', 1008, "finite"),
        ('{"type": "action", "values": {"action": ["1"]}}', 1008, "number"),
        ('{"type": "action", "values": {"wings": [1]}}', 1008, "the actions are action"),
        ('{"type": "action", "values": {"action": []}}', 1008, "1 finite"),
        ('{"type": "pause", "on": 1}', 1008, "pause.on"),
        ('{"type": "reset", "seed": -1}', 1008, "reset.seed"),
        ('{"type": "reset", "seed": 1.5}', 1008, "reset.seed"),
        ('{"type": "reset", "seed": 0, "path": "/etc/passwd"}', 1008, "path"),
        ('{"type": "reset", "seed": 0, "prompt": "' + "a" * 501 + '"}', 1008, "prompt"),
        ('{"type": "ack", "id": 12}', 1008, "was not sent"),
        ('{"type": "rewind", "mark": -1}', 1008, "rewind.mark"),
        ("x" * (MAX_MESSAGE_BYTES + 1), 1009, "at most"),
        ("[" * 10_000, 1008, "recursion"),
        (b"\x00\x01", 1003, "JSON text"),
    ],
)
def test_what_is_wrong_closes_with_a_reason(playing: Any, said: str | bytes, code: int, reason: str) -> None:
    with playing() as page:
        if isinstance(said, bytes):
            page.socket.send_bytes(said)
        else:
            page.socket.send_text(said)
        event = page.socket.receive()
        assert event["type"] == "websocket.close"
        assert event["code"] == code
        assert reason in event["reason"]
        assert len(event["reason"].encode()) <= 123


def test_too_many_messages_close(playing: Any) -> None:
    with playing(limits=Limits(messages_per_second=5)) as page:
        for _ in range(100):
            page.say("pause", on=True)
        assert page.socket.receive()["reason"] == "too many messages a second"


def test_too_many_commands_at_once_close(playing: Any) -> None:
    with playing(limits=Limits(commands=0)) as page:
        page.say("reset", seed=0)
        assert "too much" in page.socket.receive()["reason"]


def test_who_says_nothing_for_too_long_is_let_go(playing: Any) -> None:
    with playing(limits=Limits(idle_seconds=0.01)) as page:
        event = page.socket.receive()
        assert event["code"] == 1001
        assert "connect anew" in event["reason"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://localhost.evil.example", "null", "http://localhost:81"]
)
def test_a_page_of_another_site_has_no_socket(origin: str) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        client_of().websocket_connect(PLAY, headers={"origin": origin}),
    ):
        pass
    assert closed.value.code == 1008


def test_its_own_page_has_one() -> None:
    with client_of().websocket_connect(PLAY, headers={"origin": "http://localhost"}) as socket:
        assert socket.receive_json()["type"] == "hello"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.2", "user@localhost@evil"]
)
def test_another_host_name_is_refused(host: str) -> None:
    answer = client_of().get("/", headers={"host": host})
    assert answer.status_code == 421
    with pytest.raises(WebSocketDisconnect), client_of().websocket_connect(PLAY, headers={"host": host}):
        pass


def test_beyond_loopback_a_token_is_needed() -> None:
    with pytest.raises(ValueError, match="token"):
        create_app(dummy_playable(), "0.0.0.0")
    app = create_app(dummy_playable(), "0.0.0.0", "secret")
    assert client_of(app, "some.host").get("/").status_code == 401
    assert client_of(app, "some.host").get("/?token=wrong").status_code == 401
    with pytest.raises(WebSocketDisconnect), client_of(app).websocket_connect(PLAY):
        pass
    friend = client_of(app, "some.host")
    page = friend.get("/?token=secret")
    assert page.url.query == b""
    assert friend.cookies[COOKIE] == "secret"
    assert "<canvas" in page.text
    with friend.websocket_connect("ws://some.host/play", headers={"origin": "http://some.host"}) as socket:
        assert socket.receive_json()["type"] == "hello"


def test_what_is_not_of_the_page_is_not_there() -> None:
    client = client_of()
    for path in ("/../pyproject.toml", "/%2e%2e/app.py", "/app.py", "/web/app.js", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 404
    page = client.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert client.get("/app.js").headers["content-type"].startswith("text/javascript")


def test_every_file_of_the_page_is_its_own() -> None:
    """Nothing is fetched from elsewhere, and everything that is asked for is there."""
    client = client_of()
    for name in (
        "index.html",
        "app.js",
        "controls.js",
        "sound.js",
        "strip.js",
        "wire.js",
        "worklet.js",
        "style.css",
    ):
        text = client.get(f"/{name}").text
        assert "://" not in text.replace("http://www.w3.org/2000/svg", "").replace('"wss" : "ws"}://', "")


def test_more_pages_than_there_is_room_for_are_told() -> None:
    client = client_of()
    with client.websocket_connect(PLAY) as a, client.websocket_connect(PLAY) as b:
        assert a.receive_json()["type"] == b.receive_json()["type"] == "hello"
        assert MAX_SESSIONS == 2
        with client.websocket_connect(PLAY) as third:
            event = third.receive()
            assert event["code"] == 1013
            assert "close one" in event["reason"]


def test_a_world_that_cannot_be_made_is_told() -> None:
    from orrery.errors import UserError

    def broken() -> DummyWorld:
        raise UserError("the disk has gone")

    client = client_of(create_app(Playable("dummy", "exact", broken)))
    with client.websocket_connect(PLAY) as socket:
        assert "the disk has gone" in socket.receive()["reason"]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("example.org", False)],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_messages_are_packed_and_unpacked() -> None:
    header, parts = unpack(pack({"type": "tick"}, [({"kind": "a"}, b"12"), ({"kind": "b"}, b"345")]))
    assert parts == [b"12", b"345"]
    assert header["parts"] == [{"kind": "a", "bytes": 2}, {"kind": "b", "bytes": 3}]
