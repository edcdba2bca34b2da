"""Pictures and depth of a recording, from films by time stamp and from the cells of a table.

Depth is metres, float32, 0 where nothing was measured. It is kept as whole millimetres (16-bit PNG, TIFF,
films of 16 bits), as metres (float TIFF), or in films of 12 bits as LeRobot's codes: the logarithm of
depth (or depth itself) between the least and the greatest that info.json gives.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from orrery.errors import UserError
from orrery.media.opening import READ_OPTIONS
from orrery.media.reader import film_header
from orrery.media.timeline import frame_rate
from orrery.rounding import cast
from orrery.streams import Array

__all__ = [
    "DepthCode",
    "cell_picture",
    "colours_of",
    "depth_of",
    "frames_at",
    "is_depth_cell",
    "is_flagged",
    "metres_of",
    "squeezed",
]

_BAD_PICTURES = (OSError, ValueError, SyntaxError, struct.error, EOFError, Image.DecompressionBombError)
"""What Pillow raises for a damaged picture."""
_MOST_METRES = 1e6
_DEPTH_MODES = ("I;16", "I;16B", "I;16L", "I", "F")


def frames_at(path: Path, instants: Array, until: float = math.inf) -> Iterator[VideoFrame]:
    """The frame of a film at each of `instants`, in order: seconds after its first one.

    The one nearest in time, of a film of even rate; where a frame is held for longer, the one that is
    shown. until: seconds; what the film shows from then on is of something else. UserError that names the
    film where it cannot be read, or ends before an instant.
    """
    film_header(path)  # refuses what is missing, cut short or no film
    try:
        with av.open(str(path), metadata_errors="ignore", options=READ_OPTIONS) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            yield from _chosen(path, container, stream, instants, until)
    except (FFmpegError, IndexError) as problem:
        raise UserError(f"{path} cannot be decoded ({problem}); download it again") from problem


def _chosen(
    path: Path, container: InputContainer, stream: VideoStream, instants: Array, until: float
) -> Iterator[VideoFrame]:
    period = 1 / float(frame_rate(stream))
    half, done = period * (0.5 - 1e-3), 0
    shown: VideoFrame | None = None
    last = -math.inf
    for seconds, frame in _decoded(container, stream, float(instants[0]), period):
        if seconds <= last:  # stamps that run backwards are of no use
            continue
        if shown is not None and seconds > until - period / 8:
            break
        while shown is not None and done < len(instants) and instants[done] + half < seconds:
            yield shown
            done += 1
        if done == len(instants):
            return
        if shown is None and instants[done] + half < seconds:
            raise UserError(
                f"{path} begins at {seconds:.2f} s, and a picture at {instants[done]:.2f} s is asked for"
            )
        shown, last = frame, seconds
    for instant in instants[done:]:
        if shown is None or instant > last + period * 0.99:
            end = "is empty" if shown is None else f"ends at {last + period:.2f} s"
            raise UserError(f"{path} {end}, and a picture at {instant:.2f} s is asked for; download it again")
        yield shown


def _decoded(
    container: InputContainer, stream: VideoStream, begin: float, period: float
) -> Iterator[tuple[float, VideoFrame]]:
    """Frames with their instants, seconds after the film's first, from the one that is shown at `begin`
    on."""
    base = float(stream.time_base or 1)
    start, last = (stream.start_time or 0) * base, -period

    def timed(frames: Iterator[VideoFrame]) -> Iterator[tuple[float, VideoFrame]]:
        nonlocal last
        for frame in frames:
            last = last + period if frame.pts is None else frame.pts * base - start
            yield last, frame

    if begin > period:
        container.seek(int((start + begin - period / 2) / base), stream=stream)
        frames = timed(container.decode(stream))
        first = next(frames, None)
        if first is not None and first[1].pts is not None and first[0] <= begin:
            yield from chain([first], frames)
            return
        container.seek(stream.start_time or 0, stream=stream)
        last = -period
    yield from timed(container.decode(stream))


def colours_of(frame: VideoFrame) -> Array:
    """`[H, W, 3]` uint8 sRGB, upright."""
    return np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))


@dataclass(frozen=True)
class DepthCode:
    """How a camera's depth is written. least, greatest, shift: metres, of LeRobot's codes. is_log: whether
    they are of the logarithm. metres: whether whole numbers are metres, not millimetres."""

    least: float = 0.01
    greatest: float = 10.0
    shift: float = 3.5
    is_log: bool = True
    metres: bool = False
    is_said: bool = False
    """Whether info.json gives the least and the greatest."""

    @classmethod
    def of(cls, feature: Mapping[str, Any]) -> DepthCode | None:
        """As info.json says of a feature; None where what it says makes no sense."""
        said = _info(feature)
        names = {"least": "depth_min", "greatest": "depth_max", "shift": "shift"}
        found = {k: said.get(f"video.{name}", said.get(name)) for k, name in names.items()}
        found = {k: v for k, v in found.items() if v is not None}
        is_log = said.get("video.use_log", said.get("use_log", True))
        if not all(isinstance(v, int | float) and abs(v) < _MOST_METRES for v in found.values()):
            return None
        unit = said.get("depth_unit", said.get("video.depth_unit"))
        code = cls(
            **found, is_log=bool(is_log), metres=unit == "m", is_said={"least", "greatest"} <= set(found)
        )
        if code.greatest <= code.least or (code.is_log and code.least + code.shift <= 0):
            return None
        return code

    def depth(self, codes: Array, bits: int) -> Array:
        """Metres, float32, of codes of `bits` bits."""
        share = codes.astype(np.float32) / np.float32(2**bits - 1)
        if not self.is_log:
            return self.least + share * np.float32(self.greatest - self.least)
        low, high = math.log(self.least + self.shift), math.log(self.greatest + self.shift)
        metres = np.exp(low + share * np.float32(high - low)) - np.float32(self.shift)
        return np.clip(metres, self.least, self.greatest).astype(np.float32)


def _info(feature: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a feature's films, under its old and its new name."""
    parts = [feature.get(name) for name in ("video_info", "info")]
    return {k: v for part in parts if isinstance(part, dict) for k, v in part.items()}


