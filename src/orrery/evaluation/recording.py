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
from orrery.streams import Array, Clock, Observation
from orrery.tokenizers.bodies import apart
from orrery.worlds.rigid_bodies.state import STATE

__all__ = ["Recording"]


@dataclass(frozen=True)
class Recording:
    """state: `[frames, K, D]`, the finger in the last slot. audio: `[samples, 2]`. touch: `[frames, rows,
    columns, 3]` N. Frame f shows the instant (f + 1) / frames_per_second. first: `[K, D]`, the first frame of
    the film that this is a later part of."""

    clock: Clock
    state: Array
    audio: Array
    touch: Array
    first: Array | None = None

    @classmethod
    def of(cls, ticks: Iterable[Observation], clock: Clock, index: int = 0) -> Recording:
        """World `index` of consecutive observations that hold `state`, `audio.main` and `touch.finger`."""
        ticks = list(ticks)
        state, audio, touch = (
            np.concatenate([tick[name][index] for tick in ticks])
            for name in ("state", "audio.main", "touch.finger")
        )
        return cls(clock, state, audio, touch)

    def part(self, start_seconds: float, end_seconds: float) -> Recording:
        """What lies between two instants, to whole frames."""
        frames = slice(*(round(t * self.clock.frames_per_second) for t in (start_seconds, end_seconds)))
        per_frame = self.clock.samples_per_second // self.clock.frames_per_second
        samples = slice(frames.start * per_frame, frames.stop * per_frame)
        first = self.state[0] if self.first is None else self.first
        return Recording(self.clock, self.state[frames], self.audio[samples], self.touch[frames], first)

    def knows(self, other: Recording) -> Recording:
        """This, which takes over from `other` the onsets that it heard, where both sound the same: hearing is
        the dearest part of an examination."""
        if "heard" in other.__dict__ and np.array_equal(self.audio, other.audio):
            self.__dict__["heard"] = other.heard
        return self

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
