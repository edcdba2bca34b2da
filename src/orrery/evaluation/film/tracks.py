"""Blobs of one picture after the other, linked into tracks of things.

A Kalman filter of constant velocity says where each thing should be next, and the blobs are given to the
tracks so that the whole costs least (Hungarian method): near, of the same colour, of the same size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from orrery.evaluation.film.blobs import Blob
from orrery.streams import Array

__all__ = ["Track", "Tracker"]

ACCELERATION = 8.0
"""Of a thing, screen heights a second squared: what falls in a room, seen from nearby."""
MEASURED_PX = 0.5
LOST_FRAMES, LOST_SECONDS = 3, 0.3
MAX_TRACK_SECONDS = 20.0
COLOUR_LIMIT = 45.0
SIZE_LIMIT = 2.2
"""Natural logarithm of the most that an area may change by from one picture to the next."""
NEAR_PX = 6.0
LEAST_PICTURES = 4
PART_SHARE = 0.15
"""Of a blob's area: a smaller part of it, that comes or goes, leaves the rest what it is."""
HELD_SHARE = 0.5
"""Of a thing's area: what was smaller cannot have hidden it, nor had it in it."""
GROWN = 1.3
"""A thing that is larger than this beside what it was before another met it still has that other in it."""


@dataclass
class Track:
    """One thing. blobs, seconds: what was seen of it, and when. alone: whether no other thing was lost in the
    same blob. clear: whether, besides, it is no larger than before one was. alone_area: what it measured
    before it took another thing in; infinite while it has not. begins, ends: `start` (of the film, of a shot,
    of a stretch), `end`, `edge`, `split`, `merged`, or `nowhere`. crowd: smallest distance to another blob in
    each picture, pixels. parents: what it split off from, and how many pictures that had by then."""

    number: int
    begins: str
    blobs: list[Blob] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    alone: list[bool] = field(default_factory=list)
    clear: list[bool] = field(default_factory=list)
    crowd: list[float] = field(default_factory=list)
    ends: str = "end"
    missing: int = 0
    merged: bool = False
    alone_area: float = np.inf
    parents: list[tuple[Track, int]] = field(default_factory=list)
    _state: Array = field(default_factory=lambda: np.zeros(4))
    _spread: Array = field(default_factory=lambda: np.diag([1.0, 1.0, 1e6, 1e6]))

    def add(self, blob: Blob, seconds: float, alone: bool, crowd: float, push: float) -> None:
        """The next thing seen of it. push: px / s^2, of the filter's noise."""
        clear = alone and blob.area < GROWN * self.alone_area
        if not clear and self.clear and self.clear[-1]:
            self.alone_area = min(self.alone_area, self.blobs[-1].area)
        if self.blobs:
            self._update(blob, seconds - self.seconds[-1], push)
        else:
            self._state[:2] = blob.x, blob.y
        self.blobs.append(blob)
        self.seconds.append(seconds)
        self.alone.append(alone)
        self.clear.append(clear)
        self.crowd.append(crowd)
        self.missing, self.merged = 0, False
        if len(self.blobs) == LEAST_PICTURES:
            self._part()

    def _part(self) -> None:
        """It is no crumb, but a thing: till it began, it and what it split off from were one blob, which was
        neither of them."""
        for parent, count in self.parents:
            parent.clear[:count] = [False] * count
            parent.alone_area = np.inf
        self.parents = []

    def _update(self, blob: Blob, step: float, push: float) -> None:
        state, spread = self._ahead(step, push)
        innovation = np.array([blob.x, blob.y]) - state[:2]
        gain = spread[:, :2] @ np.linalg.inv(spread[:2, :2] + MEASURED_PX**2 * np.eye(2))
        self._state, self._spread = state + gain @ innovation, spread - gain @ spread[:2]

    def _ahead(self, step: float, push: float) -> tuple[Array, Array]:
        move = np.eye(4)
        move[0, 2] = move[1, 3] = step
        drive = np.array([[step**2 / 2, 0], [0, step**2 / 2], [step, 0], [0, step]]) * push
        return move @ self._state, move @ self._spread @ move.T + drive @ drive.T

    def expected(self, seconds: float, push: float) -> tuple[Array, float]:
        """Where it should be, `[2]` pixels, and how far off it may be: it may also have hit something and
        turned round."""
        step = seconds - self.seconds[-1]
        state, spread = self._ahead(step, push)
        speed = 0.0 if len(self.blobs) < 2 else float(np.hypot(*state[2:]))
        unsure = 3.0 * float(np.sqrt(min(spread[0, 0], (6.0 * push * step**2) ** 2)))
        return state[:2], unsure + 2.0 * speed * step + 0.8 * self.blobs[-1].size

    @property
    def is_ghost(self) -> bool:
        """Whether what is seen is a hole that something left in the plate, not a thing."""
        return float(np.median([blob.outline for blob in self.blobs])) < 0.4

    def of(self, name: str) -> Array:
        """One property of its blobs, `[n]` (colour: `[n, 3]`)."""
        return np.array([getattr(blob, name) for blob in self.blobs])


