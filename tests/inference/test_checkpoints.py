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
from orrery.inference.checkpoints import Sampling, WorldModel, load_model, save_model
from orrery.models.transformer import WorldTransformer
from orrery.streams import Clock, StreamSpec, WorldSpec
from orrery.tokenizers.audio import AudioTokenizer, AudioTokenizerConfig
from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.state import StateCodec
from orrery.tokenizers.vector import VectorCodec
from orrery.tokenizers.video import VideoTokenizer, VideoTokenizerConfig
from orrery.training.build import ModelSize, transformer_config, word_tokenizer
from orrery.worlds.rigid_bodies.state import STATE

PARTS = ("transformer", "video", "audio")


def _model() -> WorldModel:
    clock = Clock()
    streams = [
        StreamSpec("video.main", "video", "observed", (2, 32, 32, 3), "uint8"),
        StreamSpec("audio.main", "audio", "observed", (clock.samples_per_tick, 2), "float32"),
        StreamSpec("touch.finger", "vector", "observed", (2, 4, 4, 3), "float32"),
        StreamSpec("state", "vector", "observed", (2, 4, STATE.width), "float32"),
        StreamSpec("camera.main", "vector", "observed", (2, 8), "float32"),
        StreamSpec("action", "vector", "given", (2, 3), "float32"),
    ]
    spec = WorldSpec(clock, {stream.name: stream for stream in streams})
    vectors = {
        "camera.main": VectorCodec((8,), shift=(0.5,)),
        "action": VectorCodec((2, 3), scale=(0.4,)),
        "touch.finger": VectorCodec((2, 4, 4, 3), squash=True),
    }
    codecs = Codecs(StateCodec(4, 2), vectors)
    config = transformer_config(ModelSize(16, 2, 1, 16, 16, 16, 16, 16), spec, codecs, (2, 32), (16, 8))
    return WorldModel(
        spec, WorldTransformer(config), codecs, word_tokenizer(),
        VideoTokenizer(VideoTokenizerConfig(32, 4, 4, (8, 16), (1, 1))),
        AudioTokenizer(AudioTokenizerConfig(width=32, num_encoder_blocks=1, num_decoder_blocks=1)),
        Sampling(3, 1, 2, 1), {"recipe": "none", "seed": 4},
    )  # fmt: skip


@pytest.fixture(scope="module")
def model() -> WorldModel:
    torch.manual_seed(0)
    return _model()


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


@pytest.mark.parametrize(("key", "value"), [("width", 32), ("num_layers", 2), ("num_words", 50)])
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
