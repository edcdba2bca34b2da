"""What can be played by name, what is refused, and that a checkpoint runs nobody's code unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("pyarrow")

from orrery.cli import main
from orrery.data.record.collect import collect
from orrery.errors import BadUse, UserError
from orrery.serving.opening import Playable, _real_name, open_world
from orrery.serving.session import Start
from orrery.streams import Clock, WorldSpec
from orrery.worlds.dummy import DummyWorld


def test_an_exact_world_is_played_by_name() -> None:
    playable = open_world("dummy", image_size=16)
    assert (playable.title, playable.kind, playable.sentences, playable.beside) == (
        "dummy",
        "exact",
        True,
        "",
    )
    assert playable.make(False).reset(Start(0)).observation["video.main"].shape == (2, 16, 16, 3)


def test_an_environment_is_played_by_its_id() -> None:
    playable = open_world("gym:CartPole-v1", image_size=32)
    assert not playable.sentences
    session = playable.make(False)
    assert session.reset(Start(0)).observation["video.main"].shape == (1, 32, 32, 3)
    session.close()


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("nowhere", {}, "there are dummy"),
        ("gym:Nowhere-v0", {}, "knows no environment"),
        ("gym:CartPole-v1", {"beside": "gym:CartPole-v1"}, "real already"),
        ("dummy", {"recordings": Path("data")}, "real already"),
    ],
)
def test_what_cannot_be_opened_is_named(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        open_world(name, **options)


def test_a_learned_world_is_started_from_a_sentence_if_it_learned_any(
    tmp_path: Path,
) -> None:
    pytest.importorskip("mujoco")
    from orrery.models.trained import save_world
    from untrained_world import untrained_world

    playable = open_world(str(save_world(tmp_path / "table", untrained_world())))
    assert playable.sentences
    red, blue = (
        playable.make().reset(Start(0, prompt=f"a {colour} ball drops")).observation["state"]
        for colour in ("red", "blue")
    )
    assert not np.array_equal(red, blue)
    mute = open_world("pong")
    assert not mute.sentences
    with pytest.raises(BadUse, match="without sentences"):
        mute.make().reset(Start(0, prompt="a red ball drops"))


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it is not a checkpoint"):
        open_world(str(tmp_path))


def test_the_environment_that_was_learned_from_is_beside() -> None:
    environment = {"id": "ALE/Pong-v5", "options": {"repeat_action_probability": 0, "mode": "easy"}}
    spec = WorldSpec(Clock(), {}, environment)
    assert _real_name(spec, None) == 'ALE/Pong-v5?repeat_action_probability=0&mode="easy"'
    assert _real_name(spec, "gym:CartPole-v1") == "CartPole-v1"
    assert _real_name(WorldSpec(Clock(), {}), None) == ""
    with pytest.raises(BadUse, match="gym:ID"):
        _real_name(spec, "CartPole-v1")


@pytest.mark.parametrize("identity", ["evil.module:World-v0", "/tmp/evil.py:World-v0"])
def test_a_checkpoint_runs_no_module_unasked(identity: str) -> None:
    assert _real_name(WorldSpec(Clock(), {}, {"id": identity}), None) == ""


def test_an_episode_is_given_as_far_as_it_goes(tmp_path: Path) -> None:
    collect("dummy", tmp_path / "data", 1, 0, 1, 1.0, ("state", "action"), 16)
    from orrery.data.dataset import Dataset

    playable = Playable("dummy", "imagined", DummyWorld, recordings=Dataset(tmp_path / "data"))
    assert playable.num_recordings == 1
    given = playable.recording(0, DummyWorld().spec)
    assert {name: len(value) for name, value in given.items()} == {"state": 12, "action": 12}
    assert np.isfinite(given["state"]).all()
    with pytest.raises(BadUse, match="episodes 0 to 0"):
        playable.recording(7, DummyWorld().spec)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no world 'nowhere'"),
        (["dummy", "--port", "99999"], "--port 99999"),
        (["dummy", "--image-size", "3"], "--image-size 3"),
        (["dummy", "--beside", "gym:CartPole-v1"], "real already"),
        (["dummy", "--host", "192.0.2.1", "--no-browser"], "192.0.2.1:8717 cannot be listened on"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fastapi")
    assert main(["play", *arguments]) in (1, 2)
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
