"""A storyboard's film dressed by a large model: exact motion and sound, the model's pictures.

Each shot is guided by its exact controls and lies beside the film under a hash of all that it depends on:
what is as it was is not made again, and stopped work goes on after the last finished shot.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from orrery import __version__
from orrery.atomic import check_destination, disk_failure
from orrery.errors import BadUse
from orrery.media import FilmWriter, read_film, sidecar_path, write_sidecar
from orrery.media.join import join_films
from orrery.streams import Array
from orrery.studio.backends.backend import Backend
from orrery.studio.backends.pieces import film_in_pieces
from orrery.studio.backends.request import Film, Guide, Request
from orrery.studio.backends.takes import ShotTakes, exact_film, judged, takes_path, write_takes
from orrery.studio.controls.board import ShotControls, controls_folder, write_board_controls
from orrery.studio.controls.shot import ControlPlan, FilmedScenes, plan_controls
from orrery.studio.shots import Storyboard
from orrery.studio.sound import SAMPLE_RATE, write_wav
from orrery.studio.take import Take, takes
from orrery.studio.timeline import ADAPTERS, Clip, writable, write_timelines

MOST_TAKES = 100
SEED_STEP = 1000
"""From a take to the next: pieces of a long film count on from their take's seed."""
MOST_SEED = 2**63 - 1 - MOST_TAKES * SEED_STEP

__all__ = ["DressedFilm", "DressedShot", "Dressing", "Model", "dress", "dressed_folder", "fitted_sound"]


class Model(Protocol):
    """Makes films; see `DiffusersPipeline`."""

    @property
    def default_steps(self) -> int: ...

    def make(self, request: Request, on_step: Callable[[], None]) -> Film: ...


@dataclass(frozen=True)
class Dressing:
    """How a film is dressed. weights: as the user named them; backend: that runs them. prompt: for all
    shots, to which a shot's own is added. guides: controls. lora: more weights. num_takes: of each shot, of
    which the film has the best. Others: see `Request` and `Guide`."""

    weights: str
    backend: Backend
    prompt: str
    guides: tuple[str, ...] = ("depth",)
    negative: str = ""
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    strength: float = 1.0
    lora: str | None = None
    num_takes: int = 1

    def __post_init__(self) -> None:
        if self.backend.needs_lora and self.lora is None:
            raise BadUse(
                f"{self.backend.name} follows a guide through a LoRA that was trained for it (an IC-LoRA for "
                f"{', '.join(self.guides)}): name it with --lora"
            )
        self.backend.check_guides(self.guides, self.strength)
        if not 1 <= self.num_takes <= MOST_TAKES:
            raise BadUse(f"--takes {self.num_takes}: must be from 1 to {MOST_TAKES}")
        if not 0 <= self.seed <= MOST_SEED:
            raise BadUse(f"--seed {self.seed}: must be a whole number from 0 to {MOST_SEED}")
        if self.steps is not None and not 1 <= self.steps <= 1000:
            raise BadUse(f"--steps {self.steps}: must be from 1 to 1000")

    def of_take(self, number: int) -> Dressing:
        """How one take is dressed, from 1 on: the first as if there were no others."""
        return replace(self, seed=self.seed + (number - 1) * SEED_STEP, num_takes=1)

    def describe(self) -> dict[str, Any]:
        """Plain values for sidecars."""
        chosen = {key: value for key, value in vars(self).items() if key != "backend"}
        return {**chosen, "guides": list(self.guides), "backend": self.backend.name}


@dataclass(frozen=True)
class DressedShot:
    """path: of its film, the best take's. was_made: whether a take was made now, and was not there as it is.
    takes: all of them, where there are several."""

    name: str
    path: Path
    was_made: bool
    num_frames: int
    takes: ShotTakes | None = None


@dataclass(frozen=True)
class DressedFilm:
    """A finished film. controls: of each shot; guides: the films among them that it was guided by. edits: see
    `BoardFilm`. told: what is not as in the storyboard."""

    path: Path
    seconds: float
    shots: tuple[DressedShot, ...]
    controls: tuple[ShotControls, ...]
    guides: tuple[Path, ...]
    edits: dict[str, tuple[str, ...]]
    told: tuple[str, ...]


def dressed_folder(out: str | Path) -> Path:
    """Where the dressed shots of a film are: `film.dressed` beside `film.mp4`."""
    return Path(out).with_suffix(".dressed")


