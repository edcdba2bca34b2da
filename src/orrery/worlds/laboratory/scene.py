"""A scene of the laboratory: things that move, fixtures that do not, who looks and from where, and the
finger.

World frame as in `rigid_bodies.geometry`: x right, y away from the front camera, z up, metres; the table's
top is z = 0. A scene says everything that the exact world needs to start; `families` draws scenes, `language`
tells and reads them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from orrery.worlds.rigid_bodies.geometry import Tray
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS
from orrery.worlds.rigid_bodies.mesh_file import MeshFile
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = [
    "BACKGROUNDS", "FLOOR_M", "LAB_STATE", "LAB_TRAY", "LIGHTS", "MAX_FIXTURES", "MAX_THINGS", "MESH",
    "MOVES", "NATURAL_COLOURS", "SIDES",
    "FingerTask", "Fixture", "Hinge", "LabScene", "Light", "Orbit", "Thing", "size_word",
]  # fmt: skip

T = TypeVar("T")
MAX_THINGS = 8
MAX_FIXTURES = 6
MESH = "mesh"
"""Shape of a thing that is a file's mesh."""
LAB_TRAY = Tray(half_x=0.46, half_y=0.34, rim_height=0.05, rim_thickness=0.015)
LAB_STATE = StateLayout(("ball", "box", "cylinder", "capsule", "finger"), tuple(ALL_MATERIALS))
"""State slots 0 to 7 are a scene's things, 8 to 13 its fixtures, 14 the finger."""
SIDES = {"front": -90.0, "left": -126.0, "right": -54.0}
"""Where a camera stands at first: degrees of azimuth about the table, 0 towards x."""
MOVES = ("stands", "orbits", "dollies", "sways", "is steered")
"""What a camera does. One that sways is held in a hand; one that is steered is turned by keys."""
_SIZE_BORDER_M = 0.032
FLOOR_M = -0.72
"""Height of the floor, where a table has an open edge."""


@dataclass(frozen=True)
class Light:
    """One distant light. direction: where it shines to. diffuse, ambient: sRGB in [0, 1]."""

    direction: tuple[float, float, float]
    diffuse: tuple[float, float, float]
    ambient: tuple[float, float, float]


LIGHTS: dict[str, Light] = {
    "day": Light((0.35, 0.45, -1.0), (0.62, 0.61, 0.58), (0.20, 0.20, 0.22)),
    "evening": Light((0.9, 0.25, -0.55), (0.78, 0.55, 0.36), (0.10, 0.10, 0.16)),
    "lamp": Light((-0.5, 0.3, -1.0), (0.75, 0.72, 0.60), (0.06, 0.06, 0.07)),
    "overcast": Light((0.05, 0.1, -1.0), (0.34, 0.36, 0.40), (0.34, 0.35, 0.37)),
}
BACKGROUNDS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "sky": ((0.55, 0.68, 0.86), (0.86, 0.90, 0.94)),
    "studio": ((0.40, 0.41, 0.44), (0.24, 0.25, 0.28)),
    "warm": ((0.86, 0.79, 0.68), (0.70, 0.60, 0.50)),
    "night": ((0.06, 0.07, 0.12), (0.14, 0.15, 0.22)),
}
"""Colour of what lies beyond the table, at the picture's top and bottom, sRGB."""

NATURAL_COLOURS: dict[str, tuple[float, float, float]] = {
    "wood": (0.55, 0.38, 0.22),
    "steel": (0.52, 0.54, 0.58),
    "rubber": (0.20, 0.20, 0.21),
    "plastic": (0.72, 0.70, 0.62),
    "glass": (0.62, 0.78, 0.80),
    "ceramic": (0.88, 0.85, 0.78),
}
"""What a fixture of each material looks like, sRGB."""

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
UPRIGHT: Quaternion = (1.0, 0.0, 0.0, 0.0)
STILL: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Hinge:
    """What a thing turns about, instead of being free. anchor_m, axis (unit): world frame, at the start.

    rod_m: radius of the massless rod from the anchor to the thing's centre; 0 for none.
    """

    anchor_m: Vector
    axis: Vector
    rod_m: float = 0.0


