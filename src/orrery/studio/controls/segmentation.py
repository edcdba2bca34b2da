"""Instances and their colours."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np

from orrery.streams import Array
from orrery.studio.controls.geometry import BACKGROUND

__all__ = ["MOST_INSTANCES", "instance_names", "palette"]

MOST_INSTANCES = 255
GOLDEN = 0.61803398875
"""Of the circle: hues that are this far apart never come close to one another soon."""
TONES = ((0.85, 1.0), (0.6, 0.75), (1.0, 0.6), (0.35, 0.95))
"""Saturation and brightness, one after the other."""


def palette() -> Array:
    """A colour for each instance, `[MOST_INSTANCES + 1, 3]` uint8, all different; BACKGROUND is black."""
    colours = np.zeros((MOST_INSTANCES + 1, 3), np.uint8)
    for k in range(1, MOST_INSTANCES + 1):
        rgb = colorsys.hsv_to_rgb(k * GOLDEN % 1.0, *TONES[k % len(TONES)])
        colours[k] = np.rint(255.0 * np.array(rgb))
    return colours


def instance_names(bodies: Sequence[str], called: Mapping[str, str]) -> dict[int, str]:
    """What instances are called: MuJoCo's bodies in order, by `called` where that knows them. Instance of a
    body: its number + 1."""
    named = {k + 1: called.get(body, body or f"body {k}") for k, body in enumerate(bodies)}
    return {BACKGROUND: "background", **named}
