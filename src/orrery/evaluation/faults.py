"""Injected faults: a true recording with one thing wrong, in a known strength, that a report must catch.

What goes wrong in the world is done to the states, from which pictures are then drawn anew
(`worlds.render.draw_states`); what goes wrong with the sound or the touch is done to those alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from orrery.errors import BadUse
from orrery.evaluation.contacts import audible_onsets, seen_hits, seen_stirs
from orrery.evaluation.dynamics import GRAVITY_M_S2, lowest_points, object_slots
from orrery.evaluation.recording import Recording
from orrery.streams import Array
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.state import STATE

__all__ = ["FAULTS", "inject"]

MUTED_SECONDS = 0.25
"""How long the sound of one hit is taken away, or is heard again."""
STILL_M = 0.03
"""What moves less does not show that it is frozen."""
BOUNCE_M = 0.015
FAR_M = 0.02
"""A gap that a finger cannot feel across."""


Fault = Callable[[Recording, float, np.random.Generator], Recording]


def inject(name: str, recording: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """A copy of `recording` with the fault `name` in it.

    strength: above 0, up to 1, the full fault. rng: draws where and when. Raises BadUse for an unknown
    fault, another strength, or a recording that holds nothing this could befall (a swap needs two objects).
    """
    if name not in FAULTS:
        raise BadUse(f"no fault {name!r}; there are {', '.join(FAULTS)}")
    if not 0.0 < strength <= 1.0:
        raise BadUse(f"a fault's strength is above 0 and at most 1, got {strength}")
    copy = replace(
        recording,
        state=recording.state.copy(), audio=recording.audio.copy(), touch=recording.touch.copy(),
    )  # fmt: skip
    return FAULTS[name](copy, strength, rng).knows(recording)


# Time.


def _freeze(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """Pictures stand still for up to three quarters of the film; the sound goes on."""
    span = _moving_span(film, 0.75 * strength, rng)
    film.state[span] = film.state[span.start]
    return film


def _reversal(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """A stretch of up to the whole film, pictures alone, runs backwards."""
    span = _moving_span(film, strength, rng)
    film.state[span] = film.state[span][::-1]
    return film


# Identity.


def _swap(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """Two objects change places, for up to half of the film."""
    if len(_objects(film, 2)) < 2:
        raise BadUse("a swap needs two objects")
    one, other = rng.choice(_objects(film, 2), 2, replace=False)
    span = _span(film, 0.5 * strength, rng)
    places = [STATE.slice(name) for name in ("position", "quaternion", "linear_velocity", "angular_velocity")]
    for place in places:
        film.state[span, one, place], film.state[span, other, place] = (
            film.state[span, other, place].copy(), film.state[span, one, place].copy(),
        )  # fmt: skip
    return film


def _vanishing(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """An object is not there for up to a second."""
    slot = rng.choice(_objects(film))
    length = max(1, round(strength / film.frame_seconds))
    start = int(rng.integers(max(1, len(film.state) - length)))
    film.state[start : start + length, slot] = 0.0
    return film


def _colour_drift(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """An object's colour turns steadily, up to wholly, into the most different one there is."""
    slot = rng.choice(_objects(film))
    colour = STATE.get(film.state[:, slot], "colour")
    aim = max(COLOURS.values(), key=lambda other: float(np.linalg.norm(colour[0] - other)))
    colour += strength * np.linspace(0, 1, len(colour))[:, None] * (np.array(aim) - colour)
    return film


