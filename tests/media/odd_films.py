"""Films that are each odd in one way, of a red disc that goes about a textured ground."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from orrery.streams import Array

FPS = 24
Prepare = Callable[[Any], None]


@dataclass(frozen=True)
class Track:
    """A track of sound, a tone of `hertz` from `delay` on for `seconds`."""

    hertz: float = 440.0
    codec: str = "aac"
    layout: str = "stereo"
    delay: float = 0.0
    seconds: float | None = None
    language: str | None = None
    is_default: bool | None = None


def scene(seconds: float, size: tuple[int, int] = (120, 160), stretch: float = 1.0, seed: int = 0) -> Array:
    """`[H, W, 3]`. stretch: pixels that are shown so many times as wide as high make the disc round."""
    height, width = size
    rng = np.random.default_rng(seed)
    ground = (np.kron(rng.random((12, 16, 3)), np.ones((10, 10, 1))) * 120 + 60).astype(np.uint8)
    picture = ground[np.arange(height) * 120 // height][:, np.arange(width) * 160 // width].copy()
    y, x = np.mgrid[:height, :width]
    across, down = (
        width * (0.5 + 0.1 * np.sin(2 * seconds + seed)),
        height * (0.5 + 0.1 * np.cos(3 * seconds)),
    )
    picture[((x - across) * stretch) ** 2 + (y - down) ** 2 < (0.2 * height) ** 2] = (230, 20, 20)
    return picture


def disc(picture: Array) -> tuple[int, int, float, float]:
    """Height and width of the red disc in `[H, W, 3]`, and where its centre is, as shares of the picture."""
    levels = picture.astype(int)
    y, x = np.nonzero((levels[..., 0] > 190) & (levels[..., 1:].max(-1) < 90))
    height, width = picture.shape[:2]
    return int(np.ptp(y)) + 1, int(np.ptp(x)) + 1, float(y.mean()) / height, float(x.mean()) / width


def write(
    path: Path,
    pictures: Sequence[Array] | Sequence[av.VideoFrame],
    stamps: Sequence[float] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    tracks: Sequence[Track] = (),
    prepare: Prepare = lambda stream: None,
    fps: int = FPS,
    **options: Any,
) -> Path:
    """A film with `pictures` at `stamps` seconds. prepare: called with the stream of pictures at first."""
    encoder = {"crf": "12"} if codec in ("libx264", "libx265") else {}
    if codec == "libx265":
        encoder["x265-params"] = "log-level=none"
    muxer = {"avoid_negative_ts": "disabled"} if stamps is not None and stamps[0] < 0 else {}
    with av.open(str(path), "w", format=options.get("container"), options=muxer) as container:
        video = container.add_stream(codec, rate=fps, options=encoder | options.get("encoder", {}))
        first = pictures[0]
        video.height, video.width = (
            first.shape[:2] if isinstance(first, np.ndarray) else (first.height, first.width)
        )
        video.pix_fmt = pixel_format
        base = Fraction(1, 12_000) if stamps is not None else Fraction(1, fps)
        video.codec_context.time_base = base
        prepare(video)
        sounds = [(container.add_stream(t.codec, rate=48_000, layout=t.layout), t) for t in tracks]
        for sound, track in sounds:
            if track.language:
                sound.metadata["language"] = track.language
            if track.is_default is not None:
                sound.disposition = int(track.is_default)
        for number, picture in enumerate(pictures):
            frame = picture
            if isinstance(picture, np.ndarray):
                frame = av.VideoFrame.from_ndarray(picture, "rgba" if picture.shape[-1] == 4 else "rgb24")
            seconds = number / fps if stamps is None else stamps[number]
            frame.pts, frame.time_base = round(seconds / base), base
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for sound, track in sounds:
            _sound(container, sound, track, len(pictures) / fps)
    return path


def _sound(container: Any, stream: Any, track: Track, seconds: float) -> None:
    context = stream.codec_context
    at = np.arange(round((track.seconds or seconds) * 48_000)) / 48_000
    tone = 0.3 * np.sin(2 * np.pi * track.hertz * at).astype(np.float32)
    packed = np.repeat(tone, context.layout.nb_channels)[None]
    frame = av.AudioFrame.from_ndarray(packed, "flt", track.layout)
    frame.sample_rate, frame.time_base = 48_000, Fraction(1, 48_000)
    frame.pts = round(track.delay * 48_000)
    resampler = av.AudioResampler(context.format.name, track.layout, 48_000, context.frame_size or None)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def film(path: Path, seconds: float = 1.0, seed: int = 0, begin: float = 0.0, **options: Any) -> Path:
    """A film of the scene, options as of `scene` and `write`."""
    fps = options.get("fps", FPS)
    drawn = {name: options.pop(name) for name in ("size", "stretch") if name in options}
    at = np.arange(round(seconds * fps)) / fps
    stamps = list(at + begin) if begin else None
    return write(path, [scene(float(t), seed=seed, **drawn) for t in at], stamps, **options)


def joined(path: Path, parts: Sequence[dict[str, Any]]) -> Path:
    """Films one behind the other in one file, as `cat` makes them."""
    content = b""
    for part in parts:
        content += film(path, **part).read_bytes()
    path.write_bytes(content)
    return path
