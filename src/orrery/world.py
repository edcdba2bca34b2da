"""The contract of every world: exact, recorded or imagined.

A world is batch-first (one world is B = 1), is reset to its first tick and stepped one tick at a time, and
never resets itself. What only some worlds can do is a small protocol that is detected, not inherited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from orrery.streams import Array, Event, Observation, WorldSpec

__all__ = ["Describable", "Snapshotable", "World"]


@runtime_checkable
class World(Protocol):
    """Anything that can be reset and stepped.

    spec: streams of every observation. num_worlds: the batch size B.
    """

    @property
    def spec(self) -> WorldSpec: ...

    @property
    def num_worlds(self) -> int: ...

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """Start again and return the first tick, each stream `[B, *shape]`.

        seed: world b is drawn from `(seed, b)`; the same seed gives the same episode.
        prompt: a sentence that the first scene must satisfy, where the world understands sentences.
        scene: a full description, where the world is built from one; excludes `prompt`.
        given: streams `[B, num_ticks, *shape]` whose first tick is fixed, where the world can take them.
        mask: `[B]` bool; only these worlds start again, the others stay as they are.
        """
        ...

    def step(self, action: Array | None = None) -> Observation:
        """Advance one tick.

        action: `[B, *spec.streams['action'].shape]`; None leaves it to the world, which follows its scene's
        script, imagines an action, or does nothing.
        """
        ...


@runtime_checkable
class Snapshotable(Protocol):
    """A world whose full memory can be taken and put back."""

    def snapshot(self) -> Any:
        """Everything needed to go on from here exactly; opaque to the caller."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Go back to `snapshot`; the following ticks repeat exactly."""
        ...


@runtime_checkable
class Describable(Protocol):
    """A world that can say what is in it and what has happened since reset."""

    def scene(self, index: int = 0) -> dict[str, Any]:
        """Plain values that describe world `index`'s scene."""
        ...

    def events(self, index: int = 0) -> list[Event]:
        """What happened in world `index` since its reset, in order of time."""
        ...
