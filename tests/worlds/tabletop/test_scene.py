"""Scenes: what is drawn stands apart, in the tray, and survives JSON."""

from __future__ import annotations

import itertools
import json
import math

import mujoco
import numpy as np
import pytest

from orrery.worlds.rigid_bodies.geometry import DIRECTIONS
from orrery.worlds.rigid_bodies.materials import COLOURS, MATERIAL_TABLE
from orrery.worlds.tabletop.scene import (
    BODY_SHAPES,
    CAMERAS,
    MOTIONS,
    SIZES,
    TRAY,
    BodyRequest,
    Scene,
    SceneRequest,
    sample_scene,
    with_camera,
)

GEOMS = {
    "ball": mujoco.mjtGeom.mjGEOM_SPHERE,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
}
CROWDED = [
    SceneRequest((BodyRequest(shape=shape, size="big", motion=motion, direction=direction),) * 3)
    for shape in BODY_SHAPES
    for motion, direction in [("rests", None), ("drops", None), ("flies", "left"), ("rolls", "forward")]
    if (shape, motion) != ("box", "rolls")
]


def compiled(scene: Scene) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """The bodies alone as MuJoCo geoms, geom k for body k."""
    spec = mujoco.MjSpec()
    for body in scene.bodies:
        part = spec.worldbody.add_body(pos=body.position_m, quat=body.quaternion)
        part.add_geom(type=GEOMS[body.shape], size=body.half_extents_m)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def smallest_gap_m(scene: Scene) -> float:
    """Exact distance of the nearest two bodies, negative where they overlap."""
    model, data = compiled(scene)
    ends = np.zeros(6)
    return min(
        (
            mujoco.mj_geomDistance(model, data, a, b, 1.0, ends)
            for a, b in itertools.combinations(range(len(scene.bodies)), 2)
        ),
        default=1.0,
    )


def corners_m(scene: Scene, slot: int) -> np.ndarray:
    """`[8, 3]`, the corners of a body's bounding box in the world."""
    _, data = compiled(scene)
    signs = np.array(list(itertools.product((-1, 1), repeat=3)))
    offsets = signs * scene.bodies[slot].half_extents_m
    return offsets @ data.geom_xmat[slot].reshape(3, 3).T + scene.bodies[slot].position_m


def test_free_scenes_do_not_overlap() -> None:
    rng = np.random.default_rng(1)
    assert min(smallest_gap_m(sample_scene(rng)) for _ in range(600)) > 0.0


@pytest.mark.parametrize("request_", CROWDED, ids=lambda r: f"{r.bodies[0].shape}-{r.bodies[0].motion}")
def test_crowded_scenes_find_room(request_: SceneRequest) -> None:
    for seed in range(40):
        scene = sample_scene(np.random.default_rng(seed), request_)
        assert len(scene.bodies) == 3
        assert smallest_gap_m(scene) > 0.0


def test_bodies_start_in_the_tray_and_not_in_its_floor() -> None:
    rng = np.random.default_rng(2)
    for _ in range(150):
        scene = sample_scene(rng)
        for slot, body in enumerate(scene.bodies):
            x, y, z = np.abs(body.position_m)
            assert x + body.half_extent_m < TRAY.half_x
            assert y + body.half_extent_m < TRAY.half_y
            assert z >= body.half_extent_m - 1e-12
            if body.motion in ("rests", "pushed"):
                corners = corners_m(scene, slot)
                np.testing.assert_allclose(corners[:, 2].min(), 0.0, atol=1e-9)
                assert np.abs(corners[:, 0]).max() < TRAY.half_x
                assert np.abs(corners[:, 1]).max() < TRAY.half_y


def test_motion_and_velocity_agree() -> None:
    rng = np.random.default_rng(3)
    seen = set()
    for body in (b for _ in range(400) for b in sample_scene(rng).bodies):
        velocity = np.array(body.linear_velocity_m_s)
        seen.add((body.motion, body.direction))
        if body.motion in ("rests", "drops", "pushed"):
            assert not velocity.any()
            continue
        assert body.direction is not None
        speed = np.linalg.norm(velocity[:2])
        np.testing.assert_allclose(velocity[:2] / speed, DIRECTIONS[body.direction], atol=1e-9)
        if body.motion == "rolls":
            # Rolling without slipping: the point that touches the table stands still.
            contact = velocity + np.cross(body.angular_velocity_rad_s, (0.0, 0.0, -body.half_extent_m))
            np.testing.assert_allclose(contact, 0.0, atol=1e-12)
            assert body.shape != "box"
    expected = {(m, d) for m in ("flies", "rolls", "pushed") for d in DIRECTIONS}
    assert seen == expected | {("rests", None), ("drops", None)}


def test_rolling_cylinder_lies_across_its_way() -> None:
    for direction, heading in DIRECTIONS.items():
        request = SceneRequest((BodyRequest(shape="cylinder", motion="rolls", direction=direction),))
        scene = sample_scene(np.random.default_rng(0), request)
        _, data = compiled(scene)
        axis = data.geom_xmat[0].reshape(3, 3)[:, 2]
        np.testing.assert_allclose(axis[2], 0.0, atol=1e-12)
        np.testing.assert_allclose(axis[:2] @ heading, 0.0, atol=1e-12)


def test_everything_occurs_and_at_most_one_is_pushed() -> None:
    rng = np.random.default_rng(4)
    scenes = [sample_scene(rng) for _ in range(400)]
    bodies = [body for scene in scenes for body in scene.bodies]
    assert {len(scene.bodies) for scene in scenes} == {1, 2, 3}
    assert {scene.camera for scene in scenes} == set(CAMERAS)
    for name, values in {
        "shape": BODY_SHAPES,
        "colour": COLOURS,
        "material": MATERIAL_TABLE,
        "motion": MOTIONS,
    }.items():
        assert {getattr(body, name) for body in bodies} == set(values)
    for scene in scenes:
        pushed = [k for k, body in enumerate(scene.bodies) if body.motion == "pushed"]
        assert len(pushed) <= 1
        assert (scene.push is None) == (not pushed)
        if scene.push is not None:
            assert scene.push.target == pushed[0]
            assert scene.push.direction == DIRECTIONS[str(scene.bodies[pushed[0]].direction)]
        assert len({body.colour for body in scene.bodies}) == len(scene.bodies)


def test_size_word_is_the_range_it_was_drawn_from() -> None:
    for size, (low, high) in SIZES.items():
        for seed in range(50):
            (body,) = sample_scene(
                np.random.default_rng(seed), SceneRequest((BodyRequest(size=size),))
            ).bodies
            assert body.size_word == size
            assert low <= body.half_extent_m <= high


def test_same_seed_same_scene() -> None:
    first, again, other = (sample_scene(np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_json_round_trip() -> None:
    rng = np.random.default_rng(6)
    scenes = [sample_scene(rng) for _ in range(100)]
    assert any(scene.push for scene in scenes)
    for scene in scenes:
        assert Scene.from_json(json.loads(json.dumps(scene.to_json()))) == scene
        assert Scene.from_json(scene.to_json()) == scene


def test_cameras_look_at_their_target_upright() -> None:
    for name, camera in CAMERAS.items():
        axes = camera.axes
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
        assert math.isclose(np.linalg.det(axes), 1.0)
        assert axes[2, 0] == pytest.approx(0.0)
        assert axes[2, 1] > 0.0
        looking = np.subtract(camera.target_m, camera.position_m)
        np.testing.assert_allclose(-axes[:, 2], looking / np.linalg.norm(looking), atol=1e-12)
        scene = with_camera(sample_scene(np.random.default_rng(0)), name)
        assert scene.camera == name
