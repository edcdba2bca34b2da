"""What is in a picture of Pong, 96 x 96: the ball, both paddles, and what makes a sound.

Everything that moves is one of three colours on a plain ground, so that each pixel's difference from the
ground is shares of those three: places are centres of gravity of such shares, finer than a pixel, and blur
moves none. Calibrated on frames that a tokenizer had encoded and decoded: there the ball weighs half of what
it weighs in real frames, and where there is none, nothing weighs anything. Against the console's memory: see
tests/runs/test_pong_detect.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Streams = Mapping[str, Array]

GROUND = np.array([144.0, 72.0, 17.0])
COLOURS = np.array([[92.0, 164.0, 219.0], [69.0, 58.0, 57.0], [-52.0, 114.0, 75.0]])
"""Of ball, left paddle and right paddle, less the ground."""
TOP, BOTTOM = 16, 87
LEFT_COLUMNS, RIGHT_COLUMNS = slice(8, 13), slice(82, 89)
BOX = 5
BALL_AREA = 0.6
"""Pixels; a ball has 2.2 in real frames and 1.8 in decoded ones."""
PADDLE_AREA = 1.5
"""Pixels; a paddle has 18, but may be all but a row behind the upper edge."""
FAINT_BALL, FAINT_ROW = 0.12, 0.5
NEAR_GROUND = 45.0

UP, DOWN = 2, 3
COUNTERFACTUAL_TICKS = 8
MIN_SPEED = 0.6
"""Pixels a tick, under which a direction is not told."""
GONE_TICKS = 3
"""A ball that is not seen for fewer is behind an edge."""

BARS = (
    {
        "what": "paddle goes the way of the action",
        "at": ("counterfactual", "answered", "share"),
        "at_least": 0.95,
    },
    {"what": "ball there in frames of a rally", "at": ("things", "ball", "model", "there"), "at_least": 0.80},
    {
        "what": "beeps at the picture's own bounces, F1",
        "at": ("sound", "audio.main", "imagined picture's events"),
        "at_least": 0.8,
    },
)


def find(streams: Streams) -> dict[str, Array]:
    """Where things are: row and column `[N, T, 2]`, nan where there is none."""
    frames = streams["video.main"][:, :, -1]
    found = [_find_in(episode) for episode in frames]
    return {name: np.stack([f[name] for f in found]) for name in found[0]}


def events(streams: Streams) -> Array:
    """Ticks `[N, T]` in which something happens that beeps: the ball bounces, leaves or is served."""
    return np.stack([_events_of(ball) for ball in find(streams)["ball"]])


def counterfactual(actions: Streams) -> tuple[dict[str, Array], dict[str, Array]]:
    """Up, and down, whatever was done."""
    action = actions["action"]
    return {"action": np.full_like(action, UP)}, {"action": np.full_like(action, DOWN)}


def answered(context: Streams, first: Streams, second: Streams) -> Array:
    """Pixels by which the right paddle is lower after down than after up, `[N]`, in the last tick in which
    both show it (at the top all of it is out of sight): above 0 is the real direction. 0 where none do."""
    up, down = (find(streams)["right paddle"][..., 0] for streams in (first, second))
    gaps = down - up
    both = np.isfinite(gaps)
    last = gaps.shape[1] - 1 - both[:, ::-1].argmax(1)
    gap = np.where(both.any(1), gaps[np.arange(len(gaps)), last], 0.0)
    return np.where(np.abs(gap) > 0.5, gap, 0.0)


class Policy:
    """Follows the ball as the recording's policy does, but sees the picture only. Called with
    streams `[N, ...]` of one tick."""

    def __init__(self, share_following: float = 0.7) -> None:
        self.share_following = share_following
        self.ticks_left = np.zeros(0, int)

    def __call__(self, tick: Streams, rng: np.random.Generator) -> dict[str, Array]:
        num = len(tick["video.main"])
        if len(self.ticks_left) != num:
            self.ticks_left, self.follows = np.zeros(num, int), np.zeros(num, bool)
            self.offset, self.held = np.zeros(num), np.zeros(num, int)
        new = self.ticks_left <= 0
        self.ticks_left = np.where(new, rng.integers(1, 12, num), self.ticks_left - 1)
        self.follows = np.where(new, rng.random(num) < self.share_following, self.follows)
        self.offset = np.where(new, rng.normal(0, 2.7, num), self.offset)
        self.held = np.where(new, rng.integers(0, 6, num), self.held)
        places = find({"video.main": tick["video.main"][:, None]})
        below = (places["ball"] - places["right paddle"])[:, 0, 0] + self.offset
        toward = np.where(np.abs(below) < 1.8, 0, np.where(below < 0, UP, DOWN))
        action = np.where(self.follows & np.isfinite(below), toward, self.held)
        return {"action": action.astype(np.int64)[:, None, None]}


def _find_in(frames: Array) -> dict[str, Array]:
    """Of frames `[T, 96, 96, 3]`, see `find`."""
    field = frames[:, TOP:BOTTOM].astype(np.float32) - GROUND
    shares = field @ np.linalg.inv(COLOURS)
    # What is in a whole row is no thing: the white edges shine into the rows beside them.
    shares = np.clip(shares - np.median(shares, axis=2, keepdims=True), 0, 1.2)
    found = {
        "ball": _ball(shares[..., 0]),
        "left paddle": _paddle(shares[:, :, LEFT_COLUMNS, 1], LEFT_COLUMNS.start),
        "right paddle": _paddle(shares[:, :, RIGHT_COLUMNS, 2], RIGHT_COLUMNS.start),
    }
    # The console's first frame has another ground: nothing is to be told in it.
    is_field = (np.abs(field).max(-1) < NEAR_GROUND).mean((1, 2)) > 0.5
    return {name: np.where(is_field[:, None], places, np.nan) for name, places in found.items()}


def _ball(white: Array) -> Array:
    """The centre of gravity of the box in which there is most of it."""
    width = white.shape[2]
    white = np.where(white > FAINT_BALL, white, 0)
    half = BOX // 2
    padded = np.pad(white, ((0, 0), (half, half), (half, half)))
    boxes = np.lib.stride_tricks.sliding_window_view(padded, (BOX, BOX), axis=(1, 2))
    area = boxes.sum((-1, -2)).reshape(len(white), -1)
    best = area.argmax(1)
    box = boxes[np.arange(len(white)), best // width, best % width]
    offset = np.arange(-half, half + 1)
    total = np.maximum(box.sum((1, 2)), 1e-9)
    y = TOP + best // width + (box * offset[:, None]).sum((1, 2)) / total
    x = best % width + (box * offset).sum((1, 2)) / total
    return np.where((area.max(1) >= BALL_AREA)[:, None], np.stack([y, x], -1), np.nan)


def _paddle(colour: Array, first_column: int) -> Array:
    rows = colour.sum(-1)
    rows = np.where(rows > FAINT_ROW, rows, 0)
    area = rows.sum(1)
    y = TOP + (rows * np.arange(rows.shape[1])).sum(1) / np.maximum(area, 1e-9)
    columns = colour.sum(1)
    x = first_column + (columns * np.arange(columns.shape[1])).sum(1) / np.maximum(columns.sum(1), 1e-9)
    there = (area >= PADDLE_AREA) & (area < 60)
    return np.where(there[:, None], np.stack([y, x], -1), np.nan)


def _events_of(ball: Array) -> Array:
    """Turns of the ball `[T, 2]` in either direction, and when it comes or goes for longer."""
    there = _without_short_gaps(np.isfinite(ball[:, 0]))
    happens = np.zeros(len(ball), bool)
    happens[1:] = there[1:] != there[:-1]
    for axis in range(2):
        going, last_seen = 0, -1
        for tick in range(1, len(ball)):
            if not there[tick]:
                going = 0
            if not np.isfinite(ball[tick, axis]) or not np.isfinite(ball[tick - 1, axis]):
                continue
            speed = ball[tick, axis] - ball[tick - 1, axis]
            if abs(speed) < MIN_SPEED:
                continue
            goes = 1 if speed > 0 else -1
            if going and goes != going:
                # Where it was out of sight in between, it turned there.
                happens[last_seen + 1 if tick - last_seen > 1 else tick] = True
            going, last_seen = goes, tick
    return happens


def _without_short_gaps(there: Array) -> Array:
    """`[T]` with absences of fewer than GONE_TICKS, and presences of one tick, filled in."""
    filled = there.copy()
    edges = np.flatnonzero(np.diff(there.astype(int), prepend=-1, append=-1))
    for start, end in pairwise(edges):
        inner = start > 0 and end < len(there)
        if inner and not there[start] and end - start < GONE_TICKS:
            filled[start:end] = True
    return filled
