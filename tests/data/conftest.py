"""Small datasets of the dummy world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orrery.data.record.collect import collect


@pytest.fixture(scope="session")
def dataset_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five episodes of two seconds in one file of each kind; for reading only."""
    out = tmp_path_factory.mktemp("dataset") / "dummy"
    collect("dummy", out, 5, seed=3, seconds=2.0, image_size=16, progress=False)
    return out


FilesOf = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="session")
def files_of() -> FilesOf:
    """Relative name to content of every file under a folder."""

    def read(root: Path) -> dict[str, bytes]:
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}

    return read
