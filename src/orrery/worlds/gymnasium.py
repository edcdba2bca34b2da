"""Gymnasium both ways: any `gymnasium.Env` with pictures is a world, and any world is a `gymnasium.Env`.

As a world, one step of an environment is one video frame, so that a tick takes `frames_per_tick` steps. As
an environment, one tick of a world is one step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from PIL import Image

from orrery.errors import BadUse, UserError
from orrery.streams import Array, Clock, Observation, StreamSpec, WorldSpec
from orrery.world import Describable, World
from orrery.worlds import WORLDS, world_factory
from orrery.worlds.gymnasium_actions import (
    action_bounds,
    action_to_vector,
    action_width,
    null_action,
    vector_to_action,
)
from orrery.worlds.gymnasium_make import make_environment
from orrery.worlds.gymnasium_senses import Senses, frame_rate

__all__ = ["GymnasiumWorld", "WorldEnv", "register_worlds"]

_SAMPLES_PER_SECOND = 24_000
_OPTIONS = ("prompt", "scene")


class GymnasiumWorld:
    """`num_worlds` copies of a Gymnasium environment: `video.main`, `action`, `reward`, and what else it has.

    environment: a registered id (see `make_environment`), a function that makes one (with
    `render_mode="rgb_array"`), or, for a single world, an environment. Its `render_fps` is the frame rate (24
    without one), and its sound keeps the number of samples that go with a frame: nothing is resampled, so
    that every picture belongs to one action. image_size: pixels of a square picture, made by averaging areas
    whatever the aspect ratio; None keeps the environment's own picture. `Senses` has the other streams.

    `action` is `[frames_per_tick, A]` (see `gymnasium_actions`). Without an action, a `Box` gets zeros
    (clipped into its bounds), a `Discrete` its first choice. `reward` is `[frames_per_tick, 1]`. The first
    tick shows the picture after reset in every frame: no step was taken yet.

    Nothing starts again by itself. From the step that terminates or truncates an episode on, the world holds
    its last picture, its actions have no effect and its rewards are zero, so that the others of a batch go
    on; `ended` says which worlds these are, and `reset(seed, mask=world.ended)` starts them again.
    """

    def __init__(
        self,
        environment: gymnasium.Env[Any, Any] | str | Callable[[], gymnasium.Env[Any, Any]],
        num_worlds: int = 1,
        image_size: int | None = None,
        frames_per_tick: int = 2,
    ) -> None:
        if num_worlds < 1 or frames_per_tick < 1 or (image_size is not None and image_size < 1):
            raise BadUse(
                "a world needs num_worlds, frames_per_tick and image_size of at least 1, "
                f"got {num_worlds}, {frames_per_tick} and {image_size}"
            )
        self._envs = _make_environments(environment, num_worlds)
        self._image_size = image_size
        space = self._envs[0].action_space
        width = action_width(space)
        self._null = null_action(space)
        self._senses = Senses(self._envs[0], image_size)
        first, _ = self._envs[0].reset(seed=0)  # the only way to learn the size of its pictures
        picture = self._picture(0, first)
        clock = _clock(self._envs[0], frames_per_tick, self._senses.num_samples(first))
        streams = [
            StreamSpec(
                "video.main", "video", "observed", (frames_per_tick, *picture.shape), "uint8", "sRGB", 0, 255
            ),
            *self._senses.specs(self._envs[0], first, frames_per_tick),
            StreamSpec(
                "action", "vector", "given", (frames_per_tick, width), "float32", "", *action_bounds(space)
            ),
            StreamSpec("reward", "vector", "outcome", (frames_per_tick, 1), "float32"),
        ]
        self.spec = WorldSpec(clock, {stream.name: stream for stream in streams})
        self.num_worlds = num_worlds
        self.rewards = np.zeros(num_worlds)
        """`[B]`: sum of each environment's rewards over the last tick."""
        self.ended = np.ones(num_worlds, bool)
        """`[B]`: which environments have terminated or were truncated."""
        self.endings = [""] * num_worlds
        """How each ended: `terminated`, `truncated`, or empty."""
        self.observations: list[Any] = [None] * num_worlds
        """What each environment itself last gave as its observation."""
        self._ticks: list[Observation | None] = [None] * num_worlds
        self._shown: list[tuple[Array, dict[str, Array]]] = [(picture, {})] * num_worlds

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """Start again; see `World.reset`. An environment takes no prompt, scene or given streams: BadUse."""
        for name, value in {"prompt": prompt, "scene": scene, "given": given}.items():
            if value is not None:
                raise BadUse(f"a Gymnasium environment cannot be reset with a {name}; leave it out")
        chosen = np.ones(self.num_worlds, bool) if mask is None else np.asarray(mask)
        if chosen.shape != (self.num_worlds,) or chosen.dtype != bool:
            raise BadUse(f"a mask is [{self.num_worlds}] bool, got {list(chosen.shape)} {chosen.dtype}")
        if any(tick is None and not chosen[b] for b, tick in enumerate(self._ticks)):
            raise BadUse("the first reset starts every world; leave the mask out")
        self.rewards, self.ended = np.where(chosen, 0.0, self.rewards), self.ended & ~chosen
        frames = self.spec.clock.frames_per_tick
        for b in np.flatnonzero(chosen):
            env_seed = int(np.random.SeedSequence([seed, int(b)]).generate_state(1)[0])
            self.observations[b], _ = self._envs[b].reset(seed=env_seed)
            self.endings[b] = ""
            picture = self._picture(int(b), self.observations[b])
            senses = self._senses.read(self._envs[b], self.observations[b])
            still = (picture, senses, self._null, 0.0)
            silent = (picture, self._senses.silenced(senses), self._null, 0.0)
            self._ticks[b] = self._tick([silent] * (frames - 1) + [still])
            self._shown[b] = picture, senses
        return self._observe()

    def step(self, action: Array | None = None) -> Observation:
        """Advance one tick; see `World.step`. action: `[B, frames_per_tick, A]`, clipped into its bounds."""
        shape = (self.num_worlds, *self.spec.streams["action"].shape)
        if any(tick is None for tick in self._ticks):
            raise BadUse("reset the world before its first step")
        if action is None:
            action = np.broadcast_to(self._null, shape)
        action = np.asarray(action, np.float32)
        if action.shape != shape:
            raise BadUse(f"the action is {list(shape)}, got {list(action.shape)}")
        if not np.isfinite(action).all():
            raise BadUse("the action holds values that are not finite; give finite ones")
        self.rewards, self.ended = np.zeros(self.num_worlds), self.ended.copy()
        self._ticks = [self._advance(b, action[b]) for b in range(self.num_worlds)]
        return self._observe()

    @property
    def environment(self) -> str:
        """The registered id; empty where there is none."""
        spec = self._envs[0].spec
        return spec.id if spec is not None else ""

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Of each environment."""
        return self._envs[0].action_space

    def play(self, choices: Sequence[Any]) -> Observation:
        """Advance one tick under actions in the environments' own form, one a world, in every frame."""
        space, frames = self.action_space, self.spec.clock.frames_per_tick
        return self.step(np.stack([np.stack([action_to_vector(space, c)] * frames) for c in choices]))

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()

    def _advance(self, b: int, action: Array) -> Observation:
        """One tick of world b under `action [frames, A]`."""
        frames = []
        picture, senses = self._shown[b]
        for frame_action in action:
            played, reward = self._null, 0.0
            if self.ended[b]:
                senses = self._senses.silenced(senses)
            else:
                space = self._envs[b].action_space
                choice = vector_to_action(space, frame_action)
                played = action_to_vector(space, choice)
                reward = self._step_environment(b, choice)
                if self.ended[b] and self._senses.has_screen:  # ViZDoom gives a black screen at the end
                    senses = self._senses.silenced(senses)
                else:
                    observation = self.observations[b]
                    picture = self._picture(b, observation)
                    senses = self._senses.read(self._envs[b], observation)
            frames.append((picture, senses, played, reward))
        self._shown[b] = picture, senses
        return self._tick(frames)

    def _step_environment(self, b: int, choice: Any) -> float:
        """One step of an environment; its reward."""
        self.observations[b], reward, terminated, truncated, _ = self._envs[b].step(choice)
        self.rewards[b] += float(reward)
        self.ended[b] = terminated or truncated
        self.endings[b] = "terminated" if terminated else "truncated" if truncated else ""
        return float(reward)

    def _tick(self, frames: list[tuple[Array, dict[str, Array], Array, float]]) -> Observation:
        """A tick from its frames: picture, other senses, action, reward."""
        pictures, senses, actions, rewards = zip(*frames, strict=True)
        return {
            "video.main": np.stack(pictures),
            **self._senses.joined(list(senses)),
            "action": np.stack(actions),
            "reward": np.array(rewards, np.float32)[:, None],
        }

    def _observe(self) -> Observation:
        ticks = [tick for tick in self._ticks if tick is not None]
        return {name: np.stack([tick[name] for tick in ticks]) for name in self.spec.streams}

    def _picture(self, b: int, observation: Any) -> Array:
        """What world b's environment shows now, `[H, W, 3]` uint8."""
        picture = np.asarray(observation["screen"] if self._senses.has_screen else self._rendered(b))
        if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != np.uint8:
            got = f"{list(picture.shape)} {picture.dtype}"
            raise UserError(f"the environment's render() must give [H, W, 3] uint8 pictures, got {got}")
        if self._image_size is None:
            return picture.copy()
        size = (self._image_size, self._image_size)
        return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))

    def _rendered(self, b: int) -> Any:
        try:
            return self._envs[b].render()
        except gymnasium.error.DependencyNotInstalled as error:
            raise UserError(f"its pictures need a package that is not installed: {error}") from error


