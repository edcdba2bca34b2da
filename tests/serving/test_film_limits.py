"""Limits of what can be asked for: how much, how often, how slowly, and by whoever has left."""

from __future__ import annotations

import contextlib
import errno
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")

from live_server import LiveServer, live_app
from starlette.testclient import TestClient

from orrery.errors import UserError
from orrery.media import iterate_film
from orrery.serving import worker
from orrery.serving.guard import Allowance
from orrery.serving.jobs import MAX_CRASHES, FilmSpec, Jobs
from orrery.serving.models import Model
from orrery.serving.opening import Playable
from orrery.serving.videos import FilmLimits
from orrery.serving.worker import work_once
from orrery.streams import Array, Observation
from orrery.worlds.dummy import DummyWorld

FILM = {"prompt": "to the left", "seconds": 1}
ASKED = FilmSpec("dummy", "to the left", 1.0, (32, 32), 1, generate_sound=True)


def _client(folder: Path, **limits: Any) -> TestClient:
    return TestClient(live_app(folder, limits=FilmLimits(**limits)), base_url="http://localhost")


@pytest.mark.parametrize(
    ("limits", "said"),
    [({"waiting": 2}, "wait already"), ({"stored": 2}, "delete some"), ({"per_second": 1}, "too many")],
)
def test_more_films_than_there_is_room_for_are_told(tmp_path: Path, limits: Any, said: str) -> None:
    client = _client(tmp_path, **limits)
    assert [client.post("/v1/videos", json=FILM).status_code for _ in range(2)] == [200, 200]
    answer = client.post("/v1/videos", json=FILM)
    assert answer.status_code == 429
    assert said in answer.json()["error"]["message"]
    assert len(client.get("/v1/videos").json()["data"]) == 2


def test_a_film_that_is_too_long_is_refused(tmp_path: Path) -> None:
    client = _client(tmp_path, seconds=2.0)
    assert client.post("/v1/videos", json={"prompt": "to the left"}).json()["seconds"] == "2"
    assert "0.042 to 2 s" in client.post("/v1/videos", json={**FILM, "seconds": 3}).json()["error"]["message"]


def test_a_body_that_trickles_is_let_go(tmp_path: Path) -> None:
    with LiveServer(tmp_path, limits=FilmLimits(body_seconds=0.3)) as server:
        assert b"408" in _raw(server.port, b"/v1/videos", b'{"prompt": ', 500)


