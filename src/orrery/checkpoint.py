"""A checkpoint is a folder whose `config.json` vouches for every other file in it.

`config.json` holds the format, what kind of model it is, how it was made, and the size and SHA-256 of every
file written with it. So a truncated copy, a flipped bit or a mix of two versions is found when the file is
read, and never becomes a model that is merely bad. Tensors are safetensors; nothing is ever unpickled.
Files added later (an export for another engine) are not vouched for and do not change the hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from orrery.atomic import written_folder
from orrery.errors import UserError

__all__ = [
    "FORMAT",
    "Checkpoint",
    "LazyTensors",
    "checkpoint_hash",
    "load_checkpoint",
    "require",
    "save_checkpoint",
]

FORMAT = 1
CONFIG = "config.json"
SUFFIX = ".safetensors"
MAX_CONFIG_BYTES = 16 * 2**20

Tensors = dict[str, torch.Tensor]


class LazyTensors(Mapping[str, Tensors]):
    """`<name>.safetensors` by name, each read and verified when it is first asked for."""

    def __init__(self, folder: Path, files: Mapping[str, Any]) -> None:
        self._folder = folder
        self._files = {
            name.removesuffix(SUFFIX): entry for name, entry in files.items() if name.endswith(SUFFIX)
        }
        self._loaded: dict[str, Tensors] = {}

    def __getitem__(self, name: str) -> Tensors:
        """Tensor name to tensor on the CPU. Raises UserError for a file that is not as it was written."""
        if name not in self._files:
            known = ", ".join(self._files) or "none"
            raise UserError(f"{self._folder}: the checkpoint has no {name}{SUFFIX}; it has {known}")
        if name not in self._loaded:
            file = self._folder / f"{name}{SUFFIX}"
            content = _verified(file, self._files[name])
            try:
                self._loaded[name] = safetensors.torch.load(content)
            except (SafetensorError, ValueError, KeyError) as error:
                raise UserError(
                    f"{file}: not a safetensors file ({error}); write the checkpoint again"
                ) from error
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:
        return name in self._files


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint: `tensors[name]` is what was saved under that name, read when first asked for."""

    config: dict[str, Any]
    tensors: LazyTensors
    folder: Path


def save_checkpoint(
    folder: str | Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, torch.Tensor | np.ndarray]],
    files: Mapping[str, str | bytes] | None = None,
) -> Path:
    """Write a checkpoint as one step: a crash leaves the old one or none. Returns its folder.

    config: plain JSON values with `kind`; provenance belongs here. `format` and `files` are added.
    tensors: name to state_dict; becomes `<name>.safetensors`. files: further files by name (`card.md`).
    The same content gives the same bytes. Raises UserError where the disk refuses, or where `folder` holds
    something that is not a checkpoint and would be lost.
    """
    folder = Path(folder)
    if not config.get("kind"):
        raise ValueError("a checkpoint's config needs its 'kind'")
    if folder.exists() and not _replaceable(folder):
        raise UserError(f"{folder}: holds something that is not a checkpoint; choose another folder")
    contents = {f"{name}{SUFFIX}": safetensors.torch.save(_plain(group)) for name, group in tensors.items()}
    for name, content in (files or {}).items():
        contents[name] = content.encode() if isinstance(content, str) else content
    for name in contents:
        if not _is_inside(name) or name == CONFIG:
            raise ValueError(f"{name!r} cannot be the name of a checkpoint's file")
    entries = {name: _entry(contents[name]) for name in sorted(contents)}
    text = json.dumps({**config, "format": FORMAT, "files": entries}, indent=2, allow_nan=False)
    contents[CONFIG] = f"{text}\n".encode()
    with written_folder(folder) as temporary:
        for name, content in contents.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content)
    return folder


