"""A contact sheet of every scene family of the laboratory, for docs/laboratory.md: moments of one scene in
each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image, ImageDraw

from orrery.worlds.laboratory.drawing import LabRequest
from orrery.worlds.laboratory.families import FAMILIES, sample_laboratory
from orrery.worlds.laboratory.world import LaboratoryWorld


@dataclass
class Settings:
    """out: the picture. seed: of the first family's scene; each further one adds 1. moments: ticks shown."""

    out: Path = Path(__file__).parent.parent / "docs" / "laboratory.jpg"
    seed: int = 6
    size: int = 128
    moments: tuple[int, ...] = (0, 4, 8, 13, 24)


def row(world: LaboratoryWorld, family: str, seed: int, settings: Settings) -> Image.Image:
    """One family's scene at its moments, its name on the first."""
    scene = sample_laboratory(np.random.default_rng(seed), LabRequest(family))
    ticks = [world.reset(seed, scene=scene), *(world.step() for _ in range(max(settings.moments)))]
    strip = Image.fromarray(
        np.concatenate([ticks[moment]["video.main"][0, -1] for moment in settings.moments], axis=1)
    )
    ImageDraw.Draw(strip).text((4, 2), family, fill="white", stroke_width=1, stroke_fill="black")
    return strip


def main(settings: Settings) -> None:
    world = LaboratoryWorld(streams=["video.main"], image_size=settings.size)
    rows = [row(world, f, settings.seed + k, settings) for k, f in enumerate(FAMILIES)]
    half = (len(rows) + 1) // 2
    width, height = rows[0].size
    sheet = Image.new("RGB", (2 * width + 8, half * height), "white")
    for index, strip in enumerate(rows):
        sheet.paste(strip, ((width + 8) * (index // half), height * (index % half)))
    sheet.save(settings.out, quality=85)


if __name__ == "__main__":
    main(tyro.cli(Settings))
