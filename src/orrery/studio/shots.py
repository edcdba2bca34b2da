"""Storyboards: what stands where, what moves, who looks, shot by shot; in Python, or in YAML.

World frame: x right, y away from the front camera, z up, metres; the table's top is z = 0. Seconds count from
a shot's own start.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    model_validator,
)

from orrery.errors import BadUse, nearest
from orrery.studio.lights import LIGHTS
from orrery.studio.looks import FRAME_RATES, read_size
from orrery.worlds.laboratory.scene import (
    MAX_FIXTURES,
    MAX_THINGS,
    MESH,
    SIDES,
    Fixture,
    LabScene,
    Orbit,
    Thing,
)
from orrery.worlds.rigid_bodies.geometry import lying, yawed
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS, COLOURS, SURFACES
from orrery.worlds.rigid_bodies.mesh import read_mesh
from orrery.worlds.rigid_bodies.mesh_file import MeshFile

__all__ = [
    "CameraKey", "FixtureInShot", "PathKey", "Shot", "ShotCamera", "Storyboard", "ThingInShot",
]  # fmt: skip

MAX_SECONDS = 600.0

Finite = Annotated[float, Field(allow_inf_nan=False)]
Vector = tuple[Finite, Finite, Finite]
Place = Annotated[tuple[Finite, ...], Field(min_length=2, max_length=3)]
"""x and y of what stands on the table, or x, y and z of a centre."""


_AS_IT_IS = PlainSerializer(lambda value: value, Any)


def _of_one(value: Any) -> Any:
    return (value,) if isinstance(value, int | float) else value


def _point_or_name(value: Any) -> Vector | str:
    if isinstance(value, str) and value:
        return value
    is_point = isinstance(value, list | tuple) and len(value) == 3
    if is_point and all(isinstance(v, int | float) and math.isfinite(v) for v in value):
        return (float(value[0]), float(value[1]), float(value[2]))
    raise ValueError("is a point [x, y, z] in metres, or a thing's name")


def _metres_or_name(value: Any) -> float | str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and 0 < value < math.inf:
        return float(value)
    raise ValueError("is a distance above 0 in metres, or a thing's name")


def _one_of(what: str, options: Iterable[Any]) -> BeforeValidator:
    known = list(options)

    def check(value: Any) -> Any:
        if value not in known:
            near = nearest(value, known, 1) if isinstance(value, str) else []
            hint = f"perhaps {near[0]}" if near else f"there are {', '.join(map(str, known))}"
            raise ValueError(f"no {what} {value!r}; {hint}")
        return value

    return BeforeValidator(check)


Colour = Annotated[str, _one_of("colour", COLOURS)]
MaterialName = Annotated[str, _one_of("material", ALL_MATERIALS)]
Shape = Annotated[str, _one_of("shape", ("ball", "box", "cylinder", "capsule"))]
ThingShape = Annotated[str, _one_of("shape", ("ball", "box", "cylinder", "capsule", MESH))]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
Metres = Annotated[float, Field(gt=0.002, le=2.0, allow_inf_nan=False)]
Sizes = Annotated[tuple[Metres, ...], BeforeValidator(_of_one), Field(min_length=1, max_length=3)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ThingInShot(_Strict):
    """Something that moves.

    size_m: edges of a box `[x, y, z]`; diameter of a ball; diameter and length of a cylinder or capsule; one
    number for all of these. position_m: of its centre at the start; with x and y alone it stands on the table
    (a capsule lies along its x). turned_deg: about the vertical. velocity_m_s; spin_deg_s, about the world's
    axes; rolls: whether it spins as it must to roll at its velocity. name: for cameras and paths; its colour
    and shape where none is given.

    shape `mesh`: what is in `file`, with its own textures, and with the name of the file. size_m is then its
    longest side, as the file has it if left out; up: its axis that points up; mass_kg: what its material
    weighs if left out.
    """

    name: str = ""
    shape: ThingShape = "ball"
    file: str | None = None
    up: Annotated[str, _one_of("axis", ("y", "z"))] | None = None
    mass_kg: Annotated[float, Field(gt=0, le=1000)] | None = None
    colour: Colour = "red"
    material: MaterialName = "plastic"
    size_m: Sizes = (0.06,)
    position_m: Place = (0.0, 0.0)
    turned_deg: Finite = 0.0
    velocity_m_s: Vector = (0.0, 0.0, 0.0)
    spin_deg_s: Vector = (0.0, 0.0, 0.0)
    rolls: bool = False

    @property
    def called(self) -> str:
        """Its name, or its file's, or its colour and shape."""
        return self.name or (Path(self.file).stem if self.file else f"{self.colour} {self.shape}")

    @model_validator(mode="before")
    @classmethod
    def _mesh_of_a_file(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("file") and "shape" not in values:
            return {**values, "shape": MESH}
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.shape == MESH:
            self._check_mesh()
        else:
            _half_extents(self.shape, self.size_m)
        if self.shape != MESH and (self.file or self.up or self.mass_kg):
            raise ValueError("file, up and mass_kg are of a thing whose shape is mesh")
        if self.rolls and self.shape != "ball":
            raise ValueError(
                f"only a ball rolls by itself in every direction; give the {self.shape} spin_deg_s"
            )
        return self

    def _check_mesh(self) -> None:
        if not self.file:
            raise ValueError("a mesh is in a file: name it, such as `file: bottle.glb`")
        if "size_m" in self.model_fields_set and len(self.size_m) > 1:
            raise ValueError("a mesh has one size, its longest side")
        if "colour" in self.model_fields_set:
            raise ValueError("a mesh has the colours of its file; leave colour out")

    def mesh(self) -> MeshFile | None:
        """The file's mesh, of a thing that is one. UserError for a file that there is not."""
        if self.file is None:
            return None
        longest = self.size_m[0] if "size_m" in self.model_fields_set else None
        return MeshFile.of(self.file, longest_m=longest, up=self.up, mass_kg=self.mass_kg, name=self.name)

    def thing(self) -> Thing:
        """As the laboratory has it. UserError for a mesh that cannot be a body."""
        mesh = self.mesh()
        half = _half_extents(self.shape, self.size_m) if mesh is None else read_mesh(mesh).half_extents_m
        rest = half[0] if self.shape == "capsule" else half[2]
        x, y = self.position_m[:2]
        z = self.position_m[2] if len(self.position_m) == 3 else rest
        yaw = math.radians(self.turned_deg)
        spin = tuple(math.radians(v) for v in self.spin_deg_s)
        if self.rolls:
            spin = (-self.velocity_m_s[1] / half[0], self.velocity_m_s[0] / half[0], spin[2])
        turned = lying(yaw + math.pi / 2) if self.shape == "capsule" else yawed(yaw)
        return Thing(
            "thing", self.shape, self.colour, self.material, half, (x, y, z), turned, self.velocity_m_s,
            (spin[0], spin[1], spin[2]), mesh=mesh,
        )  # fmt: skip


class FixtureInShot(_Strict):
    """Something that stands fast, in its material's own colour: a wall, a ramp, a post. size_m, position_m,
    turned_deg: see `ThingInShot`. tilted_deg: about its own y axis, after which it is turned: a long box so
    becomes a ramp that falls towards its x."""

    name: str = "fixture"
    shape: Shape = "box"
    material: MaterialName = "wood"
    size_m: Sizes = (0.1,)
    position_m: Place = (0.0, 0.0)
    turned_deg: Finite = 0.0
    tilted_deg: Finite = 0.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        _half_extents(self.shape, self.size_m)
        return self

    def fixture(self) -> Fixture:
        """As the laboratory has it."""
        half = _half_extents(self.shape, self.size_m)
        x, y = self.position_m[:2]
        z = self.position_m[2] if len(self.position_m) == 3 else half[2]
        w, _, _, up = yawed(math.radians(self.turned_deg))
        c, s = math.cos(math.radians(self.tilted_deg) / 2), math.sin(math.radians(self.tilted_deg) / 2)
        return Fixture(self.name, self.shape, self.material, half, (x, y, z), (w * c, -up * s, w * s, up * c))


class PathKey(_Strict):
    """Where a thing is to be at an instant: x and y, and z where its height is led too."""

    seconds: Seconds
    position_m: Place


class CameraKey(_Strict):
    """A camera at an instant; what is not given is as in the key before.

    from_m: where it stands. look_at: a point, or a thing's name, which it then follows. lens_mm: focal length
    on a sensor 24 mm high. focus: metres from the camera, or a thing's name. f_stop: None keeps all sharp.
    """

    seconds: Seconds = 0.0
    from_m: Vector | None = None
    look_at: Annotated[Vector | str, PlainValidator(_point_or_name), _AS_IT_IS] | None = None
    lens_mm: Annotated[float, Field(ge=8, le=400)] | None = None
    focus: Annotated[float | str, PlainValidator(_metres_or_name), _AS_IT_IS] | None = None
    f_stop: Annotated[float, Field(ge=0.5, le=64)] | None = None


class ShotCamera(_Strict):
    """A camera and what it does. keys: in order of time, passed through smoothly. orbit_deg_s: round what it
    looks at, anticlockwise from above; dolly_m_s: towards it; handheld_deg: how far a hand's unrest turns it
    (root mean square)."""

    keys: tuple[CameraKey, ...] = (CameraKey(),)
    orbit_deg_s: Annotated[float, Field(ge=-360, le=360)] = 0.0
    dolly_m_s: Annotated[float, Field(ge=-2, le=2)] = 0.0
    handheld_deg: Annotated[float, Field(ge=0, le=10)] = 0.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.keys:
            raise ValueError("a camera needs a key; leave `keys` out for the one that stands in front")
        _check_in_order(self.keys)
        return self


class Shot(_Strict):
    """One shot: what is there (`things`, or a `sentence`, or what the shot before ended with: `continues`)
    and how it is filmed. seconds: rounded to whole frames, at least one.

    surface: of the table, wood where nothing is said. light: see `orrery.studio.lights`. paths: where things
    are led, by name, by forces of up to twenty times their weight. level_db: of the sound. seed: of what a
    sentence leaves open, and of a hand's unrest. prompt: what a large model that dresses the film is told of
    this shot.
    """

    name: str = ""
    seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] = 3.0
    sentence: str | None = None
    continues: bool = False
    things: tuple[ThingInShot, ...] = ()
    fixtures: tuple[FixtureInShot, ...] = ()
    paths: dict[str, tuple[PathKey, ...]] = {}
    camera: ShotCamera | None = None
    surface: Annotated[str, _one_of("surface", SURFACES)] | None = None
    light: Annotated[str, _one_of("light", LIGHTS)] = "softbox"
    level_db: Annotated[float, Field(ge=-120, le=24)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    prompt: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        ways = [bool(self.things), self.sentence is not None, self.continues]
        if sum(ways) != 1:
            raise ValueError("a shot has either things, or a sentence, or `continues: true`")
        if not self.things and (self.fixtures or self.surface):
            raise ValueError(
                "fixtures and surface go with things; a sentence, or the shot before, brings its own"
            )
        if len(self.things) > MAX_THINGS or len(self.fixtures) > MAX_FIXTURES:
            raise ValueError(f"a shot holds up to {MAX_THINGS} things and {MAX_FIXTURES} fixtures")
        names = [thing.called for thing in self.things]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two things are called {sorted(twice)[0]!r}; give each a name of its own")
        for name, keys in self.paths.items():
            if self.things and name not in names:
                near = nearest(name, names, 1) or names
                raise ValueError(f"paths: no thing is called {name!r}; perhaps {near[0]!r}")
            if not keys:
                raise ValueError(f"paths: {name!r} has no keys")
            _check_in_order(keys)
            if len({len(key.position_m) for key in keys}) > 1:
                raise ValueError(f"paths: {name!r} gives a height in some keys and not in others")
        return self

    def scene(self) -> LabScene:
        """The laboratory's scene of a shot with things."""
        orbit = Orbit("front", math.radians(SIDES["front"]), math.radians(25.0), 1.1)
        things = tuple(thing.thing() for thing in self.things)
        fixtures = tuple(fixture.fixture() for fixture in self.fixtures)
        return LabScene("plain", things, fixtures, orbit, self.surface or "wood")


class Storyboard(_Strict):
    """Shots that make one film. size: width x height in pixels. samples: paths a pixel."""

    title: str = ""
    size: str = "1280x720"
    frames_per_second: Annotated[int, _one_of("frame rate", FRAME_RATES)] = 24
    samples: Annotated[int, Field(ge=1, le=1024)] = 16
    shots: tuple[Shot, ...]

    @property
    def width_height(self) -> tuple[int, int]:
        """Pixels."""
        return read_size(self.size)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the shots, which are those of their files."""
        return tuple(shot.name or f"shot{k}" for k, shot in enumerate(self.shots, start=1))

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            read_size(self.size)
        except BadUse as error:
            raise ValueError(str(error).removeprefix("--")) from error
        if not self.shots:
            raise ValueError("a storyboard needs a shot")
        if self.shots[0].continues:
            raise ValueError("the first shot has none before it to go on from")
        for name in self.names:
            if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
                raise ValueError(f"shot name {name!r}: letters, digits, - and _, as it is a file's name")
        twice = {name for name in self.names if [n.lower() for n in self.names].count(name.lower()) > 1}
        if twice:
            raise ValueError(f"two shots are called {sorted(twice)[0]!r}")
        return self


def _check_in_order(keys: tuple[PathKey, ...] | tuple[CameraKey, ...]) -> None:
    for before, after in pairwise(keys):
        if after.seconds <= before.seconds:
            raise ValueError(f"keys come in order of time: {after.seconds:g} s follows {before.seconds:g} s")


def _half_extents(shape: str, size_m: tuple[float, ...]) -> Vector:
    """Half extents as the laboratory has them."""
    half = [size / 2 for size in size_m]
    first, last = half[0], half[-1]
    if shape == "ball":
        if len(half) > 1:
            raise ValueError("a ball has one size, its diameter")
        return (first, first, first)
    if shape == "box":
        if len(half) == 2:
            raise ValueError("a box has one size, or three")
        return (first, half[len(half) // 2], last)
    if len(half) == 3:
        raise ValueError(f"a {shape} has a diameter and a length")
    if shape == "cylinder":
        return (first, first, last)
    if last <= first:
        raise ValueError("a capsule is longer than it is wide: give its diameter and its length")
    return (first, first, last - first)
