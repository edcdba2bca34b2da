"""Observations and actions of any space as streams, and back; a pure function of the space.

Each leaf of nested `Dict` and `Tuple` spaces is a stream of its own, named by its path: `observation` or
`observation.arm.joints`, `action` or `action.0`. Numbers are a vector, a `Discrete` a choice, a
`MultiDiscrete` a choice for each element (`action.0`, `action.1`; one vector of one-hots where there are
many). In observations, pictures are `video.main` (others `video.PATH`), `sound` or `audio` is `audio.main`,
`depth` and `labels` are `depth.main` and `segmentation.main`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from orrery.errors import BadUse
from orrery.streams import Array, Role, StreamSpec
from orrery.worlds.gymnasium import codecs
from orrery.worlds.gymnasium.codecs import Codec
from orrery.worlds.gymnasium.pictures import ImageSize

__all__ = ["SpaceLayout", "action_layout", "observation_layout"]

Space = spaces.Space[Any]
Path = tuple[Any, ...]
_MOST_NUMBERS = 16_384
_MAIN_PICTURES = ("screen", "image", "pixels", "rgb")
"""Names of the leaf that is `video.main` where an observation holds several pictures."""
_MAPS = {"depth": "depth", "labels": "segmentation"}


class SpaceLayout:
    """The streams that hold the values of a space; see `observation_layout` and `action_layout`.

    `from_streams(to_streams(value))` is the value: exactly for choices, bits, float32, whole numbers up to
    2^24 and pictures that keep their size; float64 is rounded to float32.
    """

    def __init__(self, space: Space, leaf_codecs: Mapping[Path, Codec]) -> None:
        self.space = space
        self._codecs = dict(leaf_codecs)
        specs = [spec for codec in self._codecs.values() for spec in codec.specs]
        self.streams: dict[str, StreamSpec] = {spec.name: spec for spec in specs}
        """Name to spec, one frame a tick, in the order of the space."""
        if len(self.streams) < len(specs):
            names = sorted(s.name for s in specs)
            raise BadUse(f"two parts of {space} would be one stream; rename its keys: {', '.join(names)}")

    def to_streams(self, value: Any, num_leading: int = 0) -> dict[str, Array]:
        """Stream name to `[*lead, *spec.shape]`.

        value: of the space; with `num_leading` leading axes its leaves are `[*lead, *shape]`, as in
        `gymnasium.vector`.
        """
        streams: dict[str, Array] = {}
        for path, codec in self._codecs.items():
            leaf = np.asarray(_at(value, path))
            payloads = codec.write(leaf, leaf.shape[:num_leading])
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


def observation_layout(space: Space, image_size: ImageSize | None = None) -> SpaceLayout:
    """The streams of observations, role `observed`. image_size: of their pictures; None keeps their own.

    BadUse that names the part for a space that no stream holds: text, graphs, sequences, huge arrays.
    """
    leaves = dict(_leaves(space, ()))
    pictures = [path for path, leaf in leaves.items() if codecs.is_picture(leaf) and not _is_map(path)]
    named = [path for path in pictures if path and path[-1] in _MAIN_PICTURES]
    main = (named or pictures or [None])[0]
    return SpaceLayout(space, {p: _observed(p, leaf, main, image_size) for p, leaf in leaves.items()})


def action_layout(space: Space) -> SpaceLayout:
    """The streams of actions, role `given`. BadUse that names the part for a space that no stream holds."""
    leaves = dict(_leaves(space, ()))
    layout = SpaceLayout(space, {p: _numbers(p, leaf, "action", "given") for p, leaf in leaves.items()})
    if not layout.streams:
        raise BadUse(f"an action space of numbers is needed (Box, Discrete, ...), got {space}")
    return layout


def _observed(path: Path, leaf: Space, main: Path | None, image_size: ImageSize | None) -> Codec:
    key = path[-1] if path else None
    if _is_map(path) and codecs.is_map(leaf):
        assert isinstance(leaf, spaces.Box)
        return codecs.map_codec(_instance(_MAPS[str(key)], path), leaf, image_size)
    if codecs.is_picture(leaf):
        assert isinstance(leaf, spaces.Box)
        name = "video.main" if path == main else _stream_name("video", path)
        return codecs.picture_codec(name, leaf, image_size)
    if key in ("sound", "audio") and codecs.is_sound(leaf):
        assert isinstance(leaf, spaces.Box)
        return codecs.sound_codec(_instance("audio", path), leaf)
    return _numbers(path, leaf, "observation", "observed")


def _numbers(path: Path, leaf: Space, root: str, role: Role) -> Codec:
    codec, name = codecs.codec_of_numbers(_stream_name(root, path), leaf, role), _stream_name(root, path)
    if codec is None:
        raise BadUse(f"{name} is {leaf}, which no stream can hold; wrap the environment to leave it out")
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
    return ".".join([root, *(re.sub(r"[^0-9A-Za-z_-]+", "_", str(key)) for key in path)])


def _leaves(space: Space, path: Path) -> Iterator[tuple[Path, Space]]:
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for i, part in enumerate(space.spaces):
            yield from _leaves(part, (*path, i))
    else:
        yield path, space


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _built(space: Space, path: Path, leaves: Mapping[Path, Array], is_batch: bool) -> Any:
    if isinstance(space, spaces.Dict):
        return {k: _built(part, (*path, k), leaves, is_batch) for k, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_built(part, (*path, i), leaves, is_batch) for i, part in enumerate(space.spaces))
    leaf = np.asarray(leaves[path])
    return leaf[()] if isinstance(space, spaces.Discrete) and not is_batch else leaf
