"""Gymnasium environments by name: `ID`, or `ID?option=value&option=value`, with pictures and sound if any.

`MODULE:ID` and `path/to/file.py:ID` are of a module or a file of the user's own, which registers the id.
Options are the environment's own keywords (`ALE/Pong-v5?difficulty=1`), and for any environment `repeat`
(steps for which an action is held), `warmup` (steps after a reset that go by before the first tick),
`max_episode_steps` and `reset.NAME` (what each reset is given as `options`); and `depth=true` for one that
Gymnasium draws with MuJoCo.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ctypes.util import find_library
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator

from orrery.errors import BadUse, UserError, nearest
from orrery.modules import load_module
from orrery.worlds.gymnasium.depth import DepthBeside
from orrery.worlds.gymnasium.drawing import DRAWN, render_modes
from orrery.worlds.gymnasium.old_gym import adapted, is_of_old_gym, old_environment
from orrery.worlds.gymnasium.wrappers import HeldAction, LastScreen, ResetOptions, SoundBeside, find_wrapper

__all__ = ["make_environment", "parse_name", "quiet", "stated_rate", "steps_per_second",
           "ticks_per_second"]  # fmt: skip

_ALE_HERTZ = 60
"""Frames a second of the console. `render_fps` of ALE says 30, whatever the frame skip is."""
_USUAL_RATE = 24.0
"""Steps a second of an environment that states none."""
_AT_RESET = "reset."
_FAMILIES = {
    "ALE/": ("ale_py", '"orrery[games]"'),
    "Vizdoom": ("vizdoom.gymnasium_wrapper", '"orrery[games]"'),
    "MiniGrid-": ("minigrid", '"orrery[games]"'),
    "BabyAI-": ("minigrid", '"orrery[games]"'),
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
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault(
            "SDL_VIDEODRIVER", "dummy"
        )  # else SDL complains of the screen that is not there
    identity, options = parse_name(name)
    at_reset = {key: options.pop(key) for key in list(options) if key.startswith(_AT_RESET)}
    with quiet():
        env = _wrapped(_resolved_id(identity), options, pictures)
    options_at_reset = {key.removeprefix(_AT_RESET): value for key, value in at_reset.items()}
    return ResetOptions(env, options_at_reset) if options_at_reset else env


def _wrapped(spec: str, options: dict[str, Any], pictures: bool) -> gymnasium.Env[Any, Any]:
    """The registered environment with its sound beside it, its actions held."""
    repeat, warmup = options.pop("repeat", 1), options.pop("warmup", 0)
    if spec.startswith("ALE/"):
        return _ale(spec, options, pictures, repeat, warmup)
    if spec.startswith("Vizdoom"):
        return HeldAction(_doom(spec, options, pictures), repeat, warmup)
    with_depth = options.pop("depth", False)
    env = _made(spec, options, pictures or with_depth)
    return HeldAction(DepthBeside(env) if with_depth else env, repeat, warmup)


@contextmanager
def quiet() -> Iterator[None]:
    """Without Gymnasium's own warnings: what matters of them to a user is told in our words."""
    logger = gymnasium.logger
    level, logger.min_level = logger.min_level, logger.ERROR
    try:
        yield
    finally:
        logger.min_level = level


def parse_name(name: str) -> tuple[str, dict[str, Any]]:
    """`ID?frameskip=4&mode=easy` as the id and its options: values are JSON where they can be, else text."""
    identity, _, query = name.partition("?")
    options: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        key, equals, value = pair.partition("=")
        if not equals or not key.removeprefix(_AT_RESET).isidentifier():
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
    return (stated_rate(env) or _USUAL_RATE) / skip


def stated_rate(env: gymnasium.Env[Any, Any]) -> float | None:
    """The `render_fps` that an environment states; None where that is no rate."""
    try:
        rate = float(env.metadata.get("render_fps") or math.nan)
    except (TypeError, ValueError):
        return None
    return rate if 0 < rate < math.inf else None


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
    """The environment, drawing to arrays if `pictures` are wanted and it can, or does not say whether."""
    if spec not in gymnasium.registry:
        return _or_user_error(spec, options, lambda: old_environment(spec, options, pictures))
    mode = DRAWN[0] if pictures else None
    try:
        env = _plain(spec, {"render_mode": mode, **options}, pictures)
    except Exception:  # it may know no render_mode; what else is wrong with it shows again
        return _or_user_error(spec, options, lambda: _plain(spec, options, pictures))
    modes = render_modes(env)
    if not pictures or modes is None or DRAWN[0] in modes:
        return env
    env.close()
    mode = DRAWN[1] if DRAWN[1] in modes else None
    return _or_user_error(spec, options, lambda: _plain(spec, {"render_mode": mode, **options}, pictures))


