"""`orrery generate`: a sentence becomes a film with sound."""

from __future__ import annotations

import os
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from orrery.cli.console import needs, progress_bar
from orrery.errors import BadUse
from orrery.registry import DEFAULT_MODEL

if TYPE_CHECKING:
    from orrery.inference.generate import FilmResult
    from orrery.world import World

__all__ = ["generate"]

IMAGE_SIZE = 128
"""Pixels on each side of the exact world's picture, where no model sets it."""
LIBRARIES = {"imagined": ("torch", "numpy", "av"), "exact": ("mujoco", "mujoco-warp", "numpy", "av")}
"""What a film's bytes depend on besides this program."""


def generate(
    prompt: tyro.conf.Positional[str],
    out: Path,
    seconds: float = 5.0,
    seed: int = 0,
    image: Path | None = None,
    model: str = DEFAULT_MODEL,
    exact: bool = False,
    side_by_side: bool = False,
    sheet: bool = False,
    force: bool = False,
) -> int:
    """Make a film with sound from a sentence.

    The film is imagined by a model, frame by frame and sample by sample. Its settings go to a JSON file of
    the same name, and the same settings give the same film.

    Args:
        prompt: what is to happen, such as "a red ball drops and a blue box stands on the table".
        out: the film, an MP4.
        seconds: length of the film, up to 3600; rounded to whole frames.
        seed: another number gives another film of the same sentence.
        image: a picture to start from (PNG, JPEG, WebP); its centre square is taken.
        model: a shipped model's name, or a checkpoint's folder.
        exact: simulate the sentence instead of imagining it (needs the sim extra).
        side_by_side: imagined on the left, exact on the right, in one film (needs the sim extra). The sound
            is the imagined one, or with --exact the exact one; the two are never mixed.
        sheet: draw a contact sheet too, frames above the sound's waveform, as a PNG of the same name.
        force: replace files that are there.
    """
    from orrery.inference.generate import check_request, make_film
    from orrery.worlds.tabletop.language import parse

    parse(prompt)
    check_request(seconds, seed, out, image, force, sheet)
    if image is not None and (exact or side_by_side):
        raise BadUse("--image starts the imagined world; the exact one cannot be built from a picture")
    world, about = _world(model, exact, side_by_side)
    with progress_bar(out.name, "ticks") as on_tick:
        film = make_film(world, prompt, seconds, seed, out, image, force, sheet, on_tick, about)
    print(_summary(film))
    return 0


def _world(model: str, exact: bool, side_by_side: bool) -> tuple[World, dict[str, Any]]:
    """What to film, and what the sidecar says of it."""
    if exact and not side_by_side:
        return _exact_world(IMAGE_SIZE), _about("exact", "exact")
    import torch

    from orrery.inference.imagined_world import load_world
    from orrery.registry import resolve_model

    # The passes are small: a second thread gains little alone, and on a busy machine the two wait for one
    # another so long that a film took fifty times as long.
    torch.set_num_threads(1)
    imagined = load_world(resolve_model(model))
    name = os.fsencode(model).decode("utf-8", "replace")
    sampling = asdict(imagined.model.sampling)
    about = {**_about("imagined", imagined.checkpoint_hash), "model": name, "sampling": sampling}
    if not side_by_side:
        return imagined, about
    from orrery.inference.side_by_side import SideBySide

    pair = SideBySide(
        imagined,
        _exact_world(imagined.spec.streams["video.main"].shape[1]),
        sound="right" if exact else "left",
    )
    sound = "exact" if exact else "imagined"
    libraries = {**about["libraries"], **_about("exact", "exact")["libraries"]}
    return pair, {**about, "world": "imagined | exact", "sound": sound, "libraries": libraries}


def _exact_world(image_size: int) -> World:
    with needs("sim", "the exact world"):
        from orrery.worlds import world_factory

        return world_factory("tabletop")(streams=("video.main", "audio.main"), image_size=image_size)


def _about(world: str, checkpoint: str) -> dict[str, Any]:
    return {"world": world, "checkpoint": checkpoint, "libraries": dict(map(_version, LIBRARIES[world]))}


def _version(library: str) -> tuple[str, str]:
    try:
        return library, version(library)
    except PackageNotFoundError:  # installed by other means than a wheel
        return library, "unknown"


def _summary(film: FilmResult) -> str:
    beside = ", ".join(path.name for path in (film.sidecar_path, film.sheet_path) if path is not None)
    return (
        f"{film.path}: {film.seconds:.2f} s of film in {film.wall_seconds:.1f} s "
        f"({film.real_time_factor:.2f} x real time); beside it {beside}"
    )
