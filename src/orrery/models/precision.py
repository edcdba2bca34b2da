"""In which precision networks run on a device."""

from __future__ import annotations

import torch

__all__ = ["mixed_precision", "prefers_bf16"]


def prefers_bf16(device: str | torch.device = "cpu") -> bool:
    """Whether bfloat16 is faster there: twice on a CPU that has instructions for it, and eight times slower
    on one that has not."""
    kind = torch.device(device).type
    return kind == "cuda" or (kind == "cpu" and torch.cpu._is_avx512_bf16_supported())


def mixed_precision(device: str | torch.device = "cpu", wanted: bool = True) -> torch.autocast:
    """Autocast to bfloat16 where that is faster."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=wanted and prefers_bf16(device))
