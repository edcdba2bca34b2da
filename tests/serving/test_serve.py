"""Films over HTTP from a real server: OpenAI's own client, crashes, and whatever is wrong with a request."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import c2pa
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")

from certificates import Studio
from served import Served

from orrery.cli import main
from orrery.media import read_film
from orrery.media.credentials import ABOUT
from orrery.serving.film_request import UNFOLLOWED
from orrery.serving.jobs import MAX_CRASHES, Jobs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("served")) as started:
        yield started


# ---- films -------------------------------------------------------------------------------------------------


def test_openais_client_makes_and_downloads_a_film(server: Served, tmp_path: Path) -> None:
    openai: Any = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="unused")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        video = client.videos.create_and_poll(
            prompt="to the left", seconds="1", model="dummy", size="64x64", extra_body={"seed": 7}
        )
        assert (video.status, video.progress, video.error) == ("completed", 100, None)
        assert (video.model, video.seconds, video.size) == ("dummy", "1", "64x64")
        client.videos.download_content(video.id).write_to_file(tmp_path / "film.mp4")
        film = read_film(tmp_path / "film.mp4")
        assert film.frames.shape == (24, 64, 64, 3)
        assert film.audio is not None
        for variant, kind in (("thumbnail", "WEBP"), ("spritesheet", "JPEG")):
            still = client.videos.download_content(video.id, variant=variant).read()
            assert Image.open(io.BytesIO(still)).format == kind
        listed = client.videos.list(limit=1, order="desc")
        assert listed.data[0].id == video.id
        assert client.videos.delete(video.id).deleted
        with pytest.raises(openai.NotFoundError, match="there is no such film"):
            client.videos.retrieve(video.id)


def test_the_film_says_what_it_was_generated_from(server: Served, tmp_path: Path) -> None:
    video = server.finished(server.film(seed=5)["id"])
    _, film = server.ask(f"/v1/videos/{video['id']}/content")
    with av.open(io.BytesIO(film)) as container:
        assert container.metadata["title"] == "to the left"
        said = json.loads(container.metadata["comment"])
    assert (said["model"], said["seed"], said["prompt"]) == ("dummy", 5, "to the left")
    assert said["generated_by"].startswith("orrery")
    again = server.finished(server.film(seed=5)["id"])
    assert server.ask(f"/v1/videos/{again['id']}/content")[1] == film
    other = server.finished(server.film(seed=6)["id"])
    assert server.ask(f"/v1/videos/{other['id']}/content")[1] != film


def test_sync_gives_the_film_and_keeps_nothing(server: Served) -> None:
    before = server.ask("/v1/videos?limit=100")[1]["data"]
    status, film = server.ask(
        "/v1/videos/sync", {"prompt": "to the right", "num_frames": 12, "generate_sound": False}
    )
    assert status == 200
    with av.open(io.BytesIO(film)) as container:
        assert not container.streams.audio
        assert sum(1 for _ in container.decode(video=0)) == 12
    assert server.ask("/v1/videos?limit=100")[1]["data"] == before
    status, said = server.ask("/v1/videos/sync", {"prompt": "upwards"})
    assert status == 400
    assert "left or right" in said["error"]["message"]


def test_a_form_asks_as_json_does(server: Served) -> None:
    fields = {"prompt": "to the left", "seconds": "0.5", "seed": "3", "generate_sound": "false", "size": ""}
    form = _form({**fields, "width": "64", "height": "64"})
    status, video = server.ask("/v1/videos", *form)
    assert status == 200, video
    assert (video["seed"], video["size"], video["generate_sound"]) == (3, "64x64", False)
    assert server.finished(video["id"])["status"] == "completed"


def test_a_film_that_cannot_be_made_has_failed_with_its_reason(server: Served) -> None:
    jobs = Jobs(server.data)
    asked = jobs.get(server.finished(server.film()["id"])["id"])
    assert asked is not None
    video = server.finished(jobs.accept(jobs.new_id(), replace(asked.film, prompt="upwards")).id)
    assert video["status"] == "failed"
    assert "left or right" in video["error"]["message"]
    status, said = server.ask(f"/v1/videos/{video['id']}/content")
    assert status == 409
    assert "left or right" in said["error"]["message"]


def test_pages_of_the_list_are_complete_and_in_order(server: Served) -> None:
    ids = [server.film(seed=seed)["id"] for seed in range(5)]
    seen: list[str] = []
    after = ""
    while True:
        _, page = server.ask(f"/v1/videos?limit=2&order=asc{after}")
        seen += [video["id"] for video in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert len(seen) == len(set(seen))
    assert seen[-5:] == ids
    for video_id in ids:
        server.finished(video_id)


def test_a_film_is_deleted_while_it_is_made(server: Served) -> None:
    long = server.film(seconds=60, size="256x256")["id"]
    behind = server.film()["id"]
    assert server.ask(f"/v1/videos/{long}/content")[0] == 409
    assert server.ask(f"/v1/videos/{long}", method="DELETE")[1]["deleted"]
    assert server.ask(f"/v1/videos/{long}")[0] == 404
    assert server.finished(behind)["status"] == "completed"
    assert not list(server.data.glob(f"*{long}*"))


def test_what_it_can_do_health_metrics_and_description(server: Served) -> None:
    _, models = server.ask("/v1/videos/models")
    assert [model["id"] for model in models["data"]] == ["dummy"]
    assert models["data"][0]["generate_sound"]
    assert not models["data"][0]["input_reference"]
    assert server.ask("/health") == (200, {"status": "ok"})
    _, metrics = server.ask("/metrics")
    assert b'orrery_jobs{status="completed"}' in metrics
    assert server.ask("/openapi.json")[1]["paths"]["/v1/videos/sync"]
    assert b"/v1/videos/{video_id}/content" in server.ask("/docs")[1]


# ---- pictures ----------------------------------------------------------------------------------------------

SENTENCE = "a red ball drops and a blue box stands on the table"


@pytest.fixture(scope="module")
def learned(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A learned world, of pictures of 32 x 32, that has learned nothing."""
    with Served(tmp_path_factory.mktemp("learned"), (str(untrained),)) as started:
        yield started


