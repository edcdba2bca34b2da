"""A shot's control streams on disk: a folder with films, arrays and one JSON that says what they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orrery import __version__
from orrery.atomic import written_folder
from orrery.errors import BadUse, UserError
from orrery.streams import Array
from orrery.studio.controls.geometry import GeometryPass
from orrery.studio.controls.limits import Limits, limits_of
from orrery.studio.controls.segmentation import MOST_INSTANCES, instance_names
from orrery.studio.controls.streams import CONTROLS, FILMED, FilmForm, read_controls
from orrery.studio.controls.timing import num_frames_at, retimed
from orrery.studio.lights import light_rig
from orrery.studio.sound import write_wav
from orrery.studio.views import backdrop
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene

__all__ = ["ControlPlan", "FilmedScenes", "check_controls_folder", "plan_controls", "write_controls"]


@dataclass(frozen=True)
class FilmedScenes:
    """What was filmed. scenes: one after the other, of one model. first: about which the lights stand. light:
    key of `lights.LIGHTS`, whose backdrop is there too. audio: `[N, 2]`
    float32 at 48 kHz, which is to lie beside the controls."""

    scenes: Sequence[MujocoScene]
    first: MujocoScene
    frames_per_second: int
    light: str
    audio: Array | None = None


@dataclass(frozen=True)
class ControlPlan:
    """Which controls, in which size (width, height) and at which rate; for which model, if for one. told:
    what is not as it was in the film."""

    controls: tuple[str, ...]
    size: tuple[int, int]
    frames_per_second: int
    limits: Limits | None
    told: tuple[str, ...]

    def num_frames(self, num_frames: int, frames_per_second: int) -> int:
        """How many frames controls have of a shot of `num_frames`."""
        return num_frames_at(num_frames, frames_per_second, self.frames_per_second)

    @property
    def height_width(self) -> tuple[int, int]:
        """The size as arrays have it."""
        return self.size[1], self.size[0]

    @property
    def model(self) -> str | None:
        """The model's name."""
        return None if self.limits is None else self.limits.name


def plan_controls(
    controls: str | Sequence[str], size: tuple[int, int], frames_per_second: int, model: str | None = None
) -> ControlPlan:
    """What `controls` (see `read_controls`) of a film of this size (width, height) and rate will be, before
    any work. model: key of `limits.MODELS` to fit. BadUse for an unknown control or model, and for a film
    that the model cannot take."""
    names = read_controls(controls if isinstance(controls, str) else ",".join(controls))
    if model is None:
        return ControlPlan(names, size, frames_per_second, None, ())
    limits = limits_of(model)
    fitted, rate = limits.size(size), limits.rate(frames_per_second)
    told: list[str] = []
    if fitted != size:
        told.append(
            f"drawn at {fitted[0]}x{fitted[1]} instead of {size[0]}x{size[1]}: {model} takes sides by "
            f"{limits.side_step}; nothing is stretched"
        )
    if rate != frames_per_second:
        told.append(
            f"{rate} frames a second instead of {frames_per_second}: bodies where physics had them at these "
            "instants, the camera between its frames"
        )
    unused = [name for name in names if name in FILMED and name not in limits.controls]
    if unused:
        told.append(f"{model} is not known to be guided by {', '.join(unused)}")
    return ControlPlan(names, fitted, rate, limits, tuple(told))


def write_controls(
    folder: Path,
    filmed: FilmedScenes,
    plan: ControlPlan,
    on_frame: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Write a shot's controls into `folder`, which appears complete or not at all (an older one is replaced);
    what its `controls.json` says. on_frame: called after each frame. UserError where the disk refuses."""
    shot = retimed(filmed.scenes, filmed.frames_per_second, plan.frames_per_second)
    count, told = len(shot.scenes), list(plan.told)
    length = count if plan.limits is None else plan.limits.num_frames(count)
    if length > count:
        told.append(
            f"{count} frames, then the last {length - count} times more: films are {length} frames long"
        )
    model = filmed.first.model
    if model.nbody > MOST_INSTANCES:
        raise UserError(f"{model.nbody} bodies: segmentation holds {MOST_INSTANCES}; use fewer things")
    names = instance_names([model.body(k).name for k in range(model.nbody)], filmed.first.names)
    geometry = GeometryPass(plan.size, backdrop(light_rig(filmed.light), filmed.first))
    with written_folder(folder) as made:
        form = FilmForm(made, plan.size, plan.frames_per_second, count, length - count, names)
        with ExitStack() as stack:
            if filmed.audio is not None:
                write_wav(made / "sound.wav", filmed.audio)
            streams = {name: CONTROLS[name](form, stack) for name in plan.controls}
            for seen in geometry.film(shot.scenes):
                for stream in streams.values():
                    stream.add(seen)
                on_frame()
            about = {
                "orrery": __version__,
                "size": list(plan.size),
                "frames_per_second": plan.frames_per_second,
                "num_frames": count,
                "film_frames": length,
                "model": None if plan.limits is None else {"name": plan.model, "source": plan.limits.source},
                "pieces": [] if plan.limits is None else [asdict(p) for p in plan.limits.pieces(count)],
                "instant": "each frame shows the end of its time, without motion blur or a lens",
                "furthest_from_an_instant_seconds": shot.furthest_seconds,
                "sound": None if filmed.audio is None else "sound.wav",
                "told": told,
                "streams": {name: stream.finish() for name, stream in streams.items()},
            }
        (made / "controls.json").write_text(json.dumps(about, indent=2, allow_nan=False) + "\n", "utf-8")
    return about


def check_controls_folder(folder: Path, force: bool) -> None:
    """UserError unless a folder of controls can be made there without losing anything."""
    if folder.exists() and not force:
        raise UserError(f"{folder} already exists; choose another name, or pass --force to replace it")
    if not folder.parent.is_dir():
        raise UserError(f"{folder}: there is no folder {folder.parent}; make it first")
    if folder.is_file():
        raise BadUse(f"{folder} is a file; controls are a folder")
