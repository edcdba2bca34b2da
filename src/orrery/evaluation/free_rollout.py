"""Left to itself for minutes: does a learned world stay the world that it learned (W6)?

Each minute is measured as the real recordings are: how much moves, how often things happen, what a detector
finds, and how the latents are spread. Figures are of the imagined minute, beside the recordings' own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np

from orrery.engines.base import Engine, EngineState, Latents
from orrery.evaluation.detector import Detector, Policy, Streams
from orrery.evaluation.rollout import CHANGED, Windows, finite
from orrery.evaluation.tick_events import events_per_minute, number_events, onset_ticks
from orrery.inference.imagined import ImaginedWorld
from orrery.streams import Array, StreamSpec, WorldSpec

__all__ = ["Watched", "as_recorded", "free_rollout", "random_actions", "real_latents", "stretch_figures"]

CHUNK_SECONDS = 60.0


class Watched:
    """An engine that also keeps the sums of what is committed, so that latents can be told from real ones."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sums: dict[str, Array] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def commit(self, state: EngineState, latents: Latents, is_real: bool = False) -> EngineState:
        """See `Engine`."""
        for name, value in latents.items():
            self._sums[name] = self._sums.get(name, np.zeros(3)) + _sums(value)
        return self._engine.commit(state, latents, is_real)

    def taken(self) -> dict[str, Array]:
        """Number, sum and sum of squares of what was committed since the last call, by stream."""
        sums, self._sums = self._sums, {}
        return sums


@dataclass(frozen=True)
class Usual:
    """What is usual of a number in the recordings: its median, and its standard deviation."""

    median: float
    spread: float


def usual_numbers(spec: WorldSpec, episodes: Iterable[Streams]) -> dict[str, Usual]:
    """Of rewards and endings in real episodes `[1, T, *shape]`."""
    values: dict[str, list[Array]] = defaultdict(list)
    for episode in episodes:
        for stream in spec.of_role("outcome"):
            flat = episode[stream.name].reshape(*episode[stream.name].shape[:2], -1).sum(-1)
            values[stream.name].append(flat.ravel())
    joined = {name: np.concatenate(parts) for name, parts in values.items()}
    return {name: Usual(float(np.median(v)), float(v.std())) for name, v in joined.items()}


def stretch_figures(
    spec: WorldSpec, streams: Streams, usual: Mapping[str, Usual], detector: Detector | None
) -> dict[str, float]:
    """Figures of some worlds over some ticks, `[N, T, *shape]`; the same for real and for imagined ones."""
    seconds = spec.clock.tick_seconds
    figures: dict[str, float] = {}
    for stream in spec.of_kind("video"):
        frames = streams[stream.name][:, :, -1]
        moved = [_moved(a, b) for film in frames for a, b in pairwise(film)]
        figures[f"{stream.name}: share that moves"] = float(np.mean(moved))
        figures[f"{stream.name}: brightness"] = float(frames[:, ::5].mean())
    for stream in spec.of_role("observed"):
        if stream.kind == "vector":
            flat = streams[stream.name].reshape(*streams[stream.name].shape[:2], -1)
            figures[f"{stream.name}: change a tick"] = float(np.abs(np.diff(flat, axis=1)).mean())
    for stream in spec.of_kind("audio"):
        onsets = onset_ticks(streams[stream.name], spec.clock.samples_per_second)
        figures[f"{stream.name}: onsets a minute"] = events_per_minute(onsets, seconds)
    for name, known in usual.items():
        events = number_events(streams[name], known.median, known.spread)
        figures[f"{name}: a minute"] = events_per_minute(events, seconds)
    if detector is not None and detector.events is not None:
        figures["events seen a minute"] = events_per_minute(detector.events(streams), seconds)
    if detector is not None and detector.find is not None:
        for name, places in detector.find(streams).items():
            figures[f"{name}: there"] = float(np.isfinite(places).all(-1).mean())
    if detector is not None and detector.amounts is not None:
        figures |= {name: float(np.abs(v).mean()) for name, v in detector.amounts(streams).items()}
    return figures


