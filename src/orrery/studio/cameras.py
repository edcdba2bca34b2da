"""What a shot's camera is at every instant: keys passed through, things followed, orbits, a hand's unrest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from orrery.errors import UserError, nearest
from orrery.streams import Array
from orrery.studio.shots import CameraKey, ShotCamera
from orrery.worlds.laboratory.orbit import SWAY_HERTZ
from orrery.worlds.rigid_bodies.geometry import Camera, cross

__all__ = ["CameraPath", "FilmCamera", "standing"]

SENSOR_HEIGHT_MM = 24.0
FIRST = CameraKey(from_m=(0.0, -1.25, 0.55), look_at=(0.0, 0.0, 0.05), lens_mm=35.0)
"""Where a camera is that nothing is said of."""
NEAREST_M = 0.05
STEEPEST = 1e-3

Points = Mapping[str, Array]
"""Where things are, `[3]` metres, by name."""


@dataclass(frozen=True)
class FilmCamera:
    """A camera at an instant. focus_m: along its axis; f_stop None: all is sharp. lens_mm: focal length on a
    sensor 24 mm high."""

    position_m: tuple[float, float, float]
    target_m: tuple[float, float, float]
    lens_mm: float
    focus_m: float
    f_stop: float | None = None

    @property
    def camera(self) -> Camera:
        """Without its focus."""
        field_of_view = 2 * math.atan(SENSOR_HEIGHT_MM / 2 / self.lens_mm)
        return Camera(self.position_m, self.target_m, field_of_view)

    @property
    def aperture_m(self) -> float:
        """Diameter of the lens's opening; 0 where all is sharp."""
        return 0.0 if self.f_stop is None else self.lens_mm / 1000 / self.f_stop


class CameraPath:
    """One shot's camera. before: the last of the shot before, which keys go on from. seed: of a hand's
    unrest."""

    def __init__(self, shot_camera: ShotCamera, before: FilmCamera | None, seed: int) -> None:
        self._moves = shot_camera
        first = _key_of(before).model_copy(update={"focus": None}) if before else FIRST
        self._keys = _filled(shot_camera.keys, first)
        seconds = [key.seconds for key in self._keys]
        self._seconds = np.array(seconds)
        self._from = _through(seconds, [key.from_m for key in self._keys])
        self._log_lens = _through(seconds, [math.log(key.lens_mm or 35.0) for key in self._keys])
        self._phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, (2, len(SWAY_HERTZ)))

    def names(self) -> set[str]:
        """Things that it follows or is focused on."""
        return {v for key in self._keys for v in (key.look_at, key.focus) if isinstance(v, str)}

    def check(self, known: list[str]) -> None:
        """UserError for a thing that is not there."""
        for name in sorted(self.names() - set(known)):
            near = nearest(name, known, 1)
            hint = f"perhaps {near[0]!r}" if near else f"there are {', '.join(map(repr, known))}"
            raise UserError(f"the camera looks at {name!r}, and nothing is called so; {hint}")

    def at(self, seconds: float, points: Points) -> FilmCamera:
        """The camera at an instant of its shot. points: where things are then."""
        target = self._blend(seconds, lambda key: _point(key.look_at, points))
        position = np.asarray(self._from(seconds), float)
        position = self._moved(position, target, seconds)
        lens_mm = math.exp(float(self._log_lens(seconds)))
        target = target + self._unrest(position, target, seconds)
        away = target - position
        if np.hypot(away[0], away[1]) < STEEPEST * abs(away[2]):  # straight down: the far side is up
            target = target + np.array([0.0, STEEPEST * abs(away[2]), 0.0])
            away = target - position
        axis = away / np.linalg.norm(away)
        focus = self._blend(seconds, lambda key: np.array(_focus(key, points, position, axis, target)))
        f_stop = self._keys[self._index(seconds)].f_stop
        return FilmCamera(_tuple(position), _tuple(target), lens_mm, max(float(focus), NEAREST_M), f_stop)

    def _index(self, seconds: float) -> int:
        return max(int(np.searchsorted(self._seconds, seconds, side="right")) - 1, 0)

    def _blend(self, seconds: float, value: Callable[[CameraKey], Array]) -> Array:
        """Between what two keys say, starting and ending gently."""
        index = self._index(seconds)
        now = value(self._keys[index])
        if index + 1 == len(self._keys):
            return now
        span = self._seconds[index + 1] - self._seconds[index]
        share = float(np.clip((seconds - self._seconds[index]) / span, 0.0, 1.0))
        share = share * share * (3 - 2 * share)
        return now + share * (value(self._keys[index + 1]) - now)

    def _moved(self, position: Array, target: Array, seconds: float) -> Array:
        away = position - target
        angle = math.radians(self._moves.orbit_deg_s) * seconds
        c, s = math.cos(angle), math.sin(angle)
        away = np.array([c * away[0] - s * away[1], s * away[0] + c * away[1], away[2]])
        distance = float(np.linalg.norm(away))
        if distance < 1e-6:
            raise UserError("the camera stands where it looks; give `from_m` or `look_at` another place")
        wanted = max(distance - self._moves.dolly_m_s * seconds, min(2 * NEAREST_M, distance))
        return target + away * (wanted / distance)

    def _unrest(self, position: Array, target: Array, seconds: float) -> Array:
        """How far what is looked at moves in the picture, for a hand is never still."""
        if not self._moves.handheld_deg:
            return np.zeros(3)
        waves = np.sin(2 * np.pi * np.array(SWAY_HERTZ) * seconds + self._phases).sum(1)
        right, up = _across(position, target)
        size = math.radians(self._moves.handheld_deg) / math.sqrt(len(SWAY_HERTZ))
        return float(np.linalg.norm(target - position)) * size * (waves[0] * right + waves[1] * up)


