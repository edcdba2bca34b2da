"""Whether what moves obeys mechanics: free flight, energy, and bodies that stay out of one another.

Everything is read from positions and poses alone, not from the velocities that a state also tells: a film
that runs backwards tells them as they were. Nothing is compared with what the exact world would have done, so
these questions can be put to any recording, however long.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import grey_closing, maximum_filter1d
from scipy.spatial.transform import Rotation

from orrery.evaluation.dynamics import GRAVITY_M_S2, lowest_points, shape_of
from orrery.evaluation.measure import Measure, Sample
from orrery.evaluation.recording import Recording
from orrery.streams import Array
from orrery.worlds.rigid_bodies.materials import MATERIAL_TABLE
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.scene import TRAY

__all__ = ["ENERGY", "FREE_FALL", "OVERLAP", "mass_kg", "rim_gap", "stretches"]

FLIGHT_FRAMES = 3
"""Fewer frames of a free flight tell no acceleration."""
DIP_FRAMES = 5
"""A hit shows as a dip of energy this long: its frames hold motion of before and after, which cancels."""
HAND_M = 0.015
"""Nearer than this the finger may do work."""
STILL_M = 0.0005
TOUCHING_M = 0.003
"""What lies still within this of something may lie on it."""
LEAST_HEIGHT_M = 0.01
"""Energy is told as a share of its range, or of what lifts everything by this."""


def stretches(mask: Array) -> list[slice]:
    """The runs of true values of `mask [n]`."""
    edges = np.diff(np.concatenate([[0], mask.astype(int), [0]]))
    return [
        slice(int(a), int(b))
        for a, b in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
    ]


def _free_flights(recording: Recording) -> dict[int, list[slice]]:
    """By slot, the runs of frames in which an object can have touched nothing, not even between frames: it is
    further from everything than it can go in half a frame."""
    step, state = recording.frame_seconds, recording.state
    position, low, gap = STATE.get(state, "position"), lowest_points(state), recording.gaps
    fall = GRAVITY_M_S2 * step
    fast = _reach(np.linalg.norm(np.diff(position, axis=0), axis=-1), fall * step)
    sinking = np.maximum(np.abs(np.diff(low, axis=0)), np.abs(np.diff(position[..., 2], axis=0)))
    down = _reach(sinking, fall * step)
    flights = {}
    for slot in recording.slots:
        clear = [
            (low[:, slot], down[:, slot]),
            (rim_gap(state[:, slot], low[:, slot]), fast[:, slot]),
            *((gap[:, slot, other], fast[:, slot] + fast[:, other]) for other in range(state.shape[1])),
        ]
        free = np.all([np.minimum(d[:-1], d[1:]) > reach / 2 for d, reach in clear], axis=0)
        flights[slot] = [slice(run.start, run.stop + 1) for run in stretches(free)]
    return flights


def _reach(moved: Array, fall: float) -> Array:
    """How far things may go from frame to frame: what they did there or just before or after (in a hit, the
    ways there and back cancel), and a fall of one frame; less where they lie still, for nothing that is free
    does. moved: `[frames - 1, K]` metres."""
    most = maximum_filter1d(moved, 3, axis=0)
    return most + np.where(most < STILL_M, TOUCHING_M, fall)


def rim_gap(body: Array, lowest: Array) -> Array:
    """A lower bound of the distance from the tray's rims, `[frames]`, of a body `[frames, D]`."""
    position = STATE.get(body, "position")
    inside = np.minimum(TRAY.half_x - np.abs(position[:, 0]), TRAY.half_y - np.abs(position[:, 1]))
    return np.maximum(inside - np.linalg.norm(STATE.get(body, "size"), axis=-1), lowest - TRAY.rim_height)


def _fall_errors(recording: Recording) -> list[Sample]:
    """Per free flight, how far its acceleration is off gravity, as a share of it."""
    samples = []
    for slot, flights in _free_flights(recording).items():
        for flight in flights:
            height = STATE.get(recording.state[flight, slot], "position")[:, 2].astype(float)
            if len(height) >= FLIGHT_FRAMES:
                seconds = np.arange(len(height)) * recording.frame_seconds
                gravity = -2.0 * np.polyfit(seconds, height, 2)[0]
                when = (flight.start + 1) * recording.frame_seconds
                samples.append(Sample(when, recording.name(slot), abs(gravity / GRAVITY_M_S2 - 1.0)))
    return samples


def _energy_j(recording: Recording, slot: int) -> tuple[Array, float]:
    """Mechanical energy of an object between frames, `[frames - 1]` J, and what lifts it by LEAST_HEIGHT_M.
    From differences of poses."""
    body, mass = recording.state[:, slot].astype(float), mass_kg(recording, slot)
    _, inertia = _solid(shape_of(recording.state, slot), np.median(STATE.get(body, "size"), axis=0))
    position = STATE.get(body, "position")
    speed = np.linalg.norm(np.diff(position, axis=0), axis=-1) / recording.frame_seconds
    turned = Rotation.from_quat(_upright_where_absent(body), scalar_first=True)
    spin = (turned[:-1].inv() * turned[1:]).as_rotvec() / recording.frame_seconds
    height = (position[1:, 2] + position[:-1, 2]) / 2
    energy = mass * (speed**2 / 2 + GRAVITY_M_S2 * height + (inertia * spin**2).sum(-1) / 2)
    return energy, mass * GRAVITY_M_S2 * LEAST_HEIGHT_M


