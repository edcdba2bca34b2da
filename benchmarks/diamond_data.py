"""Our recordings as DIAMOND takes them: pictures of its size, actions as numbers, held-out stretches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import Progress as Bar

from diamond_model import CONTEXT, SIZE, Recordings, leading_on
from harness import console
from orrery.data.dataset import Dataset
from orrery.errors import BadUse, UserError
from orrery.evaluation.rollout import Windows
from orrery.streams import Array
from orrery.training.prepare import Episodes

HORIZONS_SECONDS = (1.0, 2.0, 5.0)
PEDALS = "CarRacing"
"""Environments whose actions are steering, gas and brake."""
LINE_SECONDS = 30.0


def shrunk(pictures: Array, size: int = SIZE) -> Array:
    """`[..., H, W, 3]` uint8 as `[..., size, size, 3]`, each pixel the mean of the area that it covers."""
    height, width = pictures.shape[-3:-1]
    if (height, width) == (size, size):
        return pictures
    flat = pictures.reshape(-1, height, width, 3)
    rows, columns = area_weights(height, size), area_weights(width, size)
    made = np.empty((len(flat), size, size, 3), np.uint8)
    for start in range(0, len(flat), 64):
        part = np.tensordot(flat[start : start + 64].astype(np.float32), rows, (1, 1))  # [n, W, 3, size]
        part = np.tensordot(part, columns, (1, 1))  # [n, 3, size, size]
        made[start : start + 64] = np.moveaxis(part, 1, -1).round()
    return made.reshape(*pictures.shape[:-3], size, size, 3)


def area_weights(num: int, size: int) -> Array:
    """`[size, num]`: the share of each of `num` pixels in a row's `size` wider ones; rows sum to 1."""
    edges = np.arange(size + 1) * (num / size)
    pixels = np.arange(num)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.maximum(covered, 0) * (size / num)).astype(np.float32)


@dataclass(frozen=True)
class ActionTable:
    """Actions as numbers from 0 on. levels: of each axis, where actions are numbers; none where they are
    choices, or where nothing is done. variance_kept: of each axis, by rounding to its levels."""

    num: int
    stream: str = ""
    has_pedals: bool = False
    levels: tuple[tuple[float, ...], ...] = ()
    variance_kept: tuple[float, ...] = ()

    @classmethod
    def of(cls, data: Dataset, training: tuple[int, ...], num_levels: tuple[int, ...]) -> ActionTable:
        """The table for a data set's one action; its levels fitted to the training episodes."""
        actions = [s for s in data.spec.of_role("given") if s.kind != "text"]
        if not actions:
            return cls(1)
        if len(actions) > 1:
            raise UserError(
                f"{data.path}: DIAMOND takes one action, here are {', '.join(s.name for s in actions)}"
            )
        stream = actions[0]
        if stream.kind == "choice":
            return cls(stream.num_choices, stream.name)
        has_pedals = PEDALS in data.spec.environment.get("id", "") and stream.shape[-1] == 3
        values = np.concatenate([data.load(index, [stream.name])[stream.name] for index in training])
        axes = axes_of(values, has_pedals)
        if len(num_levels) != axes.shape[1]:
            raise BadUse(
                f"--levels {' '.join(map(str, num_levels))}: the actions of {data.path} have "
                f"{axes.shape[1]} axes; give as many levels for each"
            )
        levels = tuple(fitted_levels(axis, num) for axis, num in zip(axes.T, num_levels, strict=True))
        rounded = [np.take(one, nearest_level(axis, one)) for axis, one in zip(axes.T, levels, strict=True)]
        kept = [
            1 - np.square(r - a).mean() / max(a.var(), 1e-12) for a, r in zip(axes.T, rounded, strict=True)
        ]
        return cls(math.prod(num_levels), stream.name, has_pedals, levels, tuple(float(k) for k in kept))

    def numbers(self, actions: Array | None, num_ticks: int) -> Array:
        """`[ticks]`, of actions `[ticks, *shape]`."""
        if actions is None:
            return np.zeros(num_ticks, np.int64)
        if not self.levels:
            return actions.reshape(len(actions), -1)[:, -1].astype(np.int64)
        numbers = np.zeros(len(actions), np.int64)
        for axis, levels in zip(axes_of(actions, self.has_pedals).T, self.levels, strict=True):
            numbers = numbers * len(levels) + nearest_level(axis, levels)
        return numbers


def axes_of(actions: Array, has_pedals: bool) -> Array:
    """`[ticks, axes]` of actions `[ticks, frames, numbers]`, of the last frame; gas and brake are one."""
    last = actions.reshape(len(actions), -1, actions.shape[-1])[:, -1].astype(np.float64)
    return np.stack([last[:, 0], last[:, 1] - last[:, 2]], axis=1) if has_pedals else last


