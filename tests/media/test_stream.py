"""Pieces of a film that is sent while it is made."""

from __future__ import annotations

import io
import json
from pathlib import Path

import av
import numpy as np
import pytest

from orrery.media import FilmStream, read_film


@pytest.mark.parametrize("rate", [None, 24_000])
def test_joined_pieces_are_the_film(tmp_path: Path, rate: int | None) -> None:
    levels = np.arange(30, 230, 10, dtype=np.uint8)
    stream = FilmStream(24, rate, (64, 96), {"title": "grey", "comment": json.dumps({"seed": 3})})
    seconds = np.arange(1000 * len(levels)) / 24_000
    tone = np.repeat(0.5 * np.sin(2 * np.pi * 440 * seconds)[:, None], 2, axis=1).astype(np.float32)
    pieces = []
    for number, level in enumerate(levels):
        heard = None if rate is None else tone[1000 * number : 1000 * (number + 1)]
        pieces.append(stream.encoded(np.full((1, 64, 96, 3), level, np.uint8), heard))
    assert sum(map(len, pieces[:10])) > 0, "nothing comes before the end"
    content = b"".join([*pieces, stream.rest()])
    (tmp_path / "film.mp4").write_bytes(content)
    film = read_film(tmp_path / "film.mp4")
    assert film.frames.shape == (20, 64, 96, 3)
    np.testing.assert_allclose(film.frames.mean((1, 2, 3)), levels, atol=3)
    with av.open(io.BytesIO(content)) as container:
        assert container.metadata["title"] == "grey"
    if rate is not None:
        assert film.audio is not None
        difference = film.audio[4000:16_000] - tone[4000:16_000]
        assert np.sqrt((difference**2).mean()) < 0.05
