"""Gymnasium environments by name: `ID`, or `ID?option=value&option=value`, with pictures and sound if any.

`MODULE:ID` and `path/to/file.py:ID` are of a module or a file of the user's own, which registers the id.
Options are the environment's own keywords (`ALE/Pong-v5?difficulty=1`), and three for any environment:
`repeat` (steps for which an action is held), `warmup` (steps after a reset that go by before the first tick)
and `max_episode_steps`; and `depth=true` for one that Gymnasium draws with MuJoCo.
"""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Mapping
from ctypes.util import find_library
from typing import Any

import gymnasium
import numpy as np

from orrery.errors import BadUse, UserError, nearest
from orrery.modules import load_module
from orrery.worlds.gymnasium.depth import DepthBeside
from orrery.worlds.gymnasium.wrappers import HeldAction, LastScreen, SoundBeside, find_wrapper

__all__ = ["make_environment", "parse_name", "steps_per_second", "ticks_per_second"]

_ALE_HERTZ = 60
"""Frames a second of the console. `render_fps` of ALE says 30, whatever the frame skip is."""
_FAMILIES = {
    "ALE/": ("ale_py", '"orrery[games]"'),
    "Vizdoom": ("vizdoom.gymnasium_wrapper", '"orrery[games]"'),
    "gym_pusht/": ("gym_pusht", "gym-pusht"),
    "orrery/": ("orrery.worlds.gymnasium", '"orrery[sim]"'),
}
"""How an id begins: the module that registers it, and what pip installs for it."""


def make_environment(name: str, pictures: bool = True) -> gymnasium.Env[Any, Any]:
    """The environment `name`, wrapped for `repeat` and `warmup`, with its sound beside its observations.

    pictures: with `render_mode="rgb_array"`, if it has that. ALE keeps the frame skip that it is registered
    with, and the sound of all the console's frames in it.

    BadUse with the nearest names for one that is not registered; UserError for one that needs a package that
    is not installed.
    """
    identity, options = parse_name(name)
    spec = _spec(identity)
    repeat, warmup = options.pop("repeat", 1), options.pop("warmup", 0)
    if spec.startswith("ALE/"):
        return _ale(spec, options, pictures, repeat, warmup)
    if spec.startswith("Vizdoom"):
        return HeldAction(_doom(spec, options, pictures), repeat, warmup)
    with_depth = options.pop("depth", False)
    env = _made(spec, options, pictures or with_depth)
    return HeldAction(DepthBeside(env) if with_depth else env, repeat, warmup)


def parse_name(name: str) -> tuple[str, dict[str, Any]]:
    """`ID?frameskip=4&mode=easy` as the id and its options: values are JSON where they can be, else text."""
    identity, _, query = name.partition("?")
    options: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise BadUse(f"{pair!r} is no option of an environment; write name=value, joined by &")
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = value
    return identity, options


def steps_per_second(env: gymnasium.Env[Any, Any]) -> float:
    """Steps a second of the environment itself: of ALE by its frame skip, else `render_fps`, else 24."""
    kwargs = env.spec.kwargs if env.spec is not None else {}
    if env.spec is not None and env.spec.id.startswith("ALE/"):
        return _ALE_HERTZ / float(np.mean(kwargs.get("frameskip", 4)))
    skip = kwargs.get("frame_skip", 1) if env.spec is not None and env.spec.id.startswith("Vizdoom") else 1
    return float(env.metadata.get("render_fps") or 24) / skip


def ticks_per_second(env: gymnasium.Env[Any, Any]) -> float:
    """Steps a second of the environment under its held actions."""
    held = find_wrapper(env, HeldAction)
    return steps_per_second(env) / (held.repeat if held is not None else 1)


def _ale(
    spec: str, options: dict[str, Any], pictures: bool, repeat: int, warmup: int
) -> gymnasium.Env[Any, Any]:
    skip = options.pop("frameskip", gymnasium.registry[spec].kwargs.get("frameskip", 4))
    if not isinstance(skip, int):
        warnings.warn(f"{spec} skips frames by chance: its sound is not recorded", stacklevel=3)
        return HeldAction(_made(spec, {**options, "frameskip": tuple(skip)}, pictures), repeat, warmup)
    # Its own frame skip would keep the sound of the last frame alone.
    env = _made(spec, {"sound_obs": True, **options, "frameskip": 1}, pictures)
    if options.get("sound_obs", True):
        env = SoundBeside(env, "sound", only="image")
    return HeldAction(env, skip * repeat, skip * warmup)


