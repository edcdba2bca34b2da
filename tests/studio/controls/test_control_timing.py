"""Shots at other rates: the world at the instants that are asked for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from studio_scenes import INSTANTS, resting_scene

from orrery.studio.controls.timing import first_frames, num_frames_at, retimed
from orrery.worlds.rigid_bodies.bench import camera_pose
from orrery.worlds.rigid_bodies.geometry import Camera
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene

BALL = '<mujoco><worldbody><body><freejoint/><geom size=".1"/></body></worldbody></mujoco>'
SPEED_M_S = 0.8
PAN_RAD_S = 0.5


def moving(num_frames: int, rate: int) -> list[MujocoScene]:
    """One scene a frame: the ball goes along x, the camera pans evenly."""
    still = resting_scene(BALL, {})
    scenes = []
    for k in range(num_frames):
        seconds = (k + (np.arange(INSTANTS) + 1) / INSTANTS) / rate
        positions = still.positions_m.copy()
        positions[0, :, 1, 0] = SPEED_M_S * seconds
        angle = PAN_RAD_S * (k + 1) / rate
        camera = Camera((0.0, -1.0, 0.0), (math.sin(angle), math.cos(angle) - 1.0, 0.0), 0.6)
        scenes.append(replace(still, positions_m=positions, cameras=camera_pose(camera)[None]))
    return scenes


@pytest.mark.parametrize("wanted", [24, 16, 8, 25, 30])
def test_bodies_are_where_they_were_at_each_instant(wanted: int) -> None:
    shot = retimed(moving(48, 24), 24, wanted)
    assert len(shot.scenes) == 2 * wanted
    places = np.array([scene.positions_m[0, 0, 1, 0] for scene in shot.scenes])
    seconds = (np.arange(2 * wanted) + 1) / wanted
    np.testing.assert_allclose(places, SPEED_M_S * seconds, atol=SPEED_M_S * shot.furthest_seconds + 1e-9)
    assert shot.furthest_seconds <= 0.5 / 24 / INSTANTS
    if 24 * INSTANTS % wanted == 0:
        assert shot.furthest_seconds < 1e-9


@pytest.mark.parametrize("wanted", [16, 25])
def test_the_camera_goes_evenly_between_its_frames(wanted: int) -> None:
    shot = retimed(moving(48, 24), 24, wanted)
    for k, scene in enumerate(shot.scenes):
        angle = PAN_RAD_S * (k + 1) / wanted
        target = Camera((0.0, -1.0, 0.0), (math.sin(angle), math.cos(angle) - 1.0, 0.0), 0.6)
        np.testing.assert_allclose(scene.cameras[0], camera_pose(target), atol=2e-5)
        assert np.linalg.norm(scene.cameras[0, 3:7]) == pytest.approx(1.0)


def test_at_its_own_rate_a_shot_is_as_it_was() -> None:
    scenes = moving(5, 24)
    shot = retimed(scenes, 24, 24)
    assert shot.furthest_seconds == 0
    for before, after in zip(scenes, shot.scenes, strict=True):
        np.testing.assert_array_equal(before.positions_m[:, -1:], after.positions_m)
        np.testing.assert_array_equal(before.quaternions[:, -1:], after.quaternions)
        np.testing.assert_array_equal(before.cameras, after.cameras)


def test_a_frame_is_the_least_that_there_is() -> None:
    assert num_frames_at(1, 60, 8) == 1
    assert len(retimed(moving(1, 24), 24, 8).scenes) == 1
    assert num_frames_at(81, 24, 16) == 54


def test_first_frames_are_cut_within_a_tick() -> None:
    """Ticks of two frames, of which three frames are wanted."""
    pair = [
        replace(
            a,
            positions_m=np.concatenate([a.positions_m, b.positions_m]),
            quaternions=np.concatenate([a.quaternions, b.quaternions]),
            cameras=np.concatenate([a.cameras, b.cameras]),
            subjects_m=np.concatenate([a.subjects_m, b.subjects_m]),
        )
        for a, b in zip(moving(4, 24)[::2], moving(4, 24)[1::2], strict=True)
    ]
    kept = first_frames(pair, 3)
    assert [len(scene.cameras) for scene in kept] == [2, 1]
    np.testing.assert_array_equal(kept[1].positions_m, pair[1].positions_m[:1])
    assert [len(scene.cameras) for scene in first_frames(pair, 2)] == [2]