def test_a_chunked_body_is_counted(tmp_path: Path) -> None:
    """Its length is not said beforehand."""
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    head = b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with LiveServer(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(OSError, match=r"reset|pipe|Broken"):  # noqa: PT012
            for _ in range(2000):
                peer.sendall(chunk)
        with socket.create_connection(("127.0.0.1", server.port)) as other:
            other.sendall(b"GET /v1/videos HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert b"200 OK" in other.recv(100)


def test_who_leaves_while_waiting_wants_no_film(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        body = b'{"prompt": "to the left"}'
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            peer.sendall(_head(b"/v1/videos/sync", len(body)) + body)
            _until(lambda: Jobs(tmp_path).counts()["queued"] == 1)
        _until(lambda: Jobs(tmp_path).counts()["queued"] == 0)


def _until(holds: Any) -> None:
    for _ in range(500):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("never")


def _head(path: bytes, length: int) -> bytes:
    kind = b"Host: localhost\r\nContent-Type: application/json\r\n"
    return b"POST " + path + b" HTTP/1.1\r\n" + kind + f"Content-Length: {length}\r\n\r\n".encode()


def _raw(port: int, path: bytes, body: bytes, length: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(_head(path, length) + body)
        return peer.recv(1000)


def test_an_allowance_is_used_up_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("orrery.serving.guard.time.monotonic", lambda: now)
    allowance = Allowance(10.0)
    assert [allowance.take() for _ in range(21)] == [True] * 20 + [False]
    now += 0.25
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    now += 1000.0
    assert sum(allowance.take() for _ in range(50)) == 20


# ---- jobs ------------------------------------------------------------------------------------------------


def test_a_job_is_claimed_once_in_order_and_over_once(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    ids = [jobs.accept(jobs.new_id(), replace(ASKED, seed=n)).id for n in range(3)]
    assert [claimed.id for _ in range(3) if (claimed := jobs.claim())] == ids
    assert jobs.claim() is None
    assert jobs.report(ids[0], 50)
    assert jobs.complete(ids[0])
    assert not jobs.fail(ids[0], "late", "it is done already")
    assert not jobs.report(ids[0], 10)
    again = Jobs(tmp_path).get(ids[0])
    assert again is not None
    assert (again.status, again.progress, again.film) == ("completed", 100, replace(ASKED, seed=0))


def test_what_was_left_behind_is_queued_again_and_halves_are_gone(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    job = jobs.accept(jobs.new_id(), ASKED)
    jobs.claim()
    picture, half = jobs.file(job.id, ".png"), tmp_path / f".{job.id}.mp4.7.partial"
    orphan, upload = jobs.file("video_gone", ".mp4"), jobs.file("video_coming", ".png")
    for path in (picture, half, orphan, upload):
        path.touch()
    jobs.recover()
    assert [path.exists() for path in (picture, half, orphan, upload)] == [True, False, False, True]
    claimed = jobs.claim()
    assert claimed is not None
    assert (claimed.id, claimed.crashes) == (job.id, 0)


def test_a_job_that_kills_its_worker_fails_at_last(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    job = jobs.accept(jobs.new_id(), ASKED)
    for _ in range(MAX_CRASHES):
        assert jobs.claim() is not None
        jobs.worker_died()
    failed = jobs.get(job.id)
    assert failed is not None
    assert (failed.status, failed.error_code) == ("failed", "crashed")
    jobs.worker_died()  # over nothing


def test_unkept_jobs_are_forgotten(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    kept, unkept = jobs.accept("video_a", ASKED), jobs.accept("video_b", ASKED, kept=False)
    jobs.file(unkept.id, ".mp4").touch()
    assert [job.id for job in jobs.page(None, 10, newest_first=True)[0]] == [kept.id]
    jobs.forget_unkept()
    assert jobs.get(unkept.id) is None
    assert not jobs.file(unkept.id, ".mp4").exists()


def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--data"):
        Jobs(tmp_path / "file")


def test_a_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    Jobs(tmp_path).accept("video_a", ASKED)
    Jobs(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as database:
        database.execute("pragma user_version = 7")
    with pytest.raises(UserError, match="of another version of Orrery; choose another --data"):
        Jobs(tmp_path)
    (tmp_path / "older").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "older/jobs.sqlite")) as database:
        database.execute("create table jobs (id text)")
    with pytest.raises(UserError, match="of another version of Orrery"):
        Jobs(tmp_path / "older")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/videos"), ("POST", "/v1/videos"), ("GET", "/metrics")]
)
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, method: str, path: str) -> None:
    client = _client(tmp_path)
    (tmp_path / "jobs.sqlite").unlink()
    (tmp_path / "jobs.sqlite").mkdir()
    answer = client.request(method, path, json=FILM if method == "POST" else None)
    assert answer.status_code == 507
    assert "is its disk full?" in answer.json()["error"]["message"]


def test_a_film_that_cannot_be_written_fails_and_leaves_its_room(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    job = jobs.accept("video_a", ASKED)

    def opened(_: str) -> Any:
        jobs.file(job.id, ".mp4").write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    assert work_once(jobs, opened)
    failed = jobs.get(job.id)
    assert failed is not None
    assert (failed.status, failed.error_code) == ("failed", "cannot_be_written")
    assert "No space left on device" in str(failed.error)
    assert not jobs.file(job.id, ".mp4").exists()


# ---- the worker ------------------------------------------------------------------------------------------


class Counted(DummyWorld):
    """A dummy world that counts its resets and ticks, and does something at its third tick."""

    num_resets = num_steps = 0

    def __init__(self, at_third: Any = None, **options: Any) -> None:
        super().__init__(size=32, streams=options.get("streams"))
        self._at_third = at_third

    def reset(self, *arguments: Any, **options: Any) -> Observation:
        type(self).num_resets += 1
        return super().reset(*arguments, **options)

    def step(self, action: Array | None = None) -> Observation:
        type(self).num_steps += 1
        if self._at_third is not None and self.num_steps == 3:
            self._at_third()
        return super().step(action)


def opener(at_third: Any = None) -> tuple[Any, type[Counted]]:
    """What opens the model of a job, and the class of its worlds."""
    kind = type("Counted", (Counted,), {})
    playable = Playable("dummy", "exact", partial(kind, at_third), sentences=True)
    return (lambda name: Model(name, playable, name)), kind


def files_of(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.glob("*video_*"))


def test_a_job_is_made_once(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    job = jobs.accept("video_a", ASKED)
    opened, worlds = opener()
    assert work_once(jobs, opened)
    assert files_of(tmp_path) == [".jpg", ".json", ".mp4", ".webp"]
    film = jobs.file(job.id, ".mp4").stat()
    jobs.recover()  # as the next worker does
    assert not work_once(jobs, opened)
    assert worlds.num_resets == 1
    assert jobs.file(job.id, ".mp4").stat().st_mtime_ns == film.st_mtime_ns
    assert jobs.counts() == {"queued": 0, "in_progress": 0, "completed": 1, "failed": 0}


def test_a_job_that_is_deleted_while_it_is_made_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    job = jobs.accept("video_a", ASKED)
    behind = jobs.accept("video_b", ASKED)
    opened, worlds = opener(lambda: jobs.delete(job.id))
    assert work_once(jobs, opened)
    assert worlds.num_steps < 6  # of eleven
    assert jobs.get(job.id) is None
    assert files_of(tmp_path) == []
    assert work_once(jobs, opened)
    after = jobs.get(behind.id)
    assert after is not None
    assert after.status == "completed"


def test_a_job_that_is_deleted_while_its_stills_are_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stills are written after its files were removed."""
    jobs = Jobs(tmp_path)
    job = jobs.accept("video_a", ASKED)

    def read(film: Path) -> Iterator[Any]:
        for number, frame in enumerate(iterate_film(film)):
            if number == 0:
                assert jobs.delete(job.id)
            yield frame

    monkeypatch.setattr(worker, "iterate_film", read)
    assert work_once(jobs, opener()[0])
    assert jobs.get(job.id) is None
    assert files_of(tmp_path) == []


def unopened(name: str) -> Model:
    raise UserError(f"{name} cannot be opened")


@pytest.mark.parametrize(("opened", "status"), [(opener()[0], 200), (unopened, 400)])
def test_of_a_film_that_was_waited_for_nothing_is_kept(tmp_path: Path, opened: Any, status: int) -> None:
    """Neither of one that was made, nor of one that failed."""
    jobs = Jobs(tmp_path)
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            work_once(jobs, opened)
            time.sleep(0.01)

    working = threading.Thread(target=work)
    working.start()
    try:
        answer = _client(tmp_path).post("/v1/videos/sync", json=FILM)
    finally:
        done.set()
        working.join()
    assert answer.status_code == status
    assert (answer.headers["content-type"] == "video/mp4") == (status == 200)
    assert sum(jobs.counts().values()) == 0
    assert files_of(tmp_path) == []


def test_a_file_for_a_field_of_text_is_refused(tmp_path: Path) -> None:
    answer = _client(tmp_path).post("/v1/videos", data={"prompt": "to the left"}, files={"user": b"me"})
    assert answer.json()["error"]["message"] == "user: a file where text is needed"
