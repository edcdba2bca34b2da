"""The path tracer against closed forms: energy, form factors, shadows by geometry, the circle of
confusion."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from studio_scenes import resting_scene

from orrery.streams import Array
from orrery.studio.lights import AreaLight, LightRig
from orrery.studio.soft import SoftLook, SoftSettings
from orrery.worlds.rigid_bodies.geometry import rotate
from orrery.worlds.rigid_bodies.mujoco_scene import GeomLook, MujocoScene

WHITE = (1.0, 1.0, 1.0)
NO_LIGHT = (0.0, 0.0, 0.0)
FURNACE = LightRig((), above=WHITE, level=WHITE, below=WHITE, brightest=1e9)
SHAPES = {
    "sphere": '<geom name="it" type="sphere" size=".1"/>',
    "ellipsoid": '<geom name="it" type="ellipsoid" size=".12 .08 .06" euler="10 20 30"/>',
    "box": '<geom name="it" type="box" size=".09 .07 .05" euler="10 20 30"/>',
    "cylinder": '<geom name="it" type="cylinder" size=".06 .08" euler="40 20 30"/>',
    "capsule": '<geom name="it" type="capsule" size=".05 .06" euler="40 20 30"/>',
}


def _scene(body: str, looks: dict[str, GeomLook], **where: Any) -> MujocoScene:
    return resting_scene(f"<mujoco><worldbody>{body}</worldbody></mujoco>", looks, **where)


@lru_cache
def _look(
    size: tuple[int, int], samples: int, rig: LightRig, aperture: float = 0.0, bounces: int = 1
) -> SoftLook:
    return SoftLook(SoftSettings(size, samples, aperture=aperture, bounces=bounces), rig)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_white_convex_body_is_not_to_be_seen_in_a_white_furnace(shape: str) -> None:
    """Light from everywhere is 1, so what reflects all of it is as bright as what is behind it."""
    scene = _scene(SHAPES[shape], {"it": GeomLook("paper", WHITE)}, subject_m=(0.0, 0.0, 0.0))
    light = _look((48, 48), 16, FURNACE).trace(scene).light
    np.testing.assert_allclose(light, 1.0, atol=2e-3)


@pytest.mark.parametrize("material", ["plastic", "steel", "rubber", "glass", "ceramic"])
def test_no_material_makes_light(material: str) -> None:
    """A smooth white body gives back 90 % or more of a furnace, and never more than all of it."""
    look = _look((48, 48), 64, FURNACE, 0.0, 4)
    scene = _scene(SHAPES["sphere"], {"it": GeomLook(material, WHITE)}, subject_m=(0.0, 0.0, 0.0))
    traced = look.trace(scene)
    on_it = np.linalg.norm(traced.light - 1.0, axis=-1) > 0
    assert on_it.sum() > 300
    assert traced.light[8:40, 8:40].mean() < 1.01
    assert traced.light[on_it].mean() > 0.9


def _rectangle_form_factor(x: Array, y: Array, half: float, height: float) -> Array:
    """Share of a floor point's sky that a square above takes, weighted by the cosine: Lambert's sum over the
    edges of the angle that an edge takes times how far it is turned up."""
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    to = np.stack([np.stack([cx - x, cy - y, np.full_like(x, height)], axis=-1) for cx, cy in corners])
    to /= np.linalg.norm(to, axis=-1, keepdims=True)
    total = np.zeros_like(x)
    for a, b in zip(to, np.roll(to, -1, axis=0), strict=True):
        across = np.cross(a, b)
        angle = np.arccos(np.clip((a * b).sum(axis=-1), -1.0, 1.0))
        total += angle * across[..., 2] / np.linalg.norm(across, axis=-1)
    return np.abs(total) / (2.0 * math.pi)


def _floor_points(scene: MujocoScene, size: tuple[int, int]) -> tuple[Array, Array]:
    """Where the ray through the middle of each pixel meets the floor (z = 0), x and y `[H, W]`."""
    pose = scene.cameras[0].astype(float)
    half = math.tan(pose[7] / 2) / min(size)
    column, row = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    local = np.stack(
        [half * (2 * column + 1 - size[0]), half * (size[1] - 2 * row - 1), -np.ones_like(column)], axis=-1
    )
    way = rotate(np.broadcast_to(pose[3:7], (*local.shape[:2], 4)), local)
    met = pose[:3] - way * (pose[2] / way[..., 2:])
    return met[..., 0], met[..., 1]


def test_a_floor_under_an_area_light_has_the_light_of_its_form_factor() -> None:
    """Radiance of a diffuse floor: albedo times the lamp's radiance times the form factor."""
    lamp = AreaLight(0.0, 90.0, 0.5, 0.5, 0.5, (4.0, 4.0, 4.0))
    rig = LightRig((lamp,), NO_LIGHT, NO_LIGHT, brightest=1e9)
    # The lamp is half as high as the camera, which sees through its dark side.
    scene = _scene(
        '<geom name="floor" type="plane" size="0 0 .1"/>', {"floor": GeomLook("paper", WHITE)},
        eye_m=(0.0, -1e-4, 1.0), subject_m=(0.0, 0.0, 0.0), field_of_view=80.0,
    )  # fmt: skip
    size = (64, 64)
    look = _look(size, 64, rig, 0.0, 0)
    light = look.trace(scene).light[..., 0]
    x, y = _floor_points(scene, size)
    expected = 4.0 * _rectangle_form_factor(x, y, 0.25, 0.5)
    np.testing.assert_allclose(light.mean(), expected.mean(), rtol=0.01)
    np.testing.assert_allclose(light, expected, rtol=0.12, atol=0.01)


