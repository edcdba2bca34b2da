"""PhyWorld's motion in closed form: uniform, under gravity, and one elastic collision of two discs.

Units as in `phyworld_scenes`. Discs have density 1, so that a mass is pi r^2. Nothing is integrated: a
stretch without a contact is a parabola, and the instant of a contact on one horizontal line is solved for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from orrery.streams import Array, Event
from orrery.worlds.phyworld.scenes import SIDE

__all__ = ["GRAVITY", "Balls", "advance", "masses"]

GRAVITY = {"uniform": 0.0, "collision": 0.0, "parabola": -2.5}
"""Acceleration along y, units per second squared, by kind."""


@dataclass
class Balls:
    """What moves. radii `[n]`; positions, velocities `[n, 2]`; seconds since the first frame."""

    gravity: float
    radii: Array
    positions: Array
    velocities: Array
    seconds: float = 0.0
    gone: set[int] = field(default_factory=set)


def masses(radii: Array) -> Array:
    """Mass of discs of density 1, `[n]`."""
    return np.pi * np.asarray(radii) ** 2


def advance(balls: Balls, seconds: float) -> list[Event]:
    """Move `balls` on by `seconds`; returns what happened: `impact` of two balls, `exit` from the picture."""
    until = _seconds_to_contact(balls)
    if until is None or until > seconds:
        return _fly(balls, seconds)
    events = _fly(balls, until)
    events.append(_collide(balls))
    return events + _fly(balls, seconds - until)


def _seconds_to_contact(balls: Balls) -> float | None:
    """When the two balls, on one horizontal line, touch; None if they do not approach."""
    if len(balls.radii) < 2:
        return None
    closing = balls.velocities[0, 0] - balls.velocities[1, 0]
    gap = balls.positions[1, 0] - balls.positions[0, 0] - balls.radii.sum()
    return max(0.0, float(gap / closing)) if closing > 0 else None


def _collide(balls: Balls) -> Event:
    """Elastic: the relative velocity turns around, momentum stays."""
    mass = masses(balls.radii)
    closing = balls.velocities[0, 0] - balls.velocities[1, 0]
    impulse = 2.0 * mass[0] * mass[1] / mass.sum() * closing
    balls.velocities[:, 0] += np.array([-impulse, impulse]) / mass
    x, y = balls.positions[0] + [balls.radii[0], 0.0]
    place = (float(x), 0.0, float(y))
    return Event(balls.seconds, "impact", "object0", "object1", float(impulse), place, ("plastic", "plastic"))


def _fly(balls: Balls, seconds: float) -> list[Event]:
    """Free flight; an `exit` for each ball that leaves the picture wholly and for the first time."""
    acceleration = np.array([0.0, balls.gravity])
    events: list[Event] = []
    for index in set(range(len(balls.radii))) - balls.gone:
        left = _seconds_to_exit(
            balls.positions[index], balls.velocities[index], balls.gravity, balls.radii[index], seconds
        )
        if left is not None:
            balls.gone.add(index)
            x, y = balls.positions[index] + left * balls.velocities[index] + left**2 / 2 * acceleration
            place = (float(x), 0.0, float(y))
            events.append(Event(balls.seconds + left, "exit", f"object{index}", "picture", 0.0, place))
    balls.positions += seconds * balls.velocities + seconds**2 / 2 * acceleration
    balls.velocities += seconds * acceleration
    balls.seconds += seconds
    return sorted(events, key=lambda event: event.seconds)


def _seconds_to_exit(
    position: Array, velocity: Array, gravity: float, radius: float, seconds: float
) -> float | None:
    """The first instant in (0, seconds] at which the ball has wholly passed an edge of the picture."""
    instants = []
    for axis, acceleration in ((0, 0.0), (1, gravity)):
        for edge in (-radius, SIDE + radius):
            roots = np.roots([acceleration / 2, velocity[axis], position[axis] - edge])
            instants += [float(root.real) for root in roots if abs(root.imag) < 1e-12]
    within = [instant for instant in instants if 0.0 < instant <= seconds]
    return min(within) if within else None
