"""An episode's streams as things a browser shows: a film with sound, a contact sheet, touch maps, curves."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from orrery.media import FilmSound, FilmWriter
from orrery.media.sheet import ContactSheet
from orrery.streams import Array, Clock, Event, WorldSpec

__all__ = ["curves", "episode_film", "episode_sheet", "touch_map"]

_TAXEL, _GAP, _LABEL = 20, 14, 34
"""Pixels of one taxel's square, between pads, and below a pad for its words."""
_MAX_PADS = 10
_MAX_LINES = 16
_COLOURS = ("#1f6feb", "#d9480f", "#1b7f3b", "#8250df", "#a66a00", "#b3261e", "#0b7285", "#5b6068")


def episode_film(spec: WorldSpec, streams: Mapping[str, Array]) -> bytes:
    """The content of an MP4 of the first camera with the first microphone, as far as there is one."""
    video, clock = spec.of_kind("video")[0].name, spec.clock
    frames = streams[video].reshape(-1, *streams[video].shape[2:])
    audio, rate = _stereo(spec, streams)
    if audio is not None:
        sound = FilmSound(rate)
        audio, rate = np.concatenate([sound.resampled(audio), sound.rest()]), sound.samples_per_second
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        size = (frames.shape[1], frames.shape[2])
        with FilmWriter(path, clock.frames_per_second, rate if audio is not None else None, size) as film:
            film.write(frames, audio)
        return path.read_bytes()


def episode_sheet(spec: WorldSpec, streams: Mapping[str, Array], events: Sequence[Event]) -> bytes:
    """The content of a PNG: pictures of the first camera over the sound's waveform, impacts marked."""
    video, clock = spec.of_kind("video")[0].name, spec.clock
    frames = streams[video].reshape(-1, *streams[video].shape[2:])
    audio, rate = _stereo(spec, streams)
    ticks = [event.seconds for event in events if event.kind == "impact"]
    sheet = ContactSheet(
        len(frames), clock.frames_per_second, rate if audio is not None else None, ticks=ticks
    )
    sheet.add(frames, audio)
    return sheet.png()


def _stereo(spec: WorldSpec, streams: Mapping[str, Array]) -> tuple[Array | None, int]:
    """The first microphone as `[m, 2]`, and its rate."""
    sounds = spec.of_kind("audio")
    if not sounds:
        return None, spec.clock.samples_per_second
    sound = streams[sounds[0].name]
    samples = sound.reshape(-1, sound.shape[-1])
    return np.broadcast_to(samples[:, :2], (len(samples), 2)), spec.clock.samples_per_second


def touch_map(touch: Array, clock: Clock) -> bytes | None:
    """The content of a PNG of a pad at the instants at which it is pressed hardest, in order of time.

    touch: `[ticks, S, rows, cols, 3]`, N. Dark is a strong normal force, on one scale for all instants; a
    line from a taxel's middle is its shear. None if nothing is felt.
    """
    readings = touch.reshape(-1, *touch.shape[-3:])
    force = readings[..., 0].sum(axis=(1, 2))
    felt = np.flatnonzero(force > 0)
    if not len(felt):
        return None
    parts = np.array_split(felt, min(_MAX_PADS, len(felt)))
    chosen = [int(part[force[part].argmax()]) for part in parts]
    strongest = float(np.abs(readings[chosen]).max())
    rows, columns = readings.shape[1:3]
    width = columns * _TAXEL + _GAP
    page = Image.new("RGB", (max(len(chosen) * width, 90 * len(chosen)), rows * _TAXEL + _LABEL), "#ffffff")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    step = page.width // len(chosen)
    per_second = len(readings) / (len(touch) * clock.tick_seconds)
    for position, index in enumerate(chosen):
        _draw_pad(pen, readings[index], position * step, strongest)
        said = f"{(index + 1) / per_second:.2f} s\n{force[index]:.2g} N"
        pen.multiline_text((position * step, rows * _TAXEL + 4), said, "#1c1e21", font, spacing=2)
    content = io.BytesIO()
    page.save(content, "PNG")
    return content.getvalue()


def _draw_pad(pen: ImageDraw.ImageDraw, reading: Array, left: int, strongest: float) -> None:
    """One reading `[rows, cols, 3]`."""
    for row, column in np.ndindex(*reading.shape[:2]):
        normal, *shear = (float(value) / strongest for value in reading[row, column])
        light = 1 - max(0.0, normal) ** 0.5  # the root shows weak forces beside strong ones
        shade = tuple(round(low + light * (250 - low)) for low in (20, 60, 120))
        x, y = left + column * _TAXEL, row * _TAXEL
        pen.rectangle([x, y, x + _TAXEL - 2, y + _TAXEL - 2], shade)
        if any(shear):
            middle = (x + _TAXEL / 2 - 1, y + _TAXEL / 2 - 1)
            end = (middle[0] + shear[0] * _TAXEL, middle[1] - shear[1] * _TAXEL)
            pen.line([middle, end], "#d9480f", 2)


def curves(values: Array, width: int = 900, height: int = 90) -> str:
    """SVG of `values [n, channels]` over time, all on one axis from the lowest to the highest value."""
    low, span = float(values.min()), max(float(np.ptp(values)), 1e-12)
    across = np.linspace(0, width, len(values))
    lines = []
    for channel, line in enumerate(values.T[:_MAX_LINES]):
        down = height - 4 - (line - low) / span * (height - 8)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))
        colour = _COLOURS[channel % len(_COLOURS)]
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    box = f'viewBox="0 0 {width} {height}" preserveAspectRatio="none"'
    return f'<svg {box} role="img" aria-label="values over time">{"".join(lines)}</svg>'
