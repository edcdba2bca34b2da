"""The finger's script: comes down beside its target, pushes the right way, and leaves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mujoco")

from orrery.streams import Array
from orrery.worlds.rigid_bodies.finger import MAX_SPEED_M_S, FingerScript
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS
from orrery.worlds.rigid_bodies.physics import FINGER_HALF_LENGTH_M, FINGER_PARKED_M, FINGER_RADIUS_M
from orrery.worlds.tabletop.finger import begins_clear, plan_script
from orrery.worlds.tabletop.scene import TRAY, Body, BodyRequest, Push, Scene, SceneRequest, sample_scene
from orrery.worlds.tabletop.world import draw_scene

pushed_scenes = st.builds(
    lambda seed, direction, shape: sample_scene(
        np.random.default_rng(seed),
        SceneRequest((BodyRequest(shape=shape, motion="pushed", direction=direction),)),
    ),
    st.integers(0, 2**31),
    st.sampled_from(list(DIRECTIONS)),
    st.sampled_from(["ball", "box", "cylinder"]),
)


def corners(script: FingerScript) -> Array:
    """Where the legs start and end, `[legs + 1, 3]`."""
    steps = [duration * velocity for duration, velocity in script.legs]
    return script.start_m + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])


def test_without_a_push_it_stays_parked() -> None:
    script = plan_script(Scene((Body("ball", "red", "wood", 0.04, (0, 0, 0.04)),)))
    np.testing.assert_array_equal(script.start_m, FINGER_PARKED_M)
    assert not any(script.velocity(t).any() for t in (0.0, 0.5, 5.0))


def test_legs_of_a_known_push() -> None:
    body = Body("box", "red", "wood", 0.05, (0.02, 0.03, 0.05), motion="pushed", direction="right")
    script = plan_script(Scene((body,), push=Push(0, (1.0, 0.0), 0.2, 0.1)))
    path = corners(script)
    np.testing.assert_allclose(path[1, :2], [0.02 - 0.05 * np.sqrt(2) - FINGER_RADIUS_M - 0.012, 0.03])
    push_end = path[2]
    assert push_end[0] == pytest.approx(0.02 - 0.05 + 0.1)  # the near face, and the distance beyond it
    np.testing.assert_allclose(path[-1], [*push_end[:2], FINGER_PARKED_M[2]], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(pushed_scenes)
def test_every_plan_is_safe_and_pushes_as_asked(scene: Scene) -> None:
    assert scene.push is not None
    script, path = plan_script(scene), corners(plan_script(scene))
    assert all(np.abs(velocity).max() <= MAX_SPEED_M_S for _, velocity in script.legs)
    assert all(duration >= 0 for duration, _ in script.legs)
    assert path[:, 2].min() - FINGER_HALF_LENGTH_M - FINGER_RADIUS_M > 0.005  # above the table
    inside = np.array([TRAY.half_x, TRAY.half_y]) - FINGER_RADIUS_M
    assert (np.abs(path[1, :2]) <= inside).all()  # comes down within the rims
    target = np.array(scene.bodies[scene.push.target].position_m[:2])
    assert (target - path[1, :2]) @ np.array(scene.push.direction) > 0  # behind the target
    travel = path[2] - path[1]
    np.testing.assert_allclose(travel / np.linalg.norm(travel), [*scene.push.direction, 0.0], atol=1e-9)
    assert path[-1, 2] == pytest.approx(FINGER_PARKED_M[2])


@settings(max_examples=20, deadline=None)
@given(pushed_scenes)
def test_velocity_follows_the_legs_in_turn(scene: Scene) -> None:
    script = plan_script(scene)
    elapsed = 0.0
    for duration, velocity in script.legs:
        np.testing.assert_array_equal(script.velocity(elapsed + duration / 2), velocity)
        elapsed += duration
    assert not script.velocity(elapsed + 1e-6).any()


def test_nothing_begins_inside_the_finger() -> None:
    """A thing that falls past the push, where the finger comes down, and one beside it."""
    pushed = Body("box", "red", "wood", 0.05, (0.1, 0.0, 0.05), motion="pushed", direction="right")
    push = Push(0, (1.0, 0.0), 0.2, 0.1)
    x, y, z = plan_script(Scene((pushed,), push=push)).start_m
    for place, clear in (((x, y, z - 0.09), False), ((x, y + 0.05, z), False), ((x, y + 0.09, z), True)):
        falling = Body("ball", "blue", "wood", 0.03, place, motion="drops")
        assert begins_clear(Scene((pushed, falling), push=push)) == clear
    assert begins_clear(Scene((pushed,)))  # parked


def test_scenes_are_drawn_clear_of_the_finger() -> None:
    """By chance alone several in these 2,000 would not be."""
    rngs = [np.random.default_rng(seed) for seed in range(2000)]
    assert not all(begins_clear(sample_scene(np.random.default_rng(seed))) for seed in range(2000))
    assert all(begins_clear(draw_scene(rng, None)) for rng in rngs)
