"""The smallest run that still learns: minutes on one core, for tests and for trying things out."""

from __future__ import annotations

from dataclasses import replace

from orrery.tokenizers.video import VideoTokenizerConfig
from orrery.training.build import ModelSize
from orrery.training.run import Budget, Recipe
from orrery.training.tokenizer_audio import AudioTrainingConfig
from orrery.training.tokenizer_video import VideoTraining
from orrery.training.trainer import WorldTraining

__all__ = ["tiny"]


def tiny(minutes: float | None = None, num_steps: int = 150) -> Recipe:
    """32x32 pixels, a transformer of half a million parameters.

    num_steps: of each stage. minutes: instead of it, for all stages together.
    """
    fourth = None if minutes is None else minutes / 4
    steps = num_steps if minutes is None else None
    few = {"motion": 8, "beginnings": 16, "pictures": 4, "perception": 4}
    short = {"motion": 8, "beginnings": 1, "pictures": 3, "perception": 3}
    stage = WorldTraining(minutes=fourth, num_steps=steps, batch=few, ticks=short, warmup_steps=20)
    return Recipe(
        name="tiny",
        video=VideoTokenizerConfig(
            image_size=32, latent_grid=4, latent_channels=8, channels=(16, 32), num_blocks=(1, 1),
            sight_grid=8, sight_hidden=32,
        ),
        video_training=VideoTraining(batch_size=16, crop_size=32, num_held_out=16, ema_decay=0.98),
        video_budget=Budget(fourth, steps),
        audio=AudioTrainingConfig(batch_size=8, batch_heard=2, clip_ticks=4),
        audio_budget=Budget(fourth, steps and steps // 3),
        size=ModelSize(
            width=64, num_heads=2, num_layers=2, hidden_text=96, hidden_control=32, hidden_state=128,
            hidden_sound=64, hidden_video=96, window_ticks=6, video_window_ticks=1,
        ),
        motion=stage,
        world=stage,
        drawing=replace(stage, transformer=False, shares={"pictures": 1.0}, decoder_from=0.0),
        frame_every=8,
        num_held_out=4,
    )  # fmt: skip
