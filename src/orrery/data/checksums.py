"""A checksum for every file of a dataset, in the form that `sha256sum -c SHA256SUMS` reads.

A shard is hashed once, when it is new, and never again: damage that comes later cannot become the record.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from orrery.atomic import write_atomically

__all__ = ["SUMS_PATH", "content_hash", "dataset_files", "mismatch", "read_sums", "write_sums"]

SUMS_PATH = "SHA256SUMS"
_FOLDERS = ("data", "meta", "videos")
_SHARD = re.compile(r"chunk-\d{3,}/file-\d{3,}\.\w+$")
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def dataset_files(root: Path) -> Iterator[str]:
    """Every file of the layout, relative to `root`, in order."""
    files = (file for folder in _FOLDERS for file in (root / folder).rglob("*") if file.is_file())
    return iter(sorted(file.relative_to(root).as_posix() for file in files if not file.name.startswith(".")))


def write_sums(root: Path, changed: Collection[str] = ()) -> None:
    """Bring SHA256SUMS up to date. changed: shards that were written anew in the place of listed ones."""
    known = read_sums(root)
    sums = {
        name: known[name]
        if name in known and _SHARD.search(name) and name not in changed
        else _sha256(root / name)
        for name in dataset_files(root)
    }
    text = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    write_atomically(root / SUMS_PATH, text.encode())


def read_sums(root: Path) -> dict[str, str]:
    """Relative name to SHA-256 of what SHA256SUMS lists; empty where there is none, as in older datasets."""
    file = root / SUMS_PATH
    if not file.is_file():
        return {}
    lines = map(_LINE.fullmatch, file.read_text("utf-8", errors="replace").splitlines())
    return {line[2]: line[1] for line in lines if line}


def mismatch(root: Path, name: str, digest: str) -> str | None:
    """What is wrong with a listed file; None if it is the one that was written."""
    file = root / name
    if not file.is_file():
        return "is missing"
    try:
        return None if _sha256(file) == digest else f"is not the file that was written (see {SUMS_PATH})"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def content_hash(root: Path) -> str:
    """SHA-256 over the names and the contents of all files, as they are now: what SHA256SUMS says is not
    believed. About a second a gigabyte."""
    sums = "".join(f"{_sha256(root / name)}  {name}\n" for name in dataset_files(root))
    return hashlib.sha256(sums.encode()).hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
