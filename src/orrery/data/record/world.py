"""Episodes of our own worlds, under their own script, by chance, or under a policy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from orrery.data.record.policies import RANDOM, Policy, checked_action, load_policy, random_action
from orrery.data.record.source import Request
from orrery.errors import BadUse
from orrery.streams import Array, Clock, Episode, Observation, WorldSpec
from orrery.world import Describable, World
from orrery.worlds import world_factory

__all__ = ["Scripted", "WorldSource", "episode_seed", "record"]


@runtime_checkable
class Scripted(Protocol):
    """A world that plans its own action, such as a finger that pushes."""

    def scripted_action(self) -> Array:
        """`[B, A]`: the action for the coming tick."""
        ...


def episode_seed(seed: int, number: int) -> int:
    """The world's seed for episode `number` of a collection: a 63-bit hash of (seed, number)."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def record(world: World, seed: int, seconds: float, policy: str | None = None) -> Episode:
    """One episode of world 0 of a batch of one, under its own script if it has one, or under a policy.

    The `action` stream holds the action in force during each tick.
    """
    num_ticks = world.spec.clock.num_ticks(seconds)
    act = _actor(world, seed, policy)
    ticks: list[Observation] = [world.reset(seed=seed)]
    for _ in range(num_ticks - 1):
        ticks.append(world.step(act(ticks[-1])))
    streams = {name: np.stack([tick[name][0] for tick in ticks]) for name in world.spec.streams}
    text: Callable[[int], str] | None = getattr(world, "text", None)
    episode = Episode(world.spec, streams, text=text(0) if text else "", seed=seed)
    if isinstance(world, Describable):
        episode.events, episode.scene = world.events(0), world.scene(0)
    return episode


def _actor(world: World, seed: int, policy: str | None) -> Callable[[Observation], Array | None]:
    """What gives the next action `[1, *shape]` after a tick."""
    if policy is None:
        return lambda tick: world.scripted_action() if isinstance(world, Scripted) else None
    spec, rng = world.spec.streams["action"], np.random.default_rng([seed, 1])
    if policy == RANDOM:
        return lambda tick: random_action(spec, rng)
    play: Policy = load_policy(policy)
    return lambda tick: checked_action(play({name: v[0] for name, v in tick.items()}, rng, world), spec)


@dataclass(frozen=True)
class WorldSource:
    """factory: a world's name, or an importable factory (see `WorldFactory`)."""

    factory: str | Callable[..., World]
    request: Request

    def __post_init__(self) -> None:
        if isinstance(self.factory, str):
            world_factory(self.factory)

    @property
    def num_episodes(self) -> None:
        """How many there are, None for any number; see `Source`."""
        return None

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this collection from any other; see `Source`."""
        factory, request = self.factory, self.request
        name = factory if isinstance(factory, str) else f"{factory.__module__}:{factory.__qualname__}"
        asked = {
            "world": name,
            "seed": request.seed,
            "seconds": request.seconds,
            "streams": list(request.streams) if request.streams is not None else None,
            "image_size": request.square,
        }
        more = {"policy": request.policy, "sample_rate": request.sample_rate}
        return asked | {name: value for name, value in more.items() if value is not None}

    def spec(self) -> WorldSpec:
        """What its episodes hold; see `Source`."""
        spec, streams = self.make_world().spec, self.request.streams
        unknown = set(streams or ()) - set(spec.streams) - {"text"}
        if unknown:
            known = ", ".join(self.make_world(every_stream=True).spec.streams)
            raise BadUse(f"the world has no stream {', '.join(sorted(unknown))}; it has {known}")
        policy = self.request.policy
        if policy is not None and "action" not in spec.streams:
            raise BadUse("a policy needs the stream action; add it to --streams")
        if policy not in (None, RANDOM):
            load_policy(policy)
        return spec

    def make_world(self, every_stream: bool = False) -> World:
        """One world with the streams, size and rate that were asked for, or with every stream."""
        factory = world_factory(self.factory) if isinstance(self.factory, str) else self.factory
        streams = None if every_stream else self.request.streams
        rate = self.request.sample_rate
        if rate is None:
            return factory(num_worlds=1, streams=streams, image_size=self.request.square)
        if "clock" not in inspect.signature(factory).parameters:
            raise BadUse(f"{self.settings()['world']} has one sample rate; leave --sample-rate out")
        clock = Clock(samples_per_second=rate)
        return factory(num_worlds=1, streams=streams, image_size=self.request.square, clock=clock)

    def open(self) -> _WorldRecorder:
        """A recorder for one process; see `Source`."""
        return _WorldRecorder(self.make_world(), self.request)


@dataclass(frozen=True)
class _WorldRecorder:
    world: World
    request: Request

    def episode(self, number: int) -> Episode:
        """Episode `number`; see `Recorder`."""
        seed = episode_seed(self.request.seed, number)
        return record(self.world, seed, self.request.seconds, self.request.policy)
