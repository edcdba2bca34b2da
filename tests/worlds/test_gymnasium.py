"""Gymnasium both ways, on a small real environment and on our own worlds."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
from gymnasium import spaces  # noqa: E402
from gymnasium.utils.env_checker import check_env  # noqa: E402

from orrery.errors import BadUse, UserError  # noqa: E402
from orrery.streams import Array  # noqa: E402
from orrery.world import World  # noqa: E402
from orrery.worlds.dummy import DummyWorld, fold  # noqa: E402
from orrery.worlds.gymnasium import GymnasiumWorld, WorldEnv  # noqa: E402

HEIGHT, WIDTH, LENGTH = 4, 12, 6


class Walker(gymnasium.Env):
    """A lit column that walks right by round(action), to the end at column LENGTH; reward: columns walked."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(self, render_mode: str | None = "rgb_array", discrete: bool = False) -> None:
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(3, start=-1) if discrete else spaces.Box(-1.0, 2.0, (1, 1))
        self.observation_space = spaces.Box(0, WIDTH, (1,), np.int64)
        self.column, self.num_steps, self.is_over = 0, 0, True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.column, self.num_steps, self.is_over = int(self.np_random.integers(3)), 0, False
        return np.array([self.column]), {}

    def step(self, action: Any) -> Any:
        assert not self.is_over, "stepped after its end"
        assert self.action_space.contains(action)
        walked = round(float(np.reshape(action, ())))
        self.column, self.num_steps = max(0, self.column + walked), self.num_steps + 1
        self.is_over = self.column >= LENGTH
        return np.array([self.column]), float(walked), self.is_over, False, {}

    def render(self) -> Array:
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        picture[:, self.column] = 255
        return picture


def columns(video: Array) -> Array:
    """The lit column of each frame `[..., H, W, 3]`."""
    return video[..., 0, :, 0].argmax(axis=-1)


def walk(steps: list[list[float]]) -> Array:
    """Steps `[B][frames]` as actions `[B, frames, 1]`."""
    return np.array(steps, np.float32)[..., None]


def test_spec_is_taken_from_the_environment() -> None:
    world = GymnasiumWorld(Walker)
    assert isinstance(world, World)
    spec = world.spec
    assert spec.clock.frames_per_second == 30
    assert spec.streams["video.main"].shape == (2, HEIGHT, WIDTH, 3)
    assert spec.streams["action"].shape == (2, 1)
    assert (spec.streams["action"].low, spec.streams["action"].high) == (-1.0, 2.0)


def test_one_environment_step_is_one_frame() -> None:
    world = GymnasiumWorld(Walker)
    first = world.reset(seed=0)
    start = columns(first["video.main"])[0, 0]
    assert columns(first["video.main"]).tolist() == [[start, start]]
    tick = world.step(walk([[1, 2]]))
    assert columns(tick["video.main"]).tolist() == [[start + 1, start + 3]]
    assert world.rewards.tolist() == [3.0]
    for observation in (first, tick):
        for name, value in observation.items():
            world.spec.streams[name].check(value)


def test_actions_are_clipped_into_the_box_and_none_is_zero() -> None:
    world = GymnasiumWorld(Walker)
    start = columns(world.reset(seed=0)["video.main"])[0, 0]
    tick = world.step(walk([[50, -50]]))
    assert tick["action"].ravel().tolist() == [2.0, -1.0]
    assert columns(tick["video.main"]).tolist() == [[start + 2, start + 1]]
    still = world.step()
    assert columns(still["video.main"]).tolist() == [[start + 1] * 2]
    assert not still["action"].any()


def test_discrete_actions_are_scores() -> None:
    world = GymnasiumWorld(lambda: Walker(discrete=True))
    start = columns(world.reset(seed=0)["video.main"])[0, 0]
    tick = world.step(np.array([[[0.1, 0.2, 0.7], [0.1, 0.9, 0.3]]], np.float32))
    assert columns(tick["video.main"]).tolist() == [[start + 1, start + 1]]
    assert tick["action"].tolist() == [[[0, 0, 1], [0, 1, 0]]]


def test_after_the_end_the_last_picture_is_held_and_others_go_on() -> None:
    world = GymnasiumWorld(Walker, num_worlds=2)
    world.reset(seed=0)
    for _ in range(3):  # Walker itself fails if it is stepped after its end
        tick = world.step(walk([[2, 2], [0, 0]]))
    assert world.ended.tolist() == [True, False]
    assert columns(tick["video.main"])[0].tolist() == [LENGTH, LENGTH] or tick["video.main"][0].any()
    assert world.rewards[0] == 0.0
    held = world.step(walk([[2, 2], [0, 1]]))
    np.testing.assert_array_equal(held["video.main"][0, 1], tick["video.main"][0, 1])
    assert columns(held["video.main"])[1, 1] == columns(tick["video.main"])[1, 1] + 1
    assert not held["action"][0].any()
    again = world.reset(seed=5, mask=world.ended)
    assert not world.ended.any()
    np.testing.assert_array_equal(again["video.main"][1], held["video.main"][1])
    np.testing.assert_array_equal(
        again["video.main"][0], GymnasiumWorld(Walker).reset(seed=5)["video.main"][0]
    )


