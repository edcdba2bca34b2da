"""Films by formula: discs before a wall, with a click at each hit, as nobody's camera would film them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from orrery.evaluation.film.report import FilmReport
from orrery.streams import Array

FPS, RATE = 24, 24_000
HEIGHT, WIDTH = 192, 256
GROUND = 160.0
SECONDS = 3.0


@dataclass
class Disc:
    """path: `[n, 2]` pixels, across and down; what is not finite is not drawn. radius, colour: of each
    picture, `[n]` and `[n, 3]`, or the same for all."""

    path: Array
    radius: float | Array = 12.0
    colour: tuple[int, int, int] | Array = (200, 40, 40)


Film = Callable[..., Path]
Report = Callable[..., FilmReport]


def instants(seconds: float = SECONDS) -> Array:
    return np.arange(round(seconds * FPS)) / FPS


def wall(height: int = HEIGHT, width: int = WIDTH) -> Array:
    """A quiet wall above a floor, with edges that a camera's motion can be told by."""
    rng = np.random.default_rng(3)
    rough = cv2.resize(rng.uniform(120, 170, (12, 16)), (width, height), interpolation=cv2.INTER_CUBIC)
    picture = np.repeat(rough[..., None], 3, 2) * [1.0, 0.95, 0.85]
    picture[int(GROUND / HEIGHT * height) :] *= 0.6
    for _ in range(width // 4):
        x, y = rng.integers(width), rng.integers(height)
        picture[y : y + rng.integers(3, 9), x : x + rng.integers(3, 14)] *= rng.uniform(0.75, 1.2)
    return picture.clip(0, 255).astype(np.uint8)


def drawn(discs: Sequence[Disc], background: Array, num: int) -> Array:
    """Pictures `[num, H, W, 3]`, smooth to an eighth of a pixel."""
    pictures = np.repeat(background[None], num, 0)
    for disc in discs:
        radii = np.broadcast_to(disc.radius, num)
        colours = np.broadcast_to(disc.colour, (num, 3))
        for picture, place, radius, colour in zip(pictures, disc.path, radii, colours, strict=True):
            if np.isfinite(place).all():
                centre = tuple(round(8 * float(value)) for value in place)
                cv2.circle(picture, centre, int(8 * radius), colour.tolist(), -1, cv2.LINE_AA, 3)
    return pictures


def bouncing(
    seconds: Array, x: float = 60.0, speed: float = 35.0, drop: float = 100.0, fall: float = 900.0,
    keeps: float = 0.7, radius: float = 12.0,
) -> tuple[Array, list[float]]:  # fmt: skip
    """The path `[n, 2]` of a disc that falls and bounces, and when it lands."""
    height, landings = np.zeros(len(seconds)), []
    start, up, base = 0.0, 0.0, drop
    end = float(np.sqrt(2 * drop / fall))
    for _ in range(9):
        inside = (seconds >= start) & (seconds < end)
        t = seconds[inside] - start
        height[inside] = base + up * t - fall * t**2 / 2
        landings.append(end)
        up = keeps * (np.sqrt(2 * fall * drop) if base else up)
        start, end, base = end, end + 2 * up / fall, 0.0
    return np.stack([x + speed * seconds, GROUND - radius - height], 1), landings


def clicks(landings: Sequence[float], seconds: float = SECONDS) -> Array:
    """Sound `[m, 2]` with a short ring at each instant."""
    audio = np.zeros((round(seconds * RATE), 2), np.float32)
    ring = 0.4 * np.exp(-np.arange(2400) / 300) * np.sin(np.arange(2400) * 0.6)
    for landing in landings:
        start = round(landing * RATE)
        if 0 <= start < len(audio):
            audio[start : start + 2400] += ring[: len(audio) - start, None]
    return audio


def found(report: FilmReport) -> set[str]:
    """The names of the questions that found something."""
    return {finding.question.name for finding in report.findings}
