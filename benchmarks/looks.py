"""Seconds a frame by look, picture size and samples: medians over frames of one scene, on the machine named.

`soft` is timed in two parts, tracing and denoising. Core-seconds are of all threads of the process. Drafts
are square, of the size's shorter side.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tyro

from harness import EXACT, Subject, progress, save, show
from orrery.studio.looks import read_size
from orrery.studio.soft import SoftLook, SoftSettings
from orrery.worlds.tabletop.world import TabletopWorld

SEED = 970_000
SENTENCE = (
    "a big red wooden ball drops and a big white steel ball stands on the table "
    "and a big blue wooden box stands on the table"
)


@dataclass
class Settings:
    """sizes: WIDTHxHEIGHT. samples: paths a pixel, of `soft`. num_frames: timed, after one that is not."""

    sizes: tuple[str, ...] = ("256x256", "1280x720", "720x1280")
    samples: tuple[int, ...] = (4, 16)
    num_frames: int = 6


def timed(step: Callable[[], Any], num_frames: int) -> dict[str, float]:
    """Median seconds and core-seconds of a step; the first call, which compiles, does not count."""
    step()
    walls, cores = [], []
    for _ in range(num_frames):
        wall, core = time.perf_counter(), time.process_time()
        step()
        walls.append(time.perf_counter() - wall)
        cores.append(time.process_time() - core)
    return {"seconds": statistics.median(walls), "core_seconds": statistics.median(cores)}


def soft_frame(width: int, height: int, samples: int, num_frames: int) -> dict[str, Any]:
    world = TabletopWorld(streams=[])
    world.reset(SEED, prompt=SENTENCE)
    look = SoftLook(SoftSettings((width, height), samples))
    scene = world.mujoco_scene()
    tracing = timed(lambda: look.trace(scene), num_frames)
    traced = look.trace(scene)
    return {"tracing": tracing, "denoising": timed(lambda: look.finish(traced), num_frames)}


def draft_frame(side: int, num_frames: int) -> dict[str, float]:
    """A tick less one without pictures, over its frames."""
    seconds = []
    for streams in (["video.main"], []):
        world = TabletopWorld(streams=streams, image_size=side)
        world.reset(SEED, prompt=SENTENCE)
        seconds.append(timed(world.step, num_frames))
    frames = world.spec.clock.frames_per_tick
    return {name: (seconds[0][name] - seconds[1][name]) / frames for name in seconds[0]}


def main(settings: Settings) -> None:
    rows, figures = [], []
    for size in progress(settings.sizes, "sizes"):
        width, height = read_size(size)
        draft = draft_frame(min(width, height), settings.num_frames)
        figures.append({"look": "draft", "size": [min(width, height)] * 2, **draft})
        rows.append(["draft", f"{min(width, height)}x{min(width, height)}", "", draft["core_seconds"], ""])
        for samples in settings.samples:
            soft = soft_frame(width, height, samples, settings.num_frames)
            figures.append({"look": "soft", "size": [width, height], "samples": samples, **soft})
            cores = [soft[part]["core_seconds"] for part in ("tracing", "denoising")]
            rows.append(["soft", size, samples, *cores])
    show("Core-seconds a frame", ["look", "size", "samples", "tracing", "denoising"], rows)
    save("looks", Subject(EXACT), {"num_frames": settings.num_frames, "frames": figures}, seed=SEED)


if __name__ == "__main__":
    main(tyro.cli(Settings))
