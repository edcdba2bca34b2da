"""A closed or open surface taken apart into convex parts (Wei et al. 2022, "Approximate convex decomposition
for 3D meshes with collision-aware concavity and tree search", arXiv:2205.02961).

That takes from a second to a minute, so what came of it is kept in the user's cache, by a hash of the
surface.
"""

from __future__ import annotations

import hashlib
import io
import os
from importlib.metadata import version
from pathlib import Path
from zipfile import BadZipFile

import coacd
import numpy as np
import trimesh

from orrery.atomic import write_atomically
from orrery.errors import UserError
from orrery.streams import Array

__all__ = ["cache_folder", "convex_parts"]

MOST_PARTS = 32
CONCAVITY = 0.05
"""Of a part: how deep its hollows may be, of the mesh's size."""
SETTINGS = {
    "threshold": CONCAVITY, "max_convex_hull": MOST_PARTS, "seed": 0, "preprocess_resolution": 25,
    "mcts_iterations": 60,
}  # fmt: skip


def cache_folder() -> Path:
    """Where parts are kept: `convex_parts` in `$ORRERY_CACHE`, or else in `orrery` of the user's cache
    (`$XDG_CACHE_HOME`, or `~/.cache`). May be removed at any time."""
    own = os.environ.get("ORRERY_CACHE")
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return (Path(own) if own else users / "orrery") / "convex_parts"


def convex_parts(path: Path, surface: trimesh.Trimesh) -> tuple[Array, ...]:
    """Vertices `[n, 3]` of the convex parts of a surface, in its units. path: its file, for messages.
    UserError for one that cannot be taken apart."""
    if surface.is_watertight and surface.is_convex:
        return (np.asarray(surface.vertices),)
    kept = cache_folder() / f"{_key(surface)}.npz"
    parts = _read(kept)
    if parts is None:
        parts = _taken_apart(path, surface)
        _keep(kept, parts)
    return parts


def _key(surface: trimesh.Trimesh) -> str:
    """A hash of all that the parts depend on."""
    hashed = hashlib.sha256(repr((version("coacd"), SETTINGS, surface.vertices.shape)).encode())
    hashed.update(np.ascontiguousarray(surface.vertices, "<f8").tobytes())
    hashed.update(np.ascontiguousarray(surface.faces, "<i8").tobytes())
    return hashed.hexdigest()


def _taken_apart(path: Path, surface: trimesh.Trimesh) -> tuple[Array, ...]:
    coacd.set_log_level("error")
    try:
        found = coacd.run_coacd(coacd.Mesh(surface.vertices, surface.faces), **SETTINGS)
        return tuple(np.asarray(trimesh.convex.convex_hull(v).vertices) for v, _ in found)
    except Exception as error:  # the library's own kinds of failure are not listed anywhere
        raise UserError(
            f"{path}: cannot be taken apart into convex parts ({error}); close its holes, or simplify it"
        ) from error


def _read(kept: Path) -> tuple[Array, ...] | None:
    """What is kept there; None where nothing is, or it is damaged."""
    try:
        with np.load(kept, allow_pickle=False) as file:
            vertices, counts = file["vertices"], file["counts"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    return tuple(np.split(vertices, np.cumsum(counts)[:-1]))


def _keep(kept: Path, parts: tuple[Array, ...]) -> None:
    """Keep parts; where the disk refuses, they are found anew the next time."""
    content = io.BytesIO()
    np.savez(content, vertices=np.concatenate(parts), counts=np.array([len(part) for part in parts]))
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, content.getvalue())
    except (OSError, UserError):
        return