def mass_kg(recording: Recording, slot: int) -> float:
    """Mass of an object, from its shape, its median size and the density of its material."""
    body = recording.state[:, slot]
    material = STATE.materials[int(STATE.get(body, "material").mean(0).argmax())]
    volume, _ = _solid(shape_of(recording.state, slot), np.median(STATE.get(body, "size"), axis=0))
    return MATERIAL_TABLE[material].density_kg_m3 * volume


def _upright_where_absent(body: Array) -> Array:
    """Quaternions of a body `[frames, D]`; where it is absent they are nothing, which is no rotation."""
    quaternion = STATE.get(body, "quaternion").copy()
    quaternion[np.linalg.norm(quaternion, axis=-1) < 1e-6] = [1.0, 0.0, 0.0, 0.0]
    return quaternion


def _solid(shape: str, size: Array) -> tuple[float, Array]:
    """Volume, m^3, and moments of inertia per mass about the body's axes, m^2, of a solid of half extents
    `size`."""
    a, b, c = (float(v) for v in size)
    if shape == "ball":
        return 4 / 3 * np.pi * a**3, np.full(3, 0.4 * a * a)
    if shape == "box":
        return 8 * a * b * c, np.array([b * b + c * c, a * a + c * c, a * a + b * b]) / 3
    across = a * a / 4 + c * c / 3
    return 2 * np.pi * a * a * c, np.array([across, across, a * a / 2])


def _energy_gains(recording: Recording) -> list[Sample]:
    """By how much energy rises again above its lowest yet, as a share of the range it has in the recording:
    nothing in the tray makes any. Per stretch, of all objects together while the finger is away, and of each
    while nothing at all is near it."""
    if not recording.slots:
        return []
    gap, position = recording.gaps, STATE.get(recording.state, "position")
    moved = np.linalg.norm(np.diff(position, axis=0), axis=-1)
    fast = maximum_filter1d(np.concatenate([moved, moved[-1:]]), 3, axis=0)  # they may meet between frames
    energies = [_energy_j(recording, slot) for slot in recording.slots]
    lonely = [("all objects together", gap[:, -1, recording.slots].min(-1), *_summed(energies))]
    if len(recording.slots) > 1:
        lonely += [
            (recording.name(slot), (gap[:, slot] - fast[:, [slot]] - fast).min(-1), *energy)
            for slot, energy in zip(recording.slots, energies, strict=True)
        ]
    return [
        s for who, distance, energy, least in lonely for s in _gains(recording, who, distance, energy, least)
    ]


def _summed(energies: list[tuple[Array, float]]) -> tuple[Array, float]:
    return np.sum([energy for energy, _ in energies], axis=0), sum(least for _, least in energies)


def _gains(recording: Recording, who: str, distance: Array, energy: Array, least: float) -> list[Sample]:
    """The gain of each stretch in which nothing comes nearer than HAND_M. distance: `[frames]`. energy:
    `[frames - 1]`."""
    energy = grey_closing(energy, size=DIP_FRAMES, mode="nearest")
    scale = max(float(np.ptp(energy)), least)
    near = distance < HAND_M
    worked = maximum_filter1d((near[1:] | near[:-1]).astype(int), DIP_FRAMES) > 0
    samples = []
    for run in stretches(~worked):
        gain = energy[run] - np.minimum.accumulate(energy[run])
        when = (run.start + int(gain.argmax()) + 1.5) * recording.frame_seconds
        samples.append(Sample(when, who, float(gain.max()) / scale))
    return samples


def _overlaps(recording: Recording) -> list[Sample]:
    """Per pair of objects that come near, and per object over the table, how deep one reaches into the other
    at most, as a share of the smaller one's radius.

    Not of the finger: between its round tip and an edge the directions tried by `separation` tell too much.
    """
    gap, state, samples = recording.gaps, recording.state, []
    radius = np.median(STATE.get(state, "size"), axis=0).min(-1)
    low = lowest_points(state)

    def add(subject: str, distance: Array, size: float) -> None:
        frame = int(distance.argmin())
        when = (frame + 1) * recording.frame_seconds
        samples.append(Sample(when, subject, max(0.0, -float(distance[frame])) / size))

    for number, one in enumerate(recording.slots):
        there = STATE.get(state[:, one], "present")[:, 0] > 0.5
        add(f"{recording.name(one)} and the table", np.where(there, low[:, one], np.inf), radius[one])
        for other in recording.slots[number + 1 :]:
            if gap[:, one, other].min() < HAND_M:
                pair = f"{recording.name(one)} and {recording.name(other)}"
                add(pair, gap[:, one, other], min(radius[one], radius[other]))
    return samples


FREE_FALL = Measure(
    "P7", "physics", "free fall", 0.10,
    "{subject} flies with an acceleration that is {value:.0%} of gravity off", _fall_errors,
)  # fmt: skip
ENERGY = Measure(
    "P3", "physics", "energy gained", 0.15,
    "{subject}: energy comes from nothing, {value:.0%} of all there was", _energy_gains,
)  # fmt: skip
OVERLAP = Measure(
    "P5", "physics", "interpenetration", 0.30,
    "{subject} reach into one another by {value:.0%} of the smaller radius", _overlaps,
)  # fmt: skip
