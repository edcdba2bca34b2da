"""Everything that learns runs on one device, whichever that is; and one that is not there is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from pretend_device import HERE, PRETENDED, PretendDevice

from orrery.cli import main
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.errors import BadUse, UserError
from orrery.training import parallel
from orrery.training.recipe import sized_recipe
from orrery.training.train import train


@pytest.mark.slow
def test_a_run_on_a_device_is_the_run_on_the_cpu(tmp_path: Path) -> None:
    """Pictures, sound, numbers, actions and sentences: no tensor of another place meets those of the device,
    nothing reaches numpy from there, and random numbers, losses and weights are the same."""
    collect("dummy", tmp_path / "data", 2, seconds=0.5, image_size=16, progress=False)
    data = Dataset(tmp_path / "data")
    recipe = sized_recipe(data.spec, steps=2)
    here = train(data, recipe, tmp_path / "here", seed=1)
    with PretendDevice() as device:
        there = train(data, recipe, tmp_path / "there", seed=1, device=str(PRETENDED))
    assert device.moved > 100
    for file in here.glob("*.safetensors"):
        assert (there / file.name).read_bytes() == file.read_bytes(), file.name


def test_the_pretended_device_is_as_strict_as_a_real_one() -> None:
    with PretendDevice():
        there, here = torch.ones(2, device=PRETENDED), torch.ones(2)
        assert (there.device, here.device) == (PRETENDED, HERE)
        assert (2 * there + torch.tensor(1.0)).device == PRETENDED
        assert torch.zeros_like(there).device == there.new_zeros(2).device == PRETENDED
        assert here.to(there).device == PRETENDED
        layer = torch.nn.Linear(2, 2).to(PRETENDED)
        layer(there).sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.device == PRETENDED
        with pytest.raises(RuntimeError, match="same device"):
            _ = there + here
        with pytest.raises(RuntimeError, match="same device"):
            layer(here)
        with pytest.raises(RuntimeError, match="same device"):
            torch.cat([there, here])
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert there.cpu().numpy().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "meta"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(BadUse, match=f"--device {name}: .*cpu, cuda or cuda:0"):
        parallel.check_device(name, 1)


def test_a_device_that_is_not_there_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    command = ["train", "gym:CartPole-v1", "--out", str(tmp_path / "run"), "--device", "cuda"]
    assert main(command) == 1
    assert "finds no CUDA device; install" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_devices_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    parallel.check_device("cuda", 2)
    parallel.check_device("cuda:1", 1)
    with pytest.raises(UserError, match="there are 2 CUDA devices, for 3 process"):
        parallel.check_device("cuda", 3)
    with pytest.raises(UserError, match="there are 2 CUDA devices"):
        parallel.check_device("cuda:2", 1)
    with pytest.raises(BadUse, match="say cuda"):
        parallel.check_device("cuda:0", 2)


def test_each_process_takes_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert parallel.own_device("cuda") == taken[0] == torch.device("cuda", 3)
    assert parallel.own_device("cpu") == torch.device("cpu")
