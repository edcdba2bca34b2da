"""Observations and actions of any space as streams, and back; a pure function of the space.

Each leaf of nested `Dict` and `Tuple` spaces is a stream of its own, named by its path: `observation` or
`observation.arm.joints`, `action` or `action.0`. Numbers are a vector, a `Discrete` a choice, a
`MultiDiscrete` a choice for each element (`action.0`, `action.1`; one vector where there are many). In
observations, a `Text` is a vector of its letters, pictures are `video.main` (others `video.PATH`), `sound` or
`audio` is `audio.main`, `depth` and `labels` are `depth.main` and `segmentation.main`. Of pictures that are
stacked the last has the plain name, the others `video.main.0` and on; `video.main.alpha` is how opaque one
is. Where two names would be the same, the second ends in `_2`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from orrery.errors import BadUse
from orrery.streams import Array, Role, StreamSpec
from orrery.worlds.gymnasium import codecs
from orrery.worlds.gymnasium.codecs import Codec
from orrery.worlds.gymnasium.pictures import ImageSize, picture_form

__all__ = ["SpaceLayout", "action_layout", "observation_layout", "recordable", "unknown_parts"]

Space = spaces.Space[Any]
Path = tuple[Any, ...]
_MOST_NUMBERS = 2**19
_LONGEST_TEXT = 512
"""Characters of a text whose space does not say how long it may be, such as MiniGrid's missions."""
_HELD = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary, spaces.Text)
_MAIN_PICTURES = ("screen", "image", "pixels", "rgb")
"""Names of the leaf that is `video.main` where an observation holds several pictures."""
_MAPS = {"depth": "depth", "labels": "segmentation"}


class SpaceLayout:
    """The streams that hold the values of a space; see `observation_layout` and `action_layout`.

    `from_streams(to_streams(value))` is the value: exactly for choices, bits, texts, float32, whole numbers
    and pictures of bytes that keep their size; float64 is rounded to float32, colours from 0 to 1 to bytes.
    """

    def __init__(self, space: Space, leaf_codecs: Mapping[Path, Codec]) -> None:
        self.space = space
        self._codecs = dict(leaf_codecs)
        self._inexact = {
            path: codec for path, codec in self._codecs.items() if isinstance(codec, codecs.Inexact)
        }
        specs = [spec for codec in self._codecs.values() for spec in codec.specs]
        self.streams: dict[str, StreamSpec] = {spec.name: spec for spec in specs}
        """Name to spec, one frame a tick, in the order of the space."""

    def to_streams(self, value: Any, num_leading: int = 0) -> dict[str, Array]:
        """Stream name to `[*lead, *spec.shape]`.

        value: of the space; with `num_leading` leading axes its leaves are `[*lead, *shape]`, as in
        `gymnasium.vector`. ValueError that names the part for one that is none of the space.
        """
        streams: dict[str, Array] = {}
        for path, codec in self._codecs.items():
            try:
                leaf = np.asarray(_at(value, path), object if isinstance(codec, codecs.Letters) else None)
                if leaf.dtype.kind == "c":
                    raise ValueError("complex numbers, which no stream can hold")
                payloads = codec.write(leaf, leaf.shape[:num_leading])
            except (ValueError, LookupError, TypeError, OverflowError) as error:
                name = codec.specs[0].name if codec.specs else str(path)
                why = " is not there" if isinstance(error, LookupError) else f": {error}"
                raise ValueError(f"{name}{why}") from error
            streams |= {spec.name: p for spec, p in zip(codec.specs, payloads, strict=True)}
        return streams

    def from_streams(self, streams: Mapping[str, Array], num_leading: int = 0) -> Any:
        """The value that streams stand for, always inside the space; see `to_streams`.

        streams: may hold others besides.
        """
        arrays = {name: np.asarray(streams[name]) for name in self.streams}
        lead = next(iter(arrays.values())).shape[:num_leading] if arrays else ()
        leaves = {
            path: codec.read([arrays[spec.name] for spec in codec.specs], lead)
            for path, codec in self._codecs.items()
        }
        return _built(self.space, (), leaves, bool(num_leading))

    def changes(self, value: Any, num_leading: int = 0) -> dict[str, int]:
        """What of a value its streams do not hold as it was, in words, and in how many ticks; see
        `to_streams`."""
        found = dict[str, int]()
        for path, codec in self._inexact.items():
            leaf = np.asarray(_at(value, path))
            counts = codec.changes(leaf, leaf.shape[:num_leading])
            found |= {f"{codec.specs[0].name}: {what}": count for what, count in counts.items()}
        return found

    def outside(self, streams: Mapping[str, Array]) -> dict[str, int]:
        """Names of streams `[num_ticks, *shape]` whose numbers leave the bounds of the space, and in how many
        ticks; `from_streams` would put them back."""
        numbers = [codec for codec in self._codecs.values() if isinstance(codec, codecs.Numbers)]
        known = {codec.specs[0].name: codec for codec in numbers}
        counts = {name: codec.num_outside(streams[name]) for name, codec in known.items() if name in streams}
        return {name: count for name, count in counts.items() if count}


