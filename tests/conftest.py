"""What several folders of tests share: a transformer and a whole model, both of random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from orrery.inference.checkpoints import save_model
from orrery.models.transformer import StreamShape, TransformerConfig, WorldTransformer
from untrained import untrained_model

settings.register_profile("orrery", deadline=None)  # a busy machine is no failure
settings.load_profile("orrery")


@pytest.fixture
def small_transformer() -> WorldTransformer:
    """Four streams, windows of four and two ticks; every weight random: nothing hides behind a zero."""
    streams = {
        "action": StreamShape(1, 6, "control", window=4),
        "state": StreamShape(3, 10, "state", feature_width=5, window=4),
        "audio.main": StreamShape(2, 8, "sound", window=4),
        "video.main": StreamShape(4, 12, "video", window=2),
    }
    hidden = dict.fromkeys(("text", "control", "state", "sound", "video"), 32)
    config = TransformerConfig(
        streams, hidden, num_words=20, max_words=8, width=32, num_heads=2, num_layers=2
    )
    generator = torch.Generator().manual_seed(0)
    model = WorldTransformer(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.15, generator=generator)
    return model.eval()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache that starts empty: what a user's own holds decides nothing here."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORRERY_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a small model of the tabletop that has learned nothing."""
    return save_model(untrained_model(), tmp_path_factory.mktemp("models") / "untrained", "Knows nothing.")
