"""What an environment gives besides its picture: sound, depth, labels and numbers that it observes.

They are found by their names in a `Dict` observation: `sound` (ALE, 512 samples a frame) or `audio`
(ViZDoom), `depth`, `labels` and `screen` (ViZDoom), and vectors of numbers, which an observation may also be
as a whole. Environments that Gymnasium draws with MuJoCo have depth besides what they observe; its own
segmentation of them (Gymnasium 1.4 with numpy 2) overflows, so that they have no labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from PIL import Image

from orrery.streams import Array, StreamSpec

__all__ = ["Senses", "frame_rate"]

_ALE_HERTZ = 60
"""Frames a second of the console. `render_fps` of ALE says 30, whatever the frame skip is."""
_MAX_NUMBERS = 1024


@dataclass(frozen=True)
class _Sense:
    """One stream. read: from an observation to the payload of one frame. joined: frames are put end to end,
    as samples are, instead of stacked."""

    name: str
    read: Callable[[Any], Array]
    unit: str
    low: float | None
    high: float | None
    joined: bool = False


class Senses:
    """The streams that an environment's observations hold besides `video.main`.

    image_size: of depth and labels, squeezed as the picture is, each pixel one of the environment's own; None
    keeps them as they are. has_screen: the observation holds the picture itself, and `render()` may show
    more.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], image_size: int | None) -> None:
        space = env.observation_space
        parts = space.spaces if isinstance(space, spaces.Dict) else {}
        self._size = image_size
        self.has_screen = _is_picture(parts.get("screen"))
        self._senses: list[_Sense] = []
        for key, part in parts.items():
            self._senses += [s for s in (self._sound(key, part), self._map(key, part)) if s is not None]
        self._senses += _numbers(space)
        self._from_mujoco = [self._mujoco_depth()] if _is_drawn_by_mujoco(env) else []
        self._all = [*self._senses, *self._from_mujoco]

    def read(self, env: gymnasium.Env[Any, Any], observation: Any) -> dict[str, Array]:
        """Stream name to the payload of one frame. observation: what `env` last gave."""
        observed = {sense.name: sense.read(observation) for sense in self._senses}
        return observed | {sense.name: sense.read(env) for sense in self._from_mujoco}

    def joined(self, frames: list[dict[str, Array]]) -> dict[str, Array]:
        """The payload of a tick, from those of its frames."""
        return {
            s.name: np.concatenate([f[s.name] for f in frames])
            if s.joined
            else np.stack([f[s.name] for f in frames])
            for s in self._all
        }

    def silenced(self, frame: dict[str, Array]) -> dict[str, Array]:
        """The same frame when nothing moves any more: what is seen stays, what is heard ends."""
        return {s.name: np.zeros_like(frame[s.name]) if s.joined else frame[s.name] for s in self._all}

    def specs(self, env: gymnasium.Env[Any, Any], observation: Any, frames_per_tick: int) -> list[StreamSpec]:
        """Specs of the streams, one tick each."""
        tick = self.joined([self.read(env, observation)] * frames_per_tick)
        return [
            StreamSpec(
                s.name,
                "audio" if s.joined else "vector",
                "observed",
                tick[s.name].shape,
                tick[s.name].dtype.name,
                s.unit,
                s.low,
                s.high,
            )
            for s in self._all
        ]

    def num_samples(self, observation: Any) -> int | None:
        """Samples of sound that go with one frame; None without sound."""
        sounds = [len(s.read(observation)) for s in self._senses if s.joined]
        return sounds[0] if sounds else None

    def _sound(self, key: str, part: spaces.Space[Any]) -> _Sense | None:
        if key not in ("sound", "audio") or not isinstance(part, spaces.Box) or len(part.shape) not in (1, 2):
            return None
        middle, scale = _sample_scale(part.dtype)

        def read(observation: Any) -> Array:
            raw = np.asarray(observation[key], np.float32)
            if middle and not raw.any():  # ALE's buffer before anything was played, far below silence
                raw = np.full_like(raw, middle)
            samples = (raw - middle) / scale
            return np.ascontiguousarray(samples.reshape(len(samples), -1))

        return _Sense("audio.main", read, "full scale", -1.0, 1.0, joined=True)

    def _map(self, key: str, part: spaces.Space[Any]) -> _Sense | None:
        if (
            key not in ("depth", "labels")
            or not isinstance(part, spaces.Box)
            or len(part.shape) not in (2, 3)
        ):
            return None

        def read(observation: Any) -> Array:
            values = np.asarray(observation[key]).reshape(part.shape[:2])
            return values.copy() if self._size is None else _nearest(values, self._size)

        if key == "labels":
            return _Sense("segmentation.main", read, "number of the object", 0, None)
        return _Sense("depth.main", read, "as the environment gives it", None, None)

    def _mujoco_depth(self) -> _Sense:
        def read(env: gymnasium.Env[Any, Any]) -> Array:
            depth = _mujoco_depth_m(env)
            return depth if self._size is None else _nearest(depth, self._size)

        return _Sense("depth.main", read, "m", 0.0, None)


