"""A snapshot of a process holds all of it: pictures, sounds and rewards come again bit by bit."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tallies import Broken, Tally, Threaded, tally

from orrery.errors import BadUse, UserError
from orrery.serving.opening import open_world
from orrery.serving.session import Session, Start
from orrery.streams import Array, Observation
from orrery.world import Snapshotable
from orrery.worlds.forked import ForkedWorld
from orrery.worlds.gymnasium import GymnasiumWorld


def played(world: ForkedWorld, choices: Array) -> list[tuple[Observation, list[str]]]:
    return [(world.step({"action": c.reshape(1, 1, 1)}), list(world.endings)) for c in choices]


def assert_equal(
    left: list[tuple[Observation, list[str]]], right: list[tuple[Observation, list[str]]]
) -> None:
    for (mine, ended), (other, also) in zip(left, right, strict=True):
        assert ended == also
        for name in mine:
            np.testing.assert_array_equal(mine[name], other[name], err_msg=name)


@pytest.fixture
def forked() -> Iterator[ForkedWorld]:
    world = ForkedWorld(tally)
    yield world
    world.close()


@pytest.mark.parametrize(
    "name",
    [
        "ALE/Pong-v5",  # actions stick
        "ALE/SpaceInvaders-v5?repeat=2&warmup=3&max_episode_steps=900",  # wrappers around it
        "ALE/Breakout-v5?frameskip=[2,5]",  # frames are skipped by chance
    ],
)
@pytest.mark.filterwarnings("ignore:.*skips frames by chance")
def test_a_console_comes_back_with_its_sound_its_chance_and_its_wrappers(name: str) -> None:
    pytest.importorskip("ale_py")
    world = ForkedWorld(partial(GymnasiumWorld, name))
    assert isinstance(world, Snapshotable)
    rng = np.random.default_rng(0)
    num = world.spec.streams["action"].num_choices
    world.reset(3)
    played(world, rng.integers(num, size=60))
    snapshot, choices = world.snapshot(), rng.integers(num, size=80)
    first = played(world, choices)
    world.restore(snapshot)
    assert_equal(first, played(world, choices))
    world.reset(99)  # from somewhere else altogether
    played(world, rng.integers(num, size=7))
    world.restore(snapshot)
    assert_equal(first, played(world, choices))
    if "audio.main" in world.spec.streams:
        assert np.ptp([tick["audio.main"] for tick, _ in first]) > 0
    assert any(ended != [""] for _, ended in first) == ("max_episode_steps" in name)
    world.close()


def test_a_snapshot_does_not_change_what_follows(forked: ForkedWorld) -> None:
    choices = np.random.default_rng(1).integers(2, size=30)
    forked.reset(5)
    plain = played(forked, choices)
    forked.reset(5)
    marked: list[tuple[Observation, list[str]]] = []
    kept = []
    for choice in choices:
        kept.append(forked._snapshot())
        marked += played(forked, np.array([choice]))
    assert_equal(plain, marked)
    forked.restore(kept[10])  # to the middle, and from there to before it
    assert_equal(plain[10:], played(forked, choices[10:]))
    forked.restore(kept[2])
    assert_equal(plain[2:], played(forked, choices[2:]))


def test_an_ending_is_taken_back(forked: ForkedWorld) -> None:
    forked.reset(5)
    played(forked, np.zeros(38, int))
    snapshot = forked._snapshot()
    assert [ended for _, ended in played(forked, np.zeros(3, int))] == [[""], ["terminated"], ["terminated"]]
    forked.restore(snapshot)
    assert forked.endings == [""]
    assert [ended for _, ended in played(forked, np.zeros(2, int))] == [[""], ["terminated"]]


def test_what_cannot_be_copied_is_named_and_is_played_all_the_same() -> None:
    world = ForkedWorld(partial(GymnasiumWorld, Threaded))
    assert not isinstance(world, Snapshotable)
    assert "2 threads" in world.keeps_no_snapshots
    world.reset(1)
    assert world.step()["reward"].shape == (1, 1, 1)
    session = Session(world)
    session.reset(Start(1))
    session.step(None)
    assert not session.can_snapshot
    assert session.keeps_no_snapshots == world.keeps_no_snapshots
    assert session.rewind(0).number == 0  # by doing everything again
    world.close()


def test_errors_come_through_in_words_and_it_goes_on() -> None:
    with pytest.raises(BadUse, match="num_worlds"):
        ForkedWorld(partial(GymnasiumWorld, Tally, num_worlds=0))
    world = ForkedWorld(partial(GymnasiumWorld, Broken))
    world.reset(1)
    with pytest.raises(UserError, match="a gear is gone"):
        played(world, np.ones(1, int))
    with pytest.raises(BadUse, match="action"):
        world.step(np.zeros((3, 3)))
    assert world.step()["observation"].shape[0] == 1
    world.close()


def test_a_process_that_was_killed_is_an_error_in_words(forked: ForkedWorld) -> None:
    forked.reset(1)
    os.kill(forked._process.pid, signal.SIGKILL)
    with pytest.raises(UserError, match="process has ended"):
        forked.step()


def _copies(group: int) -> int:
    """Processes of a session that run."""
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found += int(fields[3]) == group and fields[0] != "Z"
    return found


def _settled(group: int, num: int) -> bool:
    for _ in range(200):
        if _copies(group) == num:
            return True
        time.sleep(0.05)
    return False


def test_copies_end_when_they_are_forgotten_and_all_at_the_end() -> None:
    world = ForkedWorld(tally)
    world.reset(1)
    group = world._process.pid
    kept = [world._snapshot() for _ in range(3)]
    assert _settled(group, 4)
    world.restore(kept[0])
    del kept[1:]
    assert _settled(group, 2)
    world.close()
    assert _settled(group, 0)


def test_an_environment_is_rewound_at_once_in_play() -> None:
    pytest.importorskip("ale_py")
    session = open_world("gym:ALE/Pong-v5").make(rewinds=True)
    session.reset(Start(4))
    assert session.can_snapshot
    ticks = [session.step(None).observation for _ in range(40)]
    mark = max(number for number, mark in session.marks.items() if mark.tick < 30)
    first = session.marks[mark].tick
    assert session.rewind(mark).repeats
    for tick in ticks[first:]:
        again = session.step(None).observation
        for name in tick:
            np.testing.assert_array_equal(tick[name], again[name], err_msg=name)
    session.close()
