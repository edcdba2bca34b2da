"""The plate: what a stretch shows when every moving thing is thought away; and what stands out from it.

The median over time is a plate with ghosts in it: of things that stood somewhere for most of the time. A
ghost shows where the plate has an outline and a picture has none; there the picture is the better plate. So
a thing that rests before or after it moves stands out all the time, unless others are always in front.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from orrery.evaluation.film.channels import difference, largest
from orrery.evaluation.film.parting import KMEANS_STOP, tints
from orrery.evaluation.film.stretch import Stretch
from orrery.streams import Array

__all__ = ["Plate", "band", "contrast", "gradient", "padded", "spread"]

FAINT_LEVELS, FULL_LEVELS = 14.0, 38.0
"""A difference below the first is noise, one above the second is a thing for certain; linear between."""
EDGE_SHARE = 0.2
"""Of the plate's own gradient, levels a pixel, that a codec or a shaking hand may add to a difference."""
NUM_SAMPLES = 20
NUM_REPAIRS = 2
LEAST_PIXELS = 12
SURE = 0.3
KEPT_OUTLINE = 0.85
"""A region of a frame that leaves so little of the plate's outline about it is the better plate."""
SHADOW_RATIOS = (0.25, 0.93)
SHADOW_TINT = 0.1
SHADOW_LEVELS = 30
PADDING = 7
NUM_TINTS = (2, 3)


@dataclass(frozen=True)
class Plate:
    """image: `[H, W, 3]` uint8. slope: its gradient, levels a pixel, `[H, W]` float32. known: where it holds,
    `[H, W]` bool, None for everywhere."""

    image: Array
    slope: Array
    known: Array | None

    @classmethod
    def of(cls, stretch: Stretch, before: Plate | None = None) -> Plate:
        """The plate of a stretch. before: of the stretch before, if the camera stands and sees the same."""
        frames = np.stack(spread(stretch.frames))
        known = stretch.known()
        image = np.median(frames, axis=0).astype(np.uint8)
        if before is not None:
            varies = largest(cv2.blur(frames.max(0) - frames.min(0), (3, 3))) > FAINT_LEVELS
            differs = difference(image, before.image) > FAINT_LEVELS
            unsure = cv2.dilate((varies | differs).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            image = np.where(unsure[..., None], before.image, image)
        plate = cls(image, gradient(image), known)
        stirring = spread([f for f, stirs in zip(stretch.frames, stretch.stirs, strict=True) if stirs])
        for _ in range(NUM_REPAIRS):
            for frame in stirring:
                image = _repaired(plate, frame)
                plate = plate if image is plate.image else cls(image, gradient(image), known)
        return plate


def spread(frames: list[Array], count: int = NUM_SAMPLES) -> list[Array]:
    """At most `count` of them, evenly, first and last among them; none of none."""
    if not frames:
        return []
    chosen = np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))
    return [frames[index] for index in chosen]


def contrast(frame: Array, plate: Plate) -> Array:
    """How certainly each pixel of a frame shows a thing, `[H, W]` float32 in [0, 1]. Shadows do not count."""
    apart = largest(cv2.blur(cv2.absdiff(frame, plate.image), (3, 3))).astype(np.float32)
    weight = (apart - EDGE_SHARE * plate.slope - FAINT_LEVELS) / (FULL_LEVELS - FAINT_LEVELS)
    np.clip(weight, 0.0, 1.0, out=weight)
    if plate.known is not None:
        weight[~plate.known] = 0.0
    rows, columns = np.nonzero(weight)
    weight[rows, columns] *= ~_shaded(frame[rows, columns], plate.image[rows, columns])
    return weight


def _shaded(frame: Array, plate: Array) -> Array:
    """Whether pixels `[n, 3]` are those of the plate in a shadow: all colours darker by the same factor."""
    base = plate.astype(np.float32)
    ratio = (frame + 2.0) / (base + 2.0)
    low, high = SHADOW_RATIOS
    mean = ratio.mean(1)
    return (
        (np.ptp(ratio, axis=1) < SHADOW_TINT * np.maximum(mean, 0.5))
        & (mean > low)
        & (mean < high)
        & (base.min(1) > SHADOW_LEVELS)
    )


def band(part: Array) -> Array:
    """Where a region's edge lies, `[H, W]` bool: from two pixels outside to three inside. part: uint8."""
    kernel = np.ones((3, 3), np.uint8)
    return (cv2.dilate(part, kernel, iterations=2) - cv2.erode(part, kernel, iterations=3)) > 0


def gradient(picture: Array) -> Array:
    """The steepest colour's slope, levels a pixel, `[H, W]` float32."""
    across, down = (cv2.Sobel(picture, cv2.CV_32F, *axes, scale=0.125) for axes in ((1, 0), (0, 1)))
    return cv2.sqrt(largest(across * across + down * down))


def padded(stats: Array, padding: int = PADDING) -> tuple[slice, slice]:
    """The rows and columns about a connected component, of which `stats` are OpenCV's."""
    left, top, width, height = (int(value) for value in stats[:4])
    return (
        slice(max(0, top - padding), top + height + padding),
        slice(max(0, left - padding), left + width + padding),
    )


def _by_tint(frame: Array, mask: Array) -> Iterator[Array]:
    """A mask, uint8, in parts of alike chromaticity in the frame (k-means), so that a thing and its
    surroundings are apart, but not light and shade: coarsely, then more finely."""
    inside = mask > 0
    colours = tints(frame)[inside]
    for count in NUM_TINTS:
        if len(colours) < count * LEAST_PIXELS:
            return
        cv2.setRNGSeed(0)
        _, which, _ = cv2.kmeans(colours, count, None, KMEANS_STOP, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
        for k in range(count):
            part = np.zeros_like(mask)
            part[inside] = which[:, 0] == k
            yield cv2.morphologyEx(part, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))


def _repaired(plate: Plate, frame: Array) -> Array:
    """The plate's picture, with a frame's pixels where that takes more outlines away than it makes."""
    image = plate.image
    mask = (contrast(frame, plate) > SURE).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    # A ghost may touch a thing of the frame; what is of one tint in the frame is tried by itself.
    for regions in (mask, *_by_tint(frame, mask)):
        _, labels, stats, _ = cv2.connectedComponentsWithStats(regions, connectivity=4)
        order = np.argsort(-stats[1:, cv2.CC_STAT_AREA]) + 1
        for label in order[stats[order, cv2.CC_STAT_AREA] >= LEAST_PIXELS]:
            box = padded(stats[label])
            own = (labels[box] == label).astype(np.uint8)
            # The soft rim goes with it, but not what else stands out of the plate there.
            part = cv2.dilate(own, np.ones((7, 7), np.uint8)) * (1 - mask[box]) + own
            tried = np.where(part[..., None] > 0, frame[box], image[box])
            edge = band(part)
            if gradient(tried)[edge].mean() < KEPT_OUTLINE * gradient(image[box])[edge].mean():
                image = image.copy() if image is plate.image else image
                image[box] = tried
    return image
