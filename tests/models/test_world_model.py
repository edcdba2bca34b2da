"""One tick after the other, with a cache, is the clip as a whole."""

from __future__ import annotations

import torch

from orrery.models.tokens import Noisy, StreamTokens, WorldModelConfig
from orrery.models.world_model import WorldModel

TICKS, WINDOW = 9, 4


@torch.inference_mode()
def test_ticks_with_a_cache_are_the_clip_as_a_whole() -> None:
    """Longer than the window: what a tick attends is the same in training and in a long rollout."""
    streams = (
        StreamTokens("video.main", 16, 6, grid=(4, 4)),
        StreamTokens("observation", 2, 8),
        StreamTokens("action", 1, 3, given=True),
    )
    order = (("action",), ("observation",), ("video.main",))
    torch.manual_seed(0)
    config = WorldModelConfig(
        streams, order, 0.05, window_ticks=WINDOW, few_width=32, grid_width=16, grid_head_width=16
    )
    model = WorldModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    level = torch.zeros(2, TICKS)
    level[:, 0] = 1.0
    past = {s.name: Noisy(torch.randn(2, TICKS, s.tokens, s.width), level) for s in streams if not s.given}
    given = {"action": Noisy(torch.randn(2, TICKS, 1, 3), torch.zeros(2, TICKS))}
    seconds = torch.arange(TICKS) * 0.05
    whole, _ = model.trunk(past, given, seconds)
    cache = model.empty_cache(2)
    for k in range(TICKS):
        one = [
            {name: Noisy(n.latents[:, k : k + 1], n.level[:, k : k + 1]) for name, n in known.items()}
            for known in (past, given)
        ]
        hidden, advanced = model.trunk(one[0], one[1], seconds[k : k + 1], cache)
        assert advanced is not None
        cache = advanced
        assert torch.allclose(hidden.few[:, 0], whole.few[:, k], atol=1e-4)
        grid, expected = hidden.grids["video.main"][:, 0], whole.grids["video.main"][:, k]
        assert torch.allclose(grid, expected, atol=1e-4)
