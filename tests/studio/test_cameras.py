"""A shot's camera: through its keys, after things, round them, and in a hand that is never still."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orrery.errors import UserError
from orrery.studio.cameras import CameraPath, FilmCamera
from orrery.studio.shots import CameraKey, ShotCamera

POINTS = {"marble": np.array([0.1, 0.2, 0.3])}
STANDING = CameraKey(from_m=(0.0, -1.0, 0.5), look_at=(0.0, 0.0, 0.0), lens_mm=24.0)


def path(*keys: CameraKey, seed: int = 0, before: FilmCamera | None = None, **moves: float) -> CameraPath:
    return CameraPath(ShotCamera(keys=keys, **moves), before, seed)


def gap(camera: FilmCamera) -> float:
    return float(np.linalg.norm(np.subtract(camera.position_m, camera.target_m)))


def test_it_goes_through_its_keys_and_stands_before_and_after() -> None:
    way = path(
        CameraKey(seconds=1, from_m=(0, -1, 0.5), look_at=(0, 0, 0), lens_mm=24),
        CameraKey(seconds=3, from_m=(1, -1, 0.5), look_at=(0.2, 0, 0), lens_mm=96),
    )
    for seconds, position, target, lens in ((0, 0, 0, 24), (1, 0, 0, 24), (3, 1, 0.2, 96), (9, 1, 0.2, 96)):
        camera = way.at(seconds, {})
        assert camera.position_m[0] == pytest.approx(position)
        assert camera.target_m[0] == pytest.approx(target)
        assert camera.lens_mm == pytest.approx(lens)
    assert way.at(2, {}).lens_mm == pytest.approx(48, rel=0.01)  # a zoom is even in the logarithm
    xs = [way.at(t, {}).position_m[0] for t in np.linspace(1, 3, 20)]
    assert (np.diff(xs) > 0).all()


def test_a_lens_sees_as_much_as_optics_say() -> None:
    """24 mm on a sensor 24 mm high: twice the arc tangent of a half."""
    camera = path(STANDING).at(0, {})
    assert camera.camera.field_of_view_rad == pytest.approx(2 * math.atan(0.5))
    assert camera.aperture_m == 0
    assert path(STANDING, CameraKey(seconds=1, f_stop=2.0)).at(1, {}).aperture_m == pytest.approx(0.012)


def test_it_follows_a_thing_and_is_focused_on_it() -> None:
    camera = path(CameraKey(from_m=(0.1, -1.0, 0.3), look_at="marble")).at(0, POINTS)
    assert camera.target_m == pytest.approx((0.1, 0.2, 0.3))
    assert camera.focus_m == pytest.approx(1.2)


def test_focus_is_measured_along_the_axis() -> None:
    keys = CameraKey(from_m=(0, -1, 0), look_at=(0, 0, 0), focus="marble")
    assert path(keys).at(0, POINTS).focus_m == pytest.approx(1.2)


def test_a_focus_pull_goes_from_one_thing_to_another() -> None:
    points = POINTS | {"box": np.array([0.0, 1.0, 0.0])}
    way = path(
        CameraKey(from_m=(0, -1, 0), look_at=(0, 0, 0), focus="marble"), CameraKey(seconds=1, focus="box")
    )
    pulled = [way.at(t, points).focus_m for t in (0, 0.5, 1)]
    assert pulled == pytest.approx([1.2, 1.6, 2.0])


def test_an_orbit_keeps_its_distance_and_turns_anticlockwise() -> None:
    way = path(STANDING, orbit_deg_s=30.0)
    camera = way.at(3.0, {})
    np.testing.assert_allclose(camera.position_m, (1.0, 0.0, 0.5), atol=1e-9)


def test_a_dolly_comes_nearer_and_never_through() -> None:
    way = path(STANDING, dolly_m_s=0.1)
    away = math.hypot(1, 0.5)
    for seconds, distance in ((0, away), (2, away - 0.2), (1000, 0.1)):
        assert gap(way.at(seconds, {})) == pytest.approx(distance)


def test_a_hand_is_never_still_and_as_unsteady_as_said() -> None:
    way = path(STANDING, handheld_deg=1.0, seed=3)
    steady = path(STANDING).at(0, {})
    axis = np.subtract(steady.target_m, steady.position_m)
    angles = []
    for seconds in np.arange(0, 200, 0.1):
        camera = way.at(seconds, {})
        assert camera.position_m == steady.position_m
        off = np.subtract(camera.target_m, camera.position_m)
        angles.append(math.degrees(math.acos(off @ axis / np.linalg.norm(off) / np.linalg.norm(axis))))
    assert np.sqrt(np.square(angles).mean()) == pytest.approx(1.0, rel=0.1)


def test_it_goes_on_from_the_shot_before() -> None:
    before = FilmCamera((1.0, -1.0, 0.5), (0.0, 0.1, 0.0), 50.0, 2.0, 4.0)
    camera = path(CameraKey(look_at="marble"), before=before).at(0, POINTS)
    assert camera.position_m == (1.0, -1.0, 0.5)
    assert camera.lens_mm == pytest.approx(50.0)
    assert camera.f_stop == 4.0
    assert camera.focus_m != 2.0  # it is on what is looked at now


def test_straight_down_has_a_way_up() -> None:
    camera = path(CameraKey(from_m=(0, 0, 1), look_at=(0, 0, 0))).at(0, {})
    assert np.isfinite(camera.camera.axes).all()
    np.testing.assert_allclose(camera.camera.axes[:, 1], (0, 1, 0), atol=2e-3)  # the far side is up


def test_a_camera_in_what_it_looks_at_is_named() -> None:
    with pytest.raises(UserError, match="stands where it looks"):
        path(CameraKey(from_m=(0, 0, 0), look_at=(0, 0, 0))).at(0, {})
