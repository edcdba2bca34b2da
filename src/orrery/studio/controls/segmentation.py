"""Instances and their colours."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np

from orrery.streams import Array
from orrery.studio.controls.geometry import BACKGROUND

__all__ = ["MOST_INSTANCES", "instance_names", "palette"]

MOST_INSTANCES = 255
HUE_STEP = 0.5698403
"""Of the circle, from one hue to the next, so that none comes close to another soon (Roberts 2018)."""
TONES = ((0.85, 1.0), (0.6, 0.75), (1.0, 0.6), (0.35, 0.95), (0.9, 0.35))
"""Saturation and brightness, one after the other."""


def palette() -> Array:
    """A colour for each instance, `[MOST_INSTANCES + 1, 3]` uint8, all different; BACKGROUND is black."""
    colours = np.zeros((MOST_INSTANCES + 1, 3), np.uint8)
    for k in range(1, MOST_INSTANCES + 1):
        rgb = colorsys.hsv_to_rgb(k * HUE_STEP % 1.0, *TONES[k % len(TONES)])
        colours[k] = np.rint(255.0 * np.array(rgb))
    return colours


def instance_names(bodies: Sequence[str], called: Mapping[str, str]) -> dict[int, str]:
    """What instances are called: MuJoCo's bodies in order, by `called` where that knows them. Instance of a
    body: its number + 1."""
    named = {k + 1: called.get(body, body or f"body {k}") for k, body in enumerate(bodies)}
    return {BACKGROUND: "background", **named}
