"""What pixels are of, against closed forms: depth, instances, flow and lines."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from studio_scenes import resting_scene

from orrery.streams import Array
from orrery.studio.controls.camera import camera_path, pixels_of
from orrery.studio.controls.edges import edges
from orrery.studio.controls.geometry import BACKGROUND, GeometryPass, Seen
from orrery.studio.controls.timing import retimed
from orrery.worlds.rigid_bodies.bench import camera_pose
from orrery.worlds.rigid_bodies.geometry import Camera
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene

SIZE = (80, 48)
EYE = (0.0, -1.0, 0.0)
MIDDLE = (0.0, 0.0, 0.0)
FIELD = 40.0
BALL = '<body name="ball"><freejoint/><geom type="sphere" size=".2"/></body>'
WALL = '<body name="wall" pos="0 .5 0"><freejoint/><geom type="box" size="2 .1 2"/></body>'
BEHIND = '<body pos="0 -3 0"><geom type="sphere" size=".2"/></body>'


def frame(body: str, eye_m: tuple[float, float, float] = EYE, field: float = FIELD) -> MujocoScene:
    xml = f"<mujoco><worldbody>{body}</worldbody></mujoco>"
    scene = resting_scene(xml, {}, eye_m, MIDDLE, field)
    return retimed([scene], 24, 24).scenes[0]


def moved(scene: MujocoScene, body: int, by_m: tuple[float, float, float]) -> MujocoScene:
    positions = scene.positions_m.copy()
    positions[:, :, body] += by_m
    return replace(scene, positions_m=positions)


def seen_from(scene: MujocoScene, eye_m: Array, target_m: Array) -> MujocoScene:
    pose = camera_pose(Camera(tuple(eye_m), tuple(target_m), math.radians(FIELD)))
    return replace(scene, cameras=pose[None])


def traced(scene: MujocoScene, after: MujocoScene | None = None) -> Seen:
    return GeometryPass(SIZE).trace(scene, after)


def rays() -> Array:
    """Of the camera at EYE that looks along y, `[H, W, 3]` (right, away, up), 1 away."""
    half = math.tan(math.radians(FIELD) / 2) / SIZE[1]
    x = (2 * np.arange(SIZE[0]) + 1 - SIZE[0]) * half
    z = (SIZE[1] - 2 * np.arange(SIZE[1]) - 1) * half
    return np.stack(np.broadcast_arrays(x[None], 1.0, z[:, None]), -1)


def test_a_balls_depth_is_where_rays_meet_it() -> None:
    seen, way = traced(frame(BALL)), rays()
    a, b = (way * way).sum(-1), way[..., 1]  # the ball is 1 m away: a t^2 - 2 b t + 1 - r^2 = 0
    left = b * b - a * (1 - 0.2**2)
    met = left > 0
    np.testing.assert_array_equal(seen.instance, np.where(met, 2, BACKGROUND))
    np.testing.assert_allclose(seen.depth_m[met], ((b - np.sqrt(left.clip(0))) / a)[met], rtol=2e-5)
    assert np.isinf(seen.depth_m[~met]).all()
    assert 200 < met.sum() < 600


def test_a_walls_depth_is_the_same_all_over() -> None:
    seen = traced(frame(WALL))
    np.testing.assert_allclose(seen.depth_m, 1.4, rtol=1e-6)
    np.testing.assert_allclose(seen.facing, np.broadcast_to([0, -1, 0], seen.facing.shape), atol=1e-6)


def test_each_pixel_is_of_the_thing_that_is_nearest_there() -> None:
    """Segmentation against depth: three things traced alone, and together."""
    geoms = {
        "ball": 'type="sphere" size=".16" pos="-.1 0 0"',
        "brick": 'type="box" size=".1 .2 .1" pos=".12 -.2 .02" euler="20 10 30"',
        "can": 'type="cylinder" size=".1 .2" pos=".1 .3 .1" euler="70 0 40"',
    }
    body = "".join(f'<body name="{k}"><freejoint/><geom name="{k}" {v}/></body>' for k, v in geoms.items())
    scene = frame(body)
    alone = [traced(replace(scene, hidden=frozenset(set(geoms) - {name}))).depth_m for name in geoms]
    together = traced(scene)
    np.testing.assert_array_equal(together.depth_m, np.min(alone, axis=0))
    nearest = np.where(np.isinf(together.depth_m), BACKGROUND, 2 + np.argmin(alone, axis=0))
    np.testing.assert_array_equal(together.instance, nearest)
    assert set(np.unique(together.instance)) == {0, 2, 3, 4}


def test_what_moves_across_flows_by_its_way_over_its_depth() -> None:
    scene = frame(WALL)
    flow = traced(scene, moved(scene, 1, (0.03, 0.0, -0.02))).flow_px
    assert flow is not None
    focal = SIZE[1] / 2 / math.tan(math.radians(FIELD) / 2)
    expected = np.broadcast_to([focal * 0.03 / 1.4, focal * 0.02 / 1.4], flow.shape)
    np.testing.assert_allclose(flow, expected, atol=1e-3)


def test_what_comes_nearer_flows_outwards_in_proportion() -> None:
    scene = frame(WALL)
    flow = traced(scene, moved(scene, 1, (0.0, -0.4, 0.0))).flow_px
    assert flow is not None
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    from_middle = np.stack([x - SIZE[0] / 2, y - SIZE[1] / 2], -1)
    np.testing.assert_allclose(flow, from_middle * (1.4 / 1.0 - 1.0), atol=2e-3)


@pytest.mark.parametrize("body", [WALL, BEHIND], ids=["wall", "nothing ahead"])
def test_a_camera_that_turns_moves_all_by_one_homography(body: str) -> None:
    """Flow of a turn about the camera's own place knows no depth: K R K^-1, infinitely far too."""
    scene = frame(body)
    angle = math.radians(3.0)
    target = np.add(EYE, (math.sin(angle), math.cos(angle), 0.05))
    after = seen_from(scene, np.array(EYE), target)
    flow = traced(scene, after).flow_px
    assert flow is not None
    one, two = (camera_path([s], SIZE) for s in (scene, after))
    fx, fy, cx, cy = one["intrinsics"][0]
    k = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    turn = np.array(two["camera_to_world"][0])[:3, :3].T @ np.array(one["camera_to_world"][0])[:3, :3]
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    there = np.stack([x, y, np.ones_like(x)], -1) @ (k @ turn @ np.linalg.inv(k)).T
    np.testing.assert_allclose(flow, there[..., :2] / there[..., 2:] - np.stack([x, y], -1), atol=2e-3)
    assert np.abs(flow).max() > 2


