"""Whether what a story tells happens: judged from a run of the exact world, its states and its impacts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orrery.streams import Array, Event
from orrery.worlds.laboratory.scene import LAB_STATE, LAB_TRAY, MAX_THINGS, LabScene, Thing
from orrery.worlds.laboratory.story import Deed, Relation, Story, Who, Wish
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, rotate

__all__ = ["Run", "contradictions", "deed_words", "disagreements", "stands", "untold"]

_START_SECONDS = 0.05
"""What touches before was placed so."""
_STRUCK = ("hits", "pushes", "pokes", "lifts", "lands on")
_FALLEN_RAD = math.radians(58)
_MOST_CASTINGS = 3000
_NEAR_M = 0.12
"""How near a thing passes another that it misses."""


@dataclass(frozen=True)
class Run:
    """A scene and what became of it. cast: a story's things to the names of the bodies that play them.

    state: `[frames, slots, D]`. frame_seconds: between two of them.
    """

    scene: LabScene
    cast: Mapping[Who, Sequence[str]]
    state: Array
    events: Sequence[Event]
    frame_seconds: float

    def names(self, who: Sequence[Who]) -> set[str]:
        return {name for k in who for name in self.cast.get(k, (str(k),))}

    def slot(self, who: Who) -> int:
        name = self.cast[who][0]
        return MAX_THINGS + int(name[7:]) if name.startswith("fixture") else int(name[6:])

    def get(self, name: str, who: Who) -> Array:
        return LAB_STATE.get(self.state[:, self.slot(who)], name).astype(float)

    def reach(self, who: Who) -> float:
        """Half of its width, seen from above; of a container, its inside."""
        if len(self.cast[who]) > 2:
            first = self.place_of_walls(who)
            return float(np.linalg.norm(first - first.mean(axis=0), axis=1).max())
        return float(max(self.get("size", who)[0][:2]))

    def place_of_walls(self, who: Who) -> Array:
        """Where the walls of a container stand, `[walls, 2]`."""
        return np.array([self.scene.fixtures[int(name[7:])].position_m[:2] for name in self.cast[who]])

    def position(self, who: Who) -> Array:
        """`[frames, 3]`, of a container its middle."""
        if len(self.cast[who]) > 2:
            place = np.append(self.place_of_walls(who).mean(axis=0), self.get("position", who)[0, 2])
            return np.tile(place, (len(self.state), 1))
        return self.get("position", who)

    @cached_property
    def seconds(self) -> Array:
        """At the end of each frame."""
        return (np.arange(len(self.state)) + 1) * self.frame_seconds

    def tilt(self, who: Who) -> Array:
        up = rotate(self.get("quaternion", who), np.array([0.0, 0.0, 1.0]))
        return np.arccos(np.clip(up @ up[0], -1.0, 1.0))

    def impact(self, a: set[str], b: set[str], after: float) -> float | None:
        """The first impact of one of `a` with one of `b` on the table, not before `after`."""
        for event in sorted(self.events, key=lambda event: event.seconds):
            floor = "table" in (event.a, event.b) and event.position_m[2] < -0.05
            ours = (event.a in a and event.b in b) or (event.a in b and event.b in a)
            if ours and event.seconds >= max(after, _START_SECONDS) and not floor:
                return event.seconds
        return None


def untold(story: Story, run: Run) -> list[Deed]:
    """What a story tells and a run does not show, in the story's order."""
    missing = []
    last: list[tuple[set[Who], float]] = []
    for deed in story.deeds:
        who = {k for k in (*deed.a, *deed.b) if isinstance(k, int)}
        shared = [when for others, when in last if deed.is_then or others & who]
        when = _when(deed, run, max(shared, default=0.0), story)
        if deed.never == (when is not None):
            missing.append(deed)
        elif when is not None and deed.verb != "rests":
            last.append((who, when))
    return missing


