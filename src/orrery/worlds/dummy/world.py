"""A world small enough to check by hand: a ball on a line that beeps when it turns.

Every stream is a closed form of the seed, the tick and the actions so far. The ball's *unfolded* coordinate
runs at a constant speed plus the action; folding it into [-1, 1] m gives the position, and each crossing of
an odd integer is a turn, which beeps.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orrery.errors import BadUse
from orrery.streams import Array, Clock, Event, Observation, StreamSpec, WorldSpec

__all__ = ["DummyWorld", "fold"]

_NUM_SLOTS = 2
_STATE_WIDTH = 29
"""Numbers of a slot: present, visible, position, quaternion, linear and angular velocity, shape (of 4), size,
colour, material (of 4)."""
_BEEP_HERTZ = 440.0
_BEEP_DECAY_PER_SECOND = 60.0
_BEEP_SECONDS = 0.2


def fold(unfolded: Array) -> Array:
    """Position in [-1, 1] of an unfolded coordinate: a triangle wave of period 4, the identity near 0."""
    return 1.0 - np.abs((np.asarray(unfolded) + 1.0) % 4.0 - 2.0)


@dataclass
class _Ball:
    """One world's memory. unfolded_m: at the end of the last tick. tick: ticks emitted since reset."""

    start_m: float
    speed_m_s: float
    unfolded_m: float
    tick: int = 0
    turns: list[Event] = field(default_factory=list)


def _spec(clock: Clock, size: int, streams: Sequence[str] | None) -> WorldSpec:
    num_frames, num_samples = clock.frames_per_tick, clock.samples_per_tick
    specs = [
        StreamSpec("video.main", "video", "observed", (num_frames, size, size, 3), "uint8", "sRGB", 0, 255),
        StreamSpec("audio.main", "audio", "observed", (num_samples, 2), "float32", "full scale", -1.0, 1.0),
        StreamSpec("touch.finger", "vector", "observed", (num_frames, 2, 2, 3), "float32", "N"),
        StreamSpec(
            "state",
            "vector",
            "observed",
            (num_frames, _NUM_SLOTS, _STATE_WIDTH),
            "float32",
            "m, rad, s",
            groups=_NUM_SLOTS,
        ),
        StreamSpec("camera.main", "vector", "observed", (num_frames, 8), "float32", "m, rad"),
        StreamSpec("action", "vector", "given", (1,), "float32", "m/s", -1.0, 1.0),
    ]
    spec = WorldSpec(clock, {s.name: s for s in specs})
    if streams is None:
        return spec
    unknown = set(streams) - set(spec.streams) - {"text"}
    if unknown:
        raise BadUse(f"the dummy world has no stream {sorted(unknown)}; it has {', '.join(spec.streams)}")
    return spec.only(streams)


