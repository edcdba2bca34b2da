"""Storyboards filmed: what is made, what is made again, and what stays as it was to the byte."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

pytest.importorskip("pyoidn")

from orrery.cli import main
from orrery.errors import BadUse, UserError
from orrery.media import read_film
from orrery.studio.shoot import BoardFilm, shoot, shots_folder
from orrery.studio.shots import CameraKey, Shot, ShotCamera, Storyboard, ThingInShot

pytestmark = pytest.mark.slow
FRAMES = 6
CLOSE = ShotCamera(keys=(CameraKey(from_m=(0.0, -0.5, 0.3), look_at=(0.0, 0.0, 0.05)),))
BALL = ThingInShot(name="marble", size_m=(0.08,), position_m=(0.0, 0.0, 0.08))
BOX = ThingInShot(name="brick", shape="box", colour="blue", position_m=(0.2, 0.0))


def board(**of_the_second: object) -> Storyboard:
    """Three shots of six frames: a ball falls and lands; the same from the side; another stage."""
    seconds = FRAMES / 24
    second = {"name": "side", "continues": True, "seconds": seconds, "camera": CLOSE, **of_the_second}
    shots = (
        Shot(name="fall", things=(BALL, BOX), seconds=seconds, camera=CLOSE),
        Shot.model_validate(second),
        Shot(name="other", things=(BOX,), seconds=seconds),
    )
    return Storyboard(title="A test", size="48x32", samples=1, shots=shots)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> BoardFilm:
    return shoot(board(), tmp_path_factory.mktemp("made") / "film.mp4")


def test_a_film_is_its_shots_one_after_the_other(made: BoardFilm) -> None:
    film = read_film(made.path)
    parts = [read_film(shot.path).frames for shot in made.shots]
    assert [shot.name for shot in made.shots] == ["fall", "side", "other"]
    assert [len(part) for part in parts] == [FRAMES] * 3
    np.testing.assert_array_equal(film.frames, np.concatenate(parts))
    assert film.frames.shape[1:] == (32, 48, 3)
    assert made.seconds == 3 * FRAMES / 24


def test_the_ball_is_seen(made: BoardFilm) -> None:
    """Red in the middle of the first shot, and nowhere in the last."""

    def red(frames: np.ndarray) -> np.ndarray:
        values = frames.astype(int)
        return values[..., 0] - np.maximum(values[..., 1], values[..., 2])

    assert red(read_film(made.shots[0].path).frames)[0, 8:24, 18:30].max() > 100
    assert red(read_film(made.shots[2].path).frames).max() < 80


def test_the_sound_is_exact_beside_the_film(made: BoardFilm) -> None:
    """To the sample: the WAV is what the shots were acted out with, and the film's is in step with it."""
    rate, wav = wavfile.read(made.path.with_suffix(".wav"))
    assert rate == 48_000
    np.testing.assert_array_equal(wav, np.concatenate([shot.take.audio for shot in made.shots]))
    coded = read_film(made.path).audio
    assert coded is not None
    loud = slice(np.abs(wav).max(1).argmax() - 500, np.abs(wav).max(1).argmax() + 2000)
    shifts = range(-40, 41)
    match = [float((np.roll(coded, shift, 0)[loud] * wav[loud]).sum()) for shift in shifts]
    assert shifts[int(np.argmax(match))] == 0


def test_what_came_of_a_shot_lies_beside_it(made: BoardFilm) -> None:
    told = json.loads((shots_folder(made.path) / "fall.json").read_text())
    landed = np.sqrt(2 * (0.08 - 0.04) / 9.81)
    assert told["events"][0]["seconds"] == pytest.approx(landed, abs=0.01)
    assert {told["events"][0]["a"], told["events"][0]["b"]} == {"table", "marble"}
    assert set(made.edits) == {"film.otio", "film.xml", "film.edl"}


