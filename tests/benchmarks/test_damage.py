"""Whatever is damaged in a data set is told in words: no traceback, no hang, nothing invented."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import damage

pytest.importorskip("h5py", reason='h5py is not installed (pip install "orrery[hdf5]")')
sys.path.insert(0, str(Path(__file__).parents[1] / "data/record"))

import hdf5_data
from robot_data import Robot

from orrery.data.record.collect import collect

NUM = 40


def _ours(root: Path) -> str:
    collect("dummy", root / "ours", 2, seconds=0.5, image_size=16, progress=False)
    return str(root / "ours")


def _robot(root: Path) -> str:
    return f"lerobot:{Robot((4, 3), cameras={'observation.images.top': 20}).write(root / 'robot')}"


def _aloha(root: Path) -> str:
    for episode in range(2):
        hdf5_data.aloha(root / f"aloha/episode_{episode}.hdf5", episode, 4, compress=True)
    return f"hdf5:{root / 'aloha'}"


def _robomimic(root: Path) -> str:
    hdf5_data.robomimic(root / "demos.hdf5", [4, 3])
    return f"hdf5:{root}"


def _stable_worldmodel(root: Path) -> str:
    hdf5_data.stable_worldmodel(root / "two.h5", [4, 3])
    return f"hdf5:{root}?fps=10"


def _minari(root: Path) -> str:
    return f"minari:{hdf5_data.minari(root / 'things-v0', [3, 2])}"


@pytest.mark.slow
@pytest.mark.parametrize("make", [_ours, _robot, _aloha, _robomimic, _stable_worldmodel, _minari])
def test_every_damage_is_told(make: Callable[[Path], str], tmp_path: Path) -> None:
    source = make(tmp_path)
    for seed in range(NUM):
        try:
            damage.once(source, seed)
        except (Exception, damage.TookTooLong) as problem:
            raise AssertionError(f"{source}, seed {seed}: {type(problem).__name__}: {problem}") from problem
