"""An array written frame by frame into a `.npy` file: as much memory as one frame takes, and a full disk is
an error and not a crash."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from orrery.streams import Array

__all__ = ["FrameArray"]


class FrameArray:
    """Writes `path`, `[num_frames, *shape]` of dtype. ValueError for a frame of another form, or another
    number of them."""

    def __init__(self, path: Path, num_frames: int, shape: tuple[int, ...], dtype: str) -> None:
        self.path, self._left = path, num_frames
        self._shape, self._dtype = shape, np.dtype(dtype).newbyteorder("<")
        self._file = path.open("wb")
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (num_frames, *shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)

    def __enter__(self) -> Self:
        return self

    def add(self, frame: Array) -> None:
        """Append a frame."""
        if frame.shape != self._shape or not self._left:
            raise ValueError(
                f"{self.path.name}: expected {self._left} frames of {self._shape}, got {frame.shape}"
            )
        self._left -= 1
        self._file.write(np.ascontiguousarray(frame, self._dtype).tobytes())

    def read(self) -> Array:
        """What was written, from the disk as it is asked for."""
        self._file.flush()
        return np.load(self.path, mmap_mode="r")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None and self._left:
            raise ValueError(f"{self.path.name}: {self._left} frames are missing")
