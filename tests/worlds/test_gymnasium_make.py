"""Environments by name, held actions, warm-up, and sound beside the observation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
from gymnasium import spaces  # noqa: E402

from orrery.errors import BadUse, UserError  # noqa: E402
from orrery.streams import Array  # noqa: E402
from orrery.worlds.gymnasium import GymnasiumWorld  # noqa: E402
from orrery.worlds.gymnasium.depth import DepthBeside  # noqa: E402
from orrery.worlds.gymnasium.make import make_environment, parse_name, quiet, ticks_per_second  # noqa: E402
from orrery.worlds.gymnasium.wrappers import HeldAction, SoundBeside  # noqa: E402

LENGTH, RATE = 10, 40


class Ticker(gymnasium.Env):
    """Counts its steps: in what it observes, in its samples, in its rewards; draws its own observation."""

    metadata = {"render_modes": ["rgb_array", "state_pixels"], "render_fps": RATE}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Dict(
            {"image": spaces.Box(0, 255, (32, 32, 3), np.uint8), "sound": spaces.Box(0, 255, (4,), np.uint8)}
        )
        self.action_space = spaces.Discrete(3, start=1)
        self.drawn: list[int] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.count = 0
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        self.count += 1
        return self._seen(), float(self.count), self.count >= LENGTH, False, {"action": action}

    def render(self) -> Array:
        return self._render("rgb_array")

    def _render(self, mode: str) -> Array:
        self.drawn.append(self.count)
        return np.full((32, 32, 3), self.count, np.uint8)

    def _seen(self) -> Any:
        self.state = self._render("state_pixels")
        return {"image": self.state, "sound": np.full(4, 128 + self.count, np.uint8)}


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    for name in ("OrreryTicker-v0", "orrerytest/Ticking-v3"):
        gymnasium.register(name, entry_point=Ticker, disable_env_checker=True)
    yield
    for name in ("OrreryTicker-v0", "orrerytest/Ticking-v3"):
        del gymnasium.registry[name]


def _held(repeat: int, warmup: int = 0) -> tuple[HeldAction, Ticker]:
    ticker = Ticker()
    return HeldAction(SoundBeside(ticker, "sound", only="image"), repeat, warmup), ticker


def test_a_held_action_sums_rewards_and_keeps_all_sound() -> None:
    env, ticker = _held(4)
    first, _ = env.reset(seed=0)
    assert env.observation_space == ticker.observation_space["image"]
    assert first.max() == 0
    assert env.sound is not None
    assert env.sound.shape == (16, 1)
    ticker.drawn.clear()
    picture, reward, terminated, _, info = env.step(2)
    assert (picture.max(), reward, terminated, info["action"]) == (4, 1 + 2 + 3 + 4, False, 2)
    np.testing.assert_array_equal(env.sound.ravel() * 128, np.repeat([1, 2, 3, 4], 4))
    assert ticker.drawn == [4], "pictures of steps that nobody sees were drawn"


def test_the_end_inside_a_held_action_is_shown_and_silent_after() -> None:
    env, ticker = _held(4)
    env.reset(seed=0)
    for _ in range(2):
        env.step(1)
    picture, reward, terminated, truncated, _ = env.step(1)
    assert (picture.max(), reward, terminated, truncated) == (LENGTH, 9 + 10, True, False)
    assert ticker.drawn[-1] == LENGTH
    assert env.sound is not None
    np.testing.assert_array_equal(env.sound.ravel() * 128, np.repeat([9, 10, 0, 0], 4))


def test_the_warm_up_goes_by_before_the_first_tick() -> None:
    env, ticker = _held(2, warmup=5)
    first, _ = env.reset(seed=0)
    assert first.max() == 5
    assert ticker.drawn == [0, 5]
    assert env.step(1)[0].max() == 7
    with pytest.raises(UserError, match="ended within its warm-up of 10 steps"):
        _held(1, warmup=10)[0].reset(seed=0)
    for repeat, warmup in ((0, 0), (1, -1), (1.5, 0)):
        with pytest.raises(BadUse, match="repeat is a whole number from 1"):
            _held(repeat, warmup)  # pyright: ignore[reportArgumentType]


def test_repeat_and_warmup_are_options_of_any_environment() -> None:
    world = GymnasiumWorld("OrreryTicker-v0?repeat=4&warmup=1&max_episode_steps=9")
    assert world.spec.clock.frames_per_second == RATE // 4
    assert world.spec.environment["options"] == {"repeat": 4, "warmup": 1, "max_episode_steps": 9}
    assert world.spec.environment["max_episode_steps"] == 2
    assert world.reset(seed=0)["video.main"].max() == 1
    assert world.step()["video.main"].max() == 5
    assert world.step()["video.main"].max() == 9
    assert world.endings == ["truncated"]


def test_names_find_their_namespace_and_newest_version() -> None:
    for name in ("orrerytest/Ticking-v3", "orrerytest/Ticking", "Ticking-v3", "Ticking"):
        env = make_environment(name)
        assert env.spec is not None
        assert env.spec.id == "orrerytest/Ticking-v3"
    assert parse_name("A/B-v1?mode=easy&level=3") == ("A/B-v1", {"mode": "easy", "level": 3})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ticking-v3", "perhaps orrerytest/Ticking-v3$"),
        ("another/Ticking-v3", "perhaps orrerytest/Ticking-v3$"),
        ("Ticking-v9", "perhaps orrerytest/Ticking-v3$"),
        ("Tickng-v3", "perhaps orrerytest/Ticking-v3"),
        ("xq/zzqqxxjj", "gym:MODULE:ID"),
    ],
)
def test_names_that_are_not_there_are_guessed_across_namespaces(
    name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orrery.worlds.gymnasium.make._FAMILIES", {})
    with pytest.raises(BadUse, match=said):
        make_environment(name)


def test_a_name_that_two_namespaces_have_is_not_guessed() -> None:
    gymnasium.register("another/Ticking-v3", entry_point=Ticker)
    try:
        with pytest.raises(BadUse, match="say which: another/Ticking-v3, orrerytest/Ticking-v3"):
            make_environment("Ticking-v3")
    finally:
        del gymnasium.registry["another/Ticking-v3"]


def test_families_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orrery.worlds.gymnasium.make._FAMILIES", {"GAMES/": ("orrery_no_such", "games")})
    with pytest.raises(BadUse, match=r"not installed: GAMES/ \(pip install games\)"):
        make_environment("Zzqqxxjj-v5")


class Demanding(Ticker):
    """Cannot be reset without being told a task."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.told = dict(options or {})
        if "task" not in self.told:
            raise ValueError("no task")
        return super().reset(seed=seed)


