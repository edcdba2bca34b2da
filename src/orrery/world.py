"""The contract of every world: exact, recorded or imagined.

A world is batch-first (one world is B = 1), is reset to its first tick and stepped one tick at a time, and
never resets itself. What only some worlds can do is a small protocol that is detected, not inherited.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from orrery.errors import BadUse
from orrery.streams import Array, Event, Observation, StreamSpec, WorldSpec

__all__ = [
    "Describable",
    "Directable",
    "Promptable",
    "Snapshotable",
    "World",
    "action_streams",
    "actions_by_stream",
    "close_world",
]


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
        script, imagines an action, or does nothing. A world of several action streams (`action.arm`,
        `action.grip`) takes a mapping of stream name to such an array; see `actions_by_stream`.
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
class Promptable(Protocol):
    """A world that can say whether it follows a sentence, before it starts from it."""

    def check_prompt(self, prompt: str) -> None:
        """UserError for a sentence that `reset` would refuse."""
        ...


@runtime_checkable
class Directable(Protocol):
    """A world that takes further sentences on its way."""

    def direct(self, sentence: str, mask: Array | None = None) -> None:
        """Let happen what `sentence` says, from the next tick on.

        mask: `[B]` bool; only in these worlds. UserError for a sentence that cannot be followed as things
        stand; then nothing has changed in any of them.
        """
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


def close_world(world: World | None) -> None:
    """Let go of what a world holds beyond memory (a game's process, a renderer), where it does."""
    close = getattr(world, "close", None)
    if callable(close):
        close()


def action_streams(spec: WorldSpec) -> list[StreamSpec]:
    """What can be done in a world, stream by stream."""
    return [stream for stream in spec.of_role("given") if stream.kind in ("vector", "choice")]


def actions_by_stream(
    specs: Sequence[StreamSpec], num_worlds: int, action: Array | Mapping[str, Array]
) -> dict[str, Array]:
    """An action as `World.step` takes it, stream by stream: `[B, *shape]` in each stream's own type.

    specs: the world's action streams. BadUse for a wrong shape, numbers that are not finite, an index that is
    none of the choices, or a stream that is missing or too many.
    """
    names = [spec.name for spec in specs]
    if not isinstance(action, Mapping):
        if len(specs) != 1:
            raise BadUse(f"this world has {len(specs)} actions; give a mapping with {', '.join(names)}")
        action = {names[0]: action}
    if set(action) != set(names):
        raise BadUse(f"the actions are {', '.join(names)}, got {', '.join(sorted(action)) or 'none'}")
    return {spec.name: _checked(spec, num_worlds, action[spec.name]) for spec in specs}


def _checked(spec: StreamSpec, num_worlds: int, action: Array) -> Array:
    action, shape = np.asarray(action), (num_worlds, *spec.shape)
    if action.shape != shape or action.dtype.kind not in "biuf":
        raise BadUse(f"{spec.name} is {list(shape)} {spec.dtype}, got {list(action.shape)} {action.dtype}")
    if not np.isfinite(action).all():
        raise BadUse(f"{spec.name} holds values that are not finite; give finite ones")
    typed = action.astype(spec.dtype)
    if spec.kind == "choice" and ((typed != action).any() or not _within(typed, spec.num_choices)):
        raise BadUse(f"{spec.name} is a whole number from 0 to {spec.num_choices - 1}, got {action.ravel()}")
    return typed


def _within(indices: Array, num_choices: int) -> bool:
    return bool((indices >= 0).all() and (indices < num_choices).all())
