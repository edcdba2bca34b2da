"""What stands out from the plate in one picture, as separate blobs: where, how large, what it looks like."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from orrery.evaluation.film.channels import lab
from orrery.evaluation.film.parting import parted
from orrery.evaluation.film.plate import Plate, band, contrast, gradient, padded
from orrery.streams import Array

__all__ = ["Blob", "blobs"]

SURE = 0.3
LEAST_AREA = 16
MAX_BLOBS = 40
CORE = 0.9
FINE = 0.12


@dataclass(frozen=True)
class Blob:
    """x, y: centre by weight, pixels, of pixel centres. area: sum of the weights, pixels. box: left, top,
    right and bottom, the last two beyond it. colour: CIELAB `[3]`, of its core. outline: share of the outline
    about it that is in the picture rather than in the plate: 1 for a thing, 0 for the ghost of one. detail:
    root mean square of what is finer on it than FINE of its size, levels. came, goes: share of it that was
    another in the picture before, and is in the next; 1 where there is none. at_edge: whether it reaches the
    edge of what is known."""

    x: float
    y: float
    area: float
    box: tuple[int, int, int, int]
    colour: Array
    outline: float
    detail: float
    came: float
    goes: float
    at_edge: bool

    @property
    def size(self) -> float:
        """Diameter of a disc of its area, pixels."""
        return 2.0 * float(np.sqrt(self.area / np.pi))

    def apart(self, x: float, y: float) -> float:
        """Pixels from its box to a point, 0 inside."""
        left, top, right, bottom = self.box
        return float(np.hypot(max(left - x, 0.0, x - right + 1), max(top - y, 0.0, y - bottom + 1)))


def blobs(
    frame: Array, plate: Plate, came: Array | None = None, goes: Array | None = None
) -> tuple[list[Blob], float]:
    """The largest blobs of a frame `[H, W, 3]` uint8, and the area of all of them together, pixels. came,
    goes: where the picture before and the next one are others, `[H, W]` bool."""
    weight = contrast(frame, plate)
    mask = (weight > SURE).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    order = [label for label in np.argsort(-areas) if label > 0 and areas[label] >= LEAST_AREA]
    found = [
        _blob(frame, plate, weight, box, part, came, goes)
        for label in order[:MAX_BLOBS]
        for box in [padded(stats[label])]
        for part in parted(frame[box], (labels[box] == label).astype(np.uint8))
    ]
    sure = [blob for blob in found if blob is not None]
    return sure, float(areas[order].sum())


def _blob(
    frame: Array, plate: Plate, weight: Array, box: tuple[slice, slice], part: Array,
    came: Array | None, goes: Array | None,
) -> Blob | None:  # fmt: skip
    """Of a part of a region, uint8, within a box of the frame; None for what differs from the plate, but
    nowhere for certain."""
    if (weight[box] * part).max() < CORE:
        return None
    # The soft rim belongs to the thing, and a hard one would be eight times as noisy.
    rim = cv2.dilate(part, np.ones((3, 3), np.uint8))
    soft = weight[box] * rim
    total = float(soft.sum())
    down, across = (np.arange(part.start, part.start + n) for part, n in zip(box, soft.shape, strict=True))
    core = cv2.erode(part, np.ones((3, 3), np.uint8)) * (soft > CORE) > 0
    core = core if core.any() else part > 0
    colours = lab(frame[box][core])
    edge = band(part)
    mine, theirs = gradient(frame[box])[edge].mean(), plate.slope[box][edge].mean()
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    top, bottom = (box[0].start + int(k) for k in (rows[0], rows[-1] + 1))
    left, right = (box[1].start + int(k) for k in (columns[0], columns[-1] + 1))
    inside = left, top, right, bottom
    return Blob(
        x=float(across @ soft.sum(0) / total),
        y=float(down @ soft.sum(1) / total),
        area=total,
        box=inside,
        colour=np.median(colours, axis=0),
        outline=float(mine / (mine + theirs + 1e-6)),
        detail=_detail(frame[box], core),
        came=1.0 if came is None else float((soft * came[box]).sum() / total),
        goes=1.0 if goes is None else float((soft * goes[box]).sum() / total),
        at_edge=_at_edge(part, box, plate, inside),
    )


def _detail(frame: Array, core: Array) -> float:
    """How far the light of a thing's pixels is from the mean about each of them, levels."""
    share = core.astype(np.float32)
    light = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    reach = (0, 0), FINE * float(np.sqrt(share.sum()))
    smooth = cv2.GaussianBlur(light * share, *reach) / np.maximum(cv2.GaussianBlur(share, *reach), 1e-3)
    return float(np.sqrt(((light - smooth)[core] ** 2).mean()))


def _at_edge(part: Array, box: tuple[slice, slice], plate: Plate, inside: tuple[int, int, int, int]) -> bool:
    height, width = plate.image.shape[:2]
    left, top, right, bottom = inside
    if left <= 1 or top <= 1 or right >= width - 1 or bottom >= height - 1:
        return True
    if plate.known is None:
        return False
    near = cv2.dilate(part, np.ones((7, 7), np.uint8)) > 0
    return not plate.known[box][near].all()
