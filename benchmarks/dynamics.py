"""It moves like physics: rollouts from one second of exact context, resting drift, sinking, bounces.

Scenes are drawn until enough of them still move when the context ends. The world gets every stream of the
first second and then only the finger's actions. Errors are those of its own state stream. Beside it: constant
velocity and doing nothing from the same last frame, and the floor, the exact world begun again half a
millimetre off.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tyro

from harness import EXACT, Subject, frames_of, progress, save, show, ticks_of
from orrery.evaluation.dynamics import (
    BASELINES,
    baseline_positions,
    first_bounce,
    lowest_points,
    object_slots,
    position_errors,
    shape_of,
    speeds,
)
from orrery.evaluation.statistics import median_interval
from orrery.scenes.materials import MATERIAL_TABLE
from orrery.scenes.scene import Body, Scene
from orrery.streams import STATE, Array
from orrery.worlds.tabletop import TabletopWorld

HORIZONS_SECONDS = (0.25, 0.5, 1.0, 2.0)
CONTEXT_SECONDS = 1.0
MOVING_M_S = 0.03
RESTING_M = 0.001
PERTURBATION_M = 0.0005
FIRST_SEED = 920_000
BOUNCE_SEED = 930_000


@dataclass
class Settings:
    """model: folder of a checkpoint, or `exact`. num_scenes: rollouts. num_drops: dropped balls per
    material."""

    model: str = EXACT
    num_scenes: int = 100
    num_drops: int = 8


@dataclass(frozen=True)
class Held:
    """A held-out episode. state: `[frames, slots, D]` of context and horizon. actions: `[ticks, ...]`.

    given: the streams of the context, `[1, context_ticks, ...]`. scene: as the exact world began it.
    """

    seed: int
    state: Array
    actions: Array
    given: dict[str, Array]
    scene: Scene


@dataclass
class Tally:
    """Errors by method, horizon and group, and what else the rollouts show."""

    errors: dict[tuple[str, float, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    drift_mm_s: list[float] = field(default_factory=list)
    lowest_mm: list[float] = field(default_factory=list)

    def add(self, method: str, held: Held, future: Array, step_seconds: float) -> None:
        """One rollout. future: `[frames, slots, D]` after the context."""
        truth = held.state[-len(future) :]
        start = held.state[-len(future) - 1]
        errors = position_errors(future, truth)
        moved = np.linalg.norm(STATE.get(truth, "position") - STATE.get(start, "position"), axis=-1).max(0)
        for slot in object_slots(truth):
            groups = ["all"]
            if speeds(start)[slot] > MOVING_M_S or moved[slot] > 10 * RESTING_M:
                groups += ["moving", f"moving {shape_of(truth, slot)}"]
            for horizon in HORIZONS_SECONDS:
                error = float(errors[round(horizon / step_seconds) - 1, slot])
                for group in groups:
                    self.errors[method, horizon, group].append(error)

    def add_rest(self, held: Held, future: Array, step_seconds: float) -> None:
        """How far things creep that in truth stay, and how deep anything sinks."""
        truth = held.state[-len(future) - 1 :]
        travel = np.linalg.norm(STATE.get(truth, "position") - STATE.get(truth[0], "position"), axis=-1).max(
            0
        )
        for slot in object_slots(truth):
            self.lowest_mm.append(1000 * float(lowest_points(future)[:, slot].min()))
            if travel[slot] < RESTING_M:
                gone = np.linalg.norm(
                    STATE.get(future[-1], "position") - STATE.get(truth[0], "position"), axis=-1
                )
                self.drift_mm_s.append(1000 * float(gone[slot]) / (len(future) * step_seconds))

    def figures(self) -> dict[str, Any]:
        """Plain values: median errors in mm by method, horizon and group; drift; the lowest points."""
        table: dict[str, Any] = {}
        for (method, horizon, group), errors in self.errors.items():
            place = table.setdefault(group, {}).setdefault(f"{horizon:g} s", {})
            place[method] = median_interval(1000 * np.array(errors))
        return {
            "position_error_mm": table,
            "resting_drift_mm_s": median_interval(np.array(self.drift_mm_s)),
            "lowest_point_mm": {
                "min": min(self.lowest_mm, default=None),
                "p1": float(np.percentile(self.lowest_mm, 1)) if self.lowest_mm else None,
                "objects": len(self.lowest_mm),
            },
        }


def held_out(num_scenes: int) -> list[Held]:
    """Episodes in which something still moves, or is about to be pushed, when the context ends."""
    quick = TabletopWorld(streams=["state", "action"])
    whole = TabletopWorld()
    clock = whole.spec.clock
    num_context = clock.num_ticks(CONTEXT_SECONDS)
    num_ticks = num_context + clock.num_ticks(max(HORIZONS_SECONDS))
    episodes: list[Held] = []
    seed = FIRST_SEED
    while len(episodes) < num_scenes:
        ticks = list(ticks_of(quick, seed, num_ticks))
        state = frames_of(ticks, "state")
        at_end = state[num_context * clock.frames_per_tick - 1]
        if any(speeds(at_end)[slot] > MOVING_M_S for slot in object_slots(state)):
            context = list(ticks_of(whole, seed, num_context))
            given = {name: np.stack([tick[name][0] for tick in context])[None] for name in whole.spec.streams}
            actions = np.stack([tick["action"][0] for tick in ticks])
            episodes.append(Held(seed, state, actions, given, Scene.from_json(quick.scene())))
        seed += 1
    return episodes


def rollout(subject: Subject, world: Any, held: Held) -> Array:
    """The states after the context, `[frames, slots, D]`, as the world goes on from it."""
    num_future = _num_future(held)
    given = {name: values for name, values in held.given.items() if name in world.spec.streams}
    ticks = list(ticks_of(world, held.seed, len(held.actions), actions=held.actions, given=given))
    return frames_of(ticks, "state")[-num_future:]


def _num_future(held: Held) -> int:
    return len(held.state) - held.given["state"].shape[1] * held.given["state"].shape[2]


def perturbed(held: Held) -> Array | None:
    """The floor: the exact world from the context's last frame, each object moved by half a millimetre.

    None where the finger is at work, since its script cannot be begun half-way.
    """
    if held.scene.push is not None:
        return None
    num_future = _num_future(held)
    last = held.state[-num_future - 1]
    rng = np.random.default_rng(held.seed)
    bodies = tuple(_moved(rng, body, last[slot]) for slot, body in enumerate(held.scene.bodies))
    world = TabletopWorld(streams=["state"])
    num_ticks = num_future // world.spec.clock.frames_per_tick
    return frames_of(list(ticks_of(world, 0, num_ticks, scene=replace(held.scene, bodies=bodies))), "state")


def _moved(rng: np.random.Generator, body: Body, state: Array) -> Body:
    """The body as `state [D]` has it, off by PERTURBATION_M in a random horizontal direction."""
    angle = rng.uniform(0, 2 * np.pi)
    offset = PERTURBATION_M * np.array([np.cos(angle), np.sin(angle), 0.0])

    def read(name: str) -> Any:
        return tuple(float(v) for v in STATE.get(state, name))

    return replace(
        body,
        position_m=tuple(float(v) for v in STATE.get(state, "position") + offset),
        quaternion=read("quaternion"),
        linear_velocity_m_s=read("linear_velocity"),
        angular_velocity_rad_s=read("angular_velocity"),
    )


def motion(subject: Subject, episodes: list[Held]) -> dict[str, Any]:
    """Errors, drift and sinking of a world over all episodes, with baselines and floor."""
    world = None if subject.is_exact else subject.open()
    step_seconds = 1.0 / TabletopWorld(streams=["state"]).spec.clock.frames_per_second
    tally = Tally()
    for held in progress(episodes, f"{subject.model}: rollouts"):
        num_future = _num_future(held)
        last = held.state[-num_future - 1]
        seconds = step_seconds * np.arange(1, num_future + 1)
        for baseline in BASELINES:
            guess = np.repeat(last[None], num_future, axis=0)
            guess[..., STATE.slice("position")] = baseline_positions(last, seconds, baseline)
            tally.add(baseline, held, guess, step_seconds)
        floor = perturbed(held)
        if floor is not None:
            tally.add("exact, 0.5 mm off", held, floor, step_seconds)
        future = held.state[-num_future:] if world is None else rollout(subject, world, held)
        if world is not None:
            tally.add("model", held, future, step_seconds)
        tally.add_rest(held, future, step_seconds)
    return tally.figures()


def bounces(subject: Subject, num_drops: int) -> dict[str, Any]:
    """First rebound over drop height of balls dropped by a sentence, by material."""
    world = subject.open(["state"])
    clock = world.spec.clock
    result = {}
    for number, material in enumerate(progress(list(MATERIAL_TABLE), f"{subject.model}: drops")):
        ratios = []
        for drop in range(num_drops):
            seed = BOUNCE_SEED + 100 * number + drop
            ticks = ticks_of(world, seed, clock.num_ticks(1.5), prompt=f"a red {material} ball drops")
            state = frames_of(list(ticks), "state")
            falls = [first_bounce(state, slot, 1 / clock.frames_per_second) for slot in object_slots(state)]
            ratios += [fall.ratio for fall in falls if fall is not None]
        result[material] = {**median_interval(np.array(ratios)), "drops": num_drops}
    return result


def main(settings: Settings) -> None:
    subject, exact = Subject(settings.model), Subject(EXACT)
    episodes = held_out(settings.num_scenes)
    figures: dict[str, Any] = {
        "exact": {**motion(exact, episodes), "bounce": bounces(exact, settings.num_drops)}
    }
    if not subject.is_exact:
        figures["figures"] = {**motion(subject, episodes), "bounce": bounces(subject, settings.num_drops)}
    score, floor = figures.get("figures", figures["exact"]), figures["exact"]
    _show_errors(score["position_error_mm"], len(episodes))
    materials = [[m, score["bounce"][m]["median"], floor["bounce"][m]["median"], ""] for m in MATERIAL_TABLE]
    drift, floor_drift = score["resting_drift_mm_s"], floor["resting_drift_mm_s"]
    show(
        "At rest, and bounces",
        ["", subject.model, EXACT, "bar"],
        [
            ["resting drift, median, mm/s", drift["median"], floor_drift["median"], "< 5"],
            ["resting drift, 95th percentile, mm/s", drift["p95"], floor_drift["p95"], ""],
            [
                "lowest point of any object, mm",
                score["lowest_point_mm"]["min"],
                floor["lowest_point_mm"]["min"],
                "0",
            ],
            [
                "the same, 1st percentile of objects",
                score["lowest_point_mm"]["p1"],
                floor["lowest_point_mm"]["p1"],
                "0",
            ],
            *[[f"rebound over drop, {row[0]}", *row[1:]] for row in materials],
        ],
    )
    save("dynamics", subject, figures, seed=FIRST_SEED)


def _show_errors(table: dict[str, Any], num_scenes: int) -> None:
    """Median position errors, one row for each group and method."""
    rows = []
    for group in sorted(table):
        horizons = table[group]
        methods = list(next(iter(horizons.values())))
        for method in methods:
            medians = [places[method]["median"] for places in horizons.values()]
            rows.append([f"{group}: {method}", *medians, next(iter(horizons.values()))[method]["count"]])
    columns = ["median position error, mm", *[f"{h:g} s" for h in HORIZONS_SECONDS], "objects"]
    show(f"{num_scenes} rollouts from one second of exact context", columns, rows)


if __name__ == "__main__":
    main(tyro.cli(Settings))
