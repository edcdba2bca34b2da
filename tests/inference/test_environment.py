"""A learned world as a Gymnasium environment, single and in a vector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402
from gymnasium.vector import AutoresetMode  # noqa: E402

from orrery.data.dataset import Dataset  # noqa: E402
from orrery.engines.torch_engine import TorchEngine  # noqa: E402
from orrery.errors import BadUse, UserError  # noqa: E402
from orrery.inference.environment import _streams, make_vector_env  # noqa: E402
from orrery.inference.imagined import ImaginedWorld, Sampling, load_world  # noqa: E402
from orrery.inference.lerobot import make_env as make_lerobot_env  # noqa: E402
from orrery.models.trained import load_trained  # noqa: E402
from orrery.registry import resolve_model  # noqa: E402
from orrery.streams import Clock, StreamSpec, WorldSpec  # noqa: E402
from orrery.training.recipe import sized_recipe  # noqa: E402
from orrery.worlds.gymnasium import WorldVectorEnv  # noqa: E402
from orrery.worlds.gymnasium.layout import observation_layout  # noqa: E402
from orrery.worlds.gymnasium.spaces import space_from_json, space_to_json  # noqa: E402


def made(run: Path, **options: Any) -> Any:
    return gymnasium.make("orrery/imagined", checkpoint=run, **options)


def vector(run: Path, num_envs: int = 3, **options: Any) -> Any:
    return gymnasium.make_vec(
        "orrery/imagined", num_envs, vectorization_mode="vector_entry_point", checkpoint=run, **options
    )


def ended_by_hand(env: WorldVectorEnv, worlds: list[int]) -> None:
    """Make some worlds say in every tick that they end."""
    step = env.world.step

    def ending(action: Any) -> Any:
        tick = step(action)
        tick["terminated"][:] = 0
        tick["terminated"][worlds] = 1
        return tick

    env.world.step = ending  # type: ignore[method-assign]


def test_spaces_and_length_are_those_of_the_real_environment(cartpole_run: Path) -> None:
    real, env, many = gymnasium.make("CartPole-v1"), made(cartpole_run), vector(cartpole_run)
    assert env.observation_space == real.observation_space
    assert env.action_space == real.action_space
    assert many.single_observation_space == real.observation_space
    assert many.single_action_space == real.action_space
    assert many.observation_space.shape == (3, 4)
    assert many.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert many.call("_max_episode_steps") == (500,) * 3
    assert env.metadata["render_modes"] == []


@pytest.mark.filterwarnings("ignore")  # CartPole's own velocities are unbounded
def test_gymnasium_finds_no_fault(cartpole_run: Path) -> None:
    check_env(made(cartpole_run).unwrapped, skip_render_check=True)


def test_a_nested_observation_comes_back_as_it_was_recorded(nested_run: Path) -> None:
    """Episodes begin as recorded ones did: what was written as streams is read again, part for part."""
    data = Dataset(nested_run.parent / "data")
    layout = observation_layout(space_from_json(data.spec.environment["observation_space"]))
    firsts = []
    for number in range(data.num_episodes):
        tick = data.load(number, list(layout.streams), 0, 1)
        firsts.append(repr(layout.from_streams({name: values[0] for name, values in tick.items()})))
    env = made(nested_run)
    assert env.observation_space == layout.space
    begun = [env.reset(seed=seed)[0] for seed in range(8)]
    assert {repr(seen) for seen in begun} <= set(firsts)
    assert len({seen["mission"] for seen in begun}) > 2
    for action in (0, 1, 1):
        seen = env.step(action)[0]
        rest = {key: value for key, value in seen.items() if key != "mission"}
        assert all(env.observation_space[key].contains(value) for key, value in rest.items())
        assert isinstance(seen["mission"], str)
    many = vector(nested_run, 2)
    seen, _ = many.reset(seed=3)
    assert seen["mission"] == tuple(map(str, seen["mission"]))
    assert seen["robot"]["qpos"].shape == (2, 2, 3)
    many.step(np.array([0, 1]))


def test_a_run_and_its_checkpoint_are_the_same_world(cartpole_run: Path) -> None:
    a, b = made(cartpole_run), made(cartpole_run / "checkpoint")
    assert np.array_equal(a.reset(seed=4)[0], b.reset(seed=4)[0])
    for action in (0, 1, 1):
        assert np.array_equal(a.step(action)[0], b.step(action)[0])


def test_an_episode_is_cut_off_after_its_length(cartpole_run: Path) -> None:
    for env in (made(cartpole_run, max_episode_steps=4), vector(cartpole_run, 1, max_episode_steps=4)):
        env.reset(seed=0)
        world = env.unwrapped.world
        world.step = _lasting(world.step)
        action = np.zeros(1, int) if isinstance(env, WorldVectorEnv) else 0
        steps = [env.step(action) for _ in range(4)]
        assert [bool(step[3]) for step in steps] == [False, False, False, True]
        assert not any(bool(step[2]) for step in steps)


def _lasting(step: Any) -> Any:
    def lasting(action: Any) -> Any:
        return step(action) | {"terminated": np.zeros((1, 1, 1), np.int64)}

    return lasting


def test_a_seed_repeats_all_episodes(cartpole_run: Path) -> None:
    env, again = vector(cartpole_run, max_episode_steps=3), vector(cartpole_run, max_episode_steps=3)
    first, second = env.reset(seed=7), again.reset(seed=7)
    assert np.array_equal(first[0], second[0])
    assert len(np.unique(first[0][:, 0])) == 3
    for tick in range(8):
        actions = np.array([tick % 2, 1, 0])
        assert np.array_equal(env.step(actions)[0], again.step(actions)[0])
    one_each = env.reset(seed=[5, 6, None])[0]
    assert np.array_equal(one_each[:2], env.reset(seed=[5, 6, 8])[0][:2])


def test_worlds_in_a_batch_go_as_they_would_alone(cartpole_run: Path) -> None:
    many, one = vector(cartpole_run, 4).unwrapped, vector(cartpole_run, 1).unwrapped
    many.reset(seed=0)
    given = {"observation": np.repeat(many.world.reset(seed=0)["observation"][:, None], 1, 1)}
    many.world.reset(0, given=given)
    rng, actions = np.random.default_rng(0), []
    together = []
    for _ in range(12):
        actions.append(rng.integers(2, size=(4, 1, 1)))
        together.append(many.world.step(actions[-1])["observation"])
    for b in (0, 3):
        one.world.reset(0, given={"observation": given["observation"][b : b + 1]})
        alone = [one.world.step(action[b : b + 1])["observation"] for action in actions]
        assert np.allclose(np.array(alone)[:, 0], np.array(together)[:, b], atol=1e-4)


def test_a_reset_of_some_leaves_the_others_untouched(cartpole_run: Path) -> None:
    env, undisturbed = vector(cartpole_run, 4), vector(cartpole_run, 4)
    for each in (env, undisturbed):
        each.reset(seed=0)
        each.step(np.array([0, 1, 0, 1]))
    mask = np.array([False, True, False, True])
    before = env.unwrapped._last["observation"].copy()
    after, _ = env.reset(seed=1, options={"reset_mask": mask})
    assert np.array_equal(after[~mask], before[~mask, 0])
    assert not np.array_equal(after[mask], before[mask, 0])
    for _ in range(3):
        disturbed, expected = env.step(np.ones(4, int))[0], undisturbed.step(np.ones(4, int))[0]
        assert np.array_equal(disturbed[~mask], expected[~mask])


def test_a_world_that_ended_starts_again_with_the_next_step(cartpole_run: Path) -> None:
    env = vector(cartpole_run).unwrapped
    env.reset(seed=0)
    ended_by_hand(env, [1])
    last, rewards, terminated, _, info = env.step(np.zeros(3, int))
    assert terminated.tolist() == [False, True, False]
    assert not info
    first, rewards, terminated, _, info = env.step(np.zeros(3, int))
    assert terminated.tolist() == [False] * 3
    assert rewards[1] == 0
    assert env._num_ticks.tolist() == [2, 0, 2]
    assert np.abs(first[1]).max() <= 0.051  # CartPole starts within 0.05 of rest
    assert not np.array_equal(first[1], last[1])
    assert env.step(np.zeros(3, int))[2].tolist() == [False, True, False]


def test_a_world_that_ended_starts_again_in_the_same_step(cartpole_run: Path) -> None:
    env = vector(cartpole_run, autoreset_mode="SameStep", max_episode_steps=2).unwrapped
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    env.reset(seed=0)
    ended_by_hand(env, [2])
    first, _, terminated, truncated, info = env.step(np.zeros(3, int))
    assert terminated.tolist() == [False, False, True]
    assert not truncated.any()
    assert info["_final_obs"].tolist() == [False, False, True]
    assert info["_final_info"].tolist() == [False, False, True]
    assert info["final_obs"][0] is None
    assert info["final_obs"][2].shape == (4,)
    assert not np.array_equal(info["final_obs"][2], first[2])
    assert np.abs(first[2]).max() <= 0.051
    _, _, terminated, truncated, info = env.step(np.zeros(3, int))
    assert truncated.tolist() == [True, True, False]
    assert info["_final_obs"].tolist() == [True, True, True]


def test_without_autoreset_an_ended_world_has_to_be_reset(cartpole_run: Path) -> None:
    env = vector(cartpole_run, autoreset_mode="Disabled").unwrapped
    env.reset(seed=0)
    ended_by_hand(env, [0])
    env.step(np.zeros(3, int))
    with pytest.raises(BadUse, match="worlds 0 have ended"):
        env.step(np.zeros(3, int))
    env.reset(options={"reset_mask": np.array([True, False, False])})
    env.step(np.zeros(3, int))


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (2, "0 to 1"),
        (-1, "0 to 1"),
        (0.5, "whole number"),
        ([0, 1], "action is"),
        (np.nan, "whole number"),
        ("left", "action is"),
    ],
)
def test_a_bad_action_is_named(cartpole_run: Path, action: Any, words: str) -> None:
    env, many = made(cartpole_run), vector(cartpole_run)
    env.reset(seed=0)
    many.reset(seed=0)
    with pytest.raises(BadUse, match=words):
        env.step(action)
    with pytest.raises(BadUse, match=words):
        many.step(np.array([action] * 3))
    with pytest.raises(BadUse, match="action"):
        many.step(action)


def test_a_missing_checkpoint_is_named(tmp_path: Path, cartpole_run: Path) -> None:
    with pytest.raises(UserError, match="no model 'nowhere'"):
        made(Path("nowhere"))
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match="no checkpoint yet"):
        made(tmp_path)
    with pytest.raises(BadUse, match="render_mode"):
        make_vector_env(cartpole_run, 2, render_mode="rgb_array")
    with pytest.raises(BadUse, match="before its first step"):
        make_vector_env(cartpole_run, 2).step(np.zeros(2, int))


def test_pictures_are_imagined_where_they_are_seen() -> None:
    def stream(name: str, kind: Any, role: Any, shape: tuple[int, ...]) -> StreamSpec:
        dtype = {"video": "uint8", "choice": "int64"}.get(kind, "float32")
        return StreamSpec(name, kind, role, shape, dtype, num_choices=2 * (kind == "choice"))

    streams = [
        stream("video.main", "video", "observed", (1, 32, 32, 3)),
        stream("observation", "vector", "observed", (1, 4)),
        stream("action", "choice", "given", (1, 1)),
        stream("reward", "vector", "outcome", (1, 1)),
        stream("terminated", "choice", "outcome", (1, 1)),
    ]
    space = space_to_json(gymnasium.spaces.Box(-1, 1, (4,)))
    environment = {"observation_space": space, "action_space": space_to_json(gymnasium.spaces.Discrete(2))}
    spec = WorldSpec(Clock(50, 1, 24_000), {s.name: s for s in streams}, environment)
    assert _streams(spec, draws=False) == ["observation", "action", "reward", "terminated"]
    assert _streams(spec, draws=True) == list(spec.streams)


def test_lerobot_gets_what_it_looks_for(cartpole_run: Path) -> None:
    env = make_lerobot_env(n_envs=2, use_async_envs=True, checkpoint=cartpole_run)["CartPole-v1"][0]
    observation, _ = env.reset(seed=[3, 4], options={"lerobot_new_rollout": True})  # type: ignore[arg-type]
    assert list(observation) == ["agent_pos"]
    assert env.observation_space.contains(observation)
    assert list(env.step(np.array([0, 1]))[0]) == ["agent_pos"]
    assert env.call("task") == ("", "")  # type: ignore[attr-defined]
    with pytest.raises(BadUse, match="checkpoint"):
        make_lerobot_env()


@pytest.mark.slow
def test_a_stock_library_trains_in_it(cartpole_run: Path) -> None:
    baselines = pytest.importorskip("stable_baselines3")
    model = baselines.PPO("MlpPolicy", made(cartpole_run), n_steps=32, batch_size=32, n_epochs=1, seed=0)
    model.learn(64)
    assert model.num_timesteps == 64


def test_an_ending_that_was_called_does_not_call_the_next(cartpole_run: Path) -> None:
    """What comes of a tick is not read back: where ticks go on, each is judged by itself."""
    engine = TorchEngine(load_trained(resolve_model(cartpole_run)))
    names = [n for n, s in engine.streams.items() if not s.given]
    rng = np.random.default_rng(0)
    observation = rng.normal(size=(2, 1, engine.streams["observation"].width)).astype(np.float32)
    called, not_called = np.array([[[-1.0, 1.0]]] * 2, np.float32), np.array([[[1.0, -1.0]]] * 2, np.float32)
    said = []
    for ending in (called, not_called):
        state = engine.begin(engine.empty(2, names), {"action": not_called})
        state = engine.commit(state, {"observation": observation, "terminated": ending})
        state = engine.begin(state, {"action": called})
        said.append(engine.denoise(state, {}, ["observation", "terminated"]))
    for name in said[0]:
        np.testing.assert_array_equal(said[0][name], said[1][name])


def test_numbers_are_counted_up_from_what_was_given(cartpole_run: Path) -> None:
    """The first tick that is imagined moves on from the last that was real, as all later ones do."""
    engine = TorchEngine(load_trained(resolve_model(cartpole_run)))
    names = [n for n, s in engine.streams.items() if not s.given]
    given = np.array([[[0.3, -0.2, 0.02, 0.1]], [[-0.1, 0.4, -0.01, -0.3]]], np.float32)
    state = engine.begin(engine.empty(2, names), {})
    latents, state = engine.encode(state, "observation", given)
    state = engine.commit(state, {"observation": latents}, is_real=True)
    state = engine.begin(state, {})
    rest = np.zeros_like(latents)  # in latents, no change is 0; the value is somewhere else altogether
    payload, _ = engine.decode(state, "observation", rest)
    np.testing.assert_allclose(payload, given, atol=1e-6)


def test_a_world_is_sampled_in_the_steps_it_was_trained_for(cartpole_run: Path) -> None:
    """Each group of streams is denoised once a step; `Sampling` may ask for others."""
    trained = load_trained(resolve_model(cartpole_run))
    recipe = sized_recipe(trained.spec, steps=1, sampling_steps=3)
    trained.model.config = replace(trained.model.config, sampling_steps=recipe.sizes["sampling_steps"])

    class Counted(TorchEngine):
        num_passes = 0

        def denoise(self, *arguments: Any) -> Any:
            self.num_passes += 1
            return super().denoise(*arguments)

    for sampling, num_steps in ((None, 3), (Sampling(), 3), (Sampling(steps=1), 1)):
        engine = Counted(trained)
        world = ImaginedWorld(engine, sampling=sampling)
        world.reset(0)
        before, groups = engine.num_passes, len(engine.order) - 1  # the action is given
        world.step(np.array([[[1]]]))
        assert engine.num_passes - before == groups * num_steps


@pytest.mark.parametrize("start_ticks", [None, 1, 3])
def test_the_first_step_heeds_its_action(cartpole_run: Path, start_ticks: int | None) -> None:
    """What the episode of a start holds beyond its start is not replayed."""
    world = load_world(resolve_model(cartpole_run), sampling=Sampling(start_ticks=start_ticks))
    after = []
    for choice in (0, 1):
        world.reset(0)
        after.append(world.step(np.array([[[choice]]]))["observation"])
    assert np.abs(after[0] - after[1]).max() > 1e-3
