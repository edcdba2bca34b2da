"""What `orrery play` and `orrery serve` open by name: a checkpoint, an environment, an exact world."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from orrery.data.dataset import Dataset
from orrery.errors import BadUse, UserError
from orrery.registry import SHIPPED, resolve_model
from orrery.serving.session import Session
from orrery.streams import Array, WorldSpec
from orrery.world import World, close_world
from orrery.worlds import WORLDS, world_factory
from orrery.worlds.forked import CAN_COPY, ForkedWorld

__all__ = ["Playable", "open_world"]

_GYM = "gym:"
_IMAGE_SIZE = 128


@dataclass(frozen=True)
class Playable:
    """A world that can be played, any number of times.

    title: what a person calls it. kind: `imagined` or `exact`. make_world: takes `num_worlds` and `streams`,
    as every world does; worlds share what does not change, such as weights. make_rewindable: what makes one
    that can be put back, where others cannot; None where they can, or none can. sentences: whether it can
    start from one. beside: the name of the real environment that can be stepped beside it, empty for none,
    and make_real what makes it. recordings: episodes to start from. controls: a spec that says what the
    actions mean, where the world's own may not. about: for the sidecars of films.
    """

    title: str
    kind: str
    make_world: Callable[..., World]
    make_rewindable: Callable[[], World] | None = field(default=None, kw_only=True)
    sentences: bool = False
    beside: str = ""
    make_real: Callable[[], World] | None = None
    recordings: Dataset | None = None
    controls: WorldSpec | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def make(self, with_beside: bool = False, rewinds: bool = False) -> Session:
        """A new session, with the real world beside it or without. rewinds: whether one goes back in it."""
        make = self.make_rewindable if rewinds and self.make_rewindable is not None else self.make_world
        if not with_beside:
            return Session(make())
        if self.make_real is None:
            raise BadUse("the real world that this one was learned from is not here")
        return Session(make(), self.make_real())

    @property
    def picture_side(self) -> int:
        """Pixels on each side of a picture that it can start from: a learned world's, whose own is square; 0
        where it cannot."""
        videos = self.spec.of_kind("video")
        square = self.kind == "imagined" and videos and videos[0].shape[1] == videos[0].shape[2]
        return videos[0].shape[1] if square else 0

    @cached_property
    def spec(self) -> WorldSpec:
        """The streams of its worlds."""
        world = self.make_world()
        close_world(world)
        return world.spec

    @property
    def num_recordings(self) -> int:
        return 0 if self.recordings is None else len(self.recordings)

    def recording(self, number: int, spec: WorldSpec, seconds: float = 2.0) -> dict[str, Array]:
        """The first seconds of a recorded episode, as a world of this spec can be given them."""
        if self.recordings is None:
            raise BadUse("no recordings were opened; start with --recordings DATASET")
        length = min(self.recordings.num_ticks(number), spec.clock.num_ticks(seconds))
        names = [name for name in spec.streams if name in self.recordings.spec.streams]
        return self.recordings.load(number, names, 0, length)


def open_world(
    name: str,
    exact: bool = False,
    image_size: int | None = None,
    beside: str | None = None,
    recordings: Path | None = None,
) -> Playable:
    """The world that `name` stands for: `gym:ID`, an exact world's name, or a model's name or folder.

    exact: the exact world where a model has the same name. image_size: pixels on each side of an exact
    world's or an environment's picture; None for 128, or the environment's own. beside: the real environment
    to step beside an imagined world, `gym:ID`; None for the one it was learned from, if that is installed.
    recordings: a data set's folder, whose episodes an imagined world can start from. UserError for what
    cannot be opened.
    """
    if name.startswith(_GYM):
        _refuse(f"a Gymnasium environment ({name})", beside, recordings)
        return _environment(name.removeprefix(_GYM), image_size)
    is_model = name in SHIPPED or (Path(name).is_dir() and name not in WORLDS)
    if is_model and not exact:
        return _imagined(name, beside, recordings)
    if name not in WORLDS and not any(name.startswith(f"{world}:") for world in WORLDS):
        known = ", ".join(dict.fromkeys([*WORLDS, *SHIPPED]))
        raise BadUse(f"no world {name!r}: there are {known}, gym:ID, and the folder of a checkpoint")
    _refuse(f"an exact world ({name})", beside, recordings)
    return _exact(name, image_size or _IMAGE_SIZE)


def _refuse(what: str, beside: str | None, recordings: Path | None) -> None:
    if beside is not None or recordings is not None:
        raise BadUse(f"{what} is real already and starts from a seed; leave --beside and --recordings out")


def _environment(name: str, image_size: int | None) -> Playable:
    from orrery.worlds.gymnasium import GymnasiumWorld

    make_world = partial(GymnasiumWorld, name, image_size=image_size)
    make_world().close()  # a name that is wrong is refused here
    about = {"world": f"{_GYM}{name}"}
    title = name.partition("?")[0]
    return Playable(title, "exact", make_world, make_rewindable=_rewindable(make_world), about=about)


def _rewindable(make: Callable[[], World]) -> Callable[[], World]:
    """What makes a world that can be put back, where this system lets it."""
    return partial(ForkedWorld, make) if CAN_COPY else make


def _exact(name: str, image_size: int) -> Playable:
    make_world = partial(world_factory(name), image_size=image_size)
    return Playable(name, "exact", make_world, hasattr(make_world(), "text"), about={"world": name})


def _imagined(name: str, beside: str | None, recordings: Path | None) -> Playable:
    folder = resolve_model(name)
    make_world, sentences, checkpoint = _learned(folder)
    spec = make_world().spec
    real = _real_name(spec, beside)
    make_real, real_spec = _real_world(real, spec, asked=beside is not None) if real else (None, None)

    return Playable(
        Path(name).resolve().name if Path(name).is_dir() else name,
        "imagined",
        make_world,
        sentences,
        real if make_real is not None else "",
        make_real,
        None if recordings is None else _dataset(recordings, spec),
        real_spec,
        {"world": "imagined", "model": str(name), "checkpoint": checkpoint},
    )


def _learned(folder: Path) -> tuple[Callable[..., World], bool, str]:
    """What makes worlds of a checkpoint, whether they understand sentences, and the checkpoint's hash."""
    from orrery.checkpoint import load_checkpoint
    from orrery.models.trained import is_trained, load_trained

    if not is_trained(load_checkpoint(folder).config):
        from orrery.inference.checkpoints import load_model
        from orrery.inference.imagined_world import ImaginedWorld as FirstImaginedWorld

        model = load_model(folder)
        return partial(FirstImaginedWorld, model), True, model.hash
    from orrery.engines.torch_engine import TorchEngine
    from orrery.serving.batch import Batch

    trained = load_trained(folder)
    engine = TorchEngine(trained)
    return Batch(engine).make_world, any(s.text for s in engine.streams.values()), trained.hash


