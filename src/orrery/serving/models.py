"""The models of a server: what each is called, what films it makes, and what it can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from orrery.errors import BadUse
from orrery.serving.opening import Playable, open_world
from orrery.streams import StreamSpec, WorldSpec
from orrery.world import Directable, Promptable, World, action_streams

__all__ = ["EXACT", "Model", "open_models"]

EXACT = "exact:"
"""What precedes the name of an exact world where a learned one has the same."""
SIZES = (32, 1024)
"""Pixels on each side of a picture that is drawn on demand, smallest and largest."""
_VIDEO, _AUDIO = "video.main", "audio.main"


@dataclass(frozen=True, eq=False)
class Model:
    """A world under the name by which requests ask for it. source: what `open_models` opened."""

    name: str
    playable: Playable
    source: str

    @property
    def spec(self) -> WorldSpec:
        return self.playable.spec

    @property
    def makes_films(self) -> bool:
        return _VIDEO in self.spec.streams

    @property
    def makes_sound(self) -> bool:
        return _AUDIO in self.spec.streams

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a film, where the request says nothing of it."""
        height, width = self.spec.streams[_VIDEO].shape[1:3]
        return width + width % 2, height + height % 2

    @property
    def follows_pictures(self) -> bool:
        """Whether a film can start from a picture."""
        return self.makes_films and self.playable.picture_side > 0

    @property
    def takes_sentences(self) -> bool:
        """Whether its worlds take further sentences on their way."""
        return isinstance(self._world, Directable)

    def check_size(self, size: tuple[int, int]) -> None:
        """BadUse for a size that films of this model do not have."""
        if size == self.size:
            return
        own = "{}x{}".format(*self.size)
        if self.playable.kind == "imagined":
            raise BadUse(f"films of {self.name} are {own}; leave the size out")
        smallest, largest = SIZES
        if size[0] != size[1] or size[0] % 2 or not smallest <= size[0] <= largest:
            raise BadUse(
                f"films of {self.name} are {own}, or square, even and from {smallest} to {largest} on each "
                f"side, got {size[0]}x{size[1]}"
            )

    def check_prompt(self, prompt: str) -> None:
        """UserError for a sentence that the model does not follow, as far as it can say so beforehand."""
        if isinstance(self._world, Promptable):
            self._world.check_prompt(prompt)

    @cached_property
    def _world(self) -> World:
        return self.playable.make_world()

    def film_world(self, size: tuple[int, int], with_sound: bool) -> World:
        """A world of one that shows, and where asked sounds, what a film of a width and height needs; made
        once for each kind."""
        return _film_world(self, size, with_sound)

    def to_json(self, max_seconds: float) -> dict[str, Any]:
        """What `GET /v1/videos/models` says of it."""
        clock = self.spec.clock
        drawn = self.makes_films and self.playable.kind == "exact"
        return {
            "id": self.name,
            "object": "model",
            "owned_by": "orrery",
            "kind": self.playable.kind,
            "prompt": self.playable.sentences,
            "interaction_prompt": self.takes_sentences,
            "input_reference": self.follows_pictures,
            "generate_sound": self.makes_sound,
            "films": self.makes_films,
            "seconds": {"lowest": 1 / clock.frames_per_second, "highest": max_seconds},
            "size": "{}x{}".format(*self.size) if self.makes_films else None,
            "square_sizes": {"lowest": SIZES[0], "highest": SIZES[1]} if drawn else None,
            "fps": clock.frames_per_second,
            "ticks_per_second": clock.ticks_per_second,
            "actions": [_action(stream) for stream in action_streams(self.spec)],
            "touch": [stream.name for stream in self.spec.named("touch")],
        }


@lru_cache(maxsize=8)
def _film_world(model: Model, size: tuple[int, int], with_sound: bool) -> World:
    streams = [name for name in (_VIDEO, _AUDIO) if name in model.spec.streams]
    streams = streams if with_sound else [_VIDEO]
    if model.size == size:
        return model.playable.make_world(streams=streams)
    return model.playable.make_world(streams=streams, image_size=size[0])


def _action(stream: StreamSpec) -> dict[str, Any]:
    values = {"name": stream.name, "kind": stream.kind, "shape": list(stream.shape), "unit": stream.unit}
    if stream.kind == "choice":
        return {**values, "num_choices": stream.num_choices}
    return {**values, "low": stream.low, "high": stream.high}


def open_models(names: Sequence[str]) -> dict[str, Model]:
    """Models by name, the first the one that is taken where a request names none.

    names: as `orrery.serving.opening.open_world` takes them, `exact:NAME` for an exact world where a model
    has the same name. A folder's model is called as the folder. UserError for what cannot be opened, BadUse
    for two of one name.
    """
    models: dict[str, Model] = {}
    for name in names:
        exact = name.startswith(EXACT)
        playable = open_world(name.removeprefix(EXACT), exact)
        called = name if exact or name.startswith("gym:") else playable.title
        if called in models:
            raise BadUse(f"two models are called {called!r}; serve one of them, or rename its folder")
        models[called] = Model(called, playable, name)
    if not models:
        raise BadUse("name at least one model to serve")
    return models