def test_resets_are_given_their_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gymnasium.registry, "OrreryTicker-v0", _spec_of(Demanding))
    world = GymnasiumWorld("OrreryTicker-v0?reset.task=pick up&reset.level=3&repeat=2&reset.at=[1,2]")
    base: Any = world.environments[0].unwrapped
    assert base.told == {"task": "pick up", "level": 3, "at": [1, 2]}
    world.reset(seed=1)
    assert base.told["level"] == 3
    assert world.spec.environment["options"]["reset.task"] == "pick up"
    with pytest.raises(UserError, match=r"cannot be reset: ValueError: no task; .*\?reset\.NAME=value"):
        GymnasiumWorld("OrreryTicker-v0")
    with pytest.raises(BadUse, match=r"'reset\.=3' is no option"):
        parse_name("A-v0?reset.=3")


def _spec_of(kind: type[Any]) -> Any:
    return gymnasium.envs.registration.EnvSpec("OrreryTicker-v0", entry_point=kind)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (lambda **_: 1 / 0, "cannot make 'OrreryTicker-v0': ZeroDivisionError"),
        (lambda **_: object(), "OrreryTicker-v0 is no gymnasium.Env; .*shimmy"),
    ],
)
def test_what_cannot_be_made_is_named(kind: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gymnasium.registry, "OrreryTicker-v0", _spec_of(kind))
    monkeypatch.setitem(sys.modules, "shimmy.openai_gym_compatibility", None)
    with pytest.raises(UserError, match=said):
        make_environment("OrreryTicker-v0")


def test_gymnasiums_warnings_are_silent_while_one_is_made(recwarn: pytest.WarningsRecorder) -> None:
    gymnasium.register("OrreryTicker-v0", entry_point=Ticker)  # again, of which Gymnasium warns
    assert len(recwarn) == 1
    make_environment("OrreryTicker-v0")
    with quiet():
        gymnasium.register("OrreryTicker-v0", entry_point=Ticker)
    assert len(recwarn) == 1