@pytest.mark.parametrize(
    "name", ["a.png", "../../../etc/cron.d/evil.png", "C:\\evil.png", "%00", "a" * 500, "|rm -rf"]
)
def test_a_film_starts_from_a_picture_whatever_its_file_is_called(learned: Served, name: str) -> None:
    before = set(learned.data.iterdir())
    form = _form({"prompt": SENTENCE, "num_frames": "4"}, (name, _png((60, 40))))
    status, video = learned.ask("/v1/videos", *form)
    assert status == 200, video
    assert learned.finished(video["id"])["status"] == "completed"
    new = {path.name for path in set(learned.data.iterdir()) - before}
    assert {name.partition(".")[0] for name in new} <= {video["id"], "jobs", "worker"}
    assert Image.open(learned.data / f"{video['id']}.png").size == (32, 32)


def test_a_picture_comes_as_a_data_url_too(learned: Served) -> None:
    url = "data:image/png;base64," + base64.b64encode(_png((40, 40))).decode()
    for fields in (
        {"input_reference": {"image_url": url}},
        {"image_reference": json.dumps({"image_url": url})},
    ):
        status, video = learned.ask("/v1/videos", {"prompt": SENTENCE, "num_frames": 2, **fields})
        assert status == 200, video
        assert learned.finished(video["id"])["status"] == "completed"


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (lambda: b"", "not a picture"),
        (lambda: b"<svg onload='x'/>", "not a picture"),
        (lambda: _png((300, 300))[:200], "damaged"),
        (lambda: _png((30_000, 30_000), "1"), "pixels"),
        (lambda: _png((6000, 6000), "1"), "too many"),
    ],
)
def test_a_picture_that_is_none_or_a_bomb_is_refused(learned: Served, picture: Any, said: str) -> None:
    status, answer = learned.ask("/v1/videos", *_form({"prompt": SENTENCE}, ("a.png", picture())))
    assert (status, answer["error"]["param"]) == (400, "input_reference")
    assert said in answer["error"]["message"]
    assert learned.ask("/health")[0] == 200


def test_a_picture_too_many_or_of_a_world_without_is_refused(server: Served, learned: Served) -> None:
    status, said = server.ask("/v1/videos", *_form({"prompt": "to the left"}, ("a.png", _png((8, 8)))))
    assert (status, said["error"]["param"]) == (400, "input_reference")
    twice = _form({"prompt": SENTENCE, "image_reference": "{}"}, ("a.png", _png((8, 8))))
    assert learned.ask("/v1/videos", *twice)[0] == 400


# ---- crashes -----------------------------------------------------------------------------------------------


def _workers(server: Served) -> list[int]:
    found = subprocess.run(
        ["ps", "--ppid", str(server.process.pid), "-o", "pid=,args="],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "orrery.serving.worker" in line]


