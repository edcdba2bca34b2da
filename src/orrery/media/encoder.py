"""Pictures and sound into an open MP4 container, in step to the sample, whatever it is written to."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import Colorspace

from orrery.streams import Array

__all__ = ["AAC_BITS_PER_SECOND", "FilmEncoder", "sound_frame"]

AAC_BITS_PER_SECOND = 160_000
BT709 = 1
"""Code of BT.709 in H.264 for primaries, transfer and matrix alike."""
RGB = 0
"""Code of no matrix at all."""


LOSSLESS = {"qp": "0"}
"""Of x264, with which what is read is what was written, as long as the colours stay red, green and blue."""


class FilmEncoder:
    """Writes H.264 in BT.709 and AAC stereo into `container`.

    samples_per_second: one of AAC's rates, or None for a silent film. size: (height, width) of the frames;
    that of the film is even, as H.264 asks: an odd side is one longer, by its last line once more.
    options: of x264. tags: what the file says of itself, such as `title` and `comment`. lossless: every byte
    of the frames is kept, as red, green and blue; few browsers play such films.
    """

    def __init__(
        self,
        container: OutputContainer,
        frames_per_second: int,
        samples_per_second: int | None,
        size: tuple[int, int],
        options: Mapping[str, str],
        tags: Mapping[str, str] | None = None,
        lossless: bool = False,
    ) -> None:
        self._container, self.size = container, (size[0] + size[0] % 2, size[1] + size[1] % 2)
        self.frames_per_second, self.samples_per_second = frames_per_second, samples_per_second
        self.num_frames = self._num_samples = 0
        container.metadata.update(tags or {})
        codec = "libx264rgb" if lossless else "libx264"
        self._lossless, options = lossless, {**options, **(LOSSLESS if lossless else {})}
        self._video = container.add_stream(codec, rate=frames_per_second, options=options)
        self._video.height, self._video.width = self.size
        self._video.pix_fmt = "rgb24" if lossless else "yuv420p"
        context = self._video.codec_context
        context.color_primaries = context.color_trc = BT709
        context.colorspace = RGB if lossless else BT709
        self._audio = None
        if samples_per_second is not None:
            self._audio = container.add_stream("aac", rate=samples_per_second, layout="stereo")
            self._audio.bit_rate = AAC_BITS_PER_SECOND
        container.start_encoding()  # makes the file, so that a disk that refuses does so now

    def write(self, frames: Array, audio: Array | None = None) -> None:
        """Append frames `[T, H, W, 3]` uint8 sRGB and audio `[N, 2]` float32 (clipped to [-1, 1]).

        Raises ValueError for an array of the wrong form.
        """
        height, width = self.size
        if frames.ndim == 4:
            frames = _even_sides(frames)
        if frames.ndim != 4 or frames.shape[1:] != (height, width, 3) or frames.dtype != np.uint8:
            raise ValueError(
                f"frames: expected [T, {height}, {width}, 3] uint8, got {frames.shape} {frames.dtype}"
            )
        if (audio is None) != (self._audio is None):
            raise ValueError("audio: given to a silent film, or missing from one with sound")
        if audio is not None and (audio.ndim != 2 or audio.shape[1] != 2 or not np.isfinite(audio).all()):
            raise ValueError(f"audio: expected finite [N, 2], got {audio.shape}")
        for frame in frames:
            self._write_frame(frame)
        if audio is not None and len(audio):
            self._write_audio(audio)

    def finish(self) -> None:
        """Write what is still on its way, and close the container."""
        self._container.mux(self._video.encode(None))
        if self._audio is not None:
            self._container.mux(self._audio.encode(None))
        self._container.close()

    def _write_frame(self, pixels: Array) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        if not self._lossless:
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        frame.pts, frame.time_base = self.num_frames, Fraction(1, self.frames_per_second)
        self.num_frames += 1
        self._container.mux(self._video.encode(frame))

    def _write_audio(self, samples: Array) -> None:
        assert self._audio is not None
        assert self.samples_per_second is not None
        frame = sound_frame(samples, self.samples_per_second, self._num_samples)
        self._num_samples += len(samples)
        self._container.mux(self._audio.encode(frame))


def _even_sides(frames: Array) -> Array:
    """`[T, H, W, 3]` with an odd height or width made even by repeating the last line."""
    odd = [(0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)]
    return np.pad(frames, odd, mode="edge") if any(pad for _, pad in odd) else frames


def sound_frame(samples: Array, samples_per_second: int, start: int) -> av.AudioFrame:
    """Stereo `[N, 2]`, clipped to [-1, 1], for an encoder; `start` is the number of its first sample."""
    planes = np.ascontiguousarray(np.clip(samples, -1, 1).T, np.float32)
    frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
    frame.sample_rate, frame.time_base = samples_per_second, Fraction(1, samples_per_second)
    frame.pts = start
    return frame