def _real_name(spec: WorldSpec, beside: str | None) -> str:
    """The name of the environment beside a learned world. One that a module of somebody's own registers is
    run only where it was asked for by name: a checkpoint from elsewhere must not run code."""
    if beside is not None:
        if not beside.startswith(_GYM):
            raise BadUse(f"--beside {beside}: name an environment, gym:ID")
        return beside.removeprefix(_GYM)
    identity = str(spec.environment.get("id", ""))
    if not identity or ":" in identity:
        return ""
    options = spec.environment.get("options", {})
    query = "&".join(f"{key}={json.dumps(value)}" for key, value in options.items())
    return f"{identity}?{query}" if query else identity


def _real_world(
    name: str, spec: WorldSpec, asked: bool
) -> tuple[Callable[[], World] | None, WorldSpec | None]:
    """What makes the real environment with the pictures of `spec`, and its own spec; None where it is not
    installed."""
    try:
        from orrery.worlds.gymnasium import GymnasiumWorld

        videos = spec.of_kind("video")
        size = (videos[0].shape[1], videos[0].shape[2]) if videos else None
        world = GymnasiumWorld(name, image_size=size)
    except (UserError, ModuleNotFoundError) as error:
        if asked:
            raise UserError(f"the real environment beside cannot be made: {error}") from error
        return None, None
    world.close()
    acted, wanted = (
        {n: (s.shape, s.num_choices) for n, s in of.streams.items() if s.role == "given" and s.kind != "text"}
        for of in (world.spec, spec)
    )
    if acted == wanted:
        return _rewindable(partial(GymnasiumWorld, name, image_size=size)), world.spec
    if asked:
        raise BadUse(f"gym:{name} has other actions than the imagined world; they cannot be played together")
    return None, None


def _dataset(folder: Path, spec: WorldSpec) -> Dataset:
    recordings = Dataset(folder)
    for name, stream in spec.streams.items():
        recorded = recordings.spec.streams.get(name)
        if recorded is not None and recorded.shape != stream.shape:
            raise BadUse(f"{folder}: its {name} is {list(recorded.shape)}, the world's {list(stream.shape)}")
    return recordings
