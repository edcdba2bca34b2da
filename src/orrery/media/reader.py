"""Any film, read as what a world emits: frames at a constant rate, and the sound of each frame's instant.

A film from elsewhere may jump in time, start its sound early or late, lie on its side, have pixels that are
not square, change its size or end too soon. All of that is settled here, once; what cannot be settled is
refused in plain words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from orrery.errors import UserError
from orrery.media import timeline
from orrery.media.display import (
    MAX_FRAME_PIXELS,
    Bound,
    Display,
    Note,
    deinterlaced,
    ignore_note,
    letterboxed,
    square_size,
)  # fmt: skip
from orrery.media.opening import (
    opened,
    picture_track,
    sound_track,
    sound_track_note,
    undecodable_reason,
)
from orrery.media.timeline import first_instant, instant, num_parts
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

MAX_FILM_BYTES = 4 * 2**30
MAX_GAP_SECONDS = 60.0
MAX_STILL_SECONDS = 3600.0
MIN_FRAME_RATE, MAX_FRAME_RATE = 1 / MAX_GAP_SECONDS, 1_000
MAX_STAMP_ERROR_SECONDS = 0.02
EARLIER_SECONDS = (0, 2, 10)


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
    """What a film says of itself before any of it is decoded. height, width: with square pixels; rotation is
    not yet applied. num_frames: as the container says; 0 where it does not. sound_note: which sound track is
    taken, in words; None where there is no choice. end_seconds: when the last of its streams ends, after the
    first picture; None where the container does not say."""

    height: int
    width: int
    frames_per_second: float
    samples_per_second: int | None
    num_frames: int
    sound_note: str | None = None
    end_seconds: float | None = None


def film_header(path: str | Path) -> FilmHeader:
    """Size, rates and length of the film `path`. Raises UserError as `iterate_film` does."""
    path = Path(path)
    with opened(path) as container:
        video, audio = picture_track(path, container), sound_track(container)
        rate = None if audio is None else audio.codec_context.sample_rate
        context = video.codec_context
        size = square_size(context.height, context.width, _PixelAspect(container, video).now)
        note, end = sound_track_note(container), timeline.said_end(path, container)
        return FilmHeader(*size, float(_frame_rate(video)), rate, video.frames, note, end)


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

    Frames come at the constant average rate (a frame shown longer is repeated), as they are to be seen and
    all of the first one's size. Samples are those from the frame's instant to the next one's, silence where
    there are none, so that together they cover the frames exactly. Mono is given twice; sound beyond the last
    frame is left out. Raises UserError for what is missing, cut short, damaged, or has no picture.
    """
    path = Path(path)
    # Two readers of one file: however badly it is interleaved, neither waits for the other.
    with opened(path) as shown, opened(path) as heard:
        fps, start = _frame_rate(picture_track(path, shown)), first_instant(path, shown)
        samples = None if sound_track(heard) is None else _Samples(path, heard, start)
        num_frames = 0
        for frame in _at_constant_rate(path, shown, fps, start):
            num_frames += 1
            yield frame, samples and samples.until(num_frames / fps)
        if not num_frames:
            raise UserError(f"{path}: {undecodable_reason(path)}")


def iterate_pictures(
    path: str | Path,
    max_pixels: int = MAX_FRAME_PIXELS,
    start_seconds: float = 0.0,
    short_side: int | None = None,
    note: Note = ignore_note,
) -> Iterator[tuple[float, Array]]:
    """Every picture of the film `path`, `[H, W, 3]` uint8 sRGB, with its own instant in seconds after the
    first one, in bounded memory.

    Pictures come as they are to be seen, at whatever rate and in whatever sizes, none repeated. One of more
    than `max_pixels`, or whose shorter side is above `short_side`, is made smaller while it is decoded, its
    form kept. start_seconds: leave out what is earlier, without decoding all of it. note: told in words what
    was changed (pixels made square, HDR mapped), of every picture anew. Raises UserError as `iterate_film`
    does.
    """
    path = Path(path)
    last, num_shown, size = -1.0, 0, None
    with opened(path) as container:
        video, start = picture_track(path, container), first_instant(path, container)
        parts = num_parts(path, container)
        if parts > 1:
            note(f"its stamps start anew: {parts} parts, put one behind the other")
        display, aspect = Display(Bound(max_pixels, short_side), note), _PixelAspect(container, video)
        begin = start + Fraction(start_seconds) if start_seconds > 0 else None
        for seconds, frame in _timed(path, container, begin, note):
            if seconds <= last or seconds < start_seconds:  # stamps that run backwards are of no use
                continue
            if num_shown and seconds - last > MAX_STILL_SECONDS:
                raise UserError(f"{path}: a hole of {seconds - last:.0f} s between its pictures; cut it out")
            size = size or (frame.height, frame.width)
            if size != (frame.height, frame.width):
                note("its picture changes size")
            last, num_shown = seconds, num_shown + 1
            yield seconds, display.picture(frame, aspect.now)
        if not num_shown and not start_seconds:
            raise UserError(f"{path}: {undecodable_reason(path)}")


def iterate_sound(path: str | Path) -> Iterator[Array]:
    """The sound of the film `path`, bit by bit, `[m, 2]` float32, sample 0 at the instant of the first
    picture; nothing where it has none. Raises UserError as `iterate_film` does."""
    path = Path(path)
    with opened(path) as container:
        if sound_track(container) is not None:
            yield from _Samples.decoded(path, container, first_instant(path, container))