def load_checkpoint(folder: str | Path, kind: str | None = None) -> Checkpoint:
    """Open the checkpoint `folder`; tensors are read later, by name.

    kind: what `config['kind']` must be, if given. Raises UserError that names the file, what is wrong with it
    and what to do: missing, no JSON, another format, another kind, or a file that is missing or cut short.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such checkpoint folder")
    config = _read_config(folder)
    if kind is not None and config["kind"] != kind:
        raise UserError(
            f"{folder / CONFIG}: a checkpoint of kind {config['kind']!r} where {kind!r} is needed"
        )
    for name, entry in config["files"].items():
        _check_size(folder / name, entry)
    return Checkpoint(config, LazyTensors(folder, config["files"]), folder)


def checkpoint_hash(folder: str | Path) -> str:
    """SHA-256, in hex, over names and contents of `config.json` and all it vouches for, in order of name.

    Raises UserError as `load_checkpoint` does.
    """
    checkpoint = load_checkpoint(folder)
    digest = hashlib.sha256()
    for name in sorted([CONFIG, *checkpoint.config["files"]]):
        file = checkpoint.folder / name
        entry = checkpoint.config["files"].get(name)
        content = file.read_bytes() if entry is None else _verified(file, entry)
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def require(
    tensors: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor | tuple[int, ...]],
    where: str | Path,
) -> None:
    """Raise UserError with the first mismatches unless `tensors` fits `expected`: a state_dict, or shapes.

    Names and shapes must be the same. Against a tensor, floating point must meet floating point (a checkpoint
    may be stored at half precision) and any other dtype itself. Values must be finite.
    """
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    problems += [f"{name} is not expected" for name in tensors if name not in expected]
    for name, wanted in expected.items():
        if name in tensors and (problem := _mismatch(tensors[name], wanted)):
            problems.append(f"{name} {problem}")
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        listed = "; ".join(problems[:4])
        raise UserError(
            f"{where}: does not fit the network its config describes: {listed}{more}; was it edited?"
        )


def _mismatch(tensor: torch.Tensor, wanted: torch.Tensor | tuple[int, ...]) -> str:
    shape = tuple(wanted.shape) if isinstance(wanted, torch.Tensor) else tuple(wanted)
    if tuple(tensor.shape) != shape:
        return f"has shape {tuple(tensor.shape)} where {shape} is needed"
    if isinstance(wanted, torch.Tensor) and tensor.dtype != wanted.dtype:
        both_floating = tensor.is_floating_point() and wanted.is_floating_point()
        if not both_floating:
            return f"is {tensor.dtype} where {wanted.dtype} is needed"
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        return "holds values that are not finite"
    return ""


def _plain(group: Mapping[str, torch.Tensor | np.ndarray]) -> Tensors:
    """Contiguous tensors on the CPU that share no memory, in order of name."""
    values = {name: group[name] for name in sorted(group)}
    tensors = {n: torch.tensor(v) if isinstance(v, np.ndarray) else v for n, v in values.items()}
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _is_inside(name: str) -> bool:
    """Whether `name` stays within the folder it is joined to, hidden files apart."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not any(
        part.startswith((".", "/")) or "\\" in part or "\0" in part for part in parts
    )


def _replaceable(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        _read_config(folder)
    except UserError:
        return False
    return True


def _entry(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _check_size(file: Path, entry: Mapping[str, Any]) -> None:
    if not file.is_file():
        raise UserError(f"{file}: is missing from the checkpoint; copy the whole folder again")
    found, wanted = file.stat().st_size, entry["bytes"]
    if found != wanted:
        raise UserError(f"{file}: {found:,} bytes where {CONFIG} says {wanted:,}; copy the folder again")


def _verified(file: Path, entry: Mapping[str, Any]) -> bytes:
    _check_size(file, entry)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise UserError(
            f"{file}: is not the file that was written ({CONFIG} says otherwise); copy the folder again"
        )
    return content


def _read_config(folder: Path) -> dict[str, Any]:
    """`config.json`, checked for all that the rest of this module relies on."""
    file = folder / CONFIG
    if not file.is_file():
        raise UserError(f"{folder}: has no {CONFIG}, so it is not a checkpoint; name the folder that has one")
    try:
        if file.stat().st_size > MAX_CONFIG_BYTES:
            raise UserError(f"{file}: {file.stat().st_size:,} bytes is not a checkpoint's config")
        config = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error}); copy the folder again") from error
    found = config.get("format") if isinstance(config, dict) else None
    if found != FORMAT:
        raise UserError(
            f"{file}: checkpoint format {found!r}, and this version reads {FORMAT}; update orrery"
        )
    if not isinstance(config.get("kind"), str) or not _sound_files(config.get("files")):
        raise UserError(f"{file}: 'kind' or 'files' is missing or damaged; write the checkpoint again")
    return config


def _sound_files(files: Any) -> bool:
    """Whether `files` is a table of names inside the folder to size and hash."""
    return isinstance(files, dict) and all(
        _is_inside(name)
        and isinstance(entry, dict)
        and isinstance(entry.get("bytes"), int)
        and isinstance(entry.get("sha256"), str)
        for name, entry in files.items()
    )
