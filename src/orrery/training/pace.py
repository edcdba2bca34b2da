"""How far a stage of training is, and weights that follow the trained ones at a distance."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor, nn

from orrery.training import parallel

__all__ = ["Pace", "follow"]


@dataclass
class Pace:
    """Steps taken and seconds of wall clock, the same in all processes.

    minutes: the budget; num_steps: instead of it, for runs that must repeat exactly. The clock stands until
    `start` is called.
    """

    minutes: float | None
    num_steps: int | None
    step: int = 0
    seconds: float = 0.0
    _counted: float = field(default=0.0, repr=False)

    @property
    def progress(self) -> float:
        """Share of the stage that is done, 0 to 1."""
        if self.num_steps is not None:
            return self.step / self.num_steps
        assert self.minutes is not None
        return self.seconds / (60.0 * self.minutes)

    def start(self) -> None:
        """Count the time from now on."""
        self._counted = time.monotonic()

    def share_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the gradients over the processes, and with them the time since the last call."""
        since, self._counted = self._counted, time.monotonic()
        self.seconds = parallel.average_gradients(parameters, self.seconds + self._counted - since)


def follow(average: dict[str, Tensor], module: nn.Module, step: int, decay: float) -> None:
    """Let the averaged weights follow those of `module` after `step` steps; the first are not remembered."""
    keep = min(decay, step / (step + 20.0))
    for name, value in module.state_dict().items():
        average[name].lerp_(value, 1.0 - keep)
