"""Whether things move as physics would have them: errors of rollouts, drift, sinking and bounces.

Everything is read from the state stream (`[num_frames, slots, D]`, see `StateLayout`), in world units. The
two baselines, constant velocity and doing nothing, know what the model knows: the last frame of the context.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from orrery.streams import Array
from orrery.worlds.rigid_bodies.state import STATE

__all__ = [
    "BASELINES", "Bounce", "baseline_positions", "first_bounce", "lowest_points", "object_slots",
    "position_errors", "shape_of", "speeds",
]  # fmt: skip

GRAVITY_M_S2 = 9.81
BASELINES = ("constant velocity", "doing nothing")


class Bounce(NamedTuple):
    """A drop and its first rebound, of an object's lowest point, metres."""

    drop_m: float
    rebound_m: float

    @property
    def ratio(self) -> float:
        """Height of the rebound over height of the drop: the square of the coefficient of restitution."""
        return self.rebound_m / self.drop_m


def object_slots(state: Array) -> list[int]:
    """Slots of `state [..., slots, D]` that hold an object (not the finger) in more than half of the
    frames."""
    present = STATE.get(state, "present").reshape(-1, state.shape[-2])
    shape = STATE.get(state, "shape").reshape(-1, state.shape[-2], len(STATE.shapes)).mean(0)
    return [
        slot
        for slot in range(state.shape[-2])
        if (present[:, slot] > 0.5).mean() > 0.5 and shape[slot].argmax() != STATE.shapes.index("finger")
    ]


def shape_of(state: Array, slot: int) -> str:
    """The shape that `slot` of `state [frames, slots, D]` holds for most of the time."""
    return STATE.shapes[int(STATE.get(state[:, slot], "shape").mean(0).argmax())]


def speeds(state: Array) -> Array:
    """Speed of every slot, `[..., slots]` m/s."""
    return np.linalg.norm(STATE.get(state, "linear_velocity"), axis=-1)


def position_errors(predicted: Array, truth: Array) -> Array:
    """Distance between positions of two state streams `[frames, slots, D]`, `[frames, slots]` metres."""
    return np.linalg.norm(STATE.get(predicted, "position") - STATE.get(truth, "position"), axis=-1)


def baseline_positions(last: Array, seconds: Array, baseline: str) -> Array:
    """Where a baseline puts things, `[frames, slots, 3]`.

    last: the last known frame of state, `[slots, D]`. seconds: times after it, `[frames]`. baseline: one of
    BASELINES. Constant velocity goes straight on and stops at the table, where it would fall through.
    """
    position = np.broadcast_to(STATE.get(last, "position"), (len(seconds), *last.shape[:-1], 3)).copy()
    if baseline == "constant velocity":
        position += np.asarray(seconds)[:, None, None] * STATE.get(last, "linear_velocity")
        lowest = STATE.get(last, "position")[:, 2] - lowest_points(last)
        position[..., 2] = np.maximum(position[..., 2], lowest)
    return position


def lowest_points(state: Array) -> Array:
    """Height of the lowest point of every slot's body over the table, `[..., slots]` metres (below 0: sunk
    in).

    A body reaches down from its centre by its support in the direction of gravity: a ball by its radius, a
    box by the sum of |R_zi| h_i, a cylinder (and the finger) by |R_zz| h + sqrt(1 - R_zz^2) r.
    """
    size = STATE.get(state, "size")
    vertical = _vertical_in_body(STATE.get(state, "quaternion"))
    shape = STATE.get(state, "shape").argmax(-1)
    ball = size[..., 0]
    box = (np.abs(vertical) * size).sum(-1)
    across = np.sqrt(np.maximum(1.0 - vertical[..., 2] ** 2, 0.0))
    cylinder = np.abs(vertical[..., 2]) * size[..., 2] + across * size[..., 0]
    reach = np.choose(shape, [{"ball": ball, "box": box}.get(name, cylinder) for name in STATE.shapes])
    return STATE.get(state, "position")[..., 2] - reach


def _vertical_in_body(quaternion: Array) -> Array:
    """The world's z axis in the body frame, `[..., 3]`: the third row of its rotation matrix."""
    norm = np.maximum(np.linalg.norm(quaternion, axis=-1, keepdims=True), 1e-9)
    w, x, y, z = np.moveaxis(quaternion / norm, -1, 0)
    return np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=-1)


def first_bounce(state: Array, slot: int, frame_seconds: float, min_drop_m: float = 0.05) -> Bounce | None:
    """The first fall of at least `min_drop_m` and what it rebounds to, or None if nothing falls so far.

    state: `[frames, slots, D]` from before the fall on. The rebound's top lies between frames: the parabola
    through the highest frame of the arc and its neighbours tells it (to `g t^2 / 8`, 2 mm, where the arc is
    too short for one). A body that stays down has rebounded by 0.
    """
    height = lowest_points(state)[:, slot].astype(float)
    bottom = _first_bottom(height, min_drop_m)
    if bottom is None:
        return None
    drop = height[: bottom + 1].max()
    after = height[bottom:]
    falls = np.nonzero(np.diff(after) < 0)[0]
    rises = np.nonzero(np.diff(after) > 0)[0]
    if not len(rises):
        return Bounce(float(drop), 0.0)
    ends = falls[falls > rises[0]]
    top = int(ends[0]) if len(ends) else len(after) - 1
    return Bounce(float(drop), max(0.0, _arc_top(after, top, frame_seconds)))


def _first_bottom(height: Array, min_drop_m: float) -> int | None:
    """The first frame that is lower than both neighbours after a fall of `min_drop_m`."""
    for frame in range(1, len(height) - 1):
        fell = height[:frame].max() - height[frame] >= min_drop_m
        if fell and height[frame] <= height[frame - 1] and height[frame] <= height[frame + 1]:
            return frame
    return None


def _arc_top(height: Array, top: int, frame_seconds: float) -> float:
    """Highest point of the free arc whose highest frame is `top`."""
    if not 1 < top < len(height) - 1:
        return float(height[top])
    # In free flight the curvature is known, so the slope alone tells how far the top is.
    slope = (height[top + 1] - height[top - 1]) / 2
    curvature = GRAVITY_M_S2 * frame_seconds**2
    return float(height[top] + min(slope * slope / (2 * curvature), curvature / 8))
