"""Boxes of things against projected extents and against what is seen."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from studio_scenes import resting_scene, write_ball

from orrery.streams import Array
from orrery.studio.controls.camera import pixels_of
from orrery.studio.controls.geometry import GeometryPass
from orrery.studio.controls.timing import retimed
from orrery.studio.controls.tracks import Tracks, whole_boxes
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene

SIZE = (320, 240)
SHAPES = {
    "sphere": 'type="sphere" size=".1"',
    "ellipsoid": 'type="ellipsoid" size=".12 .08 .05"',
    "box": 'type="box" size=".1 .06 .04"',
    "cylinder": 'type="cylinder" size=".06 .1"',
    "capsule": 'type="capsule" size=".05 .08"',
    "mesh": 'type="mesh" mesh="m"',
}


def frame(body: str, assets: str = "", eye_m: tuple[float, float, float] = (0.3, -0.7, 0.5)) -> MujocoScene:
    xml = f"<mujoco><asset>{assets}</asset><worldbody>{body}</worldbody></mujoco>"
    return retimed([resting_scene(xml, {}, eye_m, (0.0, 0.0, 0.0), 40.0)], 24, 24).scenes[0]


def body(geom: str, where: str = "") -> str:
    return f"<body {where}><freejoint/><geom {geom}/></body>"


def seen_box(instance: Array, k: int) -> list[int]:
    rows, columns = np.nonzero(instance == k)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_box_holds_all_that_is_seen_and_no_more(shape: str, tmp_path: Path) -> None:
    """Pixels are seen where their middles are, so a seen box falls short of the whole one by less than 1."""
    assets = f'<mesh name="m" file="{write_ball(tmp_path / "m.obj", 0.1)}"/>' if shape == "mesh" else ""
    scene = frame(body(SHAPES[shape], 'pos=".07 .05 .02" euler="20 35 50"'), assets)
    box = whole_boxes(scene, SIZE)[1]
    assert box is not None
    seen = seen_box(GeometryPass(SIZE).trace(scene).instance, 2)
    gap = (np.array(seen) - box) * (1, 1, -1, -1)
    assert (gap > -0.51).all(), gap
    assert (gap < 1.0).all(), gap


def test_a_balls_box_is_that_of_its_cone_of_tangents() -> None:
    """A ball aside of the axis: its edges are at the angle to its middle plus and minus asin(r / d)."""
    scene = frame(body('type="sphere" size=".1"', 'pos=".2 0 0"'), eye_m=(0.0, -1.0, 0.0))
    box = whole_boxes(scene, SIZE)[1]
    assert box is not None
    to, spread = math.atan2(0.2, 1.0), math.asin(0.1 / math.hypot(0.2, 1.0))
    focal = SIZE[1] / 2 / math.tan(math.radians(20.0))
    expected = [SIZE[0] / 2 + focal * math.tan(to - spread), SIZE[0] / 2 + focal * math.tan(to + spread)]
    np.testing.assert_allclose(box[[0, 2]], expected, atol=1e-3)


def test_a_boxs_box_is_that_of_its_corners_less_their_rounding() -> None:
    scene = frame(body('type="box" size=".1 .06 .04"', 'euler="10 20 30"'))
    box = whole_boxes(scene, SIZE)[1]
    assert box is not None
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    turn = scene.quaternions[0, 0, 1]
    w, x, y, z = turn
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    corners = pixels_of((signs * (0.1, 0.06, 0.04)) @ matrix.T, scene.cameras[0], SIZE)[:, :2]
    gap = (box - np.concatenate([corners.min(0), corners.max(0)])) * (1, 1, -1, -1)
    assert (gap >= 0).all()
    assert (gap < 1.5).all()  # an edge is rounded by 4 mm at most, a pixel is 2.6 mm there


def test_what_is_hidden_has_its_whole_box_and_less_that_is_seen() -> None:
    """A plate hides the lower half of a ball."""
    ball = body('type="sphere" size=".1"')
    plate = body('type="box" size=".3 .01 .1"', 'pos="0 -.3 -.1"')
    scene = frame(ball + plate, eye_m=(0.0, -1.0, 0.0))
    tracks = Tracks({2: "ball", 3: "plate"}, SIZE)
    seen = GeometryPass(SIZE).trace(scene)
    tracks.add(seen)
    thing = tracks.values()[0]
    assert thing["name"] == "ball"
    whole, part = thing["box_px"][0], thing["seen_box_px"][0]
    assert part[3] < whole[3] - 15
    assert part[:3] == pytest.approx(whole[:3], abs=1.0)
    assert thing["seen_pixels"][0] == (seen.instance == 2).sum()
    assert thing["centre_px"][0] == pytest.approx([SIZE[0] / 2, SIZE[1] / 2], abs=1e-3)
    assert thing["depth_m"][0] == pytest.approx(1.0)


def test_what_is_behind_the_camera_or_outside_is_said_to_be_so() -> None:
    behind = body('type="sphere" size=".1"', 'pos="0 -3 0"')
    aside = body('type="sphere" size=".1"', 'pos="3 0 0"')
    scene = frame(behind + aside, eye_m=(0.0, -1.0, 0.0))
    tracks = Tracks({2: "behind", 3: "aside"}, SIZE)
    tracks.add(GeometryPass(SIZE).trace(scene))
    first, second = tracks.values()
    assert first["box_px"] == first["centre_px"] == first["depth_m"] == first["seen_box_px"] == [None]
    assert second["seen_box_px"] == [None]
    assert second["box_px"][0][0] > SIZE[0]
