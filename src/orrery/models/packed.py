"""Weights as they lie in a checkpoint: half precision, or a byte each with a scale for every row."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["half", "pack", "unpack"]

SCALE = "/scale"
"""What is added to a packed tensor's name for that of its scales."""
SMALLEST = 4096
"""Numbers from which on a matrix is packed; the rest is a small part of a network and the most sensitive."""
LARGEST_BYTE = 127


def half(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Floating point at half precision; the rest as it is."""
    return {n: v.to(torch.float16) if v.is_floating_point() else v for n, v in tensors.items()}


def pack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Large matrices and kernels `[out, ...]` as int8, each row with a scale of its own; the rest at half
    precision.

    A weight is off by at most half of a 127th of the largest of its row.
    """
    packed = half(tensors)
    for name, value in tensors.items():
        if not (value.is_floating_point() and value.ndim >= 2 and value.numel() >= SMALLEST):
            continue
        rows = value.detach().float().flatten(1)
        scale = (
            (rows.abs().amax(1) / LARGEST_BYTE).clamp_min(2.0**-14).half()
        )  # no smaller: it would be denormal
        packed[name] = (
            (rows / scale.float()[:, None]).round().clamp(-128, 127).to(torch.int8).view(value.shape)
        )
        packed[name + SCALE] = scale
    return packed


def unpack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `pack`, as float32 where something was packed; tensors that were not are left alone."""
    values = {n: v for n, v in tensors.items() if not n.endswith(SCALE)}
    for name in [n.removesuffix(SCALE) for n in tensors if n.endswith(SCALE)]:
        if name in values:
            scale = tensors[name + SCALE].float()
            values[name] = values[name].float() * scale.view(-1, *[1] * (values[name].ndim - 1))
    return values
