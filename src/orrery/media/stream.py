"""A film sent while it is made: pieces of fragmented MP4 that play as they come, one after the other."""

from __future__ import annotations

import io
from collections.abc import Mapping

import av

from orrery.media.encoder import FilmEncoder
from orrery.streams import Array

__all__ = ["FilmStream"]

X264_OPTIONS = {"preset": "veryfast", "tune": "zerolatency", "threads": "1", "crf": "18"}
MP4_OPTIONS = {"movflags": "delay_moov+default_base_moof", "frag_duration": "1"}
"""A fragment for every frame. (`frag_every_frame` loses one where there is sound.) The header waits for the
first sound, so that its edit list can say how early that begins."""


class FilmStream:
    """The pieces of a film, which joined are one MP4. Arguments: see `FilmEncoder`.

    A piece may be empty: the sound's encoder holds back the first two thousand samples.
    """

    def __init__(
        self,
        frames_per_second: int,
        samples_per_second: int | None,
        size: tuple[int, int],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._written = _Pipe()
        container = av.open(self._written, "w", format="mp4", options=MP4_OPTIONS)
        self._encoder = FilmEncoder(
            container, frames_per_second, samples_per_second, size, X264_OPTIONS, tags
        )

    def encoded(self, frames: Array, audio: Array | None = None) -> bytes:
        """The next piece, of one tick; see `FilmEncoder.write`."""
        self._encoder.write(frames, audio)
        return self._taken()

    def rest(self) -> bytes:
        """The last piece."""
        self._encoder.finish()
        return self._taken()

    def _taken(self) -> bytes:
        piece = bytes(self._written.taken)
        self._written.taken.clear()
        return piece


class _Pipe(io.RawIOBase):
    """Where the container writes; nothing of it is read again, so memory stays flat."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.taken += bytes(content)
        return len(bytes(content))
