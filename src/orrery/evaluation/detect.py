"""Which objects a film shows, by classical vision: colours, shapes and how many, and where in each frame.

What differs from the empty table and is not its shadow is sorted by hue; blobs of one colour are joined into
tracks, and each track's shape is voted for, frame by frame, by comparing its shaded outline with drawn ones
(`templates`). No learned part, so that one measure serves exact and imagined films alike.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from orrery.errors import BadUse
from orrery.evaluation.templates import normalised_view, shape_bank, view_cell
from orrery.streams import Array
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.tabletop.render import Renderer
from orrery.worlds.tabletop.scene import BODY_SHAPES, CAMERAS, SIZES, Scene

__all__ = ["Detection", "SeenObject", "camera_backgrounds", "detect", "segment"]

LEAST_DIFFERENCE = 14
"""Of 255: what a pixel must differ by from the empty table. The finger is nearly as bright as the table."""
LEAST_WHITE_DIFFERENCE = 22
MIN_AREA = 22
"""Pixels of a 128 x 128 picture; a small object on the far side covers about 80."""
MIN_SHARE = 0.12
"""Share of the frames in which an object must be seen to count."""
GATE = 0.18
"""How far, in picture widths, a blob may lie from where its track expects it."""
BACKGROUND, SHADOW, UNNAMED, FINGER = 0, 1, 2, 3
FIRST_COLOUR = 4
_WHITE = FIRST_COLOUR + list(COLOURS).index("white")
_HUES = {"orange": 14.0, "yellow": 41.0, "green": 75.0, "blue": 190.0, "purple": 257.0, "red": 325.0}
"""Colour name to the hue, in degrees, at which it begins; each ends where the next begins."""


@dataclass(frozen=True)
class SeenObject:
    """One object of a film.

    centre_px: `[n, 2]` row and column of its soft centroid in each frame, NaN where it is not seen.
    shape_costs: misfit of each of BODY_SHAPES, lower is likelier.
    """

    colour: str
    shape: str
    centre_px: Array
    shape_costs: Array


@dataclass(frozen=True)
class Detection:
    """All objects of a film, and the standing camera that it was taken with."""

    objects: tuple[SeenObject, ...]
    camera: str

    @property
    def names(self) -> Counter[tuple[str, str]]:
        """How many of each (colour, shape)."""
        return Counter((seen.colour, seen.shape) for seen in self.objects)

    @property
    def colours(self) -> Counter[str]:
        """How many of each colour."""
        return Counter(seen.colour for seen in self.objects)


class _Blob(NamedTuple):
    """One patch of one colour in one frame. mask, soft: `[h, w]`, at `corner` (row, column)."""

    frame: int
    centre: Array
    area: int
    mask: Array
    corner: tuple[int, int]
    clear: bool


@dataclass
class _Track:
    blobs: list[_Blob] = field(default_factory=list)

    def expected(self, frame: int) -> Array:
        """Where the next blob should be: straight on, for a few frames."""
        last = self.blobs[-1]
        if len(self.blobs) < 2 or frame - last.frame > 3:
            return last.centre
        before = self.blobs[-2]
        step = (last.centre - before.centre) / (last.frame - before.frame)
        return last.centre + step * (frame - last.frame)


@lru_cache(maxsize=4)
def camera_backgrounds(image_size: int = 128) -> dict[str, Array]:
    """The empty table as each standing camera sees it, `[H, W, 3]` uint8."""
    renderer = Renderer(image_size)
    empty = np.zeros((0, 3)), np.zeros((0, 3, 3))
    pictures = {}
    for name, camera in CAMERAS.items():
        renderer.set_scene(Scene((), name), camera)
        pictures[name] = renderer.draw(*empty, np.array([0.0, 0.0, 0.8]))
    return pictures


def detect(frames: Array, camera: str | None = None) -> Detection:
    """The objects of a film of the table. frames: `[n, H, W, 3]` uint8, square.

    camera: which standing camera took it; None takes the one whose empty table fits best. Raises BadUse for
    frames of another form.
    """
    if (
        frames.ndim != 4
        or frames.shape[3] != 3
        or frames.dtype != np.uint8
        or frames.shape[1] != frames.shape[2]
    ):
        raise BadUse(f"detect: frames are uint8 [n, size, size, 3], got {frames.dtype} {list(frames.shape)}")
    camera = camera or _nearest_camera(frames)
    background = camera_backgrounds(frames.shape[1])[camera]
    labels = segment(frames, background)
    rims = _is_rim(background)
    objects: list[SeenObject] = []
    for index, colour in enumerate(COLOURS):
        blobs = _blobs(labels, FIRST_COLOUR + index, rims)
        objects += [_describe(frames, track, colour, camera) for track in _tracks(blobs, frames)]
    return Detection(tuple(objects), camera)


def _nearest_camera(frames: Array) -> str:
    still = np.median(frames[:: max(1, len(frames) // 9)], axis=0)
    backgrounds = camera_backgrounds(frames.shape[1])
    return min(backgrounds, key=lambda name: float(np.abs(still - backgrounds[name]).mean()))


def segment(frames: Array, background: Array) -> Array:
    """What every pixel shows, `[n, H, W]` uint8: BACKGROUND, SHADOW, UNNAMED, FINGER, or FIRST_COLOUR plus
    the index of its colour in COLOURS. frames: `[n, H, W, 3]` uint8, background: `[H, W, 3]` uint8."""
    labels = np.full(frames.shape[:3], BACKGROUND, np.uint8)
    # A soft picture mixes neighbours, so only what no mixture of the neighbourhood explains is a thing.
    low = ndimage.minimum_filter(background, (3, 3, 1)).astype(np.int16)
    high = ndimage.maximum_filter(background, (3, 3, 1)).astype(np.int16)
    difference = np.maximum(low - frames, frames - high).max(-1)
    where = np.nonzero(difference > LEAST_DIFFERENCE)
    pixels = frames[where].astype(np.float32)
    empty = np.broadcast_to(background, frames.shape)[where].astype(np.float32)
    names = _name_pixels(pixels)
    # Pale grey is what softness and noise make of edges: white must stand out more than a hue must.
    doubtful = (difference[where] < LEAST_WHITE_DIFFERENCE) & (names == _WHITE)
    labels[where] = np.where(_is_shadow(pixels, empty), SHADOW, np.where(doubtful, BACKGROUND, names))
    return labels


def _is_shadow(pixels: Array, empty: Array) -> Array:
    """Whether pixels `[m, 3]` are what was there before, darker but of the same tint."""
    dot = (pixels * empty).sum(1)
    ratio = dot / np.maximum((empty**2).sum(1), 1.0)
    norms = np.linalg.norm(pixels, axis=1) * np.linalg.norm(empty, axis=1)
    angle = np.degrees(np.arccos(np.clip(dot / np.maximum(norms, 1.0), -1, 1)))
    return (ratio > 0.30) & (ratio < 1.0) & (angle < np.where(ratio < 0.62, 4.5, 2.6))


def _name_pixels(pixels: Array) -> Array:
    """The label of each pixel `[m, 3]`, from hue, saturation and value."""
    high, low = pixels.max(1), pixels.min(1)
    chroma = high - low
    saturation = chroma / np.maximum(high, 1.0)
    red, green, blue = pixels.T
    spread = np.maximum(chroma, 1.0)
    hue = np.where(
        high == red,
        (green - blue) / spread % 6,
        np.where(high == green, (blue - red) / spread + 2, (red - green) / spread + 4),
    )
    hue = (hue * 60.0) % 360.0
    named = list(COLOURS)
    starts = np.array(list(_HUES.values()))
    order = np.array([FIRST_COLOUR + named.index(name) for name in _HUES], np.uint8)
    labels = order[np.searchsorted(starts, hue, side="right") - 1]
    labels = np.where(saturation < 0.45, UNNAMED, labels)
    skin = (hue > 5) & (hue < 35) & (saturation > 0.2) & (saturation < 0.45) & (high > 60)
    labels = np.where(skin, FINGER, labels)
    labels = np.where((saturation < 0.17) & (high > 62), FIRST_COLOUR + named.index("white"), labels)
    return np.where((high < 52) & (chroma < 30), FIRST_COLOUR + named.index("black"), labels).astype(np.uint8)


def _is_rim(background: Array) -> Array:
    """Where the empty table shows the tray's rims, `[H, W]` bool: the only thing on it that is brown and
    dark."""
    return (background.max(-1) < 105) & (background.max(-1) - background.min(-1) > 8)


def _blobs(labels: Array, label: int, rims: Array) -> list[list[_Blob]]:
    """The blobs of one colour, frame by frame."""
    found: list[list[_Blob]] = [[] for _ in labels]
    mask = labels == label
    size = labels.shape[1]
    scale = (size / 128) ** 2
    busy = np.nonzero(mask.reshape(len(mask), -1).sum(1) >= MIN_AREA * scale)[0]
    for frame in busy:
        closed = _closed(mask[frame])
        parts, count = _label(closed)
        pieces = [p for p in range(1, count + 1) if (parts == p).sum() >= MIN_AREA * scale / 3]
        others = _closed(labels[frame] >= UNNAMED) & ~closed
        for group in _reunited(parts, pieces, others, size):
            member = np.isin(parts, group)
            if member.sum() >= MIN_AREA * scale and ndimage.binary_erosion(member, iterations=2).any():
                found[frame].append(_blob(int(frame), member, others, rims))
    return found


def _closed(mask: Array) -> Array:
    """`[H, W]` bool with its small gaps closed."""
    return np.asarray(ndimage.binary_closing(np.pad(mask, 2), np.ones((3, 3))), bool)[2:-2, 2:-2]


def _label(mask: Array) -> tuple[Array, int]:
    """Connected parts of `[H, W]` bool, diagonals included: their numbers from 1 on, and how many."""
    parts = np.zeros(mask.shape, np.int32)
    return parts, int(ndimage.label(mask, np.ones((3, 3)), output=parts))  # type: ignore[arg-type]


def _reunited(parts: Array, pieces: list[int], others: Array, image_size: int) -> list[list[int]]:
    """Pieces grouped where something in front cuts an object in two: it touches both, and together they are
    no larger than an object can be."""
    groups = [[piece] for piece in pieces]
    if len(pieces) < 2:
        return groups
    largest = 2 * SIZES["big"][1] * 1.45 * image_size / 2 / math.tan(math.radians(22.0)) / 0.95
    joined, _ = _label(others | np.isin(parts, pieces))
    for a, b in [(a, b) for i, a in enumerate(pieces) for b in pieces[i + 1 :]]:
        one, two = (next(g for g in groups if p in g) for p in (a, b))
        if one is two or joined[parts == a][0] != joined[parts == b][0]:
            continue
        rows, columns = np.nonzero(np.isin(parts, one + two))
        if max(np.ptp(rows), np.ptp(columns)) < largest:
            groups = [g for g in groups if g is not one and g is not two] + [one + two]
    return groups


def _blob(frame: int, member: Array, others: Array, rims: Array) -> _Blob:
    rows, columns = np.nonzero(member)
    top, left = max(rows.min() - 2, 0), max(columns.min() - 2, 0)
    bottom, right = rows.max() + 3, columns.max() + 3
    box = (slice(top, bottom), slice(left, right))
    mask = np.asarray(ndimage.binary_fill_holes(member[box]), bool)
    rim = np.asarray(ndimage.binary_dilation(mask, np.ones((3, 3))), bool) & ~mask
    at_edge = min(rows.min(), columns.min()) == 0 or max(rows.max(), columns.max()) == len(member) - 1
    inside = np.nonzero(mask)
    centre = np.array([top + inside[0].mean(), left + inside[1].mean()])
    # What stands in front of an object hides its lower part; what touches it above stands behind.
    lower = np.arange(top, top + len(mask))[:, None] > centre[0]
    touching = (rim & lower & (others[box] | rims[box])).sum() + 0.2 * (rim & ~lower & others[box]).sum()
    clear = not at_edge and touching < 0.10 * rim.sum()
    return _Blob(frame, centre, int(mask.sum()), mask, (int(top), int(left)), bool(clear))


def _tracks(blobs: list[list[_Blob]], frames: Array) -> list[_Track]:
    """As many tracks as objects of this colour were seen at once in a fair share of the frames."""
    counts = np.array([len(found) for found in blobs])
    num_objects = 0
    while (counts > num_objects).mean() >= MIN_SHARE:
        num_objects += 1
    tracks: list[_Track] = []
    if num_objects:
        for frame, found in enumerate(blobs):
            if len(found) < num_objects:  # some are hidden, or two of a colour have run into one blob
                found = [blob._replace(clear=False) for blob in found]
            _extend(tracks, frame, found, GATE * frames.shape[1])
    return sorted(tracks, key=lambda track: -len(track.blobs))[:num_objects]


def _extend(tracks: list[_Track], frame: int, found: list[_Blob], gate: float) -> None:
    """Give each blob of a frame to the track that expects it, or begin one with it."""
    distance = np.array(
        [[np.linalg.norm(blob.centre - track.expected(frame)) for track in tracks] for blob in found]
    ).reshape(len(found), len(tracks))
    taken = set()
    for row, column in zip(*linear_sum_assignment(np.minimum(distance, 2 * gate)), strict=True):
        if distance[row, column] <= gate:
            tracks[column].blobs.append(found[row])
            taken.add(row)
    tracks += [_Track([blob]) for row, blob in enumerate(found) if row not in taken]


def _describe(frames: Array, track: _Track, colour: str, camera: str) -> SeenObject:
    """The object that a track shows: its shape by vote, its place by soft centroids."""
    centres = np.full((len(frames), 2), np.nan)
    votes, weights = [], []
    largest = np.median([blob.area for blob in track.blobs])
    for blob in track.blobs:
        centres[blob.frame] = blob.centre
        weight = (1.0 if blob.clear else 0.02) * min(1.0, blob.area / largest) ** 2
        votes.append(_shape_costs(frames[blob.frame], blob, colour, camera))
        weights.append(weight)
    costs = np.average(np.stack(votes), axis=0, weights=weights)
    return SeenObject(colour, BODY_SHAPES[int(costs.argmin())], centres, costs)


def _shape_costs(frame: Array, blob: _Blob, colour: str, camera: str) -> Array:
    """Misfit of each shape with one blob, `[num_shapes]`."""
    top, left = blob.corner
    height, width = blob.mask.shape
    patch = frame[top : top + height, left : left + width].astype(np.float32)
    paint = np.array(COLOURS[colour], np.float32)
    brightness = np.minimum(patch @ (paint / (paint @ paint)), 1.15 * 255)
    outline, shade = normalised_view(blob.mask, brightness)
    bank = shape_bank(camera, view_cell(blob.centre[0], blob.centre[1], frame.shape[0]))
    return bank.costs(outline, shade, 0.3 if colour == "black" else 1.0)
