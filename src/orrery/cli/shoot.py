"""`orrery shoot`: a storyboard becomes a film, and the controls that large models are guided by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from orrery.cli.console import needs, progress_bar
from orrery.cli.signing import signing
from orrery.errors import BadUse

if TYPE_CHECKING:
    from orrery.studio.backends.backend import Backend
    from orrery.studio.backends.dress import DressedFilm, Model
    from orrery.studio.controls.board import ShotControls
    from orrery.studio.shoot import BoardFilm
    from orrery.studio.shots import Storyboard

__all__ = ["print_controls", "shoot"]


@dataclass(frozen=True)
class DressedBy:
    """The large model that dresses a film.

    Attributes:
        dress: weights in diffusers' form: a folder, or an id on the Hugging Face Hub (with its own licence).
        Or the address of a server with vLLM-Omni's /v1/videos, such as http://127.0.0.1:8091. The film is
        then of the model's rate; --controls names what guides it, depth if left out.
        backend: wan-vace, cogvideox-fun or ltx-2; found out from the weights if left out. Served: cosmos3.
        prompt: what the film is to look like; shots may have a `prompt` of their own beside it.
        negative: what it is not to look like.
        seed: another number gives other pictures.
        steps: of denoising; the model's own number if left out.
        guidance: how closely the prompt is followed; the model's own if left out.
        strength: how closely the control is followed, from 0 to 2, where the model knows more or less.
        lora: more weights, a file or a hub id, such as the IC-LoRA that ltx-2 follows a guide through.
        memory: whole, offload (each part on the GPU while it works) or least (slow).
        takes: of each shot, from as many seeds. The film is made of those in which things are where the exact
            film has them, in the colours that they had; FILM.takes.json says what each came to.
    """

    dress: str | None = None
    backend: str | None = None
    prompt: str = ""
    negative: str = ""
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    strength: float = 1.0
    lora: str | None = None
    memory: Literal["whole", "offload", "least"] = "whole"
    takes: int = 1

    def check(self, for_model: str | None) -> bool:
        """Whether a film is to be dressed. BadUse for options that go with nothing."""
        if self.dress is None:
            for name, value in vars(DressedBy()).items():
                if getattr(self, name) != value:
                    raise BadUse(f"--{name} is of --dress; add that, with the weights to use")
        elif for_model is not None:
            raise BadUse("--for: the weights of --dress say which model it is; leave it out")
        return self.dress is not None


def shoot(
    storyboard: tyro.conf.Positional[Path],
    out: Path,
    size: str | None = None,
    samples: int | None = None,
    controls: str | None = None,
    for_model: Annotated[str | None, tyro.conf.arg(name="for")] = None,
    force: bool = False,
    sign: Path | None = None,
    dressing: Annotated[DressedBy, tyro.conf.arg(name="")] = DressedBy(),
) -> int:
    """Make the film of a storyboard: exact motion and sound, shot by shot (needs the studio extra).

    With --dress, a large model of your own makes the pictures, guided by the exact controls (needs the
    backends extra).

    Each shot's film lies in a folder beside the whole one, and is made again only if something that it
    depends on has changed. Beside the film lie its sound as a WAV, its settings as JSON, and the edit as
    OpenTimelineIO, Final Cut XML and EDL.

    Args:
        storyboard: a YAML file; see docs/studio.md.
        out: the film, an MP4; or, with --controls, a folder for these alone, without a film.
        size: WIDTHxHEIGHT in pixels instead of the storyboard's, such as 320x180 for a quick look.
        samples: paths a pixel instead of the storyboard's.
        controls: what is where, exact, as films and arrays: some of depth, segmentation, edges, flow, tracks,
            camera, such as depth,edges; or all. They go to FILM.controls, a folder for each shot.
        for_model: in this model's sizes and rates: wan-vace, cogvideox-fun, ltx-2, cosmos-transfer2.5 or
            cosmos3; what is changed to fit is told.
        force: replace files that are there.
        sign: a PEM file of a private key and its certificates: the film gets content credentials (C2PA) that
            say what made it, signed with that key (needs the sign extra).
    """
    sign_film = signing(sign)
    with needs("studio", "a storyboard"):
        from orrery.studio.controls.board import controls_folder, write_board_controls
        from orrery.studio.controls.shot import check_controls_folder, plan_controls
        from orrery.studio.shoot import shoot as shoot_film
        from orrery.studio.storyboard import read_storyboard
        from orrery.studio.take import takes
    changed = {"size": size, "samples": samples}
    board = read_storyboard(storyboard, **{k: v for k, v in changed.items() if v is not None})
    about = {"title": board.title, "storyboard": board.model_dump(mode="json")}
    if dressing.check(for_model):
        film, settings = _dress(board, out, controls, dressing, force)
        sign_film(out, {**about, **settings}, True, ingredients=film.guides)
        return 0
    if controls is None and for_model is not None:
        raise BadUse("--for is of --controls; add that, such as --controls depth,edges")
    plan = None
    if controls is not None:
        plan = plan_controls(controls, board.width_height, board.frames_per_second, for_model)
    is_film = plan is None or bool(out.suffix)
    if sign is not None and not is_film:
        raise BadUse("--sign: controls alone are no film; name an MP4 with --out, or leave it out")
    folder = controls_folder(out) if is_film else out
    if plan is not None:
        check_controls_folder(folder, force)
    acted = None
    if is_film:
        with progress_bar(out.name, "frames") as on_frame:
            film = shoot_film(board, out, force, on_frame)
        sign_film(out, about, False)
        _print_film(film)
        acted = [shot.take for shot in film.shots]
    if plan is not None:
        with progress_bar(folder.name, "frames") as on_frame:
            made = write_board_controls(board, acted or takes(board), folder, plan, on_frame)
        _print_controls(made)
    return 0


def _dress(
    board: Storyboard, out: Path, controls: str | None, by: DressedBy, force: bool
) -> tuple[DressedFilm, dict[str, Any]]:
    """Make the film and say what there is; the film, and how it was dressed, plain values."""
    with needs("backends", "--dress"):
        from orrery.studio.backends.dress import Dressing, dress
        from orrery.studio.backends.served import is_address
    from orrery.studio.controls.streams import read_controls

    weights = by.dress or ""
    backend, load = _served(by) if is_address(weights) else _loaded(by)
    dressing = Dressing(
        weights, backend, by.prompt, read_controls(controls or "depth"), by.negative, by.seed, by.steps,
        by.guidance, by.strength, by.lora, by.takes,
    )  # fmt: skip
    if backend.licence:
        print(backend.licence)
    with progress_bar(out.name, "steps") as on_step:
        film = dress(board, out, dressing, load, force, on_step)
    _print_controls(list(film.controls))
    for shot in film.shots:
        print(f"{shot.path}: {shot.num_frames} frames, {'made' if shot.was_made else 'as it was'}")
        if shot.takes is not None:
            print(f"  {shot.takes.told}")
    for line in film.told:
        print(f"  {line}")
    print(f"{film.path}: {film.seconds:.2f} s of film, dressed by {backend.name} from {weights}")
    chosen = {shot.name: shot.takes.best.seed for shot in film.shots if shot.takes is not None}
    return film, {"dressed": dressing.describe(), **({"seeds": chosen} if chosen else {})}


def _loaded(by: DressedBy) -> tuple[Backend, Callable[[], Model]]:
    """The backend of weights, and what loads them."""
    with needs("backends", "--dress"):
        import diffusers  # noqa: F401 - found missing now, not after the controls

        from orrery.studio.backends.pipeline import DiffusersPipeline, check_memory, find_backend

    weights = by.dress or ""
    check_memory(by.memory)
    backend = find_backend(weights, by.backend)
    return backend, partial(DiffusersPipeline, weights, backend, by.memory, by.lora)


def _served(by: DressedBy) -> tuple[Backend, Callable[[], Model]]:
    """The backend of a server's model, and what asks it; the server is found missing now."""
    from orrery.studio.backends.served import ServedModel, served_backend

    for name in ("lora", "memory"):
        if getattr(by, name) != getattr(DressedBy(), name):
            raise BadUse(f"--{name} is of weights that are loaded here, and {by.dress} is a server")
    backend = served_backend(by.backend)
    model = ServedModel(by.dress or "", backend)
    return backend, lambda: model


