"""Any learned world against its real one: held-out episodes, imagined under the same actions.

From a few real ticks of context, the same actions are played that were played in the recording. Beside the
model stand copying the last frame, and the tokenizer alone (the ceiling). Errors of pictures are of the
pixels that change within the stretch, by the truth: where little moves, copying the whole picture looks
excellent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orrery.errors import BadUse
from orrery.inference.imagined import ImaginedWorld
from orrery.streams import Array, StreamSpec

__all__ = ["HORIZONS_SECONDS", "Rollouts", "Windows", "imagine_windows", "measure_rollouts"]

HORIZONS_SECONDS = (0.25, 1.0, 2.0, 5.0)
CHANGED = 12
"""Difference of a colour (of 255) between two frames from which on a pixel counts as changed."""
CONTEXT_TICKS = 8

Load = Callable[[int, str, int, int], Array]
"""Episode, stream, first tick, ticks to `[ticks, *shape]`."""


@dataclass(frozen=True)
class Windows:
    """Stretches of held-out episodes. streams: name to `[N, context + horizon, *shape]`. context: ticks that
    are given. text: the sentence of each."""

    streams: Mapping[str, Array]
    context: int
    text: tuple[str, ...]

    @property
    def num(self) -> int:
        return len(self.text)

    @property
    def horizon(self) -> int:
        """Ticks that are imagined."""
        return next(iter(self.streams.values())).shape[1] - self.context

    @classmethod
    def cut(
        cls,
        lengths: Mapping[int, int],
        names: Sequence[str],
        load: Load,
        text: Callable[[int], str],
        num: int,
        horizon: int,
        seed: int = 0,
    ) -> Windows:
        """`num` stretches from episodes of these lengths, spread evenly, as long as `horizon` ticks where the
        episodes allow it; the shortest of those that are kept rules. BadUse where none has two ticks."""
        context = CONTEXT_TICKS
        longest = max(lengths.values(), default=0)
        if longest < 2:
            raise BadUse("no held-out episode has two ticks: nothing can be compared")
        context = min(context, longest // 2)
        total = min(context + horizon, longest)
        able = [index for index, length in lengths.items() if length >= total]
        rng = np.random.default_rng([seed, 11])
        cut: dict[str, list[Array]] = {name: [] for name in names}
        texts: list[str] = []
        for k in range(num):
            index = able[k % len(able)]
            start = int(rng.integers(0, lengths[index] - total + 1))
            for name in names:
                cut[name].append(load(index, name, start, total))
            texts.append(text(index))
        return cls({name: np.stack(values) for name, values in cut.items()}, context, tuple(texts))


@dataclass(frozen=True)
class Rollouts:
    """What was measured. by_horizon: stream to rows of `seconds`, `model`, `copy`, `ceiling` and, where there
    are actions, `shuffled` (root mean square errors; of pictures in grey levels of changed pixels, of numbers
    in shares of their spread). actions_matter: stream to error under shuffled actions over that under true
    ones, over the first two seconds. outcomes: of reward and ending. films: what was imagined, for looking
    at."""

    by_horizon: dict[str, list[dict[str, float | None]]]
    actions_matter: dict[str, float | None]
    outcomes: dict[str, float | None]
    num_windows: int
    context_ticks: int
    films: dict[str, Array] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the films."""
        return {
            "by_horizon": self.by_horizon, "actions_matter": self.actions_matter, "outcomes": self.outcomes,
            "num_windows": self.num_windows, "context_ticks": self.context_ticks,
        }  # fmt: skip


def imagine_windows(world: ImaginedWorld, windows: Windows, shuffled: bool = False) -> dict[str, Array]:
    """What the world imagines after each context, `[N, horizon, *shape]` by stream.

    shuffled: under the actions of the next window instead of its own, from the end of the context on.
    """
    given = {name: values[:, : windows.context] for name, values in windows.streams.items()}
    world.reset(seed=0, prompt=None, given=given)
    for _ in range(windows.context - 1):
        world.step(None)
    actions = {
        s.name: windows.streams[s.name] for s in world.engine.spec.of_role("given") if s.kind != "text"
    }
    if shuffled:
        actions = {name: np.roll(values, 1, axis=0) for name, values in actions.items()}
    ticks: list[dict[str, Array]] = []
    for tick in range(windows.context, windows.context + windows.horizon):
        ticks.append(world.step({name: values[:, tick] for name, values in actions.items()} or None))
    return {name: np.stack([t[name] for t in ticks], 1) for name in ticks[0]}


