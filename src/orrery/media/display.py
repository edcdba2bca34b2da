"""A decoded frame as it is to be seen: its fields deinterlaced, its pixels square, upright, in sRGB."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from orrery.media.colour import HDR_OPERATOR, HLG, PQ, WIDE_PRIMARIES, to_srgb
from orrery.streams import Array

__all__ = [
    "MAX_FRAME_PIXELS",
    "Bound",
    "Display",
    "Note",
    "deinterlaced",
    "ignore_note",
    "letterboxed",
    "square_size",
]

MAX_FRAME_PIXELS = 100_000_000
MAX_PIXEL_ASPECT = 10
UNSPECIFIED = 2
SD_HEIGHT, SD_WIDTH = 576, 1024
"""A film that does not name its matrix is in BT.601 up to this size and in BT.709 above, as in players."""

Note = Callable[[str], None]
"""Takes in words what was changed."""


def ignore_note(words: str) -> None:
    """A note that goes nowhere."""


@dataclass(frozen=True)
class Bound:
    """How large a picture may be: all its pixels, and its shorter side; it is made smaller, its form kept."""

    max_pixels: int = MAX_FRAME_PIXELS
    short_side: int | None = None

    def of(self, height: int, width: int) -> tuple[int, int]:
        """The size that a picture of `height` and `width` is shown in."""
        scale = math.sqrt(min(1.0, self.max_pixels / (height * width)))
        if self.short_side is not None:
            scale = min(scale, self.short_side / min(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))


def square_size(height: int, width: int, pixel_aspect: Fraction) -> tuple[int, int]:
    """Height and width with square pixels; one of the two grows, so that nothing is lost.

    pixel_aspect: width of a pixel by its height. ValueError for one that cannot be.
    """
    if not 1 / MAX_PIXEL_ASPECT <= pixel_aspect <= MAX_PIXEL_ASPECT:
        raise ValueError(f"its pixels are said to be {float(pixel_aspect):g} times as wide as high")
    if pixel_aspect >= 1:
        return height, round(width * pixel_aspect)
    return round(height / pixel_aspect), width


class Display:
    """Turns the frames of one film into pictures. note: told of each thing that was changed."""

    def __init__(self, bound: Bound, note: Note) -> None:
        self._bound, self._note = bound, note
        self._reformatter = VideoReformatter()

    def picture(self, frame: VideoFrame, pixel_aspect: Fraction) -> Array:
        """`[H, W, 3]` uint8 sRGB."""
        whole = square_size(frame.height, frame.width, pixel_aspect)
        if pixel_aspect != 1:
            self._note(f"pixels of {pixel_aspect.numerator}:{pixel_aspect.denominator} made square")
        size = self._bound.of(*whole)
        return np.ascontiguousarray(self._upright(frame, self._pixels(frame, size)))

    def _pixels(self, frame: VideoFrame, size: tuple[int, int]) -> Array:
        if frame.color_trc in (PQ, HLG) or frame.color_primaries in WIDE_PRIMARIES:
            if frame.color_trc in (PQ, HLG):
                name = "PQ" if frame.color_trc == PQ else "HLG"
                self._note(f"HDR ({name}) mapped to sRGB, {HDR_OPERATOR}")
            transfer, primaries = frame.color_trc, frame.color_primaries
            return to_srgb(self._converted(frame, size, "rgb48le"), transfer, primaries)
        if frame.format.has_palette or any(part.is_alpha for part in frame.format.components):
            return self._on_white(self._converted(frame, size, "rgba"))
        return self._converted(frame, size, "rgb24")

    def _converted(self, frame: VideoFrame, size: tuple[int, int], pixel_format: str) -> Array:
        height, width = size
        is_large = frame.height > SD_HEIGHT or frame.width > SD_WIDTH
        is_unnamed = frame.colorspace == UNSPECIFIED and not frame.format.is_rgb
        shrinks = height * width < frame.height * frame.width
        return self._reformatter.reformat(
            frame,
            width,
            height,
            pixel_format,
            src_colorspace=Colorspace.ITU709 if is_unnamed and is_large else None,
            interpolation=Interpolation.AREA if shrinks else Interpolation.BICUBIC,
        ).to_ndarray()

    def _on_white(self, rgba: Array) -> Array:
        alpha = rgba[..., 3:].astype(np.uint16)
        if alpha.min() == 255:
            return rgba[..., :3]
        self._note("transparent parts shown on white")
        return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)

    def _upright(self, frame: VideoFrame, pixels: Array) -> Array:
        """Turned and mirrored as the film's display matrix says, to the nearest right angle."""
        # frame.side_data would be kept by the frame, which it holds: no frame would be freed before the next
        # garbage collection, and of those of 4K each takes 12 MB.
        side = SideDataContainer(frame).get("DISPLAYMATRIX")  # pyright: ignore[reportCallIssue]
        if side is None:
            return pixels
        a, b, _, c, d = np.frombuffer(bytes(side), "=i4", 5).astype(np.int64)
        if b or c or min(a, d) < 0:
            self._note("set upright")
        if abs(a) + abs(d) < abs(b) + abs(c):
            pixels = pixels.swapaxes(0, 1)
            down, across = b, c
        else:
            down, across = d, a
        return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def letterboxed(picture: Array, size: tuple[int, int]) -> Array:
    """`[H, W, 3]` brought to `size` (height, width), whole, its form kept, on black."""
    height, width = picture.shape[:2]
    if (height, width) == size:
        return picture
    scale = min(size[0] / height, size[1] / width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    frame = VideoFrame.from_ndarray(picture, "rgb24")
    small = frame.to_ndarray(format="rgb24", height=inner[0], width=inner[1], interpolation="AREA")
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    whole = np.zeros((*size, 3), np.uint8)
    whole[top : top + inner[0], left : left + inner[1]] = small
    return whole


def deinterlaced(frames: Iterable[VideoFrame], note: Note) -> Iterator[VideoFrame]:
    """The same frames; of one that holds two fields, each of its own instant, the first in full (yadif)."""
    graph, form = None, None
    for frame in frames:
        this = frame.width, frame.height, frame.format.name
        if graph is not None and this != form:
            yield from _pulled(graph, None)
            graph = None
        if graph is None and frame.interlaced_frame and frame.time_base is not None:
            note("interlaced pictures made whole (yadif)")
            graph, form = _deinterlacer(frame), this
        if graph is None:
            yield frame
        else:
            yield from _pulled(graph, frame)
    if graph is not None:
        yield from _pulled(graph, None)


def _deinterlacer(frame: VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    graph.link_nodes(source, graph.add("yadif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def _pulled(graph: Graph, frame: VideoFrame | None) -> Iterator[VideoFrame]:
    graph.vpush(frame)
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):
            return
