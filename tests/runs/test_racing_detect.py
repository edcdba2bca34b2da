"""What is seen of CarRacing, against the environment's own car."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orrery.data.record.policies import load_policy
from orrery.evaluation.detector import load_detector
from orrery.modules import load_module

pytest.importorskip("Box2D")

RUN = Path(__file__).parents[2] / "runs/racing"
ENVIRONMENT = "CarRacing-v3?repeat=4&warmup=50"
CONTEXT, TICKS = 8, 6


def driven(seed: int, num_ticks: int, steering: float) -> tuple[np.ndarray, np.ndarray]:
    """Frames `[CONTEXT + TICKS, 96, 96, 3]` and headings to the right in degrees, of a drive along the road
    that ends with some ticks of one steering."""
    from orrery.worlds.gymnasium import GymnasiumWorld

    world = GymnasiumWorld(ENVIRONMENT, image_size=96)
    env = world.environments[0].unwrapped
    play, rng = load_policy(f"{RUN}/policy.py:FollowRoad"), np.random.default_rng(seed)
    world.reset(seed=seed)
    frames, headings = [], []
    for tick in range(num_ticks + TICKS):
        action = np.asarray(play(world.observations[0], rng, env))
        if tick >= num_ticks:
            action = np.array([steering, 0.2, 0.0])
        seen = world.play([action.astype(np.float32)])
        frames.append(seen["video.main"][0, 0])
        headings.append(-np.degrees(env.car.hull.angle))  # type: ignore[attr-defined]
    world.close()
    return np.stack(frames[-CONTEXT - TICKS :]), np.array(headings[-CONTEXT - TICKS :])


@pytest.mark.slow
def test_the_real_road_turns_the_way_of_the_steering() -> None:
    """Every gap between left and right has the sign of the car's own, and correlates with it at 0.9."""
    detector = load_detector(RUN / "detect.py")
    assert detector.answered is not None
    assert detector.counterfactual_ticks == TICKS
    turned = load_module(str(RUN / "detect.py")).turned
    seen, true = [], []
    for seed in range(500, 504):
        both = [driven(seed, 20, steering) for steering in (-0.7, 0.7)]
        context = {"video.main": both[0][0][None, :CONTEXT, None]}
        left, right = ({"video.main": frames[None, CONTEXT:, None]} for frames, _ in both)
        gap = detector.answered(context, left, right)[0]
        assert np.isnan(gap) or gap > 0
        assert detector.answered(context, right, left)[0] == pytest.approx(-gap, nan_ok=True)
        assert np.nan_to_num(detector.answered(context, left, left)[0]) == 0
        seen += [turned(frames[None, CONTEXT - 1 :])[0] for frames, _ in both]
        true += [headings[-1] - headings[CONTEXT - 1] for _, headings in both]
    assert np.corrcoef(seen, true)[0, 1] > 0.9


@pytest.mark.slow
def test_bars_follow_what_is_done() -> None:
    detector = load_detector(RUN / "detect.py")
    assert detector.amounts is not None
    frames, headings = driven(510, 20, 0.7)
    amounts = detector.amounts({"video.main": frames[None, :, None]})
    assert amounts["steering bar"][0, -1] > 3
    assert np.corrcoef(amounts["turning bar"][0, 1:], np.diff(headings))[0, 1] > 0.9
    assert 0.02 < amounts["road"].mean() < 0.6


def test_grass_is_no_road() -> None:
    is_road = load_module(str(RUN / "detect.py")).is_road
    frame = np.full((96, 96, 3), (102, 204, 102), np.uint8)
    frame[:, 40:60] = (102, 102, 102)
    frame[:, 38:40] = (255, 0, 0)  # a kerb
    assert is_road(frame).mean() == pytest.approx(20 / 96)


@pytest.mark.slow
def test_the_policy_that_sees_only_pictures_stays_on_the_real_road() -> None:
    from orrery.worlds.gymnasium import GymnasiumWorld

    detector = load_detector(RUN / "detect.py")
    assert detector.policy is not None
    assert detector.amounts is not None
    act, rng = detector.policy(), np.random.default_rng(0)
    world = GymnasiumWorld(ENVIRONMENT, image_size=96)
    tick = world.reset(seed=3)
    ticks = []
    for _ in range(100):
        tick = world.step(act({"video.main": tick["video.main"]}, rng))
        ticks.append(tick["video.main"])
    world.close()
    road = detector.amounts({"video.main": np.stack(ticks, 1)})["road"][0]
    assert road[-30:].mean() > 0.08
