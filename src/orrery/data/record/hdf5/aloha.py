"""ALOHA and Mobile ALOHA: a file an episode, 50 rows a second, pictures as they are or as JPEG."""

from __future__ import annotations

from typing import Any

from orrery.data.record.hdf5.files import attribute
from orrery.data.record.hdf5.layouts import Layout, Stretch

__all__ = ["ALOHA"]

_NAMES = {
    "observations/qpos": "observation.state",
    "base_action": "action.base",
    "observations/images": "observation.images",
    "observations": "observation",
}
_WORDS = ("language_instruction", "instruction", "language_raw", "task")


def _fits(file: Any) -> bool:
    return "action" in file and "observations/qpos" in file


def _stretches(file: Any) -> list[Stretch]:
    """The whole file; its sentence is an attribute or a text, where there is one."""
    words = [attribute(file, name) for name in _WORDS]
    words += [file[name][()] for name in _WORDS if name in file and not file[name].shape]
    texts = [w.decode("utf-8", "replace") if isinstance(w, bytes) else w for w in words]
    text = next((t for t in texts if isinstance(t, str) and t), "")
    return [Stretch("", 0, len(file["action"]), text)]


def _feature(path: str) -> str:
    for begin, name in _NAMES.items():
        if path == begin or path.startswith(f"{begin}/"):
            return f"{name}{path[len(begin) :]}".replace("/", ".")
    return path.replace("/", ".")


ALOHA = Layout(
    "ALOHA",
    _fits,
    _stretches,
    _feature,
    usual_rate=50.0,
    skipped={
        "compress_len": "lengths of the JPEG pictures, which end by themselves",
        "|".join(_WORDS): "the sentence of the episode",
    },
)
