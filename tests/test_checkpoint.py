"""Checkpoints: what is read is what was written, or a sentence that says which file is wrong."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from orrery.checkpoint import checkpoint_hash, load_checkpoint, require, save_checkpoint
from orrery.errors import UserError
from orrery.registry import SHIPPED, resolve_model

CONFIG = {"kind": "world", "width": 8, "provenance": {"seed": 0}}


def groups() -> dict[str, dict[str, torch.Tensor | np.ndarray]]:
    generator = torch.Generator().manual_seed(0)
    return {
        "dynamics": {
            "weight": torch.randn(8, 4, generator=generator),
            "turned": torch.randn(3, 5, generator=generator).T,
            "half": torch.randn(6, generator=generator).bfloat16(),
        },
        "video": {"scale": np.linspace(0, 1, 7, dtype=np.float32), "count": np.array(3)},
    }


def save(folder: Path) -> Path:
    return save_checkpoint(
        folder, CONFIG, groups(), {"card.md": "# A card\n", "onnx/step.onnx": bytes(range(100))}
    )


def assert_as_written(folder: Path) -> None:
    checkpoint = load_checkpoint(folder, kind="world")
    assert checkpoint.config["width"] == 8
    assert sorted(checkpoint.tensors) == ["dynamics", "video"]
    for name, group in groups().items():
        for key, value in group.items():
            torch.testing.assert_close(checkpoint.tensors[name][key], torch.as_tensor(value), rtol=0, atol=0)


def test_round_trip(tmp_path: Path) -> None:
    folder = save(tmp_path / "deep" / "model")
    assert_as_written(folder)
    assert (folder / "card.md").read_text() == "# A card\n"
    assert [entry.name for entry in folder.parent.iterdir()] == ["model"]


def test_shared_memory_is_saved_apart(tmp_path: Path) -> None:
    weight = torch.arange(6.0)
    folder = save_checkpoint(tmp_path / "m", CONFIG, {"net": {"a": weight, "b": weight[:3]}})
    assert load_checkpoint(folder).tensors["net"]["b"].tolist() == [0, 1, 2]


def test_hash_depends_on_content_alone(tmp_path: Path) -> None:
    one, two = save(tmp_path / "one"), save(tmp_path / "two")
    assert checkpoint_hash(one) == checkpoint_hash(two)
    (one / "onnx" / "added_later.onnx").write_bytes(b"x")
    assert checkpoint_hash(one) == checkpoint_hash(two)
    other = groups()
    other["dynamics"]["weight"] = torch.zeros(8, 4)
    assert checkpoint_hash(save_checkpoint(tmp_path / "three", CONFIG, other)) != checkpoint_hash(one)


FILES = ["config.json", "dynamics.safetensors", "video.safetensors", "card.md", "onnx/step.onnx"]


@pytest.mark.parametrize("name", FILES)
def test_every_file_cut_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    file = save(tmp_path / "m") / name
    content = file.read_bytes()
    # The last byte of the config is a newline, without which it says the same.
    end = len(content.rstrip()) - 1 if name == "config.json" else len(content) - 1
    for kept in np.unique(np.linspace(0, end, 20).astype(int)):
        file.write_bytes(content[:kept])
        with pytest.raises(UserError, match=file.name):
            load_checkpoint(tmp_path / "m")
        with pytest.raises(UserError, match=file.name):
            checkpoint_hash(tmp_path / "m")
    file.unlink()
    with pytest.raises(UserError, match=file.name):
        load_checkpoint(tmp_path / "m")


@pytest.mark.parametrize("name", ["dynamics", "video"])
def test_every_flipped_bit_of_the_tensors_is_found(tmp_path: Path, name: str) -> None:
    file = save(tmp_path / "m") / f"{name}.safetensors"
    content = file.read_bytes()
    for at in np.linspace(0, len(content) - 1, 20).astype(int):
        file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(UserError, match=file.name):
            load_checkpoint(tmp_path / "m").tensors[name]


def test_a_damaged_config_is_the_same_or_a_users_error(tmp_path: Path) -> None:
    file = save(tmp_path / "m") / "config.json"
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    num_refused = 0
    for _ in range(200):
        at = int(rng.integers(len(content)))
        file.write_bytes(content[:at] + bytes([int(rng.integers(256))]) + content[at + 1 :])
        try:
            checkpoint = load_checkpoint(tmp_path / "m")
            loaded = {name: checkpoint.tensors[name] for name in checkpoint.tensors}
        except UserError:
            num_refused += 1
        else:
            assert set(loaded) == {"dynamics", "video"}
    assert num_refused > 100


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 90_000_000) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        b"",
        b"PK\x03\x04 a pickle in a zip",
        struct.pack("<Q", 70)
        + b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}    '
        + bytes(4),
    ],
)
def test_a_hostile_header_is_refused_without_allocating(tmp_path: Path, content: bytes) -> None:
    folder = save_checkpoint(tmp_path / "m", CONFIG, {}, {"net.safetensors": content})
    with pytest.raises(UserError, match=r"net\.safetensors"):
        load_checkpoint(folder).tensors["net"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"format": None}, "format None"),
        ({"kind": None}, "kind"),
        ({"files": {"../../secret": {"bytes": 1, "sha256": ""}}}, "files"),
        ({"files": {"/etc/hostname": {"bytes": 1, "sha256": ""}}}, "files"),
        ({"files": []}, "files"),
        ({"files": {"card.md": 3}}, "files"),
        ({"kind": "voice"}, "'voice' where 'world'"),
    ],
)
def test_a_config_that_says_something_else_is_refused(tmp_path: Path, change: dict, words: str) -> None:
    file = save(tmp_path / "m") / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UserError, match=words):
        load_checkpoint(tmp_path / "m", kind="world")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"format": 1}', b"null"]
)
def test_a_config_that_is_no_config_is_refused(tmp_path: Path, content: bytes) -> None:
    (save(tmp_path / "m") / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json"):
        load_checkpoint(tmp_path / "m")


def test_missing_folders_and_names(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(UserError, match="not a checkpoint"):
        load_checkpoint(tmp_path)
    with pytest.raises(UserError, match="it has dynamics, video"):
        load_checkpoint(save(tmp_path / "m")).tensors["audio"]


def test_replacing_keeps_the_old_one_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "m")
    before = checkpoint_hash(folder)
    real_rename = Path.rename
    for failing_call in (1, 2):
        num_calls = 0

        def rename(self: Path, target: Path, fails: int = failing_call) -> Path:
            nonlocal num_calls
            num_calls += 1
            if num_calls == fails:
                raise OSError(28, "No space left on device")
            return real_rename(self, target)

        monkeypatch.setattr(Path, "rename", rename)
        with pytest.raises(UserError, match="no space"):
            save_checkpoint(folder, {**CONFIG, "width": 9}, groups())
        assert checkpoint_hash(folder) == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["m"]
    monkeypatch.undo()
    save_checkpoint(folder, {**CONFIG, "width": 9}, groups())
    assert load_checkpoint(folder).config["width"] == 9
    assert not (folder / "card.md").exists()


def test_what_is_not_a_checkpoint_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for target in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(UserError, match="not a checkpoint"):
            save_checkpoint(target, CONFIG, {})
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    save_checkpoint(tmp_path / "empty", CONFIG, {})
    for name in ("../out.md", "/tmp/out.md", "config.json", "", ".hidden"):
        with pytest.raises(ValueError, match="name"):
            save_checkpoint(tmp_path / "named", CONFIG, {}, {name: "x"})


def test_require_names_the_first_mismatches() -> None:
    network = torch.nn.Linear(4, 2)
    state = network.state_dict()
    require({name: value.bfloat16() for name, value in state.items()}, state, "m")
    require(state, {"weight": (2, 4), "bias": (2,)}, "m")
    for change, words in [
        ({"weight": torch.zeros(4, 2)}, r"weight has shape \(4, 2\) where \(2, 4\)"),
        ({"weight": torch.zeros(2, 4, dtype=torch.int64)}, "weight is torch.int64"),
        ({"bias": torch.tensor([0.0, float("nan")])}, "bias holds values that are not finite"),
        ({"extra": torch.zeros(1)}, "extra is not expected"),
    ]:
        with pytest.raises(UserError, match=words):
            require({**state, **change}, state, "m")
    with pytest.raises(UserError, match="weight is missing; bias is missing"):
        require({}, state, "m")
    with pytest.raises(UserError, match="and 6 more"):
        require({}, {str(index): (1,) for index in range(10)}, "m")


def test_resolve_model(tmp_path: Path) -> None:
    folder = save(tmp_path / "mine")
    assert resolve_model(folder) == resolve_model(str(folder)) == folder
    with pytest.raises(UserError, match="did you mean tabletop"):
        resolve_model("tabeltop")
    with pytest.raises(UserError, match=r"is a file"):
        resolve_model(folder / "config.json")
    with pytest.raises(UserError, match="shipped are tabletop, pong"):
        resolve_model(tmp_path / "nowhere")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_whole_or_its_absence_is_explained(name: str, tmp_path: Path) -> None:
    try:
        folder = resolve_model(name)
    except UserError as error:
        assert "reinstall" in str(error)  # noqa: PT017
    else:
        checkpoint_hash(folder)
        shutil.copytree(folder, tmp_path / name)
        assert checkpoint_hash(tmp_path / name) == checkpoint_hash(folder)
