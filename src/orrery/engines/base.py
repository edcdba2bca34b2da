"""What runs a trained world: an engine, on numpy arrays.

Everything above an engine (worlds, films, servers) knows only this protocol, so that another runtime can take
its place without touching them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from orrery.models.tokens import StreamTokens
from orrery.streams import Array, WorldSpec

__all__ = ["Engine", "EngineState", "Latents"]

Latents = dict[str, Array]
"""Stream name to float32 `[B, tokens, width]`, one tick."""
EngineState = Any
"""An engine's memory of B worlds; only the engine that made it looks inside. It is never changed in place:
what an engine returns is a new state, so that keeping one is a snapshot."""


class Engine(Protocol):
    """Runs B worlds tick by tick, all in one pass. It owns the tokenizers too.

    A tick is: `begin` (what is given), `denoise` as often as wanted, `commit` (what was settled). spec:
    streams of the world. order: groups of streams, imagined one after the other. starts: latents of the first
    ticks of real episodes, `[N, ticks, tokens, width]`. sampling_steps: in how many a tick is meant to be
    sampled.
    """

    spec: WorldSpec
    streams: Mapping[str, StreamTokens]
    order: Sequence[Sequence[str]]
    starts: Mapping[str, Array]
    sampling_steps: int

    def empty(self, num_worlds: int, streams: Iterable[str]) -> EngineState:
        """Worlds in which nothing has happened yet, of which only these streams are imagined."""
        ...

    def begin(self, state: EngineState, given: Latents) -> EngineState:
        """Start a tick: read what was committed for the last one, and what is given for this one."""
        ...

    def denoise(
        self, state: EngineState, now: Mapping[str, tuple[Array, float]], want: Iterable[str]
    ) -> Latents:
        """What the streams in `want` are expected to be, cut to what real latents were seen to be.

        now: this tick's streams as far as they are known, with their noise level (0 known, 1 absent).
        """
        ...

    def commit(self, state: EngineState, latents: Latents, is_real: bool = False) -> EngineState:
        """End a tick: these are its streams. is_real: they were given, not imagined."""
        ...

    def encode(self, state: EngineState, name: str, payload: Array) -> tuple[Array, EngineState]:
        """One tick of a stream, `[B, *shape]`, as latents `[B, tokens, width]`."""
        ...

    def decode(self, state: EngineState, name: str, latents: Array) -> tuple[Array, EngineState]:
        """The inverse of `encode`."""
        ...

    def encode_text(self, sentences: Sequence[str]) -> Latents:
        """One sentence for each world, as given latents; empty where the world knows no words."""
        ...

    def merge(self, state: EngineState, part: EngineState, worlds: Array) -> EngineState:
        """A state in which `worlds` are those of `part`."""
        ...

    def join(self, states: Sequence[EngineState]) -> EngineState:
        """The worlds of states of one layout, one behind the other."""
        ...

    def select(self, state: EngineState, worlds: Array) -> EngineState:
        """A state of these worlds alone."""
        ...

    def layout(self, state: EngineState) -> Hashable:
        """Equal of states between ticks that can be joined."""
        ...
