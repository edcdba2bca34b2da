"""PhyWorld, side by side: velocity error in and out of distribution, over the tracker's own floor.

Measured in one run: the exact world (which gives the floor), constant velocity as the tracker reads it off
the three given pictures, and doing nothing; with `--model CHECKPOINT` also a learned world, on the one that
it was learned from. Writes the tables and the pictures of docs/phyworld.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from harness import EXACT, RESULTS, Subject, number, progress, save, show
from orrery.atomic import write_atomically
from orrery.checkpoint import load_checkpoint
from orrery.errors import UserError
from orrery.evaluation.phyworld import (
    PAPER,
    Case,
    Continue,
    case,
    constant_velocity,
    do_nothing,
    exact,
    imagined,
    measure,
)  # fmt: skip
from orrery.inference.imagined import load_world
from orrery.media.sheet import contact_sheet
from orrery.models.trained import KIND
from orrery.registry import resolve_model
from orrery.streams import Array
from orrery.worlds.phyworld.scenes import FRAME_SECONDS, KINDS

FIRST_SEED = 970_000
METHODS: dict[str, Continue] = {
    EXACT: exact, "constant velocity": constant_velocity, "doing nothing": do_nothing
}  # fmt: skip
COLUMNS = ("", "in distribution", "outside", "outside / in", "in, over its floor", "outside, over its floor")
DOCS = Path(__file__).parent.parent / "docs"
EDGE = 190  # grey, so that white pictures on white paper show where they end


@dataclass
class Settings:
    """num_films: of each world and part. image_size: pixels on each side; a model's films have its own size.
    model: a checkpoint, measured on its world alone. docs: folder of phyworld.md."""

    num_films: int = 40
    image_size: int = 128
    model: str = EXACT
    results: Path = RESULTS
    docs: Path = DOCS


@dataclass
class Measured:
    """What is measured: worlds by kind, at `image_size`, and ways to go on by name. about: of a model."""

    kinds: tuple[str, ...]
    image_size: int
    methods: dict[str, Continue]
    about: str = ""

    def case(self, kind: str, part: str, seed: int) -> Case:
        return case(kind, part, seed, self.image_size)


def what_is_measured(settings: Settings) -> Measured:
    """All worlds, or a model's own, with the model beside the rest."""
    if settings.model == EXACT:
        return Measured(KINDS, settings.image_size, METHODS)
    folder = resolve_model(settings.model)
    kind, about = described(folder)
    world = load_world(folder)
    ours = {"our model": imagined(world)}
    if "state" in world.spec.streams:
        ours |= {
            "our model, its states drawn exactly": imagined(world, drawn_exactly=True),
            "the same, given the first states": imagined(world, drawn_exactly=True, given_states=True),
        }
    return Measured((kind,), world.spec.streams["video.main"].shape[1], METHODS | ours, about)


def described(folder: Path) -> tuple[str, str]:
    """The kind of PhyWorld that a checkpoint was learned from, and in how long, in a sentence."""
    checkpoint = load_checkpoint(folder, KIND)
    made = checkpoint.config["provenance"]
    name = made["data"]["collect"].get("world", "nothing known")
    kind = name.removeprefix("phyworld:").partition(":")[0]
    if not name.startswith("phyworld:") or kind not in KINDS:
        raise UserError(f"{folder} was learned from {name}, where a world of PhyWorld is needed")
    size = sum(value.numel() for value in checkpoint.tensors["world"].values()) / 1e6
    return kind, (
        f"Our model: {size:.1f} M parameters, {made['data']['episodes']} films, "
        f"{sum(made['minutes'].values()):.0f} minutes on {made['hardware']}, commit `{made['commit'][:7]}`."
    )


def measured(what: Measured, num_films: int) -> dict[str, Any]:
    """kind -> part -> method -> figures (see `measure`)."""
    figures: dict[str, Any] = {}
    for kind in what.kinds:
        for part in ("held-out", "outside"):
            seeds = range(FIRST_SEED, FIRST_SEED + num_films)
            cases = [what.case(kind, part, seed) for seed in progress(seeds, f"{kind} {part}")]
            by_method = {name: measure(cases, method) for name, method in what.methods.items()}
            figures.setdefault(kind, {})[part] = by_method
    return figures


