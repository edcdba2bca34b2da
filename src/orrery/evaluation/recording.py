"""A stretch of the tabletop as an evaluation sees it, of the exact world and of an imagined one alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from orrery.evaluation.contacts import seen_hits
from orrery.evaluation.dynamics import object_slots, shape_of
from orrery.evaluation.names import colour_of
from orrery.evaluation.sync import onsets
from orrery.streams import STATE, Array, Clock, Observation
from orrery.tokenizers.bodies import apart

__all__ = ["Recording"]


@dataclass(frozen=True)
class Recording:
    """state: `[frames, K, D]`, the finger in the last slot. audio: `[samples, 2]`. touch: `[frames, rows,
    columns, 3]` N. Frame f shows the instant (f + 1) / frames_per_second."""

    clock: Clock
    state: Array
    audio: Array
    touch: Array

    @classmethod
    def of(cls, ticks: Iterable[Observation], clock: Clock, index: int = 0) -> Recording:
        """World `index` of consecutive observations that hold `state`, `audio.main` and `touch.finger`."""
        ticks = list(ticks)
        state, audio, touch = (
            np.concatenate([tick[name][index] for tick in ticks])
            for name in ("state", "audio.main", "touch.finger")
        )
        return cls(clock, state, audio, touch)

    @property
    def frame_seconds(self) -> float:
        return 1.0 / self.clock.frames_per_second

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.state) * self.frame_seconds

    @cached_property
    def slots(self) -> list[int]:
        """Slots that hold an object."""
        return object_slots(self.state)

    def name(self, slot: int) -> str:
        """What an object is called, by its first frame: `the red ball`."""
        shape = shape_of(self.state, slot)
        return f"the {colour_of(self.state[0, slot])} {shape}"

    @cached_property
    def gaps(self) -> Array:
        """Gap between each two slots' bodies, `[frames, K, K]` metres, negative where they overlap; infinite
        with itself, and where one is absent."""
        return apart(torch.from_numpy(self.state), STATE)[0].numpy()

    @cached_property
    def hits(self) -> Array:
        """Instants of clear hits, seconds (`contacts.seen_hits`)."""
        return seen_hits(self.state, self.clock.frames_per_second)

    @cached_property
    def heard(self) -> Array:
        """Instants at which something starts to sound, seconds (`sync.onsets`)."""
        return onsets(self.audio, self.clock.samples_per_second)