def test_the_end_inside_a_tick_counts_no_later_reward() -> None:
    world = GymnasiumWorld(Walker, frames_per_tick=6)
    start = columns(world.reset(seed=0)["video.main"])[0, 0]
    tick = world.step(walk([[2] * 6]))
    steps_to_end = int(np.ceil((LENGTH - start) / 2))
    assert world.rewards[0] == 2.0 * steps_to_end
    assert columns(tick["video.main"])[0].tolist() == [start + 2 * min(k, steps_to_end) for k in range(1, 7)]


def test_same_seed_same_world_and_seeds_differ() -> None:
    world = GymnasiumWorld(Walker, num_worlds=8)
    first = columns(world.reset(seed=1)["video.main"])[:, 0]
    world.step()
    np.testing.assert_array_equal(columns(world.reset(seed=1)["video.main"])[:, 0], first)
    assert len(set(first.tolist())) > 1
    assert any(columns(world.reset(seed=s)["video.main"])[:, 0].tolist() != first.tolist() for s in (2, 3))


def test_pictures_are_averaged_to_the_size_asked() -> None:
    world = GymnasiumWorld(Walker, image_size=4)
    video = world.reset(seed=0)["video.main"]
    assert video.shape == (1, 2, 4, 4, 3)
    assert video[0, 0, 0, :, 0].tolist() == [85, 0, 0, 0]  # one of three columns is lit


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GymnasiumWorld(Walker()  , num_worlds=2), "function"),
        (lambda: GymnasiumWorld(Walker(render_mode=None)), "rgb_array"),
        (lambda: GymnasiumWorld("NoSuchGame-v0"), "NoSuchGame"),
        (lambda: GymnasiumWorld(Walker, num_worlds=0), "at least 1"),
        (lambda: GymnasiumWorld(Walker).step(), "reset"),
        (lambda: _fresh().step(np.zeros((1, 2, 3), np.float32)), r"action.*\[1, 2, 1\].*got \[1, 2, 3\]"),
        (lambda: _fresh().step(np.full((1, 2, 1), np.nan, np.float32)), "finite"),
        (lambda: _fresh().reset(seed=0, prompt="a ball"), "prompt"),
        (lambda: _fresh().reset(seed=0, mask=np.ones(3, bool)), "mask"),
        (lambda: GymnasiumWorld(Walker, 2).reset(seed=0, mask=np.array([True, False])), "first reset"),
        (lambda: WorldEnv(DummyWorld(2)), "batch of 2"),
        (lambda: WorldEnv(DummyWorld(streams=["state"])), "action"),
        (lambda: WorldEnv("tabeltop"), "tabletop"),
        (lambda: WorldEnv(DummyWorld(), render_mode="human"), "human"),
        (lambda: WorldEnv(DummyWorld()).reset(options={"sentence": "left"}), "prompt"),
    ],
)  # fmt: skip
def test_mistakes_are_named(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def _fresh() -> GymnasiumWorld:
    world = GymnasiumWorld(Walker)
    world.reset(seed=0)
    return world


def test_other_action_spaces_are_refused() -> None:
    env = Walker()
    env.action_space = spaces.Text(2)
    with pytest.raises(BadUse, match="Text"):
        GymnasiumWorld(env)


def _check(env: WorldEnv) -> list[str]:
    """Run Gymnasium's checker; what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env)
    return [str(w.message) for w in caught]


TOLERATED = ("infinity", "symmetric and normalized", "having a spec")
"""Metres and newtons have no bounds, actions are in m/s, and the environment was not made by its id."""


def test_dummy_world_passes_gymnasiums_checker() -> None:
    complaints = _check(WorldEnv(DummyWorld(size=8), render_mode="rgb_array"))
    assert not [c for c in complaints if not any(t in c for t in TOLERATED)]


def test_tabletop_without_pictures_passes_gymnasiums_checker() -> None:
    pytest.importorskip("mujoco")
    from orrery.worlds.tabletop import TabletopWorld

    streams = ["audio.main", "touch.finger", "state", "camera.main", "action"]
    complaints = _check(WorldEnv(TabletopWorld(streams=streams)))
    assert not [c for c in complaints if not any(t in c for t in TOLERATED)]


@pytest.mark.slow
def test_tabletop_passes_gymnasiums_checker() -> None:
    pytest.importorskip("mujoco")
    from orrery.worlds.tabletop import TabletopWorld

    complaints = _check(WorldEnv(TabletopWorld(image_size=64), render_mode="rgb_array"))
    assert not [c for c in complaints if not any(t in c for t in TOLERATED)]


def test_world_as_environment_repeats_the_world() -> None:
    world, env = DummyWorld(size=8), WorldEnv(DummyWorld(size=8), render_mode="rgb_array")
    expected = world.reset(seed=4)
    observation, info = env.reset(seed=4)
    assert info["text"] == world.text(0)
    num_events = len(info["events"])
    for action in (-1.0, 0.5, 1.0) * 8:
        assert observation.keys() == expected.keys() - {"action"}
        for name, value in observation.items():
            np.testing.assert_array_equal(value, expected[name][0])
        np.testing.assert_array_equal(env.render(), expected["video.main"][0, -1])
        expected = world.step(np.array([[action]], np.float32))
        observation, reward, terminated, truncated, info = env.step(np.array([action], np.float32))
        num_events += len(info["events"])
        assert (reward, terminated, truncated) == (0.0, False, False)
    assert num_events == len(world.events(0)) > 0


def test_reward_and_length_of_an_episode() -> None:
    env = WorldEnv(DummyWorld(), reward=lambda tick: tick["state"][-1, 0, 2], max_ticks=3)
    observation, _ = env.reset(seed=1)
    ends = []
    for _ in range(3):
        observation, reward, _, truncated, _ = env.step(np.zeros(1, np.float32))
        assert reward == pytest.approx(float(observation["state"][-1, 0, 2]))
        ends.append(truncated)
    assert ends == [False, False, True]
    env.reset(seed=1)
    assert env.step(np.zeros(1, np.float32))[3] is False


def test_options_reach_the_world() -> None:
    env = WorldEnv(DummyWorld())
    _, info = env.reset(seed=3, options={"prompt": "left"})
    assert "left" in info["text"]
    scene = {"start_m": 0.25, "speed_m_s": 1.0}
    observation, _ = env.reset(options={"scene": scene})
    seconds = np.array([1, 2]) / 24
    expected = fold(0.25 + seconds)
    np.testing.assert_allclose(observation["state"][:, 0, 2], expected, atol=1.0 / 24 + 1e-6)
    assert np.ptp(observation["state"][:, 0, 2]) == pytest.approx(1.0 / 24, abs=1e-6)


def test_there_and_back_shows_the_same_pictures() -> None:
    """A world made an environment made a world: each frame is the last one of a tick."""
    inner = DummyWorld(size=8)
    world = GymnasiumWorld(WorldEnv(DummyWorld(size=8), render_mode="rgb_array"))
    outer = world.reset(seed=9)
    inner.reset(seed=int(np.random.SeedSequence([9, 0]).generate_state(1)[0]))
    steps = walk([[0.5, -0.25]])
    outer = world.step(steps)
    for frame in range(2):
        tick = inner.step(steps[:, frame])
        np.testing.assert_array_equal(outer["video.main"][0, frame], tick["video.main"][0, -1])


def test_registered_environments_are_made_by_name() -> None:
    gymnasium.register("OrreryTestWalker-v0", entry_point=Walker, max_episode_steps=3)
    try:
        world = GymnasiumWorld("OrreryTestWalker-v0", num_worlds=2)
        world.reset(seed=0)
        world.step()
        assert not world.ended.any()
        world.step()
        assert world.ended.all()  # truncated by its time limit
        world.close()
    finally:
        del gymnasium.envs.registration.registry["OrreryTestWalker-v0"]


@pytest.mark.slow
def test_what_mujoco_draws_has_depth_in_metres(tmp_path: Path) -> None:
    """A camera 2 m over a table sees it 2 m away, and a box on it as much nearer as it is high."""
    mujoco_env = pytest.importorskip("gymnasium.envs.mujoco.mujoco_env")
    model = tmp_path / "box.xml"
    model.write_text(
        """<mujoco><worldbody><light pos="0 0 3"/><camera name="top" pos="0 0 2"/>
        <geom type="plane" size="2 2 .1"/><body pos=".3 .3 .1">
        <joint name="turn" axis="0 0 1"/><geom type="box" size=".1 .1 .1" rgba="1 0 0 1"/></body></worldbody>
        <actuator><motor joint="turn"/></actuator></mujoco>"""
    )

    class Box(mujoco_env.MujocoEnv):
        metadata = {  # noqa: RUF012 - Gymnasium's own
            "render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"],
            "render_fps": 500,
        }

        def reset_model(self) -> Array:
            self.set_state(self.init_qpos, self.init_qvel)
            return np.zeros(1)

        def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, object]]:
            self.do_simulation(action, self.frame_skip)
            return np.zeros(1), 0.0, False, False, {}

    space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    try:
        env = Box(str(model), 1, space, render_mode="rgb_array", width=64, height=64, camera_name="top")
        env.reset(seed=0)
        env.render()
    except Exception as problem:  # whatever a missing driver of OpenGL makes of it
        pytest.skip(f"MuJoCo cannot draw here: {problem}")
    world = GymnasiumWorld(env, image_size=None, frames_per_tick=1)
    tick = world.reset(0)
    picture, depth = tick["video.main"][0, 0].astype(int), tick["depth.main"][0, 0]
    is_red = picture[..., 0] > 2 * picture[..., 1] + 20
    assert 4 < is_red.sum() < 400
    assert world.spec.streams["depth.main"].unit == "m"
    np.testing.assert_allclose(depth[:20, :20], 2.0, atol=0.01)
    assert abs(np.median(depth[is_red]) - 1.8) < 0.02
    assert (np.abs(depth - 1.8) < 0.05).sum() == pytest.approx(is_red.sum(), abs=30)
    world.close()
