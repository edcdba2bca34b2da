"""Which keys, buttons and sticks do what: a table for any action space, as data that a page can change.

A choice has, for each of its possibilities, chords of keys that call for it; a vector has, for each of its
numbers, the keys that push it down and up. Names of keys are those of `KeyboardEvent.code`; a gamepad's
directions and buttons, and buttons on a touch screen, stand for the same keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from orrery.errors import BadUse
from orrery.streams import Array, StreamSpec, WorldSpec
from orrery.world import action_streams
from orrery.worlds import action_axes
from orrery.worlds.gymnasium.meanings import ALSO, AXES, CHOICES

__all__ = ["action_from_numbers", "control_table"]

Found = TypeVar("Found")

_DIGITS = tuple(f"Digit{number}" for number in range(1, 10))
_LETTERS = tuple(f"Key{letter}" for letter in "QWERTYUIOPASDFGHJKLZXCVBNM")
_WORDS = {
    "up": "ArrowUp",
    "forward": "ArrowUp",
    "north": "ArrowUp",
    "main": "ArrowUp",
    "right": "ArrowRight",
    "east": "ArrowRight",
    "down": "ArrowDown",
    "south": "ArrowDown",
    "backward": "ArrowDown",
    "left": "ArrowLeft",
    "west": "ArrowLeft",
    "fire": "Space",
    "pickup": "KeyP",
    "drop": "KeyO",
    "dropoff": "KeyO",
    "toggle": "Space",
    "brake": "ArrowDown",
    "gas": "ArrowUp",
}
"""A word in what an action means, and the key that stands for it."""
_IDLE = ("noop", "nothing", "none", "coast", "stay", "idle")

_AXIS_KEYS = (
    ("ArrowLeft", "ArrowRight"),
    ("ArrowDown", "ArrowUp"),
    ("KeyA", "KeyD"),
    ("KeyS", "KeyW"),
    ("KeyQ", "KeyE"),
    ("KeyF", "KeyR"),
    ("KeyJ", "KeyL"),
    ("KeyK", "KeyI"),
)


def control_table(spec: WorldSpec, name: str = "") -> list[dict[str, Any]]:
    """One entry a stream, plain JSON values. name: of the world, where it is no environment.

    A choice: `choices`, each with `label` and `chords` (lists of keys held together); `idle`, the index that
    is played while nothing is held, or None for the one that was played last. A vector: `axes`, each with
    `label`, `low`, `high`, `rest` (None: stays where it was put), and the keys `less` and `more`.
    """
    streams = action_streams(spec)
    known = str(spec.environment.get("id", "")).rpartition(":")[2] or name
    spare = [*_DIGITS, *_LETTERS]
    return [
        _choice(stream, _meanings(stream, spec, known), known, spare, is_alone=len(streams) == 1)
        if stream.kind == "choice"
        else _vector(stream, spec, known)
        for stream in streams
    ]


def action_from_numbers(spec: WorldSpec, values: Mapping[str, Sequence[float]]) -> dict[str, Array]:
    """One tick's action `[*shape]`, from one number a choice and one a number of a vector.

    BadUse for a stream that is missing or too many, and for numbers out of range.
    """
    streams = {stream.name: stream for stream in action_streams(spec)}
    if set(values) != set(streams):
        raise BadUse(f"the actions are {', '.join(streams) or 'none'}, got {', '.join(values) or 'none'}")
    return {name: _payload(stream, values[name]) for name, stream in streams.items()}


def _payload(stream: StreamSpec, numbers: Sequence[float]) -> Array:
    count = 1 if stream.kind == "choice" else _num_axes(stream)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise BadUse(f"{stream.name} is {count} finite numbers, got {len(numbers)}")
    array = np.asarray(numbers, np.float64)
    if stream.kind == "choice" and array[0] != np.floor(array[0]):
        raise BadUse(f"{stream.name} is a whole number, got {array[0]:g}")
    payload = np.broadcast_to(array, _per_frame(stream)).reshape(stream.shape).astype(stream.dtype)
    try:
        stream.check(payload, num_leading=0)
    except ValueError as error:
        raise BadUse(str(error)) from error
    return payload


def _num_axes(stream: StreamSpec) -> int:
    """Numbers of one frame."""
    frames = stream.shape[0] if len(stream.shape) > 1 else 1
    return int(np.prod(stream.shape)) // frames


def _per_frame(stream: StreamSpec) -> tuple[int, int]:
    return int(np.prod(stream.shape)) // _num_axes(stream), _num_axes(stream)


def _of_id(table: Mapping[str, Found], known: str) -> Found | None:
    """What a table has for the environment of this id, by how that begins."""
    return next((found for start, found in table.items() if known.startswith(start)), None)


# ---- choices -------------------------------------------------------------------------------------------


def _meanings(stream: StreamSpec, spec: WorldSpec, known: str) -> Sequence[str] | None:
    """What each choice means, where that is known."""
    recorded = spec.environment.get("action_meanings")
    found = recorded or _of_id(CHOICES, known)
    return found if found is not None and len(found) == stream.num_choices else None


def _choice(
    stream: StreamSpec, meanings: Sequence[str] | None, known: str, spare: list[str], is_alone: bool
) -> dict[str, Any]:
    """One entry of the table. spare: keys that nothing uses yet; those that are used here are taken out."""
    labels = meanings or [f"choice {index}" for index in range(stream.num_choices)]
    chords = [_chord(label) for label in labels] if meanings else _plain_chords(stream.num_choices, is_alone)
    also = _of_id(ALSO, known) or {}
    idle = next((i for i, label in enumerate(labels) if label.lower() in _IDLE), None)
    spare[:] = [key for key in spare if not any(key in chord for chord in chords)]
    taken: set[tuple[str, ...]] = set()
    choices = []
    for index, (label, chord) in enumerate(zip(labels, chords, strict=True)):
        if index != idle and (not chord or chord in taken) and spare:
            chord = (spare.pop(0),)
        taken.add(chord)
        wanted = [chord, tuple(also.get(key, key) for key in chord)]
        chords_of = [list(keys) for keys in dict.fromkeys(wanted) if keys]
        choices.append({"label": label.replace("_", " ").lower(), "chords": chords_of})
    return {"name": stream.name, "kind": "choice", "idle": idle, "choices": choices}


def _chord(meaning: str) -> tuple[str, ...]:
    """The keys of what an action means: `UPRIGHTFIRE` is three of them."""
    words = re.findall("|".join(sorted(_WORDS, key=len, reverse=True)), meaning.lower())
    return tuple(dict.fromkeys(_WORDS[word] for word in words))


def _plain_chords(count: int, is_alone: bool) -> list[tuple[str, ...]]:
    """Arrows for two or four choices, digits for any other number; none where there are several streams."""
    arrows = {2: ("ArrowLeft", "ArrowRight"), 4: ("ArrowLeft", "ArrowDown", "ArrowRight", "ArrowUp")}
    keys = arrows.get(count, _DIGITS) if is_alone else ()
    return [(key,) for key in keys[:count]] + [()] * max(0, count - len(keys))


# ---- numbers -------------------------------------------------------------------------------------------


def _vector(stream: StreamSpec, spec: WorldSpec, known: str) -> dict[str, Any]:
    count = _num_axes(stream)
    lows, highs = _bounds(stream, spec, count)
    named = _of_id(AXES, known) or action_axes(known)
    axes = []
    for index in range(count):
        low, high = lows[index], highs[index]
        less, more = _AXIS_KEYS[index] if index < len(_AXIS_KEYS) else ("", "")
        label = f"{stream.name} {index + 1}" if count > 1 else stream.name
        if len(named) == count:
            label, less, more = named[index]
        axes.append(
            {"label": label, "low": low, "high": high, "rest": _rest(low, high), "less": less, "more": more}
        )
    return {"name": stream.name, "kind": "vector", "unit": stream.unit, "axes": axes}


def _bounds(stream: StreamSpec, spec: WorldSpec, count: int) -> tuple[list[float], list[float]]:
    """Lowest and highest of each number: the environment's own where it states them, else the stream's, else
    from -1 to 1."""
    space = spec.environment.get("action_space", {})
    if stream.name == "action" and space.get("space") == "Box":
        bounds = [
            np.broadcast_to(np.array(space[end], object), space["shape"]).ravel() for end in ("low", "high")
        ]
        if all(len(bound) == count for bound in bounds):
            low, high = ([_finite(v, d) for v in bound] for bound, d in zip(bounds, (-1.0, 1.0), strict=True))
            return low, high
    low = -1.0 if stream.low is None else float(stream.low)
    high = 1.0 if stream.high is None else float(stream.high)
    return [low] * count, [high] * count


def _finite(value: Any, otherwise: float) -> float:
    return otherwise if isinstance(value, str) or abs(value) > 1e6 else float(value)


def _rest(low: float, high: float) -> float | None:
    """What a number goes back to when it is let go. A place, such as from 0 to 512, stays."""
    return None if low >= 0 and high > 1 else float(np.clip(0.0, low, high))
