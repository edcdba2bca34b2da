"""The sound of films as they are made: its rate, and a WAV of it."""

from __future__ import annotations

import io
from pathlib import Path

from scipy.io import wavfile

from orrery.atomic import write_atomically
from orrery.streams import Array

__all__ = ["SAMPLE_RATE", "write_wav"]

SAMPLE_RATE = 48_000


def write_wav(path: Path, samples: Array) -> None:
    """Write samples `[N, 2]` float32 as they are, at SAMPLE_RATE. UserError where the disk refuses."""
    buffer = io.BytesIO()
    wavfile.write(buffer, SAMPLE_RATE, samples)
    write_atomically(path, buffer.getvalue())
