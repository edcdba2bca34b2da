"""An action held for several steps, with all the sound of them; steps before the first; the last screen; what
a reset is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from orrery.errors import BadUse, UserError
from orrery.rounding import cast
from orrery.streams import Array
from orrery.worlds.gymnasium.codecs import sample_scale
from orrery.worlds.gymnasium.spaces import null_action

__all__ = ["HeldAction", "LastScreen", "ResetOptions", "SoundBeside", "find_wrapper", "flag", "scalar",
           "sound_of"]  # fmt: skip

AnyEnv = gymnasium.Env[Any, Any]


class HeldAction(gymnasium.Wrapper[Any, Any, Any, Any]):
    """One step is `repeat` steps of the environment under the same action: rewards are summed, the last
    observation is given, and `sound` is that of all of them, put end to end (silent after the end).

    warmup: steps of the environment that go by after each reset, without an action, before what is given.
    Pictures of steps that are not shown are not drawn where that can be avoided.
    """

    def __init__(self, env: AnyEnv, repeat: int = 1, warmup: int = 0) -> None:
        if not isinstance(repeat, int) or not isinstance(warmup, int) or repeat < 1 or warmup < 0:
            raise BadUse(f"repeat is a whole number from 1, warmup from 0; got {repeat!r} and {warmup!r}")
        super().__init__(env)
        self.repeat, self.warmup = repeat, warmup
        self.sound: Array | None = None
        """`[samples, channels]` float32 of the last step; None for an environment without sound beside it."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Start again, and let the warm-up go by."""
        observation, info = self.env.reset(seed=seed, options=options)
        for left in reversed(range(self.warmup)):
            with _undrawn(self.unwrapped) if left else nullcontext():
                observation, _, terminated, truncated, info = self.env.step(null_action(self.action_space))
            if flag(terminated) or flag(truncated):
                raise UserError(f"the environment ended within its warm-up of {self.warmup} steps")
        quiet = sound_of(self.env)
        self.sound = None if quiet is None else np.tile(np.zeros_like(quiet), (self.repeat, 1))
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """`repeat` steps, or as many as there are until the end."""
        total, heard, is_over, left = 0.0, list[Array](), False, self.repeat
        observation, terminated, truncated, info = None, False, False, {}
        while left and not is_over:
            left -= 1
            with _undrawn(self.unwrapped) if left else nullcontext():
                observation, reward, terminated, truncated, info = self.env.step(action)
            total, is_over = total + scalar(reward), flag(terminated) or flag(truncated)
            sound = sound_of(self.env)
            heard += [] if sound is None else [sound]
        if left:
            observation = _drawn(self.unwrapped, observation)
        silent = [np.zeros_like(heard[0])] * left if heard else []
        self.sound = np.concatenate([*heard, *silent]) if heard else None
        return observation, total, flag(terminated), flag(truncated), info


class SoundBeside(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Takes the sound out of a Dict observation, so that the observation is what it is without sound.

    key: of the sound. only: the key of the observation that is left by itself, if any.
    """

    def __init__(self, env: AnyEnv, key: str, only: str | None = None) -> None:
        super().__init__(env)
        assert isinstance(env.observation_space, spaces.Dict)
        parts = env.observation_space.spaces
        rest = spaces.Dict([(name, part) for name, part in parts.items() if name != key])
        self.observation_space = rest if only is None else parts[only]
        self._key, self._only, self._dtype = key, only, parts[key].dtype
        self.sound = self._heard(np.zeros(parts[key].shape or (), self._dtype))
        """`[samples, channels]` float32 of the last step."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Start again."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._without(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Advance one step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._without(observation), reward, terminated, truncated, info

    def _without(self, observation: Any) -> Any:
        self.sound = self._heard(np.asarray(observation[self._key]))
        if self._only is not None:
            return observation[self._only]
        return {name: value for name, value in observation.items() if name != self._key}

    def _heard(self, raw: Array) -> Array:
        middle, scale = sample_scale(self._dtype)
        if middle and not raw.any():  # ALE's buffer before anything was played, far below silence
            raw = np.full_like(raw, middle)
        samples = (cast(raw, np.float32) - middle) / np.float32(scale)
        return samples.reshape(len(samples), -1)


class LastScreen(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Gives the last observation once more at the end, for ViZDoom, which then has nothing but zeros."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Start again."""
        self._last, info = self.env.reset(seed=seed, options=options)
        return self._last, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Advance one step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._last = self._last if terminated or truncated else observation
        return self._last, reward, terminated, truncated, info


class ResetOptions(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Gives every reset some `options`."""

    def __init__(self, env: AnyEnv, options: dict[str, Any]) -> None:
        super().__init__(env)
        self._options = options

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Start again."""
        return self.env.reset(seed=seed, options={**self._options, **(options or {})})


def scalar(reward: Any) -> float:
    """A reward as a number: some environments give an array of one."""
    numbers = np.asarray(reward, np.float64).ravel()
    if len(numbers) != 1:
        raise UserError(f"a reward is one number, the environment gave {len(numbers)}; wrap it")
    return float(numbers[0])


def flag(ended: Any) -> bool:
    """Whether an episode has ended: some environments give an array, or a list, of one."""
    if isinstance(ended, bool):
        return ended
    flags = np.asarray(ended).ravel()
    if len(flags) != 1:
        raise UserError(f"an ending is one yes or no, the environment gave {len(flags)}; wrap it")
    return bool(flags[0])


def find_wrapper(env: AnyEnv, kind: type[Any] | tuple[type[Any], ...]) -> Any:
    """The outermost wrapper of a kind (or of one of several), or None."""
    while not isinstance(env, kind):
        if not isinstance(env, gymnasium.Wrapper):
            return None
        env = env.env
    return env


def sound_of(env: AnyEnv) -> Array | None:
    """The sound of the last step that goes beside an environment's observation; None without any."""
    wrapper = find_wrapper(env, (HeldAction, SoundBeside))
    return None if wrapper is None else wrapper.sound


def _draws_its_observation(base: Any) -> bool:
    """CarRacing's form: each step draws its observation, `state`, with `_render("state_pixels")`."""
    return hasattr(base, "_render") and "state_pixels" in (base.metadata.get("render_modes") or [])


@contextmanager
def _undrawn(base: Any) -> Iterator[None]:
    """Steps whose observation nobody sees do not draw it."""
    if not _draws_its_observation(base):
        yield
        return
    base._render = lambda mode: base.state.copy()
    try:
        yield
    finally:
        del base._render


def _drawn(base: Any, observation: Any) -> Any:
    """The observation of a step that `_undrawn` kept from being drawn."""
    return base._render("state_pixels") if _draws_its_observation(base) else observation
