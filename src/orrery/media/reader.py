"""Any film, read as what a world emits: frames at a constant rate, and the sound of each frame's instant.

A film from elsewhere may jump in time, start its sound early or late, lie on its side or end too soon. All of
that is settled here, once; what cannot be settled is refused in plain words.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from orrery.errors import UserError
from orrery.streams import Array

__all__ = [
    "Film",
    "FilmHeader",
    "film_header",
    "iterate_film",
    "iterate_pictures",
    "iterate_sound",
    "read_film",
]

MAX_FRAME_PIXELS = 100_000_000
MAX_FILM_BYTES = 4 * 2**30
MAX_GAP_SECONDS = 60.0
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 4_000, 384_000
MIN_FRAME_RATE, MAX_FRAME_RATE = 0.1, 1_000
MAX_STAMP_ERROR_SECONDS = 0.02
READ_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "mov,matroska,avi,mpegts,ogg,gif"}
"""Films only: a playlist that names other files or addresses is refused."""


@dataclass(frozen=True)
class Film:
    """A film in memory.

    frames: `[n, H, W, 3]` uint8 sRGB. audio: `[m, 2]` float32, sample 0 at the start of frame 0, or None.
    samples_per_second: None without sound.
    """

    frames: Array
    audio: Array | None
    frames_per_second: float
    samples_per_second: int | None


@dataclass(frozen=True)
class FilmHeader:
    """What a film says of itself before any of it is decoded; rotation is not yet applied to the size."""

    height: int
    width: int
    frames_per_second: float
    samples_per_second: int | None
    num_frames: int
    """As the container says; 0 where it does not."""


def film_header(path: str | Path) -> FilmHeader:
    """Size, rates and length of the film `path`. Raises UserError as `iterate_film` does."""
    with _opened(Path(path)) as container:
        video, audio = container.streams.video[0], _sound(container)
        rate = None if audio is None else audio.codec_context.sample_rate
        context = video.codec_context
        return FilmHeader(context.height, context.width, float(_frame_rate(video)), rate, video.frames)


def read_film(path: str | Path, max_bytes: int = MAX_FILM_BYTES) -> Film:
    """The whole film `path` in memory; see `iterate_film` for what it guarantees.

    Raises UserError where the frames would take more than `max_bytes`.
    """
    header = film_header(path)
    pieces, num_bytes = [], 0
    for frame, samples in iterate_film(path):
        num_bytes += frame.nbytes
        if num_bytes > max_bytes:
            raise UserError(
                f"{path}: its frames take more than {max_bytes / 2**30:.1f} GiB; cut it, or make it smaller"
            )
        pieces.append((frame, samples))
    frames = np.stack([frame for frame, _ in pieces])
    audio = np.concatenate([samples for _, samples in pieces]) if header.samples_per_second else None
    return Film(frames, audio, header.frames_per_second, header.samples_per_second)


def iterate_film(path: str | Path) -> Iterator[tuple[Array, Array | None]]:
    """Frame after frame `[H, W, 3]` uint8 sRGB with its sound `[m, 2]` float32 or None, in bounded memory.

    Frames come at the constant average rate (a frame shown longer is repeated), turned as the film says.
    Samples are those from the frame's instant to the next one's, silence where there are none, so that
    together they cover the frames exactly. Mono is given twice; sound beyond the last frame is left out.
    Raises UserError for what is missing, cut short, damaged, or has no picture.
    """
    path = Path(path)
    # Two readers of one file: however badly it is interleaved, neither waits for the other.
    with _opened(path) as pictures, _opened(path) as sounds:
        video, audio = pictures.streams.video[0], _sound(sounds)
        fps, start = _frame_rate(video), _start(video)
        samples = None if audio is None else _Samples(sounds, audio, start)
        num_frames = 0
        for frame in _at_constant_rate(path, pictures, video, fps, start):
            num_frames += 1
            yield frame, samples and samples.until(num_frames / fps)
        if not num_frames:
            raise UserError(f"{path}: not one frame of it can be decoded; is it damaged or encrypted?")


def iterate_pictures(
    path: str | Path, max_pixels: int = MAX_FRAME_PIXELS, start_seconds: float = 0.0
) -> Iterator[tuple[float, Array]]:
    """Every picture of the film `path`, `[H, W, 3]` uint8 sRGB, with its own instant in seconds after the
    first one, in bounded memory.

    Pictures come as the film holds them, at whatever rate, none repeated. One of more than `max_pixels` is
    made smaller while it is decoded, its form kept. start_seconds: leave out what is earlier, without
    decoding all of it. Raises UserError as `iterate_film` does.
    """
    path = Path(path)
    with _opened(path) as container:
        video = container.streams.video[0]
        fps, start = _frame_rate(video), _start(video)
        if start_seconds > 0 and video.time_base:
            container.seek(int((start + Fraction(start_seconds)) / video.time_base), stream=video)
        last, num_shown, size = -1.0, 0, None
        for number, decoded in enumerate(container.decode(video)):
            instant = _instant(decoded)
            seconds = float(Fraction(number) / fps if instant is None else instant - start)
            if seconds <= last or seconds < start_seconds:  # stamps that run backwards are of no use
                continue
            size = _same_size(path, size, decoded)
            last, num_shown = seconds, num_shown + 1
            yield seconds, _upright(decoded, max_pixels)
        if not num_shown and not start_seconds:
            raise UserError(f"{path}: not one frame of it can be decoded; is it damaged or encrypted?")


def iterate_sound(path: str | Path) -> Iterator[Array]:
    """The sound of the film `path`, bit by bit, `[m, 2]` float32, sample 0 at the instant of the first
    picture; nothing where it has none. Raises UserError as `iterate_film` does."""
    with _opened(Path(path)) as container:
        audio = _sound(container)
        if audio is not None:
            yield from _Samples.decoded(container, audio, _start(container.streams.video[0]))


def _start(video: VideoStream) -> Fraction:
    """The instant of the first picture, seconds."""
    return (video.start_time or 0) * (video.time_base or Fraction(1))


def _same_size(path: Path, size: tuple[int, int] | None, frame: VideoFrame) -> tuple[int, int]:
    if size is not None and size != (frame.height, frame.width):
        raise UserError(f"{path}: its picture changes size; make it one size first")
    return frame.height, frame.width


def _upright(frame: VideoFrame, max_pixels: int = MAX_FRAME_PIXELS) -> Array:
    """A picture as it is to be seen, `[H, W, 3]`, of at most `max_pixels`."""
    shrink = math.sqrt(min(1.0, max_pixels / (frame.height * frame.width)))
    if shrink < 1.0:
        height, width = (max(1, round(side * shrink)) for side in (frame.height, frame.width))
        pixels = frame.to_ndarray(format="rgb24", height=height, width=width, interpolation="AREA")
    else:
        pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _frame_rate(video: VideoStream) -> Fraction:
    rate = Fraction(video.average_rate or video.guessed_rate or 24)
    if not MIN_FRAME_RATE <= rate <= MAX_FRAME_RATE:
        raise UserError(f"{video.container.name}: it has {float(rate):g} frames a second; is it damaged?")
    return rate


def _sound(container: InputContainer) -> AudioStream | None:
    streams = container.streams.audio
    if not streams or streams[0].codec_context is None:  # no decoder: as good as no sound
        return None
    rate = streams[0].codec_context.sample_rate
    if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
        raise UserError(f"{container.name}: its sound has {rate:,} samples a second; is it damaged?")
    return streams[0]


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    """A container with a picture; any failure of decoding inside the block becomes a UserError."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such film" if not path.exists() else f"{path}: not a file")
    try:
        _check_complete(path)
        with av.open(str(path), metadata_errors="ignore", options=READ_OPTIONS) as container:
            if not container.streams.video:
                raise UserError(f"{path}: has no picture, only {len(container.streams)} other streams")
            context = container.streams.video[0].codec_context
            if context is None or not 0 < context.width * context.height <= MAX_FRAME_PIXELS:
                raise UserError(f"{path}: its picture has no decoder here, or no sensible size")
            yield container
    except (FFmpegError, OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read as a film ({error}); is it damaged or no film at all?"
        ) from error


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


