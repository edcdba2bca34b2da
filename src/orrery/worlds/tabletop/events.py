"""A sentence in a scene that is under way: what it says happens, from there as things stand.

It is read as the sentence that a scene starts from is, with what is on the table known already.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from orrery.errors import UserError
from orrery.streams import Array
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, lying
from orrery.worlds.tabletop.finger import keeps_off
from orrery.worlds.tabletop.language import parse
from orrery.worlds.tabletop.scene import (
    MOTION_STARTS,
    Body,
    BodyRequest,
    Scene,
    fill_wishes,
    is_clear,
    sample_body,
    sample_push,
)

__all__ = ["with_event"]

_DRAWS = 1000
_EXAMPLE = 'such as "the red ball rolls to the left" or "a ball falls"'


def with_event(scene: Scene, sentence: str, finger_m: Array, rng: np.random.Generator) -> Scene:
    """How a scene goes on once `sentence` is said.

    scene: as things stand now. finger_m: where the finger is, `[3]`. What the sentence leaves open is drawn
    from `rng`. UserError for one that is not understood, asks for nothing, or has no room.
    """
    known = [BodyRequest(b.shape, b.colour, b.material, b.size_word) for b in scene.bodies]
    asked = parse(sentence, known)
    moved = [k for k, body in enumerate(asked.bodies) if k >= len(known) or body.motion or body.direction]
    if not moved and asked.camera in (None, scene.camera):
        raise UserError(f"the sentence changes nothing here; say what is to move, {_EXAMPLE}")
    rest = (wish if k in moved else replace(wish, motion="rests") for k, wish in enumerate(asked.bodies))
    wishes = fill_wishes(rng, tuple(rest))
    bodies = list(scene.bodies)
    for k in moved:
        bodies[k : k + 1] = [_placed(bodies, k, wishes[k], finger_m, rng)]
    pushed = [k for k in moved if bodies[k].motion == "pushed"]
    push = sample_push(rng, pushed[0], bodies[pushed[0]]) if pushed else None
    return Scene(tuple(bodies), asked.camera or scene.camera, push)


def _placed(
    bodies: Sequence[Body], slot: int, wish: BodyRequest, finger_m: Array, rng: np.random.Generator
) -> Body:
    """The body of a slot as it sets out, clear of the others and of the finger where it is put anew."""
    others = [body for k, body in enumerate(bodies) if k != slot]
    for _ in range(_DRAWS):
        body = _set_out(bodies[slot], wish, rng) if slot < len(bodies) else sample_body(rng, wish)
        stays = slot < len(bodies) and body.position_m == bodies[slot].position_m
        if stays or (keeps_off(body, finger_m) and all(is_clear(body, other) for other in others)):
            return body
    raise UserError(f"there is no room for the {wish.colour} {wish.shape}; wait until things have settled")


def _set_out(body: Body, wish: BodyRequest, rng: np.random.Generator) -> Body:
    """A body that is there, about to do what is wished: from where it is, but for one that is dropped, which
    is lifted first, and a cylinder that is to roll, which is laid on its side."""
    motion, direction = wish.motion or "rests", wish.direction
    towards = np.array(DIRECTIONS[direction]) if direction else np.zeros(2)
    position, velocity, spin = MOTION_STARTS[motion](rng, body.half_extent_m, towards)
    body = replace(
        body,
        linear_velocity_m_s=tuple(velocity.tolist()),
        angular_velocity_rad_s=tuple(spin.tolist()),
        motion=motion,
        direction=direction,
    )
    if motion == "drops":
        x, y, z = body.position_m
        return replace(body, position_m=(x, y, max(z, float(position[2]))))
    if motion == "rolls" and body.shape == "cylinder":
        return replace(body, quaternion=lying(math.atan2(towards[1], towards[0])))
    return body
