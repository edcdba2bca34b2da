"""Controls of a storyboard on disk: what lies there, that it is the same in every form, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

pytest.importorskip("pyoidn")

from orrery.cli import main
from orrery.errors import UserError
from orrery.media import read_film
from orrery.streams import Array
from orrery.studio.controls.board import ShotControls, write_board_controls
from orrery.studio.controls.depth import depth_of_bytes
from orrery.studio.controls.segmentation import palette
from orrery.studio.controls.shot import plan_controls
from orrery.studio.shots import CameraKey, Shot, ShotCamera, Storyboard, ThingInShot
from orrery.studio.take import Take, takes

pytestmark = pytest.mark.slow
SIZE = (64, 48)
KEY = CameraKey(from_m=(0.0, -0.5, 0.3), look_at=(0.0, 0.0, 0.05))
BOARD = Storyboard(
    size="64x48",
    shots=(
        Shot(
            name="fall",
            seconds=0.25,
            things=(
                ThingInShot(name="marble", size_m=(0.08,), position_m=(0.0, 0.0, 0.08)),
                ThingInShot(name="brick", shape="box", colour="blue", position_m=(0.15, 0.0)),
            ),
            camera=ShotCamera(keys=(KEY,), orbit_deg_s=40.0),
        ),
        Shot(name="on", seconds=0.25, continues=True, light="evening"),
    ),
)


@pytest.fixture(scope="module")
def acted() -> list[Take]:
    return takes(BOARD)


@pytest.fixture(scope="module")
def made(acted: list[Take], tmp_path_factory: pytest.TempPathFactory) -> list[ShotControls]:
    folder = tmp_path_factory.mktemp("made") / "controls"
    return write_board_controls(BOARD, acted, folder, plan_controls("all", SIZE, 24))


@pytest.fixture(scope="module")
def fitted(acted: list[Take], tmp_path_factory: pytest.TempPathFactory) -> list[ShotControls]:
    folder = tmp_path_factory.mktemp("fitted") / "controls"
    return write_board_controls(BOARD, acted, folder, plan_controls("all", SIZE, 24, "wan-vace"))


def streams(shot: ShotControls) -> dict[str, Any]:
    return json.loads((shot.folder / "controls.json").read_text())["streams"]


def array(shot: ShotControls, name: str) -> Array:
    return np.load(shot.folder / streams(shot)[name]["array"])


def film(shot: ShotControls, name: str) -> Array:
    return read_film(shot.folder / streams(shot)[name]["film"]).frames


def test_arrays_and_films_are_of_the_shot(made: list[ShotControls]) -> None:
    assert [shot.name for shot in made] == ["fall", "on"]
    fall = made[0]
    assert array(fall, "depth").shape == (6, 48, 64)
    assert array(fall, "depth").dtype == np.float32
    assert array(fall, "segmentation").dtype == np.uint8
    assert array(fall, "flow").shape == (5, 48, 64, 2)
    for name in ("depth", "segmentation", "edges", "flow"):
        assert film(fall, name).shape == (6, 48, 64, 3)
    about = json.loads((fall.folder / "controls.json").read_text())
    assert about["num_frames"] == about["film_frames"] == 6
    assert about["told"] == []


def test_films_say_the_same_as_arrays_to_the_byte(made: list[ShotControls]) -> None:
    fall = made[0]
    np.testing.assert_array_equal(film(fall, "segmentation"), palette()[array(fall, "segmentation")])
    np.testing.assert_array_equal(film(fall, "edges")[..., 0], 255 * array(fall, "edges"))
    near, far = streams(fall)["depth"]["range"]
    depth = array(fall, "depth")
    assert [depth.min(), depth.max()] == pytest.approx([near, far])
    back = depth_of_bytes(film(fall, "depth")[..., 0], near, far)
    assert np.abs(1 / back - 1 / depth).max() <= 0.51 / 255 * (1 / near - 1 / far)
    longest = np.linalg.norm(array(fall, "flow"), axis=-1).max()
    assert streams(fall)["flow"]["range"][1] == pytest.approx(longest)


def test_instances_have_the_storyboards_names(made: list[ShotControls]) -> None:
    listed = streams(made[0])["segmentation"]["instances"]
    names = {one["name"]: one for one in listed}
    assert {"background", "table", "marble", "brick"} <= set(names)
    ids = array(made[0], "segmentation")
    assert {one["instance"] for one in listed if one["seen"]} == set(np.unique(ids))
    marble = ids == names["marble"]["instance"]
    assert marble.any((1, 2)).all()


def test_tracks_and_flow_tell_of_one_motion(made: list[ShotControls]) -> None:
    """The marble's pixels flow, on average, as its middle does (it does not turn as it falls)."""
    fall = made[0]
    things = json.loads((fall.folder / "tracks.json").read_text())["things"]
    marble = next(thing for thing in things if thing["name"] == "marble")
    centres = np.array(marble["centre_px"])
    ids, flow = array(fall, "segmentation"), array(fall, "flow")
    for k in range(3):
        mean = flow[k][ids[k] == marble["instance"]].mean(0)
        np.testing.assert_allclose(mean, centres[k + 1] - centres[k], atol=0.25)


