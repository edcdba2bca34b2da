"""Episodes from films: `clips:FOLDER` or `clips:FILE`, every shot of every film, on the clock of our worlds.

First all files are looked through: which are films, where they cut, what is still, what comes twice, what
cannot be read. What is left are the episodes. Films are decoded in child processes, so that one that crashes
its decoder costs itself.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from orrery.atomic import write_atomically
from orrery.data.record.clip_reader import read_clip, scan_film
from orrery.data.record.folder import listing, shown
from orrery.data.record.isolation import Isolated
from orrery.data.record.shots import MIN_SECONDS, Clip, FilmScan, Signatures, clips_of
from orrery.data.record.source import OnStep, Request
from orrery.errors import BadUse, UserError, nearest
from orrery.streams import Array, Clock, Episode, StreamSpec, WorldSpec

__all__ = ["ClipsSource"]

SCAN_SECONDS, READ_SECONDS = 3600.0, 600.0
"""How long a film may take to be looked through, and a clip to be read."""
SCAN_VERSION = 2
"""Of what is kept of a film that was looked through."""
MAX_LISTED = 20
_CLOCK = Clock()

Scanner = Callable[[Path], FilmScan]
Reader = Callable[[Path, Clip, Clock, int], tuple[Array, Array | None]]


@dataclass(frozen=True)
class ClipsSource:
    """folder: searched with all folders in it; or one film. scan, read: what decodes; importable, for a child
    calls them.

    clips: file, its size in bytes and the stretch of each episode; skipped: what was left out, and why;
    notes: film to what was changed or chosen in it. All three come from the plan.
    """

    folder: str
    request: Request
    scan: Scanner = scan_film
    read: Reader = read_clip
    clips: tuple[tuple[str, int, Clip], ...] = ()
    has_sound: bool = False
    skipped: dict[str, str] = field(default_factory=dict, hash=False)
    notes: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self._path.exists():
            raise UserError(f"there is no folder and no film {self.folder}")
        if self.request.policy is not None:
            raise BadUse("nobody acts in a clip; leave out --policy")

    @property
    def _path(self) -> Path:
        return Path(self.folder).expanduser()

    @property
    def root(self) -> Path:
        """The folder that its films are named in."""
        return self._path if self._path.is_dir() else self._path.parent

    @property
    def num_episodes(self) -> int:
        """How many there are, None for any number; see `Source`."""
        return len(self.clips)

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this collection from any other; see `Source`."""
        request = self.request
        return {
            "world": f"clips:{shown(self._path.resolve().name)}",
            "seconds": request.seconds,
            **({} if request.min_seconds is None else {"min_seconds": request.min_seconds}),
            "streams": list(request.streams) if request.streams is not None else None,
            "image_size": request.square,
        }

    def spec(self) -> WorldSpec:
        """What its episodes hold; see `Source`."""
        size, asked = self.request.square, self.request.streams
        video = StreamSpec(
            "video.main",
            "video",
            "observed",
            (_CLOCK.frames_per_tick, size, size, 3),
            "uint8",
            "sRGB",
            0,
            255,
        )
        audio = StreamSpec(
            "audio.main", "audio", "observed", (_CLOCK.samples_per_tick, 2), "float32", "full scale", -1, 1
        )
        streams = {stream.name: stream for stream in ([video, audio] if self.has_sound else [video])}
        for name in asked or ():
            if name not in streams:
                hint = ", ".join(nearest(name, streams) or streams)
                raise BadUse(f"these clips have no stream {name!r}; perhaps {hint}")
        spec = WorldSpec(_CLOCK, streams)
        return spec if asked is None else spec.only(asked)

    def open(self) -> _ClipsRecorder:
        """A recorder for one process; see `Source`."""
        return _ClipsRecorder(self)

    def plan(self, cache: Callable[[str], Path], on_step: OnStep) -> dict[str, Any]:
        """Scan all films, in as many child processes as there are cores; see `Planned.plan`."""
        found, request = listing(self._path, cache("")), self.request
        scans = self._scans(found.films, cache, on_step)
        signatures, clips, notes = Signatures(_CLOCK.ticks_per_second), [], {}
        skipped = {shown(name): why for name, why in found.others.items()}
        least = MIN_SECONDS if request.min_seconds is None else request.min_seconds
        for name in found.films:
            scan = scans[name]
            if isinstance(scan, str):
                skipped[shown(name)] = scan
                continue
            refused: Counter[str] = Counter()
            size = (self.root / name).stat().st_size
            cut = clips_of(scan, request.seconds, _CLOCK.ticks_per_second, least)
            for clip in cut:
                why = signatures.refusal(f"{shown(name)} at {clip.start_seconds:.2f} s", scan, clip)
                if why is not None:
                    refused[why] += 1
                    continue
                clips.append([name, size, clip.start_seconds, clip.num_ticks, scan.has_sound])
            if refused or not cut:
                why = _why_refused(refused, len(cut), least)
                skipped[shown(name)] = why if cut or not scan.notes else f"{why} ({scan.notes})"
            told = [scan.notes, _left_over(scan, cut)]
            if any(told) and refused.total() < len(cut):
                notes[shown(name)] = "; ".join(filter(None, told))
        if not clips:
            told = "; ".join(f"{name}: {why}" for name, why in list(skipped.items())[:MAX_LISTED])
            more = f"; and {len(skipped) - MAX_LISTED} more" if len(skipped) > MAX_LISTED else ""
            what = "no clip is left" if found.films or found.num_unreadable else "it holds no films"
            raise UserError(f"{self.folder}: {what}: {told or 'it is empty'}{more}")
        return {"clips": clips, "skipped": skipped, "notes": notes}

    def with_plan(self, plan: Mapping[str, Any]) -> ClipsSource:
        """See `Planned.with_plan`."""
        clips = tuple((name, size, Clip(start, num)) for name, size, start, num, _ in plan["clips"])
        has_sound = any(clip[-1] for clip in plan["clips"])
        told = {"skipped": plan["skipped"], "notes": plan.get("notes", {})}
        return replace(self, clips=clips, has_sound=has_sound, **told)

    def _scans(
        self, names: list[str], cache: Callable[[str], Path], on_step: OnStep
    ) -> dict[str, FilmScan | str]:
        """Film to its scan, or to why it cannot be read."""
        if not names:
            return {}
        children: SimpleQueue[Isolated] = SimpleQueue()
        num_children = min(os.cpu_count() or 1, len(names))
        made = [Isolated(SCAN_SECONDS) for _ in range(num_children)]
        for child in made:
            children.put(child)

        def scan(name: str) -> FilmScan | str:
            child = children.get()
            try:
                return self._scan(child, name, cache)
            except UserError as error:
                return str(error).removeprefix(f"{self.root / name}: ")
            finally:
                children.put(child)

        pool, scans = ThreadPoolExecutor(num_children), dict[str, FilmScan | str]()
        try:
            futures = {pool.submit(scan, name): name for name in names}
            for done, future in enumerate(as_completed(futures), start=1):
                scans[futures[future]] = future.result()
                on_step(done, len(names))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in made:
                child.close()
        return scans

    def _scan(self, child: Isolated, name: str, cache: Callable[[str], Path]) -> FilmScan:
        file = self.root / name
        status = file.stat()
        film = f"{SCAN_VERSION} {name} {status.st_size} {status.st_mtime_ns}"
        key = hashlib.sha256(os.fsencode(film)).hexdigest()[:24]
        kept = cache(f"{key}.npz")
        if kept.is_file():
            with np.load(kept) as seen:
                end, has_sound, notes = (seen[name].item() for name in ("end_seconds", "has_sound", "notes"))
                return FilmScan(seen["seconds"], seen["grey"], end, has_sound, notes)
        scan: FilmScan = child.call(self.scan, file)
        content = io.BytesIO()
        np.savez_compressed(content, **vars(scan))
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, content.getvalue())
        return scan