class WorldEnv(gymnasium.Env[dict[str, Array], Array]):
    """A world of one as a Gymnasium environment; one step is one tick.

    world: a world with `num_worlds == 1` and an `action` stream, or the name of one (`orrery worlds`).
    Observations are a `Dict` of every stream but `action`, one tick each; actions are a `Box` of the action
    stream's shape. reward: of the unbatched observation; a world has none of its own, so that without it
    every reward is 0. A world never ends: an episode is truncated after `max_ticks` steps, or never.

    `reset(options={"prompt": ..., "scene": ...})` passes these on. `info` holds `text` (the world's sentence)
    and `events` (what happened in this tick), where the world has them. `render()` gives the last frame.
    """

    def __init__(
        self,
        world: World | str,
        reward: Callable[[Observation], float] | None = None,
        max_ticks: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        world = world_factory(world)() if isinstance(world, str) else world
        if world.num_worlds != 1:
            raise BadUse(f"an environment is one world, got a batch of {world.num_worlds}")
        if "action" not in world.spec.streams:
            raise BadUse("an environment needs a world with an action stream; keep `action` in `streams`")
        videos = world.spec.of_kind("video")
        self._video = videos[0].name if videos else None
        self.metadata = {
            "render_modes": ["rgb_array"] if videos else [],
            "render_fps": world.spec.clock.ticks_per_second,
        }
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise BadUse(f"render_mode {render_mode!r} is not among {self.metadata['render_modes']}")
        self.world, self.render_mode = world, render_mode
        self._reward, self._max_ticks = reward, max_ticks
        self.action_space = _box(world.spec.streams["action"])
        self._names = [name for name in world.spec.streams if name != "action"]
        self.observation_space = spaces.Dict({name: _box(world.spec.streams[name]) for name in self._names})
        self._last: Observation | None = None
        self._num_ticks = self._num_events = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Start again; without a seed the next one is drawn. options: `prompt` or `scene`."""
        super().reset(seed=seed)
        unknown = set(options or {}) - set(_OPTIONS)
        if unknown:
            raise BadUse(f"reset knows the options {' and '.join(_OPTIONS)}, got {sorted(unknown)}")
        world_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self._num_ticks = self._num_events = 0
        observation = self._unbatch(self.world.reset(seed=world_seed, **(options or {})))
        return observation, self._info()

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        """Advance one tick under `action`, of the shape of `action_space`."""
        observation = self._unbatch(self.world.step(np.asarray(action, np.float32)[None]))
        self._num_ticks += 1
        reward = 0.0 if self._reward is None else float(self._reward(observation))
        truncated = self._max_ticks is not None and self._num_ticks >= self._max_ticks
        return observation, reward, False, truncated, self._info()

    def render(self) -> Any:
        """The last frame of the last tick, `[H, W, 3]` uint8, or None without `render_mode="rgb_array"`."""
        if self.render_mode is None or self._video is None:
            return None
        if self._last is None:
            raise BadUse("reset the environment before its first picture")
        return self._last[self._video][0, -1].copy()

    def _unbatch(self, tick: Observation) -> dict[str, Array]:
        self._last = tick
        return {name: tick[name][0].copy() for name in self._names}

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = {}
        text = getattr(self.world, "text", None)
        if callable(text):
            info["text"] = text(0)
        if isinstance(self.world, Describable):
            events = self.world.events(0)
            info["events"] = events[self._num_events :]
            self._num_events = len(events)
        return info


def _make_environments(
    environment: gymnasium.Env[Any, Any] | str | Callable[[], gymnasium.Env[Any, Any]], count: int
) -> list[gymnasium.Env[Any, Any]]:
    """`count` environments that draw to arrays; BadUse or UserError if that cannot be."""
    envs: list[gymnasium.Env[Any, Any]]
    if isinstance(environment, gymnasium.Env):
        if count != 1:
            raise BadUse(f"one environment cannot be {count} worlds; give a function that makes one")
        envs = [environment]
    elif isinstance(environment, str):
        envs = [make_environment(environment) for _ in range(count)]
    else:
        envs = [environment() for _ in range(count)]
    if envs[0].render_mode != "rgb_array":
        raise BadUse(f"make the environment with render_mode='rgb_array', not {envs[0].render_mode!r}")
    return envs


def _clock(env: gymnasium.Env[Any, Any], frames_per_tick: int, num_samples: int | None) -> Clock:
    """A clock at the environment's frame rate, with the samples of its sound that go with a frame; without
    sound any whole number of samples a frame will do."""
    rate = frame_rate(env)
    return Clock(rate, frames_per_tick, rate * (num_samples or max(1, round(_SAMPLES_PER_SECOND / rate))))


def _box(stream: StreamSpec) -> spaces.Box:
    """The space of one tick of a stream."""
    if stream.dtype == "uint8":
        return spaces.Box(0, 255, stream.shape, np.uint8)
    low = -np.inf if stream.low is None else stream.low
    high = np.inf if stream.high is None else stream.high
    return spaces.Box(low, high, stream.shape, np.dtype(stream.dtype).type)


def register_worlds() -> None:
    """Register every world as `orrery/NAME-v0`, so that `gymnasium.make` finds it.

    Importing this module does it. Keywords: `image_size`, `streams`, `reward` and `max_ticks`.
    """
    for name in WORLDS:
        identity = f"orrery/{name.replace(':', '-')}-v0"  # Gymnasium takes what precedes a colon for a module
        if identity not in gymnasium.registry:
            gymnasium.register(
                identity, entry_point="orrery.worlds.gymnasium:make_world_env", kwargs={"world": name}
            )


def make_world_env(
    world: str,
    image_size: int = 128,
    streams: Sequence[str] | None = None,
    reward: Callable[[Observation], float] | None = None,
    max_ticks: int | None = None,
    render_mode: str | None = None,
) -> WorldEnv:
    """What `gymnasium.make("orrery/NAME-v0")` calls; see `WorldEnv` and `WorldFactory`."""
    made = world_factory(world)(num_worlds=1, streams=streams, image_size=image_size)
    return WorldEnv(made, reward, max_ticks, render_mode)


register_worlds()
