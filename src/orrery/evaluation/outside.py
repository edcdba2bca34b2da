"""How much worse motion is told outside of what models train on (P2).

As in PhyWorld (arXiv 2411.02385): a few frames of context, then the error of the velocities, over the same
error in scenes of the usual kind. The exact world begun again half a millimetre off is the floor: fast things
part faster from where they should be, whoever moves them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from orrery.evaluation.figure import Figure, interval
from orrery.evaluation.rollouts import go_on, perturbed
from orrery.evaluation.steering import velocity_errors
from orrery.evaluation.suite import OUTSIDE, SHORT_CONTEXT_SECONDS, held_part
from orrery.streams import Array
from orrery.world import World

__all__ = ["outside_figures"]

SCORED_SECONDS = 1.0
USUAL = "usual"


def outside_figures(
    world: World, num_scenes: int, advance: Callable[[], None] = lambda: None
) -> list[Figure]:
    """P2 of each part outside, on `num_scenes` of each part and as many of the usual one. advance: called
    after each scene."""
    mine: dict[str, list[Array]] = {}
    floors: dict[str, list[Array]] = {}
    for part in (USUAL, *OUTSIDE):
        for held in held_part(part, num_scenes, SCORED_SECONDS, SHORT_CONTEXT_SECONDS):
            floor = perturbed(held)
            assert floor is not None
            mine.setdefault(part, []).append(velocity_errors(held, go_on(world, held)))
            floors.setdefault(part, []).append(velocity_errors(held, floor))
            advance()
    return [_figure(part, mine, floors) for part in OUTSIDE]


def _figure(part: str, mine: Mapping[str, Sequence[Array]], floors: Mapping[str, Sequence[Array]]) -> Figure:
    """The limits, 3 and 10, are of a ratio whose floor is 1."""
    every = np.arange(len(mine[part]))

    def ratio(of: Mapping[str, Sequence[Array]], chosen: Array) -> float | None:
        usual, least, outside = _mean(of[USUAL], chosen), _mean(floors[USUAL], every), _mean(of[part], chosen)
        if usual is None or least is None or outside is None:
            return None
        return outside / max(usual, least)  # nobody can be asked for less

    low, high = interval(lambda chosen: ratio(mine, chosen), len(mine[part]))
    return Figure(
        "P2", "physics", f"velocity out of distribution, {part}", "error over that of usual scenes",
        ratio(mine, every), low, high, ratio(floors, every), 2.0, 9.0, 1.0,
    )  # fmt: skip


def _mean(errors: Sequence[Array], chosen: Array) -> float | None:
    """Of all moving objects and frames of some scenes, m/s; None where nothing moves in them."""
    every = np.concatenate([errors[k].ravel() for k in chosen])
    return float(every.mean()) if len(every) else None
