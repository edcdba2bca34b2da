"""A world of the tabletop's streams that has learned nothing: every part, small, with random weights."""

from __future__ import annotations

import torch

from orrery.models.tokenizers import TOKENIZERS
from orrery.models.tokenizers.text import TextTokenizer
from orrery.models.tokens import StreamTokens, WorldModelConfig
from orrery.models.trained import TrainedWorld
from orrery.models.world_model import WorldModel
from orrery.streams import StreamSpec
from orrery.training.recipe import default_order
from orrery.worlds.tabletop.lexicon import vocabulary
from orrery.worlds.tabletop.world import tabletop_spec

__all__ = ["untrained_world"]

MAX_WORDS = 44


def untrained_world(seed: int = 0) -> TrainedWorld:
    """Pictures of 32 by 32 pixels."""
    torch.manual_seed(seed)
    spec, text = tabletop_spec(32), StreamSpec("text", "text", "given", (1,), "int64")
    tokenizers = {n: TOKENIZERS[s.kind].for_stream(s, spec.clock) for n, s in spec.streams.items()}
    tokenizers["text"] = TextTokenizer(text, sorted(vocabulary()), MAX_WORDS)
    streams = tuple(
        StreamTokens(name, t.tokens, t.width, t.spec.role == "given", t.spec.kind == "text", t.grid)
        for name, t in tokenizers.items()
    )
    config = WorldModelConfig(
        streams, default_order(list(spec.streams.values())), spec.clock.tick_seconds, window_ticks=8,
        few_width=32, few_layers=1, head_layers=1, grid_width=16, grid_layers=1, grid_head_width=16,
    )  # fmt: skip
    model = WorldModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    starts = {n: torch.randn(4, 2, t.tokens, t.width) for n, t in tokenizers.items() if n != "text"}
    starts["text"] = torch.zeros(4, 1, MAX_WORDS, tokenizers["text"].width)
    return TrainedWorld(spec, tokenizers, model.eval(), starts, {"recipe": "none", "seed": seed})