def measure_rollouts(world: ImaginedWorld, windows: Windows) -> Rollouts:
    """Everything in `Rollouts`; one pass under the true actions and one under shuffled ones."""
    spec = world.engine.spec
    imagined = imagine_windows(world, windows)
    has_actions = bool([s for s in spec.of_role("given") if s.kind != "text"])
    shuffled = imagine_windows(world, windows, shuffled=True) if has_actions and windows.num > 1 else {}
    seconds = spec.clock.tick_seconds
    by_horizon: dict[str, list[dict[str, float | None]]] = {}
    matter: dict[str, float | None] = {}
    for stream in spec.of_role("observed"):
        if stream.kind not in ("video", "vector") or stream.name not in imagined:
            continue
        truth = windows.streams[stream.name]
        methods = {
            "model": imagined[stream.name],
            "copy": np.repeat(truth[:, windows.context - 1 : windows.context], windows.horizon, 1),
            "ceiling": _there_and_back(world, stream, truth[:, windows.context :]),
            **({"shuffled": shuffled[stream.name]} if shuffled else {}),
        }
        errors = {name: tick_errors(stream, made, truth, windows.context) for name, made in methods.items()}
        rows: list[dict[str, float | None]] = []
        reached = [h for h in HORIZONS_SECONDS if 0 <= round(h / seconds) - 1 < windows.horizon]
        for horizon in reached or [windows.horizon * seconds]:
            tick = round(horizon / seconds) - 1
            rows.append({"seconds": horizon, **{name: _finite(e[tick]) for name, e in errors.items()}})
        by_horizon[stream.name] = rows
        if shuffled:
            upto = max(1, round(2.0 / seconds))
            model, other = (float(np.nanmean(errors[name][:upto])) for name in ("model", "shuffled"))
            matter[stream.name] = _finite(other / max(model, 1e-9))
    outcomes = _outcomes(windows, imagined)
    return Rollouts(by_horizon, matter, outcomes, windows.num, windows.context, imagined)


def tick_errors(stream: StreamSpec, made: Array, truth: Array, context: int) -> Array:
    """Root mean square error of each imagined tick, `[horizon]`; nan where nothing changes.

    made: `[N, horizon, *shape]`; truth: with its context.
    """
    target = truth[:, context:]
    if stream.kind == "video":
        frames = truth[:, context - 1 :, -1].astype(np.int16)  # the last frame of each tick
        moved = (np.abs(np.diff(frames, axis=1)).max(-1) > CHANGED).cumsum(1) > 0  # since the context
        square = np.square(made[:, :, -1].astype(np.float32) - target[:, :, -1]).mean(-1)
        weight = moved.sum((0, 2, 3))
        return np.sqrt(np.where(weight > 0, (square * moved).sum((0, 2, 3)) / np.maximum(weight, 1), np.nan))
    flat = truth.reshape(*truth.shape[:2], -1).astype(np.float64)
    spread = flat.std((0, 1))
    used = spread > 1e-9
    error = (made.reshape(*made.shape[:2], -1) - flat[:, context:])[..., used] / spread[used]
    return np.sqrt(np.square(error).mean((0, 2))) if used.any() else np.full(made.shape[1], np.nan)


def _there_and_back(world: ImaginedWorld, stream: StreamSpec, ticks: Array) -> Array:
    """The tokenizer alone: real ticks encoded and decoded."""
    state = world.engine.empty(len(ticks), [stream.name])
    decoded: list[Array] = []
    for tick in range(ticks.shape[1]):
        latents, state = world.engine.encode(state, stream.name, ticks[:, tick])
        payload, state = world.engine.decode(state, stream.name, latents)
        decoded.append(payload)
    return np.stack(decoded, 1)


def _outcomes(windows: Windows, imagined: Mapping[str, Array]) -> dict[str, float | None]:
    """Correlation of rewards summed over a fifth of a second around, and F1 of endings and of rewards."""
    outcomes: dict[str, float] = {}
    for name in ("reward", "terminated"):
        if name not in imagined or name not in windows.streams:
            continue
        truth = windows.streams[name][:, windows.context :].reshape(windows.num, windows.horizon, -1).sum(-1)
        made = imagined[name].reshape(windows.num, windows.horizon, -1).sum(-1)
        if name == "reward" and truth.std() > 0:
            constant = made.std() == 0
            outcomes["reward correlation"] = (
                0.0 if constant else float(np.corrcoef(truth.ravel(), made.ravel())[0, 1])
            )
        usual = np.median(truth)
        outcomes[f"{name} F1"] = _event_f1(truth != usual, made != usual)
    return {key: _finite(value) for key, value in outcomes.items()}


def _event_f1(truth: Array, made: Array) -> float:
    """F1 of events `[N, ticks]` that may be a tick early or late; nan where there are none at all."""

    def near(events: Array) -> Array:
        wide = events.copy()
        wide[:, 1:] |= events[:, :-1]
        wide[:, :-1] |= events[:, 1:]
        return wide

    if not truth.any() and not made.any():
        return float("nan")
    hit, found = (truth & near(made)).sum(), (made & near(truth)).sum()
    recall, precision = hit / max(truth.sum(), 1), found / max(made.sum(), 1)
    return float(2 * recall * precision / max(recall + precision, 1e-9))


def _finite(value: float) -> float | None:
    """None for what could not be measured: JSON knows no nan."""
    return float(value) if np.isfinite(value) else None
