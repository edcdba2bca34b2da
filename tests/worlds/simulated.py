"""What frames of physics come to, for the tests that hold them against closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orrery.streams import Array
from orrery.worlds.rigid_bodies.physics import SUBSTEPS_PER_FRAME, Contacts, Motion

STEP_SECONDS = 1.0 / (24 * SUBSTEPS_PER_FRAME)


@dataclass
class Run:
    """Every substep of a scene: position, velocity, spin `[n, K + 1, 3]`, quaternion `[n, K + 1, 4]`.

    mass `[K]`; contact_force: of all contacts, summed a substep, `[n]`; touch_n `[3]`: what the pad felt
    in the last frame.
    """

    position: Array
    quaternion: Array
    velocity: Array
    spin: Array
    mass: Array
    contact_force: Array
    touch_n: Array

    @classmethod
    def joined(cls, frames: Sequence[tuple[Motion, Contacts, Array]], mass: Array) -> Run:
        """The run that frames (see `simulate_frame`) make up."""
        motions = [motion for motion, _, _ in frames]
        force = np.zeros((len(frames), SUBSTEPS_PER_FRAME))
        for frame, (_, contacts, _) in enumerate(frames):
            np.add.at(force[frame], contacts.substep, contacts.normal_force_n)
        return cls(
            np.concatenate([m.position_m for m in motions]),
            np.concatenate([m.quaternion for m in motions]),
            np.concatenate([m.linear_velocity_m_s for m in motions]),
            np.concatenate([m.angular_velocity_rad_s for m in motions]),
            mass.copy(),
            force.ravel(),
            frames[-1][2].sum(axis=(0, 1)),
        )

    @property
    def seconds(self) -> Array:
        return STEP_SECONDS * np.arange(1, len(self.position) + 1)
