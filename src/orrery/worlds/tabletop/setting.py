"""How the tabletop is filmed, lit and described. `SETTING` is the one that is used where none is named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from orrery.worlds.rigid_bodies.geometry import Camera, Colour, Lamp
from orrery.worlds.rigid_bodies.state import STATE, StateLayout

__all__ = ["CLOSE", "PLAIN", "SETTING", "Decor", "Setting"]


@dataclass(frozen=True)
class Decor:
    """What the stage looks like. All colours are sRGB in [0, 1].

    table, rim: their colours. cloth: colour of what lines the tray; None for bare table. grain: whether the
    table is of planks. ambient: light from everywhere, linear RGB.
    """

    table: Colour
    rim: Colour
    sky: Colour
    ambient: Colour
    lamp: Lamp
    cloth: Colour | None = None
    grain: bool = False


@dataclass(frozen=True, eq=False)
class Setting:
    """cameras: by name; they share one field of view. layout: of the state. labels: streams that are made
    only where they are named."""

    cameras: Mapping[str, Camera]
    decor: Decor
    layout: StateLayout = STATE
    labels: tuple[str, ...] = ()

    @property
    def field_of_view_rad(self) -> float:
        return next(iter(self.cameras.values())).field_of_view_rad


def _camera(x: float, y: float, z: float, target_z: float) -> Camera:
    return Camera((x, y, z), (0.0, 0.0, target_z), math.radians(44.0))


PLAIN = Setting(
    {
        "front": _camera(0.0, -0.92, 0.52, 0.10),
        "left": _camera(-0.62, -0.72, 0.50, 0.10),
        "right": _camera(0.62, -0.72, 0.50, 0.10),
    },
    Decor((0.56, 0.52, 0.47), (0.36, 0.27, 0.20), (0.75, 0.78, 0.82), (0.38, 0.38, 0.40), Lamp()),
    labels=("tracks.main",),
)
"""What the shipped checkpoint has learned."""

CLOSE = Setting(
    {
        "front": _camera(0.0, -0.69, 0.58, 0.07),
        "left": _camera(-0.44, -0.60, 0.60, 0.05),
        "right": _camera(0.44, -0.60, 0.60, 0.05),
    },
    Decor(
        (0.64, 0.50, 0.37),
        (0.45, 0.32, 0.22),
        (0.86, 0.80, 0.72),
        (0.44, 0.43, 0.42),
        Lamp((0.42, 0.38, -1.0), (0.62, 0.58, 0.50)),
        cloth=(0.54, 0.58, 0.57),
        grain=True,
    ),
    StateLayout(rotation="axes"),
)
"""Nearer, on wood and in warm light, with rotations written smoothly: for a world to be learned from."""

SETTING = PLAIN
