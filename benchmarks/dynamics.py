"""It moves like physics: rollouts from one second of exact context, resting drift, sinking, bounces.

Scenes are drawn until enough of them still move when the context ends. The world gets every stream of the
first second but the pictures, and then only the finger's actions. Errors are those of its own state stream.
Beside it: constant velocity and doing nothing from the same last frame, and the floor, the exact world begun
again half a millimetre off.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
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
from orrery.evaluation.films import STREAMS
from orrery.evaluation.rollouts import FIRST_SEED, MOVING_M_S, Held, go_on, held_out, perturbed
from orrery.evaluation.statistics import median_interval
from orrery.streams import Array
from orrery.worlds.rigid_bodies.materials import MATERIAL_TABLE
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.world import TabletopWorld

HORIZONS_SECONDS = (0.25, 0.5, 1.0, 2.0)
RESTING_M = 0.001
BOUNCE_SEED = 930_000


@dataclass
class Settings:
    """model: folder of a checkpoint, or `exact`. num_scenes: rollouts. num_drops: dropped balls per
    material."""

    model: str = EXACT
    num_scenes: int = 100
    num_drops: int = 8


@dataclass
class Tally:
    """Errors by method, horizon and group, and what else the rollouts show."""

    errors: dict[tuple[str, float, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    drift_mm_s: list[float] = field(default_factory=list)
    lowest_mm: list[float] = field(default_factory=list)

    def add(self, method: str, held: Held, future: Array, step_seconds: float) -> None:
        """One rollout. future: `[frames, slots, D]` after the context."""
        truth, start = held.truth.state, held.last
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
        truth = np.concatenate([held.last[None], held.truth.state])
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


def motion(subject: Subject, episodes: list[Held]) -> dict[str, Any]:
    """Errors, drift and sinking of a world over all episodes, with baselines and floor."""
    world = None if subject.is_exact else subject.open(STREAMS)
    step_seconds = 1.0 / TabletopWorld(streams=["state"]).spec.clock.frames_per_second
    tally = Tally()
    for held in progress(episodes, f"{subject.model}: rollouts"):
        num_future = len(held.truth.state)
        seconds = step_seconds * np.arange(1, num_future + 1)
        for baseline in BASELINES:
            guess = np.repeat(held.last[None], num_future, axis=0)
            guess[..., STATE.slice("position")] = baseline_positions(held.last, seconds, baseline)
            tally.add(baseline, held, guess, step_seconds)
        floor = perturbed(held)
        if floor is not None:
            tally.add("exact, 0.5 mm off", held, floor.state, step_seconds)
        future = held.truth.state if world is None else go_on(world, held).state
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
    episodes = held_out(settings.num_scenes, max(HORIZONS_SECONDS))
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
