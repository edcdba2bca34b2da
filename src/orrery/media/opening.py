"""A film opened: which files are taken, which of their streams are read, and what is said of the others."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.stream import Disposition
from av.video.stream import VideoStream

from orrery.errors import UserError
from orrery.media.display import MAX_FRAME_PIXELS

__all__ = ["READ_OPTIONS", "opened", "picture_track", "sound_track", "sound_track_note", "undecodable_reason"]

FORMATS = "mov,matroska,avi,mpegts,mpeg,ogg,flv,asf,mxf,mxf_opatom,nut,ivf,yuv4mpegpipe,rm,wtv,gif,apng"
READ_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
"""Films only: a playlist that names other files or addresses is refused, and so are streams without a
container, which do not say their rate."""
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 4_000, 384_000
_ENCRYPTED = (b"encv", b"drmi")
"""What an MP4 with an encrypted picture calls it."""
_HEADER_BYTES = 2**20
_Track = TypeVar("_Track", VideoStream, AudioStream)


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """A container with a picture; any failure of decoding inside the block becomes a UserError."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such film" if not path.exists() else f"{path}: not a file")
    try:
        _check_complete(path)
        with av.open(str(path), metadata_errors="ignore", options=READ_OPTIONS) as container:
            context = picture_track(path, container).codec_context
            if not 0 < context.width * context.height <= MAX_FRAME_PIXELS:
                raise UserError(
                    f"{path}: its picture has no sensible size; it holds headers only, or is damaged"
                )
            yield container
    except (FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{path}: {_failure_reason(path, error)}") from error


def _failure_reason(path: Path, error: Exception) -> str:
    """Why a film cannot be read, in words."""
    if isinstance(error, PermissionError):
        return "must not be read; ask its owner"
    if isinstance(error, InvalidDataError):
        return undecodable_reason(path)
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be read as a film ({why}); is it damaged or no film at all?"


def undecodable_reason(path: Path) -> str:
    """Why nothing of it can be decoded."""
    unknown = "cannot be read as a film: it is damaged, holds headers only, or is of no known form"
    return _encrypted(path) or unknown


def _encrypted(path: Path) -> str:
    """That a film is encrypted, in words; empty where it is not."""
    with path.open("rb") as file:
        begin = file.read(_HEADER_BYTES)
        file.seek(max(0, path.stat().st_size - _HEADER_BYTES))
        if any(tag in part for tag in _ENCRYPTED for part in (begin, file.read())):
            return "is encrypted; nothing but its owner's player can show it"
    return ""


def picture_track(path: Path, container: InputContainer) -> VideoStream:
    """The stream of pictures that is shown. UserError where there is none, or none that can be decoded."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        num_others = len(container.streams)
        cover = " and a cover" if container.streams.video else ""
        what = f"only sound{cover}" if container.streams.audio else f"only {num_others} other streams"
        raise UserError(f"{path}: has no picture, {what}")
    stream = _preferred([s for s in streams if s.codec_context is not None])
    if stream is None:
        raise UserError(
            f"{path}: {_encrypted(path) or 'its picture has no decoder here; convert it to H.264'}"
        )
    return stream


def sound_track(container: InputContainer) -> AudioStream | None:
    """The stream of sound that is taken: the first marked as default, else the first decodable."""
    stream = _preferred([s for s in container.streams.audio if s.codec_context is not None])
    if stream is None:
        return None
    rate = stream.codec_context.sample_rate
    if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
        raise UserError(f"{container.name}: its sound has {rate:,} samples a second; is it damaged?")
    return stream


def sound_track_note(container: InputContainer) -> str | None:
    """Which sound track is taken, in words; None where there is no choice."""
    taken, tracks = sound_track(container), container.streams.audio
    if taken is None:
        return f"its sound ({len(tracks)} tracks) has no decoder here" if tracks else None
    if len(tracks) < 2:
        return None
    context = taken.codec_context
    told = [context.name, context.layout.name, taken.language, taken.metadata.get("title")]
    words = ", ".join(word for word in told if word and word != "und")
    return f"sound track {list(tracks).index(taken) + 1} of {len(tracks)} taken ({words})"


def _preferred(streams: Sequence[_Track]) -> _Track | None:
    """The first that is marked as default, else the first."""
    defaults = [stream for stream in streams if stream.disposition & Disposition.default]
    return next(iter([*defaults, *streams]), None)


def _check_complete(path: Path) -> None:
    """Raise UserError if an MP4's last box ends after its file does. Decoders take such a film in silence."""
    num_bytes = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + 8 <= num_bytes:
            file.seek(at)
            length, kind = struct.unpack(">I4s", file.read(8))
            if at == 0 and kind != b"ftyp":
                return
            if length == 1:
                length = struct.unpack(">Q", file.read(8).rjust(8, b"\0"))[0]
            if length == 0:  # the box goes on to the end of the file
                return
            if length < 8:
                break
            at += length
    if at != num_bytes:
        raise UserError(
            f"{path}: is cut short or damaged: {num_bytes:,} bytes where it says {at:,}; copy it again"
        )
