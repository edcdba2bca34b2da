"""Whether a scene holds what a sentence says, and whether it happens: judged from states and events alone.

The words that are judged are those of `sentences.yaml`, written by hand; nothing here knows how the world
reads a sentence. Left, right, behind and in front are as the camera sees them in the first frame.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orrery.streams import Array, Event
from orrery.worlds.laboratory.scene import LAB_STATE, MAX_THINGS, LabScene, Thing
from orrery.worlds.rigid_bodies.geometry import rotate

__all__ = ["Film", "castings", "failures"]

CONTAINERS = ("crate", "bowl", "cup", "glass", "container")
FALLEN_RAD = math.radians(55)
FRAME_SECONDS = 1 / 24
VERB = re.compile(
    r"^(?P<a>.+?) (?P<verb>left of|right of|behind|in front of|next to|on|in a row|in|between|rests|is down|"
    r"rolls|slides|falls|moves|swings|spins|hits|bounces|leaves the table|topples|lands on|lands in|passes "
    r"behind|passes over|passes between|passes|comes back|stops)\b ?(?P<rest>.*)$"
)


@dataclass(frozen=True)
class Film:
    """What is known of a film. state: `[frames, slots, D]`. camera: `[frames, 8]`."""

    scene: LabScene
    state: Array
    camera: Array
    events: Sequence[Event]

    def get(self, name: str, slot: int) -> Array:
        return LAB_STATE.get(self.state[:, slot], name).astype(float)

    def position(self, slot: int) -> Array:
        return self.get("position", slot)

    def speed(self, slot: int) -> Array:
        """Metres a second, `[frames]`."""
        return np.linalg.norm(self.get("linear_velocity", slot), axis=1)

    def seen(self, slot: int) -> Array:
        """Right and away as the camera sees it at first, `[frames, 2]`."""
        axes = rotate(self.camera[0, None, 3:7].astype(float), np.eye(3))
        right, away = axes[0, :2], -axes[2, :2]
        flat = self.position(slot)[:, :2]
        return np.stack([flat @ right / np.linalg.norm(right), flat @ away / np.linalg.norm(away)], axis=1)

    def tilt(self, slot: int) -> Array:
        """How far its own z axis has turned since the first frame, radians, `[frames]`."""
        up = rotate(self.get("quaternion", slot), np.array([0.0, 0.0, 1.0]))
        return np.arccos(np.clip(up @ up[0], -1, 1))

    def reach(self, slot: int) -> float:
        """Half of how far it extends, seen from above, for balls exact and for others about."""
        return float(max(self.get("size", slot)[0][:2]))

    def top(self, slot: int) -> float:
        return float(self.position(slot)[0, 2] + self.get("size", slot)[0][2])


def castings(things: Mapping[str, Mapping[str, Any]], scene: LabScene) -> Iterator[dict[str, list[int]]]:
    """Every way in which a scene's slots can be what a sentence names, with nothing left over.

    A fixture's slots are those of all its parts.
    """
    cast: dict[str, list[int]] = {}
    free = {name: spec for name, spec in things.items() if spec["shape"] in ("ball", "box", "cylinder",
            "domino", "pendulum")}  # fmt: skip
    known = {"container": CONTAINERS, "ramp": ("ramp", "stand"), "wall": ("wall",)}
    for name, spec in things.items():
        if name not in free:
            slots = [MAX_THINGS + k for k, f in enumerate(scene.fixtures) if f.name in known[spec["shape"]]]
            if not slots:
                return
            cast[name] = slots
    named = {slot for slots in cast.values() for slot in slots}
    frame = ("post", "beam") if any(s["shape"] == "pendulum" for s in things.values()) else ()
    if any(MAX_THINGS + k not in named and f.name not in frame for k, f in enumerate(scene.fixtures)):
        return
    yield from _cast(list(free.items()), set(range(len(scene.things))), cast, scene.things)


def _cast(
    left: list[tuple[str, Mapping[str, Any]]], slots: set[int], cast: dict[str, list[int]],
    things: Sequence[Thing],
) -> Iterator[dict[str, list[int]]]:  # fmt: skip
    if not left:
        if not slots:
            yield dict(cast)
        return
    (name, spec), *others = left
    fit = [slot for slot in sorted(slots) if _fits(things[slot], spec)]
    count = spec.get("count", 1)
    counts = [count] if isinstance(count, int) else range(int(count[:-1]), len(fit) + 1)
    for number in counts:
        for chosen in itertools.combinations(fit, number):
            yield from _cast(others, slots - set(chosen), {**cast, name: list(chosen)}, things)


def _fits(thing: Thing, spec: Mapping[str, Any]) -> bool:
    small, middle, large = sorted(thing.half_extents_m)
    slim = thing.shape == "box" and small < 0.6 * middle and large > 1.5 * middle
    hangs = thing.hinge is not None and thing.hinge.rod_m > 0
    shape = "pendulum" if hangs else "domino" if slim else thing.shape
    steel = ("steel",) if spec.get("material") == "metal" else (spec.get("material"),)
    return (
        shape == spec["shape"]
        and spec.get("colour") in (None, thing.colour)
        and (spec.get("material") is None or thing.material in steel)
        and spec.get("size") in (None, thing.size_word)
    )


class _Judge:
    def __init__(self, film: Film, cast: Mapping[str, list[int]]) -> None:
        self.film, self.cast = film, cast

    def failures(self, expected: Mapping[str, Any]) -> Iterator[str]:
        """Each thing that is said and is not so."""
        after = 0.0
        for said in expected.get("happens", ()):
            when = self.when(said, after)
            if when is None:
                yield f"{said}: not after {after:.2f} s"
            else:
                after = when
        for said in expected.get("together", ()):
            if self.when(said, 0.0) is None:
                yield said
        for said in expected.get("never", ()):
            if self.when(said, 0.0, some=True) is not None:
                yield f"{said}: it did"
        for said in expected.get("end", ()):
            if not self.holds(said, -1):
                yield f"{said}: not at the end"

    def start_failures(self, expected: Mapping[str, Any]) -> Iterator[str]:
        for said in expected.get("start", ()):
            if not self.holds(said, 0):
                yield f"{said}: not at the start"
        for name, speed in expected.get("speed", {}).items():
            first = max(float(np.max(self.film.speed(slot)[:3])) for slot in self.cast[name])
            low, high = {"slow": (0.02, 0.4), "fast": (0.7, 9.0)}.get(speed, (0.0, 0.0))
            if isinstance(speed, float):
                low, high = 0.85 * speed, 1.1 * speed
            if not low <= first <= high:
                yield f"{name} {speed}: {first:.2f} m/s at the start"

    def slots(self, name: str) -> list[int]:
        return self.cast[re.sub(r"^(any|first|last) of ", "", name)]

    def parsed(self, said: str) -> tuple[str, str, str]:
        match = VERB.match(said)
        assert match, f"no judge for {said!r}"
        return match["a"], match["verb"], match["rest"].strip()

    # Relations ------------------------------------------------------------------------------------------

    def holds(self, said: str, frame: int) -> bool:
        a, verb, rest = self.parsed(said)
        if verb == "in a row":
            return self._in_a_row(self.slots(a), frame)
        if verb == "between":
            return all(self._is_between(x, rest.split(), frame) for x in self.slots(a))
        if verb == "rests":
            span = slice(0, 3) if frame == 0 else slice(-6, None)
            return all(self.film.speed(x)[span].max() < 0.03 for x in self.slots(a))
        if verb == "is down":
            return all(self.film.tilt(x)[frame] > FALLEN_RAD for x in self.slots(a))
        if rest == "table":
            return all(self._is_on_table(x, frame) for x in self.slots(a))
        if verb == "in":
            return all(self._is_in(x, self.slots(rest), frame) for x in self.slots(a))
        if rest in self.cast and max(self.slots(rest)) >= MAX_THINGS:  # a ramp
            return all(self._is_over(x, self.slots(rest), frame) for x in self.slots(a))
        return all(self._is(verb, x, y, frame) for x in self.slots(a) for y in self.slots(rest))

    def _is_on_table(self, x: int, frame: int) -> bool:
        return -0.02 < self.film.position(x)[frame, 2] < 0.25

    def _is(self, verb: str, x: int, y: int, frame: int) -> bool:
        film = self.film
        right, away = film.seen(x)[frame] - film.seen(y)[frame]
        gap = math.hypot(right, away) - film.reach(x) - film.reach(y)
        rise = film.position(x)[frame, 2] - film.position(y)[frame, 2]
        size = film.get("size", y)[0][2]
        if verb == "on":
            return rise > size and math.hypot(right, away) < 1.2 * film.reach(y)
        if verb == "next to":
            return -0.02 < gap < 0.13
        ahead = {"left of": -right, "right of": right, "behind": away, "in front of": -away}[verb]
        aside = away if verb in ("left of", "right of") else right
        return ahead > 0.02 and abs(aside) < 1.2 * ahead

    def _is_between(self, x: int, names: list[str], frame: int) -> bool:
        first, last = (self.film.seen(self.slots(name)[0])[frame] for name in (names[0], names[-1]))
        if len(names) == 1:
            first, last = (self.film.seen(y)[frame] for y in self.slots(names[0]))
        way = last - first
        share = (self.film.seen(x)[frame] - first) @ way / (way @ way)
        aside = np.linalg.norm(self.film.seen(x)[frame] - first - share * way)
        return bool(0.1 < share < 0.9 and aside < 0.08)

    def _in_a_row(self, slots: list[int], frame: int) -> bool:
        places = np.array([self.film.position(x)[frame, :2] for x in slots])
        middle = places - places.mean(axis=0)
        _, spread, _ = np.linalg.svd(middle)
        return bool(spread[1] < 0.15 * spread[0] and len(slots) > 2)

    def _is_over(self, x: int, fixture: list[int], frame: int) -> bool:
        place, half = self.film.position(x)[frame], self.film.get("size", fixture[0])[0]
        middle = self.film.position(fixture[0])[0]
        return bool(np.all(np.abs(place - middle)[:2] < half[:2] + 0.02) and place[2] > 0.03)

    def _is_in(self, x: int, walls: list[int], frame: int) -> bool:
        middles = np.array([self.film.position(w)[0] for w in walls])
        centre, half_height = middles.mean(axis=0), self.film.get("size", walls[0])[0][2]
        inner = np.linalg.norm(middles[:, :2] - centre[:2], axis=1).max()
        place = self.film.position(x)[frame]
        return bool(np.linalg.norm(place[:2] - centre[:2]) < inner and 0 < place[2] < 2 * half_height + 0.03)

    # What happens ---------------------------------------------------------------------------------------

    def when(self, said: str, after: float, some: bool = False) -> float | None:
        """When it comes about, not before `after`. some: whether one of several is enough."""
        a, verb, rest = self.parsed(said)
        slots = ["finger"] if a == "finger" else self.slots(a)
        some = some or a.startswith("any of")
        times: list[float | None] = []
        if verb == "hits":
            times = [self._hit(slots, x, rest, after, some) for x in slots]
        elif a.startswith(("first of", "last of")):
            met = [t for t in (self._does(verb, int(x), rest, after) for x in slots) if t is not None]
            return min(met, default=None)  # the end that is met: whichever it is
        else:
            times = [self._does(verb, int(x), rest, after) for x in slots]
        known = [t for t in times if t is not None]
        if some:
            return min(known, default=None)
        return max(known) if known and len(known) == len(times) else None

    def _hit(self, slots: Sequence[Any], x: Any, rest: str, after: float, some: bool) -> float | None:
        if rest == "table":
            return self._impact(self._names([x]), {"table"}, after)
        is_any = some or rest.startswith(("any of", "first of", "last of"))
        others = [y for y in self.slots(rest) if y != x]
        groups = [others] if is_any or list(slots) == self.slots(rest) or min(others) >= MAX_THINGS else [
            [y] for y in others]  # fmt: skip
        times = [self._impact(self._names([x]), self._names(group), after) for group in groups]
        known = [t for t in times if t is not None]
        return min(known) if known and len(known) == len(times) else None

    def _names(self, slots: Sequence[Any]) -> set[str]:
        return {
            x if isinstance(x, str) else f"fixture{x - MAX_THINGS}" if x >= MAX_THINGS else f"object{x}"
            for x in slots
        }

    def _impact(self, a: set[str], b: set[str], after: float) -> float | None:
        for event in sorted(self.film.events, key=lambda event: event.seconds):
            on_floor = "table" in (event.a, event.b) and event.position_m[2] < -0.05
            if event.seconds < max(0.05, after - FRAME_SECONDS) or on_floor:
                continue
            if (event.a in a and event.b in b) or (event.a in b and event.b in a):
                return event.seconds
        return None

    def _does(self, verb: str, x: int, rest: str, after: float) -> float | None:
        frames = self._frames(verb, x, rest, after)
        first = max(0, int(after / FRAME_SECONDS) - 1)
        found = np.flatnonzero(frames[first:])
        return None if not len(found) else (first + int(found[0]) + 1) * FRAME_SECONDS

    def _frames(self, verb: str, x: int, rest: str, after: float) -> Array:
        """In which frames it is so, `[frames]` bool."""
        film = self.film
        place, velocity = film.position(x), film.get("linear_velocity", x)
        level = np.linalg.norm(velocity[:, :2], axis=1)
        spin = np.linalg.norm(film.get("angular_velocity", x), axis=1) * film.reach(x)
        far = np.linalg.norm(place - place[0], axis=1) > 0.03
        if verb in ("rolls", "slides", "moves"):
            ways = {"rolls": spin > 0.5 * level, "slides": spin < 0.4 * level, "moves": level < np.inf}
            moved = np.linalg.norm(place[-1] - place[0]) > 0.03 or far.any()
            return ways[verb] & (level > 0.04) & moved & self._heads(x, rest)
        if verb == "falls":
            return (place[0, 2] - place[:, 2] > 0.03) & (velocity[:, 2] < -0.3)
        if verb == "leaves the table":
            return place[:, 2] < -0.02
        if verb == "topples":
            return (film.tilt(x) > FALLEN_RAD) & self._heads(x, rest)
        if verb == "bounces":
            return self._bounces(x, after, int(rest.split()[0]) if rest else 0)
        if verb == "swings":
            return film.tilt(x) > 0.2
        if verb == "spins":
            return (np.abs(film.get("angular_velocity", x)[:, 2]) > 2) & ~far & (np.arange(len(far)) > 6)
        if verb == "stops":
            return (film.speed(x) < 0.03) & (np.arange(len(far)) > 3)
        if verb == "comes back":
            way = place[:, :2] @ (velocity[0, :2] / max(np.linalg.norm(velocity[0, :2]), 1e-9))
            return np.maximum.accumulate(way) - way > 0.03
        return self._with_another(verb, x, rest)

    def _heads(self, x: int, rest: str) -> Array:
        seen = self.film.seen(x)
        if not rest:
            return np.ones(len(seen), bool)
        sign = -1 if rest.endswith("left") else 1
        return sign * (seen[:, 0] - seen[0, 0]) > 0.015

    def _bounces(self, x: int, after: float, times: int) -> Array:
        """Where it has come up by 8 mm after a low point; of several, where it has done so the last time."""
        z = self.film.position(x)[:, 2]
        ups, low, up = [], z[0], False
        for frame, height in enumerate(z):
            if height < low or (up and height < z[frame - 1]):
                low, up = height, False
            elif not up and height - low > 0.008:
                ups.append(frame)
                up = True
        frames = np.zeros(len(z), bool)
        if times == 0:
            frames[[f for f in ups if f * FRAME_SECONDS >= after]] = True
        elif len(ups) == times:
            frames[ups[-1]] = True
        return frames

    def _with_another(self, verb: str, x: int, rest: str) -> Array:
        film = self.film
        place, seen = film.position(x), film.seen(x)
        if verb == "lands in":
            walls = self.slots(rest)
            return np.array([self._is_in(x, walls, f) for f in range(len(place))])
        if rest == "table":
            low = place[:, 2] < 1.1 * max(film.get("size", x)[0]) + 0.004
            return low & (place[:, 2] > -0.02) & (np.arange(len(low)) > 2)
        found = np.ones(len(place), bool)
        if verb == "passes between":
            return np.array([self._is_between(x, rest.split(), f) for f in range(len(place))])
        for y in self.slots(rest):
            right, away = (seen - film.seen(y)).T
            near = np.hypot(right, away) - film.reach(y) - film.reach(x)
            if verb == "lands on":
                at = self._impact(self._names([x]), self._names([y]), 0.0)
                found &= np.arange(len(place)) * FRAME_SECONDS >= (np.inf if at is None else at)
            elif verb == "passes":
                closest = int(np.argmin(near))
                moved = np.linalg.norm(place[-1] - place[closest]) > 0.03
                found &= bool(near[closest] < 0.25 and closest > 0 and moved)
                found &= np.arange(len(place)) >= closest
            else:
                crossed = np.flatnonzero(np.sign(right[1:]) * np.sign(right[:-1]) < 0) + 1
                if verb == "passes over":
                    crossed = np.flatnonzero(np.hypot(right, away) < film.reach(y))
                    crossed = [f for f in crossed if place[f, 2] > film.top(y)]
                else:
                    crossed = [f for f in crossed if away[f] > 0.02]
                found &= np.arange(len(place)) >= min(crossed, default=10**6)
        return found


def failures(expected: Mapping[str, Any], film: Film) -> tuple[list[str], list[str]]:
    """What is not as said at the start, and what does not happen, under the casting that has the least."""
    best: tuple[list[str], list[str]] | None = None
    for cast in castings(expected["things"], film.scene):
        judge = _Judge(film, cast)
        found = list(judge.start_failures(expected)), list(judge.failures(expected))
        if best is None or len(found[0]) + len(found[1]) < len(best[0]) + len(best[1]):
            best = found
        if not any(best):
            break
    return best or (["other things are there"], [])
