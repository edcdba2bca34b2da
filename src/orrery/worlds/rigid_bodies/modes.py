"""A struck body as a bank of damped resonators: which modes it has, and how they ring on without a seam.

Modal synthesis: a body hit by a unit impulse answers with
`s(t) = sum_i a_i cos(2 pi f_i t) 10^(-3 t / RT60_i)` (van den Doel and Pai, "The sounds of physical shapes",
1998). Each mode is one exact two-pole recursion whose state is kept between calls, so that a signal rendered
in pieces equals the signal rendered at once. Frequencies and decays are modelled from the material's usual
magnitudes (Traer, Cusimano and McDermott, "A perceptually inspired generative model of rigid-body contact
sounds", DAFx 2019), not computed from a mesh.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.signal import lfilter

from orrery.streams import Array
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS

__all__ = ["ModalBank", "half_sine_pulse"]

SPEED_OF_SOUND_M_S = 343.0
NUM_MODES = 10
# Lowest mode and spread of the ratios by shape, against a ball of the same material and half extent.
SHAPE_BASE = {
    "ball": 1.0, "box": 0.84, "cylinder": 0.92, "finger": 1.0, "table": 1.0, "capsule": 0.95, "plate": 0.62,
    "bar": 0.55,
}  # fmt: skip
SHAPE_STRETCH = {"ball": 1.0, "box": 0.88, "cylinder": 1.1, "finger": 1.0, "table": 0.8, "capsule": 1.05}
# A table rings as a plate whose thickness, not its width, sets the pitch; this is its effective length.
LONGEST_LENGTH_M = 0.3
BODY_JITTER, MODE_JITTER, DECAY_JITTER = 0.07, 0.025, 0.1
RADIATION_ORDER = 1.5  # between a monopole (1) and a dipole (2)
SILENT = 1e-7


class ModalBank:
    """The modes of one body, and their ringing.

    material: key of ALL_MATERIALS. shape: key of SHAPE_BASE. half_extent_m: half of the
    characteristic length that sets the pitch. rng: draws the individual deviations (at most 10 %).

    frequencies_hz, rt60_seconds, amplitudes: `[num_modes]`, lowest first. The amplitudes hold the radiation
    efficiency `(ka / sqrt(1 + (ka)^2))^1.5` of a sphere of that size: small bodies are poor at low notes.
    """

    def __init__(
        self,
        material: str,
        shape: str,
        half_extent_m: float,
        samples_per_second: int,
        rng: np.random.Generator,
    ) -> None:
        table = ALL_MATERIALS[material]
        length_m = min(2.0 * half_extent_m, LONGEST_LENGTH_M)
        ratios = _ratios(table.mode_ratios, shape)
        lowest = table.base_hertz * 0.1 / length_m * SHAPE_BASE[shape]
        lowest *= 1.0 + rng.uniform(-BODY_JITTER, BODY_JITTER)
        frequencies = lowest * ratios * (1.0 + rng.uniform(-MODE_JITTER, MODE_JITTER, len(ratios)))
        decays = table.rt60_seconds * ratios**-table.rt60_slope
        decays = decays * (1.0 + rng.uniform(-DECAY_JITTER, DECAY_JITTER, len(ratios)))
        weights = ratios**-0.3 * rng.uniform(0.7, 1.0, len(ratios))
        keep = frequencies < 0.45 * samples_per_second
        wave_number = 2.0 * math.pi * frequencies * half_extent_m / SPEED_OF_SOUND_M_S
        amplitudes = (
            weights / weights.sum() * (wave_number / np.sqrt(1.0 + wave_number**2)) ** RADIATION_ORDER
        )
        self.frequencies_hz: Array = frequencies[keep]
        self.rt60_seconds: Array = decays[keep]
        self.amplitudes: Array = amplitudes[keep]
        radius = 10.0 ** (-3.0 / (self.rt60_seconds * samples_per_second))
        angle = 2.0 * np.pi * self.frequencies_hz / samples_per_second
        self._numerators = np.stack([self.amplitudes, -self.amplitudes * radius * np.cos(angle)], axis=1)
        self._denominators = np.stack(
            [np.ones_like(radius), -2.0 * radius * np.cos(angle), radius**2], axis=1
        )
        # Energy of the answer to a unit impulse, the modes taken as orthogonal.
        self.noise_gain = float(np.sqrt(np.sum(self.amplitudes**2 / (2.0 * (1.0 - radius**2)))))
        self.state: Array = np.zeros((len(radius), 2))

    @property
    def is_silent(self) -> bool:
        """Whether nothing rings any more."""
        return not self.state.any()

    def render(self, excitation: Array) -> Array:
        """The body's sound `[n]` for the excitation `[n]`; ringing is carried to the next call."""
        out = np.zeros(len(excitation))
        for mode in range(len(self.state)):
            part, self.state[mode] = lfilter(
                self._numerators[mode], self._denominators[mode], excitation, zi=self.state[mode]
            )
            out += part
        if np.abs(self.state).max() < SILENT:
            self.state[:] = 0.0
        return out


def half_sine_pulse(seconds: float, samples_per_second: int, power: float = 1.0) -> Array:
    """A half-sine `[n]` of the given length whose samples sum to 1.

    power: 1 for a spring; 1.5 for round bodies, whose force grows as the 3/2 power of their approach (Hertz).
    """
    num_samples = max(1.0, seconds * samples_per_second)
    instants = np.arange(math.ceil(num_samples)) + 0.5
    pulse = np.maximum(np.sin(np.pi * instants / num_samples), 0.0)
    if power != 1.0:
        pulse = pulse**power
    return pulse / pulse.sum()


def _ratios(material_ratios: tuple[float, ...], shape: str) -> Array:
    """`[NUM_MODES]` ratios to the lowest mode; beyond the material's own they go on in its mean step.

    Bars and plates have those of their geometry instead, whatever they are made of.
    """
    if shape in ("bar", "plate"):
        return _bar_ratios() if shape == "bar" else _plate_ratios()
    ratios = list(material_ratios)
    step = (ratios[-1] - ratios[0]) / (len(ratios) - 1)
    while len(ratios) < NUM_MODES:
        ratios.append(ratios[-1] + step)
    return np.array(ratios[:NUM_MODES]) ** SHAPE_STRETCH[shape]


def _bar_ratios() -> Array:
    """Bending of a bar with free ends (Euler and Bernoulli): (k_n / k_1)^2, k_n = 4.730, then (n + 1/2)
    pi.
    """
    waves = (np.arange(1, NUM_MODES + 1) + 0.5) * np.pi
    waves[0] = 4.730
    return (waves / waves[0]) ** 2


def _plate_ratios(aspect: float = 1.5) -> Array:
    """Bending of a thin rectangular plate on supported edges: m^2 + (n aspect)^2, the lowest ten."""
    m, n = np.mgrid[1:8, 1:8]
    waves = np.sort((m**2 + (n * aspect) ** 2).ravel())[:NUM_MODES]
    return waves / waves[0]