def disagreements(story: Story, scene: LabScene, events: Sequence[Event] | None = None) -> list[str]:
    """Where `scene` is not what `story` states. events: of the scene, for what is told with "then"; None
    leaves
    that out.
    """
    stated = {
        "surface": (story.surface, scene.surface),
        "light": (story.light, scene.light),
        "side": (story.side, scene.orbit.side),
        "move": (story.move, scene.orbit.move),
    }
    found = [
        f"{k}: {asked} asked, {there} there"
        for k, (asked, there) in stated.items()
        if asked not in (None, there)
    ]
    fixtures = {fixture.name for fixture in scene.fixtures}
    for wish in story.things:
        names = {"container": {wish.noun, "crate"}, "seesaw": {"fulcrum"}}.get(
            wish.fixture or "", {wish.fixture or ""}
        )
        if wish.fixture and not names & fixtures:
            found.append(f"{wish.name} asked, not there")
    if any(d.verb in ("pushes", "pokes", "lifts") for d in story.deeds) and scene.task is None:
        found.append("the finger has nothing to do")
    castings = list(itertools.islice(_castings(story, scene), _MOST_CASTINGS))
    if not castings:
        found.append("not all of the things asked for are there")
    elif events is not None and not any(_told_happens(story, scene, cast, events) for cast in castings):
        found.append("what is told did not happen, or in another order")
    return found


def _castings(story: Story, scene: LabScene) -> Iterator[dict[Who, tuple[str, ...]]]:
    """The ways in which a scene's things can play a story's."""
    headings = {
        k: d.heading
        for d in story.deeds
        if d.heading and not d.is_caused and len(d.a) == 1
        for k in (d.b if d.a == ("finger",) else d.a)
    }
    wishes = [(k, wish) for k, wish in enumerate(story.things) if wish.fixture is None and wish.is_sure]
    fixed: dict[Who, tuple[str, ...]] = {}
    for k, wish in enumerate(story.things):
        if wish.fixture == "seesaw":
            fixed[k] = tuple(f"object{n}" for n, t in enumerate(scene.things) if t.role == "plank")
        elif wish.fixture:
            names = (wish.noun, "crate") if wish.fixture == "container" else (wish.fixture,)
            fixed[k] = tuple(f"fixture{n}" for n, f in enumerate(scene.fixtures) if f.name in names)
    for n, fixture in enumerate(scene.fixtures):
        fixed[fixture.name] = (*fixed.get(fixture.name, ()), f"fixture{n}")

    def rest(left: list[tuple[int, Wish]], free: set[int]) -> Iterator[dict[Who, tuple[str, ...]]]:
        if not left:
            more = {
                k: tuple(f"object{n}" for n in sorted(free) if _suits(scene.things[n], wish, None))
                for k, wish in enumerate(story.things)
                if not wish.is_sure
            }
            yield {**fixed, **more}
            return
        (k, wish), *others = left
        for n in sorted(free):
            if _suits(scene.things[n], wish, headings.get(k)):
                for cast in rest(others, free - {n}):
                    yield {**cast, k: (f"object{n}",)}

    yield from rest(wishes, {n for n, thing in enumerate(scene.things) if thing.role != "plank"})


def _suits(thing: Thing, wish: Wish, heading: str | None) -> bool:
    shape = "domino" if thing.role == "domino" else thing.shape
    stated = (
        (wish.shape, shape),
        (wish.colour, thing.colour),
        (wish.material, thing.material),
        (wish.size, thing.size_word),
        (heading, thing.heading),
    )
    hangs = thing.hinge is not None and thing.hinge.rod_m > 0
    return all(asked in (None, there) for asked, there in stated) and wish.hangs == hangs


def _told_happens(
    story: Story, scene: LabScene, cast: Mapping[Who, Sequence[str]], events: Sequence[Event]
) -> bool:
    """Whether the impacts that are told with "then" came, in order."""
    run = Run(scene, cast, np.zeros((0, 0, 0)), events, 1.0)
    after = 0.0
    for deed in story.deeds:
        if deed.is_then and deed.verb in ("hits", "lands on") and not deed.never:
            a, b = run.names(deed.a), {"table"} if deed.b == ("table",) else run.names(deed.b)
            when = run.impact(a, b, after) if a != b else _within(run, a, after)
            if when is None:
                return False
            after = when
    return True


def _within(run: Run, names: set[str], after: float) -> float | None:
    times = [e.seconds for e in run.events if e.a in names and e.b in names and e.seconds >= after]
    return min(times, default=None)


def deed_words(story: Story, deed: Deed) -> str:
    """A deed as one would say it: "the red ball hits the blue box"."""

    def named(who: Sequence[Who]) -> str:
        names = [story.things[k].name if isinstance(k, int) else f"the {k}" for k in who]
        return " and ".join(dict.fromkeys(names))

    never = "never " if deed.never else ""
    return f"{named(deed.a)} {never}{deed.verb} {named(deed.b)}".strip()


