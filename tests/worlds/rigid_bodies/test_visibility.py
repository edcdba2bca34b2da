"""Which objects the camera can see: hidden ones, ones outside the picture, and the parked finger."""

from __future__ import annotations

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from orrery.streams import Clock  # noqa: E402
from orrery.worlds.rigid_bodies.physics import FINGER_PARKED_M  # noqa: E402
from orrery.worlds.rigid_bodies.visibility import visible_slots  # noqa: E402
from orrery.worlds.tabletop.model import build_model  # noqa: E402
from orrery.worlds.tabletop.scene import CAMERAS, Body, Scene  # noqa: E402

SMALL = Body("ball", "red", "wood", 0.038, (0.0, 0.17, 0.038))
BIG = Body("box", "blue", "wood", 0.06, (0.0, 0.06, 0.06))


def visible(*bodies: Body, camera: str = "front", finger_m: tuple[float, float, float] | None = None) -> list:
    """Whether each body, then the finger, is seen."""
    model = build_model(Scene(bodies), Clock())
    data = mujoco.MjData(model)
    if finger_m is not None:
        data.qpos[-3:] = np.subtract(finger_m, FINGER_PARKED_M)
    mujoco.mj_forward(model, data)
    return visible_slots(model, data, CAMERAS[camera]).tolist()


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("shape", ["ball", "box", "cylinder"])
def test_what_stands_alone_is_seen_and_an_idle_finger_is_not(camera: str, shape: str) -> None:
    for x in (-0.3, 0.0, 0.3):
        assert visible(Body(shape, "red", "wood", 0.04, (x, 0.0, 0.04)), camera=camera) == [1.0, 0.0]


def test_hidden_behind_a_big_body() -> None:
    assert visible(SMALL, BIG) == [0.0, 1.0, 0.0]
    assert visible(BIG, SMALL) == [1.0, 0.0, 0.0]


def test_the_same_body_shows_beside_over_and_from_the_side() -> None:
    beside = Body("ball", "red", "wood", 0.038, (0.15, 0.17, 0.038))
    over = Body("ball", "red", "wood", 0.038, (0.0, 0.17, 0.25))
    assert visible(beside, BIG)[0] == 1.0
    assert visible(over, BIG)[0] == 1.0
    assert visible(SMALL, BIG, camera="left")[0] == 1.0


def test_half_hidden_is_still_seen() -> None:
    shifted = Body("box", "blue", "wood", 0.06, (0.06, 0.06, 0.06))
    assert visible(SMALL, shifted)[0] == 1.0


@pytest.mark.parametrize("place", [(1.5, 0.0, 0.04), (-1.5, 0.0, 0.04), (0.0, 0.0, 1.0), (0.0, -2.0, 0.5)])
def test_outside_the_picture_or_behind_the_camera_is_not_seen(place: tuple[float, float, float]) -> None:
    assert visible(Body("ball", "red", "wood", 0.04, place))[0] == 0.0


def test_the_edge_of_the_picture() -> None:
    """A centre just outside is seen by the part that reaches in; a little further out it is not."""
    camera = CAMERAS["front"]
    right, _, backward = camera.axes.T
    edge = np.tan(camera.field_of_view_rad / 2)

    def at(sideways: float) -> tuple[float, float, float]:
        x, y, z = np.array(camera.position_m) - backward + right * (edge + sideways)
        return (float(x), float(y), float(z))

    assert visible(Body("ball", "red", "wood", 0.05, at(+0.02)))[0] == 1.0
    assert visible(Body("ball", "red", "wood", 0.05, at(+0.06)))[0] == 0.0


def test_a_lowered_finger_is_seen_and_hides() -> None:
    assert visible(finger_m=(0.0, 0.0, 0.09)) == [1.0]
    behind = Body("box", "red", "wood", 0.01, (0.0, 0.06, 0.01))
    assert visible(behind, finger_m=(0.0, 0.0, 0.09)) == [0.0, 1.0]
