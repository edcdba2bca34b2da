"""Where things are in a picture, against closed forms: a pinhole's, and boxes round many surface points."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from orrery.streams import Array
from orrery.worlds.rigid_bodies.geometry import Camera
from orrery.worlds.rigid_bodies.state import SHAPES, STATE, StateLayout
from orrery.worlds.rigid_bodies.tracks import NEAREST_M, TRACK_NUMBERS, tracks_of

AHEAD = Camera((0.0, -1.0, 0.0), (0.0, 0.0, 0.0), math.radians(90.0))
"""Looks along y from one metre away: at the world's origin, half a picture is one metre."""
DOWN = Camera((0.3, -0.6, 0.7), (0.0, 0.1, 0.0), math.radians(40.0))
SIZE = {
    "ball": (0.05, 0.05, 0.05),
    "box": (0.05, 0.04, 0.07),
    "cylinder": (0.04, 0.04, 0.06),
    "finger": (0.02, 0.02, 0.1),
}


def thing(
    shape: str, position_m: tuple[float, ...], turned: Rotation | None = None, layout: StateLayout = STATE
) -> Array:
    """A state `[1, D]` of one thing that is there."""
    state = np.zeros((1, layout.width))
    state[:, layout.slice("present")] = 1.0
    state[:, layout.slice("position")] = position_m
    state[:, layout.slice("size")] = SIZE[shape]
    state[:, layout.slice("shape")] = np.eye(len(SHAPES))[SHAPES.index(shape)]
    turned = turned or Rotation.identity()
    if layout.rotation == "quaternion":
        state[:, layout.slice("quaternion")] = turned.as_quat(scalar_first=True)
    else:
        state[:, layout.slice("axes")] = turned.as_matrix()[:, :2].T.ravel()
    return state


def surface(shape: str) -> Array:
    """Many points of a thing's surface in its own axes, `[n, 3]`."""
    r, _, h = SIZE[shape]
    round_about = Rotation.random(40_000, random_state=1).apply([0.0, 0.0, 1.0])
    if shape == "ball":
        return r * round_about
    if shape == "box":
        return np.array(SIZE[shape]) * (np.mgrid[0:2, 0:2, 0:2].reshape(3, -1).T * 2 - 1)
    if shape == "finger":
        return r * round_about + [0, 0, h] * np.sign(round_about)
    angle = np.linspace(0, 2 * np.pi, 2000)
    rim = np.stack([r * np.cos(angle), r * np.sin(angle), np.full(2000, h)], -1)
    return np.concatenate([rim, rim * [1, 1, -1]])


def in_picture(points: Array, camera: Camera) -> Array:
    """u and v of points `[n, 3]`, by a pinhole."""
    right, up, backward = ((points - camera.position_m) @ camera.axes).T
    edge = np.tan(camera.field_of_view_rad / 2)
    return np.stack([0.5 - right / backward / edge / 2, 0.5 + up / backward / edge / 2], -1)


def test_a_ball_by_hand() -> None:
    """Half a metre right and a quarter up, seen from one metre: a quarter picture right, an eighth up."""
    track = tracks_of(thing("ball", (0.5, 0.0, 0.25)), STATE, AHEAD)[0]
    assert track[[0, 1, 4]] == pytest.approx([0.75, 0.375, 1.0])
    for size, offset_m in ((track[2], 0.5), (track[3], 0.25)):  # between two tangents, in one plane
        middle, half = math.atan(offset_m), math.asin(0.05 / math.hypot(offset_m, 1.0))
        assert size == pytest.approx((math.tan(middle + half) - math.tan(middle - half)) / 2, rel=1e-4)
    assert track[5:11] == pytest.approx([1, 0, 0, 0, 0, -1])  # x is right; y goes away from the camera
    assert track[11:].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rotation", ["quaternion", "axes"])
def test_every_shape_fills_its_box(shape: str, seed: int, rotation: Literal["quaternion", "axes"]) -> None:
    layout = StateLayout(rotation=rotation)
    turned, place = Rotation.random(random_state=seed), np.random.default_rng(seed).uniform(-0.2, 0.2, 3)
    track = tracks_of(thing(shape, tuple(place), turned, layout), layout, DOWN)[0]
    seen = in_picture(turned.apply(surface(shape)) + place, DOWN)
    np.testing.assert_allclose(track[:2], in_picture(place[None], DOWN)[0], atol=1e-6)
    np.testing.assert_allclose(track[2:4], np.ptp(seen, axis=0), atol=5e-4)
    columns = (DOWN.axes.T @ turned.as_matrix())[:, :2]  # of the rotation from the thing to the camera
    np.testing.assert_allclose(track[5:11].reshape(2, 3).T, columns, atol=1e-6)


def test_what_is_absent_is_zero() -> None:
    state = thing("box", (0.1, 0.0, 0.0))
    state[:, STATE.slice("present")] = 0.0
    assert tracks_of(state, STATE, DOWN).tolist() == [[0.0] * TRACK_NUMBERS]


@pytest.mark.parametrize("y", [-1.0, -1.0 + NEAREST_M / 2, -1.4, -50.0])
def test_what_is_at_or_behind_the_camera_has_no_size_and_a_finite_place(y: float) -> None:
    for shape in SHAPES:
        track = tracks_of(thing(shape, (0.3, y, -0.3)), STATE, AHEAD)[0]
        assert np.isfinite(track).all()
        assert track[:5] == pytest.approx([2.0, 2.0, 0.0, 0.0, NEAREST_M])  # below, on the right
