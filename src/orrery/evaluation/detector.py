"""What knows one world by sight: a file of plain functions, loaded by its path.

Nothing here, and nothing that measures, knows any world: `runs/WORLD/detect.py` may define any of the
functions of `Detector`, and what it leaves out is not measured. Streams are dictionaries of
`[N, ticks, *shape]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orrery.errors import UserError
from orrery.modules import load_module
from orrery.streams import Array

__all__ = ["Detector", "Policy", "Streams", "load_detector"]

Streams = Mapping[str, Array]
Policy = Callable[[Streams, np.random.Generator], dict[str, Array]]
"""From streams of one tick, `[N, *shape]`, to actions by stream, `[N, *shape]`."""


@dataclass(frozen=True)
class Detector:
    """find: places of things, name to `[N, T, d]`, nan where there is none. events: ticks `[N, T]` in which
    the picture shows something that is heard. amounts: numbers of each tick, name to `[N, T]`. judged:
    anything else, from the truth, its context, what was made by method, and the seconds of a tick; each
    figure by method as `hits` and `of`.

    counterfactual: two other courses of action, of the recorded one. counterfactual_ticks: how long each is
    taken. answered: from the context and both outcomes, `[N]`: above 0 where they differ in the real
    direction, 0 where they do not differ, nan where it is not asked.

    policy: who acts in free rollouts. bars: what is asked of the figures: `what` in words, `at` the keys of
    the figure, `at_least` or `between`.
    """

    find: Callable[[Streams], dict[str, Array]] | None = None
    events: Callable[[Streams], Array] | None = None
    amounts: Callable[[Streams], dict[str, Array]] | None = None
    judged: Callable[[Streams, Streams, Mapping[str, Streams], float], dict[str, Any]] | None = None
    counterfactual: Callable[[Streams], tuple[dict[str, Array], dict[str, Array]]] | None = None
    counterfactual_ticks: int = 8
    answered: Callable[[Streams, Streams, Streams], Array] | None = None
    policy: Callable[[], Policy] | None = None
    bars: Sequence[Mapping[str, Any]] = ()


NAMES = {"counterfactual_ticks": "COUNTERFACTUAL_TICKS", "policy": "Policy", "bars": "BARS"}


def load_detector(path: Path) -> Detector:
    """The detector in a Python file; UserError where it cannot be run."""
    try:
        module = load_module(str(path))
    except Exception as error:  # whatever a file of the user's own raises
        raise UserError(f"{path} cannot be run ({error!r})") from error
    fields = Detector.__dataclass_fields__
    found = {name: getattr(module, NAMES.get(name, name), None) for name in fields}
    return Detector(**{name: value for name, value in found.items() if value is not None})
