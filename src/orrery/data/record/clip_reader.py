"""A film from anywhere, looked through, or read in part on the clock of our worlds."""

from __future__ import annotations

import math
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import signal

from orrery.data.record.shots import THUMBNAIL, Clip, FilmScan
from orrery.media.reader import film_header, iterate_pictures, iterate_sound
from orrery.streams import Array, Clock

__all__ = ["read_clip", "scan_film"]

_SCAN_PIXELS = 128 * 128
_MISSING_SECONDS = 0.5
_HELD_SECONDS = 2.0
"""A clip's first picture may have been shown for this long before it begins."""


def scan_film(path: Path) -> FilmScan:
    """All of a film in small. UserError as `orrery.media.reader` raises for what cannot be read."""
    header = film_header(path)
    seconds, grey = [], []
    notes = dict[str, None]()  # in their order, each once
    for instant, picture in iterate_pictures(path, _SCAN_PIXELS, note=notes.setdefault):
        seconds.append(instant)
        small = Image.fromarray(picture).convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
        grey.append(np.asarray(small, np.float32))
    steps = np.diff(seconds)
    last = float(np.median(steps)) if len(steps) else 1 / header.frames_per_second
    has_sound = header.samples_per_second is not None
    end = seconds[-1] + last
    more = [header.sound_note or "", _missing(end, header.end_seconds)]
    told = "; ".join([*notes, *filter(None, more)])
    return FilmScan(np.array(seconds), np.stack(grey), end, has_sound, told)


def _missing(end: float, said: float | None) -> str:
    """That a film goes on after its pictures, or is said to, in words; empty where it does not."""
    if said is None or said - end < _MISSING_SECONDS:
        return ""
    return f"its pictures end at {end:.2f} s of {said:.2f} s; it is cut short, or the rest is only heard"


def read_clip(path: Path, clip: Clip, clock: Clock, image_size: int) -> tuple[Array, Array | None]:
    """Pictures `[ticks, frames, S, S, 3]` uint8 and samples `[ticks, n, 2]` float32 (None without sound).

    Each frame is the picture that is shown at its instant, the centre square of it; sound is brought to the
    clock's rate.
    """
    header = film_header(path)
    num_frames = clip.num_ticks * clock.frames_per_tick
    instants = clip.start_seconds + np.arange(num_frames) / clock.frames_per_second
    frames: list[Array] = []
    held: Array | None = None
    begin = max(0.0, clip.start_seconds - _HELD_SECONDS)
    pictures = iterate_pictures(path, start_seconds=begin, short_side=image_size)
    for seconds, picture in chain(pictures, [(math.inf, None)]):
        while held is not None and len(frames) < num_frames and instants[len(frames)] < seconds - 1e-6:
            frames.append(held)
        if len(frames) == num_frames or picture is None:
            break
        held = _square(picture, image_size)
    video = np.stack(frames).reshape(clip.num_ticks, clock.frames_per_tick, image_size, image_size, 3)
    if header.samples_per_second is None:
        return video, None
    return video, _sound(path, header.samples_per_second, clip, clock)


def _square(picture: Array, size: int) -> Array:
    """The centre square of `[H, W, 3]` as `[size, size, 3]`."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    if side == size:
        return np.ascontiguousarray(square)
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.LANCZOS))


def _sound(path: Path, rate: int, clip: Clip, clock: Clock) -> Array:
    """`[ticks, n, 2]`: the sound of the clip, silence where the film has none."""
    first = round(clip.start_seconds * rate)
    wanted = round(clip.num_ticks * clock.tick_seconds * rate)
    samples, at = np.zeros((wanted, 2), np.float32), 0
    for piece in iterate_sound(path):
        low, high = max(first, at), min(first + wanted, at + len(piece))
        if low < high:
            samples[low - first : high - first] = piece[low - at : high - at]
        at += len(piece)
        if at >= first + wanted:
            break
    if rate != clock.samples_per_second:
        common = math.gcd(rate, clock.samples_per_second)
        samples = signal.resample_poly(samples, clock.samples_per_second // common, rate // common, axis=0)
    num_samples = clip.num_ticks * clock.samples_per_tick
    fitted = np.zeros((num_samples, 2), np.float32)
    fitted[: len(samples)] = np.clip(samples[:num_samples], -1, 1)
    return fitted.reshape(clip.num_ticks, clock.samples_per_tick, 2)
