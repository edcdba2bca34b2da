"""Who moves the finger while the tabletop is recorded: never against what the sentence says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")

from orrery.data.record.policies import load_policy
from orrery.worlds.tabletop.setting import CLOSE
from orrery.worlds.tabletop.world import TabletopWorld

POLICY = f"{Path(__file__).parents[2]}/runs/tabletop/policy.py:ScriptOrWander"
SENTENCES = {"a blue ball is pushed to the left by the finger": 0.0, "a red box stands on the table": 0.7}
"""With the share of the episodes in which the finger does not follow the script."""
NUM_TRIES = 12


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_script_is_kept_where_the_sentence_speaks_of_the_finger(sentence: str) -> None:
    world = TabletopWorld(streams=["state", "action"], setting=CLOSE)
    first = world.reset(0, prompt=sentence)
    tick, scripted = {name: value[0] for name, value in first.items()}, world.scripted_action()[0]
    strayed = []
    for seed in range(NUM_TRIES):
        play, rng = load_policy(POLICY), np.random.default_rng(seed)
        actions = [play(tick, rng, world) for _ in range(30)]
        strayed.append(any(not np.array_equal(action, scripted) for action in actions))
    assert abs(np.mean(strayed) - SENTENCES[sentence]) < 0.3
    assert any(strayed) == (SENTENCES[sentence] > 0)
