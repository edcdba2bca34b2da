"""How one leaf of a space becomes streams, and back; a pure function of the space.

Arrays have any number of leading axes (batch, ticks): a value is `[..., *space.shape]`, its payload
`[..., *spec.shape]`, and a payload holds one frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces

from orrery.streams import Array, Role, StreamSpec
from orrery.worlds.gymnasium.pictures import ImageSize, fitted, fitted_labels, size_of

__all__ = ["Codec", "codec_of_numbers", "is_map", "is_picture", "is_sound", "map_codec", "picture_codec",
           "sound_codec"]  # fmt: skip

_SMALLEST_PICTURE = 24
"""Pixels on a side. Smaller arrays of bytes are numbers, such as MiniGrid's 7 x 7 x 3 codes."""
_MOST_CHOICES = 16
"""Elements of a MultiDiscrete that are a stream each; more are one vector of one-hots."""
_UNBOUNDED = 1e30
"""Bounds beyond this are none: CartPole's velocities have the largest float32."""
_EXACT = 2.0**53


class Codec(Protocol):
    """One leaf of a space. specs: its streams."""

    @property
    def specs(self) -> tuple[StreamSpec, ...]: ...

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        """Payloads `[*lead, *spec.shape]`, one a spec, of a value `[*lead, *space.shape]`."""
        ...

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        """The value that payloads stand for, always inside the space."""
        ...


@dataclass(frozen=True)
class _Numbers:
    """A Box as a vector; whole numbers are rounded back, float64 keeps the precision of float32."""

    specs: tuple[StreamSpec, ...]
    space: spaces.Box

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        return [value.reshape(*lead, 1, -1).astype(np.float32)]

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        space, values = self.space, payloads[0].reshape((*lead, *self.space.shape))
        if space.dtype.kind == "f":
            return np.clip(values.astype(space.dtype), space.low, space.high)
        low, high = (np.clip(b.astype(np.float64), -_EXACT, _EXACT) for b in (space.low, space.high))
        return np.clip(np.rint(values.astype(np.float64)), low, high).astype(space.dtype)


@dataclass(frozen=True)
class _Bits:
    """A MultiBinary as a vector of zeros and ones; on above one half."""

    specs: tuple[StreamSpec, ...]
    space: spaces.MultiBinary

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        return [value.reshape(*lead, 1, -1).astype(np.float32)]

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        bits = payloads[0].reshape((*lead, *self.space.shape))
        return (bits > 0.5).astype(self.space.dtype)


@dataclass(frozen=True)
class _Choices:
    """A Discrete, or each element of a MultiDiscrete, as an index that counts from 0."""

    specs: tuple[StreamSpec, ...]
    space: spaces.Discrete | spaces.MultiDiscrete

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        indices = (value.astype(np.int64) - self._start).reshape(*lead, -1)
        return [indices[..., i].reshape(*lead, 1, 1) for i in range(len(self.specs))]

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        pairs = zip(payloads, self.specs, strict=True)
        indices = [np.clip(p.reshape(lead), 0, spec.num_choices - 1) for p, spec in pairs]
        return (np.stack(indices, -1).reshape((*lead, *(self.space.shape or ()))) + self._start).astype(
            self.space.dtype
        )

    @property
    def _start(self) -> Array:
        return np.asarray(self.space.start, np.int64)


@dataclass(frozen=True)
class _OneHots:
    """A MultiDiscrete of many elements as one vector; the largest of each element's numbers wins."""

    specs: tuple[StreamSpec, ...]
    space: spaces.MultiDiscrete

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        indices = (value.astype(np.int64) - self.space.start).reshape(*lead, -1)
        counts = self.space.nvec.ravel()
        hots = [np.eye(int(n), dtype=np.float32)[indices[..., i]] for i, n in enumerate(counts)]
        return [np.concatenate(hots, -1)[..., None, :]]

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        ends = np.cumsum(self.space.nvec.ravel())[:-1]
        scores = np.split(payloads[0].reshape(*lead, -1), ends, axis=-1)
        indices = np.stack([score.argmax(-1) for score in scores], -1)
        return (indices.reshape((*lead, *self.space.shape)) + self.space.start).astype(self.space.dtype)


@dataclass(frozen=True)
class _Nothing:
    """A Box without elements, which needs no stream."""

    space: spaces.Box
    specs: tuple[StreamSpec, ...] = ()

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        return []

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        return np.zeros((*lead, *self.space.shape), self.space.dtype)


@dataclass(frozen=True)
class _Picture:
    """A Box of bytes as a picture: colour or grey, channels last, first or absent."""

    specs: tuple[StreamSpec, ...]
    space: spaces.Box

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        height, width = self.specs[0].shape[1:3]
        pictures = self._channels_last(value).reshape(-1, *self._own)
        rows = [fitted(np.repeat(p, 3, -1) if p.shape[-1] == 1 else p, height, width) for p in pictures]
        return [np.stack(rows).reshape(*lead, *self.specs[0].shape)]

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        height, width, channels = self._own
        frames = payloads[0].reshape(-1, *self.specs[0].shape[1:])
        pictures = np.stack([fitted(frame, height, width) for frame in frames])
        if channels == 1:
            pictures = np.rint(pictures.mean(-1, keepdims=True)).astype(np.uint8)
        if len(self.space.shape) == 2:
            pictures = pictures[..., 0]
        elif self.space.shape != self._own:
            pictures = np.moveaxis(pictures, -1, -3)
        return pictures.reshape((*lead, *self.space.shape))

    @property
    def _own(self) -> tuple[int, int, int]:
        return _picture_shape(self.space.shape)

    def _channels_last(self, value: Array) -> Array:
        if len(self.space.shape) == 2:
            return value[..., None]
        return value if self.space.shape == self._own else np.moveaxis(value, -3, -1)


