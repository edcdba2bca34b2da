"""From episodes of a world without sound, touch, finger or sentences to a checkpoint, and to its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orrery.cli import main
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.errors import BadUse, UserError
from orrery.evaluation.phyworld import _drawn, case, imagined, measure
from orrery.inference.checkpoints import load_model
from orrery.inference.imagined_world import ImaginedWorld, load_world
from orrery.recipes.phyworld import phyworld
from orrery.streams import Array
from orrery.tokenizers.video import VideoTokenizerConfig
from orrery.training.build import ModelSize
from orrery.training.run import Budget, Recipe, train
from orrery.worlds.phyworld.world import LAYOUT

pytestmark = pytest.mark.slow
STREAMS = {"video.main", "state", "camera.main", "action"}


def _few_steps(num_steps: int = 8) -> Recipe:
    """The recipe of PhyWorld with networks and budgets that take seconds."""
    made = phyworld()
    assert made.world is not None
    assert made.drawing is not None
    few = {"minutes": None, "num_steps": num_steps, "batch": dict.fromkeys(made.world.batch, 4)}
    return replace(
        made,
        video=VideoTokenizerConfig(32, 4, 8, channels=(16, 32), num_blocks=(1, 1), sight_grid=8),
        video_training=replace(made.video_training, batch_size=8, crop_size=32, num_held_out=8),
        video_budget=Budget(num_steps=num_steps),
        size=ModelSize(32, 2, 1, 16, 16, 48, 16, 32, window_ticks=3, video_window_ticks=1),
        motion=replace(made.motion, **few),
        world=replace(made.world, **few, decoder_from=0.0),
        drawing=replace(made.drawing, **few),
        num_held_out=2,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data`, six collisions of 3.2 s, and `out`, what is trained on them."""
    folder = tmp_path_factory.mktemp("phyworld")
    collect("phyworld:collision:train", folder / "data", 6, seconds=3.2, image_size=32, progress=False)
    train(_few_steps(), folder / "data", folder / "out", device="cpu", say=lambda _: None)
    return folder


@pytest.fixture(scope="module")
def world(run: Path) -> ImaginedWorld:
    return load_world(run / "out" / "checkpoint")


@pytest.fixture(scope="module")
def film(run: Path) -> dict[str, Array]:
    """An episode's streams, `[1, 32, *shape]`."""
    return {name: value[None] for name, value in Dataset(run / "data").episode(0).streams.items()}


def test_the_model_has_the_streams_of_its_data_and_no_others(run: Path) -> None:
    model = load_model(run / "out" / "checkpoint")
    assert set(model.spec.streams) == set(model.transformer.config.streams) == STREAMS
    assert model.audio is None
    assert "sound" not in model.transformer.config.hidden
    assert not list((run / "out").glob("audio_tokenizer"))
    assert not list((run / "out" / "checkpoint").glob("audio*"))


def test_it_refuses_a_sentence(world: ImaginedWorld, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a line that says what its world is; and leaves no film."""
    with pytest.raises(UserError, match="a world of balls from pictures, without sentences"):
        world.reset(0, prompt="a red ball drops")
    film, model = run / "film.mp4", run / "out" / "checkpoint"
    assert main(["generate", "a red ball drops", "--out", str(film), "--model", str(model)]) == 1
    assert "without sentences" in capsys.readouterr().err
    assert not film.exists()


def test_it_is_measured_by_the_protocol(world: ImaginedWorld) -> None:
    """Eight steps teach nothing, but the figures are those of 29 frames that follow three."""
    cases = [case("collision", part, seed, 32) for part in ("held-out", "outside") for seed in range(2)]
    figures = measure(cases, imagined(world))
    assert figures["num_films"] == 4
    assert np.isfinite(figures["error"])
    frames = imagined(world)(cases[0])
    assert np.array_equal(frames, imagined(world)(cases[0]))
    assert frames.shape == (29, 32, 32, 3)
    blank = replace(cases[0], given=np.full_like(cases[0].given, 255))
    told = [imagined(world, drawn_exactly=True, is_told=True)(one) for one in (cases[0], blank)]
    assert np.array_equal(*told), "the states are all that counts"
    assert not np.array_equal(told[0], imagined(world, drawn_exactly=True)(cases[0]))
    with pytest.raises(BadUse, match=r"the model's pictures are \[32, 32, 3\]"):
        imagined(world)(case("collision", "held-out", 0, 64))


def test_one_ball_is_enough(tmp_path: Path) -> None:
    collect("phyworld:uniform", tmp_path / "data", 4, seconds=1.0, image_size=32, progress=False)
    train(_few_steps(2), tmp_path / "data", tmp_path / "out", device="cpu", say=lambda _: None)
    world = load_world(tmp_path / "out" / "checkpoint")
    one = [case("uniform", "held-out", 0, 32)]
    empty = np.zeros((1, LAYOUT.width))
    assert (_drawn(empty, 32) == _drawn(empty[:0], 32)).all(), "a ball that is not there is not drawn"
    for drawn_exactly in (False, True):
        assert np.isfinite(measure(one, imagined(world, drawn_exactly=drawn_exactly))["error"])


def test_every_given_picture_tells_of_the_state(world: ImaginedWorld, film: dict[str, Array]) -> None:
    """Up to the third, which are perceived; a fourth passes through and changes nothing but itself."""

    def states(num_given: int, swapped: int | None = None) -> Array:
        pictures = film["video.main"][:, :num_given].copy()
        if swapped is not None:
            pictures[:, swapped] = pictures[:, swapped, :, ::-1]
        ticks = [world.reset(3, given={"video.main": pictures}), *(world.step() for _ in range(4))]
        for number in range(num_given):
            assert np.array_equal(ticks[number]["video.main"], pictures[:, number])
        return np.stack([tick["state"] for tick in ticks])

    three = states(3)
    for number in range(3):
        other = states(3, swapped=number)
        assert np.array_equal(other[:number], three[:number]), "what follows changes nothing"
        assert not np.array_equal(other[number], three[number])
    assert np.array_equal(states(4), three)
    for name in ("present", "shape", "size", "colour"):
        values = LAYOUT.get(three, name)
        assert (values == values[:1]).all(), name


def test_perceiving_can_be_interrupted(world: ImaginedWorld, film: dict[str, Array]) -> None:
    world.reset(3, given={"video.main": film["video.main"][:, :3]})
    snapshot = world.snapshot()
    first = [world.step() for _ in range(3)]
    for _ in range(2):
        world.restore(snapshot)
        again = [world.step() for _ in range(3)]
        assert all(np.array_equal(a[n], b[n]) for a, b in zip(first, again, strict=True) for n in STREAMS)


def test_without_a_state_or_a_camera_there_is_nothing_to_train_on(run: Path, tmp_path: Path) -> None:
    streams = ["video.main", "action"]
    collect(
        "phyworld:uniform", tmp_path / "data", 2, seconds=0.5, image_size=32, streams=streams, progress=False
    )
    with pytest.raises(UserError, match=r"needs state, camera.main, action, .* no state, camera.main"):
        train(_few_steps(1), tmp_path / "data", tmp_path / "run", say=lambda _: None)