class Tracker:
    """Links what is seen into tracks. height: of the pictures, pixels."""

    def __init__(self, height: int, width: int) -> None:
        self.active: list[Track] = []
        self._push = ACCELERATION * height
        self._shape = height, width
        self._number = 0
        self._fresh = True

    def see(self, blobs: Sequence[Blob], seconds: float) -> list[Track]:
        """Take in the blobs of the next picture; the tracks that ended before it."""
        pairs = self._pairs(blobs, seconds)
        taken = {row: column for row, column in pairs}
        owners: dict[int, list[Track]] = {column: [self.active[row]] for row, column in pairs}
        for row, track in enumerate(self.active):
            if row not in taken:
                self._miss(track, blobs, owners, seconds)
        for row, column in pairs:
            others = [b for k, b in enumerate(blobs) if k != column]
            alone = len(owners[column]) == 1
            self.active[row].add(blobs[column], seconds, alone, _crowd(blobs[column], others), self._push)
        known = list(self.active)
        for column, blob in enumerate(blobs):
            if column not in owners:
                self._begin(blob, seconds, [b for k, b in enumerate(blobs) if k != column], known)
        self._fresh = False
        return self._closed(seconds)

    def finish(self, reason: str = "end") -> list[Track]:
        """End all tracks, as at a cut or at the film's end; what is seen next begins anew."""
        done, self.active, self._fresh = self.active, [], True
        for track in done:
            track.ends = self._reason(track) if track.missing > LOST_FRAMES else reason
        return done

    def _pairs(self, blobs: Sequence[Blob], seconds: float) -> list[tuple[int, int]]:
        if not blobs or not self.active:
            return []
        cost = np.full((len(self.active), len(blobs)), 1e6)
        for row, track in enumerate(self.active):
            (x, y), reach = track.expected(seconds, self._push)
            last = track.blobs[-1]
            for column, blob in enumerate(blobs):
                distance = float(np.hypot(blob.x - x, blob.y - y)) / reach
                colour = float(np.linalg.norm(blob.colour - last.colour)) / COLOUR_LIMIT
                size = abs(float(np.log(blob.area / last.area))) / SIZE_LIMIT
                if distance < 1.0 and colour < 1.0 and size < 1.0:
                    cost[row, column] = distance + colour + 0.5 * size
        rows, columns = linear_sum_assignment(cost)
        return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if cost[r, c] < 1e6]

    def _miss(
        self, track: Track, blobs: Sequence[Blob], owners: dict[int, list[Track]], seconds: float
    ) -> None:
        track.missing += 1
        (x, y), _ = track.expected(seconds, self._push)
        for column, owner in owners.items():
            if blobs[column].apart(x, y) < NEAR_PX:
                track.merged = True
                crumb = track.begins == "split" and len(track.blobs) < LEAST_PICTURES
                if track.blobs[-1].area > PART_SHARE * blobs[column].area and not crumb:
                    owner.append(track)

    def _begin(self, blob: Blob, seconds: float, others: Sequence[Blob], known: Sequence[Track]) -> None:
        near = [
            t
            for t in known
            if t.blobs[-1].apart(blob.x, blob.y) < NEAR_PX + 0.6 * blob.size
            and max(b.area for b in t.blobs[-3:]) > HELD_SHARE * blob.area
        ]
        parted = [t for t in near if blob.area > PART_SHARE * t.blobs[-1].area]
        if self._fresh:
            reason = "start"
        elif blob.at_edge:
            reason = "edge"
        else:
            reason = "split" if near else "nowhere"
        self._number += 1
        track = Track(self._number, reason)
        track.parents = [(t, len(t.blobs)) for t in parted] if reason == "split" else []
        track.add(blob, seconds, True, _crowd(blob, others), self._push)
        self.active.append(track)

    def _closed(self, seconds: float) -> list[Track]:
        closed, kept = [], []
        for track in self.active:
            lost = track.missing > LOST_FRAMES and seconds - track.seconds[-1] > LOST_SECONDS
            if lost or (len(track.blobs) < LEAST_PICTURES and track.missing > 1):
                track.ends = self._reason(track)
                closed.append(track)
            elif seconds - track.seconds[0] > MAX_TRACK_SECONDS:
                closed.append(track)
                kept.append(self._continued(track))
            else:
                kept.append(track)
        self.active = kept
        return closed

    def _continued(self, track: Track) -> Track:
        """A long track goes on as another, so that memory is bounded."""
        self._number += 1
        after = Track(self._number, "start", missing=track.missing, merged=track.merged)
        after._state, after._spread = track._state, track._spread
        after.blobs, after.seconds = track.blobs[-1:], track.seconds[-1:]
        after.alone, after.clear, after.crowd = track.alone[-1:], track.clear[-1:], track.crowd[-1:]
        after.alone_area = track.alone_area
        return after

    def _reason(self, track: Track) -> str:
        if track.merged or track.crowd[-1] < NEAR_PX:
            return "merged"
        height, width = self._shape
        (x, y), _ = track.expected(track.seconds[-1] + 1 / 12, self._push)
        out = not (0 <= x < width and 0 <= y < height)
        return "edge" if track.blobs[-1].at_edge or out else "nowhere"


def _crowd(blob: Blob, others: Sequence[Blob]) -> float:
    """Pixels between a blob's box and the nearest other's, crumbs left out; infinite where there is none."""
    left, top, right, bottom = blob.box
    gaps = [
        np.hypot(max(o.box[0] - right, left - o.box[2], 0), max(o.box[1] - bottom, top - o.box[3], 0))
        for o in others
        if o.area > PART_SHARE * blob.area
    ]
    return float(min(gaps, default=np.inf))
