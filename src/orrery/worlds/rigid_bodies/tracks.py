"""Where things are in a picture, as a tracker of boxes would say it, and how they are turned in it."""

from __future__ import annotations

import numpy as np

from orrery.streams import Array
from orrery.worlds.rigid_bodies.geometry import Camera
from orrery.worlds.rigid_bodies.outline import NEAREST_M, outermost, unit
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = ["TRACK_NUMBERS", "tracks_of"]

TRACK_NUMBERS = 13
"""Of one thing: place, size and depth in the picture (5), its own x and y axis (6), present, visible."""
FURTHEST_OUT = 1.0
"""How far outside of the picture a place is written, in pictures."""

_PARTS = {
    "ball": (0, 0, 0, 0, 1),
    "box": (1, 1, 1, 0, 0),
    "cylinder": (0, 0, 1, 1, 0),
    "capsule": (0, 0, 1, 0, 1),
    "finger": (0, 0, 1, 0, 1),
}
"""Of which box (its x, y and z), disc and ball a shape is the sum, in its own sizes."""


def tracks_of(state: Array, layout: StateLayout, camera: Camera) -> Array:
    """The things of a state `[K, D]` as a camera sees them, `[K, TRACK_NUMBERS]` float32.

    u, v: the thing's centre in the picture, from the upper left corner, as shares of its width and height.
    width, height: of the box round the whole thing, as if nothing hid it, likewise; 0 of what is
    nearer than NEAREST_M. depth: metres along the
    optical axis. Then the thing's own x and y axis in the camera's (right, up, backward), and what the state
    says of presence and visibility. Zeros for what is absent. The picture is square.
    """
    present = layout.get(state, "present")
    axes = layout.body_axes(state) @ camera.axes  # [K, 3, 3], the thing's own in the camera's, one in a row
    right, up, backward = ((layout.get(state, "position") - camera.position_m) @ camera.axes).T
    centre = np.stack([right, -up, -backward], -1)  # right, down, away
    ahead = centre[:, 2] > NEAREST_M
    depth = np.maximum(centre[:, 2], NEAREST_M)
    edge = np.tan(camera.field_of_view_rad / 2)
    place = 0.5 + centre[:, :2] / (2 * edge * depth[:, None])
    size = _extent(centre, axes * (1.0, -1.0, -1.0), *_hulls(state, layout)) / (2 * edge)
    numbers = [
        np.clip(place, -FURTHEST_OUT, 1 + FURTHEST_OUT),
        np.clip(size, 0, 1 + 2 * FURTHEST_OUT) * ahead[:, None],
        depth[:, None],
        axes[:, :2].reshape(-1, 6),
        present,
        layout.get(state, "visible"),
    ]
    return (np.concatenate(numbers, axis=-1) * (present > 0.5)).astype(np.float32)


def _hulls(state: Array, layout: StateLayout) -> tuple[Array, Array, Array]:
    """Every thing as a box `[K, 3]`, a disc across its z axis `[K]` and a ball `[K]`, the sum of which it is:
    half extents and radii, metres."""
    parts = np.array([_PARTS[layout.shapes[index]] for index in layout.get(state, "shape").argmax(-1)])
    size = layout.get(state, "size")
    return size * parts[:, :3], size[:, 0] * parts[:, 3], size[:, 0] * parts[:, 4]


def _extent(centre: Array, axes: Array, box: Array, disc: Array, ball: Array) -> Array:
    """Width and height `[K, 2]` of things on a plane at depth 1; see `_hulls` and `outermost`."""

    def support(own: Array) -> Array:
        across = own * (1, 1, 0)
        return np.sign(own) * box + disc[:, None] * unit(across) + ball[:, None] * unit(own)

    ratio = outermost(centre, axes, support)
    return np.stack([ratio[0] + ratio[1], ratio[2] + ratio[3]], -1)
