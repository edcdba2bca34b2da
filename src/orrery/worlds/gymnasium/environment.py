"""Any world as a Gymnasium environment: one tick is one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from orrery.errors import BadUse
from orrery.streams import Array, Observation, StreamSpec, WorldSpec
from orrery.world import Describable, World, close_world
from orrery.worlds import WORLDS, world_factory
from orrery.worlds.gymnasium.layout import SpaceLayout, action_layout, observation_layout
from orrery.worlds.gymnasium.spaces import space_from_json

__all__ = ["WorldEnv", "WorldSpaces", "make_world_env", "register_worlds", "rewards_of", "terminations_of"]

_OPTIONS = ("prompt", "scene")


class WorldSpaces:
    """The observation and action space of a world, and how its streams stand for them.

    A world that is, or was learned from, a Gymnasium environment (`spec.environment`) has that environment's
    own spaces. Of any other, observations are a `Dict` of every observed stream, one tick each; the action is
    a `Box` of the action stream's shape or a `Discrete`, several are a `Dict` by name.
    """

    def __init__(self, spec: WorldSpec) -> None:
        self.actions = spec.named("action")
        if not self.actions:
            raise BadUse("an environment needs a world with an action stream; keep `action` in `streams`")
        self._observed: SpaceLayout | None = None
        self._acted: SpaceLayout | None = None
        if spec.environment:
            self._from_environment(spec)
            return
        seen = {name: _space(stream) for name, stream in spec.streams.items() if stream.role == "observed"}
        self.observation_space = spaces.Dict(list(seen.items()))
        acted = {stream.name: _space(stream) for stream in self.actions}
        self.action_space = acted["action"] if list(acted) == ["action"] else spaces.Dict(list(acted.items()))

    def observation(self, tick: Observation, num_leading: int = 1) -> Any:
        """What an environment observes. tick: streams `[*lead, *shape]`."""
        if self._observed is not None:
            return self._observed.from_streams(tick, num_leading)
        assert isinstance(self.observation_space, spaces.Dict)
        return {name: tick[name].copy() for name in self.observation_space.spaces}

    def action(self, action: Any, num_leading: int = 1) -> dict[str, Array]:
        """Stream name to `[*lead, *shape]`, of an action of the action space with as many leading axes.

        BadUse that names the part for one of another form.
        """
        _check_form(self.action_space, action, num_leading, "action")
        if self._acted is not None:
            try:
                return self._acted.to_streams(action, num_leading)
            except ValueError as error:
                raise BadUse(str(error)) from error
        parts = action if isinstance(self.action_space, spaces.Dict) else {"action": action}
        arrays = {s.name: np.asarray(parts[s.name], s.dtype) for s in self.actions}
        return {
            s.name: a.reshape(*a.shape[:num_leading], *s.shape)
            for (_, a), s in zip(arrays.items(), self.actions, strict=True)
        }

    def _from_environment(self, spec: WorldSpec) -> None:
        self.observation_space = space_from_json(spec.environment["observation_space"])
        self.action_space = space_from_json(spec.environment["action_space"])
        self._observed = observation_layout(self.observation_space)
        self._acted = action_layout(self.action_space)
        missing = [name for name in self._observed.streams if name not in spec.streams]
        if missing:
            raise BadUse(f"this world has no {', '.join(missing)}, which its environment observes; keep them")


class WorldEnv(gymnasium.Env[Any, Any]):
    """A world of one as a Gymnasium environment; one step is one tick.

    world: a world with `num_worlds == 1` and an action stream, or the name of one (`orrery worlds`). Its
    spaces: see `WorldSpaces`. reward: of the unbatched observation; without it the world's own stream
    `reward`, and 0 where it has none. An episode terminates when the world's stream `terminated` says so, and
    is truncated after `max_ticks` steps (None: what the world's environment does, or never).

    `reset(options={"prompt": ..., "scene": ...})` passes these on. `info` holds `text` (the world's sentence)
    and `events` (what happened in this tick), where the world has them. `render()` gives the last frame.
    """

    def __init__(
        self,
        world: World | str,
        reward: Callable[[Any], float] | None = None,
        max_ticks: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        world = world_factory(world)() if isinstance(world, str) else world
        if world.num_worlds != 1:
            raise BadUse(f"an environment is one world, got a batch of {world.num_worlds}")
        self._spaces = WorldSpaces(world.spec)
        self.observation_space, self.action_space = self._spaces.observation_space, self._spaces.action_space
        videos = world.spec.of_kind("video")
        self._video = videos[0].name if videos else None
        self.metadata = {
            "render_modes": ["rgb_array"] if videos else [],
            "render_fps": world.spec.clock.ticks_per_second,
        }
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise BadUse(f"render_mode {render_mode!r} is not among {self.metadata['render_modes']}")
        self.world, self.render_mode = world, render_mode
        self._reward = reward
        self._max_ticks = max_ticks or world.spec.environment.get("max_episode_steps")
        self._last: Observation | None = None
        self._num_ticks = self._num_events = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start again; without a seed the next one is drawn. options: `prompt` or `scene`."""
        super().reset(seed=seed)
        unknown = set(options or {}) - set(_OPTIONS)
        if unknown:
            raise BadUse(f"reset knows the options {' and '.join(_OPTIONS)}, got {sorted(unknown)}")
        world_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self._num_ticks = self._num_events = 0
        return self._unbatched(self.world.reset(seed=world_seed, **(options or {}))), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance one tick under `action`, of `action_space`."""
        given = {name: value[None] for name, value in self._spaces.action(action, num_leading=0).items()}
        tick = self.world.step(given["action"] if list(given) == ["action"] else given)  # pyright: ignore[reportArgumentType]
        observation = self._unbatched(tick)
        self._num_ticks += 1
        reward = float(rewards_of(tick, 1)[0] if self._reward is None else self._reward(observation))
        terminated = bool(terminations_of(tick, 1)[0])
        truncated = self._max_ticks is not None and self._num_ticks >= self._max_ticks
        return observation, reward, terminated, truncated, self._info()

    def render(self) -> Any:
        """The last frame of the last tick, `[H, W, 3]` uint8, or None without `render_mode="rgb_array"`."""
        if self.render_mode is None or self._video is None:
            return None
        if self._last is None:
            raise BadUse("reset the environment before its first picture")
        return self._last[self._video][0, -1].copy()

    def close(self) -> None:
        """Close the world, where it holds more than memory."""
        close_world(self.world)

    def _unbatched(self, tick: Observation) -> Any:
        self._last = tick
        return self._spaces.observation({name: value[0] for name, value in tick.items()}, num_leading=0)

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


def rewards_of(tick: Observation, num_worlds: int) -> Array:
    """`[B]` float64: the world's own rewards of a tick; 0 where it has none."""
    if "reward" not in tick:
        return np.zeros(num_worlds)
    return tick["reward"].reshape(num_worlds, -1).sum(1, dtype=np.float64)


def terminations_of(tick: Observation, num_worlds: int) -> Array:
    """`[B]` bool: which worlds have come to an end, as far as they say."""
    if "terminated" not in tick:
        return np.zeros(num_worlds, bool)
    return np.asarray(tick["terminated"].reshape(num_worlds, -1).any(1))


def _check_form(space: spaces.Space[Any], value: Any, num_leading: int, name: str) -> None:
    """BadUse unless a value has the parts, the shape and the kind of numbers of a space."""
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        parts = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, part in parts:
            try:
                inner = value[key]
            except (KeyError, IndexError, TypeError) as error:
                raise BadUse(f"{name} has no part {key!r}; it is {space}") from error
            _check_form(part, inner, num_leading, f"{name}.{key}")
        return
    array = np.asarray(value)
    shape = space.shape or ()
    if (
        array.ndim != num_leading + len(shape)
        or array.shape[num_leading:] != shape
        or array.dtype.kind not in "biuf"
    ):
        wanted = ", ".join(["worlds"] * num_leading + [str(side) for side in shape])
        raise BadUse(f"{name} is [{wanted}] of {space}, got {list(array.shape)} {array.dtype}")
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)) and (array != np.floor(array)).any():
        raise BadUse(f"{name} is a whole number of {space}, got {array}")


def _space(stream: StreamSpec) -> spaces.Space[Any]:
    """The space of one tick of a stream."""
    if stream.kind == "choice":
        one = stream.shape[0] == 1
        n = stream.num_choices
        return spaces.Discrete(n) if one else spaces.MultiDiscrete(np.full(stream.shape, n))
    if stream.dtype == "uint8":
        return spaces.Box(0, 255, stream.shape, np.uint8)
    low = -np.inf if stream.low is None else stream.low
    high = np.inf if stream.high is None else stream.high
    return spaces.Box(low, high, stream.shape, np.dtype(stream.dtype).type)


def register_worlds() -> None:
    """Register every world as `orrery/NAME-v0`, so that `gymnasium.make` finds it.

    Importing this package does it. Keywords: `image_size`, `streams`, `reward` and `max_ticks`.
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
    reward: Callable[[Any], float] | None = None,
    max_ticks: int | None = None,
    render_mode: str | None = None,
) -> WorldEnv:
    """What `gymnasium.make("orrery/NAME-v0")` calls; see `WorldEnv` and `WorldFactory`."""
    made = world_factory(world)(num_worlds=1, streams=streams, image_size=image_size)
    return WorldEnv(made, reward, max_ticks, render_mode)
