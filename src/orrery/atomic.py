"""What lands on disk is complete or absent: written under a temporary name in the same folder, then renamed.

A rename within one folder is atomic on every file system that matters, so a crash, a full disk or Ctrl-C
leaves the old version or none, never a half.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orrery.errors import UserError

__all__ = ["check_destination", "disk_failure", "temporary_name", "write_atomically", "written_folder"]


def temporary_name(path: Path) -> Path:
    """A hidden name beside `path`, distinct for every process that writes it."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def disk_failure(path: Path, error: OSError) -> UserError:
    """The disk's refusal of `path`, in words that say what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            f"{path}: no space is left on the disk of {path.parent}; free some or write elsewhere"
        )
    reason = error.strerror or str(error)
    return UserError(f"{path}: cannot be written ({reason}); choose another place with --out")


def check_destination(path: Path, force: bool) -> None:
    """Raise UserError unless a file `path` can be made: its folder is there and writable, nothing is lost."""
    folder = path.parent
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it, such as {path / 'film.mp4'}")
    if path.exists() and not force:
        raise UserError(f"{path} already exists; choose another name, or pass --force to replace it")
    if not folder.is_dir():
        raise UserError(f"{path}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{path}: the folder {folder} cannot be written to; choose another place")


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step. Raises UserError where the disk refuses."""
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise disk_failure(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def written_folder(folder: Path) -> Iterator[Path]:
    """An empty temporary folder that becomes `folder` at success and vanishes at any exception.

    An older `folder` is moved aside, and removed only once the new one has its name. Raises UserError where
    the disk refuses.
    """
    temporary, aside = temporary_name(folder), folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        if folder.exists():
            folder.rename(aside)
        temporary.rename(folder)
    except OSError as error:
        raise disk_failure(folder, error) from error
    finally:
        if aside.exists() and not folder.exists():
            aside.rename(folder)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
