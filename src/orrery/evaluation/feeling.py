"""Whether what the finger touches is felt, and nothing else (T1, T2)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import minimum_filter1d

from orrery.evaluation.measure import Measure, Sample
from orrery.evaluation.physics import stretches
from orrery.evaluation.recording import Recording
from orrery.streams import Array

__all__ = ["ACROSS", "FELT_N", "felt_n"]

FELT_N = 0.05
NOISE_FRAMES = 2


def felt_n(touch: Array) -> Array:
    """How strong the force on the finger is, from whatever side, `[frames]` N, of `touch [frames, rows,
    columns, 3]`: a push is felt across the pad's normal."""
    return np.linalg.norm(touch.reshape(len(touch), -1, 3).sum(1), axis=-1)


def _across(recording: Recording) -> list[Sample]:
    """Per stretch of touch, the widest gap between the finger and the nearest object while it is felt, m; a
    frame or two early or late do not count."""
    force = felt_n(recording.touch)
    gap = recording.gaps[:, -1, recording.slots].min(-1) if recording.slots else np.full(len(force), np.inf)
    near = minimum_filter1d(gap, 2 * NOISE_FRAMES + 1)
    samples = []
    for run in stretches(force > FELT_N):
        worst = run.start + int(near[run].argmax())
        when = (worst + 1) * recording.frame_seconds
        samples.append(Sample(when, "the finger", float(near[worst])))
    return samples


ACROSS = Measure(
    "T2", "touch", "touch across a gap", 0.015,
    "{subject} feels something over a gap of {value:.3f} m", _across,
)  # fmt: skip
