"""The frames of a film on one time line, also where its stamps start again.

Films that were put one behind the other, and broadcasts, have stamps that fall back or jump. Each such part
follows the one before it, its sound with its pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from av import time_base
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import InvalidDataError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from orrery.media.display import Note, ignore_note
from orrery.media.opening import opened, picture_track, sound_track

__all__ = [
    "first_instant", "frame_rate", "instant", "may_start_again", "num_before_zero", "num_parts", "pictures",
    "said_end", "sounds",
]  # fmt: skip

BACK_SECONDS, AHEAD_SECONDS = Fraction(1, 10), 10
"""Stamps that fall back so far, or jump ahead so far, begin a new part, as FFmpeg has it."""
JOIN_SECONDS = Fraction(1, 4)
_MOST_REORDERED = 16
"""Packets among which the one that is shown first is found."""
_MAY_START_AGAIN = 0x0200
"""FFmpeg's flag of formats whose stamps may jump (AVFMT_TS_DISCONT): those of MPEG, Ogg."""


def pictures(
    path: Path, container: InputContainer, begin: Fraction | None = None, note: Note = ignore_note
) -> Iterator[VideoFrame]:
    """The frames of the film's picture.

    begin: leave out, without decoding it, what comes before the key frame that this instant needs. What
    cannot be decoded at the very begin of a broadcast that was joined half-way is passed over, with a note.
    """
    stream, has_begun = picture_track(path, container), False
    num_unstamped = num_before_zero(path, container)
    start, rate = first_instant(path, container) if num_unstamped else Fraction(0), frame_rate(stream)
    packets = _packets(path, container, stream)
    for packet in packets if begin is None else _from_key_frame(packets, begin):
        try:
            frames = packet.decode()
        except InvalidDataError:
            if has_begun or not may_start_again(container):
                raise
            note("its first pictures, from before it was joined, cannot be decoded")
            continue
        has_begun |= bool(frames)
        for frame in frames:
            if not isinstance(frame, VideoFrame):
                continue
            if num_unstamped and frame.pts is None and stream.time_base is not None:
                frame.pts, frame.time_base = round(start / stream.time_base), stream.time_base
                start += 1 / rate
            yield frame


def sounds(path: Path, container: InputContainer) -> Iterator[AudioFrame]:
    """The frames of the film's sound."""
    stream = sound_track(container)
    for packet in [] if stream is None else _packets(path, container, stream):
        for frame in packet.decode():
            if isinstance(frame, AudioFrame):
                yield frame


def instant(frame: VideoFrame | AudioFrame) -> Fraction | None:
    """When the film says `frame` begins, in seconds; None where it does not say."""
    return None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base


def may_start_again(container: InputContainer) -> bool:
    """Whether it is a broadcast's format, in which stamps and what a stream is may change."""
    return bool(container.format.flags & _MAY_START_AGAIN)


def first_instant(path: Path, container: InputContainer) -> Fraction:
    """When the first picture is shown, seconds."""
    if may_start_again(container):
        return _first_instant(*_identity(path))
    video, num_unstamped = picture_track(path, container), num_before_zero(path, container)
    if num_unstamped:
        return _before_zero(*_identity(path))[1] - num_unstamped / frame_rate(video)
    return (video.start_time or 0) * (video.time_base or Fraction(1))


def said_end(path: Path, container: InputContainer) -> float | None:
    """When all has been shown and heard, seconds after the first picture, as the container says; None where
    it does not, or where stamps may start again."""
    if container.duration is None or may_start_again(container):
        return None
    begin = Fraction(container.start_time or 0, time_base)
    return float(begin + Fraction(container.duration, time_base) - first_instant(path, container))


def num_before_zero(path: Path, container: InputContainer) -> int:
    """How many pictures come before the first one with a stamp: in Matroska those before zero have none."""
    return _before_zero(*_identity(path))[0] if "matroska" in container.format.name else 0


def frame_rate(video: VideoStream) -> Fraction:
    """Frames a second, as the film says or as FFmpeg guesses; 24 where neither does."""
    return Fraction(video.average_rate or video.guessed_rate or 24)


@lru_cache(maxsize=64)
def _before_zero(path: Path, num_bytes: int, changed_ns: int) -> tuple[int, Fraction]:
    """The number of pictures without a stamp at the begin, and the instant of the first one behind them."""
    num, stamps, base = 0, list[int](), Fraction(1)
    with opened(path) as container:
        for packet in container.demux(picture_track(path, container)):
            if packet.pts is not None:
                stamps.append(packet.pts)
                base = packet.time_base or base
            elif packet.dts is None and packet.size:
                num += 1
            if (stamps and not num) or len(stamps) > _MOST_REORDERED:
                break
    return (num, min(stamps) * base) if stamps else (0, Fraction(0))


