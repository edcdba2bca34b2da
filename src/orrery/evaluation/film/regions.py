"""A region in which two pictures differ: which of them shows a thing there, and what it is called."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from orrery.evaluation.film.channels import difference, lab
from orrery.evaluation.film.plate import band, gradient
from orrery.evaluation.film.question import thing_words
from orrery.streams import Array

__all__ = ["Changed", "regions"]


class Changed(NamedTuple):
    """subject: what is there in one of the pictures, in words. new: whether that is the later one. area:
    pixels. x, y: where, as shares of the width and the height."""

    subject: str
    new: bool
    area: int
    x: float
    y: float

    @classmethod
    def of(cls, before: Array, after: Array, part: Array) -> Changed:
        """Of a region `[H, W]` uint8 of two pictures `[H, W, 3]`: the one that has the clearer outline about
        it shows a thing there."""
        edge = band(part)
        outlines = [float(gradient(picture)[edge].mean()) for picture in (before, after)]
        new = outlines[1] > outlines[0]
        rows, columns = np.nonzero(part)
        x, y = float(columns.mean()) / part.shape[1], float(rows.mean()) / part.shape[0]
        # A shadow comes and goes with its thing, but changes less.
        apart = difference(before, after)[rows, columns]
        most = apart >= np.median(apart)
        colour = np.median(lab((after if new else before)[rows[most], columns[most]]), axis=0)
        return cls(thing_words(colour, x, y), new, len(rows), x, y)


def regions(mask: Array, least_area: int) -> list[Array]:
    """The connected pieces of a mask `[H, W]` bool that are large and nowhere too thin, `[H, W]` uint8."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    return [
        (labels == label).astype(np.uint8)
        for label in range(1, len(stats))
        if stats[label, cv2.CC_STAT_AREA] >= least_area
    ]