def _print_film(film: BoardFilm) -> None:
    for shot in film.shots:
        print(f"{shot.path}: {len(shot.take.scenes)} frames, {'made' if shot.was_made else 'as it was'}")
        for note in shot.take.notes:
            print(f"  {note}")
        if shot.take.num_clipped:
            print(
                f"  {shot.take.num_clipped:,} samples beyond full scale: clipped in the film, not in the WAV"
            )
        for led in shot.take.led:
            print(
                f"  {led.name} was led within {1000 * led.rms_m:.0f} mm of its path (at most "
                f"{1000 * led.max_m:.0f}), by {led.mean_force:.1f} times its weight"
            )
    for name, dropped in film.edits.items():
        print(f"{film.path.with_name(name)}" + (f": without {', '.join(dropped)}" if dropped else ""))
    print(f"{film.path}: {film.seconds:.2f} s of film")


def _print_controls(made: list[ShotControls]) -> None:
    for shot in made:
        print_controls(shot.folder, shot.about)


def print_controls(folder: Path, about: dict) -> None:
    """Say what a folder of controls holds, and what in it is not as in the film."""
    width, height = about["size"]
    print(
        f"{folder}: {', '.join(about['streams'])}; {about['film_frames']} frames of {width}x{height}, "
        f"{about['frames_per_second']} a second"
    )
    for line in about["told"]:
        print(f"  {line}")
