"""A learned world where LeRobot looks for environments.

LeRobot's EnvHub (https://huggingface.co/docs/lerobot/envhub) downloads `env.py` from a repository and calls
its `make_env(n_envs, use_async_envs, cfg)`. Put a world there with a checkpoint's folder `checkpoint` and
this `env.py`:

    from functools import partial
    from pathlib import Path
    from huggingface_hub import snapshot_download
    from orrery.inference.lerobot import make_env

    repository = snapshot_download("USER/REPOSITORY", allow_patterns="checkpoint/*")
    make_env = partial(make_env, checkpoint=Path(repository) / "checkpoint")
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorObservationWrapper
from gymnasium.vector.utils import batch_space

from orrery.errors import BadUse
from orrery.inference.environment import make_vector_env
from orrery.worlds.gymnasium.pictures import picture_form

__all__ = ["make_env"]


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    cfg: Any = None,
    checkpoint: str | Path | None = None,
    render_mode: str | None = None,
) -> dict[str, dict[int, VectorEnv[Any, Any, Any]]]:
    """`{suite: {0: environment}}` of `n_envs` learned worlds, all imagined in one pass.

    use_async_envs: makes no difference, there is but one process. cfg: LeRobot's environment config; its
    `checkpoint` and `render_mode` are used where they are not given here. Observations are a dictionary, as
    LeRobot wants them: a single picture is called `pixels`, a vector `agent_pos`; those that have names keep
    them.
    """
    checkpoint = checkpoint or getattr(cfg, "checkpoint", None)
    if checkpoint is None:
        raise BadUse("which world? give make_env a checkpoint, or a config that has one")
    env = make_vector_env(checkpoint, n_envs, render_mode=render_mode or getattr(cfg, "render_mode", None))
    suite = env.world.spec.environment.get("id") or "orrery"
    if isinstance(env.single_observation_space, spaces.Dict):
        return {suite: {0: env}}
    return {suite: {0: _Named(env)}}


class _Named(VectorObservationWrapper):
    """An observation of one part as a dictionary of one."""

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        single = env.single_observation_space
        self._name = "pixels" if picture_form(single) else "agent_pos"
        self.single_observation_space = spaces.Dict({self._name: single})
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def observations(self, observations: Any) -> dict[str, Any]:
        return {self._name: observations}

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """See `WorldVectorEnv.call`."""
        return self.unwrapped.call(name, *args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """See `call`."""
        return self.call(name)
