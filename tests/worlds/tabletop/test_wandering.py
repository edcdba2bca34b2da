"""The wandering finger: it goes about, touches things, keeps its bounds, and follows from its seed."""

from __future__ import annotations

import numpy as np
import pytest

from orrery.data.record.world import record
from orrery.streams import Episode
from orrery.worlds.rigid_bodies.finger import MAX_SPEED_M_S
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.world import TabletopWorld

POLICY = "orrery.worlds.tabletop.wandering:wander"
STREAMS = ("state", "touch.finger", "action")


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    world = TabletopWorld(streams=STREAMS)
    return [record(world, seed, 3.5, POLICY) for seed in range(12)]


def test_it_moves_at_many_speeds_and_rests_in_between(episodes: list[Episode]) -> None:
    speeds = np.concatenate([np.linalg.norm(e.streams["action"], axis=-1).ravel() for e in episodes])
    assert speeds.max() <= MAX_SPEED_M_S + 1e-6
    assert 0.02 < (speeds == 0.0).mean() < 0.3
    assert len(np.unique(speeds.round(3))) > 30


def test_it_comes_down_to_the_things_and_moves_some(episodes: list[Episode]) -> None:
    felt = [np.abs(e.streams["touch.finger"]).max() > 0.05 for e in episodes]
    lowest = [STATE.get(e.streams["state"][:, -1, -1], "position")[:, 2].min() for e in episodes]
    assert np.mean(felt) > 0.5
    assert np.mean(np.array(lowest) < 0.15) > 0.8


def test_its_place_is_what_its_actions_add_up_to(episodes: list[Episode]) -> None:
    """Free of contact and bounds, the finger follows its target to a few millimetres."""
    checked = 0
    for episode in episodes:
        place = STATE.get(episode.streams["state"][:, :, -1], "position").reshape(-1, 3)
        action = episode.streams["action"].reshape(-1, 3)
        alone = np.abs(episode.streams["touch.finger"]).max((2, 3, 4)).ravel() == 0.0
        for start in range(0, len(place) - 8, 8):
            frames = slice(start + 1, start + 9)
            steady = (action[frames] == action[start]).all()
            if steady and alone[start : start + 9].all() and place[frames, 2].min() > 0.12:
                went = place[start + 8] - place[start]
                assert np.linalg.norm(went - action[frames].sum(0) / 24.0) < 0.012
                checked += 1
    assert checked > 20


def test_the_same_seed_wanders_the_same_way() -> None:
    world = TabletopWorld(streams=STREAMS)
    one, again = (record(world, 3, 1.0, POLICY) for _ in range(2))
    assert all(np.array_equal(one.streams[name], again.streams[name]) for name in STREAMS)
