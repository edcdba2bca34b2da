"""Gymnasium both ways, on a small real environment and on our own worlds."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
from gymnasium import spaces  # noqa: E402
from gymnasium.utils.env_checker import check_env  # noqa: E402

from orrery.errors import BadUse, UserError  # noqa: E402
from orrery.streams import Array, WorldSpec  # noqa: E402
from orrery.world import World  # noqa: E402
from orrery.worlds.dummy import DummyWorld, fold  # noqa: E402
from orrery.worlds.gymnasium import GymnasiumWorld, WorldEnv  # noqa: E402
from orrery.worlds.gymnasium.spaces import space_from_json  # noqa: E402

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


def walk(steps: list[float]) -> Array:
    """A step `[B]` of each world as actions `[B, 1, 1]`."""
    return np.array(steps, np.float32).reshape(-1, 1, 1)


def test_spec_is_taken_from_the_environment() -> None:
    world = GymnasiumWorld(Walker)
    assert isinstance(world, World)
    spec = world.spec
    assert (spec.clock.frames_per_second, spec.clock.frames_per_tick) == (30, 1)
    assert {n: (s.kind, s.role, s.shape) for n, s in spec.streams.items()} == {
        "video.main": ("video", "observed", (1, HEIGHT, WIDTH, 3)),
        "observation": ("vector", "observed", (1, 1)),
        "action": ("vector", "given", (1, 1)),
        "reward": ("vector", "outcome", (1, 1)),
        "terminated": ("choice", "outcome", (1, 1)),
    }
    assert (spec.streams["action"].low, spec.streams["action"].high) == (-1.0, 2.0)
    again = WorldSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert space_from_json(again.environment["observation_space"]) == Walker().observation_space
    assert space_from_json(again.environment["action_space"]) == Walker().action_space
    assert again.environment["render_fps"] == 30


def test_one_environment_step_is_one_tick() -> None:
    world = GymnasiumWorld(Walker)
    first = world.reset(seed=0)
    start = columns(first["video.main"]).item()
    assert first["observation"].item() == start
    tick = world.step(walk([2]))
    assert columns(tick["video.main"]).item() == tick["observation"].item() == start + 2
    assert world.rewards.tolist() == tick["reward"].ravel().tolist() == [2.0]
    assert tick["terminated"].item() == 0
    for observation in (first, tick):
        for name, value in observation.items():
            world.spec.streams[name].check(value)


def test_actions_are_clipped_into_the_box_and_none_is_zero() -> None:
    world = GymnasiumWorld(Walker)
    start = columns(world.reset(seed=0)["video.main"]).item()
    tick = world.step(walk([50]))
    assert tick["action"].item() == 2.0
    assert columns(tick["video.main"]).item() == start + 2
    assert columns(world.step(walk([-50]))["video.main"]).item() == start + 1
    still = world.step()
    assert columns(still["video.main"]).item() == start + 1
    assert not still["action"].any()


def test_discrete_actions_are_indices() -> None:
    world = GymnasiumWorld(lambda: Walker(discrete=True))
    start = columns(world.reset(seed=0)["video.main"]).item()
    assert world.spec.streams["action"].num_choices == 3
    tick = world.step(np.array([[[2]]]))
    assert columns(tick["video.main"]).item() == start + 1
    assert tick["action"].tolist() == [[[2]]]
    assert world.step(np.array([[[1.0]]]))["action"].item() == 1
    assert world.step()["action"].item() == 0  # the first possibility
    for wrong in (3, -1, 0.5):
        with pytest.raises(BadUse, match="action is a whole number from 0 to 2"):
            world.step(np.array([[[wrong]]]))


def test_after_the_end_the_last_picture_is_held_and_others_go_on() -> None:
    world = GymnasiumWorld(Walker, num_worlds=2)
    world.reset(seed=0)
    for _ in range(6):  # Walker itself fails if it is stepped after its end
        tick = world.step(walk([2, 0]))
    assert world.ended.tolist() == [True, False]
    assert world.endings == ["terminated", ""]
    assert tick["terminated"].ravel().tolist() == [1, 0]
    assert world.rewards[0] == 0.0
    held = world.step(walk([2, 1]))
    assert held["terminated"].ravel().tolist() == [1, 0]
    np.testing.assert_array_equal(held["video.main"][0], tick["video.main"][0])
    assert columns(held["video.main"])[1] == columns(tick["video.main"])[1] + 1
    assert not held["action"][0].any()
    again = world.reset(seed=5, mask=world.ended)
    assert not world.ended.any()
    assert not again["terminated"].any()
    np.testing.assert_array_equal(again["video.main"][1], held["video.main"][1])
    np.testing.assert_array_equal(
        again["video.main"][0], GymnasiumWorld(Walker).reset(seed=5)["video.main"][0]
    )


def test_what_is_cut_off_has_not_terminated() -> None:
    world = GymnasiumWorld(lambda: gymnasium.wrappers.TimeLimit(Walker(), 2))
    world.reset(seed=0)
    assert [world.step()["terminated"].item() for _ in range(3)] == [0, 0, 0]
    assert world.ended[0]
    assert world.endings == ["truncated"]


class Odd(Walker):
    """Rewards as arrays, endings as numpy's own, an end at the first step, pictures that grow."""

    grows = False

    def step(self, action: Any) -> Any:
        observation, reward, *_ = super().step(action)
        return observation, np.array([reward]), np.bool_(True), np.bool_(False), {}

    def render(self) -> Array:
        return np.repeat(super().render(), 1 + (self.grows and self.num_steps), axis=0)


