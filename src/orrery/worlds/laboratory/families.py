"""Scene families: what may be set up in the laboratory, in one table.

To add a family, write a function that takes a `Draw` and returns a `Layout`, and name it in `FAMILIES`;
sentences for it go into `tales.TALES`. Roles are what the sentences speak of (`roller`, `target`, ...); a
scene's things are listed role by role, in the order in which the family's function lists them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from orrery.errors import UserError, nearest
from orrery.worlds.laboratory.drawing import Draw, LabRequest, Layout, NoRoom
from orrery.worlds.laboratory.finger_families import lift, poke, push
from orrery.worlds.laboratory.mechanisms import dominoes, pendulum, ramp, seesaw
from orrery.worlds.laboratory.on_the_table import container, occluder, plain, stack, wall
from orrery.worlds.laboratory.scene import BACKGROUNDS, LIGHTS, MOVES, SIDES, LabScene, Orbit
from orrery.worlds.rigid_bodies.materials import SURFACES

__all__ = ["FAMILIES", "Family", "sample_laboratory"]

Family = Callable[[Draw], Layout]

FAMILIES: dict[str, Family] = {
    "plain": plain,
    "ramp": ramp,
    "wall": wall,
    "dominoes": dominoes,
    "pendulum": pendulum,
    "stack": stack,
    "see-saw": seesaw,
    "container": container,
    "occluder": occluder,
    "push": push,
    "lift": lift,
    "poke": poke,
}
"""Name to function, in the order in which people are told of them."""


def sample_laboratory(rng: np.random.Generator, request: LabRequest | None = None) -> LabScene:
    """A random scene that satisfies `request`; what it leaves open is drawn from `rng`.

    What is told to happen is not drawn here: whoever can run the scene must see to it. UserError for a family
    that there is none of, and for what a family cannot hold.
    """
    request = request or LabRequest()
    family = request.family or str(rng.choice(list(FAMILIES)))
    if family not in FAMILIES:
        raise UserError(f"no scene family {family!r}; perhaps {' or '.join(nearest(family, FAMILIES))}")
    for _ in range(100):
        try:
            layout = FAMILIES[family](Draw(rng, request))
        except NoRoom:
            continue
        return LabScene(
            family, layout.things, layout.fixtures, _orbit(rng, request),
            request.surface or str(rng.choice(list(SURFACES))), request.light or
            str(rng.choice(list(LIGHTS))), str(rng.choice(list(BACKGROUNDS))), layout.task, layout.ignored,
        )  # fmt: skip
    raise UserError("no room on the table for all of these; ask for fewer or smaller things")


def _orbit(rng: np.random.Generator, request: LabRequest) -> Orbit:
    side = request.side or str(rng.choice(list(SIDES)))
    move = request.move or str(rng.choice(MOVES, p=(0.4, 0.2, 0.15, 0.15, 0.1)))
    top = {"orbits": 0.35, "dollies": 0.10, "sways": 0.10, "is steered": 0.35}.get(move, 0.0)
    speed = float(rng.uniform(0.5, 1.0) * rng.choice((-1, 1))) * top
    return Orbit(
        side, math.radians(SIDES[side] + float(rng.uniform(-6, 6))), math.radians(float(rng.uniform(22, 32))),
        float(rng.uniform(1.02, 1.16)), move, speed, int(rng.integers(2**31)),
    )  # fmt: skip
