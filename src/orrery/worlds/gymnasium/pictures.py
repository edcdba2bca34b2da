"""Pictures in the forms that environments have them, and fitted to a size: squeezed, not cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from PIL import Image

from orrery.streams import Array

__all__ = ["ImageSize", "PictureForm", "fitted", "fitted_labels", "on_black", "picture_form", "size_of"]

_SMALLEST = 24
"""Pixels on a side. Smaller arrays of bytes are numbers, such as MiniGrid's 7 x 7 x 3 codes."""
_MOST_STACKED = 16

ImageSize = int | tuple[int, int]
"""Pixels of a square picture, or height and width."""


def size_of(image_size: ImageSize | None, own: tuple[int, int]) -> tuple[int, int]:
    """Height and width of recorded pictures; None keeps the environment's own."""
    if image_size is None:
        return own
    return (image_size, image_size) if isinstance(image_size, int) else image_size


def fitted(picture: Array, height: int, width: int) -> Array:
    """`[H, W, 3]` uint8 as `[height, width, 3]`: areas are averaged, and what is larger is interpolated."""
    if picture.shape[:2] == (height, width):
        return picture.copy()
    smaller = height <= picture.shape[0] and width <= picture.shape[1]
    filter = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(picture).resize((width, height), filter))


def fitted_labels(values: Array, height: int, width: int) -> Array:
    """`[H, W]` as `[height, width]`, each one of the values that were there."""
    if values.shape == (height, width):
        return values.copy()
    rows, columns = (
        ((np.arange(size) + 0.5) * own / size).astype(int)
        for size, own in zip((height, width), values.shape, strict=True)
    )
    return values[np.ix_(rows, columns)]


def on_black(picture: Array) -> Array:
    """`[H, W, 4]` uint8, colour and how opaque it is, as `[H, W, 3]` before black."""
    alpha = picture[..., 3:].astype(np.uint16)
    return ((picture[..., :3] * alpha + 127) // 255).astype(np.uint8)


@dataclass(frozen=True)
class PictureForm:
    """How the pictures of a Box lie in it.

    axes: a letter an axis, `k` along which pictures follow each other, `h`, `w`, and `c` for colours: `hwc`.
    shape: of the Box. full_scale: the brightest value.
    """

    axes: str
    shape: tuple[int, ...]
    full_scale: float

    def length(self, axis: str) -> int:
        """Along an axis; 1 of one that is not there."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def names(self) -> list[str]:
        """Of each view; empty for the main one: the last of a stack, the colours of what has four."""
        if self.length("c") == 4:
            return ["", "alpha"]
        return [*map(str, range(self.length("k") - 1)), ""]

    def views(self, values: Array) -> list[Array]:
        """`[N, *shape]` as `[N, H, W, 3]` uint8, one for each of `names`."""
        there = [axis for axis in "khwc" if axis in self.axes]
        values = values.transpose(0, *(1 + self.axes.index(axis) for axis in there))
        values = np.expand_dims(values, [1 + i for i, axis in enumerate("khwc") if axis not in there])
        if self.full_scale != 255 or values.dtype != np.uint8:
            values = np.nan_to_num(np.clip(values, 0, self.full_scale) * (255 / self.full_scale))
            values = np.rint(values).astype(np.uint8)
        if self.length("c") == 4:
            return [values[:, 0, ..., :3], np.repeat(values[:, 0, ..., 3:], 3, -1)]
        values = np.repeat(values, 3, -1) if self.length("c") == 1 else values
        return [values[:, k] for k in range(values.shape[1])]

    def joined(self, views: list[Array]) -> Array:
        """The inverse of `views`."""
        if self.length("c") == 4:
            values = np.concatenate([views[0], _grey(views[1])], -1)[:, None]
        else:
            values = np.stack([_grey(view) if self.length("c") == 1 else view for view in views], 1)
        there = [axis for axis in "khwc" if axis in self.axes]
        values = values.squeeze(tuple(1 + i for i, axis in enumerate("khwc") if axis not in there))
        values = values.transpose(0, *(1 + there.index(axis) for axis in self.axes))
        return values if self.full_scale == 255 else values * (self.full_scale / 255)


def picture_form(space: Any) -> PictureForm | None:
    """How a space holds pictures; None for one that does not: bytes, or colours from 0 to 1 or 0 to 255."""
    if not isinstance(space, spaces.Box) or not space.shape or 0 in space.shape:
        return None
    axes = _axes(space.shape)
    if axes is None:
        return None
    if space.dtype == np.uint8:
        return PictureForm(axes, space.shape, 255.0)
    form = PictureForm(axes, space.shape, float(space.high.flat[0]))
    is_colour = space.dtype.kind == "f" and form.length("c") == 3 and form.full_scale in (1.0, 255.0)
    return form if is_colour and not space.low.any() and (space.high == form.full_scale).all() else None


def _axes(shape: tuple[int, ...]) -> str | None:
    """Of pictures with sides of `_SMALLEST` or more, at most `_MOST_STACKED` of them."""
    orders = {2: ["hw"], 3: ["hwc", "chw", "khw", "hwk"], 4: ["khwc", "kchw", "hwck"]}
    for axes in orders.get(len(shape), []):
        sides = dict(zip(axes, shape, strict=True))
        colours = (1, 3, 4) if axes == "hwc" else (1, 3)
        is_right = min(sides["h"], sides["w"]) >= _SMALLEST and sides.get("c", 1) in colours
        if is_right and sides.get("k", 1) <= _MOST_STACKED:
            return axes
    return None


def _grey(picture: Array) -> Array:
    """`[..., 3]` uint8 as `[..., 1]`."""
    return np.rint(picture.mean(-1, keepdims=True)).astype(np.uint8)
