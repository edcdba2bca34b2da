"""The recipe of the shipped checkpoint: three hours of training on two CPU cores.

Minutes are wall clock. More compute needs no other recipe, only more minutes.
"""

from __future__ import annotations

from orrery.tokenizers.video import VideoTokenizerConfig
from orrery.training.build import ModelSize
from orrery.training.run import Budget, Recipe
from orrery.training.tokenizer_audio import AudioTrainingConfig
from orrery.training.tokenizer_video import VideoTraining
from orrery.training.trainer import WorldTraining

__all__ = ["tabletop"]


def tabletop(minutes: float | None = None) -> Recipe:
    """128x128 pixels, 7.6 M parameters in the transformer.

    minutes: for all stages together, 180 if left out.
    """
    minutes = 180.0 if minutes is None else minutes
    return Recipe(
        name="tabletop",
        video=VideoTokenizerConfig(num_decoder_blocks=(4, 3, 2), sight_grid=16),
        video_training=VideoTraining(object_fraction=0.8, object_weight=8.0),
        video_budget=Budget(minutes=0.25 * minutes),
        audio=AudioTrainingConfig(),
        audio_budget=Budget(minutes=0.11 * minutes),
        size=ModelSize(),
        motion=WorldTraining(minutes=0.2 * minutes, decay_from=1.0, own_errors_from=0.5),
        world=WorldTraining(
            minutes=0.24 * minutes,
            shares={"motion": 0.36, "beginnings": 0.1, "pictures": 0.42, "perception": 0.12},
            # Pictures are drawn from the state alone, and a scene is perceived in its first tick: many scenes
            # teach more than long ones.
            batch={"motion": 32, "beginnings": 96, "pictures": 14, "perception": 48},
            ticks={"motion": 12, "beginnings": 1, "pictures": 3, "perception": 1},
            own_errors_from=0.0,
            lr_other=2e-3,
        ),
        drawing=WorldTraining(
            minutes=0.2 * minutes, transformer=False, shares={"pictures": 1.0}, batch={"pictures": 3},
            ticks={"pictures": 3}, decoder_from=0.0, decay_from=0.0, squares=3, lr_other=3e-3,
        ),
    )  # fmt: skip
