"""Learned worlds as environments: what `gymnasium.make("orrery/imagined", checkpoint=...)` makes.

Any reinforcement-learning library that trains in Gymnasium's environments trains in these. Spaces, rewards,
terminations and the length after which an episode is truncated are those of the environment that the world
was learned from. Only what the observation, the reward and the ending need is imagined: a world of numbers
that also learned pictures draws them for `render_mode="rgb_array"` alone.
"""

from __future__ import annotations

from pathlib import Path

from gymnasium.vector import AutoresetMode

from orrery.engines.torch_engine import TorchEngine
from orrery.inference.imagined import ImaginedWorld, Sampling
from orrery.models.trained import load_trained
from orrery.registry import resolve_model
from orrery.streams import WorldSpec
from orrery.worlds.gymnasium.environment import WorldEnv
from orrery.worlds.gymnasium.layout import observation_layout
from orrery.worlds.gymnasium.spaces import space_from_json
from orrery.worlds.gymnasium.vector import WorldVectorEnv

__all__ = ["make_env", "make_vector_env"]


def make_env(
    checkpoint: str | Path,
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
    sampling: Sampling | None = None,
) -> WorldEnv:
    """A learned world as one environment.

    checkpoint: folder of a run or of a checkpoint, or the name of a world that ships. max_episode_steps: None
    for those of the environment that was learned from. UserError for a checkpoint that is missing or damaged.
    """
    world = _world(checkpoint, 1, render_mode, sampling)
    env = WorldEnv(world, max_ticks=max_episode_steps, render_mode=render_mode)
    env.metadata["render_modes"] = _render_modes(world)
    return env


def make_vector_env(
    checkpoint: str | Path,
    num_envs: int = 1,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
    sampling: Sampling | None = None,
) -> WorldVectorEnv:
    """`num_envs` learned worlds as one vector environment, all imagined in one pass; see `make_env` and
    `WorldVectorEnv`."""
    world = _world(checkpoint, num_envs, render_mode, sampling)
    env = WorldVectorEnv(world, autoreset_mode, max_episode_steps, render_mode)
    env.metadata["render_modes"] = _render_modes(world)
    return env


def _world(
    checkpoint: str | Path, num_worlds: int, render_mode: str | None, sampling: Sampling | None
) -> ImaginedWorld:
    engine = TorchEngine(load_trained(resolve_model(checkpoint)))
    return ImaginedWorld(engine, num_worlds, _streams(engine.spec, render_mode is not None), sampling)


def _streams(spec: WorldSpec, draws: bool) -> list[str]:
    """The streams that an environment needs: what it observes, rewards and endings, actions, and, where it
    `draws`, the first picture."""
    observed = [stream.name for stream in spec.of_role("observed")]
    if spec.environment:
        space = space_from_json(spec.environment["observation_space"])
        observed = [name for name in observation_layout(space).streams if name in spec.streams]
    needed = {*observed, *(s.name for role in ("given", "outcome") for s in spec.of_role(role))}
    if draws:
        needed |= {stream.name for stream in spec.of_kind("video")[:1]}
    return [name for name in spec.streams if name in needed]


def _render_modes(world: ImaginedWorld) -> list[str]:
    return ["rgb_array"] if world.engine.spec.of_kind("video") else []
