"""Modules of the user's own: by name, also from the current folder, or a file run as a module."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

__all__ = ["load_module"]


def load_module(name: str) -> ModuleType:
    """The module `package.module`, or the file `path/to/file.py`; raises whatever importing it raises.

    A file may import what lies beside it, and may be imported by its own name, as in what it registers.
    """
    if name.endswith(".py"):
        path = Path(name).resolve()
        return _run(path, path.stat().st_mtime_ns)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return importlib.import_module(name)


@lru_cache
def _run(path: Path, changed_ns: int) -> ModuleType:
    """A file run as a module, once for each time that it was changed."""
    spec = importlib.util.spec_from_file_location(f"orrery_file_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # what it registers may be looked up by this name
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    plain = importlib.util.find_spec(path.stem) if path.stem != "__main__" else spec
    if plain is None or plain.origin == str(path):
        sys.modules[path.stem] = module  # or by this
    spec.loader.exec_module(module)
    return module