def free_rollout(
    engine: Engine,
    windows: Windows,
    act: Policy,
    minutes: float,
    real: Iterable[Streams],
    detector: Detector | None = None,
    show: Callable[[Streams], None] | None = None,
) -> dict[str, Any]:
    """Go on from the contexts of `windows` for minutes: `real` figures, `by_minute` the imagined ones, and
    `ratio` of the last minute's to the real.

    act: who acts. real: whole held-out episodes `[1, T, *shape]`. show: called with every tick of the first
    world, `[1, *shape]`.
    """
    watched = Watched(engine)
    world = ImaginedWorld(cast(Engine, watched), windows.num)
    spec = engine.spec
    episodes = list(real)
    usual = usual_numbers(spec, episodes)
    real_figures = _mean([stretch_figures(spec, _settled(e, spec), usual, detector) for e in episodes])
    real_sums = real_latents(engine, windows)
    given = windows.given()
    tick = world.reset(seed=1, prompt=None, given=given)
    for _ in range(windows.context - 1):
        tick = world.step(None)
    watched.taken()
    rng = np.random.default_rng(1)
    by_minute: list[dict[str, float | None]] = []
    per_chunk = max(2, round(CHUNK_SECONDS / spec.clock.tick_seconds))
    left = max(2, round(60 * minutes / spec.clock.tick_seconds))
    while left >= 2:
        ticks: list[dict[str, Array]] = []
        for _ in range(min(per_chunk, left)):
            tick = world.step(act(tick, rng) or None)
            ticks.append(tick)
            if show is not None:
                show({name: value[:1] for name, value in tick.items()})
        left -= len(ticks)
        streams = {name: np.stack([t[name] for t in ticks], 1) for name in ticks[0]}
        figures = stretch_figures(spec, streams, usual, detector)
        figures |= _latent_figures(watched.taken(), real_sums)
        by_minute.append({name: finite(value) for name, value in figures.items()})
    real_figures |= {name: float(name.endswith("spread")) for name in _latent_figures(real_sums, real_sums)}
    return {
        "minutes": minutes,
        "num_worlds": windows.num,
        "real": {name: finite(value) for name, value in real_figures.items()},
        "by_minute": by_minute,
        "ratio": {name: _ratio(by_minute[-1].get(name), value) for name, value in real_figures.items()},
    }


def random_actions(streams: Iterable[StreamSpec]) -> Policy:
    """Anything that is allowed, anew each tick; between -1 and 1 where there are no bounds."""
    specs = [s for s in streams if s.kind != "text"]

    def act(tick: Streams, rng: np.random.Generator) -> dict[str, Array]:
        """Of every world of the tick, `[N, *shape]` by stream."""
        num = len(next(iter(tick.values())))
        actions: dict[str, Array] = {}
        for spec in specs:
            shape = (num, *spec.shape)
            low, high = (-1.0 if spec.low is None else spec.low), (1.0 if spec.high is None else spec.high)
            choice = spec.kind == "choice"
            drawn = rng.integers(0, spec.num_choices, shape) if choice else rng.uniform(low, high, shape)
            actions[spec.name] = drawn.astype(spec.dtype)
        return actions

    return act


def as_recorded(actions: Mapping[str, Array], num_worlds: int) -> Policy:
    """The recording's own actions `[T, *shape]`, over and over; each world begins elsewhere in them."""
    counter = [0]

    def act(tick: Streams, rng: np.random.Generator) -> dict[str, Array]:
        at = counter[0]
        counter[0] += 1
        taken: dict[str, Array] = {}
        for name, values in actions.items():
            starts = np.arange(num_worlds) * len(values) // num_worlds
            taken[name] = values[(at + starts) % len(values)]
        return taken

    return act


def real_latents(engine: Engine, windows: Windows) -> dict[str, Array]:
    """As `Watched.taken`, of real ticks."""
    sums: dict[str, Array] = {}
    for stream in engine.spec.of_role("observed"):
        state = engine.empty(windows.num, [stream.name])
        for tick in range(windows.context + windows.horizon):
            latents, state = engine.encode(state, stream.name, windows.streams[stream.name][:, tick])
            sums[stream.name] = sums.get(stream.name, np.zeros(3)) + _sums(latents)
    return sums


def _sums(values: Array) -> Array:
    values = values.astype(np.float64)
    return np.array([values.size, values.sum(), np.square(values).sum()])


def _latent_figures(sums: Mapping[str, Array], real: Mapping[str, Array]) -> dict[str, float]:
    """Spread of latents in real spreads, and how far their mean is from the real one, in the same."""
    figures: dict[str, float] = {}
    for name, whole in real.items():
        if name not in sums:
            continue
        (mean, spread), (real_mean, real_spread) = (_moments(s) for s in (sums[name], whole))
        figures[f"{name} latents: spread"] = spread / max(real_spread, 1e-9)
        figures[f"{name} latents: shift of mean"] = (mean - real_mean) / max(real_spread, 1e-9)
    return figures


def _moments(sums: Array) -> tuple[float, float]:
    num, total, squares = (float(v) for v in sums)
    mean = total / num
    return mean, max(squares / num - mean**2, 0.0) ** 0.5


def _moved(before: Array, after: Array) -> float:
    """The share of pixels that differ between two frames."""
    return float((np.abs(after.astype(np.int16) - before).max(-1) > CHANGED).mean())


def _settled(episode: Streams, spec: WorldSpec) -> dict[str, Array]:
    """An episode without its first second, in which environments may flash up, or drop things into place."""
    skip = round(1.0 / spec.clock.tick_seconds)
    long = next(iter(episode.values())).shape[1] > 3 * skip
    return {name: value[:, skip:] if long else value for name, value in episode.items()}


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}


def _ratio(made: float | None, real: float) -> float | None:
    return None if made is None or not np.isfinite(real) or real == 0 else made / real
