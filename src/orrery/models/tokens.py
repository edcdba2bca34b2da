"""What the world model knows of streams: how many tokens of which width, and at which noise level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from torch import Tensor

__all__ = ["VISIBLE_BELOW", "Noisy", "StreamTokens", "Ticks", "WorldModelConfig", "grid_of", "module_key"]

VISIBLE_BELOW = 0.9995
"""Noise level from which on nothing of a stream is read."""


@dataclass(frozen=True)
class StreamTokens:
    """What the network knows of a stream: `tokens` of `width` a tick.

    given: it is known for a tick before the tick is imagined (an action, a sentence). outcome: it is what
    comes of a tick (reward, termination). text: one sentence for a whole episode. grid: rows and columns
    where the tokens are the cells of a picture. located_in: the picture that the first numbers of each token
    place its token in; `frames` and `numbers` of a token, see `VectorTokenizer`.
    """

    name: str
    tokens: int
    width: int
    given: bool = False
    text: bool = False
    grid: tuple[int, int] | None = None
    located_in: str = ""
    frames: int = 1
    numbers: int = 0
    outcome: bool = False

    @property
    def in_context(self) -> bool:
        """Whether later ticks are told of it. Nothing follows from an outcome: what it came of is told. And
        no tick follows an ending: one that was called falsely would call all that come after."""
        return not (self.given or self.text or self.outcome)


@dataclass(frozen=True)
class WorldModelConfig:
    """Sizes of a `WorldModel`.

    order: groups of streams, imagined one after the other; each sees what was committed before it.
    window_ticks: how far back the few tokens attend. few_*: the transformer's; grid_*: the convolutions'.
    sampling_steps: in how many a tick is meant to be sampled.
    """

    streams: tuple[StreamTokens, ...]
    order: tuple[tuple[str, ...], ...]
    tick_seconds: float
    window_ticks: int = 24
    few_width: int = 128
    few_layers: int = 3
    num_heads: int = 4
    head_layers: int = 2
    grid_width: int = 96
    grid_layers: int = 4
    grid_head_width: int = 64
    grid_head_blocks: int = 2
    sampling_steps: int = 1

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WorldModelConfig:
        """A config from `to_json`'s values."""
        streams = tuple(
            StreamTokens(**{**s, "grid": tuple(s["grid"]) if s["grid"] else None}) for s in values["streams"]
        )
        order = tuple(tuple(group) for group in values["order"])
        return cls(**{**values, "streams": streams, "order": order})


class Noisy(NamedTuple):
    """A stream's latents `[B, T, tokens, width]` and their noise level `[B, T]`; at level 1 nothing is
    read."""

    latents: Tensor
    level: Tensor

    @property
    def visible(self) -> Tensor:
        """The latents, zero where the level is 1."""
        return self.latents * (self.level < VISIBLE_BELOW)[..., None, None]


Ticks = Mapping[str, Noisy]
"""Streams of a clip; one that is missing is absent, as one at level 1 is."""


def module_key(name: str) -> str:
    """A stream's name as that of a module, which may hold no dot."""
    return name.replace(".", "/")


def grid_of(stream: StreamTokens) -> tuple[int, int]:
    """Rows and columns of a stream whose tokens are the cells of a picture."""
    assert stream.grid is not None
    return stream.grid
