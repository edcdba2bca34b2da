"""Data sets by their name on the Hugging Face Hub, through its own library."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from orrery.errors import UserError

__all__ = ["local_folder"]

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")


def local_folder(name: str) -> Path:
    """The folder `name`, or where the data set `USER/NAME` (or `USER/NAME@REVISION`) of the Hub is,
    downloaded unless it was before. UserError where there is neither."""
    if Path(name).expanduser().is_dir() or not _ID.fullmatch(name):
        return Path(name).expanduser()
    try:
        hub: Any = importlib.import_module("huggingface_hub")  # brought by an extra
    except ModuleNotFoundError as problem:
        raise UserError(
            f"there is no folder {name}; if it is a data set of the Hugging Face Hub, what downloads it is "
            'pip install "orrery[formats]"'
        ) from problem
    repository, _, revision = name.partition("@")
    try:
        folder = hub.snapshot_download(repository, repo_type="dataset", revision=revision or None)
    except Exception as problem:  # the library's errors have many bases, and those of its HTTP client
        told = " ".join(str(problem).split("\n")[0].split()) or type(problem).__name__
        raise UserError(
            f"there is no folder {name}, and the Hugging Face Hub does not give it ({told}); check the name "
            "and the network, and for a private one `hf auth login`"
        ) from problem
    return Path(folder)
