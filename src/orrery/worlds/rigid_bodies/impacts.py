"""Impacts found in sampled contact forces: when a pair was struck, where, and how hard.

A resting body also pushes on the table, and a settling one pushes unevenly, so "there is a force" does not
mean "there was an impact". An impact is a force far above what the pair carried in the last 10 ms.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.signal import lfilter

from orrery.streams import Array

__all__ = ["GRAVITY_M_S2", "Impact", "ImpactFinder", "Strike"]

GRAVITY_M_S2 = 9.81
LOAD_SECONDS = 0.010  # how fast the resting load is learned
IMPACT_SECONDS = 0.008  # an impact's force is summed for at most this long
ENDS_AT = 0.2  # ... or until it has fallen to this part of its peak
MERGE_SECONDS = 0.030  # later impacts of the same pair belong to the first one's event
ONSET_REACH = 3  # substeps that an onset may lie before the force is clearly an impact
SOUND_SPEED_M_S = 0.02  # impacts whose impulse is under this times the smaller mass are not played
EVENT_SPEED_M_S = 0.04  # ... and under this times the smaller mass are not reported

Position = tuple[float, float, float]


@dataclass(frozen=True)
class Impact:
    """One impact to report.

    seconds: since the tick's start; negative (at most 11 ms) for one that began at the end of the tick before
    and could only be measured now. a, b: index of the bodies. impulse_ns: newton seconds along the normal, in
    the first 8 ms. position_m: world frame.
    """

    seconds: float
    a: int
    b: int
    impulse_ns: float
    position_m: Position


@dataclass(frozen=True)
class Strike:
    """One pulse to play to the bodies of `pair`: `impulse_ns` above the weight, at `substep` of this tick."""

    pair: int
    substep: int
    impulse_ns: float


@dataclass
class _Rise:
    """An impact whose force is still being summed. onset counts substeps from the first tick's start."""

    onset: int
    position_m: Position
    peak_n: float = 0.0
    impulse_ns: float = 0.0
    excess_ns: float = 0.0
    played_ns: float = 0.0


@dataclass
class _State:
    """What is carried from tick to tick. load, tail: `[num_pairs, ...]`; rises, last_event: by pair."""

    load: Array
    tail: Array
    num_substeps: int = 0
    rises: dict[int, _Rise] = field(default_factory=dict)
    last_event: dict[int, int] = field(default_factory=dict)


@dataclass
class _Tick:
    """One tick's input and what was found in it."""

    force_n: Array
    position_at: Callable[[int, int], Position]
    strikes: list[Strike] = field(default_factory=list)
    impacts: list[Impact] = field(default_factory=list)


