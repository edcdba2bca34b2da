"""A typed scene: what stands on the table, how it moves at first, and who looks.

World frame: x right, y away from the front camera, z up, metres; the table's top is z = 0. A tray with low
rims (`TRAY`) keeps things in view. Scenes are drawn by `sample_scene`, freely or under a `SceneRequest`
(what a sentence asks for).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from orrery.worlds.rigid_bodies.geometry import (
    DIRECTIONS,
    Tray,
    about_x,
    lying,
    quaternion_product,
    yawed,
)
from orrery.worlds.rigid_bodies.materials import COLOURS, MATERIAL_TABLE
from orrery.worlds.tabletop.setting import SETTING

__all__ = [
    "BODY_SHAPES", "CAMERAS", "MAX_BODIES", "MOTIONS", "MOTION_STARTS", "SIZES", "TRAY", "Body",
    "BodyRequest", "Push", "Scene", "SceneRequest", "fill_wishes", "is_clear", "reach_m", "sample_body",
    "sample_push", "sample_scene",
]  # fmt: skip

BODY_SHAPES = ("ball", "box", "cylinder")
MOTIONS = ("rests", "drops", "flies", "rolls", "pushed")
SIZES: dict[str, tuple[float, float]] = {"small": (0.038, 0.044), "big": (0.052, 0.060)}
"""Size word to the range of the characteristic half extent, metres."""
MAX_BODIES = 3


TRAY = Tray()


CAMERAS = SETTING.cameras


@dataclass(frozen=True)
class Body:
    """One object at the scene's first instant.

    half_extent_m: characteristic half extent (ball: radius; box: half edge; cylinder: radius, its half
    length is the same). quaternion: wxyz. motion: what it is about to do, one of MOTIONS.
    """

    shape: str
    colour: str
    material: str
    half_extent_m: float
    position_m: tuple[float, float, float]
    quaternion: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    linear_velocity_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    angular_velocity_rad_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    motion: str = "rests"
    direction: str | None = None

    @property
    def size_word(self) -> str:
        """`small` or `big`, whichever range is nearer."""
        return min(SIZES, key=lambda word: abs(sum(SIZES[word]) / 2 - self.half_extent_m))

    @property
    def half_extents_m(self) -> tuple[float, float, float]:
        """Half extents along the body's own axes."""
        return (self.half_extent_m, self.half_extent_m, self.half_extent_m)


@dataclass(frozen=True)
class Push:
    """The finger pushes one body. direction: horizontal unit vector."""

    target: int
    direction: tuple[float, float]
    speed_m_s: float
    distance_m: float


@dataclass(frozen=True)
class Scene:
    """Everything the exact world needs to start. Slot k of the state stream is `bodies[k]`."""

    bodies: tuple[Body, ...]
    camera: str = "front"
    push: Push | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Scene:
        """A scene from `to_json`'s values."""
        bodies = tuple(Body(**_tuples(body)) for body in values["bodies"])
        push = values.get("push")
        if push is not None:
            push = Push(**_tuples(push))
        return cls(bodies, values["camera"], push)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields with JSON's lists as tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


@dataclass(frozen=True)
class BodyRequest:
    """What a sentence says of one body; None where it leaves the choice open."""

    shape: str | None = None
    colour: str | None = None
    material: str | None = None
    size: str | None = None
    motion: str | None = None
    direction: str | None = None


@dataclass(frozen=True)
class SceneRequest:
    """What a sentence asks of a scene: its bodies in order of mention, and perhaps the camera."""

    bodies: tuple[BodyRequest, ...] = field(default_factory=tuple)
    camera: str | None = None


