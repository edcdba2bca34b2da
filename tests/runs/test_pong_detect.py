"""What is found in pictures of Pong, against the console's memory, and against its sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orrery.data.record.policies import load_policy
from orrery.evaluation.detector import load_detector
from orrery.evaluation.tick_events import event_f1, onset_ticks

pytest.importorskip("ale_py")

RUN = Path(__file__).parents[2] / "runs/pong"
BALL_Y, BALL_X, LEFT_Y, RIGHT_Y = 54, 49, 50, 51
NUM_TICKS = 300


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    """Twenty seconds: streams `[1, T, ...]`, and the console's memory `[T, 128]`."""
    from orrery.worlds.gymnasium import GymnasiumWorld

    world = GymnasiumWorld("Pong-v5?repeat_action_probability=0", image_size=96)
    env = world.environments[0].unwrapped
    play, rng = load_policy(f"{RUN}/policy.py:FollowBall"), np.random.default_rng(3)
    ticks, memory = [world.reset(seed=7)], []
    for _ in range(NUM_TICKS):
        memory.append(env.ale.getRAM().astype(int))  # type: ignore[attr-defined]
        ticks.append(world.play([play(world.observations[0], rng, env)]))
    world.close()
    streams = {n: np.stack([t[n] for t in ticks[:-1]], 1) for n in ("video.main", "audio.main", "action")}
    return {**streams, "memory": np.stack(memory), "rate": np.array(world.spec.clock.samples_per_second)}


def blurred(frames: np.ndarray) -> np.ndarray:
    """As a tokenizer decodes small things: spread over neighbours, and with noise."""
    soft = frames.astype(np.float32)
    for axis in (2, 3):
        soft = 0.5 * soft + 0.25 * (np.roll(soft, 1, axis) + np.roll(soft, -1, axis))
    return np.clip(soft + np.random.default_rng(0).normal(0, 3, soft.shape), 0, 255).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("is_blurred", [False, True])
def test_places_are_those_in_the_consoles_memory(recorded: dict[str, np.ndarray], is_blurred: bool) -> None:
    """Half a pixel for the ball in either direction; two for paddles, of which edges and blur hide parts."""
    frames = recorded["video.main"][:, :, 0]
    frames = blurred(frames) if is_blurred else frames
    found = load_detector(RUN / "detect.py").find({"video.main": frames[:, :, None]})  # type: ignore[misc]
    memory = recorded["memory"]
    there = np.isfinite(found["ball"][0, :, 0])
    assert there[memory[:, BALL_Y] > 48].mean() > 0.97  # under that it is behind the upper edge
    assert not there[memory[:, BALL_Y] == 0].any()
    places = [("ball", 0, BALL_Y, 0.6), ("ball", 1, BALL_X, 0.6)]
    places += [("left paddle", 0, LEFT_Y, 2.0), ("right paddle", 0, RIGHT_Y, 2.0)]
    for name, axis, address, within in places:
        place, truth = found[name][0, :, axis], memory[:, address]
        told = np.isfinite(place) & (truth > 60 if axis == 0 else truth > 0) & (truth < 190)
        error = np.abs(place[told] - np.polyval(np.polyfit(truth[told], place[told], 1), truth[told]))
        assert np.percentile(error, 95) < within, name


@pytest.mark.slow
def test_what_is_seen_is_what_beeps(recorded: dict[str, np.ndarray]) -> None:
    events = load_detector(RUN / "detect.py").events
    assert events is not None
    seen = events({"video.main": recorded["video.main"]})
    heard = onset_ticks(recorded["audio.main"], int(recorded["rate"]))
    assert heard.sum() >= 10
    assert event_f1(heard, seen) > 0.9
    assert event_f1(heard, np.roll(seen, 5, 1)) < 0.5


@pytest.mark.slow
def test_the_real_paddle_answers_and_a_still_one_does_not() -> None:
    from orrery.worlds.gymnasium import GymnasiumWorld

    detector = load_detector(RUN / "detect.py")
    assert detector.counterfactual is not None
    assert detector.answered is not None
    first, second = detector.counterfactual({"action": np.zeros((1, 8, 1, 1), int)})
    films = []
    for course in (first, second):
        world = GymnasiumWorld("Pong-v5?repeat_action_probability=0", image_size=96)
        world.reset(seed=5)
        for _ in range(40):
            world.step(np.zeros((1, 1, 1), int))
        ticks = [world.step(course["action"][:, k]) for k in range(8)]
        films.append({"video.main": np.stack([t["video.main"] for t in ticks], 1)})
        world.close()
    assert detector.answered({}, films[0], films[1])[0] > 10
    assert detector.answered({}, films[1], films[0])[0] < -10
    assert detector.answered({}, films[0], films[0])[0] == 0
