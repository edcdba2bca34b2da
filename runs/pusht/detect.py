"""What is in Push-T: the pose of the T by the stream `observation`, and both things in pictures of 96 x 96.

Places in pictures are centres of gravity of colours; their own error: see tests/runs/test_pusht_detect.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Streams = Mapping[str, Array]

STATE, VIDEO = "observation", "video.main"
AGENT, BLOCK, COS, SIN = slice(0, 2), slice(2, 4), 4, 5
"""Pixels of 512 (x, y), and of the T's angle."""
WITHIN_PX, WITHIN_DEGREES, AFTER_SECONDS = 10.0, 10.0, 2.0

BLOCK_COLOUR, BLOCK_NEAR, BLOCK_AREA = np.array([119.0, 136.0, 153.0]), 28.0, 40
AGENT_COLOUR, AGENT_NEAR, AGENT_AREA = np.array([65.0, 105.0, 225.0]), 45.0, 8
"""How near a pixel's colour is, of 255, and how many there must be."""

COUNTERFACTUAL_TICKS = 10
REACH_PX = 120.0
MIN_GAP_PX = 5.0

BARS = (
    {
        "what": "T within 10 of 512 and 10 degrees after 2 s",
        "at": ("judged", "pose", "model", "share"),
        "at_least": 0.70,
    },
    {
        "what": "of those in which it moves",
        "at": ("judged", "pose where it moves", "model", "share"),
        "at_least": 0.60,
    },
)


def find(streams: Streams) -> dict[str, Array]:
    """Where things are in the picture: row and column `[N, T, 2]`, nan where there is none; nothing where
    only the state was learned."""
    if VIDEO not in streams:
        return {}
    frames = streams[VIDEO][:, :, -1]
    return {
        "T": _centre(frames, BLOCK_COLOUR, BLOCK_NEAR, BLOCK_AREA),
        "agent": _centre(frames, AGENT_COLOUR, AGENT_NEAR, AGENT_AREA),
    }


def amounts(streams: Streams) -> dict[str, Array]:
    """Pixels of the T's colour, `[N, T]`: a T that dissolves loses them."""
    if VIDEO not in streams:
        return {}
    frames = streams[VIDEO][:, :, -1]
    return {"pixels of the T": _mask(frames, BLOCK_COLOUR, BLOCK_NEAR).sum((2, 3)).astype(float)}


def judged(
    truth: Streams, context: Streams, made: Mapping[str, Streams], tick_seconds: float
) -> dict[str, Any]:
    """Whether the T's pose is right after two seconds, of all and of those in which it moves: counts by
    method.

    truth: `[N, T, ...]` after the context. made: by method, likewise.
    """
    if STATE not in truth:
        return {}
    tick = round(AFTER_SECONDS / tick_seconds) - 1
    if truth[STATE].shape[1] <= tick:
        return {}
    real, start = truth[STATE][:, tick, -1], context[STATE][:, -1, -1]
    moves = ~_near(real, start)
    results: dict[str, Any] = {"pose": {}, "pose where it moves": {}}
    for method, streams in made.items():
        if STATE in streams:
            right = _near(streams[STATE][:, tick, -1], real)
            results["pose"][method] = {"hits": int(right.sum()), "of": len(right)}
            results["pose where it moves"][method] = {
                "hits": int((right & moves).sum()),
                "of": int(moves.sum()),
            }
    return results


def counterfactual(actions: Streams) -> tuple[dict[str, Array], dict[str, Array]]:
    """Drawn to the left, and to the right, of where it is drawn at the start."""
    both = []
    for way in (-REACH_PX, REACH_PX):
        action = np.repeat(actions["action"][:, :1], actions["action"].shape[1], 1).copy()
        action[..., 0] = np.clip(action[..., 0] + way, 0, 512)
        both.append({"action": action})
    return both[0], both[1]


def answered(context: Streams, first: Streams, second: Streams) -> Array:
    """Pixels of 512 by which the agent is further right under the second than under the first, `[N]`."""
    x = []
    for streams in (first, second):
        if STATE in streams:
            x.append(streams[STATE][:, -1, -1, 0])
        else:
            last = {VIDEO: streams[VIDEO][:, -1:]}
            x.append(find(last)["agent"][:, 0, 1] * 512 / streams[VIDEO].shape[4])
    gap = np.nan_to_num(x[1] - x[0])
    return np.where(np.abs(gap) < MIN_GAP_PX, 0.0, gap)


def _near(a: Array, b: Array) -> Array:
    place = np.linalg.norm(a[:, BLOCK] - b[:, BLOCK], axis=-1)
    angle = np.arctan2(a[:, SIN], a[:, COS]) - np.arctan2(b[:, SIN], b[:, COS])
    turn = np.degrees(np.abs((angle + np.pi) % (2 * np.pi) - np.pi))
    return (place <= WITHIN_PX) & (turn <= WITHIN_DEGREES)


def _mask(frames: Array, colour: Array, near: float) -> Array:
    return np.abs(frames.astype(np.float32) - colour).max(-1) < near


def _centre(frames: Array, colour: Array, near: float, area: int) -> Array:
    mask = _mask(frames, colour, near)
    num = mask.sum((2, 3))
    y = (mask.sum(3) * np.arange(mask.shape[2])).sum(2) / np.maximum(num, 1)
    x = (mask.sum(2) * np.arange(mask.shape[3])).sum(2) / np.maximum(num, 1)
    return np.where((num >= area)[..., None], np.stack([y, x], -1), np.nan)