def test_a_file_is_found_by_what_it_registers_and_finds_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "orrery_beside.py").write_text("LENGTH = 3\n")
    (tmp_path / "orrery_own_file.py").write_text(
        "import gymnasium\nfrom gymnasium import spaces\nfrom orrery_beside import LENGTH\nRUNS = []\n"
        "class Own(gymnasium.Env):\n"
        "    observation_space = action_space = spaces.Discrete(LENGTH)\n"
        "    def reset(self, *, seed=None, options=None): return 0, {}\n"
        "gymnasium.register('OrreryOwn-v0', entry_point='orrery_own_file:Own')\n"
    )
    try:
        env = make_environment(f"{tmp_path / 'orrery_own_file.py'}:OrreryOwn-v0")
        assert env.action_space == spaces.Discrete(3)
        assert type(env.unwrapped).__module__ == "orrery_file_orrery_own_file"  # not run twice
    finally:
        for name in ("orrery_own_file", "orrery_file_orrery_own_file", "orrery_beside"):
            sys.modules.pop(name, None)
        del gymnasium.registry["OrreryOwn-v0"]


def test_what_cannot_draw_is_made_without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ticker, "metadata", {"render_modes": ["ansi"]})
    assert make_environment("OrreryTicker-v0").render_mode is None


def test_an_atari_step_is_its_own_with_the_sound_of_all_its_frames() -> None:
    """As the registered environment, frame skip and chance included."""
    pytest.importorskip("ale_py")
    own, ours = gymnasium.make("ALE/Pong-v5"), make_environment("Pong-v5")
    assert ours.observation_space == own.observation_space
    np.testing.assert_array_equal(own.reset(seed=3)[0], ours.reset(seed=3)[0])
    rng, loudest = np.random.default_rng(0), 0.0
    for _ in range(120):
        action = int(rng.integers(6))
        a, b = own.step(action), ours.step(action)
        np.testing.assert_array_equal(a[0], b[0])
        assert a[1:4] == b[1:4]
        sound = ours.get_wrapper_attr("sound")
        assert sound.shape == (2048, 1)
        loudest = max(loudest, float(np.abs(sound).max()))
    assert 0.1 < loudest <= 1.0
    assert ticks_per_second(ours) == 15
    assert ticks_per_second(make_environment("Pong-v5?frameskip=1")) == 60
    with pytest.warns(UserWarning, match="its sound is not recorded"):
        by_chance = make_environment("ALE/Pong-v5?frameskip=[2,5]")
    by_chance.reset(seed=0)


@pytest.mark.slow
def test_car_racing_draws_only_what_is_shown() -> None:
    pytest.importorskip("Box2D")
    own, ours = gymnasium.make("CarRacing-v3"), make_environment("CarRacing-v3?repeat=3")
    own.reset(seed=1)
    ours.reset(seed=1)
    action = np.array([0.2, 0.5, 0.0], np.float32)
    for _ in range(3):
        theirs = [own.step(action) for _ in range(3)]
        picture, reward, *_ = ours.step(action)
        np.testing.assert_array_equal(picture, theirs[-1][0])
        assert reward == pytest.approx(sum(float(step[1]) for step in theirs))


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
    world = GymnasiumWorld(DepthBeside(env), image_size=None)
    tick = world.reset(0)
    picture, depth = tick["video.main"][0, 0].astype(int), tick["depth.main"][0, 0]
    is_red = picture[..., 0] > 2 * picture[..., 1] + 20
    assert 4 < is_red.sum() < 400
    assert world.spec.streams["depth.main"].unit == "m"
    np.testing.assert_allclose(depth[:20, :20], 2.0, atol=0.01)
    assert abs(np.median(depth[is_red]) - 1.8) < 0.02
    assert (np.abs(depth - 1.8) < 0.05).sum() == pytest.approx(is_red.sum(), abs=30)
    world.close()


def test_depth_is_refused_where_there_is_none() -> None:
    with pytest.raises(BadUse, match="draws with MuJoCo"):
        make_environment("OrreryTicker-v0?depth=true")
