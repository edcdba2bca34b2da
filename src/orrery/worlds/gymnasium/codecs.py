"""How one leaf of a space becomes streams, and back; a pure function of the space.

Arrays have any number of leading axes (batch, ticks): a value is `[..., *space.shape]`, its payload
`[..., *spec.shape]`, and a payload holds one frame.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces

from orrery.rounding import cast, losses, num_rows
from orrery.streams import Array, Role, StreamSpec
from orrery.worlds.gymnasium.pictures import ImageSize, PictureForm, fitted, fitted_labels, size_of

__all__ = ["Codec", "Inexact", "Letters", "Numbers", "Picture", "codec_of_numbers", "is_map", "is_sound",
           "map_codec", "picture_codec", "sound_codec"]  # fmt: skip

_MOST_CHOICES = 16
"""Elements of a MultiDiscrete that are a stream each; more are one vector of one-hots."""
_MOST_ONE_HOTS = 4096
"""Numbers of that vector; a MultiDiscrete that would have more is a vector of its indices."""
_UNBOUNDED = 1e30
"""Bounds beyond this are none: CartPole's velocities have the largest float32."""
_EXACT_FLOAT32 = 2**24
"""Whole numbers up to here are float32; where there are larger ones, a stream keeps their own type."""
_LAST_CODE_POINT = 0x10FFFF
_NO_COLOUR = "a colour is not finite (NaN or infinite); the nearest one, or black, is in its place"
_OUTSIDE = "a colour is outside of its space; the nearest one is in its place"
_NO_BYTE = "a colour is not whole where its space says bytes; it was rounded"
_OTHER_LETTERS = "letters that its space has not; recorded as they are"
_NOT_WHOLE = "not whole where its space says so; recorded as it is"


class Codec(Protocol):
    """One leaf of a space. specs: its streams."""

    @property
    def specs(self) -> tuple[StreamSpec, ...]: ...

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        """Payloads `[*lead, *spec.shape]`, one a spec, of a value `[*lead, *space.shape]`."""
        ...

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        """The value that payloads stand for, always inside the space (but for a text, which keeps its
        letters)."""
        ...


@runtime_checkable
class Inexact(Protocol):
    """A codec whose payloads may differ from what was written."""

    def changes(self, value: Array, lead: tuple[int, ...]) -> dict[str, int]:
        """What of a value `[*lead, *space.shape]` its payloads do not hold as it was, in words, and in how
        many ticks."""
        ...


@dataclass(frozen=True)
class Numbers:
    """A Box as a vector; whole numbers are rounded back, float64 keeps the precision of float32."""

    specs: tuple[StreamSpec, ...]
    space: spaces.Box

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        _check_shape(value, (*lead, *self.space.shape))
        kind = np.dtype(self.specs[0].dtype)
        if kind.kind != "f":
            return [_whole(value, kind).reshape(*lead, 1, -1).astype(kind)]
        return [cast(value.reshape(*lead, 1, -1), kind)]

    def changes(self, value: Array, lead: tuple[int, ...]) -> dict[str, int]:
        """See `Inexact`."""
        found = losses(value, self.specs[0].dtype)
        if self.space.dtype.kind in "iu" and value.dtype.kind == "f":
            found[_NOT_WHOLE] = np.isfinite(value) & (value != np.rint(value))
        return num_rows(found, len(lead))

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        space, values = self.space, payloads[0].reshape((*lead, *self.space.shape))
        if values.dtype.kind == "f" and space.dtype.kind != "f":
            whole = np.iinfo(np.uint64 if space.dtype == np.uint64 else np.int64)
            last = np.nextafter(float(whole.max), 0)  # of float64, which would round the largest up to none
            values = np.clip(np.rint(values.astype(np.float64)), whole.min, last).astype(whole.dtype)
            return np.clip(values, space.low, space.high).astype(space.dtype)
        return np.clip(cast(values, space.dtype), space.low, space.high)

    def num_outside(self, payload: Array) -> int:
        """In how many ticks of `[num_ticks, 1, width]` a number leaves the bounds of the space."""
        low, high = (cast(bound.ravel(), payload.dtype) for bound in (self.space.low, self.space.high))
        return int(((payload < low) | (payload > high)).any((1, 2)).sum())


