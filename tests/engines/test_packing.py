"""Packed layers: the same numbers from weights in half precision."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from orrery.engines.packing import can_pack, packed
from orrery.models.transformer import WorldTransformer

RANKS = {"action": 0, "state": 0, "audio.main": 1, "video.main": 2}
pytestmark = pytest.mark.skipif(not can_pack(), reason="no FBGEMM on this machine: nothing is packed")


def _run(model: WorldTransformer) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = model.config.streams
    numbers = {n: torch.randn(2, 3, s.num_tokens, s.width, generator=generator) for n, s in shapes.items()}
    levels = {name: torch.rand(2, 3, generator=generator) for name in shapes}
    features = {"state": torch.randn(2, 3, 3, 5, generator=generator)}
    with torch.no_grad():
        return model(torch.tensor([[3, 4, 0], [5, 0, 0]]), numbers, features, levels, RANKS)


def test_of_a_checkpoint_the_numbers_are_the_same(small_transformer: WorldTransformer) -> None:
    """Checkpoints hold half precision, so that packing rounds nothing."""
    stored = deepcopy(small_transformer).half().float()
    mine, plain = _run(packed(stored)), _run(stored)
    for name, value in plain.items():
        torch.testing.assert_close(mine[name], value, atol=1e-5, rtol=1e-5)


def test_it_rounds_the_weights_of_linear_layers_and_leaves_the_model_alone(
    small_transformer: WorldTransformer,
) -> None:
    model = deepcopy(small_transformer)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    copy = packed(model)
    assert not any(isinstance(layer, torch.nn.Linear) for layer in copy.modules())
    assert any(isinstance(layer, torch.nn.Linear) for layer in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    mine, plain = _run(copy), _run(model)
    error = max(float((mine[name] - value).abs().max()) for name, value in plain.items())
    assert 1e-6 < error < 1e-2
    assert copy.words.weight is model.words.weight
    assert packed(copy) is copy
