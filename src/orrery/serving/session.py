"""One live session on any world: step it, go back along marks, branch from any of them, start again.

A world that keeps snapshots is put back by one. Any other is put back by doing again what was done: reset
with the same seed, the same actions and the same sentences. What a world cannot do is refused in plain words
(`UserError`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from orrery.errors import BadUse, UserError
from orrery.streams import Array, Observation, WorldSpec
from orrery.world import Directable, Snapshotable, World, close_world

__all__ = ["MAX_MARKS", "Action", "Done", "Mark", "Session", "Start", "Tick", "standing"]

Action = Mapping[str, Array]
"""Stream name to one tick of an action, `[*shape]`; not changed once it was played."""

MAX_MARKS = 90
"""Places to go back to; beyond that the closest together are thinned out, so that memory stays flat."""
MAX_REPLAY = 20_000
"""Ticks that are done again at most, to put back a world that keeps no snapshots."""


@dataclass(frozen=True)
class Start:
    """What a session starts from. given: streams `[num_ticks, *shape]` of a recorded episode, after whose
    last tick one plays on."""

    seed: int = 0
    prompt: str | None = None
    given: Mapping[str, Array] | None = None

    @property
    def num_given(self) -> int:
        return min((len(value) for value in (self.given or {}).values()), default=0)


def standing(spec: WorldSpec, picture: Array) -> dict[str, Array]:
    """A picture `[side, side, 3]` uint8 as the first tick of a world, standing still; see `Start`."""
    video = spec.of_kind("video")[0]
    return {video.name: np.tile(picture, (1, video.shape[0], 1, 1, 1))}


@dataclass(frozen=True)
class Tick:
    """What one tick showed. number: counted from the reset. observation, beside: streams `[*shape]` of the
    world, and of the real one beside it. ended: `terminated`, `truncated`, or empty. repeats: False where the
    world was put back by doing everything again, and came out different."""

    number: int
    branch: int
    observation: Observation
    beside: Observation | None = None
    ended: str = ""
    repeats: bool = True

    @property
    def reward(self) -> float:
        return _reward(self.observation)

    @property
    def beside_reward(self) -> float:
        return _reward(self.beside or {})


@dataclass(frozen=True)
class Mark:
    """A place to go back to. parent: the mark before it, None for the first. shown: its tick, without sound.
    memory: a snapshot of each world that keeps any."""

    number: int
    parent: int | None
    shown: Tick
    memory: tuple[Any, ...] = field(repr=False, default=())

    @property
    def tick(self) -> int:
        return self.shown.number


@dataclass(frozen=True)
class Done:
    """What was done for one tick. sentences: said before it, in order. action: None where it was left to the
    world."""

    action: Action | None
    sentences: tuple[str, ...] = ()


@dataclass
class _Branch:
    """One course of events: what was done since tick `start` of the branch `parent`."""

    parent: int | None
    start: int
    done: list[Done] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.start + len(self.done)


class Session:
    """A world of one, played live.

    beside: the real world that `world` was learned from, stepped under the same actions and started from the
    same first tick. mark_seconds: between two places to go back to.
    """

    def __init__(self, world: World, beside: World | None = None, mark_seconds: float = 1.0) -> None:
        worlds = (world,) if beside is None else (world, beside)
        if any(one.num_worlds != 1 for one in worlds):
            raise ValueError("a session plays worlds of one")
        self.world, self.beside = world, beside
        self._worlds = worlds
        self._mark_every = world.spec.clock.num_ticks(mark_seconds)
        self.start: Start | None = None
        self.marks: dict[int, Mark] = {}
        """Places to go back to, by number."""
        self._branches: list[_Branch] = []
        self._sentences: list[str] = []
        self._branch = self._number = self._mark = self._num_marks = 0

    @property
    def can_snapshot(self) -> bool:
        """Whether going back is at once, and not by doing everything again."""
        return all(isinstance(world, Snapshotable) for world in self._worlds)

    @property
    def keeps_no_snapshots(self) -> str:
        """Why a world keeps none, where one says so."""
        return next(filter(None, (getattr(one, "keeps_no_snapshots", "") for one in self._worlds)), "")

    @property
    def can_direct(self) -> bool:
        """Whether the world takes further sentences on its way. A real one beside it would not."""
        return self.beside is None and isinstance(self.world, Directable)

    @property
    def mark(self) -> int:
        """The mark at or last before where the session is."""
        return self._mark

    @property
    def done(self) -> list[Done]:
        """Everything that was done since the reset, tick by tick, on the branch that the session is on."""
        return self._path(self._branch, self._number)

    def reset(self, start: Start) -> Tick:
        """Start again, and forget what was. UserError where the world cannot start from that."""
        observations = self._begin(start)
        self.start = start
        self.marks, self._num_marks = {}, 0
        self._branches, self._branch, self._number, self._sentences = [_Branch(None, 0)], 0, 0, []
        tick = self._tick(observations)
        self._add_mark(tick, None)
        return tick

    def step(self, action: Action | None = None) -> Tick:
        """Advance one tick, on a new branch where the session went back before. None leaves the action to the
        world."""
        if self.start is None:
            raise BadUse("reset the session before its first step")
        if _holds_still(self.world):
            raise BadUse("the episode has ended; start again, or go back along the strip")
        branch = self._branches[self._branch]
        if self._number < branch.end:
            branch = _Branch(self._branch, self._number)
            self._branches.append(branch)
            self._branch = len(self._branches) - 1
        observations = [_stepped(world, action) for world in self._worlds]
        branch.done.append(Done(action, tuple(self._sentences)))
        self._sentences = []
        self._number += 1
        tick = self._tick(observations)
        if self._number - self.marks[self._mark].tick >= self._mark_every or tick.ended:
            self._add_mark(tick, self._mark)
        return tick

    def direct(self, sentence: str) -> None:
        """Let happen what a sentence says, from the next tick on. UserError where the world cannot follow it;
        then nothing has changed."""
        if self.start is None:
            raise BadUse("reset the session before something is to happen in it")
        if not self.can_direct or not isinstance(self.world, Directable):
            raise BadUse("this world takes no sentence on its way")
        self.world.direct(sentence)
        self._sentences.append(sentence)

    def rewind(self, mark: int) -> Tick:
        """Go back, or across to another branch, to a mark. What was there is kept: the next step begins a
        branch."""
        if mark not in self.marks:
            raise BadUse(f"there is no mark {mark} to go back to")
        goal = self.marks[mark]
        shown = self._restore(goal)
        self._sentences = []
        self._branch, self._number, self._mark = goal.shown.branch, goal.tick, mark
        return shown

    def close(self) -> None:
        """Close worlds that hold more than memory."""
        for world in self._worlds:
            close_world(world)

    # ---- starting and putting back ---------------------------------------------------------------------

    def _begin(self, start: Start) -> list[Observation]:
        if self.beside is None:
            return [_started(self.world, start)]
        if start.prompt is not None or start.given is not None:
            raise BadUse(
                "the real environment starts from a seed alone; play without it beside to start from a "
                "sentence or a recording"
            )
        real = self.beside.reset(start.seed)
        given = {
            name: real[name][:, None]
            for name, spec in self.world.spec.streams.items()
            if spec.role == "observed" and name in real and real[name].shape[1:] == spec.shape
        }
        return [self.world.reset(start.seed, given=given or None), real]

    def _restore(self, goal: Mark) -> Tick:
        if not self.can_snapshot and goal.tick > MAX_REPLAY:
            why = self.keeps_no_snapshots and f" ({self.keeps_no_snapshots})"
            told = f"this world keeps no snapshots{why}, and doing {goal.tick:,} ticks again takes too long"
            raise UserError(told)
        for world, memory in zip(self._worlds, goal.memory, strict=True):
            if isinstance(world, Snapshotable):
                world.restore(memory)
        if self.can_snapshot:
            return goal.shown
        again = self._replayed(goal)
        same = _equal(goal.shown.observation, again.observation)
        same &= goal.shown.beside is None or _equal(goal.shown.beside, again.beside or {})
        return goal.shown if same else replace(again, repeats=False)

    def _replayed(self, goal: Mark) -> Tick:
        """The tick of a mark, by doing everything again: with the real world alone, where only that one keeps
        no snapshots."""
        assert self.start is not None
        path = self._path(goal.shown.branch, goal.tick)
        if self.beside is not None and isinstance(self.world, Snapshotable):
            real = self.beside.reset(self.start.seed)
            for done in path:
                real = _stepped(self.beside, done.action)
            return replace(goal.shown, beside=_unbatched(real))
        observations = self._begin(self.start)
        for done in path:
            for sentence in done.sentences:
                assert isinstance(self.world, Directable)
                self.world.direct(sentence)
            observations = [_stepped(world, done.action) for world in self._worlds]
        beside = _unbatched(observations[1]) if self.beside is not None else None
        return replace(goal.shown, observation=_unbatched(observations[0]), beside=beside)

    def _path(self, branch: int, number: int) -> list[Done]:
        """What was done to get to a tick of a branch, from the reset on."""
        pieces: list[list[Done]] = []
        at: int | None = branch
        while at is not None:
            here = self._branches[at]
            pieces.append(here.done[: number - here.start])
            at, number = here.parent, here.start
        return [done for piece in reversed(pieces) for done in piece]

    # ---- marks -----------------------------------------------------------------------------------------

    def _tick(self, observations: list[Observation]) -> Tick:
        beside = _unbatched(observations[1]) if self.beside is not None else None
        observation = _unbatched(observations[0])
        return Tick(self._number, self._branch, observation, beside, self._ending(observation))

    def _ending(self, observation: Observation) -> str:
        if "terminated" in observation and observation["terminated"].any():
            return "terminated"
        longest = self.world.spec.environment.get("max_episode_steps")
        if longest is not None and self._number >= longest:
            return "truncated"
        return getattr(self.world, "endings", [""])[0]

    def _add_mark(self, tick: Tick, parent: int | None) -> None:
        if len(self.marks) >= MAX_MARKS:
            self._thin_out()
        memory = tuple(w.snapshot() if isinstance(w, Snapshotable) else None for w in self._worlds)
        shown = replace(tick, observation=self._silent(tick.observation))
        if tick.beside is not None:
            shown = replace(shown, beside=self._silent(tick.beside))
        self._mark = self._num_marks
        self._num_marks += 1
        self.marks[self._mark] = Mark(self._mark, parent, shown, memory)

    def _silent(self, observation: Observation) -> Observation:
        heard = {spec.name for world in self._worlds for spec in world.spec.of_kind("audio")}
        return {name: value for name, value in observation.items() if name not in heard}

    def _thin_out(self) -> None:
        """Drop the mark that is closest behind its parent, the oldest of those; its children move up."""
        droppable = [m for m in self.marks.values() if m.parent is not None and m.number != self._mark]
        closest = min(droppable, key=lambda m: m.tick - self.marks[m.parent or 0].tick)
        del self.marks[closest.number]
        for number, mark in self.marks.items():
            if mark.parent == closest.number:
                self.marks[number] = replace(mark, parent=closest.parent)


def _started(world: World, start: Start) -> Observation:
    given = None if start.given is None else {name: value[None] for name, value in start.given.items()}
    tick = world.reset(start.seed, prompt=start.prompt, given=given)
    for _ in range(start.num_given - 1):
        tick = world.step()
    return tick


def _stepped(world: World, action: Action | None) -> Observation:
    """One tick. A world that has one action stream takes its array, one that has several a mapping."""
    if action is None:
        return world.step()
    batched = {name: value[None] for name, value in action.items()}
    return world.step(batched["action"] if list(batched) == ["action"] else batched)  # pyright: ignore[reportArgumentType]


def _holds_still(world: World) -> bool:
    """Whether a Gymnasium environment has ended, from where it shows no more."""
    return bool(getattr(world, "ended", [False])[0])


def _unbatched(observation: Observation) -> Observation:
    return {name: value[0] for name, value in observation.items()}


def _equal(kept: Observation, again: Observation) -> bool:
    return all(np.array_equal(value, again[name]) for name, value in kept.items())


def _reward(observation: Observation) -> float:
    return float(observation["reward"].sum()) if "reward" in observation else 0.0
