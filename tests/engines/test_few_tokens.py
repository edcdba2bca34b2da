"""The passes of few operations give what the model gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from orrery.engines.few_tokens import FewTokens
from orrery.models.tokens import Noisy, StreamTokens, WorldModelConfig
from orrery.models.world_model import WorldModel

B = 3
NUMBERS = (
    StreamTokens("observation", 1, 8),
    StreamTokens("action", 1, 2, given=True),
    StreamTokens("reward", 1, 2, outcome=True),
)
SEEN = (StreamTokens("video.main", 16, 6, grid=(4, 4)), StreamTokens("slots", 5, 6))


@pytest.mark.parametrize("more", [(), SEEN])
@torch.inference_mode()
def test_it_gives_what_the_model_gives(more: tuple[StreamTokens, ...]) -> None:
    """More ticks than the window has; one without an action, one stream that is half known; worlds at several
    times; a picture that is not seen."""
    torch.manual_seed(0)
    observed = ("observation", *(s.name for s in more if s.grid is None))
    pictures = tuple((s.name,) for s in more if s.grid is not None)
    order = (("action",), observed, *pictures, ("reward",))
    sizes = {"few_width": 32, "grid_width": 16, "grid_head_width": 16, "window_ticks": 4}
    model = WorldModel(WorldModelConfig((*more, *NUMBERS), order, 0.02, **sizes)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    few = FewTokens(model)
    caches = model.empty_cache(B), few.empty_cache(B)
    seconds = torch.tensor([0.0, 0.4, 7.0])
    past = {s.name: torch.zeros(B, s.tokens, s.width) for s in model.few if not s.given}
    level = 1.0
    for tick in range(7):
        known = {} if tick == 4 else {"action": (torch.randn(B, 1, 2), 0.0)}
        before = {name: (value, level) for name, value in past.items()}
        hidden, cache = model.trunk(_noisy(before), _noisy(known), seconds[:, None], caches[0])
        assert cache is not None
        said, few_cache = few.trunk(before, known, seconds, caches[1])
        caches = cache, few_cache
        for group in order:
            want = [n for n in group if n in past or (n == "action" and n not in known)]
            if not want:
                continue
            expected = model.head(hidden, _noisy(known), _noisy(before), want)
            got = few.head(said, known, before, want)
            for name in want:
                assert torch.allclose(got[name], expected[name][:, 0], rtol=1e-4, atol=1e-4)
                known[name] = got[name], 0.3 if name == "slots" else 0.0
        past = {name: known[name][0] for name in past}
        level, seconds = 0.0, seconds + 0.02


def _noisy(known: dict[str, tuple[Tensor, float]]) -> dict[str, Noisy]:
    return {n: Noisy(value[:, None], torch.full((B, 1), level)) for n, (value, level) in known.items()}