def test_every_accepted_film_is_made_once_though_the_server_is_killed(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as first:
        ids = [first.film(seed=seed, seconds=2, size="256x256")["id"] for seed in range(4)]
        jobs = Jobs(tmp_path / "data")
        while not any((job := jobs.get(i)) and job.status == "completed" for i in ids):
            time.sleep(0.02)  # until the first is done, so that the kill comes in the midst of the rest
        done = {i: jobs.file(i, ".mp4").read_bytes() for i in ids if (job := jobs.get(i)) and job.is_over}
        first.process.send_signal(signal.SIGKILL)
    with Served(tmp_path / "data") as second:
        films = {}
        for video_id in ids:
            assert second.finished(video_id)["status"] == "completed"
            films[video_id] = second.ask(f"/v1/videos/{video_id}/content")[1]
        assert len(second.ask("/v1/videos")[1]["data"]) == len(ids)
    assert all(films[i] == film for i, film in done.items())
    assert len(set(films.values())) == len(ids)
    assert not list((tmp_path / "data").glob(".*partial"))


def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as server:
        jobs = Jobs(tmp_path / "data")
        video_id = server.film(seconds=60, size="512x512")["id"]
        for _ in range(MAX_CRASHES):
            while jobs.running() is None:
                assert not (job := jobs.get(video_id)) or not job.is_over, job
                time.sleep(0.02)
            with contextlib.suppress(ProcessLookupError):
                os.kill(_workers(server)[0], signal.SIGKILL)
            while (job := jobs.get(video_id)) is not None and job.status == "in_progress":
                time.sleep(0.02)
        failed = server.finished(video_id)
        assert failed["error"]["code"] == "crashed"
        assert server.finished(server.film()["id"])["status"] == "completed"
        assert server.ask("/health")[0] == 200


def test_a_folder_that_is_gone_for_a_while_costs_no_worker(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as server:
        assert server.finished(server.film()["id"])["status"] == "completed"
        database = tmp_path / "data/jobs.sqlite"
        database.rename(tmp_path / "aside")
        database.mkdir()
        assert server.ask("/v1/videos", {"prompt": "to the left"})[0] == 507
        time.sleep(6)  # the worker looks every 5 s
        database.rmdir()
        (tmp_path / "aside").rename(database)
        assert server.finished(server.film()["id"])["status"] == "completed"
        assert b"orrery_worker_restarts_total 0" in server.ask("/metrics")[1]


def test_a_film_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with Served(tmp_path / "data", ("dummy",), "--max-job-minutes", "0.01") as server:
        failed = server.finished(server.film(seconds=60, size="1024x1024")["id"])
        assert failed["error"]["code"] == "too_long"


def test_two_servers_do_not_share_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Jobs(tmp_path).lock("server", wait=False):
        assert main(["serve", "dummy", "--data", str(tmp_path)]) == 1
    assert "used by another server" in capsys.readouterr().err


# ---- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "upwards"}, "prompt"),
        ({"prompt": "x" * 2001}, "prompt"),
        ({"model": "sora-2"}, "model"),
        ({"seconds": "long"}, "seconds"),
        ({"seconds": "nan"}, "seconds"),
        ({"seconds": 1e9}, "seconds"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": True}, "seconds"),
        ({"size": "1280x720"}, "size"),
        ({"size": "9" * 15}, "size"),
        ({"size": "٣٢x٣٢"}, "size"),
        ({"width": 64}, "width"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": "5"}, "seed"),
        ({"fps": 30}, "fps"),
        ({"num_frames": 5, "seconds": 1}, "num_frames"),
        ({"generate_sound": 1}, "generate_sound"),
        ({"input_reference": "https://example.org/a.png"}, "input_reference"),
        ({"input_reference": {"file_id": "file-1"}}, "input_reference"),
        ({"input_reference": {"image_url": "data:image/png;base64,!!"}}, "input_reference"),
        ({"image_reference": '{"image_url": "http://127.0.0.1/"}'}, "image_reference"),
        ({"wings": 1}, "wings"),
    ],
)
def test_what_is_wrong_is_named(server: Served, fields: dict[str, Any], field: str) -> None:
    asked = {"prompt": "to the left", **fields}
    status, said = server.ask("/v1/videos", asked)
    assert status == 400, said
    assert said["error"]["param"] == field
    assert field in said["error"]["message"]


@pytest.mark.parametrize("field", UNFOLLOWED)
def test_what_no_model_can_follow_yet_is_refused_by_its_name(server: Served, field: str) -> None:
    status, said = server.ask("/v1/videos", {"prompt": "to the left", field: "0.5"})
    assert (status, said["error"]["param"]) == (400, field)
    assert "leave it out" in said["error"]["message"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"prompt": "\xff"}', "application/json", 400),
        (b"prompt", "text/plain", 415),
        (b"", "", 415),
        (b"nonsense", "multipart/form-data", 400),
        (b"nonsense", "multipart/form-data; boundary=x", 400),
        (b"prompt=left&prompt=right", "application/x-www-form-urlencoded", 400),
        (b"x" * 50_000_000, "application/json", 413),
    ],
)
def test_a_body_that_is_none_is_refused(server: Served, body: bytes, kind: str, status: int) -> None:
    with contextlib.suppress(OSError):  # a body that is too large may not even be taken in
        assert server.ask("/v1/videos", body, headers={"Content-Type": kind})[0] == status
    assert server.ask("/health")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/videos/nothing",
        "/v1/videos/..%2f..%2fetc%2fpasswd",
        "/v1/videos/%00",
        "/v1/videos/nothing/content",
        "/v1/videos?after=nothing",
        "/nowhere",
    ],
)
def test_what_is_not_there_is_404(server: Served, path: str) -> None:
    status, said = server.ask(path)
    assert status == 404
    assert said["error"]["message"]