def retaken(made: BoardFilm, tmp_path: Path, changed: Storyboard) -> tuple[BoardFilm, dict[str, bool]]:
    """The film once more from a changed board in a copy of its folder; which shots' bytes stayed."""
    for path in [made.path, *shots_folder(made.path).iterdir()]:
        copy = tmp_path / path.relative_to(made.path.parent)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    again = shoot(changed, tmp_path / "film.mp4", force=True)
    pairs = zip(made.shots, again.shots, strict=True)
    return again, {a.name: a.path.read_bytes() == b.path.read_bytes() for a, b in pairs}


def test_a_retake_leaves_the_other_shots_as_they_were(made: BoardFilm, tmp_path: Path) -> None:
    turned = ShotCamera(keys=CLOSE.keys, orbit_deg_s=90.0)
    again, stayed = retaken(made, tmp_path, board(camera=turned))
    assert [shot.was_made for shot in again.shots] == [False, True, False]
    assert stayed == {"fall": True, "side": False, "other": True}
    film = read_film(again.path).frames
    np.testing.assert_array_equal(film[:FRAMES], read_film(made.path).frames[:FRAMES])


def test_only_what_depends_on_a_light_is_made_again(made: BoardFilm, tmp_path: Path) -> None:
    again, stayed = retaken(made, tmp_path, board(light="evening"))
    assert [shot.was_made for shot in again.shots] == [False, True, False]
    assert stayed == {"fall": True, "side": False, "other": True}


def test_nothing_is_made_again_for_nothing_and_the_bytes_are_the_same(
    made: BoardFilm, tmp_path: Path
) -> None:
    again, stayed = retaken(made, tmp_path, board())
    assert not any(shot.was_made for shot in again.shots)
    assert all(stayed.values())
    assert again.path.read_bytes() == made.path.read_bytes()


def test_a_film_that_was_stopped_goes_on(made: BoardFilm, tmp_path: Path) -> None:
    """Finished shots are kept, the one that was begun leaves nothing, and the end is the same film."""

    def stop(done: int, total: int) -> None:
        assert total == 3 * FRAMES
        if done == FRAMES + 2:
            raise KeyboardInterrupt

    out = tmp_path / "film.mp4"
    with pytest.raises(KeyboardInterrupt):
        shoot(board(), out, on_frame=stop)
    names = {path.name for path in shots_folder(out).iterdir()}
    assert names == {"fall.mp4", "fall.wav", "fall.json"}
    assert not out.exists()
    again = shoot(board(), out)
    assert [shot.was_made for shot in again.shots] == [False, True, True]
    assert out.read_bytes() == made.path.read_bytes()


def test_what_cannot_be_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(BadUse, match=r"end its name in \.mp4"):
        shoot(board(), tmp_path / "film.mov")
    (tmp_path / "film.edl").write_text("mine")
    with pytest.raises(UserError, match=r"film\.edl already exists"):
        shoot(board(), tmp_path / "film.mp4")
    (tmp_path / "film.edl").unlink()
    both = Shot(things=(BALL, BALL.model_copy(update={"name": "twin"})))
    with pytest.raises(UserError, match="in one place"):
        shoot(Storyboard(shots=(both,)), tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "board.yaml"
    path.write_text(
        "shots: [{name: one, seconds: 0.1, things: [{shape: ball, position_m: [0, 0]}],"
        " paths: {red ball: [{seconds: 0, position_m: [0, 0]}]}}]"
    )
    out = tmp_path / "film.mp4"
    assert main(["shoot", str(path), "--out", str(out), "--size", "32x32", "--samples", "1"]) == 0
    said = capsys.readouterr().out
    assert "one.mp4: 2 frames, made" in said
    assert "red ball was led within" in said
    assert "film.edl: without impulses" in said
    assert read_film(out).frames.shape == (2, 32, 32, 3)
    assert main(["shoot", str(path), "--out", str(out), "--size", "33x32"]) != 0
    assert main(["shoot", str(tmp_path / "none.yaml"), "--out", str(out), "--force"]) == 1
    assert "Traceback" not in capsys.readouterr().err