def _left_over(scan: FilmScan, cut: Sequence[Clip]) -> str:
    """How much of a film is too short for a clip of its own, in words; empty for nothing."""
    seconds = scan.end_seconds - sum(clip.num_ticks for clip in cut) * _CLOCK.tick_seconds
    return f"{seconds:.2f} s at the ends of shots left over" if seconds > 1.5 * _CLOCK.tick_seconds else ""


def _why_refused(refused: Mapping[str, int], num_found: int, min_seconds: float) -> str:
    """Why clips of a film were left out, in words."""
    if not num_found:
        return f"no shot is as long as {'a second' if min_seconds == 1 else f'{min_seconds:g} s'}"
    return "; ".join(f"{n} of {num_found} clips: {why}" for why, n in refused.items())


class _ClipsRecorder:
    def __init__(self, source: ClipsSource) -> None:
        self._source, self._spec = source, source.spec()
        self._child = Isolated(READ_SECONDS)

    def close(self) -> None:
        """End the process that decodes; see `Closable`."""
        self._child.close()

    def episode(self, number: int) -> Episode:
        """Episode `number`; see `Recorder`."""
        name, size, clip = self._source.clips[number]
        file = self._source.root / name
        if not file.is_file():
            raise UserError(f"{shown(str(file))} is no longer there")
        if file.stat().st_size != size:
            raise UserError(
                f"{shown(str(file))} is not the film that was looked through; collect anew in another folder"
            )
        try:
            video, audio = self._child.call(
                self._source.read, file, clip, _CLOCK, self._source.request.square
            )
        except UserError as error:
            raise UserError(f"{shown(name)}: {str(error).removeprefix(f'{file}: ')}") from error
        scene: dict[str, Any] = {"file": shown(name), "start_seconds": clip.start_seconds}
        if audio is None and "audio.main" in self._spec.streams:
            audio = self._spec.streams["audio.main"].zeros(clip.num_ticks)
            scene["absent"] = ["audio.main"]
        streams = {"video.main": video, "audio.main": audio}
        return Episode(self._spec, {n: streams[n] for n in self._spec.streams}, seed=number, scene=scene)
