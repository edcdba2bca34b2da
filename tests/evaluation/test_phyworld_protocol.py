"""The protocol: the tracker's floor is small, and each baseline errs where it must and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from orrery.errors import BadUse
from orrery.evaluation.phyworld import (
    NUM_GIVEN,
    Case,
    case,
    constant_velocity,
    do_nothing,
    exact,
    imagined,
    measure,
    score,
)
from orrery.evaluation.phyworld_tracker import track
from orrery.streams import Array, Observation
from orrery.worlds.phyworld.scenes import KINDS
from orrery.worlds.phyworld.world import PhyWorld


@pytest.fixture(scope="module")
def cases() -> dict[str, list[Case]]:
    return {kind: [case(kind, "held-out", seed) for seed in range(4)] for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_exact_pictures_give_the_floor(cases: dict[str, list[Case]], kind: str) -> None:
    floor = measure(cases[kind], exact)
    again = measure(cases[kind], lambda one: one.frames[3:])
    assert floor == again
    assert 0 < floor["error"] < 0.0044
    assert floor["lost"] == 0


def test_the_tracker_finds_place_and_size(cases: dict[str, list[Case]]) -> None:
    one = cases["collision"][0]
    tracks = track(one.frames, 2)
    inside = np.concatenate([np.zeros((3, 2), bool), one.valid])
    inside[:3] = False
    np.testing.assert_allclose(tracks.positions[inside], one.positions[inside], atol=1e-3)
    np.testing.assert_allclose(tracks.radii[0], one.radii, atol=1e-3)


def test_constant_velocity_is_right_for_uniform_motion_alone(cases: dict[str, list[Case]]) -> None:
    floor = measure(cases["uniform"], exact)["error"]
    assert measure(cases["uniform"], constant_velocity)["error"] < 1.5 * floor
    for kind in ("collision", "parabola"):
        assert measure(cases[kind], constant_velocity)["error"] > 0.5


def test_doing_nothing_errs_by_the_speed(cases: dict[str, list[Case]]) -> None:
    one = cases["uniform"][0]
    speed = np.linalg.norm(one.scene["velocities"][0])
    np.testing.assert_allclose(score(one, do_nothing(one)).errors, speed, rtol=1e-5)


def test_a_vanished_ball_is_no_gain(cases: dict[str, list[Case]]) -> None:
    one = cases["uniform"][0]
    blank = np.full_like(one.frames[3:], 255)
    vanished = score(one, blank)
    assert vanished.num_lost == one.valid.sum()
    np.testing.assert_allclose(vanished.errors, score(one, do_nothing(one)).errors, rtol=1e-5)


def test_a_ball_too_small_to_be_read_is_lost_and_no_error() -> None:
    small = next(
        one for seed in range(40) if (one := case("collision", "outside", seed, 32)).radii.min() < 0.35
    )
    figures = measure([small], constant_velocity)
    assert figures["lost"] > 0.0
    assert np.isfinite(figures["error"])


def test_what_is_no_continuation_is_refused(cases: dict[str, list[Case]]) -> None:
    one = cases["uniform"][0]
    with pytest.raises(ValueError, match="29"):
        score(one, one.frames)
    with pytest.raises(ValueError, match="uint8"):
        track(one.frames.astype(float), 1)
    with pytest.raises(ValueError, match="not 3"):
        track(one.frames, 3)


class Foreseeing(PhyWorld):
    """A world that imagines the scene it was made for without error, whatever it is given."""

    def __init__(self, case: Case) -> None:
        super().__init__(case.kind, image_size=case.given.shape[1])
        self.truth, self.given = case.scene, {}

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        self.given = dict(given or {})
        return super().reset(seed, scene=self.truth)


def test_a_world_that_imagines_is_measured_by_what_comes_after_three_frames(
    cases: dict[str, list[Case]],
) -> None:
    """One that is right has the floor's error, by its pictures and by its states."""
    one = cases["collision"][0]
    world = Foreseeing(one)
    floor = score(one, exact(one)).errors
    np.testing.assert_array_equal(score(one, imagined(world)(one)).errors, floor)
    assert list(world.given) == ["video.main"]
    np.testing.assert_array_equal(world.given["video.main"][0, :, 0], one.frames[:NUM_GIVEN])
    drawn = imagined(world, drawn_exactly=True, given_states=True)(one)
    assert set(world.given) == {"state", "camera.main"}
    assert world.given["state"].shape[1] == NUM_GIVEN
    np.testing.assert_allclose(score(one, drawn).errors, floor, atol=1e-3)
    with pytest.raises(BadUse, match=r"the model's pictures are \[128, 128, 3\]"):
        imagined(world)(case("collision", "held-out", 0, 64))
