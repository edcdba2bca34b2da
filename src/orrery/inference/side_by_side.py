"""Two worlds as one: the same seed and sentence, in step, their pictures next to each other.

The pair is itself a world, so whatever can film or show a world can film or show the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from orrery.media import side_by_side
from orrery.streams import Array, Observation, StreamSpec, WorldSpec
from orrery.world import World

__all__ = ["SideBySide"]


class SideBySide:
    """`left` and `right` in one picture, with a light line between; see `orrery.media.side_by_side`.

    sound: whose `audio.main` is heard; the two are never mixed. Streams: `video.main` and that sound.
    Both worlds have the same clock, batch size and height of picture; ValueError otherwise.
    """

    def __init__(self, left: World, right: World, sound: Literal["left", "right"] = "left") -> None:
        if left.spec.clock != right.spec.clock or left.num_worlds != right.num_worlds:
            raise ValueError("two worlds side by side need the same clock and the same number of worlds")
        self.num_worlds = left.num_worlds
        self._left, self._right, self._sound = left, right, sound
        blanks = [world.spec.streams["video.main"].zeros() for world in (left, right)]
        shape = side_by_side(blanks[0], blanks[1]).shape
        streams = {"video.main": StreamSpec("video.main", "video", "observed", shape, "uint8", "sRGB")}
        heard = (left if sound == "left" else right).spec.streams
        if "audio.main" in heard:
            streams["audio.main"] = heard["audio.main"]
        self.spec = WorldSpec(left.spec.clock, streams)

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """Both start again with the same arguments; see `World.reset`. One picture cannot be given to two."""
        if given:
            raise ValueError("two worlds side by side take no given streams")
        return self._pair(*(w.reset(seed, prompt, scene, None, mask) for w in (self._left, self._right)))

    def step(self, action: Array | None = None) -> Observation:
        """Both advance one tick under the same action, or none."""
        return self._pair(self._left.step(action), self._right.step(action))

    def _pair(self, left: Observation, right: Observation) -> Observation:
        pairs = zip(left["video.main"], right["video.main"], strict=True)
        pair = {"video.main": np.stack([side_by_side(left_one, right_one) for left_one, right_one in pairs])}
        heard = left if self._sound == "left" else right
        return pair | {name: heard[name] for name in self.spec.streams if name == "audio.main"}