def standing(camera: FilmCamera) -> ShotCamera:
    """A shot's camera that stands where another ended."""
    return ShotCamera(keys=(_key_of(camera),))


def _key_of(camera: FilmCamera) -> CameraKey:
    return CameraKey(
        from_m=camera.position_m, look_at=camera.target_m, lens_mm=camera.lens_mm, focus=camera.focus_m,
        f_stop=camera.f_stop,
    )  # fmt: skip


def _filled(keys: tuple[CameraKey, ...], before: CameraKey) -> list[CameraKey]:
    """Keys in which nothing is left open: what is not given is as in the key before. A focus that nobody gave
    is on what is looked at."""
    filled: list[CameraKey] = []
    for key in keys:
        given = {name: v for name in CameraKey.model_fields if (v := getattr(key, name)) is not None}
        before = before.model_copy(update=given)
        filled.append(before)
    return filled


def _through(seconds: list[float], values: list) -> Callable[[float], Array]:
    """A smooth way through values that never overshoots them, and stands before and after."""
    if len(seconds) == 1:
        only = np.asarray(values[0], float)
        return lambda _: only
    way = PchipInterpolator(seconds, np.asarray(values, float))
    return lambda now: way(float(np.clip(now, seconds[0], seconds[-1])))


def _point(look_at: tuple[float, float, float] | str | None, points: Points) -> Array:
    return points[look_at] if isinstance(look_at, str) else np.asarray(look_at, float)


def _focus(key: CameraKey, points: Points, position: Array, axis: Array, target: Array) -> float:
    if isinstance(key.focus, float | int):
        return float(key.focus)
    return float((_point(key.focus, points) if key.focus else target) @ axis - position @ axis)


def _across(position: Array, target: Array) -> tuple[Array, Array]:
    """Right and up of a picture, unit."""
    ahead = (target - position) / np.linalg.norm(target - position)
    right = cross(ahead, np.array([0.0, 0.0, 1.0]))
    right /= max(float(np.linalg.norm(right)), 1e-9)
    return right, cross(right, ahead)


def _tuple(vector: Array) -> tuple[float, float, float]:
    return (float(vector[0]), float(vector[1]), float(vector[2]))