def _plain(spec: str, options: Mapping[str, Any], pictures: bool) -> gymnasium.Env[Any, Any]:
    """The registered environment, without Gymnasium's checks of what it gives, which are ours to make."""
    try:
        return gymnasium.make(spec, **{"disable_env_checker": True, **options})
    except TypeError as error:
        if "gymnasium.Env" not in str(error):
            raise
    registered = gymnasium.registry[spec]
    make = registered.entry_point
    make = load_env_creator(make) if isinstance(make, str) else make
    assert make is not None
    keywords = {**registered.kwargs, **options}
    longest = keywords.pop("max_episode_steps", registered.max_episode_steps)
    return adapted(make(**keywords), replace(registered, max_episode_steps=longest), pictures)


def _or_user_error(
    spec: str, options: Mapping[str, Any], make: Callable[[], gymnasium.Env[Any, Any]]
) -> gymnasium.Env[Any, Any]:
    """What `make` makes; whatever goes wrong in it as a UserError."""
    try:
        return make()
    except UserError:
        raise
    except gymnasium.error.DependencyNotInstalled as error:
        raise UserError(f"{spec} needs a package that is not installed: {error}") from error
    except Exception as error:
        asked = f" with {', '.join(options)}" if options else ""
        reason = str(error) if isinstance(error, gymnasium.error.Error | TypeError) else repr(error)
        raise UserError(f"Gymnasium cannot make {spec!r}{asked}: {reason}") from error


def _resolved_id(identity: str) -> str:
    """`identity`, if Gymnasium (or the old Gym) knows it, in its newest version where none is given and in
    the namespace that has it (`Pong-v5` is `ALE/Pong-v5`) where none is given."""
    module, colon, name = identity.rpartition(":")
    if colon:
        _load(module, identity)
    for prefix, (family, package) in _FAMILIES.items():
        if identity.startswith(prefix):
            missing = f"{identity} needs {family.partition('.')[0]}; pip install {package}"
            _import(family, missing)
    found = _registered(name)
    if found is None and not colon:
        for family, _ in _FAMILIES.values():
            _import(family, None)
        found = _registered(name)
    if found is not None:
        return found
    if is_of_old_gym(name):
        return name
    raise BadUse(f"Gymnasium knows no environment {name!r}; {_perhaps(name)}")


def _registered(name: str) -> str | None:
    """The id that a name stands for, in its newest version. BadUse where several namespaces have it."""
    known = gymnasium.registry
    if name in known:
        return name
    alike = [
        (s.version or 0, key)
        for key, s in known.items()
        if name in (_unversioned(key), _bare(key), _unversioned(_bare(key)))
    ]
    newest = [key for version, key in alike if version == max(alike)[0]]
    if len(newest) > 1:
        raise BadUse(f"several environments are called {name!r}; say which: {', '.join(sorted(newest))}")
    return newest[0] if newest else None


def _perhaps(name: str) -> str:
    """What may have been meant: alike but for its namespace, its version or its case, or nearest."""
    newest: dict[str, str] = {}
    for key, spec in gymnasium.registry.items():
        word = _unversioned(_bare(key)).lower()
        if word not in newest or (gymnasium.registry[newest[word]].version or 0) < (spec.version or 0):
            newest[word] = key
    word = _unversioned(_bare(name)).lower()
    near = [newest[word]] if word in newest else [newest[other] for other in nearest(word, newest)]
    missing = [
        f"{prefix} (pip install {package})"
        for prefix, (family, package) in _FAMILIES.items()
        if importlib.util.find_spec(family.partition(".")[0]) is None
    ]
    perhaps = f"perhaps {' or '.join(near)}" if near else "import the module that registers it: gym:MODULE:ID"
    return perhaps + (f"; not installed: {', '.join(missing)}" if missing else "")


def _bare(identity: str) -> str:
    """An id without its namespace."""
    return identity.rpartition("/")[2]


def _unversioned(identity: str) -> str:
    return re.sub(r"-v\d+$", "", identity)


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
