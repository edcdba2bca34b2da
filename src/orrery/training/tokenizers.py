"""Stages that train the tokenizers that learn: one function for each kind of stream that has one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from orrery.models.precision import mixed_precision
from orrery.models.tokenizers import Tokenizer
from orrery.models.tokenizers.video import VideoTokenizer
from orrery.training.loop import Stage, StepContext
from orrery.training.picture_loss import PicturePairs, picture_loss
from orrery.training.prepare import Episodes, picture_stretches
from orrery.training.recipe import Recipe

__all__ = ["TOKENIZER_STAGES"]


def video_stages(name: str, tokenizer: Tokenizer, episodes: Episodes, recipe: Recipe, seed: int) -> list[Stage]:
    """Encoder and decoder together; then the encoder stands still and the decoder learns on alone, which is what
    makes small things visible."""
    assert isinstance(tokenizer, VideoTokenizer)
    pairs = PicturePairs(picture_stretches(episodes, name, seed))

    def losses(context: StepContext) -> dict[str, Tensor]:
        now, before = pairs.draw(context.rng, recipe.pictures.batch)
        with mixed_precision():
            return picture_loss(tokenizer, now, before, recipe.pictures, context.generator)

    def freeze_encoder() -> None:
        rng = np.random.default_rng([seed, 2])
        with torch.no_grad(), mixed_precision():
            raw = [
                tokenizer.encode_raw(tokenizer.to_pixels(pairs.draw(rng, 32)[0])).float() for _ in range(16)
            ]
        tokenizer.normalise(torch.cat(raw))
        tokenizer.encoder.requires_grad_(False)

    def inner(parameter_name: str, parameter: Tensor) -> bool:
        first_or_last = parameter_name.split(".")[1] in ("0", "8")
        return parameter.ndim == 4 and not first_or_last

    both = Stage(name, tokenizer, losses, recipe.budgets[name], inner, lr_matrix=0.02, lr_other=2e-3, decay_from=0.0)
    decoder_name = f"{name} decoder"
    alone = Stage(
        decoder_name, tokenizer, losses, recipe.budgets[decoder_name], inner, lr_matrix=0.02, lr_other=2e-3,
        decay_from=0.0, prepare=freeze_encoder,
    )  # fmt: skip
    return [both, alone]


TOKENIZER_STAGES: dict[str, Callable[[str, Tokenizer, Episodes, Recipe, int], list[Stage]]] = {
    "video": video_stages,
}
"""Kind of a stream to the stages that train its tokenizer."""
