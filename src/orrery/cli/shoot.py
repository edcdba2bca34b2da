"""`orrery shoot`: a storyboard becomes a film, and the controls that large models are guided by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from orrery.cli.console import needs, progress_bar
from orrery.errors import BadUse

if TYPE_CHECKING:
    from orrery.studio.controls.board import ShotControls
    from orrery.studio.shoot import BoardFilm

__all__ = ["print_told", "shoot"]


def shoot(
    storyboard: tyro.conf.Positional[Path],
    out: Path,
    size: str | None = None,
    samples: int | None = None,
    controls: str | None = None,
    for_model: Annotated[str | None, tyro.conf.arg(name="for")] = None,
    force: bool = False,
) -> int:
    """Make the film of a storyboard: exact motion and sound, shot by shot (needs the studio extra).

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
    """
    with needs("studio", "a storyboard"):
        from orrery.studio.controls.board import controls_folder, write_board_controls
        from orrery.studio.controls.shot import check_controls_folder, plan_controls
        from orrery.studio.shoot import shoot as shoot_film
        from orrery.studio.shots import read_storyboard
        from orrery.studio.take import takes
    changed = {"size": size, "samples": samples}
    board = read_storyboard(storyboard, **{k: v for k, v in changed.items() if v is not None})
    if controls is None:
        if for_model is not None:
            raise BadUse("--for is of --controls; add that, such as --controls depth,edges")
        with progress_bar(out.name, "frames") as on_frame:
            _print_film(shoot_film(board, out, force, on_frame))
        return 0
    plan = plan_controls(controls, board.width_height, board.frames_per_second, for_model)
    is_film = bool(out.suffix)
    folder = controls_folder(out) if is_film else out
    check_controls_folder(folder, force)
    acted = None
    if is_film:
        with progress_bar(out.name, "frames") as on_frame:
            film = shoot_film(board, out, force, on_frame)
        _print_film(film)
        acted = [shot.take for shot in film.shots]
    with progress_bar(folder.name, "frames") as on_frame:
        made = write_board_controls(board, acted or takes(board), folder, plan, on_frame)
    _print_controls(made)
    return 0


def _print_film(film: BoardFilm) -> None:
    for shot in film.shots:
        print(f"{shot.path}: {len(shot.take.scenes)} frames, {'made' if shot.was_made else 'as it was'}")
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
        print_told(shot.folder, shot.about)


def print_told(folder: Path, about: dict) -> None:
    """Say what a folder of controls holds, and what in it is not as in the film."""
    width, height = about["size"]
    print(
        f"{folder}: {', '.join(about['streams'])}; {about['film_frames']} frames of {width}x{height}, "
        f"{about['frames_per_second']} a second"
    )
    for line in about["told"]:
        print(f"  {line}")