def rows(figures: dict[str, Any], kind: str) -> list[tuple[str, ...]]:
    """Ours, each over our floor of the same part; then the paper's, over the paper's one floor."""
    made = []
    floors = [figures[kind][part][EXACT]["error"] for part in ("held-out", "outside")]
    for method in figures[kind]["held-out"]:
        errors = [figures[kind][part][method]["error"] for part in ("held-out", "outside")]
        name = "exact world: our floor" if method == EXACT else method
        made.append(row(name, errors[0], errors[1], floors[0], floors[1]))
    paper = PAPER[kind]
    made.append(row("paper: its floor", paper.floor, None, paper.floor, paper.floor))
    made.append(row("paper: DiT-S, 30K films", paper.small[0], None, paper.floor, paper.floor))
    made.append(row("paper: DiT-L, 30K films", paper.large[0], None, paper.floor, paper.floor))
    made.append(row("paper: DiT-L, 3M films", paper.large[2], paper.outside, paper.floor, paper.floor))
    return made


def row(
    name: str, inside: float, outside: float | None, floor: float, floor_outside: float
) -> tuple[str, ...]:
    ratio = None if outside is None else outside / inside
    over = None if outside is None else outside / floor_outside
    return (name, *map(number, (inside, outside, ratio, inside / floor, over)))


def write_docs(figures: dict[str, Any], what: Measured, settings: Settings, source: Path) -> None:
    """Put each world's table between its markers in docs/phyworld.md, and contact sheets beside it."""
    page = settings.docs / "phyworld.md"
    text = page.read_text("utf-8")
    for kind in what.kinds:
        lines = ["", f"**{kind}**", "", "| " + " | ".join(COLUMNS) + " |", "|---" + "|---:" * 5 + "|"]
        lines += ["| " + " | ".join(cells) + " |" for cells in rows(figures, kind)]
        films = f"{settings.num_films} films of each part, `benchmarks/results/{source.name}`. {what.about}"
        lines += ["", films.strip(), ""]
        begin, end = f"<!-- figures {kind} -->", f"<!-- /figures {kind} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise UserError(f"{page} has no {begin} … {end} for the table to go between")
        text = before + begin + "\n".join(lines) + end + after
        draw_sheets(kind, what, settings.docs)
    write_atomically(page, text.encode())


def draw_sheets(kind: str, what: Measured, docs: Path) -> None:
    """A contact sheet of an exact film, and, of a model, of its own with the same beginning."""
    title = f"phyworld:{kind}:held-out, seed {FIRST_SEED}"
    if "our model" in what.methods:
        one = what.case(kind, "held-out", FIRST_SEED)
        frames = np.concatenate([one.given, what.methods["our model"](one)])
        draw_sheet(
            frames, docs / f"phyworld-{kind}-imagined.png", f"{title}, imagined from its first 3 frames"
        )
    else:
        draw_sheet(case(kind, "held-out", FIRST_SEED, 256).frames, docs / f"phyworld-{kind}.png", title)


def draw_sheet(frames: Array, path: Path, title: str) -> None:
    frames = frames.copy()
    frames[:, [0, -1]] = frames[:, :, [0, -1]] = EDGE
    contact_sheet(frames, None, None, path, 1 / FRAME_SECONDS, num_frames=12, title=title)


def main(settings: Settings) -> None:
    what, subject = what_is_measured(settings), Subject(settings.model)
    figures = measured(what, settings.num_films)
    named = {EXACT if subject.is_exact else "figures": figures}
    name = "phyworld" if subject.is_exact else f"phyworld-{what.kinds[0]}"
    path = save(name, subject, named, FIRST_SEED, settings.results)
    for kind in what.kinds:
        show(f"PhyWorld {kind}: velocity error, units per second", COLUMNS, rows(figures, kind))
    write_docs(figures, what, settings, path)


if __name__ == "__main__":
    main(tyro.cli(Settings))
