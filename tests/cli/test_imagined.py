"""Generating with a model: an untrained one, so that the whole path runs, and damage to it is found."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from orrery.cli import main
from orrery.inference.checkpoints import Sampling
from orrery.media import read_film

SENTENCE = "a red ball drops"
Refused = Callable[..., str]


def _generate(model: Path, out: Path, *more: str) -> Path:
    arguments = ["generate", SENTENCE, "--model", str(model), "--out", str(out), "--seconds", "0.5", *more]
    assert main(arguments) == 0
    return out


def test_the_same_seed_is_the_same_film_and_another_is_another(untrained: Path, tmp_path: Path) -> None:
    films = [
        _generate(untrained, tmp_path / f"{name}.mp4", "--seed", seed)
        for name, seed in (("a", "0"), ("b", "0"), ("c", "1"))
    ]
    a, b, c = (film.read_bytes() for film in films)
    assert a == b
    assert a != c
    values = json.loads(films[0].with_suffix(".json").read_text())
    assert values["world"] == "imagined"
    assert len(values["checkpoint"]) == 64
    assert values["sampling"] == asdict(Sampling(2, 1, 1, 2))
    film = read_film(films[0])
    assert film.frames.shape == (12, 32, 32, 3)
    assert film.audio is not None
    assert film.audio.shape == (12_000, 2)


def test_a_picture_starts_the_film(untrained: Path, tmp_path: Path) -> None:
    Image.new("RGB", (48, 40), (250, 120, 10)).save(tmp_path / "start.png")
    film = read_film(_generate(untrained, tmp_path / "a.mp4", "--image", str(tmp_path / "start.png")))
    assert np.abs(film.frames[:2].astype(int) - [250, 120, 10]).max() < 25  # H.264 of 32x32 pixels
    assert np.abs(film.frames[2:].astype(int) - [250, 120, 10]).mean() > 25  # and on it goes, as noise


@pytest.mark.slow
def test_imagined_and_exact_share_a_film(untrained: Path, tmp_path: Path) -> None:
    pytest.importorskip("mujoco_warp")
    alone = read_film(_generate(untrained, tmp_path / "alone.mp4"))
    heard = read_film(_generate(untrained, tmp_path / "pair.mp4", "--side-by-side"))
    exact = read_film(_generate(untrained, tmp_path / "exact.mp4", "--side-by-side", "--exact"))
    assert heard.frames.shape == exact.frames.shape == (12, 32, 68, 3)
    assert np.abs(heard.frames[:, :, :28].astype(int) - alone.frames[:, :, :28]).mean() < 8
    assert alone.audio is not None
    assert heard.audio is not None
    assert exact.audio is not None
    assert np.array_equal(heard.audio, alone.audio)
    assert not np.array_equal(exact.audio, alone.audio)
    assert json.loads((tmp_path / "exact.json").read_text())["sound"] == "exact"


def test_a_base_install_generates(untrained: Path, tmp_path: Path) -> None:
    """Without anything that only the extras bring."""
    script = (
        "import sys\n"
        "for name in ('mujoco', 'mujoco_warp', 'warp', 'pyarrow', 'scipy', 'gymnasium', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from orrery.cli import main\n"
        "sys.exit(main())\n"
    )
    arguments = ["generate", SENTENCE, "--model", untrained, "--out", tmp_path / "a.mp4", "--seconds", "0.2"]
    run = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout.startswith(f"{tmp_path / 'a.mp4'}: 0.21 s of film in ")


def test_inspect_counts_its_parameters(untrained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(untrained)]) == 0
    shown = capsys.readouterr().out
    parts = ("transformer", "video", "audio")
    tensors = [safetensors.torch.load_file(untrained / f"{part}.safetensors") for part in parts]
    total = sum(tensor.numel() for part in tensors for tensor in part.values())
    assert f"{total:,} in all" in shown
    assert "Knows nothing." in shown


def _rewritten(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and make the config vouch for it, so that only its content is wrong."""
    (folder / name).write_bytes(content)
    config = json.loads((folder / "config.json").read_text())
    config["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "config.json").write_text(json.dumps(config))


def _damage(folder: Path, part: str, damage: str) -> None:
    file = folder / f"{part}.safetensors"
    content = file.read_bytes()
    tensors = safetensors.torch.load(content)
    first = next(name for name, tensor in tensors.items() if tensor.ndim)
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "giant header":
        _rewritten(folder, file.name, struct.pack("<Q", 2**60) + content[8:])
    elif damage == "wrong shape":
        tensors[first] = torch.zeros(*tensors[first].shape, 2)
        _rewritten(folder, file.name, safetensors.torch.save(tensors))
    elif damage == "lacks a tensor":
        del tensors[first]
        _rewritten(folder, file.name, safetensors.torch.save(tensors))
    else:
        tensors[first] = torch.full_like(tensors[first], float("nan"))
        _rewritten(folder, file.name, safetensors.torch.save(tensors))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("missing", "is missing"),
        ("truncated", "bytes where config.json says"),
        ("flipped", "is not the file that was written"),
        ("giant header", "not a safetensors file"),
        ("wrong shape", "has shape"),
        ("lacks a tensor", "is missing"),
        ("not finite", "not finite"),
    ],
)
@pytest.mark.parametrize("part", ["transformer", "video", "audio"])
def test_a_damaged_model_is_named_and_makes_no_film(
    untrained: Path, tmp_path: Path, refused: Refused, part: str, damage: str, said: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in untrained.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    _damage(folder, part, damage)
    line = refused(1, "generate", SENTENCE, "--model", folder, "--out", tmp_path / "a.mp4")
    assert said in line
    assert f"{folder}/{part}.safetensors" in line
    assert not any(tmp_path.glob("*a.mp4*"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spec", {}),
        ("transformer", {"width": "wide"}),
        ("codecs", None),
        ("words", []),
        ("video", {"image_size": -1}),
        ("audio", {"no_such": 1}),
        ("sampling", {"first": 2, "extra": 0}),
        ("kind", "tokenizer"),
    ],
)
def test_a_config_that_describes_no_model_is_named(
    untrained: Path, tmp_path: Path, refused: Refused, key: str, value: object
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in untrained.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    line = refused(1, "generate", SENTENCE, "--model", folder, "--out", tmp_path / "a.mp4")
    assert str(folder) in line
