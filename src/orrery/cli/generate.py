"""`orrery generate`: a sentence becomes a film with sound."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from orrery.cli.console import needs, progress_bar
from orrery.cli.objects import read_objects
from orrery.cli.shoot import print_controls
from orrery.cli.signing import signing
from orrery.errors import BadUse
from orrery.registry import DEFAULT_MODEL
from orrery.studio.looks import check_look, check_rate, read_size
from orrery.world import Promptable

if TYPE_CHECKING:
    from orrery.cli.prompts import Asked
    from orrery.inference.generate import FilmResult
    from orrery.studio.drawn_world import KeepingLook, Look
    from orrery.world import World
    from orrery.worlds.rigid_bodies.mesh_file import MeshFile

__all__ = ["generate"]

SECONDS = 5.0
IMAGE_SIZE = 128
"""Pixels on each side of the exact world's picture, where no model sets it."""
LIBRARIES = {
    "imagined": ("torch", "numpy", "av"),
    "exact": ("mujoco", "mujoco-warp", "numpy", "av"),
    "soft": ("mujoco", "warp-lang", "pyoidn", "numpy", "av"),
}
"""What a film's bytes depend on besides this program."""


@dataclass(frozen=True)
class Filming:
    """How the exact world is filmed (with --exact).

    Attributes:
        world: which exact world, see `orrery worlds`; each has sentences of its own. If left out, the one
            that can do the sentence: the tabletop, else the laboratory.
        look: `draft` is small and quick; `soft` is path traced, in a studio's light (needs the studio extra).
        fps: frames a second: 24, 25, 30 or 60.
        size: WIDTHxHEIGHT in pixels, such as 1280x720 (which it is if left out), 720x1280 or 1024x1024; of
            --look soft.
        samples: paths a pixel, of --look soft; twice as many take twice as long. 16 if left out.
        light: `softbox`, `window` or `evening`, of --look soft. `softbox` if left out.
        controls: what is where, exact, of --look soft, as films and arrays in FILM.controls: some of depth,
            segmentation, edges, flow, tracks, camera, such as depth,edges; or all.
        for_model: controls in this model's sizes and rates, such as wan-vace; see `orrery shoot --help`.
        object: a mesh of your own (GLB, OBJ, STL, PLY), of --look soft, for what the sentence calls as the
            file: `bottle.glb` for "a bottle drops"; or `flask=bottle.glb`. As in storyboards, with
            `bottle.glb,size_m=0.2` (its longest side), `,mass_kg=0.4` and `,up=z`. May be given several
            times.
    """

    world: str | None = None
    look: str = "draft"
    fps: int = 24
    size: str | None = None
    samples: int | None = None
    light: str | None = None
    controls: str | None = None
    for_model: Annotated[str | None, tyro.conf.arg(name="for")] = None
    object: tyro.conf.UseAppendAction[tuple[str, ...]] = ()

    def check(self, exact: bool, side_by_side: bool) -> None:
        """BadUse for what no film could be made with, before anything is loaded."""
        check_look(self.look)
        check_rate(self.fps)
        if self.object and (side_by_side or not exact):
            raise BadUse("--object: no imagined world has meshes of one's own; add --exact --look soft")
        if self.look == "draft":
            for name in ("size", "samples", "light", "controls", "object"):
                if getattr(self, name):
                    raise BadUse(f"--{name} is of --look soft; add that, or leave --{name} out")
        if self.for_model is not None and self.controls is None:
            raise BadUse("--for is of --controls; add that, such as --controls depth,edges")
        if self != Filming() and (side_by_side or not exact):
            raise BadUse(
                "--world, --look and --fps are of the exact world: add --exact, and leave --side-by-side out"
            )


def generate(
    prompt: tyro.conf.Positional[str],
    out: Path,
    seconds: float | None = None,
    seed: int = 0,
    image: Path | None = None,
    model: str = DEFAULT_MODEL,
    exact: bool = False,
    side_by_side: bool = False,
    sheet: bool = False,
    force: bool = False,
    sign: Path | None = None,
    filming: Annotated[Filming, tyro.conf.arg(name="")] = Filming(),
) -> int:
    """Make a film with sound from a sentence.

    The film is imagined by a model, frame by frame and sample by sample. Its settings go to a JSON file of
    the same name, and the same settings give the same film.

    Args:
        prompt: what is to happen, such as "a red ball drops and a blue box stands on the table".
        out: the film, an MP4.
        seconds: length of the film, up to 3600; rounded to whole frames. As the sentence says ("for three
            seconds"), or 5, if left out.
        seed: another number gives another film of the same sentence.
        image: a picture to start from (PNG, JPEG, WebP); its centre square is taken.
        model: a shipped model's name, or a checkpoint's folder.
        exact: simulate the sentence instead of imagining it (needs the sim extra): on the tabletop where that
            can do all of it, else in the laboratory, where scenes are tried until what is told happens.
        side_by_side: imagined on the left, exact on the right, in one film (needs the sim extra). The sound
            is the imagined one, or with --exact the exact one; the two are never mixed.
        sheet: draw a contact sheet too, frames above the sound's waveform, as a PNG of the same name.
        force: replace files that are there.
        sign: a PEM file of a private key and its certificates: the film gets content credentials (C2PA) that
            say what made it, signed with that key (needs the sign extra).
    """
    from orrery.cli.prompts import for_exact_world, for_model
    from orrery.inference.generate import check_request, make_film

    filming.check(exact, side_by_side)
    is_exact = exact and not side_by_side
    objects = read_objects(filming.object) if is_exact else {}
    asked = for_exact_world(prompt, filming.world, objects) if is_exact else for_model(prompt)
    seconds = seconds if seconds is not None else asked.seconds or SECONDS
    check_request(seconds, seed, out, image, force, sheet)
    sign_film = signing(sign)
    if image is not None and (exact or side_by_side):
        raise BadUse("--image starts the imagined world; the exact one cannot be built from a picture")
    controls = None if filming.controls is None else _Controls(filming, out, force)
    if is_exact:
        world, about = _filmed_world(filming, asked, objects, controls)
    else:
        world, about = _world(model, exact, side_by_side)
    if asked.prompt != prompt:
        about = {**about, "sentence": prompt}
    if asked.why:
        print(f"{asked.world}: {asked.why}")
    with progress_bar(out.name, "ticks") as on_tick:
        film = make_film(world, asked.prompt, seconds, seed, out, image, force, sheet, on_tick, about)
    sign_film(film.path, {"title": prompt, "prompt": asked.prompt, "seed": seed, **about}, not is_exact)
    print(_summary(film))
    if controls is not None:
        controls.write(film)
    return 0