def test_what_is_behind_the_camera_in_the_next_frame_has_no_flow() -> None:
    scene = frame(WALL)
    flow = traced(scene, seen_from(scene, np.array(EYE), np.array([0.0, -2.0, 0.0]))).flow_px
    assert flow is not None
    assert np.isnan(flow).all()


def test_a_ball_that_turns_on_the_spot_flows_with_its_surface() -> None:
    """The point in front of a ball that turns about the vertical by 0.1 moves by 0.1 radii."""
    scene = frame(BALL)
    turned = scene.quaternions.copy()
    turned[:, :, 1] = [math.cos(0.05), 0, 0, math.sin(0.05)]
    flow = traced(scene, replace(scene, quaternions=turned)).flow_px
    assert flow is not None
    focal = SIZE[1] / 2 / math.tan(math.radians(FIELD) / 2)
    near = 1 - 0.2 * math.cos(0.1)
    middle = flow[SIZE[1] // 2 - 1 : SIZE[1] // 2 + 1, SIZE[0] // 2 - 1 : SIZE[0] // 2 + 1].mean((0, 1))
    np.testing.assert_allclose(middle, [focal * 0.2 * math.sin(0.1) / near, 0.0], atol=0.01)


def test_lines_of_a_box_are_its_outline_and_of_a_ball_its_limb() -> None:
    """Face to face a box is one square; each line is a pixel wide and there is none within."""
    box = '<body name="b"><freejoint/><geom type="box" size=".2 .2 .2"/></body>'
    for body in (box, BALL):
        seen = traced(frame(body))
        lines, mask = edges(seen), seen.instance == 2
        differs = np.zeros_like(mask)
        differs[:-1] |= mask[:-1] != mask[1:]
        differs[:, :-1] |= mask[:, :-1] != mask[:, 1:]
        np.testing.assert_array_equal(lines, differs)


def test_a_boxs_edge_is_a_line_where_its_faces_meet() -> None:
    """Turned by 45 degrees, the vertical edge in front is a line down the middle, in spite of its bevel."""
    box = '<body name="b"><freejoint/><geom type="box" size=".2 .2 .2" euler="0 0 45"/></body>'
    lines = edges(traced(frame(box)))
    row = np.flatnonzero(lines[SIZE[1] // 2])
    assert len(row) == 3
    assert abs(row[1] - (SIZE[0] / 2 - 0.5)) <= 1
    assert row[0] + row[2] == pytest.approx(2 * row[1], abs=1)


def test_things_of_one_instance_have_a_line_where_one_hides_the_other() -> None:
    """Two plates of one body, parallel, one behind the other: neither instance nor face differs."""
    plates = (
        '<body name="b"><freejoint/><geom type="box" size=".05 .01 .4" pos="0 -.3 0"/>'
        '<geom type="box" size=".4 .01 .4"/></body>'
    )
    seen = traced(frame(plates))
    row = SIZE[1] // 2
    with np.errstate(invalid="ignore"):  # beside them is nothing
        steps = np.abs(np.diff(seen.depth_m[row]))
    inner = np.flatnonzero((steps > 0.2) & (steps < 1))
    assert len(inner) == 2
    assert edges(seen)[row, inner].all()


def test_points_of_the_path_project_where_they_are_seen() -> None:
    """The JSON's matrices put a ball's middle where it is drawn."""
    scene = moved(frame(BALL, eye_m=(0.4, -1.0, 0.5)), 1, (0.06, 0.1, -0.05))
    seen = traced(scene)
    path = camera_path([scene], SIZE)
    matrix, (fx, fy, cx, cy) = np.array(path["camera_to_world"][0]), path["intrinsics"][0]
    x, y, z, _ = np.linalg.inv(matrix) @ [0.06, 0.1, -0.05, 1.0]
    place = np.array([cx + fx * x / z, cy + fy * y / z])
    rows, columns = np.nonzero(seen.instance == 2)
    np.testing.assert_allclose([columns.mean() + 0.5, rows.mean() + 0.5], place, atol=0.7)
    projected = pixels_of(np.array([0.06, 0.1, -0.05]), scene.cameras[0], SIZE)
    np.testing.assert_allclose(projected, [*place, z], rtol=1e-6)
