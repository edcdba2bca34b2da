"""Gymnasium environments by name: `ID`, or `ID?option=value&option=value`, with all they can give."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from ctypes.util import find_library
from typing import Any

import gymnasium

from orrery.errors import BadUse, UserError, nearest

__all__ = ["make_environment"]


def make_environment(name: str) -> gymnasium.Env[Any, Any]:
    """The environment `name` with `render_mode="rgb_array"`, and sound, depth and labels where it has them.

    BadUse with the nearest names for one that is not registered; UserError for one that has no pictures, or
    needs a package that is not installed.
    """
    identity, _, query = name.partition("?")
    options = _options(query)
    _register(identity)
    spec = _spec(identity)
    given = {**_defaults(identity), **options}
    try:
        env = gymnasium.make(spec, render_mode="rgb_array", **given)
    except gymnasium.error.DependencyNotInstalled as error:
        raise UserError(f"{identity} needs a package that is not installed: {error}") from error
    except (gymnasium.error.Error, TypeError) as error:
        raise _refusal(identity, spec, options, error) from error
    modes = env.metadata.get("render_modes") or []
    if "rgb_array" not in modes:
        env.close()
        raise _no_pictures(identity, modes)
    return env


def _options(query: str) -> dict[str, Any]:
    """`frameskip=4&mode=easy`: values are JSON where they can be, else text."""
    options: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise BadUse(f"{pair!r} is no option of an environment; write name=value, joined by &")
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = value
    return options


def _defaults(identity: str) -> dict[str, Any]:
    """What makes an environment give all it can; its own options come after."""
    for prefix, (_, _, defaults) in _FAMILIES.items():
        if identity.startswith(prefix):
            return dict(defaults())
    return {}


def _ale() -> Mapping[str, Any]:
    # One step is one frame of the console: with its usual skip of four, three in four pictures, and all sound
    # but the last frame's, would be lost.
    return {"sound_obs": True, "frameskip": 1}


def _doom() -> Mapping[str, Any]:
    seen = {"depth_buffer_enabled": True, "labels_buffer_enabled": True}
    if find_library("openal") is None:  # its audio buffer would hold nothing but zeros
        return seen
    # Debian's OpenAL ends the game in an assertion of its reverberation filter; without effects it runs.
    return {**seen, "sound_enabled": True, "audio_buffer_enabled": True, "game_args": "+snd_efx 0"}


_FAMILIES: dict[str, tuple[str, str, Callable[[], Mapping[str, Any]]]] = {
    "ALE/": ("ale_py", "games", _ale),
    "Vizdoom": ("vizdoom.gymnasium_wrapper", "games", _doom),
    "orrery/": ("orrery.worlds.gymnasium", "sim", dict),
}
"""How an id begins: the module that registers it, the extra that brings that, and how it is made."""


def _register(identity: str) -> None:
    for prefix, (module, extra, _) in _FAMILIES.items():
        if identity.startswith(prefix):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                raise UserError(
                    f'{identity} needs {module.partition(".")[0]}; pip install "orrery[{extra}]"'
                ) from error


def _spec(identity: str) -> str:
    """`identity`, if Gymnasium knows it, in its newest version where none is given."""
    module, colon, name = identity.rpartition(":")
    if colon:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise UserError(f"there is no module {error.name}, which {identity!r} names") from error
    known = gymnasium.registry
    if name in known:
        return name
    versions = sorted(
        (s.version or 0, key) for key, s in known.items() if key.rpartition("-v")[0] == name or key == name
    )
    if versions:
        return versions[-1][1]
    hint = nearest(name, known) or nearest(name, {key.rpartition("-v")[0] for key in known})
    perhaps = f"perhaps {' or '.join(hint)}" if hint else "import the module that registers it: gym:MODULE:ID"
    raise BadUse(f"Gymnasium knows no environment {name!r}; {perhaps}")


def _refusal(identity: str, spec: str, options: Mapping[str, Any], error: Exception) -> UserError:
    entry = gymnasium.registry[spec]
    if isinstance(error, TypeError) and "argument 'render_mode'" in str(error):
        return _no_pictures(identity, [])
    asked = f" with {', '.join(options)}" if options else ""
    return UserError(f"Gymnasium cannot make {entry.id!r}{asked}: {error}")


def _no_pictures(identity: str, modes: list[str]) -> UserError:
    has = f"renders only {', '.join(modes)}" if modes else "renders nothing"
    return UserError(f"{identity} has no pictures: it {has}, and recording needs render_mode='rgb_array'")
