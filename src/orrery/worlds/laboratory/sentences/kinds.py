"""What a story's things are drawn as: shape, size, material and colour, where the sentence leaves them open.

The tables are read from the top: the first row all of whose traits (`Plan.traits`) a thing has is taken.
"""

from __future__ import annotations

import numpy as np

from orrery.worlds.laboratory.drawing import ANY, HALF_EXTENTS_M, ROUND, Kind
from orrery.worlds.laboratory.scene import Vector
from orrery.worlds.laboratory.sentences.plan import Plan
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS, COLOURS

__all__ = ["draw_kinds"]

_HARD = ("steel", "glass", "ceramic")
_MATERIALS: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (frozenset({"heavy"}), ("steel",)),
    (frozenset({"light"}), ("plastic",)),
    (frozenset({"counts"}), ("rubber",)),
    (frozenset({"sends off"}), ("plastic", "wood")),  # it must not follow
    (frozenset({"struck", "leaves", "box"}), ("wood", "plastic")),
    (frozenset({"struck", "leaves"}), _HARD),
    *((frozenset({"strikes", motion}), _HARD) for motion in ("roll", "swing", "slide", "fly")),
    *((frozenset({trait}), ("wood", "plastic")) for trait in ("struck", "topples", "slide")),
    (frozenset(), tuple(ALL_MATERIALS)),
)
_SIZES: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (frozenset({"carried"}), ("small",)),
    (frozenset({"topples with others"}), ("small",)),
    (frozenset({"base"}), ("big",)),
    (frozenset({"strikes"}), ("big",)),
    (frozenset({"stacked"}), ("small",)),
    (frozenset({"crowd"}), ("small",)),
    (frozenset(), ("small", "big")),
)
_SHAPES: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (frozenset({"stacked"}), ("box",)),
    (frozenset({"topples"}), ("box", "cylinder")),
    (frozenset({"strikes", "roll"}), ("ball",)),
    (frozenset({"roll"}), ROUND),
    (frozenset({"slide"}), ("box",)),
    (frozenset({"swing"}), ("ball", "box")),
    (frozenset({"spin"}), ("ball",)),
    (frozenset(), ANY),
)
_ROLES = {"roll": "roller", "slide": "roller", "fall": "faller", "fly": "flyer", "swing": "bob"}
_DOMINO_M = (0.008, 0.024, 0.048)
_BIG_DOMINO = 1.7
_TALL, _TIPPING = 1.9, 2.4
"""How much taller than wide are those that are tall, and those that are to tip over."""


def draw_kinds(rng: np.random.Generator, plan: Plan) -> dict[int, Kind]:
    """A kind for each thing that is no fixture; those of a row are alike."""
    asked = {wish.colour for wish in plan.story.things}
    free = [str(colour) for colour in rng.permutation([c for c in COLOURS if c not in asked])] * 2
    kinds: dict[int, Kind] = {}
    for k in plan.movable:
        wish, traits = plan.story.things[k], plan.traits(k)
        row = plan.relation("row", k)
        twin = next((kinds[j] for j in (row.a if row else ()) if isinstance(j, int) and j in kinds), None)
        if twin is not None and wish.shape == "domino":
            kinds[k] = twin
            continue
        shape = wish.shape or _drawn(rng, _SHAPES, traits)
        size = wish.size or _drawn(rng, _SIZES, traits)
        material = wish.material or _drawn(rng, _MATERIALS, traits)
        half = (
            twin.half_extents_m
            if twin is not None and twin.shape == shape
            else _half(rng, shape, size, traits)
        )
        role = "domino" if shape == "domino" else _ROLES.get(plan.motion(k) or "", "rester")
        kinds[k] = Kind(
            role, "box" if shape == "domino" else shape, wish.colour or free.pop(), material, half
        )
    return kinds


def _drawn(
    rng: np.random.Generator,
    table: tuple[tuple[frozenset[str], tuple[str, ...]], ...],
    traits: frozenset[str],
) -> str:
    return str(rng.choice(next(options for asks, options in table if asks <= traits)))


def _half(rng: np.random.Generator, shape: str, size: str, traits: frozenset[str]) -> Vector:
    """Half extents of a thing of a size; see `drawing.Draw`."""
    if shape == "domino":
        x, y, z = (half * (_BIG_DOMINO if size == "big" and "big" in traits else 1.0) for half in _DOMINO_M)
        return (x, y, z)
    half = float(rng.uniform(*HALF_EXTENTS_M[size]))
    slim = {"cylinder": rng.uniform(0.86, 1.0), "capsule": rng.uniform(0.8, 0.9)}.get(shape, 1.0)
    if shape in ("box", "cylinder") and ({"tall", "topples"} & traits):
        slim = (_TIPPING if "topples" in traits else _TALL) ** -0.5
    return (half * slim, half * slim, half / slim**2 if slim != 1.0 else half)
