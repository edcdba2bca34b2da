"""What is asked of a large video model, whichever it is, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass

from orrery.streams import Array

__all__ = ["Film", "Guide", "Request"]


@dataclass(frozen=True)
class Guide:
    """A control film. kind: a filmed control such as `depth`. frames: `[n, H, W, 3]` uint8. strength: how
    closely it is followed, 1 as the model was trained."""

    kind: str
    frames: Array
    strength: float = 1.0


@dataclass(frozen=True)
class Request:
    """A film to be made. size: width and height, pixels. guides: each as long as the film and of its size.
    known: `[k, H, W, 3]` uint8, its first frames, which it goes on from; none for a beginning. steps,
    guidance: the model's own where None."""

    prompt: str
    num_frames: int
    size: tuple[int, int]
    frames_per_second: int
    guides: tuple[Guide, ...] = ()
    negative: str = ""
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    known: Array | None = None


@dataclass(frozen=True)
class Film:
    """What was made: `[n, H, W, 3]` uint8."""

    frames: Array
    frames_per_second: int
