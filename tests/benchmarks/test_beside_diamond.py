"""Our side of the comparison with DIAMOND: what is cut, how actions are numbered, what is compared.

DIAMOND's own code is not in this repository: `ORRERY_DIAMOND=CHECKOUT` has its part tested too.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import diamond_model
from beside_diamond import Settings, compare, errors_beside
from diamond_data import (
    ActionTable,
    Held,
    area_weights,
    fitted_levels,
    nearest_level,
    picture_stream,
    recordings_of,
    shrunk,
)
from diamond_model import CONTEXT, SEQUENCE, SIZE, Recordings, leading_on
from orrery.errors import BadUse, UserError
from orrery.evaluation.rollout import Windows
from orrery.streams import Array, Clock, StreamSpec, WorldSpec
from orrery.training.prepare import Episodes

VIDEO = StreamSpec("video.main", "video", "observed", (1, 96, 96, 3), "uint8")
STEERED = StreamSpec("action", "vector", "given", (1, 3), "float32")


class Recorded:
    """A data set in memory: frame t of an episode is grey t everywhere."""

    path = Path("recorded")

    def __init__(self, action: StreamSpec, actions: list[Array], environment: str = "") -> None:
        streams = {"video.main": VIDEO, "action": action}
        self.spec = WorldSpec(Clock(10, 1, 24_000), streams, {"id": environment} if environment else {})
        self.actions = actions

    def num_ticks(self, index: int) -> int:
        return len(self.actions[index])

    def text(self, index: int) -> str:
        return ""

    def load(self, index: int, names: list[str], start: int = 0, num: int | None = None) -> dict[str, Array]:
        stop = len(self.actions[index]) if num is None else start + num
        grey = np.arange(start, stop, dtype=np.uint8)[:, None, None, None, None]
        values = {
            "action": self.actions[index][start:stop],
            "video.main": np.broadcast_to(grey, (stop - start, *VIDEO.shape)).copy(),
        }
        return {name: values[name] for name in names}


def choices(*lengths: int) -> Recorded:
    """Episodes whose action that leads to frame t is t."""
    stream = StreamSpec("action", "choice", "given", (1, 1), "int64", num_choices=100)
    return Recorded(stream, [np.arange(n)[:, None, None] for n in lengths])


def episodes_of(data: Any, training: tuple[int, ...], held_out: tuple[int, ...]) -> Episodes:
    return Episodes(data, data.spec, training, held_out, ())


def test_shrinking_averages_the_area_that_a_pixel_covers() -> None:
    assert np.allclose(area_weights(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    assert np.allclose(area_weights(96, 64).sum(1), 1)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 1, 128, 128, 3), np.uint8)
    halves = pictures.reshape(2, 1, 64, 2, 64, 2, 3).mean((3, 5))
    assert np.abs(shrunk(pictures) - halves).max() <= 0.5 + 1e-3
    assert (shrunk(pictures[..., :64, :64, :]) == pictures[..., :64, :64, :]).all()
    bright_corner = np.zeros((1, 96, 96, 3), np.uint8)
    bright_corner[0, :3, :6, 1] = 255
    small = shrunk(bright_corner)
    assert (small[0, :2, :4, 1] == 255).all()
    assert small.sum() == 2 * 4 * 255


def test_a_sequence_is_of_one_episode_and_its_actions_lead_on(tmp_path: Path) -> None:
    data: Any = choices(30, 20, 9)
    table = ActionTable.of(data, (0, 1), (5, 3))
    recordings = recordings_of(episodes_of(data, (0, 1), (2,)), "video.main", table, tmp_path)
    assert recordings.frames.shape == (50, SIZE, SIZE, 3)
    frames, actions, real = recordings.cut(np.random.default_rng(0), 300)
    assert frames.shape == (300, SEQUENCE, SIZE, SIZE, 3)
    grey = frames[..., 0, 0, 0].astype(int)
    assert (np.diff(grey, axis=1)[real[:, :-1]] == 1).all()  # successive ticks, never across episodes
    assert real[:, -1].all()
    assert not real.all()  # some begin before their episode does
    assert (actions[~real] == 0).all()
    follows = real[:, :-1]
    assert (actions[:, :-1][follows] == grey[:, 1:][follows]).all()  # frame t+1 is what action t+1 led to
    again = recordings_of(episodes_of(data, (0, 1), (2,)), "video.main", table, tmp_path)
    assert (again.actions == recordings.actions).all()


def test_held_out_stretches_are_the_same_for_both() -> None:
    data: Any = choices(20, 90, 80)
    held = Held.cut(
        episodes_of(data, (0,), (1, 2)), "video.main", ActionTable.of(data, (0,), (5, 3)), 4, seed=0
    )
    assert held.small.horizon == 50  # five seconds
    assert held.small.streams["video.main"].shape == (4, 58, 1, SIZE, SIZE, 3)
    ours, small = held.ours.streams["video.main"], held.small.streams["video.main"]
    assert (ours[..., 0, 0, 0] == small[..., 0, 0, 0]).all()
    context, actions = held.seen_by_diamond
    assert context.shape == (4, CONTEXT, SIZE, SIZE, 3)
    assert actions.shape == (4, CONTEXT - 1 + held.small.horizon)
    first = small[:, held.small.context, 0, 0, 0, 0]
    assert (context[:, -1, 0, 0, 0] == first - 1).all()
    assert (actions[:, CONTEXT - 1] == first).all()  # the action that leads to the first imagined frame
    assert (actions[:, -1] == small[:, -1, 0, 0, 0, 0]).all()


def test_actions_of_numbers_become_levels() -> None:
    rng = np.random.default_rng(0)
    steering = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], 400)
    pedals = rng.choice([-0.5, 0.0, 0.7], 400)
    actions = np.stack([steering, np.maximum(pedals, 0), np.maximum(-pedals, 0)], 1)[:, None].astype(
        np.float32
    )
    data: Any = Recorded(STEERED, [actions], "CarRacing-v3")
    table = ActionTable.of(data, (0,), (5, 3))
    assert table.num == 15
    assert np.allclose(table.levels[0], [-1, -0.5, 0, 0.5, 1])
    assert np.allclose(table.levels[1], [-0.5, 0, 0.7])
    assert min(table.variance_kept) > 0.999
    numbers = table.numbers(actions, 400)
    assert (numbers == 3 * np.round(2 * steering + 2) + np.searchsorted([-0.5, 0.0, 0.7], pedals)).all()
    with pytest.raises(BadUse, match="2 axes"):
        ActionTable.of(data, (0,), (5,))
    with pytest.raises(BadUse, match="3 axes"):  # no pedals elsewhere
        ActionTable.of(Recorded(STEERED, [actions]), (0,), (5, 3))  # pyright: ignore[reportArgumentType]


def test_levels_reach_the_ends_and_follow_the_values() -> None:
    levels = fitted_levels(np.array([0.0] * 50 + [0.1] * 50 + [1.0]), 2)
    assert np.allclose(levels, [0.05, 1.0])
    assert nearest_level(np.array([-3.0, 0.4, 0.9]), levels).tolist() == [0, 0, 1]
    assert fitted_levels(np.zeros(5), 3) == (0.0, 0.0, 0.0)
    assert leading_on(np.array([7, 8, 9])).tolist() == [8, 9, 0]


def test_errors_are_of_pixels_that_change() -> None:
    truth = np.zeros((2, 8 + 50, 1, SIZE, SIZE, 3), np.uint8)
    truth[:, 10:, :, :, :4] = 200  # a stripe appears in the third imagined frame
    windows = Windows({"video.main": truth}, 8, ("", ""))
    spec = replace(VIDEO, shape=(1, SIZE, SIZE, 3))
    wrong_elsewhere = truth[:, 8:].copy()
    wrong_elsewhere[..., 40:, :] = 99
    copied = np.repeat(truth[:, 7:8], 50, axis=1)
    made = {"ours": wrong_elsewhere, "diamond": copied, "copy": copied}
    rows = errors_beside(spec, Held(windows, windows, np.zeros((2, 58))), made, 0.1)
    assert [row["seconds"] for row in rows] == [1.0, 2.0, 5.0]
    for row in rows:
        assert row["ours"] == 0.0
        assert row["diamond"] == row["copy"] == pytest.approx(200)
        assert (row["windows_ours_nearer"]["successes"], row["windows_ours_nearer"]["trials"]) == (2, 2)


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, diamond=tmp_path, out=tmp_path / "out")
    with pytest.raises(BadUse, match="--minutes"):
        compare(settings)
    with pytest.raises(BadUse, match="--batch 0"):
        compare(replace(settings, minutes=1, batch=0))
    with pytest.raises(UserError, match="git clone") as caught:
        compare(replace(settings, minutes=1))
    assert str(tmp_path) in str(caught.value)
    assert not (tmp_path / "out").exists()
    data: Any = choices(5)
    data.spec = replace(data.spec, clock=Clock())
    with pytest.raises(UserError, match="2 frames a tick"):
        picture_stream(data)


@pytest.mark.slow
@pytest.mark.skipif(
    "ORRERY_DIAMOND" not in os.environ, reason="DIAMOND's code is not here: ORRERY_DIAMOND=CHECKOUT"
)
def test_diamond_trains_resumes_and_imagines(tmp_path: Path) -> None:
    code = diamond_model.load_code(Path(os.environ["ORRERY_DIAMOND"]))
    assert code.sha256 == diamond_model.PUBLISHED_SHA256
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (40, SIZE, SIZE, 3), np.uint8)
    assert (diamond_model.as_frames(diamond_model.as_input(frames)) == frames).all()
    recordings = Recordings(frames, rng.integers(0, 6, 40), np.array([30, 10]))
    settings = diamond_model.TrainingSettings(1e-3, 2, 1e-4, 100, 0, {})
    denoiser = diamond_model.build_denoiser(code, 6)
    file = tmp_path / "diamond.pt"
    assert diamond_model.train_denoiser(code, denoiser, recordings, settings, file).step == 1
    longer = replace(settings, core_seconds=1e6)

    def stop(progress: diamond_model.Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diamond_model.train_denoiser(
            code, diamond_model.build_denoiser(code, 6), recordings, longer, file, stop
        )
    done = diamond_model.train_denoiser(code, denoiser, recordings, settings, file)
    assert done.step == 2  # of the run that was stopped; its budget is used
    other = replace(settings, learning_rate=1e-3)
    with pytest.raises(UserError, match="learning_rate"):
        diamond_model.train_denoiser(code, denoiser, recordings, other, file)
    sampler = diamond_model.build_sampler(code, denoiser)
    made = diamond_model.imagine(sampler, frames[None, :CONTEXT], recordings.actions[None, :5], seed=0)
    assert made.shape == (1, 2, SIZE, SIZE, 3)
    assert (
        made == diamond_model.imagine(sampler, frames[None, :CONTEXT], recordings.actions[None, :5], seed=0)
    ).all()