def observation_layout(space: Space, image_size: ImageSize | None = None) -> SpaceLayout:
    """The streams of observations, role `observed`. image_size: of their pictures; None keeps their own.

    BadUse that names the part for a space that no stream holds; see `recordable`.
    """
    leaves = dict(_leaves(space, ()))
    pictures = [path for path, leaf in leaves.items() if picture_form(leaf) and not _is_map(path)]
    named = [path for path in pictures if path and path[-1] in _MAIN_PICTURES]
    main = (named or pictures or [None])[0]

    return _layout(space, lambda path, leaf, end: _observed(path, leaf, end, path == main, image_size))


def action_layout(space: Space) -> SpaceLayout:
    """The streams of actions, role `given`. BadUse that names the part for a space that no stream holds."""
    layout = _layout(space, lambda p, leaf, end: _numbers(_stream_name("action", p) + end, leaf, "given"))
    if not layout.streams:
        raise BadUse(f"an action space of numbers is needed (Box, Discrete, ...), got {space}")
    return layout


def recordable(space: Space) -> tuple[Space, dict[str, str]]:
    """An observation space without the parts that no stream holds, and these by name, each with the reason.

    In a `Tuple`, and as the whole, an empty `Dict` stands for such a part, so that the others keep their
    places. Of a kind that is not Gymnasium's own, texts are a `Text`, and arrays a `Box` without bounds.
    """
    left_out: dict[str, str] = {}
    kept = _recordable(space, (), left_out)
    return (spaces.Dict() if kept is None else kept), left_out


def _recordable(space: Space, path: Path, left_out: dict[str, str]) -> Space | None:
    """The same of a part; None for one that no stream holds."""
    if isinstance(space, spaces.Dict):
        parts = {k: _recordable(part, (*path, k), left_out) for k, part in space.spaces.items()}
        return spaces.Dict([(key, part) for key, part in parts.items() if part is not None])
    if isinstance(space, spaces.Tuple):
        kept = [_recordable(part, (*path, i), left_out) for i, part in enumerate(space.spaces)]
        return spaces.Tuple([spaces.Dict() if part is None else part for part in kept])
    space = _own(space)
    try:
        observation_layout(space)
    except BadUse as error:
        why, _, _ = str(error).removeprefix("observation is ").partition(";")
        left_out[_stream_name("observation", path)] = why
        return None
    return space


def _own(space: Space) -> Space:
    """A space of another's kind as one of Gymnasium's, where its samples are texts or arrays of numbers."""
    if isinstance(space, _HELD):
        return space
    sample = space.sample()
    if isinstance(sample, str):
        return spaces.Text(_LONGEST_TEXT, min_length=0, charset=string.printable)
    if isinstance(sample, np.ndarray) and sample.dtype.kind == "f":
        return spaces.Box(-np.inf, np.inf, sample.shape, sample.dtype.type)
    if isinstance(sample, np.ndarray) and sample.dtype.kind in "iu":
        limits = np.iinfo(sample.dtype)
        return spaces.Box(limits.min, limits.max, sample.shape, sample.dtype.type)
    return space


def _layout(space: Space, codec_of: Callable[[Path, Space, str], Codec]) -> SpaceLayout:
    """The layout with a codec for each leaf. codec_of: called with the leaf's path, the leaf, and what its
    streams' names end in."""
    taken: set[str] = set()
    made: dict[Path, Codec] = {}
    for path, leaf in _leaves(space, ()):
        codec, number = codec_of(path, leaf, ""), 1
        while taken & _names(codec):
            number += 1
            codec = codec_of(path, leaf, f"_{number}")
        taken |= _names(codec)
        made[path] = codec
    return SpaceLayout(space, made)


