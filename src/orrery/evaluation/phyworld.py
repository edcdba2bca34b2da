"""PhyWorld's protocol (arXiv 2411.02385): 3 frames given, 29 to go on for, error of the balls' velocities.

A continuation sees only the three pictures and gives 29 more. A tracker reads the balls off them; the error
is the mean length of the difference between read and true velocity over all valid frames and balls, in units
per second. The *floor* is the same error of the exact pictures: what the tracker alone gets wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from orrery.errors import BadUse
from orrery.evaluation.phyworld_tracker import track, velocities
from orrery.streams import Array
from orrery.world import World
from orrery.worlds.phyworld.discs import draw
from orrery.worlds.phyworld.scenes import FRAME_SECONDS, NUM_FRAMES, RANGES, SIDE
from orrery.worlds.phyworld.world import COLOURS, CORNER_M, LAYOUT, UNIT_M, PhyWorld

__all__ = [
    "NUM_GIVEN", "PAPER", "Case", "Continue", "Published", "Score",
    "case", "constant_velocity", "do_nothing", "exact",
    "imagined", "measure", "score",
]  # fmt: skip

NUM_GIVEN = 3


@dataclass(frozen=True)
class Published:
    """The paper's errors: its floor; in distribution after 30K, 300K, 3M clips; outside (DiT-L, 3M)."""

    floor: float
    small: tuple[float, float, float]
    large: tuple[float, float, float]
    outside: float


PAPER = {
    "uniform": Published(0.0099, (0.022, 0.018, 0.015), (0.015, 0.014, 0.0124), 0.427),
    "collision": Published(0.0117, (0.027, 0.024, 0.023), (0.024, 0.016, 0.0153), 0.161),
    "parabola": Published(0.0210, (0.051, 0.049, 0.047), (0.038, 0.035, 0.0331), 0.338),
}
"""What the paper's DiT-S (22.5 M, `small`) and DiT-L (310 M, `large`) reach, by kind."""


STATES = ("state", "camera.main")
"""Streams that say where the balls are."""


@dataclass(frozen=True)
class Case:
    """One film to go on with.

    given: `[3, S, S, 3]` uint8, all that a model may see. states: the streams `state` and `camera.main` of
    the same three frames, `[3, 1, *shape]`. frames: the whole exact film `[32, S, S, 3]`.
    positions `[32, n, 2]` and radii `[n]`: the truth. scene: plain values, from which the exact world starts.
    """

    kind: str
    given: Array
    states: Mapping[str, Array]
    frames: Array
    positions: Array
    radii: Array
    scene: Mapping[str, Any]

    @property
    def valid(self) -> Array:
        """`[29, n]` bool: the ball is wholly in the picture at both ends of the frame's velocity."""
        reach = self.radii[None, :, None]
        inside = np.asarray(((self.positions >= reach) & (self.positions <= SIDE - reach)).all(axis=-1))
        return (inside[1:] & inside[:-1])[NUM_GIVEN - 1 :]


Continue = Callable[[Case], Array]
"""What goes on from `case.given`: its 29 frames, `[29, S, S, 3]` uint8."""


@dataclass(frozen=True)
class Score:
    """Of one film: errors of its valid velocities; how many of them had no ball to be read off."""

    errors: Array
    num_lost: int


def case(kind: str, part: str, seed: int, image_size: int = 128) -> Case:
    """The exact film of a seed of `phyworld:KIND:PART`."""
    world = PhyWorld(kind, part, image_size=image_size, streams=["video.main", *STATES])
    ticks = _ticks(world, world.reset(seed))
    frames = np.stack([tick["video.main"][0, 0] for tick in ticks])
    states = np.stack([tick["state"][0, 0] for tick in ticks]).astype(float)
    positions = (LAYOUT.get(states, "position")[..., ::2] - CORNER_M) / UNIT_M
    radii = LAYOUT.get(states[0], "size")[:, 0] / UNIT_M
    first = {name: np.concatenate([tick[name] for tick in ticks[:NUM_GIVEN]]) for name in STATES}
    return Case(kind, frames[:NUM_GIVEN], first, frames, positions, radii, world.scene(0))


def _ticks(world: PhyWorld, first: Mapping[str, Array]) -> list[Mapping[str, Array]]:
    """32 ticks of a frame each, `first` among them."""
    return [first, *(world.step() for _ in range(NUM_FRAMES - 1))]


def exact(case: Case) -> Array:
    """The exact world goes on: it is started from the scene once more and run. Gives the floor."""
    world = PhyWorld(case.kind, image_size=case.given.shape[1], streams=["video.main"])
    ticks = _ticks(world, world.reset(0, scene=case.scene))
    return np.stack([tick["video.main"][0, 0] for tick in ticks[NUM_GIVEN:]])


def do_nothing(case: Case) -> Array:
    """The last given picture, again and again."""
    return np.repeat(case.given[-1:], NUM_FRAMES - NUM_GIVEN, axis=0)


