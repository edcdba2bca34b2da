"""A shot's frames at another rate: the world where it was at each instant, not frames mixed or left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from orrery.streams import Array
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene

__all__ = ["Retimed", "first_frames", "num_frames_at", "retimed"]


@dataclass(frozen=True)
class Retimed:
    """A shot at a rate. scenes: one frame of one instant each: frame k shows the end of its time, (k + 1) /
    rate. furthest_seconds: between an instant that was asked for and the one that physics had."""

    frames_per_second: int
    scenes: tuple[MujocoScene, ...]
    furthest_seconds: float


def num_frames_at(num_frames: int, frames_per_second: int, wanted: int) -> int:
    """How long so many frames are at another rate, to the nearest frame, and at least one."""
    return max(1, round(num_frames * wanted / frames_per_second))


def retimed(scenes: Sequence[MujocoScene], frames_per_second: int, wanted: int) -> Retimed:
    """`scenes`, one after the other at `frames_per_second`, at `wanted` frames a second instead; as long, to
    the nearest frame, and at least one.

    Bodies are at the nearest instant that physics had (MuJoCo's scenes have several in a frame); the camera,
    which has one a frame, goes evenly between two. At the same rate all is as it was.
    """
    owners = [(scene, k) for scene in scenes for k in range(len(scene.cameras))]
    instants = scenes[0].positions_m.shape[1]
    cameras = np.array([scene.cameras[k] for scene, k in owners], float)
    subjects = np.array([scene.subjects_m[k] for scene, k in owners], float)
    seconds = len(owners) / frames_per_second
    made: list[MujocoScene] = []
    furthest = 0.0
    for k in range(num_frames_at(len(owners), frames_per_second, wanted)):
        frames = min((k + 1) / wanted, seconds) * frames_per_second
        number = max(round(frames * instants) - 1, 0)
        furthest = max(furthest, abs((number + 1) / instants - frames) / frames_per_second)
        scene, frame = owners[number // instants]
        instant = slice(number % instants, number % instants + 1)
        first, share = _between(frames - 1, len(owners))
        made.append(
            replace(
                scene,
                positions_m=scene.positions_m[frame : frame + 1, instant],
                quaternions=scene.quaternions[frame : frame + 1, instant],
                cameras=_mixed(cameras[first : first + 2], share)[None],
                subjects_m=_between_two(subjects[first : first + 2], share)[None],
                focus_m=_of_frame(scene.focus_m, frame),
                lens_radius_m=_of_frame(scene.lens_radius_m, frame),
            )
        )
    return Retimed(wanted, tuple(made), furthest)


def first_frames(scenes: Sequence[MujocoScene], num_frames: int) -> list[MujocoScene]:
    """Scenes, one after the other, until they have so many frames; the last is cut where it has more."""
    kept: list[MujocoScene] = []
    for scene in scenes:
        left = num_frames - sum(len(one.cameras) for one in kept)
        if left <= 0:
            break
        whole = {
            name: values if values is None else values[:left]
            for name in ("positions_m", "quaternions", "cameras", "subjects_m", "focus_m", "lens_radius_m")
            for values in [getattr(scene, name)]
        }
        kept.append(replace(scene, **whole))
    return kept


def _between(place: float, count: int) -> tuple[int, float]:
    """The frame before a place counted in frames, and how far from it to the next one the place is; a place
    before the first or after the last is beyond that share's [0, 1]."""
    if abs(place - round(place)) < 1e-6 and 0 <= round(place) < count:
        return round(place), 0.0
    first = int(np.clip(np.floor(place), 0, max(count - 2, 0)))
    return first, place - first


def _between_two(values: Array, share: float) -> Array:
    """A share of the way from the first to the second of `[2, n]`, or the one that there is."""
    return values[0] if len(values) == 1 else (1.0 - share) * values[0] + share * values[1]


def _mixed(cameras: Array, share: float) -> Array:
    """A camera between two, `[2, 8]` (or the one that there is): place, turn and field of view."""
    if len(cameras) == 1 or share == 0.0:
        return cameras[0]
    near = cameras.copy()
    near[1, 3:7] *= 1.0 if near[0, 3:7] @ near[1, 3:7] >= 0 else -1.0  # the same turn, the nearer of its two
    mixed = _between_two(near, share)
    mixed[3:7] /= np.linalg.norm(mixed[3:7])
    return mixed


def _of_frame(values: Array | None, frame: int) -> Array | None:
    return None if values is None else values[frame : frame + 1]
