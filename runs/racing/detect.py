"""What is in a picture of CarRacing, 96 x 96: road, the bars of the dashboard, and how the car turns.

Road is what is not green. How far the car turned between two frames is the rotation about the car that fits
the second to the first. Checked against the environment's own car: see tests/runs/test_racing_detect.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Streams = Mapping[str, Array]

DASHBOARD = 84
"""First row of the dashboard."""
CAR = (71.0, 47.5)
"""Row and column about which the picture turns."""
RADII = np.arange(8.0, 44.0)
STEP_DEGREES = 1.0
ANGLES = np.arange(-120.0, 121.0, STEP_DEGREES)
"""Clockwise from straight ahead."""
MOST_DEGREES = 36
"""A tick turns the car by less."""
STEERING = 0.7
COUNTERFACTUAL_TICKS = 6
MIN_SPEED_PIXELS = 1.0
"""Height of the bar of speed from which on steering is asked of a car; it is 2.4 high at 50 a second."""
MIN_TURN_DEGREES = 3.0
MIN_ROAD = 0.05
"""Share of road in the last given frame from which on it is asked which way the road turns."""

BARS = (
    {
        "what": "road turns the way of the steering",
        "at": ("counterfactual", "answered", "share"),
        "at_least": 0.95,
    },
    {
        "what": "share of road over 20 s against the real one's",
        "at": ("long", "road", "model", "ratio"),
        "between": (0.7, 1.3),
    },
)


def amounts(streams: Streams) -> dict[str, Array]:
    """Numbers of each frame, `[N, T]`: the share of road, and the bars of steering and of turning in pixels
    to the right."""
    frames = streams["video.main"][:, :, -1].astype(np.float32)
    red, green, blue = np.moveaxis(frames[:, :, DASHBOARD + 2 : 91], -1, 0)
    columns = np.arange(frames.shape[3])

    def bar(colour: Array, others: Array, middle: float) -> Array:
        share = np.clip((colour - others) / 255, 0, 1)
        share = np.where(share > 0.25, share, 0).mean(2)
        near = np.abs(columns - middle) < 12
        return (share * np.sign(columns - middle) * near).sum(-1)

    return {
        "road": is_road(frames).mean((2, 3)),
        "steering bar": bar(green, np.maximum(red, blue), 47.5),
        "turning bar": bar(red, np.maximum(green, blue), 71.5),
    }


def is_road(frames: Array) -> Array:
    """Which pixels above the dashboard are grey, `[..., DASHBOARD, W]`."""
    red, green, blue = np.moveaxis(frames[..., :DASHBOARD, :, :].astype(np.float32), -1, 0)
    return (green - (red + blue) / 2 < 40) & (red - green < 50)


def counterfactual(actions: Streams) -> tuple[dict[str, Array], dict[str, Array]]:
    """Steered left, and right, without the brake and with the gas that was given."""
    both = []
    for steering in (-STEERING, STEERING):
        action = actions["action"].copy()
        action[..., 0], action[..., 2] = steering, 0.0
        both.append({"action": action})
    return both[0], both[1]


def answered(context: Streams, first: Streams, second: Streams) -> Array:
    """Degrees by which the car turned further right under the second than under the first, `[N]`: above 0 is
    the real direction. nan where the car hardly moves or sees no road; 0 where both turn alike."""
    last = context["video.main"][:, -1:, -1]
    right = [turned(np.concatenate([last, s["video.main"][:, :, -1]], 1)) for s in (first, second)]
    gap = right[1] - right[0]
    gap = np.where(np.abs(gap) < MIN_TURN_DEGREES, 0.0, gap)
    asked = (speed_bar(last[:, 0]) >= MIN_SPEED_PIXELS) & (is_road(last[:, 0]).mean((1, 2)) >= MIN_ROAD)
    return np.where(asked, gap, np.nan)


def speed_bar(frames: Array) -> Array:
    """Height of the white bar of speed in pixels, `[N]` of frames `[N, 96, 96, 3]`."""
    bar = frames[:, DASHBOARD:95, 12:14].astype(np.float32).min(-1).mean(-1) / 255
    return bar.sum(-1)


def turned(frames: Array) -> Array:
    """Degrees that the car turns to the right over frames `[N, T, 96, 96, 3]`, `[N]`; the sum over ticks."""
    return np.stack([_turns(film).sum() for film in frames])


def _turns(frames: Array) -> Array:
    """Degrees to the right between successive frames `[T, 96, 96, 3]`, `[T - 1]`."""
    around = _around_the_car(frames)
    most = round(MOST_DEGREES / STEP_DEGREES)
    shifts = np.arange(-most, most + 1)
    inner = around[:, :, most:-most]
    width = inner.shape[2]
    errors = np.stack(
        [np.square(around[1:, :, most + s : most + s + width] - inner[:-1]).mean((1, 2)) for s in shifts], 1
    )
    best = errors.argmin(1)
    middle = np.clip(best, 1, len(shifts) - 2)
    rows = np.arange(len(best))
    left, at, right = errors[rows, middle - 1], errors[rows, middle], errors[rows, middle + 1]
    bend = np.maximum(left + right - 2 * at, 1e-9)
    fine = np.where(best == middle, np.clip(0.5 * (left - right) / bend, -0.5, 0.5), 0)
    # What was at an angle appears further left (at a smaller one) after a turn to the right.
    return -(shifts[best] + fine) * STEP_DEGREES


def _around_the_car(frames: Array) -> Array:
    """How green it is at each distance and angle from the car, `[T, radii, angles]`."""
    red, green, blue = np.moveaxis(frames.astype(np.float32), -1, 0)
    greenness = (green - (red + blue) / 2) / 100
    angles = np.radians(ANGLES)
    rows = CAR[0] - RADII[:, None] * np.cos(angles)
    columns = CAR[1] + RADII[:, None] * np.sin(angles)
    inside = (rows >= 0) & (rows < DASHBOARD - 1) & (columns >= 0) & (columns < frames.shape[2] - 1)
    top, left = (
        np.clip(rows, 0, DASHBOARD - 2).astype(int),
        np.clip(columns, 0, frames.shape[2] - 2).astype(int),
    )
    down, across = np.clip(rows - top, 0, 1), np.clip(columns - left, 0, 1)
    upper = greenness[:, top, left] * (1 - across) + greenness[:, top, left + 1] * across
    lower = greenness[:, top + 1, left] * (1 - across) + greenness[:, top + 1, left + 1] * across
    value = upper * (1 - down) + lower * down
    return np.where(inside, value, 0.0)


class Policy:
    """Steers along the road that is seen and holds a speed. Called with streams `[N, ...]` of one tick."""

    ROWS = slice(38, 56)
    SPEED_PIXELS = 1.9

    def __call__(self, tick: Streams, rng: np.random.Generator) -> dict[str, Array]:
        frames = tick["video.main"][:, -1]
        road = is_road(frames)[:, self.ROWS]
        columns = np.arange(frames.shape[2])
        weight = road.sum(1)
        there = weight.sum(1) > 20
        aim = (weight * columns).sum(1) / np.maximum(weight.sum(1), 1) - CAR[1]
        steering = np.where(there, 0.03 * aim, 0.5) + rng.normal(0, 0.05, len(frames))
        lacking = self.SPEED_PIXELS - speed_bar(frames)
        gas, brake = np.clip(0.3 * lacking, 0, 0.5), np.clip(-0.3 * lacking - 0.1, 0, 0.4)
        action = np.stack([np.clip(steering, -1, 1), gas, brake], -1)
        return {"action": action.astype(np.float32)[:, None]}
