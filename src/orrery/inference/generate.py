"""A sentence becomes a film: any world is reset with it, stepped, and written tick by tick.

The world may be imagined or exact, or both side by side; memory does not grow with the film's length (the
sound of a contact sheet apart).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from orrery import __version__
from orrery.atomic import check_destination
from orrery.errors import BadUse
from orrery.media import FilmSound, FilmWriter, read_image, sidecar_path, write_sidecar
from orrery.media.sheet import ContactSheet
from orrery.streams import Array, Clock, StreamSpec
from orrery.world import Describable, World

__all__ = ["MAX_SECONDS", "FilmResult", "check_request", "film_tags", "make_film"]

MAX_SECONDS = 3600.0
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class FilmResult:
    """A finished film.

    seconds: its length. wall_seconds: from the world's reset to the film's final name.
    sidecar_path: the settings beside it. sheet_path: its contact sheet, or None.
    """

    path: Path
    seconds: float
    wall_seconds: float
    sidecar_path: Path
    sheet_path: Path | None = None

    @property
    def real_time_factor(self) -> float:
        """Seconds of film made in a second; 1 and above is real time."""
        return self.seconds / self.wall_seconds


def check_request(
    seconds: float,
    seed: int,
    out: str | Path,
    image: str | Path | None = None,
    force: bool = False,
    sheet: bool = False,
) -> None:
    """Refuse what no world could film, before any is made; see `make_film` for the arguments.

    Raises BadUse for a number out of range or a name that is no film's, UserError for an `out` that cannot
    be written or would be lost, and for an `image` that is none.
    """
    if not 0 < seconds <= MAX_SECONDS:  # nan is neither
        raise BadUse(f"--seconds {seconds:g}: must be above 0 and at most {MAX_SECONDS:g}")
    if not 0 <= seed <= MAX_SEED:
        raise BadUse(f"--seed {seed}: must be a whole number from 0 to {MAX_SEED}")
    out = Path(out)
    FilmWriter(out, Clock().frames_per_second, None, (2, 2), force)  # checks `out`; writes only when entered
    written = [out, sidecar_path(out), *([_sheet_path(out)] if sheet else [])]
    for path in written[1:]:
        check_destination(path, force)
    if image is not None:
        read_image(image, 16)
        if any(path.exists() and path.samefile(image) for path in written):
            raise BadUse(f"--image {image}: would be overwritten; choose another name for --out")


def make_film(
    world: World,
    prompt: str | None,
    seconds: float,
    seed: int,
    out: str | Path,
    image: str | Path | None = None,
    force: bool = False,
    sheet: bool = False,
    on_tick: Callable[[int, int], None] | None = None,
    sidecar_values: Mapping[str, Any] | None = None,
) -> FilmResult:
    """Film `world` (one world, B = 1) from its reset on; the film appears complete or not at all.

    seconds: rounded to whole frames, at least one; the sound ends with the last frame.
    out: ends in `.mp4`; settings go to the `.json`, and a contact sheet (`sheet`) to the `.png`, beside it.
    image: a picture for the first tick's frames, for a world that takes given streams.
    force: replace what is there. on_tick: called with (ticks done, ticks in all).
    sidecar_values: further plain values for the sidecar, such as which model it was. The MP4 says itself that
    it was generated, from what: the prompt is its title, and its comment is JSON (`generated_by`, `model` or
    `world`, `prompt`, `seed`).

    Raises as `check_request`, ValueError for a world without `video.main` or of another batch size.
    """
    check_request(seconds, seed, out, image, force, sheet)
    if world.num_worlds != 1 or "video.main" not in world.spec.streams:
        raise ValueError("a film needs one world with a video.main stream")
    out, clock, video = Path(out), world.spec.clock, world.spec.streams["video.main"]
    fps = clock.frames_per_second
    num_frames = round(seconds * fps)
    if num_frames < 1:
        raise BadUse(f"--seconds {seconds:g}: less than one frame; give at least {1 / fps:.3f}")
    given = None if image is None else {"video.main": _standing(image, video)}
    sound = FilmSound(clock.samples_per_second) if "audio.main" in world.spec.streams else None
    rate = sound.samples_per_second if sound is not None else None
    page = ContactSheet(num_frames, fps, rate, title=prompt) if sheet else None
    writer = FilmWriter(
        out,
        fps,
        rate,
        (video.shape[1], video.shape[2]),
        force,
        tags=film_tags(prompt, seed, sidecar_values or {}),
    )
    started = time.perf_counter()
    ticks = _ticks(world, prompt, seed, given, num_frames, sound)
    first = next(ticks)  # a world refuses a sentence here, before there is a file
    with writer:
        for done, (frames, audio) in enumerate(chain([first], ticks), start=1):
            writer.write(frames, audio)
            if page is not None:
                page.add(frames, audio)
            if on_tick is not None:
                on_tick(done, math.ceil(num_frames / clock.frames_per_tick))
    wall_seconds = time.perf_counter() - started
    about = {"prompt": prompt, "seed": seed, "num_frames": num_frames, "seconds": num_frames / fps}
    sidecar = write_sidecar(out, {**_settings(world, image), **about, **(sidecar_values or {})})
    if page is not None:
        page.ticks = tuple(_impact_seconds(world))
        page.save(_sheet_path(out))
    return FilmResult(out, num_frames / fps, wall_seconds, sidecar, _sheet_path(out) if page else None)


_Tick = tuple[Array, Array | None]
"""Frames `[T, H, W, 3]` and samples `[N, 2]`."""


def _ticks(
    world: World,
    prompt: str | None,
    seed: int,
    given: dict[str, Array] | None,
    num_frames: int,
    sound: FilmSound | None,
) -> Iterator[_Tick]:
    """What is seen and heard, tick after tick; the last is cut so that `num_frames` come in all."""
    clock = world.spec.clock
    observation = world.reset(seed=seed, prompt=prompt, given=given)
    while True:
        frames = observation["video.main"][0]
        is_last = num_frames <= len(frames)
        audio = None
        if sound is not None:
            num_samples = round(num_frames * clock.samples_per_second / clock.frames_per_second)
            audio = sound.resampled(observation["audio.main"][0][: num_samples if is_last else None])
            audio = np.concatenate([audio, sound.rest()]) if is_last else audio
        yield frames[:num_frames], audio
        if is_last:
            return
        num_frames -= len(frames)
        observation = world.step()


def _settings(world: World, image: str | Path | None) -> dict[str, Any]:
    """What the film depends on apart from the sentence, as plain values."""
    return {
        "orrery": __version__,
        "clock": vars(world.spec.clock).copy(),
        "size": list(world.spec.streams["video.main"].shape[1:3]),
        "image_sha256": None if image is None else hashlib.sha256(Path(image).read_bytes()).hexdigest(),
    }


def film_tags(prompt: str | None, seed: int, about: Mapping[str, Any]) -> dict[str, str]:
    """What the film says of itself to whoever gets it without its sidecar."""
    origin = {name: about[name] for name in ("model", "world") if name in about}
    values = {"generated_by": f"orrery {__version__}", **origin, "prompt": prompt, "seed": seed}
    return {"title": prompt or "", "comment": json.dumps(values, ensure_ascii=False)}


def _standing(image: str | Path, video: StreamSpec) -> Array:
    """The picture as every frame of one tick, `[1, 1, T, H, W, 3]`; the picture is cut to a square."""
    frames, height, width, _ = video.shape
    if height != width:
        raise BadUse(f"--image: this world's picture is {width}x{height}, and only square ones can be given")
    return np.tile(read_image(image, height), (1, 1, frames, 1, 1, 1))


def _impact_seconds(world: World) -> Iterator[float]:
    if isinstance(world, Describable):
        yield from (event.seconds for event in world.events(0) if event.kind == "impact")


def _sheet_path(out: Path) -> Path:
    return out.with_suffix(".png")