class DummyWorld:
    """A ball on a line, in `num_worlds` copies; Snapshotable, Describable and Directable.

    size: pixels on each side of the square picture. streams: names to emit, None for all.
    prompt: a sentence with `left` or `right` sets the first direction, and one on the way a new one.
    """

    def __init__(
        self,
        num_worlds: int = 1,
        size: int = 16,
        streams: Sequence[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        if num_worlds < 1 or size < 2:
            raise BadUse(f"a dummy world needs num_worlds >= 1 and size >= 2, got {num_worlds} and {size}")
        self._clock = clock or Clock()
        self._size = size
        self._spec = _spec(self._clock, size, streams)
        self._balls: list[_Ball] = [_Ball(0.0, 0.0, 0.0) for _ in range(num_worlds)]
        self._started = False

    @property
    def spec(self) -> WorldSpec:
        return self._spec

    @property
    def num_worlds(self) -> int:
        return len(self._balls)

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Mapping[str, float] | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """See `World.reset`. scene: `start_m` in [-1, 1] and `speed_m_s`, as `self.scene` returns them."""
        if given is not None:
            raise BadUse("the dummy world cannot take given streams; reset it without `given`")
        if prompt is not None and scene is not None:
            raise BadUse("give a prompt or a scene, not both")
        chosen = self._check_mask(mask)
        for b in np.flatnonzero(chosen):
            self._balls[b] = _ball(np.random.default_rng([seed, int(b)]), prompt, scene)
        self._started = True
        zero = np.zeros((self.num_worlds, 1), np.float32)
        return self._stack([self._advance(b, zero[b]) if chosen[b] else None for b in range(self.num_worlds)])

    def step(self, action: Array | None = None) -> Observation:
        """See `World.step`. action: `[B, 1]` float32, m/s added to the velocity, clipped to [-1, 1]."""
        if not self._started:
            raise BadUse("reset the world before its first step")
        if action is None:
            action = np.zeros((self.num_worlds, 1), np.float32)
        action = np.asarray(action, np.float32)
        if action.shape != (self.num_worlds, 1):
            raise BadUse(f"the dummy world's action is [{self.num_worlds}, 1], got {list(action.shape)}")
        action = np.clip(action, -1.0, 1.0)
        return self._stack([self._advance(b, action[b]) for b in range(self.num_worlds)])

    def snapshot(self) -> Any:
        return copy.deepcopy((self._balls, self._last))

    def restore(self, snapshot: Any) -> None:
        self._balls, self._last = copy.deepcopy(snapshot)
        self._started = True

    def scene(self, index: int = 0) -> dict[str, Any]:
        ball = self._balls[index]
        return {"start_m": ball.start_m, "speed_m_s": ball.speed_m_s}

    def events(self, index: int = 0) -> list[Event]:
        return list(self._balls[index].turns)

    def text(self, index: int = 0) -> str:
        """The sentence that describes world `index`."""
        return f"A ball rolls to the {'right' if self._balls[index].speed_m_s > 0 else 'left'}."

    def check_prompt(self, prompt: str) -> None:
        """See `Promptable`."""
        _direction(prompt)

    def direct(self, sentence: str, mask: Array | None = None) -> None:
        """See `Directable`."""
        direction = _direction(sentence)
        for b in np.flatnonzero(self._check_mask(mask)):
            ball = self._balls[b]
            ball.speed_m_s = direction * abs(ball.speed_m_s) * float(_forwards(ball.unfolded_m))

    def scripted_action(self) -> Array:
        """`[B, 1]`: the action that the world's own script plans for the coming tick."""
        return np.array([[0.3 * np.sin(0.5 * ball.tick)] for ball in self._balls], np.float32)

    def _check_mask(self, mask: Array | None) -> Array:
        if mask is None:
            return np.ones(self.num_worlds, bool)
        mask = np.asarray(mask)
        if mask.shape != (self.num_worlds,) or mask.dtype != bool:
            raise BadUse(f"a mask is [{self.num_worlds}] bool, got {list(mask.shape)} {mask.dtype}")
        if not self._started and not mask.all():
            raise BadUse("the first reset starts every world; leave the mask out")
        return mask

    def _stack(self, ticks: list[dict[str, Array] | None]) -> Observation:
        """Batch the new ticks; a world that did not move repeats its last one."""
        self._last = [new if new is not None else self._last[b] for b, new in enumerate(ticks)]
        return {name: np.stack([tick[name] for tick in self._last]) for name in self._spec.streams}

    def _advance(self, b: int, action: Array) -> dict[str, Array]:
        ball, clock = self._balls[b], self._clock
        start, velocity = ball.tick * clock.tick_seconds, ball.speed_m_s + float(action[0])
        before = ball.unfolded_m
        ball.turns += _turns(before, velocity, start, clock.tick_seconds)
        ball.unfolded_m = before + velocity * clock.tick_seconds
        ball.tick += 1
        # Frames are stamped at the end of the stretch of sound that they go with.
        frame_seconds = np.arange(1, clock.frames_per_tick + 1) / clock.frames_per_second
        unfolded = before + velocity * frame_seconds
        sample_seconds = start + np.arange(clock.samples_per_tick) / clock.samples_per_second
        makers = {
            "video.main": lambda: _picture(fold(unfolded), self._size),
            "audio.main": lambda: _beeps(sample_seconds, ball.turns),
            "touch.finger": lambda: _touch(fold(unfolded)),
            "state": lambda: _state(unfolded, velocity),
            "camera.main": lambda: np.tile(
                np.array([0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.8], np.float32), (clock.frames_per_tick, 1)
            ),
            "action": lambda: action.copy(),
        }
        return {name: makers[name]() for name in self._spec.streams}


def _ball(rng: np.random.Generator, prompt: str | None, scene: Mapping[str, float] | None) -> _Ball:
    start, speed = float(rng.uniform(-0.9, 0.9)), float(rng.uniform(0.5, 1.5) * rng.choice([-1, 1]))
    if prompt is not None:
        speed = _direction(prompt) * abs(speed)
    if scene is not None:
        start, speed = float(scene["start_m"]), float(scene["speed_m_s"])
    return _Ball(start, speed, start)


def _direction(prompt: str) -> int:
    """1 for right, -1 for left."""
    words = {"left", "right"} & set(prompt.lower().strip(" .").split())
    if len(words) != 1:
        raise BadUse(f"a sentence for the dummy world says either left or right, got {prompt!r}")
    return 1 if words == {"right"} else -1


def _turns(before: float, velocity: float, start: float, duration: float) -> list[Event]:
    """Crossings of odd integers in (before, before + velocity * duration]."""
    low, high = sorted((before, before + velocity * duration))
    first, last = np.ceil((low - 1.0) / 2.0), np.floor((high - 1.0) / 2.0)
    walls = [2.0 * k + 1.0 for k in np.arange(first, last + 1) if 2.0 * k + 1.0 != before]
    times = sorted((start + (wall - before) / velocity, float(fold(np.array(wall)))) for wall in walls)
    return [
        Event(t, "impact", "object0", "wall", 2.0 * abs(velocity), (x, 0.0, 0.0), ("rubber", "wood"))
        for t, x in times
    ]


def _forwards(unfolded: Array | float) -> Array:
    """1 where the folded coordinate grows with the unfolded one, else -1."""
    return np.where((np.asarray(unfolded) + 1.0) % 4.0 < 2.0, 1.0, -1.0)


def _beeps(seconds: Array, turns: list[Event]) -> Array:
    sound = np.zeros(len(seconds))
    for turn in turns:
        since = seconds - turn.seconds
        heard = (since >= 0) & (since < _BEEP_SECONDS)
        tone = np.exp(-_BEEP_DECAY_PER_SECOND * since) * np.sin(2 * np.pi * _BEEP_HERTZ * since)
        sound[heard] += 0.4 * tone[heard]
    return np.repeat(np.clip(sound, -1, 1)[:, None], 2, axis=1).astype(np.float32)


def _picture(position: Array, size: int) -> Array:
    """A soft white spot on grey, `[T, size, size, 3]`; column 0 is -1 m."""
    column = (position[:, None, None] + 1.0) / 2.0 * (size - 1)
    rows, columns = np.mgrid[:size, :size]
    spot = np.exp(-((columns - column) ** 2 + (rows - size / 2) ** 2) / (2 * (size / 8) ** 2))
    return np.repeat((60.0 + 180.0 * spot).astype(np.uint8)[..., None], 3, axis=-1)


def _touch(position: Array) -> Array:
    """The ball presses on all four taxels of the pad while it is right of the middle, 1 N a metre."""
    touch = np.zeros((len(position), 2, 2, 3), np.float32)
    touch[..., 0] = np.maximum(position, 0.0)[:, None, None]
    return touch


def _state(unfolded: Array, velocity: float) -> Array:
    state = np.zeros((len(unfolded), _NUM_SLOTS, _STATE_WIDTH), np.float32)
    ball = state[:, 0]
    ball[:, 0:2] = 1.0  # present and visible
    ball[:, 2] = fold(unfolded)
    ball[:, 5] = 1.0  # not turned
    ball[:, 9] = velocity * _forwards(unfolded)
    ball[:, 15] = 1.0  # a ball
    ball[:, 19:22] = 0.1  # metres
    ball[:, 22:25] = 1.0  # white
    ball[:, 27] = 1.0  # rubber
    return state
