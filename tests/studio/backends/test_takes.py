"""Takes held against the exact film: it itself, with things shifted and painted, and a real pipeline's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers")
pytest.importorskip("peft")
pytest.importorskip("pyoidn")
pytest.importorskip("cv2")

from tiny_pipelines import save_wan_vace

from orrery.cli import main
from orrery.errors import BadUse
from orrery.evaluation.film.identity import COLOUR
from orrery.evaluation.film.placed import Reference
from orrery.media import FilmWriter, read_film
from orrery.streams import Array
from orrery.studio.backends.dress import Dressing, dress
from orrery.studio.backends.request import Film, Request
from orrery.studio.backends.takes import DRIFT_SHARE, ShotTakes, exact_film, judged, takes_path
from orrery.studio.backends.wan_vace import WAN_VACE
from orrery.studio.controls.shot import FilmedScenes, plan_controls
from orrery.studio.shots import CameraKey, Shot, ShotCamera, Storyboard, ThingInShot
from orrery.studio.take import takes

pytestmark = pytest.mark.slow
KEY = CameraKey(from_m=(0.0, -0.6, 0.35), look_at=(0.0, 0.0, 0.05))
SIDE = 96
LIMIT = DRIFT_SHARE * SIDE


def board(**changed: object) -> Storyboard:
    """A red ball rolls past a blue box, 5 frames of 16 a second."""
    things = (
        ThingInShot(
            name="ball", size_m=(0.1,), position_m=(-0.1, -0.05), velocity_m_s=(0.3, 0, 0), rolls=True
        ),
        ThingInShot(name="box", shape="box", colour="blue", size_m=(0.08,), position_m=(0.12, 0.1)),
    )
    shot = {"name": "one", "seconds": 0.3125, "things": things, "camera": ShotCamera(keys=(KEY,)), **changed}
    return Storyboard(size=f"{SIDE}x{SIDE}", samples=2, shots=(Shot.model_validate(shot),))


def exact_of(board: Storyboard) -> Reference:
    """As `dress` draws it."""
    (take,) = takes(board)
    filmed = FilmedScenes(take.scenes, take.first, board.frames_per_second, board.shots[0].light)
    plan = plan_controls(("depth",), board.width_height, board.frames_per_second, "wan-vace")
    return exact_film(filmed, plan, board.samples)


@pytest.fixture(scope="module")
def exact() -> Reference:
    return exact_of(board())


def moved(exact: Reference, name: str, across: int, colour: tuple[float, float, float] = (1, 1, 1)) -> Array:
    """The exact film with one thing shifted across and its colours multiplied; where it was is the table."""
    instance = next(k for k, called in exact.names.items() if called == name)
    frames = exact.frames.copy()
    for frame, labels, before in zip(frames, exact.instances, exact.frames, strict=True):
        own = labels == instance
        frame[own] = np.median(before[labels == 1], axis=0)
        there = np.roll(own, across, 1)
        frame[there] = np.clip(before[own] * colour, 0, 255)
    return frames


def compared(exact: Reference, folder: Path, films: list[Array]) -> ShotTakes:
    """The films, as takes on disk."""
    paths = []
    for number, frames in enumerate(films):
        paths.append((number, folder / f"{number}.mp4"))
        with FilmWriter(paths[-1][1], 16, None, (SIDE, SIDE), lossless=True) as writer:
            writer.write(frames)
    return judged("one", paths, exact, 16)


def test_the_things_that_move_are_asked_about(exact: Reference) -> None:
    """The laboratory's finger is hidden, and never seen."""
    assert exact.frames.shape == (5, SIDE, SIDE, 3)
    seen = {name for instance, name in exact.names.items() if (exact.instances == instance).any()}
    assert seen == {"ball", "box"}


def test_the_exact_film_itself_scores_perfectly(exact: Reference, tmp_path: Path) -> None:
    take = compared(exact, tmp_path, [exact.frames]).best
    assert (take.drift_px, take.colour, take.misfit) == (0.0, 0.0, 0.0)
    assert [thing.num_judged for thing in take.things] == [5, 5]
    assert take.why == "all is where it should be"


