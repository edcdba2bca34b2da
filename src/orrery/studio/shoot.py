"""From a storyboard to a film: each shot acted out, drawn, and put after the other.

A shot's film lies beside the whole one, with its sound and what came of it, under a hash of all that it
depends on. A shot whose hash is as it was is not drawn again, and its bytes stay as they were.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from orrery import __version__
from orrery.atomic import check_destination, disk_failure
from orrery.errors import BadUse
from orrery.media import FilmWriter, sidecar_path, write_sidecar
from orrery.media.join import join_films
from orrery.studio.shots import Storyboard
from orrery.studio.soft import SoftLook, SoftSettings
from orrery.studio.sound import SAMPLE_RATE, write_wav
from orrery.studio.take import Take, takes
from orrery.studio.timeline import ADAPTERS, Clip, write_timelines
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene

__all__ = ["BoardFilm", "ShotFilm", "shoot", "shots_folder"]


@dataclass(frozen=True)
class ShotFilm:
    """One shot of a finished film. path: its own film. was_made: whether it was drawn now, and was not there
    as it is. take: what was acted out."""

    name: str
    path: Path
    was_made: bool
    take: Take


@dataclass(frozen=True)
class BoardFilm:
    """A finished film. edits: names of the files that hold its edit, each with what its format drops."""

    path: Path
    seconds: float
    shots: tuple[ShotFilm, ...]
    edits: Mapping[str, tuple[str, ...]]


def shots_folder(out: str | Path) -> Path:
    """Where the shots of a film are: `film.shots` beside `film.mp4`."""
    return Path(out).with_suffix(".shots")


def shoot(
    board: Storyboard,
    out: str | Path,
    force: bool = False,
    on_frame: Callable[[int, int], None] | None = None,
) -> BoardFilm:
    """Make a storyboard's film: `out` (an MP4); beside it its sound as a WAV (48 kHz, float32), its settings
    as JSON, and its edit (see `timeline`); and each shot in `shots_folder(out)`.

    force: replace a film that is there. on_frame: called with (frames drawn, frames to draw). The film
    appears complete or not at all; shots that are finished are kept whatever happens. Raises BadUse and
    UserError before anything is drawn.
    """
    out = Path(out)
    if out.suffix.lower() != ".mp4":
        raise BadUse(f"{out}: a film is an MP4; end its name in .mp4")
    beside = [out.with_suffix(f".{ending}") for ending in ("wav", *ADAPTERS)]
    for path in (out, sidecar_path(out), *beside):
        check_destination(path, force)
    acted = takes(board)
    folder = shots_folder(out)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise disk_failure(folder, error) from error
    shots = [
        _Shot(
            folder / f"{name}.mp4", take, SoftSettings(board.width_height, board.samples, shot.light), board
        )
        for name, take, shot in zip(board.names, acted, board.shots, strict=True)
    ]
    missing = [shot for shot in shots if not shot.is_made()]
    total, done = sum(len(shot.take.scenes) for shot in missing), 0
    for shot in missing:
        for _ in shot.make():
            done += 1
            if on_frame is not None:
                on_frame(done, total)
    sounds = [take.audio for take in acted]
    tags = {"title": board.title, "comment": json.dumps({"generated_by": f"orrery {__version__}"})}
    join_films([shot.path for shot in shots], out, sounds, SAMPLE_RATE, force, tags)
    write_wav(out.with_suffix(".wav"), np.concatenate(sounds))
    write_sidecar(out, {"orrery": __version__, "storyboard": board.model_dump(mode="json")})
    clips = [
        Clip(name, shot.path, len(shot.take.scenes), shot.take.events)
        for name, shot in zip(board.names, shots, strict=True)
    ]
    edits = write_timelines(out, board.title, clips, board.frames_per_second)
    films = [
        ShotFilm(name, shot.path, shot in missing, shot.take)
        for name, shot in zip(board.names, shots, strict=True)
    ]
    seconds = sum(clip.num_frames for clip in clips) / board.frames_per_second
    return BoardFilm(out, seconds, tuple(films), edits)


@dataclass(frozen=True, eq=False)
class _Shot:
    """A shot, how it is drawn, and its files."""

    path: Path
    take: Take
    settings: SoftSettings
    board: Storyboard

    @cached_property
    def key(self) -> str:
        """A hash of all that its film depends on, but for the libraries: those are as installed."""
        take = self.take
        looks = {name: [look.material, look.colour] for name, look in take.first.looks.items()}
        about = [
            __version__, self.board.frames_per_second, asdict(self.settings), take.scene.to_json(), looks,
            _where(take.first, 0),
        ]  # fmt: skip
        hashed = hashlib.sha256(json.dumps(about, sort_keys=True, default=list).encode())
        for scene in take.scenes:
            for values in (scene.positions_m, scene.quaternions, *_where(scene, 0)):
                hashed.update(np.ascontiguousarray(values, np.float32).tobytes())
        hashed.update(take.audio.tobytes())
        return hashed.hexdigest()

    def is_made(self) -> bool:
        """Whether its film is there, made from the same."""
        sidecar = sidecar_path(self.path)
        if not (self.path.is_file() and sidecar.is_file()):
            return False
        try:
            return json.loads(sidecar.read_text("utf-8"))["key"] == self.key
        except (ValueError, KeyError, TypeError):
            return False

    def make(self) -> Iterator[None]:
        """Draw it, frame by frame."""
        take, rate = self.take, self.board.frames_per_second
        sidecar_path(self.path).unlink(missing_ok=True)
        look = SoftLook(self.settings)
        look.place_lights(take.first)
        width, height = look.size
        per_frame = SAMPLE_RATE // rate
        with FilmWriter(self.path, rate, SAMPLE_RATE, (height, width), force=True) as writer:
            for k, scene in enumerate(take.scenes):
                writer.write(look.draw(scene), take.audio[k * per_frame : (k + 1) * per_frame])
                yield
        write_wav(self.path.with_suffix(".wav"), take.audio)
        came_of_it = {"events": [asdict(e) for e in take.events], "led": [asdict(led) for led in take.led]}
        write_sidecar(self.path, {"key": self.key, **came_of_it, "scene": take.scene.to_json()})


def _where(scene: MujocoScene, frame: int) -> list[list[float]]:
    """The camera of a frame: its pose, what it looks at, its focus and its lens."""
    assert scene.focus_m is not None
    assert scene.lens_radius_m is not None
    lens = [scene.focus_m[frame], scene.lens_radius_m[frame]]
    return [[float(v) for v in values] for values in (scene.cameras[frame], scene.subjects_m[frame], lens)]
