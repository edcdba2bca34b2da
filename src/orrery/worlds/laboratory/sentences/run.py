"""A scene that was run: where its things were, and what struck what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orrery.streams import Array, Event
from orrery.worlds.laboratory.scene import LAB_STATE, MAX_THINGS, LabScene
from orrery.worlds.laboratory.sentences.story import Who
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, rotate

__all__ = ["START_SECONDS", "Body", "Cast", "Run"]

Cast = Mapping[Who, Sequence[str]]
"""A story's things, and its names for parts of fixtures, to the names of the bodies that play them."""
START_SECONDS = 0.05
"""What touches before was placed so."""
_BELOW_M = -0.05
"""Deeper than this it is the floor that is struck, and not the table."""
_GONE_SOME_WAY_M = 0.02


@dataclass(frozen=True)
class Run:
    """A scene and what became of it. state: `[frames, slots, D]`. frame_seconds: between two of them."""

    scene: LabScene
    cast: Cast
    state: Array
    events: Sequence[Event]
    frame_seconds: float

    @cached_property
    def seconds(self) -> Array:
        """At the end of each frame."""
        return (np.arange(len(self.state)) + 1) * self.frame_seconds

    def names(self, who: Sequence[Who]) -> set[str]:
        """The bodies that play these."""
        return {name for k in who for name in self.cast.get(k, (str(k),))}

    def impacts(self, a: set[str], b: set[str]) -> list[float]:
        """When one of `a` struck one of `b`, on the table, in order."""
        times = []
        for event in self.events:
            is_floor = "table" in (event.a, event.b) and event.position_m[2] < _BELOW_M
            ours = (event.a in a and event.b in b) or (event.a in b and event.b in a)
            if ours and event.seconds >= START_SECONDS and not is_floor:
                times.append(event.seconds)
        return sorted(times)

    def body(self, who: Who) -> Body:
        return Body(self, who)


@dataclass(frozen=True)
class Body:
    """One of a run's things over time; of a container, which is several walls, its middle."""

    run: Run
    who: Who

    @cached_property
    def walls(self) -> Array:
        """Where the walls of a container stand, `[walls, 2]`; of all else, nothing."""
        names = self.run.cast[self.who]
        fixtures = [self.run.scene.fixtures[int(n[7:])] for n in names if n.startswith("fixture")]
        return np.array([fixture.position_m[:2] for fixture in fixtures if len(names) > 2])

    def get(self, name: str) -> Array:
        """A part of its state, `[frames, ...]`."""
        first = self.run.cast[self.who][0]
        slot = MAX_THINGS + int(first[7:]) if first.startswith("fixture") else int(first[6:])
        return LAB_STATE.get(self.run.state[:, slot], name).astype(float)

    @cached_property
    def place(self) -> Array:
        """`[frames, 3]` metres."""
        place = self.get("position")
        if len(self.walls):
            place[:, :2] = self.walls.mean(axis=0)
        return place

    @cached_property
    def reach(self) -> float:
        """Half of its width, seen from above."""
        if len(self.walls):
            return float(np.linalg.norm(self.walls - self.walls.mean(axis=0), axis=1).max())
        return float(max(self.get("size")[0][:2]))

    @cached_property
    def moved(self) -> Array:
        """How far from where it was at first, `[frames]` metres."""
        return np.linalg.norm(self.place - self.place[0], axis=1)

    @cached_property
    def level_speed(self) -> Array:
        """`[frames]` metres a second."""
        return np.linalg.norm(self.get("linear_velocity")[:, :2], axis=1)

    @cached_property
    def rim_speed(self) -> Array:
        """Of its surface about its middle, `[frames]` metres a second."""
        return np.linalg.norm(self.get("angular_velocity"), axis=1) * self.get("size")[0][0]

    @cached_property
    def tilt(self) -> Array:
        """From how it stood at first, `[frames]` radians."""
        up = rotate(self.get("quaternion"), np.array([0.0, 0.0, 1.0]))
        return np.arccos(np.clip(up @ up[0], -1.0, 1.0))

    def heads(self, heading: str | None) -> Array:
        """Where it has gone some way towards a word of DIRECTIONS, `[frames]` bool; all, of none."""
        if heading is None:
            return np.ones(len(self.place), bool)
        way = (self.place[:, :2] - self.place[0, :2]) @ np.array(DIRECTIONS[heading])
        return way > _GONE_SOME_WAY_M

    def gap(self, other: Body) -> Array:
        """Between two things, seen from above, `[frames]` metres."""
        return np.linalg.norm((self.place - other.place)[:, :2], axis=1) - self.reach - other.reach