def test_arrays_as_rewards_and_an_end_at_once() -> None:
    world = GymnasiumWorld(Odd)
    world.reset(seed=0)
    tick = world.step(walk([1]))
    assert tick["reward"].tolist() == [[[1.0]]]
    assert tick["terminated"].tolist() == [[[1]]]
    assert world.endings == ["terminated"]


@pytest.mark.parametrize("image_size", [None, 8])
def test_pictures_that_change_their_size_are_named(
    monkeypatch: pytest.MonkeyPatch, image_size: int | None
) -> None:
    monkeypatch.setattr(Odd, "grows", True)
    world = GymnasiumWorld(Odd, image_size=image_size)
    world.reset(seed=0)
    with pytest.raises(UserError, match=r"pictures changed from \[4, 12, 3\] to \[8, 12, 3\]"):
        world.step()


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
    assert video.shape == (1, 1, 4, 4, 3)
    assert video[0, 0, 0, :, 0].tolist() == [85, 0, 0, 0]  # one of three columns is lit
    assert GymnasiumWorld(Walker, image_size=(2, 6)).spec.streams["video.main"].shape == (1, 2, 6, 3)


def test_without_pictures_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Walker, "render", lambda self: 1 / 0)
    world = GymnasiumWorld(lambda: Walker(render_mode=None), streams=["observation", "action", "terminated"])
    world.reset(seed=0)
    assert list(world.step()) == ["observation", "action", "terminated"]
    monkeypatch.setattr(Walker, "metadata", {"render_modes": ["ansi"]})
    drawless = GymnasiumWorld(lambda: Walker(render_mode=None))
    assert "video.main" not in drawless.spec.streams


class Nested(Walker):
    """Observes and acts in parts."""

    def __init__(self) -> None:
        super().__init__(None)
        self.observation_space = spaces.Dict(
            {"place": spaces.Discrete(20), "arm": spaces.Dict({"bits": spaces.MultiBinary(3)})}
        )
        self.action_space = spaces.Dict({"far": spaces.Box(-1.0, 2.0, (1,)), "hop": spaces.Discrete(2)})
        self.metadata = {"render_modes": []}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        self.column += round(float(action["far"][0])) + int(action["hop"])
        return self._seen(), 0.0, False, False, {}

    def _seen(self) -> Any:
        return {"place": self.column, "arm": {"bits": np.array([1, 0, 1], np.int8)}}


def test_parts_of_observations_and_actions_are_streams() -> None:
    world = GymnasiumWorld(Nested)
    assert list(world.spec.streams) == [
        "observation.arm.bits", "observation.place", "action.far", "action.hop", "reward", "terminated",
    ]  # fmt: skip
    start = world.reset(seed=0)["observation.place"].item()
    acted = {"action.far": np.array([[[2.0]]], np.float32), "action.hop": np.array([[[1]]])}
    tick = world.step(acted)
    assert tick["observation.place"].item() == start + 3
    assert tick["observation.arm.bits"].tolist() == [[[1.0, 0.0, 1.0]]]
    assert {name: tick[name].item() for name in acted} == {"action.far": 2.0, "action.hop": 1}
    with pytest.raises(BadUse, match=r"2 actions; give a mapping with action.far, action.hop"):
        world.step(np.zeros((1, 1, 1)))
    with pytest.raises(BadUse, match=r"actions are action.far, action.hop, got action.far"):
        world.step({"action.far": np.zeros((1, 1, 1))})
    env = WorldEnv(GymnasiumWorld(Nested))
    assert (env.observation_space, env.action_space) == (Nested().observation_space, Nested().action_space)
    assert env.observation_space.contains(env.reset(seed=0)[0])
    assert env.observation_space.contains(env.step(env.action_space.sample())[0])


