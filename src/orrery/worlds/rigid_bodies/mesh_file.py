"""Which mesh a thing is: a file, and what was in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orrery.errors import UserError

__all__ = ["ENDINGS", "MeshFile"]

ENDINGS = (".glb", ".gltf", ".obj", ".stl", ".ply")


@dataclass(frozen=True)
class MeshFile:
    """Which mesh a thing is. path: of its file; sha256: of what was in it. longest_m: longest side, metres;
    None as the file has it. up: its axis that points up, `y` or `z`; None as its kind of file has it (glTF:
    y). mass_kg: None for what its material weighs. name: what it is called, if not as its file."""

    path: str
    sha256: str
    longest_m: float | None = None
    up: str | None = None
    mass_kg: float | None = None
    name: str = ""

    @property
    def called(self) -> str:
        """Its name, or its file's."""
        return self.name or Path(self.path).stem

    @classmethod
    def of(cls, path: str | Path, **options: Any) -> MeshFile:
        """The mesh that is in a file now. UserError if there is none."""
        path = Path(path)
        if path.suffix.lower() not in ENDINGS:
            raise UserError(f"{path}: a mesh is a file that ends in {', '.join(ENDINGS)}")
        try:
            return cls(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), **options)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
