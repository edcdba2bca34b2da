"""What a story's things are drawn as: shape, size and material, where the sentence leaves them open.

The tables are read from the top: the first row all of whose traits (`Plan.traits`) a thing has is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from orrery.worlds.laboratory.drawing import ANY, ROUND, Draw, Kind, LabRequest, ThingRequest
from orrery.worlds.laboratory.scene import MESH, Vector
from orrery.worlds.laboratory.sentences.plan import Plan
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS
from orrery.worlds.rigid_bodies.mesh_file import MeshFile

__all__ = ["draw_kinds"]

_Table = Sequence[tuple[str, tuple[str, ...]]]
_HARD, _EASY = ("steel", "glass", "ceramic"), ("wood", "plastic")
_MATERIALS: _Table = (
    ("heavy", ("steel",)),
    ("light", ("plastic",)),
    ("counts", ("rubber",)),
    ("sends off", _EASY),  # it must not follow
    ("struck leaves box", _EASY),
    ("struck leaves", _HARD),
    ("strikes roll", _HARD),
    ("strikes swing", _HARD),
    ("strikes slide", _HARD),
    ("strikes fly", _HARD),
    ("struck", _EASY),
    ("topples", _EASY),
    ("slide", _EASY),
    ("", tuple(ALL_MATERIALS)),
)
_SIZES: _Table = (
    ("carried", ("small",)),
    ("topples together", ("small",)),
    ("base", ("big",)),
    ("strikes", ("big",)),
    ("stacked", ("small",)),
    ("crowd", ("small",)),
    ("", ("small", "big")),
)
_SHAPES: _Table = (
    ("stacked", ("box",)),
    ("topples", ("box", "cylinder")),
    ("strikes roll", ("ball",)),
    ("roll", ROUND),
    ("slide", ("box",)),
    ("swing", ("ball", "box")),
    ("spin", ("ball",)),
    ("", ANY),
)
_ROLES = {"roll": "roller", "slide": "roller", "fall": "faller", "fly": "flyer", "swing": "bob"}
MESH_MATERIAL = "plastic"
"""What a mesh of one's own is made of, where nothing is said."""
_DOMINO_M, _BIG_DOMINO = (0.008, 0.024, 0.048), 1.7
_SLIM = (("topples", 2.4), ("tall", 1.9))
"""How much taller than a cube of the same volume are those that are to tip over, and those that are tall."""


def draw_kinds(rng: np.random.Generator, plan: Plan) -> dict[int, Kind]:
    """A kind for each thing that is no fixture; those of a row are alike."""
    wishes = {k: plan.story.things[k] for k in plan.movable}
    draw = Draw(rng, LabRequest(roles={str(k): (ThingRequest(colour=w.colour),) for k, w in wishes.items()}))
    kinds: dict[int, Kind] = {}
    for k, wish in wishes.items():
        if wish.mesh is not None:
            role = _ROLES.get(plan.motion(k) or "", "rester")
            kinds[k] = Kind(role, MESH, "white", wish.material or MESH_MATERIAL, _half_extents(wish.mesh))
            continue
        row, traits = plan.relation("row", k), plan.traits(k)
        twin = next((kinds[j] for j in (row.a if row else ()) if isinstance(j, int) and j in kinds), None)
        if wish.shape == "domino":
            scale = _BIG_DOMINO if wish.size == "big" else 1.0
            x, y, z = (scale * half for half in _DOMINO_M)
            kind = draw.kind(str(k), ["box"], [wish.material or _drawn(draw, _MATERIALS, traits)])
            kinds[k] = twin or replace(kind, role="domino", half_extents_m=(x, y, z))
            continue
        asked = ((wish.shape, _SHAPES), (wish.material, _MATERIALS), (wish.size, _SIZES))
        shape, material, size = (said or _drawn(draw, table, traits) for said, table in asked)
        kind = draw.kind(str(k), [shape], [material], [size])
        x, y, z = kind.half_extents_m
        tall = next((by for trait, by in _SLIM if trait in traits and kind.shape in ("box", "cylinder")), 1.0)
        half = (x * tall**-0.5, y * tall**-0.5, z * tall)
        if twin is not None and twin.shape == kind.shape:
            half = twin.half_extents_m
        kinds[k] = replace(kind, role=_ROLES.get(plan.motion(k) or "", "rester"), half_extents_m=half)
    return kinds


def _half_extents(file: MeshFile) -> Vector:
    from orrery.worlds.rigid_bodies.mesh import read_mesh  # of the studio extra

    return read_mesh(file).half_extents_m


def _drawn(draw: Draw, table: _Table, traits: frozenset[str]) -> str:
    return draw.pick(next(options for asks, options in table if asks in traits or {*asks.split()} <= traits))