def test_a_world_of_an_environment_is_that_environment_again() -> None:
    env, again = Walker(), WorldEnv(GymnasiumWorld(Walker), render_mode="rgb_array")
    assert (again.observation_space, again.action_space) == (env.observation_space, env.action_space)
    observation, _ = again.reset(seed=3)
    first, _ = env.reset(seed=int(np.random.SeedSequence([3, 0]).generate_state(1)[0]))
    np.testing.assert_array_equal(observation, first)
    for _ in range(9):
        mine, theirs = again.step(np.array([[1.0]], np.float32)), env.step(np.array([[1.0]], np.float32))
        np.testing.assert_array_equal(mine[0], theirs[0])
        assert mine[1:4] == theirs[1:4]
        np.testing.assert_array_equal(again.render(), env.render())
        if theirs[2]:
            return
    raise AssertionError("it never ended")


def test_gymnasiums_own_discrete_observations() -> None:
    world = GymnasiumWorld("FrozenLake-v1", streams=["observation", "action", "reward", "terminated"])
    assert world.spec.streams["observation"].num_choices == 16
    world.reset(seed=0)
    for _ in range(200):
        tick = world.step(np.array([[[2]]]))
        if world.ended[0]:
            break
    assert tick["terminated"].item() == 1
    assert tick["observation"].item() in (5, 7, 11, 12, 15)
    env = WorldEnv(GymnasiumWorld("FrozenLake-v1", streams=["observation", "action", "reward", "terminated"]))
    assert env.observation_space == spaces.Discrete(16)
    assert [c for c in _check(env) if not any(t in c for t in TOLERATED)] == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GymnasiumWorld(Walker(), num_worlds=2), "function"),
        (lambda: GymnasiumWorld(Walker(render_mode=None)), "rgb_array"),
        (lambda: GymnasiumWorld("NoSuchGame-v0"), "NoSuchGame"),
        (lambda: GymnasiumWorld(Walker, num_worlds=0), "at least 1"),
        (
            lambda: GymnasiumWorld(Walker, streams=["vidio.main"]),
            "no stream 'vidio.main'; perhaps video.main",
        ),
        (lambda: GymnasiumWorld(Walker).step(), "reset"),
        (lambda: _fresh().step(np.zeros((1, 1, 3), np.float32)), r"action.*\[1, 1, 1\].*got \[1, 1, 3\]"),
        (lambda: _fresh().step(np.full((1, 1, 1), np.nan, np.float32)), "finite"),
        (lambda: _fresh().reset(seed=0, prompt="a ball"), "prompt"),
        (lambda: _fresh().reset(seed=0, mask=np.ones(3, bool)), "mask"),
        (lambda: GymnasiumWorld(Walker, 2).reset(seed=0, mask=np.array([True, False])), "first reset"),
        (lambda: WorldEnv(DummyWorld(2)), "batch of 2"),
        (lambda: WorldEnv(DummyWorld(streams=["state"])), "action"),
        (lambda: WorldEnv(GymnasiumWorld(Walker, streams=["action", "reward"])), "no observation, which"),
        (lambda: WorldEnv("tabeltop"), "tabletop"),
        (lambda: WorldEnv(DummyWorld(), render_mode="human"), "human"),
        (lambda: WorldEnv(DummyWorld()).reset(options={"sentence": "left"}), "prompt"),
    ],
)
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
    with pytest.raises(BadUse, match="action is Text"):
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
    from orrery.worlds.tabletop.world import TabletopWorld

    streams = ["audio.main", "touch.finger", "state", "camera.main", "action"]
    complaints = _check(WorldEnv(TabletopWorld(streams=streams)))
    assert not [c for c in complaints if not any(t in c for t in TOLERATED)]


@pytest.mark.slow
def test_tabletop_passes_gymnasiums_checker() -> None:
    pytest.importorskip("mujoco")
    from orrery.worlds.tabletop.world import TabletopWorld

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
    """A world made an environment made a world: each tick is the last frame of one."""
    inner = DummyWorld(size=8)
    world = GymnasiumWorld(WorldEnv(DummyWorld(size=8), render_mode="rgb_array"))
    world.reset(seed=9)
    inner.reset(seed=int(np.random.SeedSequence([9, 0]).generate_state(1)[0]))
    for step in (0.5, -0.25):
        action = np.full((1, 1), step, np.float32)
        outer, tick = world.step(action[None]), inner.step(action)
        np.testing.assert_array_equal(outer["video.main"][0, -1], tick["video.main"][0, -1])
        np.testing.assert_array_equal(outer["observation.state"].ravel(), tick["state"].ravel())


def test_registered_environments_are_made_by_name() -> None:
    gymnasium.register("OrreryTestWalker-v0", entry_point=Walker, max_episode_steps=3)
    try:
        world = GymnasiumWorld("OrreryTestWalker-v0", num_worlds=2)
        world.reset(seed=0)
        assert world.spec.environment["id"] == "OrreryTestWalker-v0"
        assert world.spec.environment["max_episode_steps"] == 3
        for _ in range(2):
            world.step()
            assert not world.ended.any()
        world.step()
        assert world.endings == ["truncated"] * 2
        world.close()
    finally:
        del gymnasium.envs.registration.registry["OrreryTestWalker-v0"]
