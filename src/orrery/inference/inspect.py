"""What is this? A film, a dataset or a checkpoint says what is in it, and is read to the end to be sure.

A summary is a list of facts in words; what could not be read is a list beside it, so that one damaged
episode does not hide the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orrery.atomic import check_destination, write_atomically
from orrery.checkpoint import checkpoint_hash, load_checkpoint
from orrery.errors import BadUse, UserError
from orrery.media import film_header, iterate_film, sidecar_path
from orrery.media.sheet import ContactSheet
from orrery.streams import Array, Clock

if TYPE_CHECKING:
    from orrery.data.dataset import Dataset

__all__ = ["Summary", "inspect", "inspect_checkpoint", "inspect_dataset", "inspect_film"]

OnStep = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""
NUM_SAMPLE_CAPTIONS = 5
NUM_LEFT_OUT = 20


@dataclass
class Summary:
    """What something is.

    kind: `film`, `dataset` or `checkpoint`. facts: (name, value) in words, in order. problems: what could not
    be read. sheet_path: the contact sheet that was drawn, or None.
    """

    kind: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sheet_path: Path | None = None


def inspect(
    path: str | Path,
    out: str | Path | None = None,
    force: bool = False,
    episode: int = 0,
    verify: bool = True,
    on_step: OnStep | None = None,
    page: str | Path | None = None,
) -> Summary:
    """What `path` is; a contact sheet of a film, or of a dataset's `episode`, is drawn as a PNG.

    out: where the sheet goes; None for beside `path`, where an existing file is kept unless `force`.
    verify: check every file of a dataset against its checksum, and read every episode, all streams. page: an
    HTML page of a dataset to write, which `force` replaces. on_step: called with (steps done, steps in all).
    Raises UserError for what is none of the three, or damaged as a whole; BadUse for an episode that is not
    there.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: there is no such film, dataset or checkpoint")
    if page is not None and not (path / "meta").is_dir() and not (path / ".part").is_dir():
        raise BadUse(f"{path} is no dataset; only of these a page is made, so leave out --page")
    if path.is_dir():
        if (path / "config.json").is_file():
            return inspect_checkpoint(path)
        if not (path / "meta").is_dir() and not (path / ".part").is_dir():
            raise UserError(
                f"{path}: neither a dataset (no meta/info.json) nor a checkpoint (no config.json)"
            )
    sheet = _Destination(path, None if out is None else Path(out), force)
    if path.is_dir():
        return inspect_dataset(path, sheet, episode, verify, on_step, _page_path(page, force))
    return inspect_film(path, sheet, on_step)


def _page_path(page: str | Path | None, force: bool) -> Path | None:
    if page is None:
        return None
    if Path(page).suffix.lower() not in (".html", ".htm"):
        raise BadUse(f"{page}: a page is HTML; end its name in .html")
    check_destination(Path(page), force)
    return Path(page)


class _Destination:
    """Where a contact sheet goes, and why it goes nowhere if it does not."""

    def __init__(self, subject: Path, out: Path | None, force: bool) -> None:
        whole = subject.resolve()
        self.path = out or (
            whole.with_name(f"{whole.name}.png") if subject.is_dir() else subject.with_suffix(".png")
        )
        self.refusal = ""
        if self.path.suffix.lower() != ".png":
            raise BadUse(f"{self.path}: a contact sheet is a PNG; end its name in .png")
        try:
            check_destination(self.path, force)
        except UserError as error:
            if out is not None:
                raise
            self.refusal = f"not drawn: {error}"

    def save(self, sheet: ContactSheet, summary: Summary) -> None:
        if not self.refusal:
            summary.sheet_path = sheet.save(self.path)
        summary.facts.append(("contact sheet", self.refusal or str(self.path)))


@dataclass
class _Levels:
    """Peak and mean power of a sound that comes in pieces."""

    peak: float = 0.0
    energy: float = 0.0
    num_values: int = 0

    def add(self, audio: Array) -> None:
        """audio: `[N, channels]`, full scale = 1."""
        self.peak = max(self.peak, float(np.abs(audio).max(initial=0)))
        self.energy += float(np.square(audio, dtype=np.float64).sum())
        self.num_values += audio.size

    def __str__(self) -> str:
        if not self.peak:
            return "silent"
        rms = np.sqrt(self.energy / self.num_values)
        return f"peak {20 * np.log10(self.peak):.1f} dBFS, RMS {20 * np.log10(rms):.1f} dBFS"


