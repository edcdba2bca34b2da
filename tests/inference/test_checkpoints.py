"""A whole model on disk: it comes back, and damage to it is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from orrery.errors import UserError
from orrery.inference.checkpoints import WorldModel, load_model, save_model
from orrery.registry import resolve_model
from untrained import untrained_model

PARTS = ("transformer", "video", "audio")


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return untrained_model()


@pytest.fixture
def folder(model: WorldModel, tmp_path: Path) -> Path:
    return save_model(model, tmp_path / "model", card="# Card\n")


def test_a_model_comes_back_to_half_precision(model: WorldModel, folder: Path) -> None:
    loaded = load_model(folder)
    for name in ("spec", "codecs", "sampling", "provenance"):
        assert getattr(loaded, name) == getattr(model, name)
    assert loaded.words.to_json() == model.words.to_json()
    assert len(loaded.hash) == 64
    for part in PARTS:
        before, after = getattr(model, part), getattr(loaded, part)
        assert not after.training
        assert not any(parameter.requires_grad for parameter in after.parameters())
        for name, value in before.state_dict().items():
            torch.testing.assert_close(after.state_dict()[name], value, rtol=1e-3, atol=1e-6, msg=name)


def test_saving_what_was_loaded_loses_nothing_more(folder: Path, tmp_path: Path) -> None:
    again = save_model(load_model(folder), tmp_path / "again", card="# Card\n")
    for file in folder.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes(), file.name


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", ["missing", "cut short", "another's"])
def test_damaged_weights_are_named(folder: Path, part: str, damage: str) -> None:
    file = folder / f"{part}.safetensors"
    if damage == "missing":
        file.unlink()
    elif damage == "cut short":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        shutil.copyfile(folder / f"{PARTS[PARTS.index(part) - 1]}.safetensors", file)
    with pytest.raises(UserError, match=str(file)):
        load_model(folder)


def _set(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        for key in path[:-1]:
            config = config[key]
        config[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("transformer", "no_such_setting", to=1), "no_such_setting"),
        (_set("audio", "no_such_setting", to=1), "no_such_setting"),
        (_set("video", "no_such_setting", to=1), "no_such_setting"),
        (_set("sampling", "no_such_setting", to=1), "no_such_setting"),
        (_set("transformer", "num_heads", to=0), "ZeroDivisionError"),
        (_set("transformer", "width", to=-16), "config"),
        (_set("transformer", "streams", "state", "width", to=7), "state: "),
        (_set("transformer", "streams", "video.main", "num_tokens", to=9), "video.main: "),
        (_set("transformer", "streams", "state", "feature_width", to=1), "state: "),
        (_set("transformer", "streams", "video.main", "feature_width", to=0), "video.main: "),
        (_set("codecs", "state", "frames", to=3), "needed"),
        (_set("codecs", "vectors", to={}), "KeyError"),
        (_set("spec", to=None), "TypeError"),
        (_set("video", "latent_grid", to=5), "video tokenizer"),
        (_set("video", "sight_grid", to=3), "video tokenizer"),
        (_set("video", "sight_grid", to=4), "video: its decoder takes 0 numbers"),
    ],
)
def test_a_config_that_contradicts_itself_is_named(
    folder: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    """Whatever is wrong in it, it is one line that names the folder."""
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=str(folder)) as caught:
        load_model(folder)
    assert said in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [("width", 16), ("num_layers", 2), ("num_words", 50)])
def test_weights_that_do_not_fit_the_config_are_named(folder: Path, key: str, value: int) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["transformer"][key] = value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"transformer\.safetensors"):
        load_model(folder)


def test_no_folder_and_another_kind_are_named(folder: Path) -> None:
    with pytest.raises(UserError, match="no-such-model"):
        load_model(folder / "no-such-model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "kind": "tokenizer"}))
    with pytest.raises(UserError, match="kind 'tokenizer' where 'world' is needed"):
        load_model(folder)


def test_a_world_of_the_general_model_is_named_with_what_it_is_good_for() -> None:
    with pytest.raises(UserError, match="orrery play"):
        load_model(resolve_model("pong"))
