"""Small streams (touch, camera, action) as numbers of about unit scale: shift, divide, perhaps squash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["VectorCodec"]


@dataclass(frozen=True)
class VectorCodec:
    """One tick of a stream, `[..., *shape]`, as one token `[..., 1, width]` and back.

    shift, scale: in the stream's unit, one value for all numbers or one for each. squash: asinh after
    scaling, for streams that are mostly zero and sometimes large.
    """

    shape: tuple[int, ...]
    shift: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)
    squash: bool = False

    @property
    def width(self) -> int:
        return int(torch.Size(self.shape).numel())

    def encode(self, payload: Tensor) -> Tensor:
        """`[..., *shape]` to `[..., 1, width]`."""
        flat = payload.flatten(-len(self.shape))[..., None, :]
        numbers = (flat - self._row(self.shift, flat)) / self._row(self.scale, flat)
        return torch.asinh(numbers) if self.squash else numbers

    def decode(self, numbers: Tensor) -> Tensor:
        """`[..., 1, width]` to `[..., *shape]`."""
        values = torch.sinh(numbers.clamp(-12.0, 12.0)) if self.squash else numbers
        flat = values * self._row(self.scale, numbers) + self._row(self.shift, numbers)
        return flat[..., 0, :].unflatten(-1, self.shape)

    def _row(self, values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device)

    def to_json(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> VectorCodec:
        return cls(tuple(values["shape"]), tuple(values["shift"]), tuple(values["scale"]), values["squash"])
