"""Whether a thing that passes behind another comes out again, where and when it should (P6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from orrery.evaluation.figure import Figure, event_figure
from orrery.evaluation.physics import stretches
from orrery.evaluation.recording import Recording
from orrery.evaluation.rollouts import Held, go_on, perturbed
from orrery.evaluation.suite import SHORT_CONTEXT_SECONDS, held_part
from orrery.streams import Array
from orrery.world import World
from orrery.worlds.rigid_bodies.state import STATE

__all__ = ["Passage", "come_out", "hidden_figure", "passages"]

SECONDS = 1.75
HIDDEN_FRAMES = 3
SEEN_FRAMES = 2
WITHIN_FRAMES = 2
WITHIN_RADII = 0.5


class Passage(NamedTuple):
    """slot: what passes out of sight. hidden: the frames in which nothing of it is seen."""

    slot: int
    hidden: slice


def passages(held: Held) -> list[Passage]:
    """Every time that an object is seen, then hidden for HIDDEN_FRAMES or more, then seen again, in the exact
    world after the context."""
    found = []
    for slot in held.truth.slots:
        seen = STATE.get(held.truth.state[:, slot], "visible")[:, 0] > 0.5
        for run in stretches(~seen):
            before, after = seen[: run.start][-SEEN_FRAMES:], seen[run.stop :][:SEEN_FRAMES]
            whole = len(before) == len(after) == SEEN_FRAMES and before.all() and after.all()
            if whole and run.stop - run.start >= HIDDEN_FRAMES:
                found.append(Passage(slot, run))
    return found


def come_out(held: Held, found: Recording) -> Array:
    """Of each passage, 1 if the object is not within half its radius of where it should come out, within two
    frames of when it should; else 0."""
    missing = []
    for slot, hidden in passages(held):
        place = STATE.get(held.truth.state[hidden.stop, slot], "position")
        span = slice(max(0, hidden.stop - WITHIN_FRAMES), hidden.stop + WITHIN_FRAMES + 1)
        body = found.state[span, slot]
        there = STATE.get(body, "present")[:, 0] > 0.5
        off = np.linalg.norm(STATE.get(body, "position") - place, axis=-1)
        radius = float(STATE.get(held.truth.state[0, slot], "size").min())
        missing.append(not (there & (off <= WITHIN_RADII * radius)).any())
    return np.array(missing, float)


def hidden_figure(world: World, num_scenes: int, advance: Callable[[], None] = lambda: None) -> Figure:
    """P6 of a world of one scene, on the first scenes of the suite's part `behind`. advance: called after
    each."""
    mine, floors = [], []
    for held in held_part("behind", num_scenes, SECONDS, SHORT_CONTEXT_SECONDS):
        floor = perturbed(held)
        assert floor is not None
        mine.append(come_out(held, go_on(world, held)))
        floors.append(come_out(held, floor))
        advance()
    return event_figure(
        "P6", "identity", "lost behind another thing",
        "share not within half a radius and 2 frames of where they come out", mine, floors, 0.01, 0.05,
    )  # fmt: skip