def contradictions(story: Story, run: Run) -> list[int]:
    """Things that do what nobody told: leave the table; or, said to stand still, are moved."""
    told = {k for deed in story.deeds if deed.verb == "leaves" and not deed.never for k in deed.a}
    pushed = {k for deed in story.deeds if deed.verb == "moves" for k in deed.a} & told
    told |= {k for deed in story.deeds if deed.verb == "hits" and set(deed.b) & pushed for k in deed.a}
    busy = {k for d in story.deeds if d.verb != "rests" and not d.never for k in (*d.a, *d.b)}
    busy |= {
        k
        for r in story.relations
        if set(r.a) & busy and r.kind in ("row", "stack", "on")
        for k in (*r.a, *r.b)
    }
    found = []
    for k, wish in enumerate(story.things):
        if wish.fixture is None:
            place = run.position(k)
            beyond = (np.abs(place[:, :2]) > (LAB_TRAY.half_x, LAB_TRAY.half_y)).any()
            fell = k not in told and (place[:, 2].min() < -0.03 or bool(beyond))
            if fell or (k not in busy and np.linalg.norm(place - place[0], axis=1).max() > 0.015):
                found.append(k)
    return found


def _when(deed: Deed, run: Run, after: float, story: Story) -> float | None:
    """When a deed has come about, not before `after`."""
    others = set(deed.b) - set(deed.a)
    if deed.verb in _STRUCK:
        b = run.names(deed.b)
        if deed.b and deed.b[0] == "table":
            b = {"table"}
        times = [run.impact(run.names([k]), b - run.names([k]), after) for k in deed.a]
    elif deed.verb.startswith(("passes", "nears")) and others:
        times = [_last([_first(run, _DEEDS[deed.verb](run, deed, k), after)]) for k in deed.a]
    else:
        times = [_first(run, _DEEDS[deed.verb](run, deed, k), after) for k in deed.a]
    if deed.never or not deed.each:
        return min((t for t in times if t is not None), default=None)
    return _last(times)


def _last(times: Sequence[float | None]) -> float | None:
    known = [t for t in times if t is not None]
    return max(known) if known and len(known) == len(times) else None


def _first(run: Run, frames: Array, after: float) -> float | None:
    found = np.flatnonzero(frames & (run.seconds >= after - run.frame_seconds))
    return float(run.seconds[found[0]]) if len(found) else None


def _moved(run: Run, k: Who) -> Array:
    place = run.position(k)
    return np.linalg.norm(place - place[0], axis=1)


def _heads(run: Run, deed: Deed, k: Who) -> Array:
    """Where it has gone the way that is told, `[frames]` bool."""
    if deed.heading is None:
        return np.ones(len(run.state), bool)
    place = run.position(k)
    return (place[:, :2] - place[0, :2]) @ np.array(DIRECTIONS[deed.heading]) > 0.02


def _level_speed(run: Run, k: Who) -> Array:
    return np.linalg.norm(run.get("linear_velocity", k)[:, :2], axis=1)


def _rolls(run: Run, deed: Deed, k: Who) -> Array:
    spin = np.linalg.norm(run.get("angular_velocity", k), axis=1) * run.get("size", k)[0][0]
    speed = _level_speed(run, k)
    return (speed > 0.06) & (spin > 0.6 * speed) & _heads(run, deed, k) & (_moved(run, k) > 0.03)


def _slides(run: Run, deed: Deed, k: Who) -> Array:
    spin = np.linalg.norm(run.get("angular_velocity", k), axis=1) * run.reach(k)
    speed = _level_speed(run, k)
    return (speed > 0.06) & (spin < 0.3 * speed) & _heads(run, deed, k) & (_moved(run, k) > 0.03)


def _moves(run: Run, deed: Deed, k: Who) -> Array:
    return (_moved(run, k) > 0.035) & _heads(run, deed, k)


def _falls(run: Run, deed: Deed, k: Who) -> Array:
    place = run.position(k)
    return (place[:, 2].max() - place[:, 2] > 0.035) & (run.get("linear_velocity", k)[:, 2] < -0.35)


def _flies(run: Run, deed: Deed, k: Who) -> Array:
    high = run.position(k)[:, 2] > run.get("size", k)[0].max() + 0.02
    return high & (_moved(run, k) > 0.05) & _heads(run, deed, k)


def _ups(z: Array, by: float) -> list[int]:
    """Frames in which it has come up by so much after a low point."""
    ups, low, is_up = [], z[0], False
    for frame in range(1, len(z)):
        if z[frame] < low or (is_up and z[frame] < z[frame - 1]):
            low, is_up = z[frame], False
        elif not is_up and z[frame] - low > by:
            ups.append(frame)
            is_up = True
    return ups


