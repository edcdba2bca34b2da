"""PhyWorld, side by side: velocity error in and out of distribution, over the tracker's own floor.

Measured in one run: the exact world (which gives the floor), constant velocity as the tracker reads it off
the three given pictures, and doing nothing. Writes the tables and the pictures of docs/phyworld.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from harness import EXACT, RESULTS, Subject, number, progress, save, show
from orrery.atomic import write_atomically
from orrery.contact_sheet import contact_sheet
from orrery.errors import UserError
from orrery.evaluation.phyworld import PAPER, case, constant_velocity, do_nothing, exact, measure
from orrery.worlds.phyworld_scenes import FRAME_SECONDS, KINDS

FIRST_SEED = 970_000
METHODS = {EXACT: exact, "constant velocity": constant_velocity, "doing nothing": do_nothing}
COLUMNS = ("", "in distribution", "outside", "outside / in", "in, over its floor", "outside, over its floor")
DOCS = Path(__file__).parent.parent / "docs"
EDGE = 190  # grey, so that white pictures on white paper show where they end
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"


@dataclass
class Settings:
    """num_films: of each world and part. image_size: pixels on each side. docs: folder of phyworld.md."""

    num_films: int = 40
    image_size: int = 128
    results: Path = RESULTS
    docs: Path = DOCS


def measured(settings: Settings) -> dict[str, Any]:
    """kind -> part -> method -> figures (see `measure`)."""
    figures: dict[str, Any] = {}
    for kind in KINDS:
        for part in ("held-out", "outside"):
            seeds = range(FIRST_SEED, FIRST_SEED + settings.num_films)
            cases = [
                case(kind, part, seed, settings.image_size) for seed in progress(seeds, f"{kind} {part}")
            ]
            by_method = {name: measure(cases, method) for name, method in METHODS.items()}
            figures.setdefault(kind, {})[part] = by_method
    return figures


def rows(figures: dict[str, Any], kind: str) -> list[tuple[str, ...]]:
    """Ours, each over our floor of the same part; then the paper's, over the paper's one floor."""
    made = []
    floors = [figures[kind][part][EXACT]["error"] for part in ("held-out", "outside")]
    for method in METHODS:
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


def write_docs(figures: dict[str, Any], settings: Settings, source: Path) -> None:
    """Put the tables between the markers of docs/phyworld.md, and a contact sheet of each world beside it."""
    lines = []
    for kind in KINDS:
        lines += ["", f"**{kind}**", "", "| " + " | ".join(COLUMNS) + " |", "|---" + "|---:" * 5 + "|"]
        lines += ["| " + " | ".join(cells) + " |" for cells in rows(figures, kind)]
        frames = case(kind, "held-out", FIRST_SEED, 256).frames.copy()
        frames[:, [0, -1]] = frames[:, :, [0, -1]] = EDGE
        sheet = settings.docs / f"phyworld-{kind}.png"
        title = f"phyworld:{kind}:held-out, seed {FIRST_SEED}"
        contact_sheet(frames, None, None, sheet, 1 / FRAME_SECONDS, num_frames=12, title=title)
    lines += [
        "",
        f"{settings.num_films} films of each world and part, `benchmarks/results/{source.name}`.",
        "",
    ]
    page = settings.docs / "phyworld.md"
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{page} has no {BEGIN} … {END} for the tables to go between")
    write_atomically(page, (before + begin + "\n".join(lines) + end + after).encode())


def main(settings: Settings) -> None:
    figures = measured(settings)
    path = save("phyworld", Subject(EXACT), {EXACT: figures}, FIRST_SEED, settings.results)
    for kind in KINDS:
        show(f"PhyWorld {kind}: velocity error, units per second", COLUMNS, rows(figures, kind))
    write_docs(figures, settings, path)


if __name__ == "__main__":
    main(tyro.cli(Settings))