def _doom(spec: str, options: dict[str, Any], pictures: bool) -> gymnasium.Env[Any, Any]:
    if find_library("openal") is None:  # its audio buffer would hold nothing but zeros
        return LastScreen(_made(spec, options, pictures))
    # Debian's OpenAL ends the game in an assertion of its reverberation filter; without effects it runs.
    heard = {"sound_enabled": True, "audio_buffer_enabled": True, "game_args": "+snd_efx 0"}
    return SoundBeside(LastScreen(_made(spec, {**heard, **options}, pictures)), "audio")


def _made(spec: str, options: Mapping[str, Any], pictures: bool) -> gymnasium.Env[Any, Any]:
    """The registered environment, drawing to arrays if `pictures` are wanted and it can."""
    try:
        if not pictures:
            return gymnasium.make(spec, render_mode=None, **options)
        env = gymnasium.make(spec, render_mode="rgb_array", **options)
        if "rgb_array" in (env.metadata.get("render_modes") or []):
            return env
        env.close()
        return gymnasium.make(spec, **options)
    except gymnasium.error.DependencyNotInstalled as error:
        raise UserError(f"{spec} needs a package that is not installed: {error}") from error
    except (gymnasium.error.Error, TypeError) as error:
        if "argument 'render_mode'" in str(error):
            return _drawless(spec, options)
        raise _refusal(spec, options, error) from error


def _drawless(spec: str, options: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    try:
        return gymnasium.make(spec, **options)
    except (gymnasium.error.Error, TypeError) as error:
        raise _refusal(spec, options, error) from error


def _refusal(spec: str, options: Mapping[str, Any], error: Exception) -> UserError:
    asked = f" with {', '.join(options)}" if options else ""
    return UserError(f"Gymnasium cannot make {spec!r}{asked}: {error}")


def _spec(identity: str) -> str:
    """`identity`, if Gymnasium knows it, in its newest version where none is given and in the namespace that
    has it (`Pong-v5` is `ALE/Pong-v5`) where none is given."""
    module, colon, name = identity.rpartition(":")
    if colon:
        _load(module, identity)
    for prefix, (family, package) in _FAMILIES.items():
        if identity.startswith(prefix):
            missing = f"{identity} needs {family.partition('.')[0]}; pip install {package}"
            _import(family, missing)
    found = _registered(name)
    if found is None and not colon and "/" not in name:
        for family, _ in _FAMILIES.values():
            _import(family, None)
        found = _registered(name)
    if found is not None:
        return found
    known = gymnasium.registry
    hint = nearest(name, known) or nearest(name, {key.rpartition("-v")[0] for key in known})
    perhaps = f"perhaps {' or '.join(hint)}" if hint else "import the module that registers it: gym:MODULE:ID"
    raise BadUse(f"Gymnasium knows no environment {name!r}; {perhaps}")


def _registered(name: str) -> str | None:
    known = gymnasium.registry
    if name in known:
        return name
    alike = [
        (s.version or 0, key)
        for key, s in known.items()
        if name
        in (key.rpartition("-v")[0], key.rpartition("/")[2], key.rpartition("/")[2].rpartition("-v")[0])
    ]
    return max(alike)[1] if alike else None


def _load(module: str, identity: str) -> None:
    """Run a module or file of the user's own."""
    try:
        load_module(module)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        kind = "file" if module.endswith(".py") else "module"
        raise UserError(f"there is no {kind} {module}, which {identity!r} names ({error})") from error
    except Exception as error:  # whatever a module of the user's own raises
        raise UserError(f"{module}, which {identity!r} names, cannot be imported ({error!r})") from error


def _import(module: str, missing: str | None) -> None:
    """Import a module for what it registers. missing: of the UserError if it is not there; None for none."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if missing is not None:
            raise UserError(missing) from error
