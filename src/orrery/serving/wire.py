"""What a session says to a page: one binary message a tick; docs/serving.md has all of it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from orrery.serving.framing import Part, pack
from orrery.serving.session import Mark, Tick
from orrery.streams import Array, WorldSpec

__all__ = ["short_numbers", "thumbnail_message", "tick_message", "touch_map"]

RAW_PIXELS = 128 * 128
"""Pictures up to this many pixels go as they are: JPEG would save little and blur them."""
JPEG_QUALITY = 90
THUMBNAIL_SIZE = (112, 80)
MOST_NUMBERS = 24
"""Numbers of an observed vector that are shown; longer ones are not."""
MOST_TAXELS = 4096

_NOT_NUMBERS = ("touch", "camera")
"""Touch has a map of its own, and where a camera stands is seen."""


def tick_message(spec: WorldSpec, tick: Tick, more: dict[str, Any]) -> bytes:
    """What a tick looks, sounds and feels like."""
    header = {
        "type": "tick",
        "tick": tick.number,
        "branch": tick.branch,
        "reward": _plain(tick.reward),
        "ended": tick.ended,
        "touch": touch_map(spec, tick),
        "numbers": short_numbers(spec, tick),
        **more,
    }
    parts = _pictures(spec, tick.observation, "world")
    if tick.beside is not None:
        parts += _pictures(spec, tick.beside, "beside")
        header["beside_reward"] = _plain(tick.beside_reward)
        header["difference"] = _difference(spec, tick)
    parts += _sound(spec, tick.observation)
    return pack(header, parts)


def thumbnail_message(spec: WorldSpec, mark: Mark) -> bytes:
    """A mark with its small picture; without one where the world has no pictures."""
    header = {"type": "mark", "mark": mark.number, "parent": mark.parent, "tick": mark.tick}
    header |= {"branch": mark.shown.branch, "ended": mark.shown.ended}
    videos = spec.of_kind("video")
    if not videos or videos[0].name not in mark.shown.observation:
        return pack(header)
    image = Image.fromarray(mark.shown.observation[videos[0].name][-1])
    image.thumbnail(THUMBNAIL_SIZE, Image.Resampling.BOX)
    return pack(header, [({"kind": "picture", "form": "jpeg"}, _jpeg(image))])


def _pictures(spec: WorldSpec, observation: dict[str, Array], whose: str) -> list[Part]:
    videos = [stream.name for stream in spec.of_kind("video") if stream.name in observation][:1]
    return [_picture(frame, whose) for name in videos for frame in observation[name]]


def _picture(frame: Array, whose: str) -> Part:
    height, width = frame.shape[:2]
    about: dict[str, Any] = {"kind": "picture", "of": whose, "width": width, "height": height}
    if height * width <= RAW_PIXELS:
        return {**about, "form": "rgb"}, frame.tobytes()
    return {**about, "form": "jpeg"}, _jpeg(Image.fromarray(frame))


def _jpeg(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return content.getvalue()


def _sound(spec: WorldSpec, observation: dict[str, Array]) -> list[Part]:
    """16-bit samples of the first sound, channels interleaved."""
    for stream in spec.of_kind("audio")[:1]:
        if stream.name in observation:
            samples = np.rint(np.clip(observation[stream.name], -1, 1) * 32767).astype("<i2")
            return [({"kind": "sound", "channels": samples.shape[1]}, samples.tobytes())]
    return []


def touch_map(spec: WorldSpec, tick: Tick) -> dict[str, Any] | None:
    """The last frame of the first touch map: rows of taxels, each three numbers."""
    for stream in spec.named("touch"):
        value = tick.observation.get(stream.name)
        if value is not None and value.ndim >= 3 and value[-1].size <= MOST_TAXELS:
            return {"name": stream.name, "unit": stream.unit, "taxels": _rounded(value[-1])}
    return None


def short_numbers(spec: WorldSpec, tick: Tick) -> dict[str, list[float]]:
    """Short observed vectors and choices, last frame."""
    shown = {}
    for stream in spec.of_role("observed"):
        value = tick.observation.get(stream.name)
        if (
            stream.kind in ("vector", "choice")
            and value is not None
            and stream.name.partition(".")[0] not in _NOT_NUMBERS
        ):
            last = value[-1].ravel() if value.ndim > 1 else value
            if last.size <= MOST_NUMBERS:
                shown[stream.name] = _rounded(last)
    return shown


def _difference(spec: WorldSpec, tick: Tick) -> float | None:
    """Mean absolute difference of the two pictures, in levels of 255."""
    for stream in spec.of_kind("video")[:1]:
        here, there = tick.observation[stream.name], (tick.beside or {}).get(stream.name)
        if there is not None and there.shape == here.shape:
            return _plain(float(np.abs(here.astype(np.int16) - there).mean()))
    return None


def _rounded(values: Array) -> Any:
    """Plain finite numbers; JSON has no others."""
    return np.round(np.nan_to_num(values.astype(np.float64)), 4).tolist()


def _plain(value: float) -> float:
    return round(value, 4) if np.isfinite(value) else 0.0
