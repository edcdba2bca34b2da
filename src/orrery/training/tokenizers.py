"""Stages that train the tokenizers that learn: one function for each kind of stream that has one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from orrery.models.precision import mixed_precision
from orrery.models.tokenizers import Tokenizer
from orrery.models.tokenizers.audio import AudioTokenizer
from orrery.models.tokenizers.video import VideoTokenizer
from orrery.training.audio_loss import audio_loss, draw_audio_clips, onset_chances
from orrery.training.loop import Stage, StepContext
from orrery.training.picture_loss import PicturePairs, picture_loss
from orrery.training.prepare import Episodes, picture_stretches, sound_episodes
from orrery.training.recipe import Recipe

__all__ = ["TOKENIZER_STAGES"]

AUDIO_BATCH = 8
AUDIO_CLIP_SECONDS = 0.5


def video_stages(
    name: str, tokenizer: Tokenizer, episodes: Episodes, recipe: Recipe, seed: int
) -> list[Stage]:
    """Encoder and decoder together; then the encoder stands still and the decoder learns on alone, which is
    what makes small things visible."""
    assert isinstance(tokenizer, VideoTokenizer)
    pairs = PicturePairs(picture_stretches(episodes, name, seed))

    def losses(context: StepContext) -> dict[str, Tensor]:
        now, before = (p.to(tokenizer.device) for p in pairs.draw(context.rng, recipe.pictures.batch))
        with mixed_precision(tokenizer.device):
            return picture_loss(tokenizer, now, before, recipe.pictures, context.generator)

    def normalise() -> None:
        rng = np.random.default_rng([seed, 2])
        drawn = (pairs.draw(rng, 32)[0].to(tokenizer.device) for _ in range(16))
        with torch.no_grad(), mixed_precision(tokenizer.device):
            raw = [tokenizer.encode_raw(tokenizer.to_pixels(pictures)).float() for pictures in drawn]
        tokenizer.normalise(torch.cat(raw))

    def freeze_encoder() -> None:
        tokenizer.encoder.requires_grad_(False)

    def inner(parameter_name: str, parameter: Tensor) -> bool:
        first_or_last = parameter_name.split(".")[1] in ("0", "8")
        return parameter.ndim == 4 and not first_or_last

    both = Stage(
        name, tokenizer, losses, recipe.budgets[name], inner, lr_matrix=0.02, lr_other=2e-3, decay_from=0.0,
        finish=normalise,
    )  # fmt: skip
    decoder_name = f"{name} decoder"
    alone = Stage(
        decoder_name, tokenizer, losses, recipe.budgets[decoder_name], inner, lr_matrix=0.02, lr_other=2e-3,
        decay_from=0.0, prepare=freeze_encoder,
    )  # fmt: skip
    return [both, alone]


def audio_stages(
    name: str, tokenizer: Tokenizer, episodes: Episodes, recipe: Recipe, seed: int
) -> list[Stage]:
    """Encoder and decoder together, on clips in which, mostly, something starts to sound."""
    assert isinstance(tokenizer, AudioTokenizer)
    sounds = sound_episodes(episodes, name)
    chances = [onset_chances(sound) for sound in sounds]
    ticks = max(2, round(AUDIO_CLIP_SECONDS / episodes.spec.clock.tick_seconds))

    def losses(context: StepContext) -> dict[str, Tensor]:
        clips = draw_audio_clips(sounds, context.rng, AUDIO_BATCH, ticks, chances=chances)
        return audio_loss(tokenizer, torch.from_numpy(clips).to(tokenizer.device), context.generator)

    def normalise() -> None:
        clips = draw_audio_clips(sounds, np.random.default_rng([seed, 3]), 64, ticks, chances=chances)
        with torch.no_grad():
            tokenizer.normalise(tokenizer.encode_raw(torch.from_numpy(clips).to(tokenizer.device))[0])

    def inner(parameter_name: str, parameter: Tensor) -> bool:
        in_block = parameter_name.split(".")[0] in ("encoder", "decoder")
        return in_block and parameter.ndim == 2 and not parameter_name.endswith("mix")

    return [
        Stage(
            name,
            tokenizer,
            losses,
            recipe.budgets[name],
            inner,
            lr_other=2e-3,
            decay_from=0.0,
            finish=normalise,
        )
    ]


TOKENIZER_STAGES: dict[str, Callable[[str, Tokenizer, Episodes, Recipe, int], list[Stage]]] = {
    "video": video_stages,
    "audio": audio_stages,
}
"""Kind of a stream to the stages that train its tokenizer."""
