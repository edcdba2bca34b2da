"""Our first promise: any environment's id, robot data set or folder of clips becomes a world that is stepped.

Each is recorded, trained for a few steps, loaded and stepped as a new user would, through the command line.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import orrery
from orrery.cli import main
from orrery.data.record.collect import collect
from orrery.inference.imagined import ImaginedWorld, load_world
from orrery.media.writer import FilmWriter

SHORT = ["--steps", "2", "--seed", "1"]


def trained(source: str, out: Path, *options: str) -> ImaginedWorld:
    """Two worlds of what `orrery train` made of a source."""
    assert main(["train", source, "--out", str(out), *SHORT, *options]) == 0
    page = (out / "page.html").read_text()
    assert "Losses" in page
    assert "copying" in (out / "checkpoint/card.md").read_text()
    return load_world(out / "checkpoint", 2)


def stepped(world: ImaginedWorld, num_steps: int = 3) -> dict[str, np.ndarray]:
    """The last tick of a few, each checked against its spec."""
    rng = np.random.default_rng(0)
    tick = world.reset(seed=0)
    for _ in range(num_steps):
        actions = {}
        for stream in world.spec.of_role("given"):
            shape = (2, *stream.shape)
            choice = stream.kind == "choice"
            drawn = rng.integers(0, stream.num_choices, shape) if choice else rng.uniform(-1, 1, shape)
            actions[stream.name] = drawn
        tick = world.step(actions or None)
    for name, stream in world.spec.streams.items():
        stream.check(tick[name])
        assert len(tick[name]) == 2
    return tick


def test_cartpole_with_its_reward_and_its_ending(tmp_path: Path) -> None:
    world = trained("gym:CartPole-v1", tmp_path / "run", "--episodes", "10", "--image-size", "32")
    tick = stepped(world)
    assert set(tick) == {"observation", "video.main", "action", "reward", "terminated"}
    assert set(np.unique(tick["reward"])) <= {0.0, 1.0}  # the only rewards that were ever seen
    assert set(np.unique(tick["terminated"])) <= {0, 1}
    figures = json.loads((tmp_path / "run/checkpoint/config.json").read_text())["provenance"]["rollouts"]
    assert set(figures["by_horizon"]) == {"observation", "video.main"}
    assert figures["by_horizon"]["observation"][0].keys() >= {"model", "copy", "ceiling", "shuffled"}


@pytest.mark.slow
def test_pong_with_its_sound(tmp_path: Path) -> None:
    pytest.importorskip("ale_py")
    world = trained("gym:Pong-v5", tmp_path / "run", "--episodes", "3", "--seconds", "2")
    tick = stepped(world)
    assert tick["audio.main"].shape == (2, 2048, 1)  # four frames of the console, 512 samples each
    assert tick["video.main"].shape == (2, 1, 96, 96, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["laboratory", "tabletop", "tabletop:close", "dummy"])
def test_our_own_worlds_by_the_same_path(name: str, tmp_path: Path) -> None:
    if name != "dummy":
        pytest.importorskip("mujoco_warp")
    world = trained(name, tmp_path / "run", "--episodes", "3", "--seconds", "1", "--image-size", "32")
    tick = stepped(world)
    assert {"video.main", "audio.main", "state"} <= set(tick)
    assert ("tracks.main" in tick) == (name == "tabletop:close")


@pytest.mark.slow
def test_a_folder_of_clips(tmp_path: Path) -> None:
    """Films of different lengths, sizes and rates, without any action."""
    clips = tmp_path / "clips"
    clips.mkdir()
    rng = np.random.default_rng(0)
    for number, (rate, size) in enumerate([(24, (48, 64)), (30, (64, 48)), (24, (48, 64))]):
        with FilmWriter(clips / f"{number}.mp4", rate, 24_000, size) as writer:
            for k in range(2 * rate):
                frame = np.full((1, *size, 3), 40, np.uint8)
                frame[:, 10:20, (k + number) % 40 : (k + number) % 40 + 8] = 220
                writer.write(frame, rng.normal(0, 0.01, (24_000 // rate, 2)).astype(np.float32))
    world = trained(f"clips:{clips}", tmp_path / "run", "--seconds", "2")
    tick = stepped(world)
    assert set(tick) >= {"video.main", "audio.main"}
    assert not world.spec.of_role("given")


@pytest.mark.slow
def test_a_robot_data_set_that_the_stock_library_wrote(tmp_path: Path) -> None:
    python = Path(__file__).parents[2] / ".venv-lerobot/bin/python"
    if not python.exists():
        pytest.skip("the stock lerobot library is not installed (.ci/lerobot)")
    made = subprocess.run(
        [python, str(Path(__file__).parents[1] / "data/write_with_lerobot.py"), str(tmp_path / "robot")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr[-2000:]
    world = trained(f"lerobot:{tmp_path / 'robot'}", tmp_path / "run")
    tick = stepped(world)
    assert {"proprioception", "action"} <= set(tick)
    assert any(name.startswith("video.") for name in tick)


def test_no_world_of_ours_is_needed(tmp_path: Path) -> None:
    """With the folders of our own worlds deleted, CartPole is still trained and stepped."""
    package = tmp_path / "orrery"
    shutil.copytree(
        Path(orrery.__file__).parent, package, ignore=shutil.ignore_patterns("checkpoints", "__pycache__")
    )
    for name in ("tabletop", "laboratory", "phyworld", "rigid_bodies"):
        shutil.rmtree(package / "worlds" / name)
    script = (
        "import sys; from orrery.cli import main\n"
        f"status = main(['train', 'gym:CartPole-v1', '--out', {str(tmp_path / 'run')!r}, '--steps', '2',"
        " '--episodes', '4', '--streams', 'observation', 'reward', 'terminated'])\n"
        "from orrery.inference.imagined import load_world\n"
        f"world = load_world({str(tmp_path / 'run/checkpoint')!r})\n"
        "import numpy as np, orrery\n"
        f"assert orrery.__file__.startswith({str(package)!r}), orrery.__file__\n"
        "world.reset(0); print(sorted(world.step(np.ones((1, 1, 1), int)))); sys.exit(status)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "['action', 'observation', 'reward', 'terminated']" in done.stdout


def test_what_a_kill_leaves_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """Losses and weights are equal to the bit, wherever the first process was killed."""
    collect("gym:CartPole-v1", tmp_path / "data", 6, streams=None, image_size=32, progress=False)
    options = ["--steps", "12", "--streams", "observation", "reward", "terminated"]

    def command(run: str) -> list[str]:
        return ["train", str(tmp_path / "data"), "--out", str(tmp_path / run), *options]

    assert main(command("whole")) == 0
    killed = (
        "import orrery.training.loop as loop, os, signal, sys\n"
        "loop.SAVE_SECONDS = 0.0\n"
        "save = loop._save\n"
        "def save_and_die(*args):\n"
        "    save(*args)\n"
        "    if args[4].step == 7: os.kill(os.getpid(), signal.SIGKILL)\n"
        "loop._save = save_and_die\n"
        "from orrery.cli import main\n"
        f"main({command('killed')!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", killed], capture_output=True, check=False)
    assert done.returncode == -9
    assert not (tmp_path / "killed/checkpoint").exists()
    assert main(command("killed")) == 0
    weights = [(tmp_path / run / "checkpoint/world.safetensors").read_bytes() for run in ("whole", "killed")]
    assert weights[0] == weights[1]