def test_a_page_of_another_site_changes_nothing(server: Served) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        status, _ = server.ask("/v1/videos", {"prompt": "to the left"}, headers=headers)
        assert status in (403, 421)


def test_beyond_loopback_a_token_is_asked_for(tmp_path: Path) -> None:
    with Served(tmp_path / "data", ("dummy",), "--host", "0.0.0.0", ORRERY_TOKEN="secret") as server:
        assert server.ask("/v1/videos")[0] == 401
        assert server.ask("/v1/videos", headers={"Authorization": "Bearer wrong"})[0] == 401
        assert server.ask("/v1/videos", headers={"Authorization": "Bearer secret"})[0] == 200
        assert server.ask("/health")[0] == 200


def test_a_token_that_is_drawn_is_printed_though_the_variable_is_there(tmp_path: Path) -> None:
    with Served(tmp_path / "data", ("dummy",), "--host", "0.0.0.0", ORRERY_TOKEN="") as server:
        assert server.process.stdout is not None
        token = server.process.stdout.readline().removeprefix("token: ").strip()
        assert server.ask("/v1/videos")[0] == 401
        assert server.ask("/v1/videos", headers={"Authorization": f"Bearer {token}"})[0] == 200


def test_who_leaves_while_asking_leaves_no_trace(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    head = b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with Served(tmp_path / "data") as server:
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            peer.sendall(head + b"Content-Length: 100\r\n\r\n{")
            time.sleep(0.5)
        assert server.finished(server.film()["id"])["status"] == "completed"
    assert "Traceback" not in capfd.readouterr().err


def test_requests_made_from_the_description_find_no_error(server: Served) -> None:
    schemathesis: Any = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings

    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")

    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("sync"):
            continue  # the same as the other, and makes what it accepts while one waits
        strategy = operation.as_strategy()

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        @given(strategy)
        def check(case: Any) -> None:
            assert case.call(base_url=server.address).status_code < 500

        check()


def _form(
    fields: dict[str, str], picture: tuple[str, bytes] | None = None
) -> tuple[bytes, None, dict[str, str]]:
    """Body, method and headers of a form. picture: the file's name and content."""
    boundary = "orrery-boundary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if picture is not None:
        named = f'name="input_reference"; filename="{picture[0]}"'
        head = f"--{boundary}\r\nContent-Disposition: form-data; {named}\r\n"
        parts.append(head.encode() + b"Content-Type: image/png\r\n\r\n" + picture[1] + b"\r\n")
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, None, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def _png(size: tuple[int, int], mode: str = "RGB") -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, 255 if mode == "1" else "red").save(content, "PNG")
    return content.getvalue()


def test_what_is_served_is_signed_where_it_is_asked(tmp_path: Path) -> None:
    """Read back by C2PA's own reader."""
    pem = Studio().written(tmp_path / "studio.pem")
    with Served(tmp_path / "data", ("dummy",), "--sign", str(pem)) as server:
        video = server.finished(server.film(seed=5)["id"])
        _, content = server.ask(f"/v1/videos/{video['id']}/content")
    reader = c2pa.Reader("video/mp4", io.BytesIO(content))
    assert reader.get_validation_state() == "Valid"
    manifest = reader.get_active_manifest()
    assert manifest is not None
    about = next(a["data"] for a in manifest["assertions"] if a["label"] == ABOUT)
    assert (about["prompt"], about["seed"], about["model"]) == ("to the left", 5, "dummy")
