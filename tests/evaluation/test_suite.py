"""The suite: its content is pinned, and its scenes are what their part says."""

from __future__ import annotations

import math

import pytest

from orrery.errors import BadUse
from orrery.evaluation.hidden import passages
from orrery.evaluation.steering import moves_freely
from orrery.evaluation.striking import before_the_strike, strikes
from orrery.evaluation.suite import (
    MOST_SCENES,
    OUTSIDE,
    SHORT_CONTEXT_SECONDS,
    VERSION,
    first_scenes,
    held_part,
    suite,
    suite_hash,
)
from orrery.worlds.tabletop.scene import SIZES, Body, Scene

PINNED = {1: "ae8a7adeefb821a78ee83fe46c42adf7966ecdbc98b17ada7f0e180062aec5d3"}
"""What each version holds. A suite that changes is another version: its figures compare with no others."""


def test_the_suite_is_what_its_version_says() -> None:
    assert suite_hash() == PINNED[VERSION]
    assert set(OUTSIDE) < suite().keys()
    assert all(len(part.scenes) >= MOST_SCENES and part.about for part in suite().values())
    assert all(len(set(part.scenes)) == len(part.scenes) for part in suite().values())


def test_more_scenes_than_there_are_are_refused() -> None:
    with pytest.raises(BadUse, match="24 scenes; asked for 25"):
        first_scenes("fast", 25)


def _usual_size(body: Body) -> bool:
    return any(low <= body.half_extent_m <= high for low, high in SIZES.values())


def _is_fast(scene: Scene) -> bool:
    """Beyond the greatest speeds and heights that scenes are drawn with: 0.8 m/s rolling, 0.6 m/s flying, 0.3
    m of a drop."""
    body = scene.bodies[0]
    speed = math.hypot(*body.linear_velocity_m_s[:2])
    drop = body.position_m[2] - body.half_extent_m
    beyond = {"rolls": speed / 0.8, "flies": speed / 0.6, "drops": drop / 0.3}
    return 1.24 < beyond[body.motion] < 2.01


def test_what_is_outside_is_outside_by_as_much_as_it_says() -> None:
    parts = {name: part.scenes for name, part in suite().items()}
    assert all(_is_fast(scene) for scene in parts["fast"])
    for scene in parts["sized"]:
        for body in scene.bodies:
            assert 0.73 < body.half_extent_m / 0.038 < 0.90 or 1.09 < body.half_extent_m / 0.060 < 1.31
    for name in parts.keys() - {"sized"}:
        assert all(_usual_size(body) for scene in parts[name] for body in scene.bodies), name


@pytest.mark.slow
def test_the_exact_world_does_with_a_scene_what_its_part_is_for() -> None:
    """The first three of each part."""
    assert all(passages(held) for held in held_part("behind", 3, 1.75, SHORT_CONTEXT_SECONDS))
    assert all(moves_freely(held) for held in held_part("free", 3, 2.0))
    assert not any(moves_freely(held) for held in held_part("resting", 3, 1.0))
    for seed, scene in enumerate(first_scenes("striking", 3)):
        held = before_the_strike(seed, scene)
        assert 4 <= strikes(held.truth)[0].frame <= 6
