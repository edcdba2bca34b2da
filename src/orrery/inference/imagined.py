"""The learned world wears the interface of any world: reset and step, all worlds of a batch in one pass.

Each tick, a stream is given or imagined. Given ones are encoded; the others are denoised group by group in
the model's order, each group seeing what was settled before it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from orrery.engines.base import Engine, EngineState, Latents
from orrery.engines.torch_engine import TorchEngine
from orrery.errors import BadUse
from orrery.inference.euler import euler
from orrery.models.trained import load_trained
from orrery.streams import Array, Observation

__all__ = ["ImaginedWorld", "Sampling", "load_world", "step_together"]


@dataclass(frozen=True)
class Sampling:
    """How streams are denoised. steps: of a tick that follows others, None for those that the model was
    trained for; first_steps: of a first tick that is imagined. start_ticks: of a real episode that a world
    starts with; None for one where the world is a Gymnasium environment, whose episodes begin with their
    first tick, and for all there are elsewhere."""

    steps: int | None = None
    first_steps: int = 16
    start_ticks: int | None = None


def load_world(
    folder: str | Path,
    num_worlds: int = 1,
    streams: Iterable[str] | None = None,
    sampling: Sampling | None = None,
) -> ImaginedWorld:
    """The imagined world of a checkpoint folder; see `ImaginedWorld`. UserError for a damaged one."""
    return ImaginedWorld(TorchEngine(load_trained(folder)), num_worlds, streams, sampling)


@dataclass
class _Life:
    """What a world brings from its reset. given: streams `[num_ticks, *shape]` that are used tick by tick
    until they run out; start: latents of a real episode's first ticks, likewise. tick: number of the next
    one."""

    rng: np.random.Generator
    prompt: str = ""
    given: dict[str, Array] = field(default_factory=dict)
    start: Latents = field(default_factory=dict)
    tick: int = 0


class ImaginedWorld:
    """`num_worlds` imagined worlds of one model; see `orrery.world.World`.

    streams: names of those to observe; None for all. Pictures and sound that are not observed are not made,
    where the other streams do not need them.
    """

    def __init__(
        self,
        engine: Engine,
        num_worlds: int = 1,
        streams: Iterable[str] | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        known = engine.spec.streams
        unknown = [name for name in streams or () if name not in known]
        if unknown:
            raise BadUse(f"the model has no stream {', '.join(unknown)}; it has {', '.join(known)}")
        if num_worlds < 1:
            raise BadUse(f"num_worlds is at least 1, got {num_worlds}")
        self.engine = engine
        self.spec = engine.spec if streams is None else engine.spec.only(streams)
        self.num_worlds = num_worlds
        self.sampling = sampling or Sampling()
        self._steps = self.sampling.steps or engine.sampling_steps
        self._actions = [s.name for s in known.values() if s.role == "given"]
        self._made = _needed(engine, self.spec.streams)
        self._starts = {n: v for n, v in engine.starts.items() if not engine.streams[n].text}
        self._lives = [_Life(np.random.default_rng(0)) for _ in range(num_worlds)]
        self._state: EngineState | None = None
        self._tick: Observation = {}

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """Start again; see `World.reset`.

        given: streams `[B, num_ticks, *shape]`, used tick by tick until they run out. Without a prompt or
        given streams, a world starts as one of the episodes did that the model learned from. BadUse for a
        prompt with words that the model does not know.
        """
        if scene is not None:
            raise BadUse("an imagined world starts from a prompt or from given streams, not from a scene")
        chosen = np.arange(self.num_worlds) if mask is None else np.flatnonzero(mask)
        if self._state is None and len(chosen) < self.num_worlds:
            raise BadUse("the first reset starts every world; leave the mask out")
        if prompt:
            self.check_prompt(prompt)
        for name, value in (given or {}).items():
            self._check_given(name, value)
        lives = [self._life(seed, int(b), prompt, given) for b in chosen]
        if not lives:
            return self._observe()
        state = self.engine.empty(len(lives), self._made)
        state, tick = self._advance(state, lives, {})
        for _ in range(0 if given or prompt is not None else self._num_start_ticks() - 1):
            state, tick = self._advance(state, lives, {})
        if len(lives) == self.num_worlds:
            self._state, self._tick, self._lives = state, tick, lives
        else:
            self._state = self.engine.merge(self._state, state, chosen)
            self._tick = {name: _replaced(value, chosen, tick[name]) for name, value in self._tick.items()}
            for b, life in zip(chosen, lives, strict=True):
                self._lives[b] = life
        return self._observe()

    def step(self, action: Array | Mapping[str, Array] | None = None) -> Observation:
        """Imagine the next tick.

        action: `[B, *shape]` of the action stream, cut to its range; by name where there are several. None
        withholds it: what is done is then imagined too.
        """
        if self._state is None:
            raise BadUse("reset the world before its first step")
        step_together([self], [self.checked_action(action)])
        return self._observe()

    def snapshot(self) -> Any:
        """See `Snapshotable`."""
        lives = [
            (life.rng.bit_generator.state, life.prompt, life.given, life.start, life.tick)
            for life in self._lives
        ]
        return self._state, self._tick, lives

    def restore(self, snapshot: Any) -> None:
        """See `Snapshotable`."""
        self._state, self._tick, lives = snapshot
        self._lives = []
        for rng_state, prompt, given, start, tick in lives:
            rng = np.random.default_rng()
            rng.bit_generator.state = rng_state
            self._lives.append(_Life(rng, prompt, given, start, tick))

    def check_prompt(self, prompt: str) -> None:
        """See `Promptable`."""
        if not self.engine.encode_text([prompt]):
            raise BadUse("the model learned from data without sentences, and follows none; leave it out")

    def text(self, index: int = 0) -> str:
        """The sentence that world `index` started from."""
        return self._lives[index].prompt

    def kind_of_pass(self, actions: Mapping[str, Array]) -> Hashable:
        """Equal of worlds of one engine whose next ticks can be made in one pass."""
        due, layout = _due(self._lives), self.engine.layout(self._state)
        return self._made, self._steps, frozenset(actions), bool(self._lives[0].prompt), due, layout

    # ---- one tick ------------------------------------------------------------------------------------

    def _advance(
        self, state: EngineState, lives: list[_Life], actions: Mapping[str, Array]
    ) -> tuple[EngineState, Observation]:
        """Make the next tick of some worlds that are all equally far in what they were given."""
        engine = self.engine
        latents: Latents = {}
        payloads: dict[str, Array] = {}
        given, start = _due(lives)
        for name in [*self._actions, *self._made]:
            if name in actions:
                payloads[name] = actions[name]
            elif name in given:
                payloads[name] = np.stack([life.given[name][life.tick] for life in lives])
            elif name in start:
                latents[name] = np.stack([life.start[name][life.tick] for life in lives])
        for name, payload in payloads.items():
            latents[name], state = engine.encode(state, name, payload)
        is_real = all(name in latents for name in self._made if engine.spec.streams[name].role == "observed")
        text = engine.encode_text([life.prompt for life in lives]) if lives[0].prompt else {}
        state = engine.begin(state, {**text, **{n: latents[n] for n in self._actions if n in latents}})
        is_first = any(life.tick == 0 for life in lives)
        latents = self._imagined(
            state, latents, lives, self.sampling.first_steps if is_first else self._steps
        )
        for name, value in latents.items():
            if name not in payloads:
                payloads[name], state = engine.decode(state, name, value)
                if engine.spec.streams[name].is_numbers:  # exact: written as it was read
                    latents[name], state = engine.encode(state, name, payloads[name])
        for life in lives:
            life.tick += 1
        return engine.commit(state, latents, is_real), payloads

    def _imagined(self, state: EngineState, known: Latents, lives: list[_Life], num_steps: int) -> Latents:
        """All streams of the tick: the known ones, and those that are denoised, group after group."""
        latents = dict(known)
        for group in self.engine.order:
            want = [n for n in group if n in (*self._made, *self._actions) and n not in latents]
            if want:
                expected = partial(self._expected, state, dict(latents), want)
                latents |= euler(expected, num_steps, [life.rng for life in lives])
        return latents

    def _expected(
        self, state: EngineState, known: Latents, want: list[str], noisy: Latents, level: float
    ) -> Latents:
        """What the streams in `want` are expected to be, from what is known and from themselves at a noise
        level."""
        now = {n: (v, 0.0) for n, v in known.items()} | {n: (v, level) for n, v in noisy.items()}
        return self.engine.denoise(state, now, want)

    def _observe(self) -> Observation:
        return {name: self._tick[name].copy() for name in self.spec.streams if name in self._tick}

    # ---- what a world starts with ----------------------------------------------------------------------

    def _life(self, seed: int, b: int, prompt: str | None, given: Mapping[str, Array] | None) -> _Life:
        rng = np.random.default_rng([seed, b])
        start: Latents = {}
        if prompt is None and given is None:
            row = int(rng.integers(len(next(iter(self._starts.values())))))
            start = {n: v[row, : self._num_start_ticks()] for n, v in self._starts.items()}
        mine = {n: np.asarray(v[b]) for n, v in (given or {}).items()}
        return _Life(rng, prompt or "", mine, start)

    def _num_start_ticks(self) -> int:
        held = next(iter(self._starts.values())).shape[1]
        wanted = self.sampling.start_ticks
        if wanted is None:
            wanted = 1 if self.engine.spec.environment else held
        return min(held, wanted)

    def _check_given(self, name: str, value: Array) -> None:
        stream = self.engine.spec.streams.get(name)
        if stream is None:
            raise BadUse(f"the model has no stream {name!r}; it has {', '.join(self.engine.spec.streams)}")
        shape = np.shape(value)
        pictures = stream.kind == "video" and len(shape) == 6
        if len(shape) < 2 or shape[0] != self.num_worlds or not (shape[2:] == stream.shape or pictures):
            raise BadUse(
                f"given {name}: expected [{self.num_worlds}, ticks, *{stream.shape}], got {list(shape)}"
            )

    def checked_action(self, action: Array | Mapping[str, Array] | None) -> dict[str, Array]:
        """An action as `step` takes it, by stream and cut to its range. BadUse for one that is none."""
        if action is None:
            return {}
        actions = dict(action) if isinstance(action, Mapping) else {"action": action}
        checked: dict[str, Array] = {}
        for name, value in actions.items():
            if name not in self._actions:
                raise BadUse(f"the world has no action {name!r}; it has {', '.join(self._actions) or 'none'}")
            stream = self.engine.spec.streams[name]
            expected = (self.num_worlds, *stream.shape)
            array = np.asarray(value)
            if array.shape != expected:
                raise BadUse(f"{name}: expected {expected}, got {array.shape}")
            if stream.kind == "choice":
                if array.min() < 0 or array.max() >= stream.num_choices:
                    raise BadUse(
                        f"{name}: choices are 0 to {stream.num_choices - 1}, "
                        f"got {array.min()} to {array.max()}"
                    )
                checked[name] = array.astype(np.int64)
                continue
            if not np.isfinite(array).all():
                raise BadUse(f"{name}: holds values that are not finite")
            if stream.low is not None or stream.high is not None:
                array = np.clip(array, stream.low, stream.high)
            checked[name] = array.astype(np.float32)
        return checked


def step_together(worlds: Sequence[ImaginedWorld], actions: Sequence[Mapping[str, Array]]) -> None:
    """Imagine the next tick of worlds of one engine, those of a kind in one pass. Each gets what its own step
    would have given it, but for rounding.

    actions: of each world, from `checked_action`. The worlds were all reset.
    """
    kinds: dict[Hashable, list[int]] = {}
    for index, (world, action) in enumerate(zip(worlds, actions, strict=True)):
        kinds.setdefault(world.kind_of_pass(action), []).append(index)
    for members in kinds.values():
        _advance_all([worlds[index] for index in members], [actions[index] for index in members])


def _advance_all(worlds: Sequence[ImaginedWorld], actions: Sequence[Mapping[str, Array]]) -> None:
    """One pass of worlds of one kind."""
    first, engine, lives = worlds[0], worlds[0].engine, [life for world in worlds for life in world._lives]
    if len(worlds) == 1:
        first._state, first._tick = first._advance(first._state, lives, actions[0])
        return
    joined = {name: np.concatenate([action[name] for action in actions]) for name in actions[0]}
    state, tick = first._advance(engine.join([world._state for world in worlds]), lives, joined)
    end = 0
    for world in worlds:
        rows = np.arange(end, end := end + world.num_worlds)
        world._state = engine.select(state, rows)
        world._tick = {name: value[rows] for name, value in tick.items()}


def _due(lives: Sequence[_Life]) -> tuple[frozenset[str], frozenset[str]]:
    """Streams of which all of some worlds have one more tick: given ones, and those of a real start."""
    first = lives[0]
    given = (n for n in first.given if all(life.tick < len(life.given.get(n, ())) for life in lives))
    start = (n for n in first.start if all(life.tick < len(life.start.get(n, ())) for life in lives))
    return frozenset(given), frozenset(start)


def _needed(engine: Engine, observed: Iterable[str]) -> tuple[str, ...]:
    """The streams that have to be made for those that are observed: all numbers, in order; and pictures and
    sound that are observed, or all, where there are no observed numbers that carry the world."""
    streams = {n: s for n, s in engine.spec.streams.items() if s.role != "given"}
    carried = any(s.role == "observed" and s.is_numbers for s in streams.values())
    observed = set(observed)
    return tuple(n for n, s in streams.items() if n in observed or not carried or s.is_numbers)


def _replaced(whole: Array, worlds: Array, part: Array) -> Array:
    whole = whole.copy()
    whole[worlds] = part
    return whole