def _names(codec: Codec) -> set[str]:
    """Of its streams, alike whatever their case: there are disks that do not tell `Left` from `left`."""
    return {spec.name.casefold() for spec in codec.specs}


def _observed(path: Path, leaf: Space, end: str, is_main: bool, image_size: ImageSize | None) -> Codec:
    key, form = path[-1] if path else None, picture_form(leaf)
    if isinstance(leaf, spaces.Box):
        if _is_map(path) and codecs.is_map(leaf):
            return codecs.map_codec(_instance(_MAPS[str(key)], path) + end, leaf, image_size)
        if form is not None:
            name = "video.main" if is_main else _stream_name("video", path)
            return codecs.picture_codec(name + end, leaf, form, image_size)
        if key in ("sound", "audio") and codecs.is_sound(leaf):
            return codecs.sound_codec(_instance("audio", path) + end, leaf)
    return _numbers(_stream_name("observation", path) + end, leaf, "observed")


def _numbers(name: str, leaf: Space, role: Role) -> Codec:
    codec = codecs.codec_of_numbers(name, leaf, role)
    if codec is None:
        word = name.partition(".")[0]
        raise BadUse(
            f"{name} is {leaf}, which no stream can hold; wrap the environment so that its {word}s are "
            "numbers and choices: Box, Discrete, MultiDiscrete, MultiBinary, and Dict and Tuple of these"
        )
    width = max((int(np.prod(spec.shape)) for spec in codec.specs), default=0)
    if width > _MOST_NUMBERS:
        raise BadUse(
            f"{name} is {width:,} numbers a step, {_MOST_NUMBERS:,} can be recorded; wrap the environment so "
            "that it gives fewer, or pictures: [H, W, 3] uint8"
        )
    return codec


def _is_map(path: Path) -> bool:
    return bool(path) and path[-1] in _MAPS


def _instance(word: str, path: Path) -> str:
    """`depth.main` of a leaf of the whole, `depth.left` of one that is nested in `left`."""
    return f"{word}.main" if len(path) == 1 else _stream_name(word, path[:-1])


def _stream_name(root: str, path: Path) -> str:
    return ".".join([root, *(re.sub(r"[^0-9A-Za-z_-]+", "_", str(key)) or "_" for key in path)])


def _leaves(space: Space, path: Path) -> Iterator[tuple[Path, Space]]:
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for i, part in enumerate(space.spaces):
            yield from _leaves(part, (*path, i))
    else:
        yield path, space


def unknown_parts(space: Space, value: Any, path: Path = ()) -> list[str]:
    """The parts of an observation that its space has not, and that are not recorded, in words."""
    if isinstance(space, spaces.Dict) and isinstance(value, Mapping):
        inside = space.spaces
        beyond = [key for key in value if key not in inside] if len(value) != len(inside) else []
    elif isinstance(space, spaces.Tuple) and isinstance(value, tuple | list):
        inside, beyond = dict(enumerate(space.spaces)), range(len(space.spaces), len(value))
    else:
        return []
    found = [f"{_stream_name('observation', (*path, k))}: not in the observation space" for k in beyond]
    for key, part in inside.items():
        if isinstance(part, spaces.Dict | spaces.Tuple):
            found += unknown_parts(part, _at(value, (key,)), (*path, key))
    return found


def _at(value: Any, path: Path) -> Any:
    """A part of a value; LookupError where it is not there."""
    try:
        for key in path:
            value = value[key]
    except TypeError as error:  # what should hold it is a text, or a number
        raise LookupError(str(error)) from error
    return value


def _built(space: Space, path: Path, leaves: Mapping[Path, Array], is_batch: bool) -> Any:
    if isinstance(space, spaces.Dict):
        return {k: _built(part, (*path, k), leaves, is_batch) for k, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_built(part, (*path, i), leaves, is_batch) for i, part in enumerate(space.spaces))
    leaf = np.asarray(leaves[path])
    if isinstance(space, spaces.Text):
        return tuple(leaf) if is_batch else leaf[()]
    return leaf[()] if isinstance(space, spaces.Discrete) and not is_batch else leaf