def _is_drawn_by_mujoco(env: gymnasium.Env[Any, Any]) -> bool:
    base = env.unwrapped
    return hasattr(base, "mujoco_renderer") and "depth_array" in (base.metadata.get("render_modes") or [])


def _mujoco_depth_m(env: gymnasium.Env[Any, Any]) -> Array:
    """Distance along the optical axis, `[H, W]` float32 metres, from OpenGL's depth buffer in [0, 1].

    A point at distance z has (1/near - 1/z) / (1/near - 1/far) in it (perspective division).
    """
    base: Any = env.unwrapped
    buffer = base.mujoco_renderer.render("depth_array")
    clip, extent = base.model.vis.map, base.model.stat.extent
    near, far = clip.znear * extent, clip.zfar * extent
    return (near / (1.0 - buffer * (1.0 - near / far))).astype(np.float32)


def frame_rate(env: gymnasium.Env[Any, Any]) -> int:
    """Frames a second when each step is a frame: of ALE by its frame skip, else `render_fps`, else 24."""
    kwargs = env.spec.kwargs if env.spec is not None else {}
    if env.spec is not None and env.spec.id.startswith("ALE/"):
        skip = kwargs.get("frameskip", 4)
        return max(1, round(_ALE_HERTZ / (skip if isinstance(skip, int) else float(np.mean(skip)))))
    skip = kwargs.get("frame_skip", 1) if "izdoom" in str(env.spec) else 1
    return max(1, round((env.metadata.get("render_fps") or 24) / skip))


def _sample_scale(dtype: Any) -> tuple[float, float]:
    """Silence and full scale of samples of a type."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return 0.0, 1.0
    half = 2.0 ** (8 * kind.itemsize - 1)
    return (half, half) if kind.kind == "u" else (0.0, half)


def _nearest(values: Array, size: int) -> Array:
    """`[H, W]` as `[size, size]`, each one of the values that were there."""
    picture = Image.fromarray(values.astype(np.float32))
    return np.asarray(picture.resize((size, size), Image.Resampling.NEAREST)).astype(values.dtype)


def _is_picture(part: Any) -> bool:
    shape = part.shape if isinstance(part, spaces.Box) else ()
    return len(shape) == 3 and shape[-1] == 3


def _is_vector(part: Any) -> bool:
    shape = part.shape if isinstance(part, spaces.Box) else ()
    return len(shape) == 1 and shape[0] <= _MAX_NUMBERS


def _numbers(space: spaces.Space[Any]) -> list[_Sense]:
    """Vectors of numbers that are observed: joints, velocities, health."""
    if _is_vector(space):
        return [_Sense("proprioception", lambda seen: np.asarray(seen, np.float32), "", None, None)]
    if not isinstance(space, spaces.Dict):
        return []

    def reader(key: str) -> Callable[[Any], Array]:
        return lambda seen: np.asarray(seen[key], np.float32)

    return [
        _Sense(f"proprioception.{key}", reader(key), "", None, None)
        for key, part in space.spaces.items()
        if key not in ("sound", "audio") and _is_vector(part)
    ]
