"""The laboratory's camera: on a sphere about the table, moved by three rates of the action.

Whatever the camera does is an action: rates of azimuth and elevation (rad/s) and of distance (m/s), held for
a frame. A scene's own script orbits, dollies, sways as in a hand, or turns as a player's keys would turn it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orrery.streams import Array
from orrery.worlds.laboratory.scene import Orbit
from orrery.worlds.rigid_bodies.geometry import Camera

__all__ = ["DISTANCES_M", "ELEVATIONS_RAD", "SWAY_HERTZ", "OrbitCamera", "scripted_rates"]

ELEVATIONS_RAD = (math.radians(12.0), math.radians(70.0))
DISTANCES_M = (0.8, 1.7)
_KEY_SECONDS = 0.5
SWAY_HERTZ = (0.35, 0.6, 0.95, 1.5)
"""Of the sines that a hand's unrest is made of."""


@dataclass(frozen=True)
class OrbitCamera:
    """Where the camera is: angles about the target, and its distance."""

    azimuth_rad: float
    elevation_rad: float
    distance_m: float
    orbit: Orbit

    @classmethod
    def start(cls, orbit: Orbit) -> OrbitCamera:
        return cls(orbit.azimuth_rad, orbit.elevation_rad, orbit.distance_m, orbit)

    def moved(self, rates: Array, seconds: float) -> OrbitCamera:
        """After `seconds` at `rates` `[3]`; it stops at the borders of elevation and distance."""
        azimuth, elevation, distance = (float(rate) * seconds for rate in rates)
        pose = (
            self.azimuth_rad + azimuth,
            _within(ELEVATIONS_RAD, self.elevation_rad + elevation),
            _within(DISTANCES_M, self.distance_m + distance),
        )
        if pose == (self.azimuth_rad, self.elevation_rad, self.distance_m):
            return self  # and all that is known of how it looks
        return OrbitCamera(*pose, self.orbit)

    @cached_property
    def camera(self) -> Camera:
        """As a standing camera of this instant."""
        level, height = math.cos(self.elevation_rad), math.sin(self.elevation_rad)
        out = (level * math.cos(self.azimuth_rad), level * math.sin(self.azimuth_rad), height)
        x, y, z = (at + self.distance_m * way for at, way in zip(self.orbit.target_m, out, strict=True))
        return Camera((x, y, z), self.orbit.target_m, self.orbit.field_of_view_rad)


def _within(bounds: tuple[float, float], value: float) -> float:
    return min(max(value, bounds[0]), bounds[1])


def scripted_rates(orbit: Orbit, seconds: float) -> Array:
    """What the scene's own script does at an instant, `[3]` (rad/s, rad/s, m/s)."""
    if orbit.move == "orbits":
        return np.array([orbit.speed, 0.0, 0.0])
    if orbit.move == "dollies":
        return np.array([0.0, 0.0, orbit.speed])
    if orbit.move == "sways":
        return _sway(orbit, seconds)
    if orbit.move == "is steered":
        keys = np.random.default_rng([orbit.seed, int(seconds / _KEY_SECONDS)]).integers(-1, 2, 3)
        return abs(orbit.speed) * keys * np.array([1.0, 0.4, 0.3])
    return np.zeros(3)


def _sway(orbit: Orbit, seconds: float) -> Array:
    """A hand's unrest: a few slow sines in each direction, of random phase."""
    phases = np.random.default_rng(orbit.seed).uniform(0.0, 2.0 * np.pi, (3, len(SWAY_HERTZ)))
    waves = np.sin(2.0 * np.pi * np.array(SWAY_HERTZ) * seconds + phases).sum(axis=1)
    return abs(orbit.speed) * waves * np.array([0.5, 0.35, 0.25])
