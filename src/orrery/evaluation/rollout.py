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
from orrery.evaluation.tick_events import event_f1, number_events
from orrery.inference.imagined import ImaginedWorld
from orrery.streams import Array, StreamSpec

__all__ = [
    "CHANGED",
    "HORIZONS_SECONDS",
    "Rollouts",
    "Windows",
    "action_streams",
    "finite",
    "imagine_windows",
    "measure_rollouts",
    "there_and_back",
]

HORIZONS_SECONDS = (0.25, 1.0, 2.0, 5.0)
CHANGED = 12
"""Difference of a colour (of 255) between two frames from which on a pixel counts as changed."""
CONTEXT_TICKS = 8
REWARD_SECONDS = 0.2
"""Rewards are compared in sums over this, for a tick early is as good."""

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

    def until(self, horizon: int) -> Windows:
        """The same with at most `horizon` ticks to imagine."""
        end = self.context + min(horizon, self.horizon)
        return Windows({n: v[:, :end] for n, v in self.streams.items()}, self.context, self.text)

    def given(self) -> dict[str, Array]:
        """The context, by stream."""
        return {n: v[:, : self.context] for n, v in self.streams.items()}

    def truth(self) -> dict[str, Array]:
        """What came after the context, by stream."""
        return {n: v[:, self.context :] for n, v in self.streams.items()}

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
    ones, over the first two seconds. outcomes: of reward and ending. films: what was imagined, and decoded:
    what the tokenizer alone made of the real ticks; for looking at, and for detectors."""

    by_horizon: dict[str, list[dict[str, float | None]]]
    actions_matter: dict[str, float | None]
    outcomes: dict[str, float | None]
    num_windows: int
    context_ticks: int
    films: dict[str, Array] = field(default_factory=dict, repr=False)
    decoded: dict[str, Array] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the films."""
        return {
            "by_horizon": self.by_horizon, "actions_matter": self.actions_matter, "outcomes": self.outcomes,
            "num_windows": self.num_windows, "context_ticks": self.context_ticks,
        }  # fmt: skip


def action_streams(windows: Windows, world: ImaginedWorld) -> dict[str, Array]:
    """What was done in each window, context included, by stream."""
    given = world.engine.spec.of_role("given")
    return {s.name: windows.streams[s.name] for s in given if s.kind != "text"}


def imagine_windows(
    world: ImaginedWorld, windows: Windows, actions: Mapping[str, Array] | None = None
) -> dict[str, Array]:
    """What the world imagines after each context, `[N, horizon, *shape]` by stream.

    actions: other ones than were recorded, as `action_streams`; only those after the context count.
    """
    world.reset(seed=0, prompt=None, given=windows.given())
    for _ in range(windows.context - 1):
        world.step(None)
    actions = action_streams(windows, world) if actions is None else actions
    ticks: list[dict[str, Array]] = []
    for tick in range(windows.context, windows.context + windows.horizon):
        ticks.append(world.step({name: values[:, tick] for name, values in actions.items()} or None))
    return {name: np.stack([t[name] for t in ticks], 1) for name in ticks[0]}


def measure_rollouts(world: ImaginedWorld, windows: Windows) -> Rollouts:
    """Everything in `Rollouts`; one pass under the true actions and one under shuffled ones."""
    spec = world.engine.spec
    imagined = imagine_windows(world, windows)
    next_windows = {name: np.roll(values, 1, 0) for name, values in action_streams(windows, world).items()}
    shuffled = imagine_windows(world, windows, next_windows) if next_windows and windows.num > 1 else {}
    seconds = spec.clock.tick_seconds
    by_horizon: dict[str, list[dict[str, float | None]]] = {}
    matter: dict[str, float | None] = {}
    decoded: dict[str, Array] = {}
    for stream in spec.of_role("observed"):
        if stream.name not in imagined:
            continue
        truth = windows.streams[stream.name]
        decoded[stream.name] = there_and_back(world, stream, truth[:, windows.context :])
        if stream.kind not in ("video", "vector"):
            continue
        methods = {
            "model": imagined[stream.name],
            "copy": np.repeat(truth[:, windows.context - 1 : windows.context], windows.horizon, 1),
            "ceiling": decoded[stream.name],
            **({"shuffled": shuffled[stream.name]} if shuffled else {}),
        }
        errors = {name: tick_errors(stream, made, truth, windows.context) for name, made in methods.items()}
        rows: list[dict[str, float | None]] = []
        reached = [h for h in HORIZONS_SECONDS if 0 <= round(h / seconds) - 1 < windows.horizon]
        for horizon in reached or [windows.horizon * seconds]:
            tick = round(horizon / seconds) - 1
            rows.append({"seconds": horizon, **{name: finite(e[tick]) for name, e in errors.items()}})
        by_horizon[stream.name] = rows
        if shuffled:
            upto = max(1, round(2.0 / seconds))
            model, other = (float(np.nanmean(errors[name][:upto])) for name in ("model", "shuffled"))
            matter[stream.name] = finite(other / max(model, 1e-9))
    outcomes = _outcomes(windows, imagined, seconds)
    return Rollouts(by_horizon, matter, outcomes, windows.num, windows.context, imagined, decoded)


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


def there_and_back(world: ImaginedWorld, stream: StreamSpec, ticks: Array) -> Array:
    """The tokenizer alone: real ticks encoded and decoded."""
    state = world.engine.empty(len(ticks), [stream.name])
    decoded: list[Array] = []
    for tick in range(ticks.shape[1]):
        latents, state = world.engine.encode(state, stream.name, ticks[:, tick])
        payload, state = world.engine.decode(state, stream.name, latents)
        decoded.append(payload)
    return np.stack(decoded, 1)


def _outcomes(
    windows: Windows, imagined: Mapping[str, Array], tick_seconds: float
) -> dict[str, float | None]:
    """Correlation of rewards summed over a fifth of a second, and F1 within a tick of endings and of rewards
    that are clearly other than usual."""
    outcomes: dict[str, float] = {}
    for name in ("reward", "terminated"):
        if name not in imagined or name not in windows.streams:
            continue
        truth = windows.streams[name][:, windows.context :].reshape(windows.num, windows.horizon, -1).sum(-1)
        made = imagined[name].reshape(windows.num, windows.horizon, -1).sum(-1)
        if name == "reward" and truth.std() > 0:
            a, b = (_summed(values, max(1, round(REWARD_SECONDS / tick_seconds))) for values in (truth, made))
            outcomes["reward correlation"] = 0.0 if b.std() == 0 else float(np.corrcoef(a, b)[0, 1])
        usual, spread = float(np.median(truth)), float(truth.std())
        events = [number_events(values, usual, spread) for values in (truth, made)]
        outcomes[f"{name} F1"] = event_f1(events[0], events[1])
    return {key: finite(value) for key, value in outcomes.items()}


def _summed(values: Array, num: int) -> Array:
    """Sums over `num` successive ticks of each row `[N, T]`, in one row."""
    num = min(num, values.shape[1])
    return np.lib.stride_tricks.sliding_window_view(values, num, axis=1).sum(-1).ravel()


def finite(value: float) -> float | None:
    """None for what could not be measured: JSON knows no nan."""
    return float(value) if np.isfinite(value) else None
