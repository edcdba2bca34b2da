"""A model that is served elsewhere: a small HTTP server in the shape of vLLM-Omni's `/v1/videos`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("pyoidn")

from orrery.cli import main
from orrery.errors import BadUse, UserError
from orrery.media import FilmWriter, read_film
from orrery.streams import Array
from orrery.studio.backends.request import Guide, Request
from orrery.studio.backends.served import SERVED, ServedModel, is_address, served_backend

RATE, SIDE, FRAMES = 24, 32, 5


class Server(ThreadingHTTPServer):
    """Makes films that are their guide with light and dark changed over. jobs: the fields of each that was
    posted, by id. deleted: ids. fails: whether jobs fail. cut: by how many frames films are too short."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.jobs: dict[str, dict[str, Any]] = {}
        self.asked: dict[str, int] = {}
        self.deleted: list[str] = []
        self.fails, self.cut = False, 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def film(self, job: dict[str, Any]) -> bytes:
        guide, out = self.folder / "guide.mp4", self.folder / "out.mp4"
        guide.write_bytes(job["control_reference"])
        frames = 255 - read_film(guide).frames
        size = int(job["height"]), int(job["width"])
        with FilmWriter(out, int(job["fps"]), None, size, force=True, lossless=True) as writer:
            writer.write(frames[: int(job["num_frames"]) - self.cut])
        return out.read_bytes()


