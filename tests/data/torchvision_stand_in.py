"""The names of torchvision that lerobot imports: it has no CPU build beside this torch."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from typing import Any

__all__ = ["stand_in_for_torchvision"]


def stand_in_for_torchvision() -> None:
    """Make `import torchvision` give empty modules; call it before lerobot is imported."""
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.v2"):
        _stand_in(name, Transform=object, Compose=object)
    _stand_in("torchvision.transforms.v2.functional")
    _stand_in("torchvision.io")


def _stand_in(name: str, **names: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    vars(module).update(names)
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, module)
    return module
