"""Films by formula, written and reported on."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_films import FPS, RATE, Film, Report

from orrery.evaluation.film.report import FilmReport, film_report
from orrery.evaluation.film.watch import watch
from orrery.media import FilmWriter
from orrery.streams import Array


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """Writes pictures `[n, H, W, 3]`, and sound if given, as a film."""

    def write(pictures: Array, audio: Array | None = None, name: str = "film.mp4") -> Path:
        size = pictures.shape[1], pictures.shape[2]
        with FilmWriter(tmp_path / name, FPS, None if audio is None else RATE, size) as writer:
            writer.write(pictures, audio)
        return tmp_path / name

    return write


@pytest.fixture
def report_on(film: Film) -> Report:
    """The report of a film of pictures, and sound if given."""

    def report(pictures: Array, audio: Array | None = None) -> FilmReport:
        return film_report(watch(film(pictures, audio)))

    return report