def test_points_carried_by_flow_are_still_of_their_thing(made: list[ShotControls]) -> None:
    """Where a pixel's point goes there is the same instance in the next frame, unless something hides it."""
    ids, flow = array(made[0], "segmentation"), array(made[0], "flow")
    y, x = np.mgrid[:48, :64] + 0.5
    for k in range(5):
        to_x, to_y = x + flow[k, ..., 0], y + flow[k, ..., 1]
        inside = (to_x >= 0) & (to_x < 64) & (to_y >= 0) & (to_y < 48)
        there = ids[k + 1][to_y[inside].astype(int), to_x[inside].astype(int)]
        assert (there == ids[k][inside]).mean() > 0.97


def test_the_sound_is_the_shots_own(made: list[ShotControls], acted: list[Take]) -> None:
    for shot, take in zip(made, acted, strict=True):
        rate, samples = wavfile.read(shot.folder / "sound.wav")
        assert rate == 48_000
        np.testing.assert_array_equal(samples, take.audio)


def test_for_a_model_rates_sizes_and_lengths_are_its_own(fitted: list[ShotControls]) -> None:
    fall = fitted[0]
    about = json.loads((fall.folder / "controls.json").read_text())
    assert about["frames_per_second"] == 16
    assert about["num_frames"] == 4
    assert about["film_frames"] == 5
    assert about["pieces"] == [{"first": 0, "num_frames": 5}]
    assert "16 frames a second instead of 24" in " ".join(about["told"])
    assert "the last 1 times more" in " ".join(about["told"])
    assert array(fall, "depth").shape == (4, 48, 64)
    whole = film(fall, "depth")
    assert len(whole) == 5
    np.testing.assert_array_equal(whole[4], whole[3])


def test_rates_agree_where_their_instants_do(made: list[ShotControls], fitted: list[ShotControls]) -> None:
    """Two frames of 16 a second end when three of 24 do."""
    slow, fast = array(fitted[0], "depth"), array(made[0], "depth")
    np.testing.assert_allclose(slow[1], fast[2], rtol=1e-5)
    np.testing.assert_allclose(slow[3], fast[5], rtol=1e-5)


def test_the_same_controls_are_the_same_bytes(
    made: list[ShotControls], acted: list[Take], tmp_path: Path
) -> None:
    again = write_board_controls(BOARD, acted, tmp_path / "again", plan_controls("all", SIZE, 24))
    for path in sorted(made[0].folder.iterdir()):
        assert (again[0].folder / path.name).read_bytes() == path.read_bytes()


def test_what_was_stopped_leaves_only_whole_shots(acted: list[Take], tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 12
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_board_controls(BOARD, acted, tmp_path / "c", plan_controls("depth", SIZE, 24), stop)
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["fall"]


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "board.yaml"
    path.write_text("{size: 48x32, shots: [{name: one, seconds: 0.1, things: [{}]}]}")

    def run(*more: str) -> tuple[int, str]:
        status = main(["shoot", str(path), *more])
        said = capsys.readouterr()
        return status, said.out + said.err

    folder = tmp_path / "controls"
    status, said = run("--controls", "depth,tracks", "--for", "ltx-2", "--out", str(folder))
    assert status == 0
    assert "9 frames of 64x32" in said
    assert {p.name for p in (folder / "one").iterdir()} == {
        "controls.json", "depth.npy", "depth.mp4", "tracks.json", "sound.wav",
    }  # fmt: skip
    assert run("--controls", "depth", "--out", str(folder))[0] == 1
    assert run("--for", "ltx-2", "--out", str(tmp_path / "f.mp4"))[0] == 2
    assert run("--controls", "depht", "--out", str(tmp_path / "x"))[0] == 2
    status, said = run("--controls", "all", "--for", "wan-vace", "--size", "1920x1080", "--out", "x")
    assert status == 2
    assert "1280x720 would do" in said
    film_path = tmp_path / "film.mp4"
    status, said = run("--controls", "edges", "--samples", "1", "--out", str(film_path))
    assert status == 0
    edges = read_film(tmp_path / "film.controls" / "one" / "edges.mp4").frames
    assert edges.shape == read_film(film_path).frames.shape


def test_a_sentences_film_has_controls_too(tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    sentence = "a red ball drops and a blue box stands on the table"
    asked = ["generate", sentence, "--exact", "--out", str(out), "--seconds", "0.125"]
    assert main([*asked, "--controls", "depth"]) == 2
    soft = [*asked, "--look", "soft", "--size", "32x32", "--samples", "1"]
    assert main([*soft, "--controls", "depths"]) == 2
    assert main([*soft, "--controls", "segmentation,camera"]) == 0
    about = json.loads((tmp_path / "film.controls" / "controls.json").read_text())
    assert about["num_frames"] == 3 == len(read_film(out).frames)
    seen = {one["name"] for one in about["streams"]["segmentation"]["instances"] if one["seen"]}
    assert {"red ball", "blue box", "table"} <= seen


def test_a_disk_that_refuses_is_told(acted: list[Take], tmp_path: Path) -> None:
    (tmp_path / "c").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        write_board_controls(BOARD, acted, tmp_path / "c", plan_controls("depth", SIZE, 24))