def sample_scene(rng: np.random.Generator, request: SceneRequest | None = None) -> Scene:
    """A random scene that satisfies `request`; whatever it leaves open is drawn from `rng`.

    At most one body is pushed. Bodies do not overlap at first. Colours left open are drawn distinct, so that
    a sentence can name each object.
    """
    if request is None:
        request = SceneRequest(tuple(BodyRequest() for _ in range(rng.choice([1, 2, 3], p=[0.3, 0.4, 0.3]))))
    wishes = fill_wishes(rng, request.bodies)
    bodies = _place(rng, wishes)
    camera = request.camera or str(rng.choice(list(CAMERAS)))
    pushed = [k for k, body in enumerate(bodies) if body.motion == "pushed"]
    push = sample_push(rng, pushed[0], bodies[pushed[0]]) if pushed else None
    return Scene(tuple(bodies), camera, push)


def fill_wishes(rng: np.random.Generator, wishes: tuple[BodyRequest, ...]) -> list[BodyRequest]:
    """Draw what is left open, one field after the other, so that every combination occurs."""
    free_colours = [c for c in COLOURS if c not in {w.colour for w in wishes}]
    rng.shuffle(free_colours)
    someone_moves = any(w.motion not in (None, "rests") for w in wishes)
    someone_pushed = any(w.motion == "pushed" for w in wishes)
    filled: list[BodyRequest] = []
    for wish in wishes:
        motion = wish.motion or _draw_motion(rng, wish, someone_moves, someone_pushed)
        someone_moves |= motion != "rests"
        someone_pushed |= motion == "pushed"
        filled.append(
            BodyRequest(
                shape=wish.shape or _draw_shape(rng, motion),
                colour=wish.colour or free_colours.pop(),
                material=wish.material or str(rng.choice(list(MATERIAL_TABLE))),
                size=wish.size or str(rng.choice(list(SIZES))),
                motion=motion,
                direction=wish.direction or _draw_direction(rng, motion),
            )
        )
    return filled


def _draw_motion(
    rng: np.random.Generator, wish: BodyRequest, someone_moves: bool, someone_pushed: bool
) -> str:
    rests = 0.35 if someone_moves else 0.1
    weights = {"rests": rests, "drops": 0.3, "flies": 0.2, "rolls": 0.2, "pushed": 0.15}
    if wish.direction:
        weights.update(rests=0.0, drops=0.0)
    if someone_pushed:
        weights["pushed"] = 0.0
    if wish.shape == "box":
        weights["rolls"] = 0.0
    total = sum(weights.values())
    return str(rng.choice(list(weights), p=[w / total for w in weights.values()]))


def _draw_shape(rng: np.random.Generator, motion: str) -> str:
    return str(rng.choice([s for s in BODY_SHAPES if not (motion == "rolls" and s == "box")]))


def _draw_direction(rng: np.random.Generator, motion: str) -> str | None:
    return None if motion in ("rests", "drops") else str(rng.choice(list(DIRECTIONS)))


def _place(rng: np.random.Generator, wishes: list[BodyRequest]) -> list[Body]:
    """Bodies for fully drawn wishes, clear of each other."""
    for _ in range(1000):
        bodies: list[Body] = []
        for wish in wishes:
            # The first bodies may leave no room for the next: then all are drawn again.
            tries = (sample_body(rng, wish) for _ in range(30))
            body = next((new for new in tries if all(is_clear(new, other) for other in bodies)), None)
            if body is None:
                break
            bodies.append(body)
        else:
            return bodies
    raise RuntimeError(f"no room on the tray for {wishes}")


_REACH = {"ball": math.sqrt(2.0), "box": math.sqrt(3.0), "cylinder": math.sqrt(2.0)}
"""Radius of the sphere that a body keeps free, in half extents: its corners', and for a ball some room."""


def reach_m(body: Body) -> float:
    """Radius, metres, of the sphere about a body's middle that is the body's own."""
    return _REACH[body.shape] * body.half_extent_m


def is_clear(a: Body, b: Body) -> bool:
    """Whether two bodies' spheres keep apart, with a margin."""
    return math.dist(a.position_m, b.position_m) > reach_m(a) + reach_m(b) + 0.01


