"""Light rigs: area lights about a subject, light from all around, and a sweep behind it.

Places are relative to the subject: its distance from the camera is the unit, azimuths are counted from the
camera's, to the right as the camera sees it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from orrery.errors import BadUse, nearest
from orrery.streams import Array

__all__ = ["LIGHTS", "AreaLight", "LightRig", "light_rig", "place_lights"]


@dataclass(frozen=True)
class AreaLight:
    """A rectangle that shines towards the subject. azimuth, elevation: degrees. distance, width, height: in
    units. radiance: linear RGB."""

    azimuth: float
    elevation: float
    distance: float
    width: float
    height: float
    radiance: tuple[float, float, float]


@dataclass(frozen=True)
class LightRig:
    """above, level, below: radiance from straight up, from the side and from below, linear RGB. sweep: colour
    of the backdrop, sRGB in [0, 1]; None for none. brightest: what no path that has bounced adds to a pixel,
    against sparks; light of a bounce is cut there."""

    lights: tuple[AreaLight, ...]
    above: tuple[float, float, float]
    level: tuple[float, float, float]
    below: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sweep: tuple[float, float, float] | None = None
    brightest: float = 3.0


LIGHTS: dict[str, LightRig] = {
    "softbox": LightRig(
        (
            AreaLight(-62.0, 50.0, 1.4, 0.55, 0.55, (46.0, 38.5, 29.5)),
            AreaLight(65.0, 26.0, 1.7, 0.8, 0.8, (1.7, 2.0, 2.5)),
            AreaLight(155.0, 28.0, 1.8, 0.9, 0.25, (9.0, 9.2, 9.6)),
        ),
        (0.34, 0.36, 0.40), (0.30, 0.29, 0.28), sweep=(0.88, 0.86, 0.83),
    ),
    "window": LightRig(
        (
            AreaLight(-88.0, 36.0, 1.5, 0.8, 1.0, (17.0, 18.5, 20.5)),
            AreaLight(70.0, 35.0, 1.8, 1.2, 0.8, (0.9, 0.82, 0.72)),
        ),
        (0.36, 0.39, 0.44), (0.28, 0.29, 0.31), sweep=(0.86, 0.87, 0.88),
    ),
    "evening": LightRig(
        (
            AreaLight(-70.0, 26.0, 1.4, 0.35, 0.35, (105.0, 60.0, 27.0)),
            AreaLight(140.0, 40.0, 1.7, 0.8, 0.5, (2.2, 3.1, 5.0)),
        ),
        (0.10, 0.13, 0.21), (0.08, 0.09, 0.13), sweep=(0.55, 0.50, 0.50),
    ),
}  # fmt: skip


def light_rig(name: str) -> LightRig:
    """The rig of this name; BadUse with the nearest if none is."""
    if name not in LIGHTS:
        hint = nearest(name, LIGHTS) or list(LIGHTS)
        raise BadUse(f"no light is called {name!r}; perhaps {' or '.join(hint)}")
    return LIGHTS[name]


def place_lights(rig: LightRig, subject_m: Array, camera_m: Array) -> Array:
    """The rig's lights about a subject at `[3]` that is seen from `[3]`, `[n, 4, 3]`: middle, two half edges
    whose cross product points where it shines, and radiance."""
    away = np.subtract(camera_m, subject_m)
    unit, facing = float(np.linalg.norm(away)), math.atan2(away[1], away[0])
    return np.array([_rectangle(light, np.asarray(subject_m), unit, facing) for light in rig.lights])


def _rectangle(light: AreaLight, subject_m: Array, unit: float, facing: float) -> Array:
    azimuth, elevation = facing + math.radians(light.azimuth), math.radians(light.elevation)
    level = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
    out = level * math.cos(elevation) + np.array([0.0, 0.0, math.sin(elevation)])
    across = np.array([math.sin(azimuth), -math.cos(azimuth), 0.0])
    upright = np.cross(across, -out)
    half = unit / 2.0
    return np.array([
        subject_m + unit * light.distance * out, half * light.width * across, -half * light.height * upright,
        light.radiance,
    ])  # fmt: skip