def inspect_film(path: Path, sheet: _Destination, on_step: OnStep | None = None) -> Summary:
    """A film's streams, length and levels. It is decoded twice: to count, then to draw what was counted."""
    summary, header = Summary("film"), film_header(path)
    num_frames, levels, shape = 0, _Levels(), (0, 0, 3)
    for frame, audio in iterate_film(path):
        num_frames, shape = num_frames + 1, frame.shape
        if audio is not None:
            levels.add(audio)
        if on_step is not None:
            on_step(num_frames, max(num_frames, header.num_frames))
    seconds, rate = num_frames / header.frames_per_second, header.samples_per_second
    made_by = _sidecar(path)
    summary.facts += [
        ("duration", f"{seconds:.3f} s, {num_frames} frames"),
        ("picture", f"{shape[1]}x{shape[0]}, {header.frames_per_second:g} frames/s"),
        ("sound", f"{rate:,} samples/s, {levels}" if rate else "none"),
        ("size", f"{_bytes(path.stat().st_size)}, {path.stat().st_size * 8e-3 / seconds:.0f} kbit/s"),
        *((name, _short(made_by[name])) for name in _TOLD if name in made_by),
    ]
    if not sheet.refusal:
        title = made_by.get("prompt")
        page = ContactSheet(
            num_frames, header.frames_per_second, rate, title=_short(title) if title else None
        )
        for frame, audio in iterate_film(path):
            page.add(frame[None], audio)
        sheet.save(page, summary)
    else:
        summary.facts.append(("contact sheet", sheet.refusal))
    return summary


_TOLD = ("prompt", "seed", "world", "model", "checkpoint", "orrery")
"""What of a film's sidecar is told."""


def _sidecar(film: Path) -> dict[str, Any]:
    """The film's settings; empty where there are none, or a file of that name that is something else."""
    with suppress(OSError, ValueError, RecursionError):
        values = json.loads(sidecar_path(film).read_text("utf-8"))
        if isinstance(values, dict) and "seed" in values:
            return values
    return {}


def inspect_dataset(
    path: Path,
    sheet: _Destination,
    episode: int,
    verify: bool,
    on_step: OnStep | None = None,
    page: Path | None = None,
) -> Summary:
    """A dataset's length, streams and sentences; every file and episode is read, and one is drawn."""
    from orrery.data.checksums import read_sums
    from orrery.data.dataset import Dataset
    from orrery.data.verify import verify as verify_files

    try:
        dataset = Dataset(path)
        summary = Summary("dataset", _dataset_facts(dataset))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: its meta/info.json lacks what a dataset has ({error!r}); collect or download it again"
        ) from error
    if verify:
        faults = verify_files(path, on_step)
        summary.problems += [str(fault) for fault in faults]
        good = "as they were written" if read_sums(path) else "footers and lengths are right; no SHA256SUMS"
        summary.facts.append(("files", f"{len(faults)} damaged" if faults else good))
        num_read = 0
        for number in _steps(dataset.num_episodes, on_step):
            try:
                dataset.episode(number).check()
                num_read += 1
            except (UserError, ValueError) as error:
                summary.problems.append(f"episode {number}: {error}")
        summary.facts.append(("read", f"{num_read} of {dataset.num_episodes} episodes"))
    if dataset.spec.of_kind("video"):
        _draw_episode(dataset, episode, sheet, summary)
    summary.problems += dataset.problems
    if page is not None:
        from orrery.inference.dataset_page import dataset_page

        content = dataset_page(dataset, summary.facts, summary.problems, on_step=on_step)
        write_atomically(page, content.encode())
        summary.facts.append(("page", str(page)))
    return summary


def _steps(num_steps: int, on_step: OnStep | None) -> Iterator[int]:
    for step in range(num_steps):
        yield step
        if on_step is not None:
            on_step(step + 1, num_steps)


