"""Whether a world goes on as the exact one does from the same second, and answers to what the finger does.

P1: how far velocities are from the truth, also by how long ago the context ended. C1: whether a push that is
left out changes the outcome as it would. T1: whether the touch that goes with a given state is the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from scipy.ndimage import maximum_filter1d

from orrery.evaluation.dynamics import object_slots
from orrery.evaluation.feeling import FELT_N, felt_n
from orrery.evaluation.figure import Figure, Stretch, event_figure, interval
from orrery.evaluation.films import STREAMS
from orrery.evaluation.recording import Recording
from orrery.evaluation.rollouts import Held, feel, go_on, perturbed
from orrery.evaluation.suite import held_part
from orrery.streams import Array
from orrery.world import World
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.world import TabletopWorld

__all__ = ["is_pushed", "moves_freely", "moving", "steering_figures", "velocity_errors"]

HORIZONS_SECONDS = (0.25, 0.5, *(float(2**k) for k in range(7)))
"""Up to 64 times the context, which is a second."""
SHORT_SECONDS = 2.0
SCORED_SECONDS = 1.0
MOVED_M = 0.01
LEAST_ANSWER = 0.1
"""An outcome moves as it should if it goes at least this share of the way."""


def steering_figures(
    world: World, num_scenes: int, num_long: int = 0, advance: Callable[[], None] = lambda: None
) -> list[Figure]:
    """P1, C1 and T1 of `world` (of one scene), on `num_scenes` scenes that move by themselves and as many in
    which the finger pushes. num_long: how many of the former are followed for all of HORIZONS_SECONDS.
    advance: called after each scene."""
    mine, floors, answers, touches = [], [], [], []
    for held in [
        *held_part("free", num_long, HORIZONS_SECONDS[-1]),
        *held_part("free", num_scenes, SHORT_SECONDS)[num_long:],
    ]:
        floor = perturbed(held)
        assert floor is not None
        floors.append(velocity_errors(held, floor))
        mine.append(velocity_errors(held, go_on(world, held)))
        advance()
    for held in held_part("pushed", num_scenes, SHORT_SECONDS):
        answers.append(_answers(world, held))
        touches.append(_touch_errors(held, feel(world, held)))
        advance()
    return [
        _velocity_figure(mine, floors, world.spec.clock.frames_per_second),
        event_figure(
            "C1", "control", "wrong answers to a push left out", "share of objects", answers, None, 0.05, 0.2
        ),
        event_figure(
            "T1", "touch", "contact felt", "1 - F1 within a frame, mean", [t[:1] for t in touches], None,
            0.05, 0.2,
        ),
        event_figure(
            "T1", "touch", "force", "mean error over mean force", [t[1:] for t in touches], None, 0.1, 0.4
        ),
    ]  # fmt: skip


def moves_freely(held: Held) -> bool:
    """Whether something moves on, and not by the finger."""
    return held.scene.push is None and bool(moving(held))


def moving(held: Held) -> list[int]:
    """Slots of the objects that get elsewhere after the context, by MOVED_M."""
    way = STATE.get(held.truth.state, "position") - STATE.get(held.last, "position")
    moved = np.linalg.norm(way, axis=-1).max(0)
    return [slot for slot in object_slots(held.truth.state) if moved[slot] > MOVED_M]


def is_pushed(held: Held) -> bool:
    """Whether the finger pushes something, and only after the context."""
    return held.scene.push is not None and bool(len(_outcome(held.truth, _left_out(held))))


def _left_out(held: Held) -> Recording:
    """How the exact world goes on without the push."""
    return go_on(TabletopWorld(streams=STREAMS), held, _without_push(held))


def _without_push(held: Held) -> Array:
    """The episode's actions with a finger that only goes up and down after the context."""
    actions = held.actions.copy()
    actions[held.context_ticks :, ..., :2] = 0.0
    return actions


def _outcome(done: Recording, left_out: Recording) -> Array:
    """Slots of the objects that end elsewhere, by MOVED_M."""
    slots = np.array(object_slots(done.state), int)
    return slots[np.linalg.norm(_difference(done, left_out, slots), axis=-1) > MOVED_M]


def _difference(one: Recording, other: Recording, slots: Array) -> Array:
    """Between the places in which objects end, `[slots, 3]` m."""
    ends = (STATE.get(recording.state[-1, slots], "position") for recording in (one, other))
    return np.subtract(*ends)


def _answers(world: World, held: Held) -> Array:
    """1 for every object whose end the push does not move as it should, else 0."""
    left_out = _left_out(held)
    slots = _outcome(held.truth, left_out)
    true = _difference(held.truth, left_out, slots)
    found = _difference(go_on(world, held), go_on(world, held, _without_push(held)), slots)
    return ((true * found).sum(-1) < LEAST_ANSWER * (true**2).sum(-1)).astype(float)


def _touch_errors(held: Held, found: Recording) -> Array:
    """1 - F1 of the frames in which anything is felt, and the mean error of the force over its mean; nothing
    where in truth nothing is felt."""
    told, true = felt_n(found.touch), felt_n(held.truth.touch)
    felt, touched = told > FELT_N, true > FELT_N
    if not touched.any():
        return np.zeros(0)
    nearly_felt, nearly_touched = (maximum_filter1d(m.astype(int), 3) > 0 for m in (felt, touched))
    right = (felt & nearly_touched).sum() + (touched & nearly_felt).sum()
    f1 = right / (felt.sum() + touched.sum())
    return np.array([1.0 - f1, np.abs(told - true).mean() / true.mean()])


def velocity_errors(held: Held, found: Recording) -> Array:
    """Error of each moving object's velocity in each frame, `[objects, frames]` m/s, by its places."""
    step, slots = held.truth.frame_seconds, moving(held)
    velocities = [
        np.diff(STATE.get(np.concatenate([held.last[None], r.state])[:, slots], "position"), axis=0) / step
        for r in (found, held.truth)
    ]
    return np.linalg.norm(velocities[0] - velocities[1], axis=-1).T


def _velocity_figure(mine: Sequence[Array], floors: Sequence[Array], frames_per_second: int) -> Figure:
    """P1; its limits are those of the value over its floor."""

    def mean(errors: Sequence[Array], start: float, end: float) -> float | None:
        """Over those scenes that are followed so far."""
        frames = slice(round(start * frames_per_second), round(end * frames_per_second))
        told = [e[:, frames].ravel() for e in errors if e.shape[1] >= frames.stop]
        return float(np.concatenate(told).mean()) if told else None

    floor = mean(floors, 0.0, SCORED_SECONDS)
    low, high = interval(lambda chosen: mean([mine[k] for k in chosen], 0.0, SCORED_SECONDS), len(mine))
    curve = []
    for start, end in pairwise((0.0, *HORIZONS_SECONDS)):
        value, least = mean(mine, start, end), mean(floors, start, end)
        if value is not None and least is not None:
            curve.append(Stretch(start, end, value, least))
    return Figure(
        "P1", "physics", "velocity", "m/s, mean error over the first second", mean(mine, 0.0, SCORED_SECONDS),
        low, high, floor, 0.3 * (floor or 0.0), 1.0 * (floor or 0.0), 1.0, tuple(curve),
    )  # fmt: skip