def _growth(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """An object grows steadily, up to twice its size."""
    slot = rng.choice(_objects(film))
    factor = 1.0 + strength * np.linspace(0, 1, len(film.state))
    before = lowest_points(film.state)[:, slot]
    STATE.get(film.state[:, slot], "size")[...] *= factor[:, None]
    # It grows upwards: what stood on the table still stands on it.
    film.state[:, slot, STATE.slice("position").start + 2] += before - lowest_points(film.state)[:, slot]
    return film


# Physics.


def _teleport(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """From one frame to the next an object is up to 15 cm elsewhere, and goes on from there."""
    slot, angle = rng.choice(_objects(film)), rng.uniform(0, 2 * np.pi)
    start = int(rng.integers(len(film.state) // 4, 3 * len(film.state) // 4))
    leap = 0.15 * strength * np.array([np.cos(angle), np.sin(angle), 0.0])
    STATE.get(film.state[start:, slot], "position")[...] += leap
    return film


def _weak_gravity(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """What falls, falls more slowly, up to not at all, and lies still where it lands."""
    falling = [slot for slot in _objects(film) if lowest_points(film.state)[0, slot] > 0.03]
    if not falling:
        raise BadUse("weak gravity needs an object that starts in the air")
    slot = rng.choice(falling)
    height, speed = (STATE.get(film.state[0, slot], n)[2] for n in ("position", "linear_velocity"))
    seconds = np.arange(len(film.state)) * film.frame_seconds
    weight = 1.0 - strength
    speed = weight * speed if speed < 0 else speed  # it has already fallen for a frame
    path = height + speed * seconds - weight * GRAVITY_M_S2 * seconds**2 / 2
    ground = height - lowest_points(film.state)[0, slot]
    film.state[:, slot, STATE.slice("position").start + 2] = np.maximum(path, ground)
    return film


def _energy_gain(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """After its first landing an object bounces too high, up to half as high again as it fell."""
    lowest = lowest_points(film.state)
    bouncing = [slot for slot in _objects(film) if _rebound_m(lowest[:, slot]) > BOUNCE_M]
    if not bouncing:
        raise BadUse("energy gain needs an object that bounces")
    slot = rng.choice(bouncing)
    landed = int(np.argmax(lowest[:, slot] < 0.01))
    most = 1.5 * float(lowest[:landed, slot].max()) / _rebound_m(lowest[:, slot])
    gain = strength * max(0.0, most - 1.0) * np.maximum(lowest[landed:, slot], 0.0)
    film.state[landed:, slot, STATE.slice("position").start + 2] += gain
    return film


def _floating(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """An object hangs up to 8 cm over where it should be."""
    slot = rng.choice(_objects(film))
    film.state[:, slot, STATE.slice("position").start + 2] += 0.08 * strength
    return film


def _interpenetration(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """An object sits in another, up to half a radius from its centre, for half of the film."""
    if len(_objects(film, 2)) < 2:
        raise BadUse("interpenetration needs two objects")
    one, other = rng.choice(_objects(film, 2), 2, replace=False)
    span = _span(film, 0.5, rng)
    places = [STATE.get(film.state[span, slot], "position") for slot in (one, other)]
    sizes = [float(STATE.get(film.state[0, slot], "size").max()) for slot in (one, other)]
    apart = places[0] - places[1]
    distance = np.maximum(np.linalg.norm(apart, axis=-1, keepdims=True), 1e-6)
    reach = sum(sizes) * (1.0 - strength) + 0.5 * min(sizes) * strength
    film.state[span, one, STATE.slice("position")] = places[1] + apart / distance * reach
    return film


# Sound and touch.


def _late_sound(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """Sound comes up to 200 ms late."""
    _hits(film)  # without one, nothing is late
    return replace(film, audio=_delayed(film, 0.2 * strength))


def _early_sound(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """Sound comes up to 200 ms early."""
    _hits(film)
    return replace(film, audio=_delayed(film, -0.2 * strength))


def _slightly_late_sound(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """Sound comes up to 60 ms late."""
    return _late_sound(film, 0.3 * strength, rng)


def _slightly_early_sound(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """Sound comes up to 60 ms early."""
    return _early_sound(film, 0.3 * strength, rng)


def _missing_sound(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """Up to all hits are silent."""
    hits = _hits(film)
    for hit in rng.choice(hits, max(1, round(strength * len(hits))), replace=False):
        film.audio[_samples(film, hit)] = 0.0
    return film


def _phantom_sound(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """Up to three times the sound of the loudest hit is heard again where nothing stirs."""
    hits = _hits(film)
    stirs = seen_stirs(film.state, film.clock.frames_per_second)
    sounds = [film.audio[_samples(film, hit)] for hit in hits]
    sound = max(sounds, key=lambda heard: float(np.square(heard).sum())).copy()
    if not len(audible_onsets(sound, np.array([0.02]), film.clock.samples_per_second)):
        raise BadUse("a phantom sound needs a hit that is heard")
    last = len(film.state) * film.frame_seconds - MUTED_SECONDS
    for _ in range(max(1, round(3 * strength))):
        free = [t for t in rng.uniform(0, last, 64) if np.abs(stirs - t).min() > MUTED_SECONDS]
        if not free:
            raise BadUse("a phantom sound needs a quarter of a second in which nothing stirs")
        span = _samples(film, free[0])
        film.audio[span] += sound[: len(film.audio[span])]
    return film


def _phantom_touch(film: Recording, strength: float, rng: np.random.Generator) -> Recording:
    """The finger feels up to 2 N for half a second while nothing is near it."""
    finger = STATE.get(film.state[:, -1], "position")
    gaps = [
        np.linalg.norm(STATE.get(film.state[:, slot], "position") - finger, axis=-1)
        - sum(STATE.get(film.state[0, part], "size").max() for part in (slot, -1))
        for slot in _objects(film)
    ]
    alone = np.flatnonzero(np.min(gaps, axis=0) > FAR_M)
    if not len(alone):
        raise BadUse("a phantom touch needs a moment at which the finger is alone")
    start = int(rng.choice(alone))
    span = slice(start, start + round(0.5 / film.frame_seconds))
    film.touch[span, ..., 2] += 2.0 * strength / film.touch[0, ..., 2].size
    return film


FAULTS: dict[str, Fault] = {
    "freeze": _freeze,
    "reversal": _reversal,
    "swap": _swap,
    "vanishing": _vanishing,
    "colour drift": _colour_drift,
    "growth": _growth,
    "teleport": _teleport,
    "weak gravity": _weak_gravity,
    "energy gain": _energy_gain,
    "floating": _floating,
    "interpenetration": _interpenetration,
    "late sound": _late_sound,
    "early sound": _early_sound,
    "slightly late sound": _slightly_late_sound,
    "slightly early sound": _slightly_early_sound,
    "missing sound": _missing_sound,
    "phantom sound": _phantom_sound,
    "phantom touch": _phantom_touch,
}
"""Name to what it does; the full strength of each is in its docstring."""


def _objects(film: Recording, at_least: int = 1) -> list[int]:
    slots = object_slots(film.state)
    if len(slots) < at_least:
        raise BadUse(f"this fault needs {at_least} objects; the recording holds {len(slots)}")
    return slots


def _span(film: Recording, share: float, rng: np.random.Generator) -> slice:
    """A random stretch of `share` of the frames, at least one."""
    length = max(1, round(share * len(film.state)))
    start = int(rng.integers(len(film.state) - length + 1))
    return slice(start, start + length)


def _moving_span(film: Recording, share: float, rng: np.random.Generator) -> slice:
    """A random stretch of `share` of the frames, at least two, in which something moves."""
    length = max(2, round(share * len(film.state)))
    for start in rng.permutation(len(film.state) - length + 1).tolist():
        if _travel_m(film.state[start : start + length]) > STILL_M:
            return slice(start, start + length)
    raise BadUse("this fault needs something that moves")


def _travel_m(state: Array) -> float:
    """How far anything comes from where it starts in `state [frames, K, D]`."""
    position = STATE.get(state, "position")
    return float(np.linalg.norm(position - position[0], axis=-1).max())


def _rebound_m(lowest: Array) -> float:
    """How high an object's lowest point, `[frames]` metres, comes again after it first touched the table."""
    landed = int(np.argmax(lowest < 0.01))
    return float(lowest[landed:].max()) if lowest[0] > 0.03 and lowest[landed] < 0.01 else 0.0


def _hits(film: Recording) -> Array:
    hits = seen_hits(film.state, film.clock.frames_per_second)
    if not len(hits):
        raise BadUse("this fault needs a hit; nothing hits anything in the recording")
    return hits


def _samples(film: Recording, seconds: float) -> slice:
    """The samples of the sound of a hit."""
    rate = film.clock.samples_per_second
    start = max(0, round((seconds - 0.02) * rate))
    return slice(start, start + round(MUTED_SECONDS * rate))


def _delayed(film: Recording, seconds: float) -> Array:
    """The sound `seconds` later (earlier, if negative), with silence where it is missing."""
    shift = round(seconds * film.clock.samples_per_second)
    moved = np.zeros_like(film.audio)
    if shift >= 0:
        moved[shift:] = film.audio[: len(film.audio) - shift]
    else:
        moved[:shift] = film.audio[-shift:]
    return moved
