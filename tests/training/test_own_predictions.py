"""Own predictions in the context: as deep as is said, they are those of a rollout, tick by tick."""

from __future__ import annotations

import pytest
import torch

from orrery.models.tokens import Noisy, StreamTokens, WorldModelConfig
from orrery.models.world_model import WorldModel
from orrery.training.encoded import Clip
from orrery.training.world_loss import LossConfig, _Draws, _own_ticks, _with_own

BATCH, TICKS, FIRST = 2, 8, 3
STREAMS = (
    StreamTokens("video.main", 16, 6, grid=(4, 4)),
    StreamTokens("observation", 1, 4),
    StreamTokens("reward", 1, 2, outcome=True),
    StreamTokens("action", 1, 3, given=True),
)


@pytest.fixture
def model() -> WorldModel:
    order = (("action",), ("observation",), ("video.main",), ("reward",))
    torch.manual_seed(0)
    config = WorldModelConfig(STREAMS, order, 0.05, few_width=32, grid_width=16, grid_head_width=16)
    model = WorldModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.fixture
def clip() -> Clip:
    generator = torch.Generator().manual_seed(1)
    latents = {s.name: torch.randn(BATCH, TICKS + 1, s.tokens, s.width, generator=generator) for s in STREAMS}
    valid = torch.ones(BATCH, TICKS + 1, dtype=torch.bool)
    return Clip(latents, valid, 0.05 * torch.arange(1, TICKS + 1), torch.zeros(BATCH, dtype=torch.bool))


@torch.no_grad()
def rolled_out(model: WorldModel, clip: Clip, given: dict[str, Noisy], num: int) -> dict[str, torch.Tensor]:
    """The context with `num` ticks from FIRST on imagined one after the other, each group after the one
    before it."""
    context = {s.name: clip.latents[s.name][:, :-1].clone() for s in STREAMS}
    level = torch.zeros(BATCH, TICKS)
    for tick in range(FIRST, FIRST + num):
        past = {s.name: Noisy(context[s.name], level) for s in STREAMS if s.in_context}
        hidden, _ = model.trunk(past, given, clip.seconds)
        known = dict(given)
        for name in ("observation", "video.main"):
            made = model.head(hidden, known, past, [name])[name]
            known[name] = Noisy(made, level)
            context[name][:, tick] = made[:, tick - 1]
    return context


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_so_many_in_a_row_are_a_rollout(model: WorldModel, clip: Clip, depth: int) -> None:
    given = {"action": Noisy(clip.latents["action"][:, 1:], torch.zeros(BATCH, TICKS))}
    replaced = (torch.arange(TICKS) >= FIRST).expand(BATCH, -1)
    real_context = {s.name: clip.latents[s.name][:, :-1] for s in STREAMS}
    context = _with_own(model, clip, real_context, given, replaced, depth)
    expected = rolled_out(model, clip, given, depth)
    for name in ("observation", "video.main"):
        real = clip.latents[name][:, :-1]
        assert torch.equal(context[name][:, :FIRST], real[:, :FIRST])
        same, deeper = slice(FIRST, FIRST + depth), slice(FIRST + depth, None)
        assert torch.allclose(context[name][:, same], expected[name][:, same], atol=1e-4)
        assert (context[name][:, deeper] - real[:, deeper]).abs().amax() > 0.1
    assert torch.equal(context["action"], clip.latents["action"][:, :-1])


def test_the_first_ticks_are_real_and_ticks_that_are_not_there_stay_so() -> None:
    present = torch.ones(400, TICKS, dtype=torch.bool)
    present[:, 6:] = False
    draws = _Draws(torch.Generator().manual_seed(0), torch.device("cpu"))
    chosen = _own_ticks(present, LossConfig().own_share, draws)
    assert not chosen[:, :2].any()
    assert not chosen[:, 6:].any()
    to_the_end = chosen[:, 2:6].flip(1).cumprod(1).sum(1) == chosen[:, 2:6].sum(1)
    assert 0.5 < to_the_end.float().mean() < 0.9
    assert 0.3 < chosen[:, 2:6].float().mean() < 0.6