class ImpactFinder:
    """Finds impacts causally and across tick borders.

    An impact begins where a pair's force exceeds twice its load (a running mean over 10 ms) plus the smaller
    body's weight, and is dated back to the substep at which the contact closed. Its impulse is summed until
    the force has fallen to a fifth, at most 8 ms. A load that stays therefore strikes at most once.

    An impact that a tick border cuts strikes with the part known by then, and with the rest when the next
    tick starts; it is reported once, when it is complete. Impacts of a pair within 30 ms are reported as one,
    at the first one's onset and with the largest impulse known when it is reported.

    masses_kg: `[num_bodies]`. state: opaque; copy it to go back later.
    """

    def __init__(self, masses_kg: Array, substep_seconds: float) -> None:
        self.pairs = list(itertools.combinations(range(len(masses_kg)), 2))
        self.smaller_mass_kg = np.array([min(masses_kg[a], masses_kg[b]) for a, b in self.pairs])
        self._weight_n = self.smaller_mass_kg * GRAVITY_M_S2
        self._dt = substep_seconds
        self._keep = float(np.exp(-substep_seconds / LOAD_SECONDS))
        self._window = max(1, round(IMPACT_SECONDS / substep_seconds))
        self.state = _State(np.zeros((len(self.pairs), 1)), np.zeros((len(self.pairs), ONSET_REACH)))

    def follow(self, before: ImpactFinder, bodies: Mapping[int, int]) -> None:
        """Go on from where another finder is. bodies: index of a body there to its index here."""
        here = {pair: index for index, pair in enumerate(self.pairs)}
        pairs = {
            index: here[min(bodies[a], bodies[b]), max(bodies[a], bodies[b])]
            for index, (a, b) in enumerate(before.pairs)
        }
        state, old = self.state, before.state
        state.load[list(pairs.values())] = old.load
        state.tail[list(pairs.values())] = old.tail
        state.num_substeps = old.num_substeps
        state.rises = {pairs[pair]: copy.copy(rise) for pair, rise in old.rises.items()}
        state.last_event = {pairs[pair]: onset for pair, onset in old.last_event.items()}

    def find(
        self, force_n: Array, position_at: Callable[[int, int], Position]
    ) -> tuple[list[Strike], list[Impact]]:
        """Strikes to play and impacts to report for one tick.

        force_n: `[num_pairs, num_substeps]`. position_at: (pair, substep) to the place of that contact.
        """
        state, tick = self.state, _Tick(force_n, position_at)
        load, load_after = lfilter([1.0 - self._keep], [1.0, -self._keep], force_n, zi=state.load)
        load_before = np.concatenate([state.load / self._keep, load[:, :-1]], axis=1)
        sudden = force_n > 2.0 * load_before + self._weight_n[:, None]
        for pair in sorted({*np.flatnonzero(sudden.any(axis=1)).tolist(), *state.rises}):
            self._follow(pair, np.flatnonzero(sudden[pair]), tick)
        state.load = load_after
        state.tail = np.concatenate([state.tail, force_n], axis=1)[:, -ONSET_REACH:]
        state.num_substeps += force_n.shape[1]
        return tick.strikes, sorted(tick.impacts, key=lambda impact: impact.seconds)

    def _follow(self, pair: int, sudden: Array, tick: _Tick) -> None:
        """Go through one pair's tick: finish the impact that was under way, then find new ones."""
        substep, noticed = 0, -1
        rise = self.state.rises.pop(pair, None)
        while True:
            if rise is None:
                ahead = sudden[sudden >= substep]
                if not len(ahead):
                    return
                noticed = int(ahead[0])
                rise = self._begin(pair, noticed, tick)
                substep = max(rise.onset - self.state.num_substeps, 0)
            substep, is_over = self._sum(pair, rise, tick.force_n[pair], substep)
            self._strike(pair, rise, tick)
            if not is_over:
                self.state.rises[pair] = rise
                return
            self._report(pair, rise, tick)
            rise = None
            substep = max(substep, noticed + 1)  # dating back must not find the same rise again

    def _begin(self, pair: int, substep: int, tick: _Tick) -> _Rise:
        """The impact noticed at `substep`, dated back to where the contact closed."""
        recent = np.concatenate([self.state.tail[pair], tick.force_n[pair, :substep]])[-ONSET_REACH:]
        is_open = np.flatnonzero(recent <= 0.0)
        num_back = ONSET_REACH - 1 - int(is_open[-1]) if len(is_open) else 0
        rise = _Rise(self.state.num_substeps + substep - num_back, tick.position_at(pair, substep))
        num_in_last_tick = max(num_back - substep, 0)
        for force_n in recent[ONSET_REACH - num_back :][:num_in_last_tick]:
            self._add(pair, rise, float(force_n))
        return rise

    def _add(self, pair: int, rise: _Rise, force_n: float) -> None:
        rise.peak_n = max(rise.peak_n, force_n)
        rise.impulse_ns += force_n * self._dt
        rise.excess_ns += max(force_n - self._weight_n[pair], 0.0) * self._dt

    def _sum(self, pair: int, rise: _Rise, force_n: Array, substep: int) -> tuple[int, bool]:
        """Sum from `substep` on; returns where it stopped and whether the impact is over."""
        last = rise.onset + self._window - self.state.num_substeps
        while substep < len(force_n):
            if substep >= last or force_n[substep] < ENDS_AT * rise.peak_n:
                return substep, True
            self._add(pair, rise, float(force_n[substep]))
            substep += 1
        return substep, False

    def _strike(self, pair: int, rise: _Rise, tick: _Tick) -> None:
        """Strike with what has not been played yet: all of it at the onset, unless a tick border cut it."""
        new_ns = rise.excess_ns - rise.played_ns
        if new_ns > 0.0 and rise.excess_ns >= SOUND_SPEED_M_S * self.smaller_mass_kg[pair]:
            substep = max(rise.onset - self.state.num_substeps, 0)
            tick.strikes.append(Strike(pair, substep, new_ns))
            rise.played_ns = rise.excess_ns

    def _report(self, pair: int, rise: _Rise, tick: _Tick) -> None:
        """Report a finished impact, or merge it with the event of the same pair just before it."""
        if rise.excess_ns < EVENT_SPEED_M_S * self.smaller_mass_kg[pair]:
            return
        a, b = self.pairs[pair]
        last = self.state.last_event.get(pair)
        if last is None or (rise.onset - last) * self._dt > MERGE_SECONDS:
            self.state.last_event[pair] = last = rise.onset
        seconds = (last - self.state.num_substeps) * self._dt
        merged = Impact(seconds, a, b, rise.impulse_ns, rise.position_m)
        for index, known in enumerate(tick.impacts):
            if (known.a, known.b, known.seconds) == (a, b, seconds):
                tick.impacts[index] = max(known, merged, key=lambda impact: impact.impulse_ns)
                return
        if last == rise.onset:
            tick.impacts.append(merged)
