"""Flow interpolation, and the one sampler of noise levels.

A stream at level s is (1 - s) times what it is plus s times noise (Lipman et al. 2023, "Flow matching",
arXiv:2210.02747); the network predicts what it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["draw_levels", "interpolate", "known_or_absent", "step_levels"]

ORDERED_SHARE = 0.75
"""Share of clips whose levels follow the order in which streams are imagined; in the others every stream has
a level of its own."""
ABSENT_SHARE = 0.5
SLIGHT = 0.1
SHIFT = 4.0
"""How much more of steps and training is near to noise than if they were even: there it is settled what a
picture will show (Esser et al. 2024, arXiv:2403.03206)."""


def interpolate(clean: Tensor, level: Tensor, noise: Tensor) -> Tensor:
    """Latents `[B, T, tokens, width]` at `level [B, T]`."""
    s = level[..., None, None]
    return (1 - s) * clean + s * noise


def step_levels(num_steps: int) -> list[float]:
    """Levels at which a stream is denoised in `num_steps` steps, from 1 down, shifted towards noise."""
    return [float(_shifted(torch.tensor(1 - k / num_steps, dtype=torch.float64))) for k in range(num_steps)]


def draw_levels(
    order: Sequence[Sequence[str]],
    shape: tuple[int, int],
    generator: torch.Generator,
    absent_share: float = ABSENT_SHARE,
    weights: Sequence[float] | None = None,
) -> dict[str, Tensor]:
    """A noise level `[B, T]` in [0, 1] for every stream of `order`, on the CPU.

    In most clips one group of each tick is being imagined, at level 1 or anything below; the groups before it
    are known or nearly, those after it absent. In the others each stream is known, absent or anything.
    absent_share: of the groups that are being imagined, at level 1. weights: how often it is each of them.
    """
    ordered = torch.rand(shape[0], 1, generator=generator) < ORDERED_SHARE
    if weights is None or len(set(weights)) == 1:
        position = torch.randint(len(order), shape, generator=generator)
    else:
        chances = torch.tensor(weights)
        position = torch.multinomial(chances, shape[0] * shape[1], True, generator=generator).view(shape)
    levels: dict[str, Tensor] = {}
    for number, group in enumerate(order):
        between = _shifted(0.005 + 0.995 * torch.rand(shape, generator=generator))
        current = torch.where(torch.rand(shape, generator=generator) < absent_share, 1.0, between)
        slight = SLIGHT * torch.rand(shape, generator=generator)
        slight = torch.where(torch.rand(shape, generator=generator) < 0.5, slight, 0.0)
        in_order = torch.where(position > number, slight, torch.where(position == number, current, 1.0))
        for name in group:
            third = torch.rand(shape, generator=generator)
            free = torch.where(
                third < 1 / 3, 0.0, torch.where(third < 2 / 3, 1.0, torch.rand(shape, generator=generator))
            )
            levels[name] = torch.where(ordered, in_order, free)
    return levels


def _shifted(level: Tensor) -> Tensor:
    return SHIFT * level / (1 + (SHIFT - 1) * level)


def known_or_absent(num: int, ticks: int, share_known: float, generator: torch.Generator) -> Tensor:
    """Levels `[num, ticks]` that are 0 throughout a clip, or, in the others, 1; on the CPU."""
    known = torch.rand(num, 1, generator=generator) < share_known
    return torch.where(known, 0.0, 1.0).expand(-1, ticks)