def dress(
    board: Storyboard,
    out: str | Path,
    dressing: Dressing,
    load: Callable[[], Model],
    force: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> DressedFilm:
    """Make `out` (an MP4) from a storyboard by a large model; beside it the exact sound as a WAV, the
    settings as JSON, the edit, the controls (`controls_folder`) and each shot (`dressed_folder`). Of several
    takes the film has, shot by shot, the one that keeps the exact film best (see `takes.judged`); what each
    came to is in `takes_path`.

    load: gives the model; not called where all shots are there as they are. on_step: called with (steps done,
    steps to do), of denoising and, of several takes, of the exact film's frames; what it raises ends the
    work, and finished shots are kept. The sound is the one
    that was computed, sample for sample, from each shot's first frame on. Raises BadUse and UserError before
    the model is loaded.
    """
    out = Path(out)
    if out.suffix.lower() != ".mp4":
        raise BadUse(f"{out}: a film is an MP4; end its name in .mp4")
    beside = [sidecar_path(out), *([takes_path(out)] if dressing.num_takes > 1 else [])]
    for path in (out, *beside, *(out.with_suffix(f".{e}") for e in ("wav", *ADAPTERS))):
        check_destination(path, force)
    plan = plan_controls(dressing.guides, board.width_height, board.frames_per_second, dressing.backend.name)
    _check_prompts(board, dressing)
    acted = takes(board)
    controls = write_board_controls(board, acted, controls_folder(out), plan)
    folder = dressed_folder(out)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise disk_failure(folder, error) from error
    shots = [
        [
            _Shot(folder / _file_name(one.name, number), one, _prompt(dressing, shot.prompt),
                  dressing.of_take(number), plan, take)
            for number in range(1, dressing.num_takes + 1)
        ]
        for one, shot, take in zip(controls, board.shots, acted, strict=True)
    ]  # fmt: skip
    progress = _Progress(on_step)
    if dressing.num_takes > 1:
        progress.total = sum(shot[0].num_frames for shot in shots)
    made = _make_missing([take for shot in shots for take in shot], dressing.backend, load, progress)
    chosen, judgements = [shot[0] for shot in shots], None
    if dressing.num_takes > 1:
        judgements = _judge(board, plan, shots, out, progress.step)
        chosen = [shot[one.best.number - 1] for shot, one in zip(shots, judgements, strict=True)]
    return _assembled(out, board, dressing, chosen, made, judgements, force)


def fitted_sound(audio: Array, num_frames: int, frames_per_second: int) -> Array:
    """Sound `[N, 2]` as long as so many frames: cut at its end, or silence after it."""
    length = num_frames * SAMPLE_RATE // frames_per_second
    return np.pad(audio[:length], ((0, max(length - len(audio), 0)), (0, 0)))


def _file_name(shot: str, number: int) -> str:
    """Of a take, from 1 on; no shot's name has a point."""
    return f"{shot}.mp4" if number == 1 else f"{shot}.take{number}.mp4"


def _prompt(dressing: Dressing, of_shot: str) -> str:
    return " ".join(part.strip() for part in (dressing.prompt, of_shot) if part.strip())


def _check_prompts(board: Storyboard, dressing: Dressing) -> None:
    for name, shot in zip(board.names, board.shots, strict=True):
        if not _prompt(dressing, shot.prompt):
            raise BadUse(f"shot {name!r} has no prompt; give --prompt, or `prompt` in the storyboard")


@dataclass(frozen=True, eq=False)
class _Shot:
    """A shot, what it is guided by, and its film."""

    path: Path
    controls: ShotControls
    prompt: str
    dressing: Dressing
    plan: ControlPlan
    take: Take

    @property
    def num_frames(self) -> int:
        return self.controls.about["num_frames"]

    @property
    def length(self) -> int:
        """Frames that the model makes; those after `num_frames` are left out."""
        return self.controls.about["film_frames"]

    @property
    def sound(self) -> Array:
        return fitted_sound(self.take.audio, self.num_frames, self.plan.frames_per_second)

    def told(self) -> list[str]:
        """What was changed so that sound and pictures end together."""
        more = len(self.sound) - len(self.take.audio)
        if not more:
            return []
        what = "of silence after its sound" if more > 0 else "of its sound cut at the end"
        seconds = abs(more) / SAMPLE_RATE
        return [f"{self.controls.name}: {seconds:.4f} s {what}, so that it ends with its pictures"]

    def guide_path(self, kind: str) -> Path:
        """The film of a control."""
        return self.controls.folder / self.controls.about["streams"][kind]["film"]

    def key(self) -> str:
        """A hash of all that its film depends on, but for the libraries and the weights' own bytes."""
        about = [
            __version__,
            self.prompt,
            self.dressing.describe(),
            self.plan.size,
            self.plan.frames_per_second,
        ]
        hashed = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for kind in self.dressing.guides:
            hashed.update(self.guide_path(kind).read_bytes())
        hashed.update(self.sound.tobytes())
        return hashed.hexdigest()

    def is_made(self) -> bool:
        """Whether its film is there, made from the same."""
        try:
            return (
                self.path.is_file()
                and json.loads(sidecar_path(self.path).read_text("utf-8"))["key"] == self.key()
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def request(self) -> Request:
        """What its model is asked for: all frames, guided by the films of its controls."""
        dressing = self.dressing
        guides = tuple(
            Guide(kind, read_film(self.guide_path(kind)).frames, dressing.strength)
            for kind in dressing.guides
        )
        return Request(
            self.prompt, self.length, self.plan.size, self.plan.frames_per_second, guides, dressing.negative,
            dressing.seed, dressing.steps, dressing.guidance,
        )  # fmt: skip

    def make(self, model: Model, on_step: Callable[[], None]) -> None:
        """Its film, with its sound."""
        sidecar_path(self.path).unlink(missing_ok=True)
        film = film_in_pieces(self.dressing.backend, self.request(), lambda asked: model.make(asked, on_step))
        rate, sound = film.frames_per_second, self.sound
        per_frame = SAMPLE_RATE // rate
        with FilmWriter(self.path, rate, SAMPLE_RATE, self.plan.height_width, force=True) as writer:
            for k, frame in enumerate(film.frames[: self.num_frames]):
                writer.write(frame[None], sound[k * per_frame : (k + 1) * per_frame])
        about = {"key": self.key(), "prompt": self.prompt, "dressed": self.dressing.describe()}
        write_sidecar(self.path, {**about, "events": [asdict(event) for event in self.take.events]})


@dataclass
class _Progress:
    """Steps done, of how many; told after each."""

    on_step: Callable[[int, int], None] | None
    total: int = 0
    done: int = 0

    def step(self) -> None:
        self.done += 1
        if self.on_step is not None:
            self.on_step(self.done, self.total)


def _make_missing(
    shots: Sequence[_Shot],
    backend: Backend,
    load: Callable[[], Model],
    progress: _Progress,
) -> list[_Shot]:
    """Make what is not there; which that was."""
    missing = [shot for shot in shots if not shot.is_made()]
    if not missing:
        return []
    model = load()
    steps = missing[0].dressing.steps or model.default_steps
    progress.total += sum(steps * len(backend.limits.pieces(shot.length)) for shot in missing)
    for shot in missing:
        shot.make(model, progress.step)
    return missing


def _judge(
    board: Storyboard,
    plan: ControlPlan,
    shots: Sequence[Sequence[_Shot]],
    out: Path,
    on_frame: Callable[[], None],
) -> list[ShotTakes]:
    """What the takes of all shots came to against the exact film, which is written beside `out`."""
    judgements = []
    for shot, of_board in zip(shots, board.shots, strict=True):
        take = shot[0].take
        filmed = FilmedScenes(take.scenes, take.first, board.frames_per_second, of_board.light)
        exact = exact_film(filmed, plan, board.samples, on_frame)
        films = [(one.dressing.seed, one.path) for one in shot]
        judgements.append(judged(shot[0].controls.name, films, exact, plan.frames_per_second))
    write_takes(takes_path(out), judgements)
    return judgements


def _assembled(
    out: Path,
    board: Storyboard,
    dressing: Dressing,
    shots: Sequence[_Shot],
    made: Sequence[_Shot],
    judgements: Sequence[ShotTakes] | None,
    force: bool,
) -> DressedFilm:
    rate = shots[0].plan.frames_per_second
    sounds = [shot.sound for shot in shots]
    comment = {"generated_by": f"orrery {__version__}", "model": dressing.weights}
    tags = {"title": board.title, "comment": json.dumps(comment)}
    join_films([shot.path for shot in shots], out, sounds, SAMPLE_RATE, force, tags)
    write_wav(out.with_suffix(".wav"), np.concatenate(sounds))
    settings = {"dressed": dressing.describe(), "storyboard": board.model_dump(mode="json")}
    if judgements is None:
        takes_path(out).unlink(missing_ok=True)  # of another film of this name
    else:
        settings["takes"] = {
            one.name: {"number": one.best.number, "seed": one.best.seed} for one in judgements
        }
    write_sidecar(out, {"orrery": __version__, **settings})
    clips = [Clip(shot.controls.name, shot.path, shot.num_frames, shot.take.events) for shot in shots]
    edits = write_timelines(out, board.title, clips, rate)
    told = [line for shot in shots for line in shot.told()]
    unwritable = sorted(set(ADAPTERS) - set(writable(rate)))
    for ending in unwritable:
        out.with_suffix(f".{ending}").unlink(missing_ok=True)  # of another film of this name
    if unwritable:
        told.append(f"no edit as {' or '.join(unwritable)}: timecode knows no {rate} frames a second")
    names_made = {shot.controls.name for shot in made}
    dressed = [
        DressedShot(s.controls.name, s.path, s.controls.name in names_made, s.num_frames, takes)
        for s, takes in zip(shots, judgements or [None] * len(shots), strict=True)
    ]
    seconds = sum(shot.num_frames for shot in shots) / rate
    guides = tuple(shot.guide_path(kind) for shot in shots for kind in dressing.guides)
    controls = tuple(shot.controls for shot in shots)
    return DressedFilm(out, seconds, tuple(dressed), controls, guides, edits, tuple(told))