def _bounces(run: Run, deed: Deed, k: Who) -> Array:
    z = run.position(k)[:, 2]
    ups = _ups(z, 0.009)
    frames = np.zeros(len(z), bool)
    if deed.times and not len(ups) == deed.times == len(_ups(z, 0.007)):
        return frames
    frames[ups[-1:] if deed.times else ups] = True
    return frames


def _leaves(run: Run, deed: Deed, k: Who) -> Array:
    return run.position(k)[:, 2] < -0.03


def _drops_off(run: Run, deed: Deed, k: Who) -> Array:
    place, below = run.position(k), run.position(deed.b[0])
    aside = np.linalg.norm((place - below)[:, :2], axis=1) > run.reach(deed.b[0])
    return aside & (place[0, 2] - place[:, 2] > 0.035)


def _topples(run: Run, deed: Deed, k: Who) -> Array:
    fallen = run.tilt(k) > _FALLEN_RAD
    if not deed.each:  # a stack's blocks may fall without turning
        z = run.position(k)[:, 2]
        fallen = z[0] - z > 0.04
    return fallen & _heads(run, deed, k)


def _lands_in(run: Run, deed: Deed, k: Who) -> Array:
    inside = _inside(run, deed.b[0], k)
    return inside & inside[-1]


def _inside(run: Run, container: Who, k: Who) -> Array:
    place, middle = run.position(k), run.position(container)
    walls = run.place_of_walls(container)
    inner = np.linalg.norm(walls - middle[0, :2], axis=1).min()
    rim = 2 * middle[0, 2]
    return (np.linalg.norm((place - middle)[:, :2], axis=1) < inner) & (place[:, 2] < rim) & (place[:, 2] > 0)


def _stays_in(run: Run, deed: Deed, k: Who) -> Array:
    inside = _inside(run, deed.b[0], k)
    return inside & bool(inside.all())


def _gap(run: Run, k: Who, other: Who) -> Array:
    """Between two things, seen from above, `[frames]` metres."""
    apart = np.linalg.norm((run.position(k) - run.position(other))[:, :2], axis=1)
    return apart - run.reach(k) - run.reach(other)


def _passes(run: Run, deed: Deed, k: Who) -> Array:
    found = np.ones(len(run.state), bool)
    for other in deed.b:
        gap = _gap(run, k, other)
        closest = int(np.argmin(gap))
        after = np.arange(len(gap)) > closest
        goes_on = np.cumsum(after * _level_speed(run, k)) * run.frame_seconds > 0.05
        found &= (gap[closest] < _NEAR_M + 0.08 * len(deed.b)) & (closest > 2) & goes_on
    return found


def _crossing(run: Run, k: Who, other: Who, ahead: Callable[[Array], Array]) -> Array:
    """From when it has crossed another's middle, seen from the front, where `ahead` of (aside, away, up)
    holds."""
    way = run.position(k) - run.position(other)
    crossed = np.flatnonzero(np.sign(way[1:, 0]) * np.sign(way[:-1, 0]) < 0) + 1
    good = [frame for frame in crossed if ahead(way[frame])]
    beyond = np.abs(way[:, 0]) > run.reach(other) + 0.5 * run.reach(k)
    return beyond & (np.arange(len(way)) >= (good[0] if good else len(way)))


def _passes_behind(run: Run, deed: Deed, k: Who) -> Array:
    return np.all([_crossing(run, k, o, lambda way: way[1] > 0.03) for o in deed.b], axis=0)


def _passes_in_front(run: Run, deed: Deed, k: Who) -> Array:
    return np.all([_crossing(run, k, o, lambda way: way[1] < -0.03) for o in deed.b], axis=0)


def _passes_over(run: Run, deed: Deed, k: Who) -> Array:
    found = np.ones(len(run.state), bool)
    for other in deed.b:
        way = run.position(k) - run.position(other)
        over = np.linalg.norm(way[:, :2], axis=1) < run.reach(other)
        over &= run.position(k)[:, 2] > run.position(other)[0, 2] + run.get("size", other)[0][2]
        found &= np.arange(len(over)) >= (np.argmax(over) if over.any() else len(over))
    return found


