"""What a backend is: a function from a request to a pipeline's arguments, and what it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orrery.errors import BadUse
from orrery.studio.backends.request import Request
from orrery.studio.controls.limits import Limits

__all__ = ["Backend"]


@dataclass(frozen=True)
class Backend:
    """A large model as a backend. pipeline: its class in diffusers, none where it is served elsewhere.
    arguments: of a call of the pipeline, but for the seed, steps and guidance, which all have; or of a form
    that is sent. most_guides: at once. most_strength: up to which a guide may be followed, from 0 on; None
    where it is followed as it is. goes_on: whether it goes on from known frames; otherwise pieces of a long
    film are blended into one another. loads: other classes of pipelines whose weights it runs. needs_lora:
    whether it is guided through weights of their own. licence: what a user of the weights should know."""

    pipeline: str
    limits: Limits
    arguments: Callable[[Request], dict[str, Any]]
    most_guides: int = 1
    most_strength: float | None = None
    goes_on: bool = False
    loads: tuple[str, ...] = ()
    needs_lora: bool = False
    licence: str = ""

    @property
    def name(self) -> str:
        """That of its model."""
        return self.limits.name

    def check(self, request: Request) -> None:
        """BadUse for what the model cannot make; the length is left to `pieces`, see `film_in_pieces`."""
        limits, name = self.limits, self.name
        if not request.prompt.strip():
            raise BadUse(f"{name} needs a prompt: say what the film is to look like")
        if limits.size(request.size) != request.size:
            fit = limits.size(request.size)
            raise BadUse(f"{request.size[0]}x{request.size[1]}: {name} would take {fit[0]}x{fit[1]}")
        if request.frames_per_second not in limits.rates:
            rates = ", ".join(map(str, limits.rates))
            raise BadUse(f"{request.frames_per_second} frames a second: {name} makes {rates}")
        if not 1 <= len(request.guides) <= self.most_guides:
            raise BadUse(
                f"{name} takes {self.most_guides} guide at once, and {len(request.guides)} are given"
            )
        for guide in request.guides:
            self._check_guide(guide.kind, guide.strength)
            expected = (request.num_frames, request.size[1], request.size[0], 3)
            if guide.frames.shape != expected:
                raise ValueError(f"{guide.kind}: expected {expected}, got {guide.frames.shape}")

    def _check_guide(self, kind: str, strength: float) -> None:
        known = self.limits.controls
        if kind not in known:
            raise BadUse(f"{self.name} is not guided by {kind}; it is by {', '.join(sorted(known))}")
        if self.most_strength is None:
            if strength != 1.0:
                raise BadUse(f"--strength {strength:g}: {self.name} follows a guide as it does; leave it out")
        elif not 0.0 <= strength <= self.most_strength:
            raise BadUse(f"--strength {strength:g}: must be from 0 to {self.most_strength:g} for {self.name}")

    def check_guides(self, kinds: tuple[str, ...], strength: float) -> None:
        """As `check`, of the guides' kinds alone, before there are any frames."""
        if not 1 <= len(kinds) <= self.most_guides:
            raise BadUse(f"--controls {','.join(kinds)}: {self.name} takes {self.most_guides} guide at once")
        for kind in kinds:
            self._check_guide(kind, strength)
