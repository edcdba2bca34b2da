"""What each large video model takes: sizes, rates, lengths and kinds of control, as data.

The numbers are those that a model was trained with or that its own code checks; `source` says where each is
from. A film that breaks one of them is refused, or what is changed to fit is told; see `Limits`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from orrery.errors import BadUse, nearest

__all__ = ["MODELS", "Limits", "Piece", "limits_of"]


@dataclass(frozen=True)
class Piece:
    """A part of a film that a model makes at once. first: its first frame. num_frames: a length that the
    model takes."""

    first: int
    num_frames: int


@dataclass(frozen=True)
class Limits:
    """What a model takes. frame_step: lengths are k * frame_step + 1 frames. most_frames: made at once.
    side_step: what both sides are multiples of, pixels. most_pixels: of a frame. rates: frames a second, the
    first where nothing else is asked. controls: kinds that it is guided by. source: where this is from."""

    name: str
    frame_step: int
    most_frames: int
    side_step: int
    most_pixels: int
    rates: tuple[int, ...]
    controls: frozenset[str]
    source: str

    @property
    def overlap(self) -> int:
        """Frames that a piece of a long film has in common with the one before."""
        return 2 * self.frame_step + 1

    def rate(self, frames_per_second: int) -> int:
        """The film's own rate where the model has it, otherwise the model's first."""
        return frames_per_second if frames_per_second in self.rates else self.rates[0]

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height nearest to `size` that the model takes, pixels. BadUse, with a size that would do,
        for one that is too large for it."""
        fitted = self._rounded(size)
        if fitted[0] * fitted[1] > self.most_pixels:
            share = math.sqrt(self.most_pixels / (size[0] * size[1]))
            width, height = self._rounded((share * size[0], share * size[1]), math.floor)
            raise BadUse(
                f"{size[0]}x{size[1]}: {self.name} makes up to {self.most_pixels:,} pixels; --size "
                f"{width}x{height} would do"
            )
        return fitted

    def _rounded(self, size: tuple[float, float], how=round) -> tuple[int, int]:
        step = self.side_step
        return max(how(size[0] / step), 1) * step, max(how(size[1] / step), 1) * step

    def num_frames(self, count: int) -> int:
        """The shortest length of a film that the model takes, in one piece or in several, with `count` frames
        in it."""
        last = self.pieces(count)[-1]
        return last.first + last.num_frames

    def pieces(self, count: int) -> tuple[Piece, ...]:
        """`count` frames as pieces that the model makes, each with `overlap` frames of the one before."""
        most = (self.most_frames - 1) // self.frame_step * self.frame_step + 1
        pieces = [Piece(0, most)]
        while pieces[-1].first + most < count:
            pieces.append(Piece(pieces[-1].first + most - self.overlap, most))
        first = pieces[-1].first
        steps = math.ceil((count - first - 1) / self.frame_step)
        return (*pieces[:-1], Piece(first, max(steps, 1) * self.frame_step + 1))


def limits_of(name: str) -> Limits:
    """The limits of the model of this name; BadUse with the nearest if none is."""
    if name not in MODELS:
        hint = nearest(name, MODELS) or list(MODELS)
        raise BadUse(f"no model is called {name!r}; perhaps {' or '.join(hint)}")
    return MODELS[name]


HD = 1280 * 720
MODELS: Mapping[str, Limits] = {
    limits.name: limits
    for limits in (
        Limits(
            "wan-vace", 4, 81, 16, HD, (16,), frozenset({"depth", "edges", "flow"}),
            "github.com/ali-vilab/VACE, README (81 x 720 x 1280; 480 x 832 of the small one) and "
            "vace/annotators (depth, scribble, flow); diffusers, docs/source/en/api/pipelines/wan.md (16 "
            "fps, 4 * k + 1) and pipeline_wan_vace.py (sides by 16)",
        ),
        Limits(
            "cogvideox-fun", 4, 49, 16, 1024 * 1024, (8,), frozenset({"depth", "edges"}),
            "github.com/aigc-apps/VideoX-Fun, README (CogVideoX-Fun-V1.1-Control: 49 frames, 8 a second, up "
            "to 1024 x 1024; Canny, Depth); diffusers, docs/source/en/api/pipelines/cogvideox.md (sides by "
            "16)",
        ),
        Limits(
            "ltx-2", 8, 481, 32, 3840 * 2160, (24, 25, 50), frozenset({"depth", "edges"}),
            "docs.ltx.video/models (up to 3840x2160, 25 and 50 fps, 20 s); github.com/Lightricks/LTX-2 "
            "(frames % 8 == 1, sides by 32); diffusers, docs/source/en/api/pipelines/ltx2.md (24 fps)",
        ),
        Limits(
            "cosmos-transfer2.5", 4, 93, 16, HD, (16,), frozenset({"depth", "edges", "segmentation"}),
            "github.com/nvidia-cosmos/cosmos-transfer2.5, docs/inference.md (720p, 16 fps, chunks of 93 "
            "frames); diffusers, pipeline_cosmos2_5_transfer.py (sides by 16)",
        ),
        Limits(
            "cosmos3", 4, 297, 16, HD, (24, 10, 16, 30), frozenset({"depth", "edges", "segmentation"}),
            "docs.nvidia.com/cosmos/latest/cosmos3/model_reference.html (256p to 720p; 10, 16, 24, 30 fps; "
            "5 to 300 frames); docs.nvidia.com/nim/cosmos/latest/transfer.html (edge, depth, seg)",
        ),
    )
}  # fmt: skip
