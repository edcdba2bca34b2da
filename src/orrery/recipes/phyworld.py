"""The recipe of PhyWorld's balls: 25 minutes of one CPU core, for one of the three worlds.

What is to be learned is small and must be exact: one or two discs, whose speed is read off three pictures and
kept for 29. So the networks are small, anchors are shaken little, and the state is what the network expects
of it, in one step: nothing here is left to chance.
"""

from __future__ import annotations

from orrery.inference.checkpoints import Sampling
from orrery.tokenizers.video import VideoTokenizerConfig
from orrery.training.build import ModelSize
from orrery.training.run import Budget, Recipe
from orrery.training.tokenizer_video import VideoTraining
from orrery.training.trainer import WorldTraining

__all__ = ["phyworld"]


def phyworld(minutes: float | None = None) -> Recipe:
    """128x128 pixels, 1.1 M parameters in the transformer.

    minutes: for all stages together, 25 if left out.
    """
    minutes = 25.0 if minutes is None else minutes
    batch = {"motion": 64, "beginnings": 64, "pictures": 12, "perception": 12}
    ticks = {"motion": 5, "beginnings": 1, "pictures": 2, "perception": 3}
    return Recipe(
        name="phyworld",
        video=VideoTokenizerConfig(
            latent_channels=16, channels=(32, 64, 128), num_blocks=(1, 1, 1), sight_grid=16, sight_hidden=64,
        ),
        video_training=VideoTraining(object_fraction=0.8, object_weight=3.0, ema_decay=0.995),
        video_budget=Budget(minutes=0.2 * minutes),
        size=ModelSize(
            width=96, num_heads=4, num_layers=4, hidden_text=32, hidden_control=64, hidden_state=256,
            hidden_video=256, window_ticks=3, video_window_ticks=1,
        ),
        motion=WorldTraining(
            minutes=0.15 * minutes, shares={"motion": 1.0}, batch=batch, ticks=ticks, decay_from=1.0,
            shaken=0.05, lr_other=2e-3, ema_decay=0.995,
        ),
        world=WorldTraining(
            minutes=0.55 * minutes, shares={"motion": 0.25, "pictures": 0.35, "perception": 0.4},
            batch=batch, ticks=ticks, own_errors_from=0.0, shaken=0.05, lr_other=2e-3, ema_decay=0.995,
        ),
        drawing=WorldTraining(
            minutes=0.1 * minutes, transformer=False, shares={"pictures": 1.0}, batch=batch, ticks=ticks,
            decoder_from=0.0, decay_from=0.0, lr_other=3e-3, ema_decay=0.995,
        ),
        frame_every=4,
        num_held_out=16,
        sampling=Sampling(first=1, state=1, perceived=3),
    )  # fmt: skip