@dataclass(frozen=True)
class _Map:
    """Depth or labels, a number a pixel, in their own type."""

    specs: tuple[StreamSpec, ...]
    space: spaces.Box

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        height, width = self.specs[0].shape[1:]
        maps = [fitted_labels(m, height, width) for m in value.reshape(-1, *self.space.shape[:2])]
        return [np.stack(maps).reshape(*lead, 1, height, width)]

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        maps = payloads[0].reshape(-1, *self.specs[0].shape[1:])
        own = np.stack([fitted_labels(m, *self.space.shape[:2]) for m in maps])
        return own.reshape((*lead, *self.space.shape)).astype(self.space.dtype)


@dataclass(frozen=True)
class _Sound:
    """Samples of the last step, `[N]` or `[N, channels]`, at full scale 1."""

    specs: tuple[StreamSpec, ...]
    space: spaces.Box

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        middle, scale = sample_scale(self.space.dtype)
        samples = (value.astype(np.float32) - middle) / np.float32(scale)
        return [samples.reshape(*lead, *self.specs[0].shape)]

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        middle, scale = sample_scale(self.space.dtype)
        raw = payloads[0].reshape((*lead, *self.space.shape)).astype(np.float64) * scale + middle
        raw = raw if self.space.dtype.kind == "f" else np.rint(raw)
        return np.clip(raw, self.space.low, self.space.high).astype(self.space.dtype)


def sample_scale(dtype: Any) -> tuple[float, float]:
    """Silence and full scale of samples of a type."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return 0.0, 1.0
    half = 2.0 ** (8 * kind.itemsize - 1)
    return (half, half) if kind.kind == "u" else (0.0, half)


def _picture_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Height, width and channels of a picture of any form."""
    if len(shape) == 2:
        return shape[0], shape[1], 1
    first, second, third = shape
    return (first, second, third) if third in (1, 3) else (second, third, first)


def is_picture(space: Any) -> bool:
    """Whether a space is of pictures: bytes, one or three channels, `_SMALLEST_PICTURE` pixels or more."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) not in (2, 3):
        return False
    height, width, channels = _picture_shape(space.shape)
    return min(height, width) >= _SMALLEST_PICTURE and channels in (1, 3)


def is_map(space: Any) -> bool:
    """Whether a space is one number a pixel."""
    shape = space.shape if isinstance(space, spaces.Box) else ()
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] == 1)


def is_sound(space: Any) -> bool:
    """Whether a space may be samples: `[N]`, or `[N, 1 or 2]`."""
    shape = space.shape if isinstance(space, spaces.Box) else ()
    return len(shape) == 1 or (len(shape) == 2 and shape[1] in (1, 2))


def picture_codec(name: str, space: spaces.Box, image_size: ImageSize | None) -> Codec:
    """See `is_picture`. image_size: of the stream; None keeps the space's own."""
    size = size_of(image_size, _picture_shape(space.shape)[:2])
    return _Picture((StreamSpec(name, "video", "observed", (1, *size, 3), "uint8", "sRGB", 0, 255),), space)


def map_codec(name: str, space: spaces.Box, image_size: ImageSize | None) -> Codec:
    """See `is_map`."""
    own = (space.shape[0], space.shape[1])
    shape, dtype = (1, *size_of(image_size, own)), space.dtype.name
    return _Map((StreamSpec(name, "vector", "observed", shape, dtype, "as the environment gives it"),), space)


def sound_codec(name: str, space: spaces.Box) -> Codec:
    """See `is_sound`."""
    shape = (space.shape[0], space.shape[1] if len(space.shape) == 2 else 1)
    return _Sound((StreamSpec(name, "audio", "observed", shape, "float32", "full scale", -1.0, 1.0),), space)


def codec_of_numbers(name: str, space: spaces.Space[Any], role: Role) -> Codec | None:
    """Numbers and choices of any space that has any; None for one that has none, such as text."""
    if isinstance(space, spaces.Box):
        if not space.shape or np.prod(space.shape):
            return _Numbers((_vector(name, role, int(np.prod(space.shape)), *_bounds(space, role)),), space)
        return _Nothing(space)
    if isinstance(space, spaces.MultiBinary):
        return _Bits((_vector(name, role, int(np.prod(space.shape)), 0.0, 1.0),), space)
    if isinstance(space, spaces.Discrete):
        return _Choices((_choice(name, role, int(space.n)),), space)
    if isinstance(space, spaces.MultiDiscrete):
        counts = [int(n) for n in space.nvec.ravel()]
        if len(counts) > _MOST_CHOICES:
            groups = len(counts) if len(set(counts)) == 1 else 1
            return _OneHots((_vector(name, role, sum(counts), 0.0, 1.0, groups),), space)
        return _Choices(tuple(_choice(f"{name}.{i}", role, n) for i, n in enumerate(counts)), space)
    return None


def _vector(
    name: str, role: Role, width: int, low: float | None, high: float | None, groups: int = 1
) -> StreamSpec:
    return StreamSpec(name, "vector", role, (1, width), "float32", "", low, high, groups=groups)


def _choice(name: str, role: Role, num_choices: int) -> StreamSpec:
    return StreamSpec(name, "choice", role, (1, 1), "int64", num_choices=num_choices)


def _bounds(space: spaces.Box, role: Role) -> tuple[float | None, float | None]:
    """Lowest and highest number of an action. Observations have none: what an environment shows may leave
    the bounds that it states."""
    if role != "given":
        return None, None
    low, high = (float(np.float32(b)) for b in (space.low.min(), space.high.max()))
    return low if low > -_UNBOUNDED else None, high if high < _UNBOUNDED else None
