"""Rollouts from a short exact context, a second as a rule: how the exact world went on, and how another does.

A world gets every stream of the context but the pictures, which tell nothing that the state does not, and
after it only the finger's actions. The floor is the exact world itself, begun again from the context's last
frame with every object half a millimetre off: more cannot be asked of anyone who sees to half a millimetre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from orrery.evaluation.dynamics import object_slots, speeds
from orrery.evaluation.recording import Recording
from orrery.streams import Array, Observation
from orrery.world import World
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.scene import Body, Scene
from orrery.worlds.tabletop.world import TabletopWorld

__all__ = [
    "CONTEXT_SECONDS", "FIRST_SEED", "MOVING_M_S", "Held", "feel", "go_on", "held_out", "hold", "moves_on",
    "perturbed",
]  # fmt: skip

CONTEXT_SECONDS = 1.0
MOVING_M_S = 0.03
PERTURBATION_M = 0.0005
FIRST_SEED = 920_000
STREAMS = ("state", "audio.main", "touch.finger", "camera.main", "action")


@dataclass(frozen=True)
class Held:
    """A held-out episode. context, truth: its beginning, and how the exact world went on. actions:
    `[ticks, ...]` of both. given: the streams of the context, `[1, context_ticks, ...]`. scene: as the exact
    world began it."""

    seed: int
    context: Recording
    truth: Recording
    actions: Array
    given: dict[str, Array]
    scene: Scene

    @property
    def last(self) -> Array:
        """State of the context's last frame, `[slots, D]`."""
        return self.context.state[-1]

    @property
    def context_ticks(self) -> int:
        return len(self.context.state) // self.context.clock.frames_per_tick


def moves_on(held: Held) -> bool:
    """Whether any object moves when the context ends."""
    return any(speeds(held.last)[slot] > MOVING_M_S for slot in object_slots(held.context.state))


def held_out(num_scenes: int, seconds: float, wanted: Callable[[Held], bool] = moves_on) -> list[Held]:
    """The first `num_scenes` episodes of successive seeds, of a context and `seconds` more, that are
    `wanted`."""
    episodes: list[Held] = []
    seed = FIRST_SEED
    while len(episodes) < num_scenes:
        held = hold(seed, seconds)
        if wanted(held):
            episodes.append(held)
        seed += 1
    return episodes


def hold(
    seed: int, seconds: float, scene: Scene | None = None, context_seconds: float = CONTEXT_SECONDS
) -> Held:
    """What the exact world makes of a scene, or of one that is drawn from the seed: a context, and `seconds`
    after it."""
    world = TabletopWorld(streams=STREAMS)
    clock = world.spec.clock
    num_context, num_future = clock.num_ticks(context_seconds), clock.num_ticks(seconds)
    ticks = _run(world, num_context + num_future, seed=seed, scene=scene)
    given = {name: np.stack([t[name][0] for t in ticks[:num_context]])[None] for name in STREAMS}
    return Held(
        seed, Recording.of(ticks[:num_context], clock), Recording.of(ticks[num_context:], clock),
        np.stack([tick["action"][0] for tick in ticks]), given, Scene.from_json(world.scene()),
    )  # fmt: skip


def go_on(world: World, held: Held, actions: Array | None = None) -> Recording:
    """How `world` goes on from the context; the exact world cannot be given one, and begins with the scene.

    actions: `[ticks, ...]` of context and future, others than the episode's own.
    """
    actions = held.actions if actions is None else actions
    start: dict[str, Any] = {"given": held.given}
    if isinstance(world, TabletopWorld):
        start = {"scene": held.scene}
    ticks = _run(world, len(actions), actions, seed=held.seed, **start)
    return Recording.of(ticks[held.context_ticks :], world.spec.clock)


def feel(world: World, held: Held) -> Recording:
    """What `world` feels and hears after the context where it is told every state; the exact world's is the
    truth."""
    if isinstance(world, TabletopWorld):
        return held.truth
    later = held.truth.state.reshape(1, -1, *held.given["state"].shape[2:])
    given = held.given | {"state": np.concatenate([held.given["state"], later], axis=1)}
    return go_on(world, replace(held, given=given))


def perturbed(held: Held) -> Recording | None:
    """The floor. None where the finger is at work, since its script cannot be begun half-way."""
    if held.scene.push is not None:
        return None
    rng = np.random.default_rng(held.seed)
    bodies = tuple(_moved(rng, body, held.last[slot]) for slot, body in enumerate(held.scene.bodies))
    world = TabletopWorld(streams=STREAMS)
    num_ticks = len(held.actions) - held.context_ticks
    return Recording.of(
        _run(world, num_ticks, seed=0, scene=replace(held.scene, bodies=bodies)), world.spec.clock
    )


def _run(world: World, num_ticks: int, actions: Array | None = None, **reset: Any) -> list[Observation]:
    """The first ticks of a world. actions: `[num_ticks, ...]`, what is in force in each; the first tick's is
    the world's own."""
    ticks = [world.reset(**reset)]
    for tick in range(1, num_ticks):
        ticks.append(world.step(None if actions is None else actions[tick][None]))
    return ticks


def _moved(rng: np.random.Generator, body: Body, state: Array) -> Body:
    """The body as `state [D]` has it, off by PERTURBATION_M in a random horizontal direction."""
    angle = rng.uniform(0, 2 * np.pi)
    offset = PERTURBATION_M * np.array([np.cos(angle), np.sin(angle), 0.0])

    def read(name: str) -> Any:
        return tuple(float(v) for v in STATE.get(state, name))

    return replace(
        body,
        position_m=tuple(float(v) for v in STATE.get(state, "position") + offset),
        quaternion=read("quaternion"),
        linear_velocity_m_s=read("linear_velocity"),
        angular_velocity_rad_s=read("angular_velocity"),
    )
