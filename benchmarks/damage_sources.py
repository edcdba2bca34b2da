"""Tiny data sets and films of every kind that is read, to be damaged: what the tests make for themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.extend(str(Path(__file__).parents[1] / "tests" / folder) for folder in ("data/record", "media"))

import hdf5_data
from odd_films import Track, film
from robot_data import Robot

from orrery.data.record.collect import collect

__all__ = ["SOURCES"]


def _ours(root: Path) -> str:
    collect("dummy", root / "ours", 2, seconds=0.5, image_size=16, progress=False)
    return str(root / "ours")


def _robot(root: Path) -> str:
    return f"lerobot:{Robot((4, 3), cameras={'observation.images.top': 20}).write(root / 'robot')}"


def _old_robot(root: Path) -> str:
    robot = Robot((4, 3), cameras={"observation.images.top": 10})
    return f"lerobot:{robot.write_v2(root / 'old_robot')}"


def _aloha(root: Path) -> str:
    for episode in range(2):
        hdf5_data.aloha(root / f"aloha/episode_{episode}.hdf5", episode, 4, compress=True)
    return f"hdf5:{root / 'aloha'}"


def _robomimic(root: Path) -> str:
    (root / "robomimic").mkdir()
    hdf5_data.robomimic(root / "robomimic/demos.hdf5", [4, 3])
    return f"hdf5:{root / 'robomimic'}"


def _stable_worldmodel(root: Path) -> str:
    (root / "stable_worldmodel").mkdir()
    hdf5_data.stable_worldmodel(root / "stable_worldmodel/two.h5", [4, 3])
    return f"hdf5:{root / 'stable_worldmodel'}?fps=10"


def _minari(root: Path) -> str:
    return f"minari:{hdf5_data.minari(root / 'things-v0', [3, 2])}"


def _film(suffix: str, **options: Any) -> Callable[[Path], str]:
    def make(root: Path) -> str:
        folder = root / f"film{suffix}"
        folder.mkdir()
        film(folder / f"film{suffix}", seconds=0.5, size=(48, 64), **options)
        return f"clips:{folder}"

    return make


def _wide(stream: Any) -> None:
    stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
    stream.set_display_rotation(90)


SOURCES: dict[str, Callable[[Path], str]] = {
    "ours": _ours,
    "robot": _robot,
    "old_robot": _old_robot,
    "aloha": _aloha,
    "robomimic": _robomimic,
    "stable_worldmodel": _stable_worldmodel,
    "minari": _minari,
    "mp4": _film(".mp4", tracks=[Track()]),
    "mov": _film(".mov", codec="mpeg4", tracks=[Track(layout="mono", delay=0.1)], prepare=_wide),
    "mkv": _film(".mkv", codec="libx265", pixel_format="yuv420p10le", tracks=[Track(codec="flac")]),
    "webm": _film(".webm", codec="libvpx", tracks=[Track(codec="libopus")]),
    "ts": _film(".ts", tracks=[Track(), Track(880, language="deu")]),
    "avi": _film(".avi", codec="mjpeg", pixel_format="yuvj420p"),
}
"""Name to what makes one in a folder, and gives its name as a source; a folder of ours is its path."""
