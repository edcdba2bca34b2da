"""Sentences in the world model: they are heeded, and each world reads its own."""

from __future__ import annotations

import torch

from orrery.models.blocks import FewBlock
from orrery.models.tokens import Noisy, StreamTokens, WorldModelConfig
from orrery.models.world_model import WorldModel

WORDS, VOCABULARY, TICKS = 5, 7, 3
STREAMS = (StreamTokens("state", 2, 4), StreamTokens("text", WORDS, VOCABULARY, given=True, text=True))


def model() -> WorldModel:
    """Small, with all weights as if it had learned something."""
    torch.manual_seed(0)
    made = WorldModel(
        WorldModelConfig(STREAMS, (("state",),), 0.1, few_width=16, few_layers=2, head_layers=2)
    )
    for parameter in made.parameters():
        parameter.data.normal_(std=0.3)
    return made


def sentences(*several: list[int]) -> Noisy:
    """Numbers of words, one-hot; what is missing at the end is no word."""
    latents = torch.zeros(len(several), 1, WORDS, VOCABULARY)
    for row, words in enumerate(several):
        latents[row, 0, range(len(words)), words] = 1.0
    return Noisy(latents, torch.zeros(len(several), 1))


@torch.no_grad()
def told(network: WorldModel, *several: list[int]) -> torch.Tensor:
    """State `[B, T, 2, 4]` of ticks of which nothing else is known."""
    batch = len(several)
    past = {"state": Noisy(torch.zeros(batch, TICKS, 2, 4), torch.ones(batch, TICKS))}
    given = {"text": sentences(*several)}
    hidden, _ = network.trunk(past, given, torch.arange(TICKS) * 0.1)
    return network.head(hidden, given, past, ["state"])["state"]


def test_every_tick_of_every_world_reads_its_own_sentence() -> None:
    """Together as alone; in the trunk and in the head, whose rows are ticks."""
    network, several = model(), ([1, 2, 3], [4], [0, 1, 2, 3, 4])
    together = told(network, *several)
    for row, words in enumerate(several):
        torch.testing.assert_close(together[row], told(network, words)[0])


def test_words_and_their_order_are_heeded_in_trunk_and_head() -> None:
    network = model()
    for blocks in (network.few_blocks, network.head_blocks):
        kept = [block.reading for block in blocks if isinstance(block, FewBlock)]
        assert all(reading is not None for reading in kept)
        for block in blocks:
            block.reading = None
        said = [told(network, words) for words in ([1, 2, 3], [3, 2, 1], [1, 2])]
        assert all(not torch.allclose(said[0], other, atol=1e-3) for other in said[1:])
        for block, reading in zip(blocks, kept, strict=True):
            block.reading = reading


def test_a_world_without_sentences_reads_none() -> None:
    made = WorldModel(WorldModelConfig(STREAMS[:1], (("state",),), 0.1, few_width=16))
    assert not any("reading" in name for name in made.state_dict())