def num_parts(path: Path, container: InputContainer) -> int:
    """How many times the film's stamps start; where its format may do that, all its packets are looked at."""
    return len(_shifts(*_identity(path))) if may_start_again(container) else 1


def _identity(path: Path) -> tuple[Path, int, int]:
    status = path.stat()
    return path, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=64)
def _first_instant(path: Path, num_bytes: int, changed_ns: int) -> Fraction:
    with opened(path) as container:
        for frame in pictures(path, container):
            return instant(frame) or Fraction(0)
    return Fraction(0)


@lru_cache(maxsize=64)
def _shifts(path: Path, num_bytes: int, changed_ns: int) -> tuple[Fraction, ...]:
    """By how much the stamps of each part are shifted, seconds, so that its pictures follow those before it.

    Sound that goes on for longer than JOIN_SECONDS after the pictures of a part is heard to its end.
    """
    with opened(path) as container:
        streams, parts = _read(path, container), _Parts()
        picture = streams[0].index
        for packet in container.demux(*streams):
            parts.part_of(packet)
    shifts = [Fraction(0)]
    for before, after in pairwise(parts.extents):
        heard = max(span.end for span in before.values())
        seen = before[picture].end if picture in before else heard
        begin = after[picture].begin if picture in after else min(span.begin for span in after.values())
        shifts.append(shifts[-1] + (heard if heard > seen + JOIN_SECONDS else seen) - begin)
    return tuple(shifts)


def _read(path: Path, container: InputContainer) -> list[VideoStream | AudioStream]:
    """The streams that are read, that of the picture first."""
    sound = sound_track(container)
    return [picture_track(path, container), *([] if sound is None else [sound])]


def _packets(path: Path, container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Packet]:
    """The packets of a stream, stamped on one time line."""
    if num_parts(path, container) == 1:
        yield from container.demux(stream)
        return
    parts, shifts = _Parts(), _shifts(*_identity(path))
    for packet in container.demux(*_read(path, container)):
        part = parts.part_of(packet)
        if packet.stream is not stream:
            continue
        moved = round(shifts[part] / packet.time_base)
        packet.dts = None if packet.dts is None else packet.dts + moved
        packet.pts = None if packet.pts is None else packet.pts + moved
        yield packet


def _from_key_frame(packets: Iterator[Packet], begin: Fraction) -> Iterator[Packet]:
    """Those from the last key frame on that is shown at `begin` or before."""
    held: list[Packet] = []
    for packet in packets:
        shown, at = (None if v is None else v * packet.time_base for v in (packet.pts, packet.dts))
        if packet.is_keyframe and shown is not None and shown <= begin:
            held.clear()
        held.append(packet)
        if at is None or at > begin:
            break
    yield from held
    yield from packets


@dataclass
class _Span:
    """What a stream holds of a part: num packets, shown from `begin` on, the last at `last`, seconds."""

    begin: Fraction
    last: Fraction
    num: int = 0

    def add(self, shown: Fraction) -> None:
        """One more packet."""
        self.begin, self.last, self.num = min(self.begin, shown), max(self.last, shown), self.num + 1

    @property
    def end(self) -> Fraction:
        """When the last of it has been shown, as long as all others on the average."""
        return self.last + (self.last - self.begin) / max(self.num - 1, 1)


class _Parts:
    """Finds where a film's stamps start again.

    The packets of two streams need not come to a new part at once: each stream goes there by itself. extents:
    of each part, stream number to what the stream holds of it.
    """

    def __init__(self) -> None:
        self.extents: list[dict[int, _Span]] = [{}]
        self._at: dict[int, tuple[int, Fraction]] = {}

    def part_of(self, packet: Packet) -> int:
        """Number of the part that a packet is of."""
        newest = len(self.extents) - 1
        part, last = self._at.get(packet.stream_index, (newest, None))
        if packet.dts is None or packet.pts is None or packet.time_base is None:
            return part
        at, shown = packet.dts * packet.time_base, packet.pts * packet.time_base
        if last is not None and not last - BACK_SECONDS <= at <= last + AHEAD_SECONDS:
            if part == newest:
                self.extents.append({})
            part = len(self.extents) - 1
        self._at[packet.stream_index] = part, at
        self.extents[part].setdefault(packet.stream_index, _Span(shown, shown)).add(shown)
        return part