def sample_body(rng: np.random.Generator, wish: BodyRequest) -> Body:
    """A body, somewhere on the tray, for a wish that leaves nothing open."""
    if not (wish.shape and wish.colour and wish.material and wish.size and wish.motion):
        raise ValueError(f"a wish with something left to draw: {wish}")
    half = float(rng.uniform(*SIZES[wish.size]))
    towards = np.array(DIRECTIONS[wish.direction]) if wish.direction else np.zeros(2)
    position, velocity, spin = MOTION_STARTS[wish.motion](rng, half, towards)
    lies = wish.shape == "cylinder" and wish.motion == "rolls"
    heading = math.atan2(towards[1], towards[0]) if lies else float(rng.uniform(-math.pi, math.pi))
    quaternion = lying(heading) if lies else yawed(heading)
    if wish.motion in ("drops", "flies") and wish.shape != "ball" and rng.random() < 0.5:
        quaternion = quaternion_product(quaternion, about_x(float(rng.uniform(-0.5, 0.5))))
    return Body(
        wish.shape, wish.colour, wish.material, half,
        _floats(position), _floats(quaternion), _floats(velocity), _floats(spin), wish.motion, wish.direction,
    )  # fmt: skip


def _floats(values: Any) -> Any:
    return tuple(float(v) for v in values)


Start = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Position, linear velocity, angular velocity."""


def _spot(rng: np.random.Generator, half: float, towards: np.ndarray, run_up: float = 0.0) -> np.ndarray:
    """A place on the tray; a body that will travel starts on the far side of its way."""
    reach = np.array([TRAY.half_x, TRAY.half_y]) - 1.45 * half - 0.01
    return np.clip(rng.uniform(-1.0, 1.0, 2) * reach - towards * run_up, -reach, reach)


def _start_rest(rng: np.random.Generator, half: float, towards: np.ndarray) -> Start:
    return np.array([*_spot(rng, half, towards), half]), np.zeros(3), np.zeros(3)


def _start_drop(rng: np.random.Generator, half: float, towards: np.ndarray) -> Start:
    height = rng.uniform(0.12, 0.30)
    return np.array([*(0.7 * _spot(rng, half, towards)), half + height]), np.zeros(3), np.zeros(3)


def _start_fly(rng: np.random.Generator, half: float, towards: np.ndarray) -> Start:
    position = np.array([*_spot(rng, half, towards, run_up=0.22), half + rng.uniform(0.06, 0.2)])
    speed = rng.uniform(0.3, 0.6) * (1.0 if towards[0] else 0.7)
    velocity = np.array([*(towards * speed), rng.uniform(0.0, 0.8)])
    return position, velocity, rng.normal(0.0, 1.5, 3)


def _start_roll(rng: np.random.Generator, half: float, towards: np.ndarray) -> Start:
    position = np.array([*_spot(rng, half, towards, run_up=0.25), half])
    velocity = np.array([*(towards * rng.uniform(0.25, 0.8)), 0.0])
    return position, velocity, np.array([-velocity[1], velocity[0], 0.0]) / half


def _start_pushed(rng: np.random.Generator, half: float, towards: np.ndarray) -> Start:
    return np.array([*(0.6 * _spot(rng, half, towards, run_up=0.15)), half]), np.zeros(3), np.zeros(3)


MOTION_STARTS = {
    "rests": _start_rest,
    "drops": _start_drop,
    "flies": _start_fly,
    "rolls": _start_roll,
    "pushed": _start_pushed,
}
"""Motion to how a body begins it: a function of the random generator, the half extent and the direction."""


def sample_push(rng: np.random.Generator, target: int, body: Body) -> Push:
    """How the finger pushes a body."""
    direction = DIRECTIONS[body.direction or "right"]
    return Push(target, direction, float(rng.uniform(0.18, 0.35)), float(rng.uniform(0.10, 0.18)))


def with_camera(scene: Scene, camera: str) -> Scene:
    """The same scene seen by another standing camera."""
    return replace(scene, camera=camera)
