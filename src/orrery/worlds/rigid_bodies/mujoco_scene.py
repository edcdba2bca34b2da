"""What a world whose scene is a MuJoCo model says to those who draw it: the model, where its bodies were in
the last tick, who looks, and what its geoms are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import mujoco

from orrery.streams import Array

__all__ = ["GeomLook", "HasMujocoScene", "MujocoScene"]


@dataclass(frozen=True)
class GeomLook:
    """material: a word such as `wood`, `steel`, `glass`, `rubber`, `plastic`, `cloth`. colour: sRGB in [0,
    1]."""

    material: str
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class MujocoScene:
    """One world in its last tick of F frames.

    positions_m `[F, n, bodies, 3]`, quaternions `[F, n, bodies, 4]` (wxyz): MuJoCo's bodies at n instants
    evenly spaced over each frame, the last of them its end. cameras `[F, 8]`: position, wxyz quaternion
    (MuJoCo's camera frame) and vertical field of view of a square picture, radians, at the end of each frame.
    subjects_m `[F, 3]`: what the camera looks at. looks: by the geom's name; a geom that is not in it has the
    model's own colour. hidden: names of geoms that are not to be seen.
    names: what people call bodies, by the model's names; not all need one.
    focus_m, lens_radius_m `[F]`: along the camera's axis, and half of its lens's opening; None: on the
    subject, and as the look would have it.
    """

    model: mujoco.MjModel
    positions_m: Array
    quaternions: Array
    cameras: Array
    subjects_m: Array
    looks: Mapping[str, GeomLook] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    focus_m: Array | None = None
    lens_radius_m: Array | None = None


@runtime_checkable
class HasMujocoScene(Protocol):
    """A world whose scene is a MuJoCo model."""

    def mujoco_scene(self, index: int = 0) -> MujocoScene:
        """World `index` as it was in its last tick."""
        ...
