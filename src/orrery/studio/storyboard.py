"""Storyboards as files."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from orrery.errors import UserError, nearest
from orrery.studio.shots import (
    CameraKey,
    FixtureInShot,
    PathKey,
    Shot,
    ShotCamera,
    Storyboard,
    ThingInShot,
)  # fmt: skip

__all__ = ["read_storyboard"]


def read_storyboard(path: str | Path, **changed: Any) -> Storyboard:
    """The storyboard in a YAML (or JSON) file. changed: keys instead of the file's. UserError for a file that
    is none, with place and nearest word. Files that it names lie beside it, or where their whole path
    says."""
    path = Path(path)
    try:
        values = yaml.load(path.read_text("utf-8"), _UniqueKeys)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no text in UTF-8") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: a storyboard has keys such as `size` and `shots`")
    _find_files(values, path.parent)
    try:
        return Storyboard.model_validate({**values, **changed})
    except ValidationError as error:
        raise UserError(f"{path}: {'; '.join(_problems(error))}") from error


def _find_files(values: dict[str, Any], folder: Path) -> None:
    """Write the paths of things' files so that they are found from anywhere."""
    shots = values.get("shots")
    for shot in shots if isinstance(shots, list) else ():
        things = shot.get("things") if isinstance(shot, dict) else None
        for thing in things if isinstance(things, list) else ():
            if isinstance(thing, dict) and isinstance(thing.get("file"), str):
                thing["file"] = str(folder / thing["file"])


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that is given twice, of which PyYAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """See PyYAML. YAMLError, with the line, for a key that is given twice."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _problems(error: ValidationError) -> Iterator[str]:
    """Each mistake once: where it is, and what is wrong."""
    told: set[str] = set()
    for problem in error.errors():
        place = ""
        for part in problem["loc"]:
            if isinstance(part, int):
                place += f" {part + 1}"
            else:
                place += f", {part}" if place else str(part)
        why = str(problem["msg"]).removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            key = str(problem["loc"][-1])
            near = nearest(key, _all_fields(), 1)
            why = f"there is no such key{f'; perhaps {near[0]}' if near else ''}"
        where = f"{place}: " if place else ""
        if place not in told:
            told.add(place)
            yield f"{where}{why}"


def _all_fields() -> set[str]:
    models = (Storyboard, Shot, ThingInShot, FixtureInShot, ShotCamera, CameraKey, PathKey)
    return {name for model in models for name in model.model_fields}
