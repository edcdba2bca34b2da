"""What `render()` of any environment draws, as pictures of colours, camera by camera."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import gymnasium
import numpy as np

from orrery.errors import UserError
from orrery.streams import Array
from orrery.worlds.gymnasium.pictures import on_black

__all__ = ["DRAWN", "Drawing", "may_draw", "render_modes"]

AnyEnv = gymnasium.Env[Any, Any]
DRAWN = ("rgb_array", "rgb_array_list")
"""Modes that give arrays; of the second, the pictures since the last call."""
_OVER = 1 + 0.5 / 255
"""How bright white may be where it is 1: what rounds to the same byte."""
_LEAVE_OUT = "leave pictures out (--streams), or wrap the environment"


def render_modes(env: AnyEnv) -> list[str] | None:
    """The modes that an environment states, also under old Gym's name; None for one that states nothing."""
    metadata = env.metadata
    if "render_modes" not in metadata:
        return metadata.get("render.modes")
    return None if env.unwrapped.metadata is gymnasium.Env.metadata else metadata["render_modes"] or []


def may_draw(env: AnyEnv) -> bool:
    """Whether an environment, made as it is, draws arrays: it says so, or says nothing and has a `render` of
    its own."""
    modes = render_modes(env)
    if modes is None:
        return type(env.unwrapped).render is not gymnasium.Env.render
    return env.render_mode in DRAWN or (_takes_mode(type(env.unwrapped)) and "rgb_array" in modes)


class Drawing:
    """Pictures of environments that are alike.

    What is given may be grey or have an alpha channel (put before black), have its channels first, be of any
    numbers, be a list of cameras or a `Dict` of them, or, of `rgb_array_list`, the pictures since the last
    call. How bright white is (1, 255 or 65,535) is settled by a camera's first picture that is not black,
    and its size by its first.
    """

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._full_scales: dict[str, float] = {}

    def pictures(self, env: AnyEnv) -> dict[str, Array]:
        """Camera to `[H, W, 3]` uint8, the first `main`; empty where the environment draws nothing at all.

        UserError for what is no picture, and for one of another size than the first.
        """
        cameras = _cameras(_drawn(env), str(env.render_mode).endswith("_list"))
        if self._shapes and list(cameras) != list(self._shapes):
            was, now = ", ".join(self._shapes), ", ".join(cameras) or "nothing"
            raise UserError(f"the environment's render() gave {now} where it gave {was} before; {_LEAVE_OUT}")
        pictures = {name: self._picture(name, value) for name, value in cameras.items()}
        for name, picture in pictures.items():
            shape = self._shapes.setdefault(name, picture.shape)
            if picture.shape != shape:
                was, now = list(shape), list(picture.shape)
                raise UserError(
                    f"the environment's pictures changed from {was} to {now}; they must keep one size: "
                    f"{_LEAVE_OUT}"
                )
        return pictures

    def _picture(self, name: str, value: Any) -> Array:
        """Of one camera, as colours."""
        picture = np.asarray(value)
        if picture.ndim == 2:
            picture = picture[..., None]
        if picture.ndim == 3 and picture.shape[-1] not in (1, 3, 4) and picture.shape[0] in (1, 3, 4):
            picture = np.moveaxis(picture, 0, -1)
        if picture.ndim != 3 or picture.shape[-1] not in (1, 3, 4) or picture.dtype.kind not in "biuf":
            given = f"{list(picture.shape)} {picture.dtype}"
            raise UserError(
                f"the environment's render() gave {given}, where [H, W, 3] uint8 is a picture; {_LEAVE_OUT}"
            )
        if picture.dtype != np.uint8:
            picture = self._bytes(name, picture)
        if picture.shape[-1] == 4:
            return on_black(picture)
        return np.repeat(picture, 3, -1) if picture.shape[-1] == 1 else picture

    def _bytes(self, name: str, picture: Array) -> Array:
        low, high = float(picture.min()), float(picture.max())
        full = self._full_scales.get(name)
        if full is None:
            small = 1.0 if picture.dtype.kind in "bf" else 255.0
            full = next((scale for scale in (small, 255.0, 65535.0) if high <= scale * _OVER), np.inf)
            if high > 0:
                self._full_scales[name] = full
        if not full * (1 - _OVER) <= low <= high <= full * _OVER < np.inf:  # nor where one is no number
            expected = f"0 to {full:g}" if full < np.inf else "0 to 255"
            given = f"from {low:g} to {high:g}" if low <= high else "that are not numbers (NaN)"
            raise UserError(
                f"the environment's pictures hold values {given} where {expected} is expected; {_LEAVE_OUT}"
            )
        return np.rint(np.clip(picture * (255 / full), 0, 255)).astype(np.uint8)


@lru_cache
def _takes_mode(kind: type[AnyEnv]) -> bool:
    """Whether `render` itself is told the mode, as in old Gym."""
    return "mode" in inspect.signature(kind.render).parameters


def _drawn(env: AnyEnv) -> Any:
    try:
        if env.render_mode is None and _takes_mode(type(env.unwrapped)):
            return env.unwrapped.render(mode="rgb_array")  # pyright: ignore[reportCallIssue]
        return env.render()
    except gymnasium.error.DependencyNotInstalled as error:
        raise UserError(f"its pictures need a package that is not installed: {error}") from error
    except UserError:
        raise
    except Exception as error:  # whatever an environment of the user's own raises
        hint = f"set MUJOCO_GL=egl where there is no display, {_LEAVE_OUT}"
        hint = hint if hasattr(env.unwrapped, "mujoco_renderer") else _LEAVE_OUT
        raise UserError(
            f"the environment cannot draw its picture: {type(error).__name__}: {error}; {hint}"
        ) from error


def _cameras(drawn: Any, is_film: bool) -> dict[str, Any]:
    """Name to picture; empty where there is none."""
    if drawn is None or isinstance(drawn, str):
        return {}
    words = ["main"]
    if isinstance(drawn, Mapping):
        words = [re.sub(r"[^0-9A-Za-z_-]+", "_", str(key)) or "_" for key in drawn]
        words = words if "main" in words else ["main", *words[1:]]
        pictures = list(drawn.values())
    elif _is_several(drawn):
        pictures = list(drawn)[-1:] if is_film else list(drawn)
        words = [str(i or "main") for i in range(len(pictures))]
    else:
        pictures = [drawn]
    named: dict[str, Any] = {}
    for word, picture in zip(words, pictures, strict=True):
        name, number = word, 1
        while name in named:
            number += 1
            name = f"{word}_{number}"
        named[name] = picture
    return named


def _is_several(drawn: Any) -> bool:
    """Whether what is drawn is pictures one after another, and no picture as nested lists of numbers."""
    if isinstance(drawn, list | tuple):
        return not drawn or not isinstance(drawn[0], list | tuple | int | float)
    return isinstance(drawn, np.ndarray) and drawn.ndim == 4
