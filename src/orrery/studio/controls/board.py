"""The control streams of a storyboard: a folder for each shot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orrery.atomic import disk_failure
from orrery.studio.controls.shot import ControlPlan, FilmedScenes, write_controls
from orrery.studio.shots import Storyboard
from orrery.studio.take import Take

__all__ = ["ShotControls", "controls_folder", "write_board_controls"]


@dataclass(frozen=True)
class ShotControls:
    """One shot's controls. about: what its `controls.json` says."""

    name: str
    folder: Path
    about: dict[str, Any]


def controls_folder(out: Path) -> Path:
    """Where the controls of a film are: `film.controls` beside `film.mp4`."""
    return out.with_suffix(".controls")


def write_board_controls(
    board: Storyboard,
    acted: Sequence[Take],
    folder: Path,
    plan: ControlPlan,
    on_frame: Callable[[int, int], None] | None = None,
) -> list[ShotControls]:
    """Write the controls of all shots into `folder`, each in one of its name, with its sound.

    on_frame: called with (frames done, frames in all). A shot's folder appears complete or not at all; those
    that are finished are kept whatever happens. UserError where the disk refuses.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise disk_failure(folder, error) from error
    rate = board.frames_per_second
    total = sum(plan.num_frames(len(take.scenes), rate) for take in acted)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        if on_frame is not None:
            on_frame(done, total)

    made: list[ShotControls] = []
    for name, take, shot in zip(board.names, acted, board.shots, strict=True):
        filmed = FilmedScenes(take.scenes, take.first, rate, shot.light, take.audio)
        about = write_controls(folder / name, filmed, plan, one_more)
        made.append(ShotControls(name, folder / name, about))
    return made