@dataclass(frozen=True)
class Thing:
    """Something that moves, at the scene's first instant; slot k of the state stream is `things[k]`.

    role: what it is there for, which the sentences speak of (`roller`, `domino`, `bob`, ...). half_extents_m:
    along its own axes (ball: the radius three times; cylinder: radius, radius, half length; capsule: the
    same, its half length without the caps). quaternion: wxyz. heading: a word of DIRECTIONS, where it has
    one. mesh: what it is where its shape is `mesh`; its half extents are those of the mesh's bounding box,
    as which the state describes it.
    """

    role: str
    shape: str
    colour: str
    material: str
    half_extents_m: Vector
    position_m: Vector
    quaternion: Quaternion = UPRIGHT
    linear_velocity_m_s: Vector = STILL
    angular_velocity_rad_s: Vector = STILL
    hinge: Hinge | None = None
    heading: str | None = None
    mesh: MeshFile | None = None

    @property
    def size_word(self) -> str:
        """`small` or `big`, as people would call it."""
        return size_word(self.half_extents_m)


def size_word(half_extents_m: Vector) -> str:
    """`small` or `big`, by the edge of a cube of the same volume."""
    return "small" if math.prod(half_extents_m) ** (1 / 3) < _SIZE_BORDER_M else "big"


@dataclass(frozen=True)
class Fixture:
    """Something that stands fast, in its material's own colour. name: `ramp`, `wall`, `screen`, ..."""

    name: str
    shape: str
    material: str
    half_extents_m: Vector
    position_m: Vector
    quaternion: Quaternion = UPRIGHT


@dataclass(frozen=True)
class Orbit:
    """A camera that looks at a target from a sphere about it, and what its own script does there.

    side: key of SIDES. azimuth_rad, elevation_rad, distance_m: where it starts. move: one of MOVES. speed:
    signed strength of the move, rad/s or m/s. seed: draws how it sways or is steered.
    """

    side: str
    azimuth_rad: float
    elevation_rad: float
    distance_m: float
    move: str = "stands"
    speed: float = 0.0
    seed: int = 0
    target_m: Vector = (0.0, 0.0, 0.07)
    field_of_view_rad: float = math.radians(36.0)


@dataclass(frozen=True)
class FingerTask:
    """What the finger does with one thing. verb: `push`, `lift` or `poke`. direction: horizontal, unit."""

    verb: str
    target: int
    direction: tuple[float, float]
    speed_m_s: float
    distance_m: float


@dataclass(frozen=True)
class LabScene:
    """Everything the laboratory needs to start. family: key of `families.FAMILIES`, or `story` for a scene
    that was set up for a sentence. open_edge: the side of the table (a word of DIRECTIONS) without a rim,
    over which things fall to the floor. text: the sentence that it was set up for.
    """

    family: str
    things: tuple[Thing, ...]
    fixtures: tuple[Fixture, ...]
    orbit: Orbit
    surface: str = "wood"
    light: str = "day"
    background: str = "sky"
    task: FingerTask | None = None
    ignored_pairs: tuple[tuple[int, int], ...] = field(default_factory=tuple)
    """(thing, fixture) that do not touch, such as a plank and what it is mounted on."""
    open_edge: str | None = None
    text: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LabScene:
        """A scene from `to_json`'s values."""
        plain = dict(values)
        things = tuple(
            Thing(**{**_tuples(t), "hinge": _of(Hinge, t["hinge"]), "mesh": _of(MeshFile, t.get("mesh"))})
            for t in plain.pop("things")
        )
        fixtures = tuple(Fixture(**_tuples(f)) for f in plain.pop("fixtures"))
        orbit, task = Orbit(**_tuples(plain.pop("orbit"))), plain.pop("task")
        ignored = tuple((int(a), int(b)) for a, b in plain.pop("ignored_pairs"))
        task = None if task is None else FingerTask(**_tuples(task))
        return cls(things=things, fixtures=fixtures, orbit=orbit, task=task, ignored_pairs=ignored, **plain)


def _of(kind: type[T], values: Mapping[str, Any] | None) -> T | None:
    return None if values is None else kind(**_tuples(values))


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