def test_a_shadow_ends_where_geometry_says() -> None:
    """A small lamp above the edge of a board: shadow on one side, light on the other, and half of the lamp in
    sight where the line from its middle over the edge meets the floor."""
    eye, subject, board_edge = (0.4, 0.0, 1.0), (-0.12, 0.0, 0.0), -0.1
    unit = math.dist(eye, subject)
    lamp = AreaLight(0.0, 90.0, 1.0 / unit, 0.02, 0.02, (400.0, 400.0, 400.0))
    rig = LightRig((lamp,), NO_LIGHT, NO_LIGHT, brightest=1e9)
    scene = _scene(
        '<geom name="floor" type="plane" size="0 0 .1"/>'
        f'<geom name="board" type="box" size=".2 .4 .0005" pos="{board_edge - 0.2} 0 .2"/>',
        {"floor": GeomLook("paper", WHITE), "board": GeomLook("paper", WHITE)},
        eye_m=eye, subject_m=subject, field_of_view=1.0,
    )  # fmt: skip
    size = (8, 128)
    light = _look(size, 64, rig, 0.0, 0).trace(scene).light[:, 4, 0]
    x = _floor_points(scene, size)[0][:, 4]
    edge = subject[0] + (board_edge - subject[0]) / (1.0 - 0.2)
    near = np.abs(x - edge) < 0.05
    order = np.argsort(light[near])
    half_lit = np.interp(0.5 * light[near].max(), light[near][order], x[near][order])
    assert half_lit == pytest.approx(edge, abs=1.5 * abs(x[1] - x[0]))
    assert light[near & (x < edge - 0.01)].max() < 1e-6
    assert light[near & (x > edge + 0.01)].min() > 0.9 * light[near].max()


def test_what_is_out_of_focus_has_the_circle_of_confusion() -> None:
    """A white disc far smaller than its blur: the spot's radius is the lens's times (1 - focus / distance),
    as seen at the focus."""
    aperture, focus, distance = 0.02, 1.0, 2.0
    scene = _scene(
        '<geom name="dot" type="sphere" size=".004" pos="0 1 0"/>', {"dot": GeomLook("paper", WHITE)},
        eye_m=(0.0, -1.0, 0.0), subject_m=(0.0, 0.0, 0.0), field_of_view=6.0,
    )  # fmt: skip
    rig = replace(FURNACE, above=NO_LIGHT, level=NO_LIGHT, below=NO_LIGHT)
    size = (96, 96)
    weight = _look(size, 256, rig, aperture).trace(scene).colour[..., 0]  # black where nothing is
    assert weight.sum() > 0
    column, row = np.meshgrid(np.arange(96) - 47.5, np.arange(96) - 47.5)
    pixel_m = 2 * focus * math.tan(math.radians(3.0)) / 96
    # Of an even disc, the mean square of the distance from its middle is half of its radius squared.
    radius = math.sqrt(2.0 * (weight * (column**2 + row**2)).sum() / weight.sum()) * pixel_m
    assert radius == pytest.approx(aperture * (1 - focus / distance), rel=0.05)


def test_colours_are_shown_as_they_were_asked_for() -> None:
    """In even light of 1, paper of sRGB (200, 120, 40) is those bytes, within the grain."""
    from orrery.studio.tone import picture_bytes

    colour = (200 / 255, 120 / 255, 40 / 255)
    scene = _scene(SHAPES["sphere"], {"it": GeomLook("paper", colour)}, subject_m=(0.0, 0.0, 0.0))
    picture = picture_bytes(_look((48, 48), 16, FURNACE).trace(scene).light)
    assert np.abs(picture[20:28, 20:28].astype(int) - (200, 120, 40)).max() <= 2
