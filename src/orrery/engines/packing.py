"""Linear layers for a few tokens at a time: weights packed once, in half precision.

A pass over a tick has four to seventy tokens, so that its time goes into reading weights, not into
multiplying. In half precision, in which checkpoints hold them anyway, they are half as long, and they lie in
the order in which they are read. All sums are float32, as before.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from orrery.models.transformer import WorldTransformer

__all__ = ["can_pack", "packed"]


def can_pack() -> bool:
    """Whether torch has FBGEMM here, whose kernels these are: on x86 with AVX2."""
    return "fbgemm" in torch.backends.quantized.supported_engines


def packed(model: WorldTransformer) -> WorldTransformer:
    """A model that gives what `model` gives, rounded to half precision in its linear layers' weights; it
    shares everything else. `model` itself where nothing can be packed, as on a GPU, or all is already."""
    on_cpu = all(weight.device.type == "cpu" for weight in model.parameters())
    if not (on_cpu and can_pack() and any(isinstance(layer, nn.Linear) for layer in model.modules())):
        return model
    copy = deepcopy(model, {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]})
    for parent in copy.modules():
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Linear):
                setattr(parent, name, _PackedLinear(layer))
    return copy


class _PackedLinear(nn.Module):
    """An `nn.Linear` that can no longer learn."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self._weight: Any = torch.ops.quantized.linear_prepack_fp16(
            layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.quantized.linear_dynamic_fp16(x, self._weight)
