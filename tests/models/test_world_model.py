"""One tick after the other, with a cache, is the clip as a whole."""

from __future__ import annotations

import torch

from orrery.models.tokens import Noisy, StreamTokens, WorldModelConfig
from orrery.models.world_model import Hidden, WorldModel

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


def with_text() -> WorldModel:
    streams = (
        StreamTokens("video.main", 16, 6, grid=(4, 4)),
        StreamTokens("observation", 2, 8),
        StreamTokens("text", 5, 7, text=True),
    )
    torch.manual_seed(0)
    config = WorldModelConfig(
        streams, (("observation",), ("video.main",)), 0.05, few_width=32, grid_width=16, grid_head_width=16
    )
    model = WorldModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@torch.inference_mode()
def test_a_picture_that_is_left_out_is_one_of_which_nothing_is_known() -> None:
    model, known, absent = with_text(), torch.zeros(3, 4), torch.ones(3, 4)
    past = {"observation": Noisy(torch.randn(3, 4, 2, 8), known)}
    hidden, _ = model.trunk(past, {}, torch.arange(4) * 0.05)
    now = {"observation": Noisy(torch.randn(3, 4, 2, 8), 0.3 * absent)}
    unseen = {"video.main": Noisy(torch.randn(3, 4, 16, 6), absent)}
    left_out = model.head(hidden, now, past, ["observation"])["observation"]
    torch.testing.assert_close(
        model.head(hidden, now | unseen, past, ["observation"])["observation"], left_out
    )


@torch.inference_mode()
def test_a_sentence_serves_every_tick_of_its_own_episode() -> None:
    """The head reads it for each tick: a clip of several ticks is its ticks."""
    model, known = with_text(), torch.zeros(2, 3)
    words = torch.nn.functional.one_hot(torch.tensor([[[0, 1, 2, 3, 4]], [[6, 5, 4, 3, 2]]]), 7).float()
    given = {"text": Noisy(words, torch.zeros(2, 1))}
    past = {"observation": Noisy(torch.randn(2, 3, 2, 8), known)}
    hidden, _ = model.trunk(past, given, torch.arange(3) * 0.05)
    whole = model.head(hidden, {}, past, ["observation"])["observation"]
    for b in range(2):
        for t in range(3):
            text = None if hidden.text is None else (hidden.text[0][b : b + 1], hidden.text[1][b : b + 1])
            one = Hidden(hidden.few[b : b + 1, t : t + 1], {"video.main": torch.zeros(1, 1, 4, 4, 16)}, text)
            before = {"observation": Noisy(past["observation"].latents[b : b + 1, t : t + 1], known[:1, :1])}
            alone = model.head(one, {}, before, ["observation"])["observation"]
            torch.testing.assert_close(alone[0, 0], whole[b, t])
