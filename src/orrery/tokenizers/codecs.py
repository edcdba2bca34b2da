"""Codecs of the streams that need no network, and the order in which streams are settled within a tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from orrery.tokenizers.state import StateCodec
from orrery.tokenizers.vector import VectorCodec
from orrery.tokenizers.video import VideoTokenizerConfig

__all__ = ["GENERATE", "PERCEIVE", "Codecs"]

GENERATE = {
    "action": 0, "camera.main": 0, "state": 0, "touch.finger": 1, "audio.main": 1, "video.main": 2,
}  # fmt: skip
PERCEIVE = {
    "action": 0, "video.main": 1, "touch.finger": 1, "audio.main": 1, "camera.main": 2, "state": 2,
}  # fmt: skip
"""Stream to rank, when the state is imagined first and when it is read off pictures and sound."""


@dataclass(frozen=True)
class Codecs:
    """How the streams without a tokenizer network become numbers."""

    state: StateCodec
    vectors: Mapping[str, VectorCodec]

    def to_json(self) -> dict[str, Any]:
        return {"state": self.state.to_json(), "vectors": {n: c.to_json() for n, c in self.vectors.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Codecs:
        vectors = {name: VectorCodec.from_json(v) for name, v in values["vectors"].items()}
        return cls(StateCodec.from_json(values["state"]), vectors)

    def outlook(self, video: VideoTokenizerConfig, state: Tensor, pose: Tensor) -> Tensor | None:
        """What a decoder of pictures is told of `state [..., frames, K, D]` as a camera at `pose [..., 8]`
        sees it, `[..., frames, cells, sight_width]`; None where it is told nothing."""
        if video.sight_grid is None:
            return None
        return self.state.look(state, pose, video.sight_grid)
