"""Whether a strike passes on the momentum that it should (P4).

The table takes part in every strike: of what a box gets, friction takes most within a frame. So what two
bodies have after a strike is held against what they have in the exact world, from the same instant shortly
before it: a strike that is missed, or comes from nothing, or passes too much or too little is wrong by that
much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from orrery.evaluation.dynamics import lowest_points
from orrery.evaluation.figure import Figure, event_figure
from orrery.evaluation.physics import mass_kg, rim_gap
from orrery.evaluation.recording import Recording
from orrery.evaluation.rollouts import Held, go_on, hold, perturbed
from orrery.evaluation.suite import first_scenes
from orrery.streams import Array
from orrery.world import World
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.scene import Scene

__all__ = ["Strike", "before_the_strike", "momentum_errors", "momentum_figure", "strikes"]

LEAD_FRAMES = 4
"""How long before a strike the context ends."""
AFTER_FRAMES = 4
"""Frames after a strike over which what each body has is taken."""
ALONE_M = 0.008
"""What else is this near may push too."""
LEAST_CHANGE_M_S = 0.12
"""A strike that changes no velocity by this passes too little to take a share of."""
LONGEST_SECONDS = 2.5


class Strike(NamedTuple):
    """frame: nearest to it. slots: the two. passed: momentum that went from one to the other, kg m/s."""

    frame: int
    slots: tuple[int, int]
    passed: float


def strikes(recording: Recording) -> list[Strike]:
    """Every strike between two objects that touch nothing else but the table, LEAD_FRAMES or more after the
    recording's start, in order of time."""
    found = []
    for number, one in enumerate(recording.slots):
        for other in recording.slots[number + 1 :]:
            alone = _alone(recording, one, other)
            for frame in _meetings(recording, one, other):
                span = slice(frame - LEAD_FRAMES, frame + AFTER_FRAMES + 2)
                whole = span.start >= 0 and span.stop <= len(recording.state)
                passed, change = _passed(recording, frame, (one, other)) if whole else (0.0, 0.0)
                if change > LEAST_CHANGE_M_S and alone[span].all():
                    found.append(Strike(frame, (one, other), passed))
    return sorted(found)


def _meetings(recording: Recording, one: int, other: int) -> list[int]:
    """Frames at which two bodies are nearest, and near enough to have touched between frames."""
    gap = recording.gaps[:, one, other]
    position = STATE.get(recording.state[:, [one, other]], "position")
    closing = np.linalg.norm(np.diff(position[:, 0] - position[:, 1], axis=0), axis=-1)
    reach = np.maximum(np.append(closing, 0.0), np.append(0.0, closing)) / 2 + 0.002
    dips = (gap[1:-1] <= gap[:-2]) & (gap[1:-1] < gap[2:]) & (gap[1:-1] < reach[1:-1])
    return (np.flatnonzero(dips) + 1).tolist()


def _alone(recording: Recording, one: int, other: int) -> Array:
    """Frames in which nothing but the table and each other is near the two, `[frames]` bool."""
    low = lowest_points(recording.state)
    others = [k for k in range(recording.state.shape[1]) if k not in (one, other)]
    clear = []
    for slot in (one, other):
        clear.append(rim_gap(recording.state[:, slot], low[:, slot]) > ALONE_M)
        clear.append(recording.gaps[:, slot, others].min(-1) > ALONE_M)
    return np.all(clear, axis=0)


def _passed(recording: Recording, frame: int, slots: tuple[int, int]) -> tuple[float, float]:
    """By how much a strike at `frame` changes the momentum of the one that it changes most, kg m/s, and that
    one's velocity, m/s; none where one of the two is not moved at all, for then they only pass by."""
    most, changes = (0.0, 0.0), []
    for slot in slots:
        place = STATE.get(recording.state[:, slot], "position").astype(float)
        before, after = place[frame - 1] - place[frame - 2], place[frame + 2] - place[frame + 1]
        changes.append(float(np.linalg.norm((after - before)[:2])) / recording.frame_seconds)
        most = max(most, (changes[-1] * mass_kg(recording, slot), changes[-1]))
    return most if min(changes) > LEAST_CHANGE_M_S / 4 else (0.0, 0.0)


def before_the_strike(seed: int, scene: Scene) -> Held:
    """A scene held shortly before its first strike, as the exact world has it; the context is what goes
    before. Raises ValueError where nothing strikes."""
    beginning = 0.25
    whole = hold(seed, LONGEST_SECONDS, scene, beginning)
    found = strikes(whole.truth)
    if not found:
        raise ValueError("nothing strikes anything in this scene")
    start = beginning + (found[0].frame - LEAD_FRAMES - 1) * whole.truth.frame_seconds  # a whole tick ends it
    return hold(seed, (LEAD_FRAMES + AFTER_FRAMES + 4) * whole.truth.frame_seconds, scene, start)


def momentum_errors(held: Held, found: Recording) -> Array:
    """How far both bodies' momentum is off after the first strike, as a share of what passed in it, `[1]`."""
    strike = strikes(held.truth)[0]
    start = strike.frame + 1
    off = 0.0
    for slot in strike.slots:
        moved = [
            STATE.get(r.state[[start, start + AFTER_FRAMES], slot], "position").astype(float)
            for r in (found, held.truth)
        ]
        way = np.linalg.norm(np.diff(moved[0], axis=0) - np.diff(moved[1], axis=0))
        off += mass_kg(held.truth, slot) * float(way) / (AFTER_FRAMES * held.truth.frame_seconds)
    return np.array([off / 2 / strike.passed])


def momentum_figure(world: World, num_scenes: int, advance: Callable[[], None] = lambda: None) -> Figure:
    """P4 of a world of one scene, on the first scenes of the suite's part `striking`. advance: called after
    each."""
    mine, floors = [], []
    for seed, scene in enumerate(first_scenes("striking", num_scenes)):
        held = before_the_strike(seed, scene)
        floor = perturbed(held)
        assert floor is not None
        mine.append(momentum_errors(held, go_on(world, held)))
        floors.append(momentum_errors(held, floor))
        advance()
    return event_figure(
        "P4", "physics", "momentum after a strike", "error over what passes, mean", mine, floors, 0.05, 0.20
    )
