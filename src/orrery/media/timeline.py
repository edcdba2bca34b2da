"""The frames of a film on one time line, also where its stamps start again.

Films that were put one behind the other, and broadcasts, have stamps that fall back or jump. Each such part
follows the one before it, its sound with its pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import InvalidDataError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from orrery.media.opening import opened, picture_track, sound_track

__all__ = ["first_instant", "instant", "may_start_again", "num_parts", "pictures", "sounds"]

BACK_SECONDS, AHEAD_SECONDS = Fraction(1, 10), 10
"""Stamps that fall back so far, or jump ahead so far where a format may start again, begin a new part."""
_MAY_START_AGAIN = 0x0200
"""FFmpeg's flag of formats whose stamps may jump (AVFMT_TS_DISCONT): those of MPEG, Ogg."""


def pictures(path: Path, container: InputContainer, begin: Fraction | None = None) -> Iterator[VideoFrame]:
    """The frames of the film's picture.

    begin: leave out, without decoding it, what comes before the key frame that this instant needs. What
    cannot be decoded at the very begin, as of a broadcast that was joined half-way, is passed over.
    """
    stream, has_begun = picture_track(path, container), False
    packets = (packet for packet in _packets(path, container) if packet.stream is stream)
    for packet in packets if begin is None else _needed(packets, begin):
        try:
            frames = packet.decode()
        except InvalidDataError:
            if has_begun:
                raise
            continue
        has_begun |= bool(frames)
        for frame in frames:
            if isinstance(frame, VideoFrame):
                yield frame


def sounds(path: Path, container: InputContainer) -> Iterator[AudioFrame]:
    """The frames of the film's sound."""
    stream = sound_track(container)
    for packet in _packets(path, container):
        if packet.stream is stream:
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
    video = picture_track(path, container)
    return (video.start_time or 0) * (video.time_base or Fraction(1))


def num_parts(path: Path, container: InputContainer) -> int:
    """How many times the film's stamps start; where its format may do that, all its packets are looked at."""
    return _num_parts(*_identity(path)) if may_start_again(container) else 1


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
def _num_parts(path: Path, num_bytes: int, changed_ns: int) -> int:
    with opened(path) as container:
        parts = _Parts(may_jump=True)
        for packet in container.demux(*_read(path, container)):
            parts.shift(packet)
    return len(parts.shifts)


def _read(path: Path, container: InputContainer) -> list[VideoStream | AudioStream]:
    """The streams that are read."""
    sound = sound_track(container)
    return [picture_track(path, container), *([] if sound is None else [sound])]


def _packets(path: Path, container: InputContainer) -> Iterator[Packet]:
    """The packets of picture and sound, stamped on one time line."""
    parts = _Parts(may_start_again(container))
    for packet in container.demux(*_read(path, container)):
        shift = parts.shift(packet)
        if shift and packet.dts is not None:
            moved = round(shift / packet.time_base)
            packet.dts += moved
            packet.pts = None if packet.pts is None else packet.pts + moved
        yield packet


def _needed(packets: Iterator[Packet], begin: Fraction) -> Iterator[Packet]:
    """Those from the last key frame on that is shown at `begin` or before."""
    held: list[Packet] = []
    for packet in packets:
        stamp = packet.dts if packet.dts is not None else packet.pts
        if packet.is_keyframe:
            held.clear()
        held.append(packet)
        if stamp is None or stamp * packet.time_base >= begin:
            break
    yield from held
    yield from packets


@dataclass
class _Stream:
    """Of one stream: its part, and what its next packet's stamp should be, seconds."""

    part: int
    last: Fraction
    next: Fraction


@dataclass
class _Parts:
    """Finds where a film's stamps start again, and by how much each part is shifted, seconds.

    The packets of two streams need not change from one part to the next at once: each goes on by itself.
    """

    may_jump: bool
    shifts: list[Fraction] = field(default_factory=lambda: [Fraction(0)])
    _streams: dict[int, _Stream] = field(default_factory=dict)

    def shift(self, packet: Packet) -> Fraction:
        """By how much the stamps of a packet are moved."""
        if packet.dts is None:
            stream = self._streams.get(packet.stream_index)
            return self.shifts[-1 if stream is None else stream.part]
        at, long = packet.dts * packet.time_base, (packet.duration or 0) * packet.time_base
        stream = self._streams.get(packet.stream_index)
        if stream is None:
            stream = self._streams[packet.stream_index] = _Stream(len(self.shifts) - 1, at, at)
        elif at < stream.last - BACK_SECONDS or (self.may_jump and at > stream.next + AHEAD_SECONDS):
            self._go_on(stream, at)
        stream.next = at + (long or max(Fraction(0), at - stream.last))
        stream.last = at
        return self.shifts[stream.part]

    def _go_on(self, stream: _Stream, at: Fraction) -> None:
        """To the part that another stream has begun, or to a new one, which follows all that was."""
        if stream.part == len(self.shifts) - 1:
            of_part = [other for other in self._streams.values() if other.part == stream.part]
            self.shifts.append(self.shifts[-1] + max(other.next for other in of_part) - at)
        stream.part = len(self.shifts) - 1
