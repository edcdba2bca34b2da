"""What is found in pictures of Push-T, against its state; and how a pose is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orrery.evaluation.detector import load_detector

RUN = Path(__file__).parents[2] / "runs/pusht"
PIXELS = 96 / 512


@pytest.mark.slow
def test_places_are_those_of_the_state() -> None:
    """The agent within half a pixel of 96; the T, whose middle is not its own origin, within two."""
    pytest.importorskip("gym_pusht")
    from orrery.data.record.policies import load_policy
    from orrery.worlds.gymnasium import GymnasiumWorld

    world = GymnasiumWorld(f"{RUN}/environment.py:PushT-v0", image_size=96)
    env, rng = world.environments[0].unwrapped, np.random.default_rng(0)
    play = load_policy(f"{RUN}/policy.py:Push")
    ticks = [world.reset(seed=4)]
    for _ in range(80):
        ticks.append(world.play([play(world.observations[0], rng, env)]))
    world.close()
    streams = {name: np.stack([t[name] for t in ticks], 1) for name in ("video.main", "observation")}
    find = load_detector(RUN / "detect.py").find
    assert find is not None
    found, state = find(streams), streams["observation"][0, :, 0]
    assert np.isfinite(found["T"]).all()
    assert np.isfinite(found["agent"]).mean() > 0.95
    along = np.stack([-state[:, 5], state[:, 4]], -1)
    agent, block = PIXELS * state[:, :2] - 0.5, PIXELS * (state[:, 2:4] + 45 * along)
    assert np.nanpercentile(np.abs(found["agent"][0, :, ::-1] - agent), 95) < 0.7
    assert np.nanpercentile(np.abs(found["T"][0, :, ::-1] - block), 95) < 2.0


def test_a_pose_is_judged_after_two_seconds() -> None:
    judged = load_detector(RUN / "detect.py").judged
    assert judged is not None
    truth = np.zeros((4, 30, 1, 6), np.float32)
    truth[..., 2:4], truth[..., 4] = 200, 1
    truth[2:, 10:, :, 2] = 260  # in two of four it moves
    context = {"observation": truth[:, :1].copy()}
    near, turned, copy = truth.copy(), truth.copy(), np.repeat(truth[:, :1], 30, 1)
    near[..., 2] += 9
    near[..., 4:] = np.cos(0.1), -np.sin(0.1)
    turned[:, 19, :, 4:] = np.cos(np.radians(12)), np.sin(np.radians(12))
    made = {n: {"observation": v} for n, v in {"near": near, "turned": turned, "copy": copy}.items()}
    counts = judged({"observation": truth}, context, made, 0.1)
    assert counts["pose"] == {
        "near": {"hits": 4, "of": 4}, "turned": {"hits": 0, "of": 4}, "copy": {"hits": 2, "of": 4},
    }  # fmt: skip
    assert counts["pose where it moves"]["copy"] == {"hits": 0, "of": 2}
    assert counts["pose where it moves"]["near"] == {"hits": 2, "of": 2}
