"""A film cut into shots, and shots into clips: where the picture jumps, what is still, what comes twice.

All of it is decided on small grey pictures, which keep what moves and forget how it was compressed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from orrery.streams import Array

__all__ = ["MIN_SECONDS", "THUMBNAIL", "Clip", "FilmScan", "Signatures", "clips_of", "cuts"]

THUMBNAIL = 16
"""Side of the grey pictures."""
MIN_SECONDS = 1.0
CUT_LEVELS = 8.0
"""Grey levels by which the mean cell changes at a cut, at least."""
FLASH_PICTURES = 3
"""Where the picture is so many pictures later as it was so many before, it was a flash, and no cut."""
CUT_RATIO = 4.0
"""A cut changes the picture this many times as much as what comes just before and after it."""
CUT_NEIGHBOURS = 6
STILL_LEVELS = 4.0
"""A clip is still if no cell's grey level goes up and down by more than this."""
NUM_INSTANTS = 8
SAME_PICTURE, SAME_MOTION = 0.95, 0.9
"""Correlations of the mean picture and of what changes, from which on two clips are nearly the same."""


@dataclass(frozen=True)
class FilmScan:
    """A film at a glance. seconds: `[n]`, instants of its pictures, from 0. grey: `[n, 16, 16]` float32, the
    pictures, 0 to 255. end_seconds: when the last picture ends. notes: what was changed or chosen in it."""

    seconds: Array
    grey: Array
    end_seconds: float
    has_sound: bool
    notes: str = ""


@dataclass(frozen=True)
class Clip:
    """A stretch of one shot of a film."""

    start_seconds: float
    num_ticks: int


def cuts(scan: FilmScan) -> list[int]:
    """Numbers of the pictures with which a new shot begins, without the first."""
    change = np.abs(np.diff(scan.grey, axis=0)).mean((1, 2))
    found = []
    for k in np.flatnonzero(change > CUT_LEVELS):
        around = np.concatenate(
            [change[max(0, k - CUT_NEIGHBOURS) : k], change[k + 1 : k + 1 + CUT_NEIGHBOURS]]
        )
        around = around[around > 0]  # a picture shown twice says nothing of how much moves
        earlier = scan.grey[max(0, k + 1 - FLASH_PICTURES)]
        later = scan.grey[min(k + FLASH_PICTURES, len(change))]
        stays = np.abs(later - earlier).mean() > CUT_LEVELS
        if stays and (not len(around) or change[k] > CUT_RATIO * np.median(around)):
            found.append(int(k) + 1)
    return found


def clips_of(
    scan: FilmScan, seconds: float, ticks_per_second: float, min_seconds: float = MIN_SECONDS
) -> list[Clip]:
    """Clips of `seconds`, one after the other in each shot, and the rest of it if that is `min_seconds`."""
    starts = [0, *cuts(scan)]
    bounds = [*(float(scan.seconds[k]) for k in starts), scan.end_seconds]
    wanted = max(1, round(seconds * ticks_per_second))
    least = max(1, min(wanted, min_seconds * ticks_per_second))
    found = []
    for k in range(len(starts)):
        left = int((bounds[k + 1] - bounds[k]) * ticks_per_second + 1e-6)
        at = bounds[k]
        while left >= least:
            num_ticks = min(left, wanted)
            found.append(Clip(at, num_ticks))
            left, at = left - num_ticks, at + num_ticks / ticks_per_second
    return found


class Signatures:
    """Remembers clips, and tells those that are still or nearly the same as one that was seen before.

    A copy that was scaled, compressed anew or made lighter is nearly the same; the next clip of the same shot
    is not, for other things move in it.
    """

    def __init__(self, ticks_per_second: float) -> None:
        self._rate = ticks_per_second
        self._names: list[str] = []
        self._lengths: list[int] = []
        self._pictures: list[Array] = []
        self._motions: list[Array] = []

    def refusal(self, name: str, scan: FilmScan, clip: Clip) -> str | None:
        """Why a clip is left out; None if it is kept, and remembered as `name`."""
        inside = _shown(scan, clip.start_seconds + np.arange(clip.num_ticks) / self._rate)
        if np.ptp(inside, axis=0).max() < STILL_LEVELS:
            return "still"
        instants = (np.arange(NUM_INSTANTS) + 0.5) / NUM_INSTANTS * clip.num_ticks / self._rate
        pictures = _shown(scan, clip.start_seconds + instants)
        mean = pictures.mean(0)
        picture, motion = _unit(mean - mean.mean()), _unit(pictures - mean)
        for other in self._alike(clip.num_ticks, picture, motion):
            return f"nearly the same as {self._names[other]}"
        self._names.append(name)
        self._lengths.append(clip.num_ticks)
        self._pictures.append(picture)
        self._motions.append(motion)
        return None

    def _alike(self, num_ticks: int, picture: Array, motion: Array) -> Iterator[int]:
        if self._names:
            same = np.abs(np.array(self._lengths) - num_ticks) <= 1
            same &= np.stack(self._pictures) @ picture > SAME_PICTURE
            for other in np.flatnonzero(same):
                if self._motions[other] @ motion > SAME_MOTION:
                    yield int(other)


def _shown(scan: FilmScan, instants: Array | Sequence[float]) -> Array:
    """The grey pictures that are shown at `instants`."""
    index = np.searchsorted(scan.seconds, np.asarray(instants) + 1e-6, side="right") - 1
    return scan.grey[np.maximum(index, 0)]


def _unit(values: Array) -> Array:
    flat = values.ravel()
    return flat / max(float(np.linalg.norm(flat)), 1e-9)