@dataclass(frozen=True)
class _Bits:
    """A MultiBinary as a vector of zeros and ones; on above one half."""

    specs: tuple[StreamSpec, ...]
    space: spaces.MultiBinary

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        _check_shape(value, (*lead, *self.space.shape))
        if ((value != 0) & (value != 1)).any():
            raise ValueError(f"bits are 0 or 1, got {value.min()} to {value.max()}")
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
        """See `Codec`. ValueError for a choice that there is not."""
        indices = _indices(value, self._start, lead)
        parts = [indices[..., i].reshape(*lead, 1, 1) for i in range(len(self.specs))]
        for i, (part, spec) in enumerate(zip(parts, self.specs, strict=True)):
            least, most = (part.item(),) * 2 if part.size == 1 else (part.min(initial=0), part.max(initial=0))
            if least < 0 or most >= spec.num_choices:
                start = self._start.ravel()[i]
                last = start + spec.num_choices - 1
                raise ValueError(f"choices are {start} to {last}, got {least + start} to {most + start}")
        return parts

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
        indices = _indices(value, self.space.start, lead)
        counts = self.space.nvec.ravel()
        if (indices < 0).any() or (indices >= counts).any():
            raise ValueError(f"choices are {self.space}, got {value.min()} to {value.max()}")
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
class Picture:
    """A Box as pictures: one, a stack of them, or colour and how opaque it is."""

    specs: tuple[StreamSpec, ...]
    space: spaces.Box
    form: PictureForm

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        _check_shape(value, (*lead, *self.space.shape))
        height, width = self.specs[0].shape[1:3]
        if value.dtype.kind not in "biuf":
            raise ValueError(f"{value.dtype} is no picture's type")
        views = self.form.views(value.reshape(-1, *self.space.shape))
        rows = [np.stack([fitted(picture, height, width) for picture in view]) for view in views]
        return [r.reshape(*lead, *spec.shape) for r, spec in zip(rows, self.specs, strict=True)]

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        height, width = self.form.length("h"), self.form.length("w")
        frames = [payload.reshape(-1, *payload.shape[-3:]) for payload in payloads]
        views = [np.stack([fitted(picture, height, width) for picture in view]) for view in frames]
        joined = self.form.joined(views).reshape((*lead, *self.space.shape)).astype(self.space.dtype)
        return np.clip(joined, self.space.low, self.space.high)

    def changes(self, value: Array, lead: tuple[int, ...]) -> dict[str, int]:
        """See `Inexact`; a colour off by less than half a level is none."""
        if value.dtype == np.uint8:
            return {}
        found = Counter[str]()
        for picture in value.reshape(math.prod(lead), *self.space.shape):  # one by one, for memory
            found.update(num_rows(self._changes(picture), 0))
        return dict(found)

    def _changes(self, picture: Array) -> dict[str, Array]:
        """Words to where in a picture of the space it is so."""
        is_finite, half = np.isfinite(picture), 0.5 * self.form.full_scale / 255
        is_outside = (picture < -half) | (picture > self.form.full_scale + half)
        found = {_NO_COLOUR: ~is_finite, _OUTSIDE: is_finite & is_outside}
        if self.space.dtype == np.uint8:
            found[_NO_BYTE] = is_finite & (picture != np.rint(picture))
        return found


@dataclass(frozen=True)
class _Map:
    """Depth or labels, a number a pixel, in their own type."""

    specs: tuple[StreamSpec, ...]
    space: spaces.Box

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        height, width = self.specs[0].shape[1:]
        _check_shape(value, (*lead, *self.space.shape))
        kind = self.space.dtype
        value = cast(value, kind) if kind.kind == "f" else _whole(value, kind).astype(kind)
        maps = [fitted_labels(m, height, width) for m in value.reshape(-1, *self.space.shape[:2])]
        return [np.stack(maps).reshape(*lead, 1, height, width)]

    def changes(self, value: Array, lead: tuple[int, ...]) -> dict[str, int]:
        """See `Inexact`."""
        return num_rows(losses(value, self.specs[0].dtype), len(lead))

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        maps = payloads[0].reshape(-1, *payloads[0].shape[-2:])
        own = np.stack([fitted_labels(m, *self.space.shape[:2]) for m in maps])
        return own.reshape((*lead, *self.space.shape)).astype(self.space.dtype)


@dataclass(frozen=True)
class Letters:
    """A text as the code point of each of its characters plus one, then zeros."""

    specs: tuple[StreamSpec, ...]
    space: spaces.Text

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        """See `Codec`. TypeError for what is no text, ValueError for one that is too long."""
        texts = value.reshape(-1)
        codes = np.zeros((len(texts), self.specs[0].shape[1]), np.float32)
        for row, text in zip(codes, texts, strict=True):
            if not isinstance(text, str):
                raise TypeError(f"{text!r} is no text")
            if len(text) > len(row):
                raise ValueError(f"its text has {len(text)} characters, and its space {len(row)} at most")
            row[: len(text)] = [ord(letter) + 1 for letter in text]
        return [codes.reshape(*lead, *self.specs[0].shape)]

    def changes(self, value: Array, lead: tuple[int, ...]) -> dict[str, int]:
        """See `Inexact`; letters that a space has not are kept."""
        letters = self.space.character_set
        is_other = np.array([not letters.issuperset(text) for text in value.reshape(-1)], bool)
        return num_rows({_OTHER_LETTERS: is_other.reshape(lead)}, len(lead))

    def read(self, payloads: list[Array], lead: tuple[int, ...]) -> Array:
        rows = np.rint(payloads[0].reshape(-1, self.specs[0].shape[1])).astype(np.int64) - 1
        texts = np.empty(len(rows), object)
        for i, row in enumerate(rows):
            ends = np.flatnonzero(row < 0)
            codes = row[: ends[0]] if len(ends) else row
            texts[i] = "".join(map(chr, np.minimum(codes, _LAST_CODE_POINT)))
        return texts.reshape(lead)


