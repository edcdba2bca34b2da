"""Whether a world goes on as the exact one does from the same second, and answers to what the finger does.

P1: how far velocities are from the truth, also by how long ago the context ended. C1: whether a push that is
left out changes the outcome as it would. T1: whether the touch that goes with a given state is the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import maximum_filter1d

from orrery.evaluation.dynamics import object_slots
from orrery.evaluation.feeling import FELT_N, felt_n
from orrery.evaluation.figure import Figure, Stretch, interval
from orrery.evaluation.films import STREAMS
from orrery.evaluation.recording import Recording
from orrery.evaluation.rollouts import Held, feel, go_on, held_out, perturbed
from orrery.streams import STATE, Array
from orrery.world import World
from orrery.worlds.tabletop import TabletopWorld

__all__ = ["steering_figures"]

HORIZONS_SECONDS = (0.25, 0.5, 1.0, 2.0)
"""Quarters, half, once and twice the context, which is a second."""
SCORED_SECONDS = 1.0
MOVED_M = 0.01
LEAST_ANSWER = 0.1
"""An outcome moves as it should if it goes at least this share of the way."""


def steering_figures(
    world: World, num_scenes: int, on_step: Callable[[int, int], None] | None = None
) -> list[Figure]:
    """P1, C1 and T1 of `world` (of one scene), on `num_scenes` scenes that move by themselves and as many in
    which the finger pushes. on_step: told how many scenes are done, and of how many."""
    free = held_out(num_scenes, HORIZONS_SECONDS[-1], _moves_freely)
    pushed = held_out(num_scenes, HORIZONS_SECONDS[-1], _is_pushed)
    on_step = on_step or (lambda done, total: None)
    mine, floors, answers, touches = [], [], [], []
    for done, held in enumerate(free, start=1):
        floor = perturbed(held)
        assert floor is not None
        floors.append(_velocity_errors(held, floor))
        mine.append(_velocity_errors(held, go_on(world, held)))
        on_step(done, 2 * num_scenes)
    for done, held in enumerate(pushed, start=1 + num_scenes):
        answers.append(_answers(world, held))
        touches.append(_touch_errors(held, feel(world, held)))
        on_step(done, 2 * num_scenes)
    return [
        _velocity_figure(mine, floors),
        _figure("C1", "control", "wrong answers to a push left out", "share of objects", answers, 0.05, 0.2),
        _figure(
            "T1", "touch", "contact felt", "1 - F1 within a frame, mean", [t[:1] for t in touches], 0.05, 0.2
        ),
        _figure("T1", "touch", "force", "mean error over mean force", [t[1:] for t in touches], 0.1, 0.4),
    ]


def _moves_freely(held: Held) -> bool:
    """Whether something moves on, and not by the finger."""
    return held.scene.push is None and bool(_moving(held))


def _moving(held: Held) -> list[int]:
    """Slots of the objects that get elsewhere after the context, by MOVED_M."""
    way = STATE.get(held.truth.state, "position") - STATE.get(held.last, "position")
    moved = np.linalg.norm(way, axis=-1).max(0)
    return [slot for slot in object_slots(held.truth.state) if moved[slot] > MOVED_M]


def _is_pushed(held: Held) -> bool:
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


def _velocity_errors(held: Held, found: Recording) -> Array:
    """Error of each moving object's velocity in each frame, `[objects, frames]` m/s, by its places."""
    step, slots = held.truth.frame_seconds, _moving(held)
    velocities = [
        np.diff(STATE.get(np.concatenate([held.last[None], r.state])[:, slots], "position"), axis=0) / step
        for r in (found, held.truth)
    ]
    return np.linalg.norm(velocities[0] - velocities[1], axis=-1).T


def _velocity_figure(mine: Sequence[Array], floors: Sequence[Array]) -> Figure:
    """P1; its limits are those of the value over its floor."""
    rate = mine[0].shape[1] / HORIZONS_SECONDS[-1]

    def mean(errors: Sequence[Array], start: float, end: float) -> float:
        return float(np.concatenate(errors)[:, round(start * rate) : round(end * rate)].mean())

    floor = mean(floors, 0.0, SCORED_SECONDS)
    low, high = interval(lambda chosen: mean([mine[k] for k in chosen], 0.0, SCORED_SECONDS), len(mine))
    curve = tuple(
        Stretch(start, end, mean(mine, start, end), mean(floors, start, end))
        for start, end in zip((0.0, *HORIZONS_SECONDS), HORIZONS_SECONDS, strict=False)
    )
    return Figure(
        "P1", "physics", "velocity", "m/s, mean error over the first second", mean(mine, 0.0, SCORED_SECONDS),
        low, high, floor, 0.3 * floor, 1.0 * floor, 1.0, curve,
    )  # fmt: skip


def _figure(
    id: str, section: str, name: str, statistic: str, samples: Sequence[Array], passes: float, fails: float
) -> Figure:
    """The mean of samples that the exact world has none of: its floor is 0."""

    def mean(chosen: Array) -> float | None:
        values = np.concatenate([samples[k] for k in chosen])
        return float(values.mean()) if len(values) else None

    value = mean(np.arange(len(samples)))
    low, high = interval(mean, len(samples))
    return Figure(
        id, section, name, statistic, value, low, high, 0.0, passes, fails, float(value is not None)
    )