class _Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the tests' screen."""

    def _answer(self, content: bytes, status: int = 200, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _say(self, values: dict[str, Any], status: int = 200) -> None:
        self._answer(json.dumps(values).encode(), status)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        job: dict[str, Any] = {}
        for part in BytesParser().parsebytes(head + body).get_payload():
            name = part.get_param("name", header="content-disposition")  # pyright: ignore
            content = part.get_payload(decode=True)  # pyright: ignore
            job[str(name)] = content if part.get_filename() else content.decode()  # pyright: ignore
        if "refuse me" in job["prompt"]:
            self._say({"error": {"message": "no such thing"}}, 400)
            return
        number = f"video-{len(self.server.jobs) + 1}"
        self.server.jobs[number], self.server.asked[number] = job, 0
        self._say({"id": number, "status": "queued", "created_at": 0})

    def do_GET(self) -> None:
        *_, number = self.path.removesuffix("/content").split("/")
        if self.path == "/v1/videos":
            self._say({"object": "list", "data": []})
        elif number not in self.server.jobs:
            self._say({"detail": "not found"}, 404)
        elif self.path.endswith("/content"):
            self._answer(self.server.film(self.server.jobs[number]), kind="video/mp4")
        else:
            self.server.asked[number] += 1
            done = {"status": "failed", "error": {"message": "out of memory"}}
            done = done if self.server.fails else {"status": "completed"}
            self._say({"id": number} | (done if self.server.asked[number] > 2 else {"status": "in_progress"}))

    def do_DELETE(self) -> None:
        self.server.deleted.append(self.path.split("/")[-1])
        self._say({"deleted": True})


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    serving = Server(tmp_path_factory.mktemp("server"))
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield serving
    serving.shutdown()
    serving.server_close()
    thread.join()


def guide_frames() -> Array:
    rows, columns, _ = np.mgrid[:SIDE, :SIDE, :3]
    return np.array([(5 * rows + 2 * columns + 9 * k) % 256 for k in range(FRAMES)], np.uint8)


def asked(kind: str = "depth", prompt: str = 'a "red" ball\nfalls', **changed: Any) -> Request:
    guide = Guide(kind, guide_frames(), changed.pop("strength", 1.0))
    return Request(prompt, FRAMES, (SIDE, SIDE), RATE, (guide,), "blurry", 7, **changed)


def model(server: Server) -> ServedModel:
    return ServedModel(server.address, SERVED["cosmos3"], poll_seconds=0.001)


def test_a_film_is_asked_for_and_comes(server: Server) -> None:
    """The guide arrives as it was, to the byte, and so does the film."""
    steps: list[int] = []
    film = model(server).make(asked(steps=12, guidance=3.5), lambda: steps.append(1))
    np.testing.assert_array_equal(film.frames, 255 - guide_frames())
    assert film.frames_per_second == RATE
    (job,) = server.jobs.values()
    assert {name: value for name, value in job.items() if name != "control_reference"} == {
        "prompt": 'a "red" ball\nfalls', "negative_prompt": "blurry", "width": "32", "height": "32",
        "num_frames": "5", "fps": "24", "num_inference_steps": "12", "guidance_scale": "3.5", "seed": "7",
        "control_type": "depth",
    }  # fmt: skip
    assert server.asked == {"video-1": 3}
    assert len(steps) == 12
    assert not server.deleted


def test_what_is_left_out_is_left_to_the_server(server: Server) -> None:
    model(server).make(asked("edges"))
    (job,) = server.jobs.values()
    assert job["control_type"] == "edge"
    assert not {"num_inference_steps", "guidance_scale"} & set(job)


def test_what_goes_wrong_there_is_told(server: Server) -> None:
    with pytest.raises(UserError, match=r"refused with 400 \(no such thing\)"):
        model(server).make(asked(prompt="refuse me"))
    server.fails = True
    with pytest.raises(UserError, match=r"no film was made there \(out of memory\)"):
        model(server).make(asked())
    server.fails, server.cut = False, 1
    with pytest.raises(UserError, match="made 4 frames of 32x32, 24 a second, and was asked for 5 frames"):
        model(server).make(asked())


def test_a_job_that_is_given_up_is_deleted_there(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("orrery.studio.backends.served.time.sleep", stop)
    with pytest.raises(KeyboardInterrupt):
        model(server).make(asked())
    assert server.deleted == ["video-1"]


def test_what_no_server_takes_is_refused_before_it_is_asked(server: Server) -> None:
    for match, changed in (
        ("is not guided by flow", {"kind": "flow"}),
        ("follows a guide as it does", {"strength": 0.5}),
        ("needs a prompt", {"prompt": " "}),
    ):
        with pytest.raises(BadUse, match=match):
            model(server).make(asked(**changed))
    assert not server.jobs


def test_addresses(server: Server, tmp_path: Path) -> None:
    assert is_address("https://films.example")
    assert not is_address("Wan-AI/Wan2.1-VACE-14B-diffusers")
    assert served_backend(None) is SERVED["cosmos3"]
    with pytest.raises(BadUse, match="served, controls are taken by cosmos3"):
        served_backend("wan-vace")
    for address in ("http://", "http://me:secret@127.0.0.1", "http://[::1"):
        with pytest.raises(BadUse, match="no plain address"):
            ServedModel(address, SERVED["cosmos3"])
    with pytest.raises(UserError, match="refused with 404"):
        ServedModel(f"{server.address}/elsewhere", SERVED["cosmos3"])
    address = server.address
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match="cannot be reached"):
        ServedModel(address, SERVED["cosmos3"])


@pytest.mark.slow
def test_a_storyboard_from_the_command_line(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orrery.studio.backends.served.time.sleep", lambda seconds: None)
    board, out = tmp_path / "board.yaml", tmp_path / "film.mp4"
    board.write_text("{size: 32x32, shots: [{name: one, seconds: 0.25, things: [{}]}]}")
    asked = ["shoot", str(board), "--out", str(out), "--prompt", "a ball", "--dress"]
    assert main([*asked, "http://127.0.0.1:9"]) != 0
    assert main([*asked, server.address, "--lora", "x"]) == 2
    assert main([*asked, server.address, "--controls", "flow"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["board.yaml"]
    capsys.readouterr()
    assert main([*asked, server.address, "--controls", "segmentation"]) == 0
    assert f"dressed by cosmos3 from {server.address}" in capsys.readouterr().out
    (job,) = server.jobs.values()
    assert job["control_type"] == "seg"
    assert job["control_reference"] == (tmp_path / "film.controls/one/segmentation.mp4").read_bytes()
    assert len(read_film(out).frames) == 6
