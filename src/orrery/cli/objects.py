"""`--object`: meshes of one's own for the nouns of a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orrery.cli.console import needs
from orrery.errors import BadUse, nearest

if TYPE_CHECKING:
    from orrery.worlds.rigid_bodies.mesh_file import MeshFile

__all__ = ["read_objects"]

OPTIONS = ("size_m", "up", "mass_kg")
"""Keys of a storyboard's things that a mesh may have."""
NOUN = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def read_objects(texts: Sequence[str]) -> Mapping[str, MeshFile]:
    """Meshes by their nouns, of texts such as `bottle.glb`, `flask=bottle.glb` or
    `bottle.glb,size_m=0.2,mass_kg=0.4`; what is to be known of them is printed. BadUse and UserError for what
    no body can be made of."""
    if not texts:
        return {}
    with needs("studio", "--object"):
        from orrery.worlds.rigid_bodies.mesh import read_mesh

    objects: dict[str, MeshFile] = {}
    for text in texts:
        noun, mesh = _read(text)
        if noun in objects:
            raise BadUse(f"--object {text}: two are called {noun!r}; name them with NAME=FILE")
        objects[noun] = mesh
        for note in read_mesh(mesh).notes:
            print(note)
    return objects


def _read(text: str) -> tuple[str, MeshFile]:
    from pydantic import ValidationError

    from orrery.studio.shots import ThingInShot

    file, *options = re.split(r",(?=[a-z_]+=[^,]*(?:,|$))", text)
    name, separator, rest = file.partition("=")
    is_named = bool(separator) and NOUN.fullmatch(name) is not None
    path = Path(rest if is_named else file)
    noun = (name if is_named else path.stem).lower()
    if NOUN.fullmatch(noun) is None:
        raise BadUse(f"--object {text}: {noun!r} is no word of a sentence; name it: bottle={path}")
    values: dict[str, str] = {}
    for option in options:
        key, _, value = option.partition("=")
        if key not in OPTIONS:
            hint = nearest(key, OPTIONS) or list(OPTIONS)
            raise BadUse(f"--object {text}: there is no {key!r}; perhaps {' or '.join(hint)}")
        values[key] = value
    try:
        thing = ThingInShot.model_validate({"name": noun, "file": str(path), **_numbers(text, values)})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:1])
        why = str(first["msg"]).removeprefix("Value error, ")
        raise BadUse(f"--object {text}: {where}: {why}") from error
    mesh = thing.mesh()
    assert mesh is not None
    return noun, mesh


def _numbers(text: str, values: Mapping[str, str]) -> dict[str, str | float]:
    """The options with their numbers."""
    read: dict[str, str | float] = dict(values)
    for key in set(values) - {"up"}:
        try:
            read[key] = float(values[key])
        except ValueError as error:
            raise BadUse(f"--object {text}: {key} is a number, such as {key}=0.2") from error
    return read
