"""Episodes of any Gymnasium environment: `gym:ENV_ID`, with its pictures and its sound if it has any.

One step is one frame and one tick, at the environment's own rate (`?repeat=4` holds each action for four).
Nothing is resampled onto another clock: an action belongs to one step, so that leaving out or repeating
frames would record what no policy did. An episode is as long as the environment's own, up to the longest that
was asked for.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from orrery.data.record.policies import RANDOM, checked_choice, load_policy
from orrery.data.record.source import Request
from orrery.data.record.world import episode_seed
from orrery.errors import BadUse, UserError
from orrery.streams import Array, Episode, Event, WorldSpec
from orrery.worlds.gymnasium import GymnasiumWorld
from orrery.worlds.gymnasium.layout import SpaceLayout
from orrery.worlds.gymnasium.make import quiet, stated_rate

__all__ = ["IMAGE_SIZE", "GymSource", "noted_of"]

IMAGE_SIZE = 96
_NOT_FINITE = (
    "not finite in float32 (NaN, infinite, too large); the last finite number, or 0, is in its place"
)
_ROUNDED = "a whole number beyond 16,777,216, rounded to float32"
_NO_RATE = "the environment states no rate (render_fps); 24 steps a second are assumed"
_OUTSIDE = "outside of the bounds that the environment states; recorded as it is"
_ENDS_AT_ONCE = "the episode ends with its first step"


@dataclass(frozen=True)
class GymSource:
    """name: the environment's id, `ID?option=value`, or `module:ID` for one that a module registers."""

    name: str
    request: Request

    @property
    def num_episodes(self) -> None:
        """How many there are, None for any number; see `Source`."""
        return None

    @property
    def image_size(self) -> int | tuple[int, int]:
        """Pixels on each side of the picture, or height and width."""
        return IMAGE_SIZE if self.request.image_size is None else self.request.image_size

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this collection from any other; see `Source`."""
        request, size = self.request, self.image_size
        return {
            "world": f"gym:{self.name}",
            "seed": request.seed,
            "seconds": request.seconds,
            "streams": list(request.streams) if request.streams is not None else None,
            "image_size": size if isinstance(size, int) else list(size),  # as JSON has it
            "policy": request.policy or RANDOM,
        }

    def spec(self) -> WorldSpec:
        """What its episodes hold; see `Source`."""
        if self.request.policy not in (None, RANDOM):
            load_policy(self.request.policy)
        world = self.make_world()
        try:
            longest = world.spec.environment["max_episode_steps"]
            if not self.request.is_cut and longest is None:
                raise BadUse(f"gym:{self.name} may never end; say how long an episode may be with --seconds")
            return world.spec
        finally:
            world.close()

    def make_world(self) -> GymnasiumWorld:
        """The environment as a world of one copy, with the streams that were asked for."""
        with quiet():
            return GymnasiumWorld(self.name, image_size=self.image_size, streams=self.request.streams)

    def open(self) -> _GymRecorder:
        """A recorder for one process; see `Source`."""
        return _GymRecorder(self)


class _GymRecorder:
    def __init__(self, source: GymSource) -> None:
        self._source, self._request = source, source.request
        self._world = source.make_world()

    def episode(self, number: int) -> Episode:
        """Episode `number`; see `Recorder`."""
        world, seed = self._world, episode_seed(self._request.seed, number)
        num_ticks = world.spec.clock.num_ticks(self._request.seconds) if self._request.is_cut else math.inf
        act = self._actor(seed)
        strange, rewards = Counter[str](), [0.0]
        with quiet():
            ticks = [world.reset(seed=seed)]
            strange.update(world.strange())
            while len(ticks) < num_ticks and not world.ended[0]:
                ticks.append(world.play([act()]))
                strange.update(world.strange())
                rewards.append(float(world.rewards[0]))
        streams = {name: np.stack([tick[name][0] for tick in ticks]) for name in world.spec.streams}
        scene: dict[str, Any] = {"environment": world.environment}
        noted = noted_of(world.spec, world.observation_layout, streams, bool(world.ended[0]))
        noted |= dict(strange) | _rounded(np.array(rewards))
        if stated_rate(world.environments[0]) is None:
            noted[_NO_RATE] = len(ticks)
        if noted:
            scene["noted"] = noted
        end = len(ticks) * world.spec.clock.tick_seconds
        events = [Event(end, world.endings[0], world.environment, "")] if world.endings[0] else []
        return Episode(world.spec, streams, events=events, seed=seed, scene=scene)

    def close(self) -> None:
        """Close the environment: a game may run in a process of its own; see `Closable`."""
        self._world.close()

    def _actor(self, seed: int) -> Any:
        """What gives the environment's next action."""
        space, policy = self._world.action_space, self._request.policy
        if policy in (None, RANDOM):
            space.seed(seed % 2**32)
            return space.sample
        play, rng = load_policy(policy), np.random.default_rng([seed, 1])
        env = self._world.environments[0].unwrapped

        def act() -> Any:
            try:
                return checked_choice(play(self._world.observations[0], rng, env), space)
            except UserError:
                raise
            except Exception as error:  # whatever a function of the user's own raises
                raise UserError(f"the policy failed: {type(error).__name__}: {error}") from error

        return act


def _rounded(rewards: Array) -> dict[str, int]:
    """In how many ticks a whole reward lost digits."""
    whole = rewards[np.isfinite(rewards) & (np.abs(rewards) > 2**24) & (rewards == np.rint(rewards))]
    with np.errstate(over="ignore"):
        count = int((whole.astype(np.float32) != whole).sum())
    return {f"reward: {_ROUNDED}": count} if count else {}


def noted_of(spec: WorldSpec, layout: SpaceLayout, streams: dict[str, Array], ended: bool) -> dict[str, int]:
    """What is to be told of an episode of an environment, and in how many ticks it was so; in `streams`,
    numbers that are none give way to the last ones that are, or to 0 before there were any.

    layout: of the observations. ended: whether the environment ended it.
    """
    num_ticks, outside = len(next(iter(streams.values()))), layout.outside(streams)
    noted = {f"{name}: {_OUTSIDE}": count for name, count in outside.items()}
    for name, values in streams.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            is_bad = ~np.isfinite(values)
            ticks = np.arange(num_ticks).reshape(-1, *[1] * (values.ndim - 1))
            last = np.maximum.accumulate(np.where(is_bad, -1, ticks))
            held = np.take_along_axis(values, np.maximum(last, 0), 0)
            streams[name] = np.where(last < 0, 0, held).astype(values.dtype)
            noted[f"{name}: {_NOT_FINITE}"] = int(is_bad.reshape(num_ticks, -1).any(1).sum())
    clock, rate = spec.clock.ticks_per_second, spec.environment["ticks_per_second"]
    if abs(clock - rate) > 1e-6:
        noted[f"the environment has {rate:g} ticks a second, its clock here {clock:g}"] = num_ticks
    if ended and num_ticks <= 2:
        noted[_ENDS_AT_ONCE] = 1
    return noted
