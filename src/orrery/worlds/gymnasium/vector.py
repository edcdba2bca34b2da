"""Any batched world as a Gymnasium vector environment: one step is one tick of all its worlds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from orrery.errors import BadUse
from orrery.streams import Array, Observation
from orrery.world import World, close_world
from orrery.worlds.gymnasium.environment import WorldSpaces, rewards_of, terminations_of

__all__ = ["WorldVectorEnv"]

_OPTIONS = ("prompt", "scene", "reset_mask")


class WorldVectorEnv(VectorEnv[Any, Any, Array]):
    """The worlds of a batch as a `gymnasium.vector.VectorEnv`; spaces, rewards and endings as of `WorldEnv`.

    world: has an action stream, and starts some of its worlds again where `reset` is given a mask.
    autoreset_mode: when a world that has ended starts again: with the next step (the default), in the same
    one (what it showed last is then in `info["final_obs"]`), or never by itself; see
    https://farama.org/Vector-Autoreset-Mode. max_episode_steps: after which an episode is truncated; None for
    what the world's environment does, or never.

    `reset(seed=...)` takes one seed (world b is drawn from it and b) or one for each world, and the options
    `prompt`, `scene` and `reset_mask` (`[B]` bool: only these start again). The episodes after the first
    follow from the seed too. `render()` gives every world's last frame.
    """

    def __init__(
        self,
        world: World,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        self._spaces = WorldSpaces(world.spec)
        self.num_envs = world.num_worlds
        self.single_observation_space = self._spaces.observation_space
        self.single_action_space = self._spaces.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        videos = world.spec.of_kind("video")
        self._video = videos[0].name if videos else None
        self.metadata = {
            "render_modes": ["rgb_array"] if videos else [],
            "render_fps": world.spec.clock.ticks_per_second,
            "autoreset_mode": self.autoreset_mode,
        }
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise BadUse(f"render_mode {render_mode!r} is not among {self.metadata['render_modes']}")
        self.world, self.render_mode = world, render_mode
        self._max_episode_steps = max_episode_steps or world.spec.environment.get("max_episode_steps")
        self._num_ticks = np.zeros(self.num_envs, int)
        self._ended = np.zeros(self.num_envs, bool)
        self._last: Observation | None = None

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start again; see the class. Without a seed the next one is drawn."""
        super().reset(seed=seed if isinstance(seed, int) else None)
        chosen = {name: value for name, value in (options or {}).items() if name in _OPTIONS}
        mask = self._mask(chosen.pop("reset_mask", None))
        if seed is None or isinstance(seed, int):
            self._last = self.world.reset(self._drawn() if seed is None else seed, mask=mask, **chosen)
        else:
            self._reset_each(seed, np.ones(self.num_envs, bool) if mask is None else mask, chosen)
        again = slice(None) if mask is None else mask
        self._num_ticks[again] = 0
        self._ended[again] = False
        return self._observation(), self._texts(np.ones(self.num_envs, bool) if mask is None else mask)

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Advance all worlds one tick. actions: of `action_space`; without effect on a world that starts
        again."""
        if self._last is None:
            raise BadUse("reset the environment before its first step")
        again = self._ended.copy()
        if self.autoreset_mode is AutoresetMode.DISABLED and again.any():
            which = ", ".join(map(str, np.flatnonzero(again)))
            raise BadUse(f"worlds {which} have ended; reset them with options={{'reset_mask': ...}}")
        given = self._spaces.action(actions)
        tick = self.world.step(given["action"] if list(given) == ["action"] else given)  # pyright: ignore[reportArgumentType]
        self._num_ticks += 1
        rewards, terminated = rewards_of(tick, self.num_envs), terminations_of(tick, self.num_envs)
        truncated = np.zeros(self.num_envs, bool)
        if self._max_episode_steps is not None:
            truncated = self._num_ticks >= self._max_episode_steps
        self._last = tick
        info: dict[str, Any] = {}
        if again.any():
            self._again(again)
            rewards[again], terminated[again], truncated[again] = 0.0, False, False
            info = self._texts(again)
        self._ended = terminated | truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._ended.any():
            info = self._final_info()
            self._again(self._ended)
            info |= self._texts(self._ended)
            self._ended = np.zeros(self.num_envs, bool)
        return self._observation(), rewards, terminated, truncated, info

    def render(self) -> tuple[Any, ...] | None:
        """Every world's last frame, `[H, W, 3]` uint8, or None without `render_mode="rgb_array"`."""
        if self.render_mode is None or self._video is None:
            return None
        if self._last is None:
            raise BadUse("reset the environment before its first picture")
        return tuple(frames[-1].copy() for frames in self._last[self._video])

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """What each world's environment has under a name, as of `SyncVectorEnv`: `render`, `task` and
        `task_description` (its sentence) and `_max_episode_steps`."""
        if name == "render":
            return self.render() or (None,) * self.num_envs
        if name in ("task", "task_description"):
            text = getattr(self.world, "text", None)
            return tuple(text(b) if callable(text) else "" for b in range(self.num_envs))
        return (getattr(self, name),) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """See `call`."""
        return self.call(name)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the world, where it holds more than memory."""
        close_world(self.world)

    def _again(self, mask: Array) -> None:
        """Start some worlds again."""
        self._last = self.world.reset(self._drawn(), mask=mask)
        self._num_ticks[mask] = 0

    def _reset_each(self, seeds: Sequence[int | None], mask: Array, chosen: dict[str, Any]) -> None:
        """Start each world of the mask from a seed of its own."""
        if len(seeds) != self.num_envs:
            raise BadUse(f"seeds are one for each of {self.num_envs} worlds, got {len(seeds)}")
        if self._last is None:
            self._last = self.world.reset(self._drawn(), **chosen)
        for b in np.flatnonzero(mask):
            seed = seeds[int(b)]
            one = np.arange(self.num_envs) == b
            self._last = self.world.reset(self._drawn() if seed is None else int(seed), mask=one, **chosen)

    def _mask(self, mask: Array | None) -> Array | None:
        if mask is None:
            return None
        if not isinstance(mask, np.ndarray) or mask.shape != (self.num_envs,) or mask.dtype != bool:
            raise BadUse(f"reset_mask is a numpy array of {self.num_envs} bool, got {mask!r}")
        return mask

    def _drawn(self) -> int:
        return int(self.np_random.integers(2**31))

    def _observation(self) -> Any:
        assert self._last is not None
        return self._spaces.observation(self._last)

    def _final_info(self) -> dict[str, Any]:
        """`final_obs` and `final_info` of the worlds that have just ended."""
        assert self._last is not None
        info: dict[str, Any] = {}
        for b in map(int, np.flatnonzero(self._ended)):
            tick = {name: value[b] for name, value in self._last.items()}
            final = {"final_obs": self._spaces.observation(tick, num_leading=0), "final_info": self._text(b)}
            info = self._add_info(info, final, b)
        return info

    def _texts(self, mask: Array) -> dict[str, Any]:
        info: dict[str, Any] = {}
        for b in map(int, np.flatnonzero(mask)):
            info = self._add_info(info, self._text(b), b)
        return info

    def _text(self, b: int) -> dict[str, Any]:
        text = getattr(self.world, "text", None)
        words = text(b) if callable(text) else ""
        return {"text": words} if words else {}
