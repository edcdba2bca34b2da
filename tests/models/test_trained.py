"""A checkpoint that was damaged or edited is named, whatever was done to it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

pytest.importorskip("mujoco")

from orrery.errors import UserError
from orrery.models.trained import load_trained, save_world
from untrained_world import untrained_world


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_world(tmp_path_factory.mktemp("world") / "whole", untrained_world())


def edited(folder: Path, name: str, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change a file's tensors, and make the config vouch for it."""
    file = folder / f"{name}.safetensors"
    tensors = safetensors.torch.load_file(file)
    change(tensors)
    content = safetensors.torch.save(tensors)
    file.write_bytes(content)
    config = json.loads((folder / "config.json").read_text())
    config["files"][file.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("name", ["world", "video.main", "audio.main", "state"])
@pytest.mark.parametrize("which", range(3))
def test_tensors_of_another_shape_or_none_are_named(
    whole: Path, tmp_path: Path, name: str, which: int
) -> None:
    for change in ("longer", "gone"):
        folder = shutil.copytree(whole, tmp_path / change)

        def damaged(tensors: dict[str, torch.Tensor], change: str = change) -> None:
            key = sorted(tensors)[which * (len(tensors) - 1) // 2]
            value = tensors.pop(key)
            if change == "longer":
                tensors[key] = torch.cat([value.reshape(-1), value.reshape(-1)])

        edited(folder, name, damaged)
        with pytest.raises(UserError, match=rf"{name}\.safetensors"):
            load_trained(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spec", {}),
        ("model", {"few_width": "wide"}),
        ("tokenizers", None),
        ("tokenizers", {"video.main": {"spec": {}, "config": {}}}),
    ],
)
def test_a_config_that_describes_no_world_is_named(whole: Path, tmp_path: Path, key: str, value: Any) -> None:
    folder = shutil.copytree(whole, tmp_path / "edited")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(UserError, match="edited"):
        load_trained(folder)