def fitted_levels(values: Array, num: int) -> tuple[float, ...]:
    """`num` levels from the least to the greatest value, then each the mean of those nearest to it."""
    levels = np.linspace(values.min(), values.max(), num)
    for _ in range(20):
        nearest = nearest_level(values, tuple(levels))
        for k in range(num):
            levels[k] = values[nearest == k].mean() if (nearest == k).any() else levels[k]
    return tuple(float(level) for level in levels)


def nearest_level(values: Array, levels: tuple[float, ...]) -> Array:
    """Which of the levels each value is nearest to."""
    return np.abs(values[:, None] - np.array(levels)).argmin(1)


def recordings_of(episodes: Episodes, stream: str, table: ActionTable, folder: Path) -> Recordings:
    """The training episodes at DIAMOND's size; kept in `folder`, so that it is done once."""
    data, indices = episodes.data, episodes.training
    lengths = np.array([data.num_ticks(index) for index in indices])
    shape = (int(lengths.sum()), SIZE, SIZE, 3)
    file = folder / "frames.npy"
    is_there = file.exists() and np.load(file, mmap_mode="r").shape == shape
    unfinished = file.with_suffix(".part")
    frames = None if is_there else np.lib.format.open_memmap(unfinished, "w+", np.uint8, shape)
    actions: list[Array] = []
    with bar("pictures for DIAMOND", len(indices)) as on_step:
        for number, index in enumerate(indices):
            row = int(lengths[:number].sum())
            if frames is not None:
                frames[row : row + lengths[number]] = shrunk(data.load(index, [stream])[stream][:, -1])
            played = data.load(index, [table.stream])[table.stream] if table.stream else None
            actions.append(leading_on(table.numbers(played, int(lengths[number]))))
            on_step(number + 1, "")
    if frames is not None:
        frames.flush()
        unfinished.rename(file)
    return Recordings(np.load(file, mmap_mode="r"), np.concatenate(actions), lengths)


@dataclass(frozen=True)
class Held:
    """The same held-out stretches for both. ours: as ours takes them. small: the picture alone, at DIAMOND's
    size. actions: `[N, ticks]`, as DIAMOND takes them, each leading on from its frame."""

    ours: Windows
    small: Windows
    actions: Array

    @classmethod
    def cut(cls, episodes: Episodes, stream: str, table: ActionTable, num: int, seed: int) -> Held:
        """`num` stretches of the held-out episodes, as long as the longest horizon where those allow it."""
        data = episodes.data
        lengths = {index: data.num_ticks(index) for index in episodes.held_out}
        horizon = round(max(HORIZONS_SECONDS) / data.spec.clock.tick_seconds)
        names = list(episodes.spec.streams)
        ours = Windows.cut(lengths, names, episodes.load, data.text, num, horizon, seed)
        raw = Windows.cut(
            lengths, [stream], lambda i, name, start, ticks: data.load(i, [name], start, ticks)[name],
            data.text, num, horizon, seed,
        )  # fmt: skip
        if ours.context < CONTEXT:
            raise UserError(
                f"{data.path}: its held-out episodes are too short for {CONTEXT} frames before one"
            )
        small = Windows({stream: shrunk(raw.streams[stream])}, raw.context, raw.text)
        played = ours.streams.get(table.stream)
        ticks = ours.context + ours.horizon
        actions = [
            leading_on(table.numbers(None if played is None else played[k], ticks)) for k in range(num)
        ]
        return cls(ours, small, np.stack(actions))

    @property
    def seen_by_diamond(self) -> tuple[Array, Array]:
        """Its context, and the actions from there on."""
        first = self.small.context - CONTEXT
        frames = next(iter(self.small.streams.values()))[:, first : self.small.context, -1]
        return frames, self.actions[:, first:-1]


@contextmanager
def bar(what: str, total: float) -> Iterator[Callable[[float, str], None]]:
    """A progress bar; where nobody looks on, a line now and then."""
    said = time.monotonic()
    with Bar(console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=total)

        def on_step(done: float, words: str) -> None:
            nonlocal said
            shown.update(task, completed=done, description=f"{what} {words}".rstrip())
            if not console.is_terminal and time.monotonic() - said > LINE_SECONDS:
                console.print(f"{what}: {done:.0f} of {total:.0f} {words}".rstrip())
                said = time.monotonic()

        yield on_step


def picture_stream(data: Dataset) -> str:
    """The one film of a data set, a frame a tick; UserError where DIAMOND could not learn it."""
    films = data.spec.of_kind("video")
    if len(films) != 1 or data.spec.clock.frames_per_tick != 1:
        raise UserError(
            f"{data.path}: DIAMOND learns one film with a frame for each action; here are {len(films)} films "
            f"with {data.spec.clock.frames_per_tick} frames a tick"
        )
    return films[0].name