def constant_velocity(case: Case) -> Array:
    """What the tracker reads off the three given pictures goes straight on, drawn exactly. A ball that it
    cannot read (smaller than a few pixels) is left out."""
    num_balls = RANGES[case.kind].num_balls
    balls = track(case.given, num_balls)
    read = np.isfinite(balls.positions).all(axis=(0, 2))
    places, radii = balls.positions[:, read], balls.radii[:, read].mean(axis=0)
    colours = COLOURS[:num_balls][read]
    velocity = (places[-1] - places[0]) / ((NUM_GIVEN - 1) * FRAME_SECONDS)
    ahead = FRAME_SECONDS * np.arange(1, NUM_FRAMES - NUM_GIVEN + 1)
    return np.stack([
        draw(places[-1] + t * velocity, radii, colours, SIDE, case.given.shape[1]) for t in ahead
    ])  # fmt: skip


def imagined(
    world: World, seed: int = 0, drawn_exactly: bool = False, given_states: bool = False
) -> Continue:
    """What a world that imagines makes of the three given pictures. All other streams are its own.

    drawn_exactly: discs where its state has the balls, instead of its pictures, which tells what it gets
    wrong of the motion from what it draws badly. given_states: it is given the true states instead of the
    pictures, which tells what it gets wrong of the motion from what it perceives wrongly. world: one (B = 1)
    whose pictures are the cases' in size and a whole number of whose ticks are 3 frames, else BadUse.
    """
    shape = world.spec.streams["video.main"].shape
    if NUM_GIVEN % shape[0]:
        raise BadUse(f"{NUM_GIVEN} given frames are no whole number of ticks of {shape[0]} frames")

    def go_on(case: Case) -> Array:
        """The 29 frames after the given ones, `[29, H, W, 3]` uint8."""
        if case.given.shape[1:] != shape[1:]:
            raise BadUse(
                f"the model's pictures are {list(shape[1:])}, the films' {list(case.given.shape[1:])}"
            )
        known = case.states if given_states else {"video.main": case.given}
        streams = {name: spec.shape for name, spec in world.spec.streams.items()}
        given = {n: v.reshape(1, -1, *streams[n]) for n, v in known.items() if n in streams}
        first = world.reset(seed, given=given)
        ticks = [first, *(world.step() for _ in range(-(-NUM_FRAMES // shape[0]) - 1))]
        if drawn_exactly:
            states = np.concatenate([tick["state"][0] for tick in ticks])[NUM_GIVEN:NUM_FRAMES]
            return np.stack([_drawn(state.astype(float), shape[1]) for state in states])
        return np.concatenate([tick["video.main"][0] for tick in ticks])[NUM_GIVEN:NUM_FRAMES]

    return go_on


def _drawn(state: Array, image_size: int) -> Array:
    """A picture of the balls that `state [n, D]` has."""
    there = LAYOUT.get(state, "present")[:, 0] > 0.5
    places = (LAYOUT.get(state, "position")[there, ::2] - CORNER_M) / UNIT_M
    radii = LAYOUT.get(state, "size")[there, 0] / UNIT_M
    return draw(places, radii, COLOURS[: len(state)][there], SIDE, image_size)


def score(case: Case, frames: Array) -> Score:
    """Compare 29 frames with the truth. A lost ball counts as one that stands still, and is counted apart.

    ValueError if the frames are not as `case.given`'s, 29 of them.
    """
    wanted = (NUM_FRAMES - NUM_GIVEN, *case.given.shape[1:])
    if frames.shape != wanted:
        raise ValueError(f"a continuation is {list(wanted)} uint8, got {list(frames.shape)}")
    film = np.concatenate([case.given[-1:], frames])
    read = velocities(track(film, len(case.radii)).positions)
    true = velocities(case.positions[NUM_GIVEN - 1 :])
    lost = np.isnan(read).any(axis=-1) & case.valid
    errors = np.linalg.norm(np.nan_to_num(read, nan=0.0) - true, axis=-1)
    return Score(errors[case.valid], int(lost.sum()))


def measure(cases: Iterable[Case], go_on: Continue) -> dict[str, Any]:
    """Velocity error of a continuation over cases, plain values.

    error: mean over all valid velocities. low, high: 95 % of 1000 bootstrap resamples of the films. lost:
    share of valid velocities without a ball.
    """
    scores = [score(one, go_on(one)) for one in cases]
    sums = np.array([s.errors.sum() for s in scores])
    counts = np.array([len(s.errors) for s in scores])
    if not counts.sum():
        raise ValueError("no film has a ball that is wholly in the picture after the given frames")
    picks = np.random.default_rng(0).integers(len(scores), size=(1000, len(scores)))
    resampled = sums[picks].sum(1) / np.maximum(counts[picks].sum(1), 1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {
        "error": float(sums.sum() / counts.sum()),
        "low": float(low),
        "high": float(high),
        "lost": sum(s.num_lost for s in scores) / int(counts.sum()),
        "num_films": len(scores),
        "num_velocities": int(counts.sum()),
    }
