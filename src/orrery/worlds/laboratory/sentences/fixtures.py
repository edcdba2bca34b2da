"""What does not move, set up for a story: ramps, walls, screens, containers and the frames of pendulums."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from orrery.streams import Array
from orrery.worlds.laboratory.drawing import STRUCTURES, tilted
from orrery.worlds.laboratory.scene import MAX_FIXTURES, Fixture
from orrery.worlds.laboratory.sentences.story import Wish
from orrery.worlds.rigid_bodies.geometry import rotate, yawed

if TYPE_CHECKING:
    from orrery.worlds.laboratory.sentences.layout import Layout

__all__ = ["BUILDERS", "distance_m", "extent", "frame", "inside_m"]

_INSIDE_M = {"cup": (0.056, 0.045), "glass": (0.056, 0.05), "mug": (0.056, 0.045), "bowl": (0.085, 0.028)}
"""Container to the radius of its inside and half its height; all others are square crates."""
_CRATE_M = (0.095, 0.042)
_WALL_M = 0.005
_FOOT_X = -0.04


def _material(layout: Layout, wish: Wish) -> str:
    asked = "glass" if wish.noun == "glass" else wish.material
    return asked or str(layout.rng.choice(STRUCTURES))


def inside_m(layout: Layout) -> tuple[float, float]:
    """Radius of the inside of the story's container, so wide that what lands in it fits, and half its
    height."""
    noun = next(wish.noun for wish in layout.plan.story.things if wish.fixture == "container")
    radius, half = _INSIDE_M.get(noun, _CRATE_M)
    landing = [k for deed in layout.plan.deeds("lands in") for k in deed.a if isinstance(k, int)]
    widest = max((layout.kinds[k].reach_m for k in landing), default=0.0)
    return max(radius + (0.012 if len(landing) > 2 else 0.0), 1.35 * widest + 0.008), half


def _fills(layout: Layout) -> bool:
    """Whether something is to roll down a ramp into a container."""
    return any(set(layout.plan.riders) & set(deed.a) for deed in layout.plan.deeds("lands in"))


def _ramp(layout: Layout, wish: Wish) -> list[Fixture]:
    """A deck on a stand; raised where it leads into a container."""
    slides = any(layout.plan.motion(k) == "slide" for k in layout.plan.riders)
    slope = math.radians(layout.uniform(26, 32) if slides else layout.uniform(17, 25))
    long, thick, foot = 0.17, 0.008, np.array([_FOOT_X, layout.lane, 0.0])
    if _fills(layout):
        long, foot[2] = 0.11, 2 * inside_m(layout)[1] + 0.02
    along = np.array([math.cos(slope), 0.0, -math.sin(slope)])
    deck = foot - long * along - thick * np.array([math.sin(slope), 0.0, math.cos(slope)])
    post = deck - (0.2 if _fills(layout) else 0.85) * long * along
    half_z = (float(post[2]) - thick / math.cos(slope) - 0.001) / 2
    material = _material(layout, wish)
    x, y, z = (float(v) for v in deck)
    return [
        Fixture("ramp", "box", material, (long, 0.075, thick), (x, y, z), tilted(slope)),
        Fixture("stand", "box", material, (0.012, 0.06, half_z), (float(post[0]), y, half_z)),
    ]


def _wall(layout: Layout, wish: Wish) -> list[Fixture]:
    half = (0.012, layout.uniform(0.10, 0.14), layout.uniform(0.07, 0.1))
    place = (layout.uniform(0.14, 0.2), layout.lane, half[2])
    return [Fixture("wall", "box", _material(layout, wish), half, place)]


def _screen(layout: Layout, wish: Wish) -> list[Fixture]:
    """Across the sight of the camera at the front, whatever the main way."""
    half = (layout.uniform(0.09, 0.13), 0.006, layout.uniform(0.075, 0.095))
    x, y = 0.10 * layout.along((0.0, -1.0))
    material = {"glass": "wood"}.get(_material(layout, wish), _material(layout, wish))
    return [Fixture("screen", "box", material, half, (float(x), float(y), half[2]), yawed(-layout.angle))]


def _container(layout: Layout, wish: Wish) -> list[Fixture]:
    """Walls around: four, or, for what is round and the only fixture, six."""
    radius, half = inside_m(layout)
    is_only = sum(bool(other.fixture) or other.hangs for other in layout.plan.story.things) == 1
    sides = MAX_FIXTURES if wish.noun in _INSIDE_M and is_only else 4
    x = _FOOT_X - 0.02 + radius + _WALL_M + 0.012 if _fills(layout) else layout.uniform(-0.04, 0.06)
    material, walls = _material(layout, wish), []
    for n in range(sides):
        angle, out = 2 * math.pi * n / sides, radius + _WALL_M
        width = radius if sides == 4 and n % 2 else (radius + 2 * _WALL_M) * math.tan(math.pi / sides)
        place = (x + out * math.cos(angle), layout.lane + out * math.sin(angle), half)
        walls.append(Fixture(wish.noun, "box", material, (_WALL_M, width, half), place, yawed(angle)))
    return walls


def frame(layout: Layout, x: float, height: float) -> list[Fixture]:
    """What a pendulum hangs from: two posts, and a beam across the main way."""
    material = str(layout.rng.choice(["wood", "steel", "plastic"]))
    half = (0.009, 0.009, height / 2)
    places = [(x, layout.lane + side, height / 2) for side in (-0.15, 0.15)]
    posts = [Fixture("post", "cylinder", material, half, place) for place in places]
    beam = (x, layout.lane, height + 0.008)
    return [*posts, Fixture("beam", "box", material, (0.008, 0.15, 0.008), beam)]


BUILDERS: dict[str, Callable[[Layout, Wish], list[Fixture]]] = {
    "ramp": _ramp, "wall": _wall, "screen": _screen, "container": _container,
}  # fmt: skip


def extent(parts: Sequence[Fixture]) -> tuple[Array, float]:
    """Middle `[3]` and reach of a fixture; of a container, of its inside; of what is thin, its thickness."""
    middle = np.mean([part.position_m for part in parts], axis=0)
    if len(parts) > 2:
        return middle, float(np.linalg.norm(np.array(parts[0].position_m)[:2] - middle[:2]))
    return middle, min(parts[0].half_extents_m[:2])


def distance_m(fixture: Fixture, place: Array) -> float:
    """From a place `[2]` on the table to a fixture, seen from above."""
    x, y, _ = rotate(
        np.array(fixture.quaternion) * [1, -1, -1, -1],
        np.array([*place, fixture.position_m[2]]) - np.array(fixture.position_m),
    )
    return max(abs(x) - fixture.half_extents_m[0], abs(y) - fixture.half_extents_m[1])