def _at_constant_rate(
    path: Path, container: InputContainer, video: VideoStream, fps: Fraction, start: Fraction
) -> Iterator[Array]:
    """Frames `[H, W, 3]` at `start`, `start + 1 / fps`, ...; the film's own are repeated or left out."""
    shown: Array | None = None
    num_shown, size = 0, None
    for decoded in container.decode(video):
        seconds = _instant(decoded)
        index = num_shown if seconds is None else round((seconds - start) * fps)
        if index - num_shown > MAX_GAP_SECONDS * fps:
            raise UserError(
                f"{path}: a hole of {float((index - num_shown) / fps):.0f} s between its pictures; cut it out"
            )
        while shown is not None and num_shown < index:
            yield shown
            num_shown += 1
        if index < num_shown:
            continue
        size = _same_size(path, size, decoded)
        shown = _upright(decoded)
        yield shown
        num_shown += 1


def _instant(frame: VideoFrame | AudioFrame) -> Fraction | None:
    """When the film says `frame` begins, in seconds; None where it does not say."""
    return None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base


class _Samples:
    """The sound of a film as one unbroken stretch `[m, 2]` from the instant `start` on, taken bit by bit."""

    def __init__(self, container: InputContainer, audio: AudioStream, start: Fraction) -> None:
        self._rate = audio.codec_context.sample_rate
        self._chunks = self.decoded(container, audio, start)
        self._waiting = np.zeros((0, 2), np.float32)
        self._num_given = 0

    def until(self, seconds: Fraction) -> Array:
        """What comes after the last call, up to `seconds` after the start."""
        num_wanted = round(seconds * self._rate) - self._num_given
        while len(self._waiting) < num_wanted:
            chunk = next(self._chunks, None)
            if chunk is None:
                chunk = np.zeros((num_wanted - len(self._waiting), 2), np.float32)
            self._waiting = np.concatenate([self._waiting, chunk])
        given, self._waiting = self._waiting[:num_wanted], self._waiting[num_wanted:]
        self._num_given += num_wanted
        return given

    @staticmethod
    def decoded(container: InputContainer, audio: AudioStream, start: Fraction) -> Iterator[Array]:
        """All of it, as it is decoded, without holes."""
        rate = audio.codec_context.sample_rate
        num_channels = audio.codec_context.layout.nb_channels
        layout = "mono" if num_channels == 1 else "stereo"
        resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
        num_samples = 0
        for decoded in container.decode(audio):
            if decoded.layout.nb_channels != num_channels:
                # The resampler hands such frames on as they are, and reading them ends the process.
                raise ValueError(
                    f"its sound goes from {num_channels} channels to {decoded.layout.nb_channels}"
                )
            for frame in resampler.resample(decoded):
                samples = np.broadcast_to(frame.to_ndarray().T, (frame.samples, 2))
                instant = _instant(frame)
                gap = 0 if instant is None else round((instant - start) * rate) - num_samples
                # Coarse time stamps (a millisecond in Matroska) must not cut holes into unbroken sound.
                if num_samples and abs(gap) < MAX_STAMP_ERROR_SECONDS * rate:
                    gap = 0
                for at in range(0, gap, rate):
                    yield np.zeros((min(rate, gap - at), 2), np.float32)
                yield samples[max(-gap, 0) :]
                num_samples += max(gap, 0) + len(samples[max(-gap, 0) :])
