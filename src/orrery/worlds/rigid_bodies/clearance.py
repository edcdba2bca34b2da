"""What lies in what: bodies in one place at the start, or on a way that something is to take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import mujoco

from orrery.streams import Array

__all__ = ["Overlap", "overlaps", "overlaps_on_the_way"]

OVERLAP_M = 0.002
"""Depth up to which bodies touch; the deeper are in one place."""


class Overlap(NamedTuple):
    """Two bodies, by their names in the model (`world` is the table), and how deep they are in each other."""

    a: str
    b: str
    depth_m: float


def overlaps(model: mujoco.MjModel, data: mujoco.MjData) -> list[Overlap]:
    """Bodies that are in one place where `data` has them; `data` has been through `mj_forward`."""
    found: list[Overlap] = []
    for contact in data.contact:
        if contact.dist < -OVERLAP_M:
            a, b = (model.body(int(model.geom_bodyid[geom])).name for geom in contact.geom)
            found.append(Overlap(a, b, -float(contact.dist)))
    return found


def overlaps_on_the_way(
    model: mujoco.MjModel, data: mujoco.MjData, pose: int, places_m: Iterable[Array]
) -> Iterable[list[Overlap]]:
    """What a body would be in at each of the places `[2 or 3]`, all else being where `data` has it. pose:
    where the body's position begins in `qpos`."""
    tried = mujoco.MjData(model)
    tried.qpos[:] = data.qpos
    for place in places_m:
        tried.qpos[pose : pose + len(place)] = place
        mujoco.mj_kinematics(model, tried)
        mujoco.mj_collision(model, tried)
        yield overlaps(model, tried)
