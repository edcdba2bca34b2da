"""Codecs of the streams that need no network, and the order in which streams are settled within a tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from orrery.tokenizers.glance import Glances
from orrery.tokenizers.state import StateCodec, Told
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
    """How the streams without a tokenizer network become numbers. glances: what a state that is read off
    pictures is told of them; None where attention alone looks."""

    state: StateCodec
    vectors: Mapping[str, VectorCodec]
    glances: Glances | None = None

    def to_json(self) -> dict[str, Any]:
        vectors = {name: codec.to_json() for name, codec in self.vectors.items()}
        glances = None if self.glances is None else vars(self.glances).copy()
        return {"state": self.state.to_json(), "vectors": vectors, "glances": glances}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Codecs:
        vectors = {name: VectorCodec.from_json(v) for name, v in values["vectors"].items()}
        glances = values.get("glances")
        return cls(
            StateCodec.from_json(values["state"]), vectors, None if glances is None else Glances(**glances)
        )

    @property
    def state_width(self) -> int:
        """Numbers a slot in `state_features`."""
        return self.state.feature_width + (0 if self.glances is None else self.glances.total_width)

    def state_features(
        self,
        numbers: Tensor,
        anchor: Tensor,
        has_anchor: Tensor,
        level: Tensor,
        camera: Tensor,
        told: Told,
        pictures: Tensor | None = None,
    ) -> Tensor:
        """What the network sees of a state, `[..., K, state_width]`: see `StateCodec.features`, and of the
        pictures that it is read off, `[..., cells, numbers]`, what they show around each object."""
        features = self.state.features(numbers, anchor, has_anchor, level, camera, told)
        if self.glances is None:
            return features
        if pictures is None:
            seen = features.new_zeros(*features.shape[:-1], self.glances.total_width)
        else:
            last = self.state.decode(numbers, anchor, has_anchor, snap=False)[..., -1, :, :]
            seen = self.glances.at(pictures, last, camera, self.state.layout)
        return torch.cat([features, seen], dim=-1)

    def outlook(self, video: VideoTokenizerConfig, state: Tensor, pose: Tensor) -> Tensor | None:
        """What a decoder of pictures is told of `state [..., frames, K, D]` as a camera at `pose [..., 8]`
        sees it, `[..., frames, cells, sight_width]`; None where it is told nothing."""
        if video.sight_grid is None:
            return None
        return self.state.look(state, pose, video.sight_grid)
