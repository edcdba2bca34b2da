"""The decoder learns to draw what the transformer imagines, and nothing else changes."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from orrery.errors import UserError
from orrery.models.transformer import WorldTransformer
from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.video import VideoTokenizer, VideoTokenizerConfig
from orrery.training.build import word_tokenizer
from orrery.training.frames import FrameSource
from orrery.training.latents import LatentSet
from orrery.training.polish import Polishing, polish_decoder

MakeLatents = Callable[..., LatentSet]
MakeModel = Callable[[LatentSet], tuple[WorldTransformer, Codecs]]
Polish = Callable[..., VideoTokenizer]
SIDE = 16


@pytest.fixture
def tokenizer() -> VideoTokenizer:
    torch.manual_seed(0)
    return VideoTokenizer(VideoTokenizerConfig(SIDE, 2, 4, channels=(16, 32), num_blocks=(1, 1)))


@pytest.fixture
def source() -> FrameSource:
    """Two frames of each of 12 episodes: bright where a thing is, a square that the mask marks."""
    rng = np.random.default_rng(0)
    places = np.stack([np.repeat(np.arange(12), 2), rng.integers(28, size=24)], axis=1)
    frames = np.full((24, SIDE, SIDE, 3), 60, np.uint8)
    frames[:, 4:8, 8:12] = 220
    mask = np.zeros((24, SIDE // 4, SIDE // 4), np.uint8)
    mask[:, 1, 2] = 1
    return FrameSource(frames, mask, places)


@pytest.fixture
def polish(make_latents: MakeLatents, make_model: MakeModel, source: FrameSource, tmp_path: Path) -> Polish:
    def run(tokenizer: VideoTokenizer, num_steps: int, name: str = "polish") -> VideoTokenizer:
        latents = make_latents()
        model, codecs = make_model(latents)
        few = Polishing(num_steps=num_steps, batch_size=4, lr_matrix=0.1, lr_other=0.02, log_seconds=0.0)
        return polish_decoder(
            model, codecs, word_tokenizer(), tokenizer, latents, source, few, tmp_path / name
        )

    return run


def test_it_learns_to_draw_and_the_encoder_stays(
    polish: Polish, tokenizer: VideoTokenizer, tmp_path: Path
) -> None:
    before = copy.deepcopy(tokenizer)
    after = polish(tokenizer, 80)
    costs = [json.loads(line) for line in (tmp_path / "polish" / "log.jsonl").read_text().splitlines()]
    assert np.mean([row["imagined"] for row in costs[-5:]]) < 0.3 * costs[0]["imagined"]
    frames = torch.randint(256, (1, 1, SIDE, SIDE, 3), dtype=torch.uint8)
    assert torch.equal(before.encode(frames), after.encode(frames))
    assert not torch.equal(before.decode(before.encode(frames)), after.decode(after.encode(frames)))
    kept = VideoTokenizer.load(tmp_path / "polish" / "video_tokenizer.safetensors")
    assert torch.equal(kept.decode(kept.encode(frames)), after.decode(after.encode(frames)))


def test_the_seed_decides_everything(polish: Polish, tokenizer: VideoTokenizer) -> None:
    one, other = (polish(copy.deepcopy(tokenizer), 3, name).state_dict() for name in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_frames_that_do_not_say_where_they_come_from_are_refused(
    make_latents: MakeLatents, make_model: MakeModel, tokenizer: VideoTokenizer, source: FrameSource,
    tmp_path: Path,
) -> None:  # fmt: skip
    latents = make_latents()
    model, codecs = make_model(latents)
    with pytest.raises(UserError, match=r"places\.npy"):
        polish_decoder(
            model, codecs, word_tokenizer(), tokenizer, latents, dataclasses.replace(source, places=None),
            Polishing(num_steps=1), tmp_path,
        )  # fmt: skip
