"""What a source of episodes is, and what can be asked of it.

A source is a plain description that other processes and machines can be sent; a recorder is what it opens
there. Episode i follows from the source and i alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from orrery.errors import BadUse, UserError
from orrery.streams import Episode, WorldSpec

__all__ = ["Closable", "Numbered", "OnStep", "Planned", "Recorder", "Request", "Source", "length_of"]

OnStep = Callable[[int, int], None]
MAX_EPISODE_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Request:
    """What a collection is asked for, whatever its source.

    seconds: longest episode; infinity for all of each, as recordings have it. streams: names to record, None
    for all. image_size: pixels on each side of the picture, or, of an environment, height and width; None for
    the source's own: 128, an environment 96. policy: `random`, `module:function`, `file.py:function`, or None
    for what the source does by itself. sample_rate: of the sound, hertz; None for the source's own.
    min_seconds: shortest clip of a film; None for a second.
    """

    seed: int = 0
    seconds: float = 5.0
    streams: tuple[str, ...] | None = None
    image_size: int | tuple[int, int] | None = None
    policy: str | None = None
    sample_rate: int | None = None
    min_seconds: float | None = None

    @property
    def is_cut(self) -> bool:
        """Whether episodes have a longest length."""
        return math.isfinite(self.seconds)

    @property
    def square(self) -> int:
        """Pixels on each side of a square picture. BadUse where height and width were asked for."""
        if isinstance(self.image_size, tuple):
            raise BadUse("only environments have pictures of any height and width; give one image size")
        return 128 if self.image_size is None else self.image_size


class Recorder(Protocol):
    """Makes episodes, in one process."""

    def episode(self, number: int) -> Episode:
        """Episode `number`; whatever it raises costs this episode alone."""
        ...


@runtime_checkable
class Closable(Protocol):
    """A recorder that holds more than memory, such as a game in a process of its own."""

    def close(self) -> None:
        """Let go of it; nothing is recorded after that."""
        ...


class Source(Protocol):
    """Where episodes come from; picklable."""

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this collection from any other; a collection goes on only with the same."""
        ...

    def spec(self) -> WorldSpec:
        """What will be recorded. BadUse for a stream that was asked for and is not there."""
        ...

    @property
    def num_episodes(self) -> int | None:
        """How many there are; None for as many as one likes."""
        ...

    def open(self) -> Recorder: ...


@runtime_checkable
class Numbered(Protocol):
    """A source whose episodes have numbers of their own, which need not begin with 0 or follow on."""

    @property
    def numbers(self) -> Sequence[int]:
        """The number of each of its `num_episodes`, in order."""
        ...


@runtime_checkable
class Planned(Protocol):
    """A source that first looks through what there is, and settles which stretch of it each episode is."""

    def plan(self, cache: Callable[[str], Path], on_step: OnStep) -> dict[str, Any]:
        """The plan, as plain values. cache: name to a file that keeps what a stopped look-through found."""
        ...

    def with_plan(self, plan: Mapping[str, Any]) -> Source:
        """The same source, which now knows its episodes."""
        ...


def length_of(spec: WorldSpec, request: Request, num_rows: int) -> int:
    """Ticks to record of a recording that has `num_rows`. UserError if they do not fit in memory."""
    length = min(num_rows, spec.clock.num_ticks(request.seconds)) if request.is_cut else num_rows
    sizes = (math.prod(s.shape) * np.dtype(s.dtype).itemsize for s in spec.streams.values())
    num_bytes = length * sum(sizes)
    if num_bytes > MAX_EPISODE_BYTES:
        raise UserError(
            f"it takes {num_bytes / 2**30:.1f} GiB of memory; record less of it with "
            "--seconds, or with a smaller --image-size"
        )
    return length
