"""A film written: one tick at a time, in step to the sample, complete or absent.

A film is an MP4 (H.264 in BT.709, AAC stereo) with a sidecar JSON of the same stem. The AAC encoder starts
1,024 samples early; the container's edit list says so and decoders drop them, so sample 0 of what is read
back is sample 0 of what was written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av

from orrery.atomic import check_destination, disk_failure, temporary_name, write_atomically
from orrery.errors import BadUse
from orrery.media.encoder import FilmEncoder
from orrery.streams import Array

__all__ = ["AAC_SAMPLE_RATES", "FilmWriter", "sidecar_path", "write_sidecar"]

AAC_SAMPLE_RATES = (
    8_000,
    11_025,
    12_000,
    16_000,
    22_050,
    24_000,
    32_000,
    44_100,
    48_000,
    64_000,
    88_200,
    96_000,
)
X264_OPTIONS = {"preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}
"""Fast, and with one thread the same bytes every time."""


class FilmWriter:
    """Writes a film tick by tick in bounded memory; under its final name it is complete or absent.

    path: ends in `.mp4`; its folder exists. size: (height, width) of the frames; see `FilmEncoder`.
    samples_per_second: one of AAC's rates, or None for a silent film.
    force: replace an existing file. crf: quality of the pictures, near transparent unless said otherwise.
    tags: what the file says of itself, such as `title` and `comment`. lossless: see `FilmEncoder`; `crf` is
    then of no matter.

    The same frames and samples give the same bytes. Raises BadUse for bad numbers and UserError for a path
    that cannot be written, both before any work.
    """

    def __init__(
        self,
        path: str | Path,
        frames_per_second: int,
        samples_per_second: int | None,
        size: tuple[int, int],
        force: bool = False,
        crf: int = 16,
        tags: Mapping[str, str] | None = None,
        lossless: bool = False,
    ) -> None:
        self.path = Path(path)
        self._tags, self._lossless = dict(tags or {}), lossless
        self._options = X264_OPTIONS | ({} if lossless else {"crf": str(crf)})
        self.frames_per_second = frames_per_second
        self.samples_per_second = samples_per_second
        self.size = size
        if self.path.suffix.lower() != ".mp4":
            raise BadUse(f"{self.path}: a film is an MP4; end its name in .mp4")
        if min(size) <= 0:
            raise BadUse(f"a film of {size[1]}x{size[0]} pixels: width and height must be above 0")
        if frames_per_second <= 0:
            raise BadUse(f"{frames_per_second} frames a second: must be above 0")
        if samples_per_second is not None and samples_per_second not in AAC_SAMPLE_RATES:
            known = ", ".join(map(str, AAC_SAMPLE_RATES))
            raise BadUse(f"{samples_per_second} samples a second: AAC has only {known}")
        check_destination(self.path, force)
        self._temporary = temporary_name(self.path)

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            self._discard()
            raise disk_failure(self.path, error) from error
        except BaseException:
            self._discard()
            raise
        return self

    def _open(self) -> None:
        self._container = av.open(
            str(self._temporary), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}
        )
        self._encoder = FilmEncoder(
            self._container,
            self.frames_per_second,
            self.samples_per_second,
            self.size,
            self._options,
            self._tags,
            self._lossless,
        )

    def write(self, frames: Array, audio: Array | None = None) -> None:
        """Append one tick: frames `[T, H, W, 3]` uint8 sRGB, audio `[N, 2]` float32 (clipped to [-1, 1]).

        Over a whole film N sums to its duration times the sample rate. Raises ValueError for an array of the
        wrong form, UserError where the disk refuses.
        """
        try:
            self._encoder.write(frames, audio)
        except OSError as error:
            raise disk_failure(self.path, error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            raise disk_failure(self.path, failure) from failure
        finally:
            self._discard()

    def _finish(self) -> None:
        if not self._encoder.num_frames:
            raise ValueError(f"{self.path}: a film of no frames")
        self._encoder.finish()
        self._temporary.replace(self.path)

    def _discard(self) -> None:
        """Close and remove the temporary file, if it is still there."""
        container = getattr(self, "_container", None)
        if container is not None and self._temporary.exists():
            # A container that failed once fails again as it closes; the first failure is the one to tell.
            with suppress(OSError, ValueError):
                container.close()
        self._temporary.unlink(missing_ok=True)


def sidecar_path(path: str | Path) -> Path:
    """Where the settings of a film are: `film.json` beside `film.mp4`."""
    return Path(path).with_suffix(".json")


def write_sidecar(path: str | Path, values: Mapping[str, Any]) -> Path:
    """Write what made the film `path` (plain JSON values) beside it, in one step; returns where."""
    sidecar = sidecar_path(path)
    text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_atomically(sidecar, f"{text}\n".encode())
    return sidecar