def is_flagged(feature: Mapping[str, Any]) -> bool:
    """Whether info.json says that a camera shows depth, in the old or the new way."""
    said = _info(feature)
    return bool(said.get("is_depth_map") or said.get("video.is_depth_map"))


def depth_of(frame: VideoFrame, code: DepthCode) -> Array:
    """`[H, W]` float32 metres of a film's frame. UserError where its numbers cannot be depth."""
    layout = frame.format
    bits = layout.components[0].bits
    if layout.is_rgb or layout.has_palette:
        raise UserError(f"its film has colours ({layout.name}) where depth is expected")
    if bits <= 8 and not code.is_said:
        raise UserError(
            f"its film has {bits} bits ({layout.name}), and meta/info.json does not give the depth_min and "
            "depth_max that these stand for"
        )
    luma = _luma(frame, bits)
    return metres_of(luma, code) if bits == 16 else code.depth(luma, bits)


def _luma(frame: VideoFrame, bits: int) -> Array:
    """The first plane of a frame, `[H, W]`, its numbers as they are."""
    kind = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    if frame.format.is_big_endian:
        kind = kind.newbyteorder(">")
    plane: Any = frame.planes[0]
    rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)
    return rows[: frame.height, : frame.width]


def metres_of(values: Array, code: DepthCode) -> Array:
    """Metres, float32, of whole millimetres (or what the code says whole numbers are), or of metres.
    UserError where some are below 0."""
    if values.size and values.min() < 0:
        raise UserError(f"a picture of depth holds {values.min()}")
    if values.dtype.kind != "f":
        return cast(values / (1.0 if code.metres else 1000.0), np.float32)
    return np.nan_to_num(cast(values, np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def cell_picture(value: Any, root: Path, code: DepthCode | None) -> Array:
    """A picture `[H, W, 3]` uint8, or with a `code` depth `[H, W]` float32, that is stored in a table's
    cell.

    value: encoded bytes, or a dictionary of `bytes` or a `path` below `root`. UserError for what cannot be
    read.
    """
    try:
        with _opened(value, root) as picture:
            values = np.asarray(picture) if code is not None else None
            if values is None:
                if picture.mode in _DEPTH_MODES:
                    raise ValueError(f"it has {picture.mode} numbers where others have 8-bit colours")
                return np.asarray(picture.convert("RGB"))
    except _BAD_PICTURES as problem:
        raise UserError(f"a picture cannot be read ({problem})") from problem
    if values.ndim != 2:
        raise UserError(f"a picture has {values.shape[-1]} channels where depth has one")
    assert code is not None
    return metres_of(values, code)


def is_depth_cell(value: Any, root: Path) -> bool:
    """Whether a picture in a cell has more than 8 bits, as only depth has."""
    try:
        with _opened(value, root) as picture:
            return picture.mode in _DEPTH_MODES
    except _BAD_PICTURES:
        return False


def _opened(value: Any, root: Path) -> Image.Image:
    if isinstance(value, list):
        return _of_numbers(np.asarray(value))
    content = value.get("bytes") if isinstance(value, dict) else value
    if content:
        return Image.open(io.BytesIO(content))
    path = value.get("path") if isinstance(value, dict) else None
    if not path or Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError("the cell holds none")
    return Image.open(root / path)


def _of_numbers(values: Array) -> Image.Image:
    """A picture that a cell holds as lists of numbers: `[H, W]` or `[H, W, C]`, or with its channels first;
    bytes, fractions of colours from 0 to 1, or, of one channel, depth."""
    if values.ndim == 3 and values.shape[-1] not in (1, 3, 4) and values.shape[0] in (1, 3, 4):
        values = np.moveaxis(values, 0, -1)
    values = values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values
    is_picture = values.ndim == 2 or (values.ndim == 3 and values.shape[-1] in (3, 4))
    if not is_picture or not values.size or values.dtype.kind not in "iuf":
        raise ValueError(f"{list(values.shape)} {values.dtype} is no picture")
    if values.ndim == 2 and (values.dtype.kind == "f" or values.max() > 255):
        if values.dtype.kind != "f" and not -(2**31) <= values.min() <= values.max() < 2**31:
            raise ValueError(f"its numbers are from {values.min():g} to {values.max():g}")
        return Image.fromarray(cast(values, np.float32 if values.dtype.kind == "f" else np.int32))
    if values.dtype.kind == "f" and values.max() <= 1:
        values = np.rint(values * 255)
    if not 0 <= values.min() <= values.max() <= 255:
        raise ValueError(f"its colours are from {values.min():g} to {values.max():g}, not 0 to 255")
    return Image.fromarray(values.astype(np.uint8))


def squeezed(picture: Array, size: int) -> Array:
    """`[H, W, 3]` colours as a square, averaged, or depth `[H, W]`, of which the nearest pixels are kept.

    Squeezed, not cut, so that nothing a policy saw is lost.
    """
    if picture.ndim == 2:
        rows, columns = (((np.arange(size) + 0.5) * side / size).astype(int) for side in picture.shape)
        return picture[np.ix_(rows, columns)]
    if picture.shape[:2] == (size, size):
        return np.ascontiguousarray(picture)
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(picture)).resize((size, size), Image.Resampling.BOX)
    )
