"""The control streams by name, each of which takes frames in and leaves files and what they hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from orrery.errors import BadUse, nearest
from orrery.media import FilmWriter
from orrery.streams import Array
from orrery.studio.controls.arrays import FrameArray
from orrery.studio.controls.camera import CAMERA_FORM, camera_path
from orrery.studio.controls.depth import DEPTH_FORM, InverseRange
from orrery.studio.controls.edges import edge_picture, edges
from orrery.studio.controls.flow import FLOW_FORM, flow_picture
from orrery.studio.controls.geometry import Seen
from orrery.studio.controls.segmentation import palette
from orrery.studio.controls.tracks import TRACKS_FORM, Tracks
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene

__all__ = ["CONTROLS", "FILMED", "ControlStream", "FilmForm", "read_controls"]


@dataclass(frozen=True)
class FilmForm:
    """A shot's films. size: width and height, pixels. num_frames: of the shot; padded: frames beyond them,
    which repeat its last. names: of the instances."""

    folder: Path
    size: tuple[int, int]
    frames_per_second: int
    num_frames: int
    padded: int
    names: Mapping[int, str]

    def film(self, name: str, pictures: Iterable[Array]) -> str:
        """Write pictures `[H, W, 3]` uint8 as `name`.mp4, lossless and padded; its name."""
        path = self.folder / f"{name}.mp4"
        with FilmWriter(
            path, self.frames_per_second, None, (self.size[1], self.size[0]), lossless=True
        ) as writer:
            last = None
            for last in pictures:
                writer.write(last[None])
            for _ in range(self.padded):
                assert last is not None
                writer.write(last[None])
        return path.name


class ControlStream(Protocol):
    """Takes the frames of a shot in, one after the other, then writes the rest and says what there is."""

    def add(self, seen: Seen) -> None:
        """The next frame."""
        ...

    def finish(self) -> dict[str, Any]:
        """Plain values: files by their names, units, ranges."""
        ...


class _Depth:
    def __init__(self, form: FilmForm, stack: ExitStack) -> None:
        self._form, self._range = form, InverseRange()
        shape = form.size[::-1]
        self._array = stack.enter_context(
            FrameArray(form.folder / "depth.npy", form.num_frames, shape, "float32")
        )

    def add(self, seen: Seen) -> None:
        self._range.add(seen.depth_m)
        self._array.add(seen.depth_m)

    def finish(self) -> dict[str, Any]:
        film = self._form.film("depth", map(self._range.picture, self._array.read()))
        far_m = self._range.far_m
        return {
            "array": self._array.path.name,
            "what": "along the camera's axis, of the first surface, glass too",
            "unit": "m",
            "range": [self._range.near_m, far_m if np.isfinite(far_m) else None],
            "nothing": "inf, null in the range",
            "film": film,
            "film_form": DEPTH_FORM,
        }


class _Segmentation:
    def __init__(self, form: FilmForm, stack: ExitStack) -> None:
        self._form, self._seen = form, np.zeros(256, bool)
        self._array = stack.enter_context(
            FrameArray(form.folder / "segmentation.npy", form.num_frames, form.size[::-1], "uint8")
        )

    def add(self, seen: Seen) -> None:
        self._seen[np.unique(seen.instance)] = True
        self._array.add(seen.instance.astype(np.uint8))

    def finish(self) -> dict[str, Any]:
        colours = palette()
        film = self._form.film("segmentation", (colours[frame] for frame in self._array.read()))
        instances = [
            {"instance": k, "name": name, "colour": colours[k].tolist(), "seen": bool(self._seen[k])}
            for k, name in self._form.names.items()
        ]
        return {
            "array": self._array.path.name,
            "unit": "instance",
            "instances": instances,
            "film": film,
            "film_form": "one colour for each instance, sRGB",
        }


class _Edges:
    def __init__(self, form: FilmForm, stack: ExitStack) -> None:
        self._form = form
        self._array = stack.enter_context(
            FrameArray(form.folder / "edges.npy", form.num_frames, form.size[::-1], "bool")
        )

    def add(self, seen: Seen) -> None:
        self._array.add(edges(seen))

    def finish(self) -> dict[str, Any]:
        return {
            "array": self._array.path.name,
            "what": "ends of things and of their faces; no texture, shadow or light",
            "unit": "line or none",
            "film": self._form.film("edges", map(edge_picture, self._array.read())),
            "film_form": "white lines on black, a pixel wide",
        }


class _Flow:
    def __init__(self, form: FilmForm, stack: ExitStack) -> None:
        self._form, self._longest = form, 0.0
        shape = (*form.size[::-1], 2)
        self._array = stack.enter_context(
            FrameArray(form.folder / "flow.npy", form.num_frames - 1, shape, "float32")
        )

    def add(self, seen: Seen) -> None:
        if seen.flow_px is None:
            return
        lengths = np.hypot(seen.flow_px[..., 0], seen.flow_px[..., 1])
        self._longest = max(self._longest, float(np.nan_to_num(lengths).max()))
        self._array.add(seen.flow_px)

    def finish(self) -> dict[str, Any]:
        flows = self._array.read()
        still = np.zeros((*self._form.size[::-1], 2), np.float32)
        order = [flows[0] if len(flows) else still, *flows]
        return {
            "array": self._array.path.name,
            "what": "from each frame to the next, x right and y down, of the point of the surface that is "
            "seen (turns of things count), whether or not it is hidden there; one frame fewer than the "
            "film; NaN: then behind the camera",
            "unit": "pixels a frame",
            "range": [0.0, self._longest],
            "film": self._form.film("flow", (flow_picture(flow, self._longest) for flow in order)),
            "film_form": f"{FLOW_FORM}; the first is shown twice, so that the film is as long as the shot",
        }


class _Tracks:
    def __init__(self, form: FilmForm, stack: ExitStack) -> None:
        self._form, self._tracks = form, Tracks(form.names, form.size)

    def add(self, seen: Seen) -> None:
        self._tracks.add(seen)

    def finish(self) -> dict[str, Any]:
        return {"file": _json(self._form, "tracks", TRACKS_FORM, {"things": self._tracks.values()})}


class _Camera:
    def __init__(self, form: FilmForm, stack: ExitStack) -> None:
        self._form = form
        self._scenes: list[MujocoScene] = []

    def add(self, seen: Seen) -> None:
        self._scenes.append(seen.scene)

    def finish(self) -> dict[str, Any]:
        return {"file": _json(self._form, "camera", CAMERA_FORM, camera_path(self._scenes, self._form.size))}


CONTROLS: Mapping[str, Callable[[FilmForm, ExitStack], ControlStream]] = {
    "depth": _Depth,
    "segmentation": _Segmentation,
    "edges": _Edges,
    "flow": _Flow,
    "tracks": _Tracks,
    "camera": _Camera,
}
FILMED = ("depth", "segmentation", "edges", "flow")
"""Of the controls, those that are films."""


def read_controls(text: str) -> tuple[str, ...]:
    """Names such as `depth,edges` in the order of CONTROLS; `all` is all. BadUse, with the nearest, for one
    that is none."""
    asked = [name.strip() for name in text.split(",") if name.strip()]
    if asked == ["all"]:
        return tuple(CONTROLS)
    for name in asked:
        if name not in CONTROLS:
            hint = nearest(name, CONTROLS) or list(CONTROLS)
            raise BadUse(f"--controls {name}: there is no such control; perhaps {' or '.join(hint)}")
    if not asked:
        raise BadUse(
            f"--controls: name some, such as depth,edges; there are {', '.join(CONTROLS)}, and `all`"
        )
    return tuple(name for name in CONTROLS if name in asked)


def _json(form: FilmForm, name: str, meaning: str, values: Mapping[str, Any]) -> str:
    """Write plain values as `name`.json in the shot's folder; its name."""
    path = form.folder / f"{name}.json"
    about = {"size": list(form.size), "frames_per_second": form.frames_per_second, "meaning": meaning}
    path.write_text(json.dumps({**about, **values}, allow_nan=False), "utf-8")
    return path.name
