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

from orrery.data.record.notes import noted_of, rewards_noted
from orrery.data.record.policies import RANDOM, checked_choice, load_policy
from orrery.data.record.source import Request
from orrery.data.record.world import episode_seed
from orrery.errors import BadUse, UserError
from orrery.streams import Episode, Event, WorldSpec
from orrery.worlds.gymnasium import GymnasiumWorld
from orrery.worlds.gymnasium.make import quiet, stated_rate

__all__ = ["IMAGE_SIZE", "GymSource"]

IMAGE_SIZE = 96
_NO_RATE = "the environment states no rate (render_fps); 24 steps a second are assumed"


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
        counts, rewards = Counter[str](), [0.0]
        with quiet():
            ticks = [world.reset(seed=seed)]
            counts.update(world.notes())
            while len(ticks) < num_ticks and not world.ended[0]:
                ticks.append(world.play([act()]))
                counts.update(world.notes())
                rewards.append(float(world.rewards[0]))
        streams = {name: np.stack([tick[name][0] for tick in ticks]) for name in world.spec.streams}
        scene: dict[str, Any] = {"environment": world.environment}
        layouts = world.observation_layout, world.action_layout
        noted = noted_of(world.spec, layouts, streams, bool(world.ended[0]))
        noted |= dict(counts) | rewards_noted(np.array(rewards))
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
