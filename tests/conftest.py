"""What several folders of tests share: a transformer of random weights, and a checkpoint made by `tiny`."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from orrery.models.transformer import StreamShape, TransformerConfig, WorldTransformer

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


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data/pictures` and `data/motion`, 24 short episodes each, `data/scenes`, 24 that are
    shorter still, with pictures, and `run/` of recipe `tiny`.

    Made once, also for several test processes.
    """
    pytest.importorskip("mujoco_warp")
    from orrery.data.record.collect import collect
    from orrery.recipes.tiny import tiny
    from orrery.training.run import train

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / "tiny"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "run" / "checkpoint").exists():
            silent = ["audio.main", "touch.finger", "state", "camera.main", "action"]
            few = {"num_episodes": 24, "progress": False}
            collect("tabletop", folder / "data" / "pictures", seed=0, image_size=32, seconds=1.5, **few)
            collect("tabletop", folder / "data" / "motion", seed=1, streams=silent, seconds=1.5, **few)
            collect("tabletop", folder / "data" / "scenes", seed=2, image_size=32, seconds=0.5, **few)
            train(tiny(), folder / "data", folder / "run", resume=True, device="cpu", say=lambda _: None)
    return folder