@dataclass(frozen=True)
class _Sound:
    """Samples of the last step, `[N]` or `[N, channels]`, at full scale 1."""

    specs: tuple[StreamSpec, ...]
    space: spaces.Box

    def write(self, value: Array, lead: tuple[int, ...]) -> list[Array]:
        middle, scale = sample_scale(self.space.dtype)
        samples = (cast(value, np.float32) - middle) / np.float32(scale)
        return [samples.reshape(*lead, *self.specs[0].shape)]

    def changes(self, value: Array, lead: tuple[int, ...]) -> dict[str, int]:
        """See `Inexact`."""
        return num_rows(losses(value, np.float32), len(lead))

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


def is_map(space: Any) -> bool:
    """Whether a space is one number a pixel."""
    shape = space.shape if isinstance(space, spaces.Box) else ()
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] == 1)


def is_sound(space: Any) -> bool:
    """Whether a space may be samples: `[N]`, or `[N, 1 or 2]`."""
    shape = space.shape if isinstance(space, spaces.Box) else ()
    return len(shape) == 1 or (len(shape) == 2 and shape[1] in (1, 2))


def picture_codec(name: str, space: spaces.Box, form: PictureForm, image_size: ImageSize | None) -> Codec:
    """A stream for each view of a picture's form; the plain name is the last's of a stack, the colour's of a
    picture with an alpha channel. image_size: of the streams; None keeps the space's own."""
    shape = (1, *size_of(image_size, (form.length("h"), form.length("w"))), 3)
    names = [f"{name}.{view}" if view else name for view in form.names]
    return Picture(
        tuple(StreamSpec(n, "video", "observed", shape, "uint8", "sRGB", 0, 255) for n in names), space, form
    )


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
    """Numbers and choices of any space that has any, and the letters of an observed text; None for others."""
    if isinstance(space, spaces.Box):
        if not space.shape or np.prod(space.shape):
            vector = _vector(name, role, int(np.prod(space.shape)), *_bounds(space, role))
            return Numbers((replace(vector, dtype=_dtype(space)),), space)
        return _Nothing(space)
    if isinstance(space, spaces.Text) and role == "observed":
        last = _LAST_CODE_POINT + 1.0
        return Letters((_vector(name, role, max(1, space.max_length), 0.0, last),), space)
    if isinstance(space, spaces.MultiBinary):
        return _Bits((_vector(name, role, int(np.prod(space.shape)), 0.0, 1.0),), space)
    if isinstance(space, spaces.Discrete):
        return _Choices((_choice(name, role, int(space.n)),), space)
    if isinstance(space, spaces.MultiDiscrete):
        counts = [int(n) for n in space.nvec.ravel()]
        if sum(counts) > _MOST_ONE_HOTS and len(counts) > _MOST_CHOICES:
            last = space.start + space.nvec - 1
            return codec_of_numbers(
                name, spaces.Box(space.start, last, space.shape, np.dtype(space.dtype).type), role
            )
        if len(counts) > _MOST_CHOICES:
            groups = len(counts) if len(set(counts)) == 1 else 1
            return _OneHots((_vector(name, role, sum(counts), 0.0, 1.0, groups),), space)
        return _Choices(tuple(_choice(f"{name}.{i}", role, n) for i, n in enumerate(counts)), space)
    return None


def _dtype(space: spaces.Box) -> str:
    """Of the numbers of a Box in a stream."""
    if space.dtype.kind not in "iu":
        return "float32"
    largest = max(abs(int(space.low.min())), abs(int(space.high.max())))
    return "float32" if largest <= _EXACT_FLOAT32 else space.dtype.name


def _check_shape(value: Array, shape: tuple[int, ...]) -> None:
    if value.shape != shape:
        raise ValueError(f"{list(value.shape)} numbers where there should be {list(shape)}")


def _whole(value: Array, dtype: Any) -> Array:
    """Numbers that are whole, and of which `dtype` holds each; ValueError where one is not."""
    if value.dtype.kind not in "biu" and (value != np.rint(value.astype(np.float64))).any():
        raise ValueError("a number is not whole where its space says so")
    if value.size and not np.can_cast(value.dtype, dtype) and np.dtype(dtype).kind in "iu":
        limits, least, most = np.iinfo(dtype), value.min(), value.max()
        if not np.isfinite(value).all() or int(least) < limits.min or int(most) > limits.max:
            raise ValueError(f"its numbers are {limits.min} to {limits.max}, got {least} to {most}")
    return value


def _indices(value: Array, start: Array, lead: tuple[int, ...]) -> Array:
    """`[*lead, num]`: choices as indices that count from 0."""
    if value.size != math.prod(lead) * start.size:
        raise ValueError(f"{list(value.shape)} choices where there should be {[*lead, *start.shape]}")
    whole = _whole(value, np.int64).reshape((*lead, *start.shape)).astype(np.int64)
    return (whole - start).reshape((*lead, -1))


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
    low, high = (float(cast(b, np.float32)) for b in (space.low.min(), space.high.max()))
    return low if low > -_UNBOUNDED else None, high if high < _UNBOUNDED else None