def _world(model: str, exact: bool, side_by_side: bool) -> tuple[World, dict[str, Any]]:
    """What to film of a model, and what the sidecar says of it."""
    import torch

    from orrery.inference.imagined_world import load_world
    from orrery.registry import resolve_model

    # The passes are small: a second thread gains little alone, and on a busy machine the two wait for one
    # another so long that a film took fifty times as long.
    torch.set_num_threads(1)
    imagined = load_world(resolve_model(model))
    label = os.fsencode(model).decode("utf-8", "replace")
    sampling = asdict(imagined.model.sampling)
    about = {**_about("imagined", imagined.checkpoint_hash), "model": label, "sampling": sampling}
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


def _filmed_world(
    filming: Filming, asked: Asked, objects: Mapping[str, MeshFile], controls: _Controls | None = None
) -> tuple[World, dict[str, Any]]:
    """An exact world in a look, and what the sidecar says of it. UserError for a sentence that it refuses."""
    about = _about("exact", "exact")
    about |= {} if asked.world == "tabletop" else {"exact_world": asked.world}
    with needs("sim", "the exact world"):
        from orrery.worlds import world_factory

        factory = world_factory(asked.world)
        options: dict[str, Any] = {}
        if objects:
            options["objects"] = objects
            about |= {"objects": {noun: asdict(mesh) for noun, mesh in objects.items()}}
        if filming.fps != 24:
            if "frames_per_second" not in inspect.signature(factory).parameters:
                raise BadUse(f"--fps {filming.fps}: {asked.world} runs at its own rate; leave --fps out")
            options["frames_per_second"] = filming.fps
        wanted = {"video.main", "audio.main"} & set(factory().spec.streams)
        if filming.look == "soft":
            wanted.discard("video.main")
        world = factory(streams=tuple(sorted(wanted)), image_size=IMAGE_SIZE, **options)
    filmed = (world, about) if filming.look == "draft" else _in_soft_look(world, filming, about, controls)
    if isinstance(world, Promptable):
        world.check_prompt(asked.prompt)
    return filmed


def _in_soft_look(
    world: World, filming: Filming, about: dict[str, Any], controls: _Controls | None
) -> tuple[World, dict[str, Any]]:
    given = {"samples": filming.samples, "light": filming.light}
    size = None if filming.size is None else read_size(filming.size)
    with needs("studio", "--look soft"):
        import pyoidn  # noqa: F401 - found missing now, not after a first picture

        from orrery.studio.drawn_world import DrawnWorld
        from orrery.studio.soft import SoftLook, SoftSettings

    settings = SoftSettings(**{k: v for k, v in {**given, "size": size}.items() if v is not None})
    look = SoftLook(settings)
    libraries = _about("soft", "exact")["libraries"]
    drawn = look if controls is None else controls.keep(look, world.spec.clock.frames_per_second)
    return DrawnWorld(world, drawn), {**about, "look": look.describe(), "libraries": libraries}


class _Controls:
    """The controls of a film that is about to be made. BadUse and UserError for what cannot be."""

    def __init__(self, filming: Filming, out: Path, force: bool) -> None:
        with needs("studio", "--controls"):
            from orrery.studio.controls.board import controls_folder
            from orrery.studio.controls.shot import check_controls_folder, plan_controls
            from orrery.studio.soft import SoftSettings
        default = SoftSettings()
        size = default.size if filming.size is None else read_size(filming.size)
        self._fps, self._light = filming.fps, filming.light or default.light
        self._plan_at = partial(plan_controls, filming.controls or "", size, model=filming.for_model)
        self._plan_at(self._fps)
        self._folder = controls_folder(out)
        check_controls_folder(self._folder, force)
        self._kept: KeepingLook | None = None

    def keep(self, look: Look, frames_per_second: int) -> KeepingLook:
        """The look to film a world of this rate with, so that the controls know what was filmed."""
        from orrery.studio.drawn_world import KeepingLook

        self._fps, self._kept = frames_per_second, KeepingLook(look)
        return self._kept

    def write(self, film: FilmResult) -> None:
        """Write them, once the film is made."""
        from orrery.studio.controls.shot import FilmedScenes, write_controls
        from orrery.studio.controls.timing import first_frames

        assert self._kept is not None
        num_frames = round(film.seconds * self._fps)
        scenes = first_frames(self._kept.scenes, num_frames)
        filmed = FilmedScenes(scenes, scenes[0], self._fps, self._light)
        plan = self._plan_at(self._fps)
        total = plan.num_frames(num_frames, self._fps)
        with progress_bar(self._folder.name, "frames") as on_frame:
            done = count(1)
            about = write_controls(self._folder, filmed, plan, lambda: on_frame(next(done), total))
        print_controls(self._folder, about)


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