def _passes_between(run: Run, deed: Deed, k: Who) -> Array:
    first, last = run.position(deed.b[0])[0, :2], run.position(deed.b[-1])[0, :2]
    way = last - first
    place = run.position(k)[:, :2] - first
    along = place @ way / (way @ way)
    across = (place @ np.array([-way[1], way[0]])) / np.linalg.norm(way)
    inside = (along > 0.15) & (along < 0.85)
    crossed = np.zeros(len(along), bool)
    crossed[1:] = inside[1:] & (np.sign(across[1:]) != np.sign(across[:-1]))
    return np.maximum.accumulate(crossed) & (np.abs(across) > run.reach(k))


def _nears(run: Run, deed: Deed, k: Who) -> Array:
    found = np.zeros(len(run.state), bool)
    for other in deed.b:
        if other != k:
            gap = _gap(run, k, other)
            found |= gap[0] - gap > 0.04
    return found


def _returns(run: Run, deed: Deed, k: Who) -> Array:
    place = run.position(k)[:, :2]
    first = run.get("linear_velocity", k)[0, :2]
    way = place @ (first / max(float(np.linalg.norm(first)), 1e-9))
    return np.maximum.accumulate(way) - way > 0.04


def _parts(run: Run, deed: Deed, k: Who) -> Array:
    gap = np.min([_gap(run, k, other) for other in deed.a if other != k], axis=0)
    return gap - np.minimum.accumulate(gap) > 0.02


def _stops(run: Run, deed: Deed, k: Who) -> Array:
    speed = np.linalg.norm(run.get("linear_velocity", k), axis=1)
    still = speed < 0.02
    return still & (_moved(run, k).max() > 0.03) & bool(still[-6:].all())


def _swings(run: Run, deed: Deed, k: Who) -> Array:
    return (run.tilt(k) > 0.25) & _heads(run, deed, k)


def _spins(run: Run, deed: Deed, k: Who) -> Array:
    turning = np.abs(run.get("angular_velocity", k)[:, 2]) > 3.0
    return turning & (_moved(run, k) < 0.02) & (np.arange(len(turning)) > 8)


def _rests(run: Run, deed: Deed, k: Who) -> Array:
    """At first; that it is not moved later is for `contradictions`."""
    return np.full(len(run.state), bool(_moved(run, k)[:3].max() < 0.01))


def _lifted(run: Run, deed: Deed, k: Who) -> Array:
    return np.ones(len(run.state), bool)


def _ends(run: Run, deed: Deed, k: Who) -> Array:
    kind = deed.verb.removeprefix("ends ")
    holds = all(_stand(kind, run.position(k)[-1], run.position(b)[-1], run, k, b) for b in deed.b)
    return np.full(len(run.state), holds)


_DEEDS: dict[str, Callable[[Run, Deed, Who], Array]] = {
    "rolls": _rolls,
    "slides": _slides,
    "moves": _moves,
    "falls": _falls,
    "flies": _flies,
    "bounces": _bounces,
    "leaves": _leaves,
    "drops off": _drops_off,
    "topples": _topples,
    "lands in": _lands_in,
    "stays in": _stays_in,
    "passes": _passes,
    "passes behind": _passes_behind,
    "passes in front of": _passes_in_front,
    "passes over": _passes_over,
    "passes between": _passes_between,
    "nears": _nears,
    "returns": _returns,
    "parts": _parts,
    "stops": _stops,
    "swings": _swings,
    "spins": _spins,
    "rests": _rests,
    **{
        f"ends {kind}": _ends
        for kind in ("behind", "next to", "in front of", "left of", "right of", "on", "in", "at")
    },
}


def stands(relation: Relation, run: Run) -> bool:
    """Whether things stand so at first. What is set up by rule (rows, stacks, ramps) is taken as it is."""
    if relation.kind not in _ASIDE and relation.kind != "next to":
        return True
    return all(
        _stand(relation.kind, run.position(a)[0], run.position(b)[0], run, a, b)
        for a in relation.a
        for b in relation.b
    )


_ASIDE = {"left of": (-1, 0), "right of": (1, 0), "behind": (0, 1), "in front of": (0, -1)}


def _stand(kind: str, a: Array, b: Array, run: Run, one: Who, other: Who) -> bool:
    way = (a - b)[:2]
    if kind in _ASIDE:
        ahead = float(way @ np.array(_ASIDE[kind]))
        return ahead > 0.025 and float(np.linalg.norm(way)) < 1.35 * ahead
    gap = float(np.linalg.norm(way)) - run.reach(one) - run.reach(other)
    return gap < 0.09
