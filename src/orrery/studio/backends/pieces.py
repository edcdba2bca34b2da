"""Films longer than a model makes at once: pieces that overlap, each of which goes on from the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from orrery.streams import Array
from orrery.studio.backends.backend import Backend
from orrery.studio.backends.request import Film, Request

__all__ = ["film_in_pieces"]


def film_in_pieces(backend: Backend, request: Request, make: Callable[[Request], Film]) -> Film:
    """The film of a request of any length that `limits.num_frames` gives. make: makes what the model can at
    once.

    Piece k has the seed `request.seed + k`. Where the backend goes on from known frames, a piece is given the
    overlap as the one before ended, and the film keeps it as it was; otherwise the two are mixed there, from
    the one to the other.
    """
    frames: Array | None = None
    for k, piece in enumerate(backend.limits.pieces(request.num_frames)):
        part = slice(piece.first, piece.first + piece.num_frames)
        guides = tuple(replace(guide, frames=guide.frames[part]) for guide in request.guides)
        known = None if frames is None else frames[piece.first :]
        asked = replace(
            request, num_frames=piece.num_frames, guides=guides, seed=request.seed + k,
            known=known if backend.goes_on else None,
        )  # fmt: skip
        made = make(asked).frames
        if known is None or frames is None:
            frames = made
            continue
        meeting = known if backend.goes_on else _mixed(known, made[: len(known)])
        frames = np.concatenate([frames[: piece.first], meeting, made[len(known) :]])
    assert frames is not None
    return Film(frames, request.frames_per_second)


def _mixed(before: Array, after: Array) -> Array:
    """From the one to the other, frame by frame, `[n, H, W, 3]` uint8."""
    share = ((np.arange(len(before)) + 1) / (len(before) + 1))[:, None, None, None]
    return np.rint((1 - share) * before + share * after).astype(np.uint8)
