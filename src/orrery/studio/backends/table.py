"""The backends by name."""

from __future__ import annotations

from collections.abc import Mapping

from orrery.errors import BadUse, nearest
from orrery.studio.backends.backend import Backend
from orrery.studio.backends.cogvideox_fun import COGVIDEOX_FUN
from orrery.studio.backends.ltx2 import LTX2
from orrery.studio.backends.wan_vace import WAN_VACE

__all__ = ["BACKENDS", "backend_of", "backend_of_pipeline"]

BACKENDS: Mapping[str, Backend] = {backend.name: backend for backend in (WAN_VACE, COGVIDEOX_FUN, LTX2)}


def backend_of(name: str) -> Backend:
    """The backend of this name; BadUse with the nearest if none is."""
    if name not in BACKENDS:
        hint = nearest(name, BACKENDS) or list(BACKENDS)
        raise BadUse(f"--backend {name}: there is no such backend; perhaps {' or '.join(hint)}")
    return BACKENDS[name]


def backend_of_pipeline(pipeline: str, weights: str) -> Backend:
    """The backend that runs weights of a diffusers pipeline of this class; BadUse, with those that there
    are, if none does. weights: where it is from, for the message."""
    for backend in BACKENDS.values():
        if pipeline in (backend.pipeline, *backend.loads):
            return backend
    known = ", ".join(f"{backend.pipeline} ({name})" for name, backend in BACKENDS.items())
    raise BadUse(f"{weights} is a {pipeline}, which no backend runs; there are {known}")
