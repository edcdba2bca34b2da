"""The sound of contacts: impacts strike modal banks, rolling and sliding feed them noise, tick by tick.

It is modelled. A physics substep of about a millisecond and soft contacts of 6 to 10 ms cannot excite the
high modes of a hard body, so the contact force is not played: each impact is found in the force rows, its
impulse J is taken, and a half-sine pulse of the length that such a contact really has (0.2 to 2 ms, by the
softer body's hardness and the smaller mass) strikes both bodies' modes (modal synthesis: van den Doel, Pai;
pulse and decay magnitudes after Traer, Cusimano and McDermott, DAFx 2019). Loudness grows with
`J / sqrt(mass)`, the root of the energy; it falls with 1/r, and the pan is equal-power by azimuth.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import lfilter

from orrery.streams import Array, Clock
from orrery.worlds.rigid_bodies.impacts import GRAVITY_M_S2, Impact, ImpactFinder
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS
from orrery.worlds.rigid_bodies.modes import ModalBank, half_sine_pulse

__all__ = ["ContactSamples", "ContactSound", "SoundingBody"]

DEAD_SPEED_M_S = 0.01  # slower slip and roll is numerical creep, and silent
IMPACT_GAIN = 3.0
SLIDE_GAIN, ROLL_GAIN = 0.015, 0.01  # output at 1 m/s under the body's own weight, before distance
FRICTION_CUTOFF_HZ = {"slide": 3000.0, "roll": 500.0}
SHARES = {"table": 0.2, "finger": 0.3}  # of the pulse that a body of that shape turns into sound; others 1
NEAREST_M = 0.2
HERTZ_SPEED_M_S = 0.7  # at which a contact lasts as long as hardness and mass say
LONGEST_PULSE_SECONDS, SHORTEST_PULSE_SECONDS = 2.0e-3, 0.2e-3
LIMIT_KNEE = 0.7


@dataclass(frozen=True)
class SoundingBody:
    """One body that can sound.

    name: `object0`, ..., `table`, `finger`. material: key of ALL_MATERIALS. shape: key of
    `modes.SHAPE_BASE`. half_extent_m: half of the length that sets the pitch. mass_kg: a table's is large.
    """

    name: str
    material: str
    shape: str
    half_extent_m: float
    mass_kg: float


@dataclass(frozen=True)
class ContactSamples:
    """All contacts of one tick: one row per pair (or contact point) and physics substep, sorted by substep.

    substep: `[n]` int within this tick. a, b: `[n]` int, index of the bodies, a < b. normal_force_n: `[n]`.
    slip_speed_m_s: `[n]` relative tangential speed at the contact. roll_speed_m_s: `[n]` speed of the contact
    point over the surfaces. position_m: `[n, 3]` world frame. Rows of the same pair and substep add up.
    """

    substep: Array
    a: Array
    b: Array
    normal_force_n: Array
    slip_speed_m_s: Array
    roll_speed_m_s: Array
    position_m: Array

    @classmethod
    def empty(cls) -> ContactSamples:
        """A tick without contact."""
        none = np.zeros(0)
        index = np.zeros(0, int)
        return cls(index, index, index, none, none, none, np.zeros((0, 3)))


class ContactSound:
    """Stereo sound of one world's contacts, streamed.

    bodies: whatever can touch, in the order of the contact rows' indices. num_substeps: physics substeps in
    one tick. listener: position `[3]` and unit right axis `[3]`, metres, world frame. seed: draws each body's
    deviations from its material and the noise of friction. hertz: whether a pulse takes its shape and length
    from the impact's speed as well: harder blows are shorter, and so brighter. After each tick `impacts`
    lists what was struck.
    """

    def __init__(
        self,
        bodies: Sequence[SoundingBody],
        clock: Clock,
        num_substeps: int,
        listener: tuple[Any, Any],
        seed: int,
        hertz: bool = False,
    ) -> None:
        self._hertz = hertz
        self.bodies = tuple(bodies)
        self.clock = clock
        self.num_substeps = num_substeps
        self.listen_from(*listener)
        rate = clock.samples_per_second
        self.banks = [
            ModalBank(b.material, b.shape, b.half_extent_m, rate, np.random.default_rng([seed, index]))
            for index, b in enumerate(self.bodies)
        ]
        self._gains = np.array(
            [ALL_MATERIALS[b.material].loudness * SHARES.get(b.shape, 1.0) for b in bodies]
        )
        self._finder = ImpactFinder(
            np.array([b.mass_kg for b in self.bodies]), clock.tick_seconds / num_substeps
        )
        self._pair_index = np.full((len(self.bodies), len(self.bodies)), -1)
        for index, (a, b) in enumerate(self._finder.pairs):
            self._pair_index[a, b] = self._pair_index[b, a] = index
        self._pulses = [self._pulse(a, b) for a, b in self._finder.pairs]
        edges = np.arange(num_substeps + 1) * clock.samples_per_tick / num_substeps
        self._edges = np.round(edges).astype(int)
        longest = math.ceil(LONGEST_PULSE_SECONDS * rate) if hertz else max(len(p) for p in self._pulses)
        self._tail = np.zeros((len(self.bodies), longest))
        self._excitation = np.zeros((len(self.bodies), clock.samples_per_tick + longest))
        self._ramp = (np.arange(clock.samples_per_tick) + 1.0)[:, None] / clock.samples_per_tick
        self._noise = np.random.default_rng([seed, len(self.bodies)])
        self._poles = {k: float(np.exp(-2.0 * np.pi * hz / rate)) for k, hz in FRICTION_CUTOFF_HZ.items()}
        self._noise_state = {kind: np.zeros(1) for kind in FRICTION_CUTOFF_HZ}
        self._drive = {kind: np.zeros(len(self._finder.pairs)) for kind in FRICTION_CUTOFF_HZ}
        self._pan: Array | None = None
        self.impacts: list[Impact] = []

    def listen_from(self, position_m: Any, right: Any) -> None:
        """Where the listener is from the end of the next tick on. position_m `[3]`, right `[3]` (unit)."""
        self._ear = np.asarray(position_m, float)
        self._right = np.asarray(right, float)

    def _pulse(self, a: int, b: int, speed_m_s: float | None = None) -> Array:
        """The contact pulse of a pair: 0.2 ms for hard and light bodies to 2 ms for soft and heavy ones.

        speed_m_s: of the impact, for Hertz's law (length as the -1/5 power of speed); None for a spring's
        pulse.
        """
        hardness = min(ALL_MATERIALS[self.bodies[i].material].hardness for i in (a, b))
        mass_kg = min(self.bodies[i].mass_kg for i in (a, b))
        seconds = 2.0e-3 * 10.0 ** (-1.1 * hardness) * (mass_kg / 0.25) ** 0.2
        if speed_m_s is not None:
            seconds *= (speed_m_s / HERTZ_SPEED_M_S) ** -0.2
        seconds = float(np.clip(seconds, SHORTEST_PULSE_SECONDS, LONGEST_PULSE_SECONDS))
        return half_sine_pulse(seconds, self.clock.samples_per_second, 1.0 if speed_m_s is None else 1.5)

    def render_tick(self, contacts: ContactSamples, body_positions_m: Array) -> Array:
        """One tick of sound `[samples_per_tick, 2]` (left, right), float32 in [-1, 1].

        body_positions_m: `[num_bodies, 3]` at the tick's end, world frame; loudness and pan move there
        evenly from where they were at its start.
        """
        num_samples = self.clock.samples_per_tick
        excitation, longest = self._excitation, self._tail.shape[1]
        excitation[:, :longest], excitation[:, longest:] = self._tail, 0.0
        pairs = self._pair_index[contacts.a, contacts.b]
        self._strike(contacts, pairs, excitation)
        self._rub(contacts, pairs, excitation[:, :num_samples])
        self._tail = excitation[:, num_samples:].copy()
        pan = self._pan_gains(np.asarray(body_positions_m, float))
        start = pan if self._pan is None else self._pan
        self._pan = pan
        out = np.zeros((num_samples, 2))
        is_excited: Array = np.any(excitation[:, :num_samples], axis=1)
        for index, bank in enumerate(self.banks):
            if bank.is_silent and not is_excited[index]:
                continue
            sound = bank.render(excitation[index, :num_samples])[:, None]
            out += sound * (start[index] + (pan[index] - start[index]) * self._ramp)
        return _limit(out).astype(np.float32)

    def _strike(self, contacts: ContactSamples, pairs: Array, excitation: Array) -> None:
        """Find the tick's impacts and add their pulses to `excitation`."""
        flat = pairs * self.num_substeps + contacts.substep
        shape = (len(self._finder.pairs), self.num_substeps)
        force = np.bincount(flat, contacts.normal_force_n, shape[0] * shape[1]).reshape(shape)

        def position_at(pair: int, substep: int) -> tuple[float, float, float]:
            x, y, z = contacts.position_m[np.flatnonzero(flat == pair * self.num_substeps + substep)[0]]
            return float(x), float(y), float(z)

        strikes, self.impacts = self._finder.find(force, position_at)
        for strike in strikes:
            strength = IMPACT_GAIN * strike.impulse_ns / np.sqrt(self._finder.smaller_mass_kg[strike.pair])
            pair, first = self._finder.pairs[strike.pair], self._edges[strike.substep]
            pulse = self._pulses[strike.pair]
            if self._hertz:
                pulse = self._pulse(*pair, strike.impulse_ns / self._finder.smaller_mass_kg[strike.pair])
            for body in pair:
                excitation[body, first : first + len(pulse)] += strength * self._gains[body] * pulse

    def _rub(self, contacts: ContactSamples, pairs: Array, excitation: Array) -> None:
        """Add the noise of sliding and rolling to `excitation`."""
        num_samples = excitation.shape[1]
        white = self._noise.standard_normal(num_samples)
        for kind, gain, speed in (
            ("slide", SLIDE_GAIN, contacts.slip_speed_m_s),
            ("roll", ROLL_GAIN, contacts.roll_speed_m_s),
        ):
            pole = self._poles[kind]
            noise, self._noise_state[kind] = lfilter(
                [1.0 - pole], [1.0, -pole], white, zi=self._noise_state[kind]
            )
            drive = self._drive_rows(contacts, pairs, gain, speed)
            for pair in np.flatnonzero(drive.any(axis=1) | (self._drive[kind] > 0.0)):
                knots = np.concatenate([self._drive[kind][pair : pair + 1], drive[pair]])
                envelope = np.interp(np.arange(num_samples) + 1.0, self._edges, knots)
                for body in self._finder.pairs[pair]:
                    level = self._gains[body] / self.banks[body].noise_gain
                    excitation[body] += level * envelope * noise
            self._drive[kind] = drive[:, -1].copy()

    def _drive_rows(self, contacts: ContactSamples, pairs: Array, gain: float, speed: Array) -> Array:
        """`[num_pairs, num_substeps]` level of friction noise: speed times the root of load over weight."""
        drive = np.zeros((len(self._finder.pairs), self.num_substeps))
        moving = np.asarray(speed) > DEAD_SPEED_M_S
        if moving.any():
            rows = pairs[moving]
            weight_n = self._finder.smaller_mass_kg[rows] * GRAVITY_M_S2
            load = np.sqrt(np.clip(contacts.normal_force_n[moving] / weight_n, 0.0, 4.0))
            values = gain * (np.asarray(speed)[moving] - DEAD_SPEED_M_S) * load
            np.maximum.at(drive, (rows, contacts.substep[moving]), values)
        return drive

    def _pan_gains(self, body_positions_m: Array) -> Array:
        """`[num_bodies, 2]` left and right gain: 1/r and equal power by azimuth."""
        offset = body_positions_m - self._ear
        distance = np.maximum(np.sqrt((offset * offset).sum(axis=1)), NEAREST_M)
        to_the_right = np.minimum(np.maximum(offset @ self._right / distance, -1.0), 1.0)
        angle = (to_the_right + 1.0) * (np.pi / 4.0)
        return (np.array([np.cos(angle), np.sin(angle)]) / distance).T

    def follow(self, before: ContactSound, bodies: Mapping[int, int], body_positions_m: Array) -> None:
        """Go on from where another sound is, so that what rings there rings on here.

        bodies: index of each body there to its index here. body_positions_m: `[num_bodies, 3]`, of all here.
        """
        there, here = list(bodies), list(bodies.values())
        self._finder.follow(before._finder, bodies)
        for old, new in bodies.items():
            self.banks[new] = copy.deepcopy(before.banks[old])
        self._tail[here, : before._tail.shape[1]] = before._tail[there]
        self._noise.bit_generator.state = before._noise.bit_generator.state
        self._noise_state = copy.deepcopy(before._noise_state)
        pairs = [self._pair_index[bodies[a], bodies[b]] for a, b in before._finder.pairs]
        for kind, drive in before._drive.items():
            self._drive[kind][pairs] = drive
        if before._pan is not None:
            self._pan = self._pan_gains(body_positions_m)
            self._pan[here] = before._pan[there]

    def snapshot(self) -> dict[str, Any]:
        """Everything that the next ticks depend on."""
        return copy.deepcopy(
            {
                "finder": self._finder.state,
                "banks": [bank.state for bank in self.banks],
                "tail": self._tail,
                "noise": self._noise.bit_generator.state,
                "noise_state": self._noise_state,
                "drive": self._drive,
                "pan": self._pan,
                "impacts": self.impacts,
            }
        )

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to `snapshot`, taken from a ContactSound of the same making."""
        values = copy.deepcopy(snapshot)
        self._finder.state = values["finder"]
        for bank, state in zip(self.banks, values["banks"], strict=True):
            bank.state = state
        self._tail = values["tail"]
        self._noise.bit_generator.state = values["noise"]
        self._noise_state = values["noise_state"]
        self._drive = values["drive"]
        self._pan = values["pan"]
        self.impacts = values["impacts"]


def _limit(signal: Array) -> Array:
    """Soft limiter: unchanged up to 0.7, then bent towards 1, which it never reaches."""
    loudness = np.abs(signal)
    if loudness.max() <= LIMIT_KNEE:
        return signal
    over = np.maximum(loudness - LIMIT_KNEE, 0.0) / (1.0 - LIMIT_KNEE)
    bent = LIMIT_KNEE + (1.0 - LIMIT_KNEE) * over / (1.0 + over)
    return np.where(over > 0.0, np.sign(signal) * bent, signal)
