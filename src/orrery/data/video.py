"""H.264 in and out: one film an episode, many episodes joined in one file without encoding them again.

Every episode starts with a key frame and has no B-frames, so that joining is a shift of time stamps and any
frame is reached by decoding from the key frame before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np

from orrery.errors import UserError
from orrery.streams import Array

__all__ = ["decode", "encode", "join"]

_OPTIONS = {"crf": "14", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}
"""With x264's macroblock tree, one small film in a thousand came out in other bytes, even on one thread."""
_KEY_FRAME_EVERY = 12
_TIME_BASE_PER_FRAME = 512


def encode(path: Path, frames: Array, frames_per_second: int) -> None:
    """Write `[num_frames, H, W, 3]` uint8 sRGB as H.264 (CRF 14); same frames, same bytes.

    Colours have half the pixels (4:2:0), as browsers ask, and all of them (4:4:4) where a side is odd.
    """
    height, width = frames.shape[1:3]
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=frames_per_second, options=_OPTIONS)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        stream.gop_size, stream.max_b_frames = _KEY_FRAME_EVERY, 0
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        container.mux(stream.encode())


def join(path: Path, parts: Sequence[Path], frames_per_second: int) -> None:
    """Put the films `parts` (of the same size and rate) one after the other, packet by packet."""
    time_base = Fraction(1, frames_per_second * _TIME_BASE_PER_FRAME)
    num_frames = 0
    with av.open(str(path), "w", format="mp4") as out:
        stream = None
        for part in parts:
            with av.open(str(part), metadata_errors="ignore") as source:
                video = source.streams.video[0]
                if stream is None:
                    stream = out.add_stream_from_template(video)
                    stream.time_base = time_base
                for packet in source.demux(video):
                    if packet.dts is None:
                        continue
                    packet.stream = stream
                    packet.pts = packet.dts = num_frames * _TIME_BASE_PER_FRAME
                    packet.duration = _TIME_BASE_PER_FRAME
                    packet.time_base = time_base
                    out.mux(packet)
                    num_frames += 1


def decode(path: Path, start_frame: int, num_frames: int, frames_per_second: int) -> Array:
    """Frames `start_frame` to `start_frame + num_frames` of a film, `[num_frames, H, W, 3]` uint8 sRGB.

    UserError that names the file if it cannot be read or is too short.
    """
    pictures: list[Array] = []
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            assert stream.time_base is not None
            per_frame = 1 / (frames_per_second * stream.time_base)
            container.seek(int(start_frame * per_frame), stream=stream)
            for frame in container.decode(stream):
                if frame.pts is not None and round(frame.pts / per_frame) >= start_frame:
                    pictures.append(frame.to_ndarray(format="rgb24"))
                if len(pictures) == num_frames:
                    break
    except (av.error.FFmpegError, IndexError) as problem:
        raise UserError(f"{path} cannot be decoded ({problem}); collect or download it again") from problem
    if len(pictures) < num_frames:
        raise UserError(f"{path} ends at frame {start_frame + len(pictures)}; collect or download it again")
    return np.stack(pictures)
