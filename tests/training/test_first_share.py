"""How often it is each group of streams that is imagined."""

from __future__ import annotations

import pytest

from orrery.models.tokens import StreamTokens, WorldModelConfig
from orrery.models.world_model import WorldModel
from orrery.training.world_loss import LossConfig, _chances

STREAMS = (
    StreamTokens("action", 1, 2, given=True),
    StreamTokens("state", 2, 4),
    StreamTokens("audio.main", 2, 4),
    StreamTokens("reward", 1, 1, outcome=True),
)
ORDER = (("action",), ("state",), ("audio.main",), ("reward",))
MODEL = WorldModel(WorldModelConfig(STREAMS, ORDER, 0.1, few_width=16, few_layers=1, head_layers=1))


def test_groups_are_imagined_alike_but_for_what_is_given_and_outcomes() -> None:
    config = LossConfig(given_chance=0.2, outcome_chance=0.7)
    assert _chances(MODEL, ORDER, config) == [0.2, 1.0, 1.0, 0.7]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_the_first_group_that_is_observed_gets_its_share(share: float) -> None:
    chances = _chances(MODEL, ORDER, LossConfig(first_share=share))
    assert chances[1] / sum(chances) == pytest.approx(share)
    assert chances[2] == 1.0


def test_a_share_of_one_group_alone_is_all() -> None:
    assert _chances(MODEL, [["state"]], LossConfig(first_share=0.7)) == [1.0]
    assert _chances(MODEL, [["action"]], LossConfig(first_share=0.7)) == [LossConfig().given_chance]
