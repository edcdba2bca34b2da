"""Where the camera looks: each picture laid over the first one of its stretch, by features that both show.

ORB features (Rublee et al. 2011), matched both ways, and the similarity (shift, turn, zoom) that most of them
agree on (RANSAC, Fischler and Bolles 1981). Each picture is held against the first one, not against the one
before it, so that errors do not add up.
"""

from __future__ import annotations

import math
from functools import cached_property

import cv2
import numpy as np

from orrery.streams import Array

__all__ = ["STANDING", "Follower", "Seen", "likeness"]

STANDING: Array = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
NUM_FEATURES = 400
LEAST_MATCHES = 12
LEAST_AGREEMENT = 0.35
"""Share of the matches that must agree on one motion."""
TOLERANCE_PX = 2.0
STILL_PX = 0.3
SURE_RESPONSE = 0.25
TEXTURE_LEVELS, CHANGED_LEVELS, CHANGED_SHARE = 10.0, 18.0, 0.2
CELLS, LEAST_CELLS = 8, 4
"""A camera moves where this share of what has an edge looks different, in half of the picture's cells."""
THUMBNAIL = (32, 24)


class Seen:
    """A picture `[H, W, 3]` uint8 as it is held against others: its light, and its features, found once."""

    def __init__(self, picture: Array) -> None:
        self.grey: Array = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)

    @cached_property
    def features(self) -> tuple[Array, Array | None]:
        """Where they are, `[n, 2]` pixels, and what describes them; None where there are none."""
        points, described = cv2.ORB.create(NUM_FEATURES, fastThreshold=10).detectAndCompute(self.grey, None)
        return np.array([point.pt for point in points], np.float32).reshape(-1, 2), described


class Follower:
    """Lays pictures over `first`."""

    def __init__(self, first: Seen) -> None:
        self._first, self._grey = first, first.grey
        across, down = (cv2.Sobel(self._grey, cv2.CV_32F, *axes, scale=0.125) for axes in ((1, 0), (0, 1)))
        # A camera that goes along an edge leaves it as it was, so that each direction is asked by itself.
        self._edges = [_in_cells(np.abs(slope) > TEXTURE_LEVELS) for slope in (across, down)]
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)

    def place(self, frame: Seen) -> Array | None:
        """The similarity `[2, 3]` that takes pixels of `frame` to those of the first picture; STANDING itself
        where the camera did not move; None where that cannot be told."""
        grey = frame.grey
        changed = _in_cells(cv2.absdiff(grey, self._grey) > CHANGED_LEVELS)
        if all(_share(changed, edges) <= CHANGED_SHARE for edges in self._edges):
            return STANDING
        motion = self._motion(frame)
        if motion is None:
            # A few edges that lie alike may all be of things; all of them together are not.
            unchanged = _share(changed, self._edges[0] | self._edges[1]) <= CHANGED_SHARE
            return STANDING if unchanged or self._phase_stands(grey) else None
        return STANDING if self._shift(motion) < STILL_PX or not self._helps(grey, motion) else motion

    def _motion(self, frame: Seen) -> Array | None:
        """What most features agree on."""
        (theirs, descriptors), (mine, mine_described) = self._first.features, frame.features
        if descriptors is None or mine_described is None:
            return None
        matches = self._matcher.match(mine_described, descriptors)
        if len(matches) < LEAST_MATCHES:
            return None
        start = np.array([mine[m.queryIdx] for m in matches])
        end = np.array([theirs[m.trainIdx] for m in matches])
        motion, agree = cv2.estimateAffinePartial2D(start, end, ransacReprojThreshold=TOLERANCE_PX)
        if motion is None or agree.sum() < max(LEAST_MATCHES, LEAST_AGREEMENT * len(matches)):
            return None
        return motion.astype(np.float32)

    def _phase_stands(self, grey: Array) -> bool:
        """Whether phase correlation (Kuglin and Hines 1975) says for certain that the whole did not move."""
        window = cv2.createHanningWindow(grey.shape[::-1], cv2.CV_32F)
        mine, first = grey.astype(np.float32), self._grey.astype(np.float32)
        shift, response = cv2.phaseCorrelate(mine, first, window)
        return response > SURE_RESPONSE and math.hypot(shift[0], shift[1]) < STILL_PX

    def _helps(self, grey: Array, motion: Array) -> bool:
        """Whether more of the picture is as in the first one with the motion than without: the features may
        be those of a thing that moves."""
        height, width = grey.shape
        placed = cv2.warpAffine(grey, motion, (width, height), borderMode=cv2.BORDER_REPLICATE)
        levels = [float(np.minimum(cv2.absdiff(p, self._grey), 40).mean()) for p in (placed, grey)]
        return levels[0] < levels[1]

    def _shift(self, motion: Array) -> float:
        """The farthest that a corner goes, pixels."""
        height, width = self._grey.shape
        corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float)
        return float(np.abs(corners @ np.asarray(motion).T - corners[:, :2]).max())


def _share(changed: Array, edges: Array) -> float:
    """Of the edges in each cell, the share that changed; the median of the cells that have any."""
    amounts = edges.sum(1)
    asked = amounts > 2
    return (
        float(np.median((changed & edges).sum(1)[asked] / amounts[asked]))
        if asked.sum() >= LEAST_CELLS
        else 0.0
    )


def _in_cells(mask: Array) -> Array:
    """A mask `[H, W]` cut into CELLS by CELLS cells, `[cells, pixels]`; what does not divide is left out."""
    height, width = (side // CELLS for side in mask.shape)
    cut = mask[: height * CELLS, : width * CELLS].reshape(CELLS, height, CELLS, width)
    return cut.transpose(0, 2, 1, 3).reshape(CELLS * CELLS, -1)


def likeness(one: Array, other: Array) -> tuple[float, float]:
    """How alike two pictures are in the large: the correlation of their thumbnails, and the mean difference
    of those, levels."""
    small, other_small = (
        cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), THUMBNAIL, interpolation=cv2.INTER_AREA)
        for picture in (one, other)
    )
    a, b = (picture.astype(float).ravel() for picture in (small, other_small))
    spread = a.std() * b.std()
    correlation = float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 1.0 else 0.0
    return correlation, float(np.abs(a - b).mean())
