"""The table of worlds, and what still works where a world's folder is not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import orrery
from orrery.errors import BadUse
from orrery.worlds import WORLDS, world_factory

NAMED = ("tabletop", "laboratory", "phyworld", "rigid_bodies")


@pytest.mark.parametrize(
    "name", ["tablet", "tabletop:part", "phyworld:uniform:none", "phyworld:uniform:", ""]
)
def test_an_unknown_world_is_refused(name: str) -> None:
    with pytest.raises(BadUse, match=r"no world is called|no part of"):
        world_factory(name)


def _run_without(folders: tuple[str, ...], root: Path, *arguments: str) -> str:
    """What a Python prints that has a copy of this package without some folders of worlds."""
    package = Path(orrery.__file__).parent
    left_out = shutil.ignore_patterns("checkpoints", "__pycache__")
    shutil.copytree(package, root / "orrery", ignore=left_out)
    for folder in folders:
        shutil.rmtree(root / "orrery" / "worlds" / folder)
    run = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(root), "COLUMNS": "200"},
        cwd=root,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_without_a_world_only_its_name_is_gone(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    listed = _run_without(("laboratory",), tmp_path, "-m", "orrery.cli", "worlds")
    exact = {line.split()[1] for line in listed.splitlines() if " exact " in line}
    assert exact == WORLDS.keys() - {"laboratory"}


def test_without_any_named_world_the_rest_still_works(tmp_path: Path) -> None:
    pytest.importorskip("gymnasium")
    program = (
        "from orrery.data import dataset, layout, repair, verify, writer\n"
        "from orrery.data.record.collect import collect\n"
        "from orrery.worlds import WORLDS, gymnasium\n"
        "collect('dummy', 'data', 1, seconds=0.5, image_size=16, progress=False)\n"
        "print(len(dataset.Dataset('data')), *WORLDS)\n"
    )
    assert _run_without(NAMED, tmp_path, "-c", program).split() == ["1", "dummy"]


def test_sentences_are_read_where_no_simulator_is_installed() -> None:
    """A model is asked in the tabletop's language on machines that have no MuJoCo."""
    program = (
        "import sys\n"
        "for name in ('mujoco', 'mujoco_warp', 'warp', 'scipy'): sys.modules[name] = None\n"
        "from orrery.worlds.tabletop.language import parse\n"
        "assert parse('a red ball drops').bodies[0].shape == 'ball'"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