def test_a_shifted_thing_scores_its_shift_and_a_painted_one_its_colour(
    exact: Reference, tmp_path: Path
) -> None:
    films = [
        moved(exact, "ball", 3),
        moved(exact, "box", -6),
        exact.frames,
        moved(exact, "ball", 0, (0.2, 0.6, 3)),
    ]
    shot = compared(exact, tmp_path, films)
    assert [take.drift_px for take in shot.takes] == [3.0, 6.0, 0.0, 0.0]
    assert shot.best.number == 3
    assert "'ball' is 3 pixels off" in shot.takes[0].why
    assert "'box' is 6 pixels off" in shot.takes[1].why
    painted = shot.takes[3]
    assert painted.colour is not None
    assert painted.colour > 2 * COLOUR.fails_at
    assert painted.misfit == pytest.approx(painted.colour / COLOUR.fails_at)
    assert "'ball' is " in painted.why
    assert "instead of red" in painted.why
    assert shot.worst is painted
    assert shot.takes[0].misfit == pytest.approx(3.0 / LIMIT, abs=0.3)
    assert "take 4 keeps it worst: 'ball'" in shot.told


class Draws:
    """A model that draws the exact film, less exactly with a greater seed. seeds: that it was asked for."""

    default_steps = 1

    def __init__(self, exact: Reference, shifts: dict[int, int]) -> None:
        self._exact, self._shifts = exact, shifts
        self.seeds: list[int] = []

    def make(self, request: Request, on_step: Callable[[], None]) -> Film:
        self.seeds.append(request.seed)
        on_step()
        return Film(moved(self._exact, "ball", self._shifts[request.seed]), request.frames_per_second)


def test_the_film_is_the_best_take_and_the_others_are_kept(exact: Reference, tmp_path: Path) -> None:
    out, model = tmp_path / "film.mp4", Draws(exact, {7: 8, 1007: 1, 2007: 4})
    dressing = Dressing("none", WAN_VACE, "a ball", seed=7, num_takes=3)
    steps: list[tuple[int, int]] = []
    film = dress(board(), out, dressing, lambda: model, on_step=lambda *step: steps.append(step))
    assert model.seeds == [7, 1007, 2007]
    assert steps == [(k, 3 + 5) for k in range(1, 9)], "a step of denoising for each, then the exact frames"
    (shot,) = film.shots
    assert shot.takes is not None
    assert (shot.takes.best.number, shot.takes.worst.number) == (2, 1)
    assert shot.path.name == "one.take2.mp4"
    np.testing.assert_array_equal(read_film(out).frames, read_film(shot.path).frames)
    assert sorted(p.name for p in shot.path.parent.glob("*.mp4")) == [
        "one.mp4",
        "one.take2.mp4",
        "one.take3.mp4",
    ]
    told = json.loads(takes_path(out).read_text())["shots"][0]
    assert (told["best"], told["worst"]) == (2, 1)
    assert told["why_worst"].startswith("'ball' is 8 pixels off")
    assert [take["seed"] for take in told["takes"]] == [7, 1007, 2007]
    assert [take["drift_px"] for take in told["takes"]] == [8.0, 1.0, 4.0]
    assert json.loads(out.with_suffix(".json").read_text())["takes"] == {"one": {"number": 2, "seed": 1007}}
    more = Dressing("none", WAN_VACE, "a ball", seed=7, num_takes=2)
    again = dress(board(), out, more, pytest.fail, force=True)
    assert again.shots[0].path == shot.path
    assert not again.shots[0].was_made
    dress(board(), out, Dressing("none", WAN_VACE, "a ball", seed=7), pytest.fail, force=True)
    assert not takes_path(out).exists()


def test_what_stands_out_from_nothing_is_not_judged(tmp_path: Path) -> None:
    """A thing behind the camera: the first take is the film, and that is told."""
    away = CameraKey(from_m=(0.0, -0.6, 0.35), look_at=(0.0, -2.0, 0.3))
    other = exact_of(board(camera=ShotCamera(keys=(away,))))
    shot = compared(other, tmp_path, [other.frames, other.frames])
    assert shot.best.number == 1
    assert shot.best.drift_px is None
    assert "as it came: no thing that moves" in shot.told


def test_how_many_takes_there_may_be() -> None:
    for number in (0, 101):
        with pytest.raises(BadUse, match=f"--takes {number}"):
            Dressing("none", WAN_VACE, "a ball", num_takes=number)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(save_wan_vace(tmp_path / "wan"))
    path, out = tmp_path / "board.yaml", tmp_path / "film.mp4"
    path.write_text(
        "{size: 64x64, samples: 1, shots: [{name: one, seconds: 0.3125, things: [{size_m: 0.2}]}]}"
    )
    asked = ["shoot", str(path), "--out", str(out), "--takes", "2"]
    assert main(asked) == 2
    assert "--takes is of --dress" in capsys.readouterr().err
    assert main([*asked, "--dress", weights, "--prompt", "a ball", "--steps", "1"]) == 0
    said = capsys.readouterr().out
    assert "one: take " in said
    assert "keeps it worst: 'red ball'" in said
    assert len(json.loads(takes_path(out).read_text())["shots"][0]["takes"]) == 2