def _dataset_facts(dataset: Dataset) -> list[tuple[str, str]]:
    clock, readable = dataset.spec.clock, dataset.readable
    seconds = sum(dataset.num_ticks(number) for number in readable) * clock.tick_seconds
    files = [file for file in dataset.path.rglob("*") if file.is_file()]
    streams = [f"{name} {list(spec.shape)} {spec.dtype}" for name, spec in dataset.spec.streams.items()]
    settings = (f"{name} {value}" for name, value in dataset.settings.items() if value is not None)
    return [
        ("episodes", f"{dataset.num_episodes}, {seconds / 3600:.3f} hours"),
        ("size", f"{_bytes(sum(file.stat().st_size for file in files))} in {len(files)} files"),
        ("clock", _clock(clock)),
        ("streams, each tick", "\n".join(streams)),
        ("collected with", ", ".join(settings)),
        ("sentences", "\n".join(dataset.text(number) for number in readable[:NUM_SAMPLE_CAPTIONS])),
        *([("notes", _listed(dataset.notes()))] if dataset.notes() else []),
        ("left out", _listed(dataset.left_out())),
    ]


def _listed(told: Mapping[str, str]) -> str:
    """How many there are, and what is said of each."""
    lines = [f"{name}: {words}" for name, words in told.items()]
    more = [f"and {len(lines) - NUM_LEFT_OUT} more (meta/plan.json)"] if len(lines) > NUM_LEFT_OUT else []
    return "\n".join([str(len(lines)), *lines[:NUM_LEFT_OUT], *more]) if lines else "nothing"


def _clock(clock: Clock) -> str:
    return (
        f"{clock.frames_per_second} frames/s, {clock.frames_per_tick} frames a tick, "
        f"{clock.samples_per_second:,} samples/s"
    )


def _draw_episode(dataset: Dataset, number: int, sheet: _Destination, summary: Summary) -> None:
    """The contact sheet of one episode, impacts marked."""
    clock = dataset.spec.clock
    name = dataset.spec.of_kind("video")[0].name
    sound = [spec.name for spec in dataset.spec.of_kind("audio")][:1]
    try:
        streams = dataset.load(number, [name, *sound])
    except BadUse:
        raise
    except UserError as error:
        summary.facts.append(("contact sheet", f"not drawn: {error}"))
        return
    frames = streams[name].reshape(-1, *streams[name].shape[2:])
    audio = streams[sound[0]].reshape(-1, streams[sound[0]].shape[-1]) if sound else None
    page = ContactSheet(
        len(frames),
        clock.frames_per_second,
        clock.samples_per_second if sound else None,
        title=f"episode {number}: {dataset.text(number)}",
        ticks=[event.seconds for event in dataset.events(number) if event.kind == "impact"],
    )
    page.add(frames, audio)
    sheet.save(page, summary)


def inspect_checkpoint(path: Path) -> Summary:
    """A checkpoint's config, parameter counts and card; all that it vouches for is read and checked."""
    checkpoint = load_checkpoint(path)
    config, facts = checkpoint.config, [("kind", str(checkpoint.config["kind"]))]
    counts = {
        name: sum(tensor.numel() for tensor in tensors.values())
        for name, tensors in checkpoint.tensors.items()
    }
    groups = [f"{name} {count:,}" for name, count in counts.items()]
    files = config["files"]
    facts += [
        ("parameters", "\n".join([f"{sum(counts.values()):,} in all", *groups])),
        ("size", f"{_bytes(sum(entry['bytes'] for entry in files.values()))} in {len(files)} files"),
        ("SHA-256", checkpoint_hash(path)),
    ]
    hidden = ("kind", "files", "format")
    facts += [(name, _short(value)) for name, value in config.items() if name not in hidden]
    card = next((name for name in files if name.lower().endswith(".md")), None)
    if card is not None:
        facts.append(("card", (path / card).read_text("utf-8", errors="replace").strip()))
    return Summary("checkpoint", facts)


def _short(value: Any, max_characters: int = 400) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= max_characters else f"{text[:max_characters]} …"


def _bytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
