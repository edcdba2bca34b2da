"""Teaching the video tokenizer: pictures there and back, in which what moves and what is small weigh as much
as all the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from orrery.models.tokenizers.video import LATENT_NOISE, VideoTokenizer
from orrery.streams import Array

__all__ = ["PictureLossConfig", "PicturePairs", "picture_loss"]

CHANGED = 0.12
"""Difference of a colour (of a range of 2) from the picture before from which on a pixel counts as
changed."""


@dataclass(frozen=True)
class PictureLossConfig:
    """batch: pictures a step. changed_share: of the weight that changed pixels get together. max_weight: of
    one against one that did not change. penalty: of the mean square of raw latents."""

    batch: int = 24
    changed_share: float = 0.45
    max_weight: float = 150.0
    penalty: float = 1e-3


@dataclass(frozen=True)
class PicturePairs:
    """Pictures and those just before them in stretches of film, `[N, H, W, 3]` uint8 each."""

    stretches: Sequence[Array]

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Tensor, Tensor]:
        """Pictures and the ones before them; of a stretch of one picture, the same one."""
        lengths = np.array([len(stretch) for stretch in self.stretches])
        chosen = rng.choice(len(lengths), batch, p=lengths / lengths.sum())
        index = [int(rng.integers(min(1, lengths[k] - 1), lengths[k])) for k in chosen]
        now = np.stack([self.stretches[k][i] for k, i in zip(chosen, index, strict=True)])
        before = np.stack([self.stretches[k][max(0, i - 1)] for k, i in zip(chosen, index, strict=True)])
        return torch.from_numpy(now), torch.from_numpy(before)


def picture_loss(
    tokenizer: VideoTokenizer,
    pictures: Tensor,
    before: Tensor,
    config: PictureLossConfig,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Robust error of decoded pictures `[N, H, W, 3]`, whose latents got a little noise."""
    pixels, earlier = tokenizer.to_pixels(pictures), tokenizer.to_pixels(before)
    frozen = not any(p.requires_grad for p in tokenizer.encoder.parameters())
    with torch.set_grad_enabled(not frozen and torch.is_grad_enabled()):
        raw = tokenizer.encode_raw(pixels).float()
    spread = tokenizer.latent_std[:, None, None] if frozen else 1.0
    noise = LATENT_NOISE * torch.randn(raw.shape, generator=generator).to(raw)
    decoded = tokenizer.decode_raw(raw + spread * noise).float()
    changed = ((pixels - earlier).abs().amax(1, keepdim=True) > CHANGED).float()
    changed = F.max_pool2d(changed, 3, 1, 1)
    odds = config.changed_share / (1 - config.changed_share)
    weight = 1 + (odds / changed.mean().clamp_min(1e-4)).clamp(max=config.max_weight) * changed
    error = decoded - pixels
    robust = 5 * ((error.square() + 0.04).sqrt() - 0.2)
    losses = {"pixels": (robust * weight).mean() / weight.mean()}
    return losses if frozen else losses | {"latents": config.penalty * raw.square().mean()}