class _PixelAspect:
    """Width of a pixel by its height. In broadcasts, whose container does not say it, it may change."""

    def __init__(self, container: InputContainer, video: VideoStream) -> None:
        self._context, self._aspect = video.codec_context, video.sample_aspect_ratio or Fraction(1)
        self._may_change = timeline.may_start_again(container)

    @property
    def now(self) -> Fraction:
        """Of the frame that was decoded last."""
        coded = self._context.sample_aspect_ratio if self._may_change else None
        return coded or self._aspect


def _timed(
    path: Path, container: InputContainer, begin: Fraction | None, note: Note
) -> Iterator[tuple[float, VideoFrame]]:
    """Frames with their seconds after the first one, the first of them at `begin` or before."""
    fps, start = _frame_rate(picture_track(path, container)), first_instant(path, container)
    for number, frame in enumerate(deinterlaced(_from(path, container, begin, note), note)):
        at = instant(frame)
        yield float(Fraction(number) / fps if at is None else at - start), frame


def _from(path: Path, container: InputContainer, begin: Fraction | None, note: Note) -> Iterator[VideoFrame]:
    """Frames from one on that is shown at the instant `begin` or before; None for the first one."""
    if timeline.num_before_zero(path, container):  # a jump would lead to pictures of an unknown instant
        yield from timeline.pictures(path, container)
        return
    if begin is None or num_parts(path, container) > 1:
        yield from timeline.pictures(path, container, begin, note if begin is None else ignore_note)
        return
    frames = _sought(path, container, begin)
    if frames is not None:
        yield from frames
        return
    with opened(path) as anew:
        yield from timeline.pictures(path, anew)


def _sought(path: Path, container: InputContainer, begin: Fraction) -> Iterator[VideoFrame] | None:
    """The same by a jump in the file, from a key frame on; None where that does not lead there, as without an
    index. Jumps lead to where a frame is decoded, which may be earlier than where it is shown."""
    video = picture_track(path, container)
    for earlier in EARLIER_SECONDS:
        try:
            container.seek(int((begin - earlier) / (video.time_base or Fraction(1))), stream=video)
            frames = timeline.pictures(path, container)
            first = next((frame for frame in frames if frame.key_frame), None)
        except FFmpegError:
            return None
        at = None if first is None else instant(first)
        if first is not None and at is not None and at <= begin:
            return chain([first], frames)
    return None


def _frame_rate(video: VideoStream) -> Fraction:
    rate = timeline.frame_rate(video)
    if not MIN_FRAME_RATE <= rate <= MAX_FRAME_RATE:
        raise UserError(f"{video.container.name}: it has {float(rate):g} frames a second; is it damaged?")
    return rate


def _at_constant_rate(
    path: Path, container: InputContainer, fps: Fraction, start: Fraction
) -> Iterator[Array]:
    """Frames `[H, W, 3]` at `start`, `start + 1 / fps`, ...; the film's own are repeated or left out."""
    shown: Array | None = None
    num_shown = 0
    display = Display(Bound(), ignore_note)
    aspect = _PixelAspect(container, picture_track(path, container))
    for decoded in deinterlaced(timeline.pictures(path, container), ignore_note):
        seconds = instant(decoded)
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
        picture = display.picture(decoded, aspect.now)
        shown = picture if shown is None else letterboxed(picture, shown.shape[:2])
        yield shown
        num_shown += 1


class _Samples:
    """The sound of a film as one unbroken stretch `[m, 2]` from the instant `start` on, taken bit by bit."""

    def __init__(self, path: Path, container: InputContainer, start: Fraction) -> None:
        self._rate = _sample_rate(container)
        self._chunks = self.decoded(path, container, start)
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
    def decoded(path: Path, container: InputContainer, start: Fraction) -> Iterator[Array]:
        """All of it, as it is decoded, without holes."""
        rate, may_change = _sample_rate(container), timeline.may_start_again(container)
        resampler, form, num_channels, num_samples = None, None, 0, 0
        for decoded in timeline.sounds(path, container):
            this = decoded.layout.name, decoded.format.name, decoded.sample_rate
            if resampler is None or this != form:
                # A resampler hands frames of another form on as they are, and reading them ends the process.
                if resampler is not None and not may_change:
                    now = decoded.layout.nb_channels
                    raise ValueError(f"its sound goes from {num_channels} channels to {now}, or is another")
                form, num_channels = this, decoded.layout.nb_channels
                layout = "mono" if num_channels == 1 else "stereo"
                resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
            for frame in resampler.resample(decoded):
                samples = np.broadcast_to(frame.to_ndarray().T, (frame.samples, 2))
                at = instant(frame)
                gap = 0 if at is None else round((at - start) * rate) - num_samples
                # Coarse time stamps (a millisecond in Matroska) must not cut holes into unbroken sound.
                if num_samples and abs(gap) < MAX_STAMP_ERROR_SECONDS * rate:
                    gap = 0
                if gap > MAX_STILL_SECONDS * rate:
                    raise ValueError(f"a hole of {gap / rate:.0f} s in its sound")
                for begin in range(0, gap, rate):
                    yield np.zeros((min(rate, gap - begin), 2), np.float32)
                yield samples[max(-gap, 0) :]
                num_samples += max(gap, 0) + len(samples[max(-gap, 0) :])


def _sample_rate(container: InputContainer) -> int:
    track = sound_track(container)
    assert track is not None
    return track.codec_context.sample_rate
