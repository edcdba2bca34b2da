"""What it costs to record the laboratory with all its labels, against recording in other ways, in one run.

Frames a core-second (CPU time of all threads, so that a busy machine hardly counts), each in a process of its
own, in turns, medians over `rounds`:

- `laboratory`: pictures, sound, touch, state, depth, segmentation and tracks, in memory; and the share of the
  time that is neither MuJoCo's step nor a ray's. `without_drawing`: the same without what is seen.
- `mujoco_renderer`: MuJoCo's own offscreen renderer in a plain loop over the same scenes and physics, with
  picture, depth and segmentation alone, as it comes; `mujoco_renderer_light` with a shadow map of 512 pixels
  and no multisampling. Through EGL or OSMesa, whichever is there (Debian's libegl1, libegl-mesa0 and
  libgl1-mesa-dri, or libosmesa6).
- `to_disk`: the streams of `laboratory` as `orrery collect` writes them; encoding included.
- `gymnasium_record_video`: Gymnasium's RecordVideo around the laboratory, a frame a step, the picture alone;
  encoding included. Needs the extra `bench`.

The renderer's ratios are those of `laboratory`, RecordVideo's those of `to_disk`.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import mujoco
import mujoco_warp
import numpy as np
import tyro

from harness import EXACT, Subject, save, show
from orrery.data.record.source import Request
from orrery.data.record.sources import source_of
from orrery.data.record.world import episode_seed
from orrery.data.writer import write_part
from orrery.streams import Clock
from orrery.worlds.gymnasium import WorldEnv
from orrery.worlds.laboratory.drawing import LabRequest
from orrery.worlds.laboratory.families import sample_laboratory
from orrery.worlds.laboratory.model import laboratory_parts
from orrery.worlds.laboratory.scene import LabScene
from orrery.worlds.laboratory.world import LaboratoryWorld, laboratory_spec
from orrery.worlds.rigid_bodies.physics import SUBSTEPS_PER_FRAME

SEED = 970_000
BAR = 0.25
GL_DRIVERS = ("egl", "osmesa")
DRAWN = ("video.main", "depth.main", "segmentation.main")


@dataclass
class Settings:
    """sizes: of the picture, pixels. families: one scene of each. num_ticks: recorded of each scene. rounds:
    how often each part is measured. part: only this, printed as JSON.
    """

    sizes: tuple[int, ...] = (128, 256)
    families: tuple[str, ...] = ("plain", "ramp", "container")
    num_ticks: int = 24
    rounds: int = 3
    part: str = ""


class Stopwatch:
    """CPU seconds spent inside some functions, by name, and in reading the clock for that.

    A frame calls `mj_step` forty times, so that reading the clock costs a hundredth of it; what that costs is
    measured once, on a function that does nothing, and taken off.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._calls, self._cost_inside = 0, 0.0
        num_calls, nothing = 20_000, self.around("nothing", lambda *_: None)
        began = time.process_time()
        for _ in range(num_calls):
            nothing(None, None)
        self._cost = (time.process_time() - began) / num_calls
        self._cost_inside = self.seconds.pop("nothing") / num_calls
        self._calls = 0

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        self.seconds.setdefault(name, 0.0)

        def timed(*args: Any, **options: Any) -> Any:
            began = time.process_time()
            value = function(*args, **options)
            self.seconds[name] += time.process_time() - began - self._cost_inside
            self._calls += 1
            return value

        return timed

    @property
    def overhead(self) -> float:
        """CPU seconds that the stopwatch itself took."""
        return self._calls * self._cost


def scenes(settings: Settings) -> list[LabScene]:
    return [
        sample_laboratory(np.random.default_rng([SEED, k]), LabRequest(family))
        for k, family in enumerate(settings.families)
    ]


def recorded(settings: Settings, streams: list[str], size: int) -> tuple[float, float, dict[str, float]]:
    """Frames, CPU seconds and where they went, of the laboratory with `streams`."""
    world = LaboratoryWorld(streams=streams, image_size=size)
    watch, spent, frames = Stopwatch(), 0.0, 0
    inner = (
        (mujoco, "mj_step"),
        (mujoco, "mj_multiRay"),
        (mujoco_warp, "refit_bvh"),
        (mujoco_warp, "render"),
    )
    originals = [getattr(module, name) for module, name in inner]
    for scene in scenes(settings):
        world.reset(SEED, scene=scene)  # compiles, the first time
        for (module, name), original in zip(inner, originals, strict=True):
            setattr(module, name, watch.around(name, original))
        began = time.process_time()
        for _ in range(settings.num_ticks):
            world.step()
        spent += time.process_time() - began
        frames += settings.num_ticks * world.spec.clock.frames_per_tick
        for (module, name), original in zip(inner, originals, strict=True):
            setattr(module, name, original)
    return frames, spent - watch.overhead, watch.seconds


def laboratory(settings: Settings, size: int) -> dict[str, float]:
    frames, spent, parts = recorded(settings, list(laboratory_spec().streams), size)
    return {"frames_per_core_second": frames / spent, **{name: part / spent for name, part in parts.items()}}


def without_drawing(settings: Settings, size: int) -> dict[str, float]:
    blind = [name for name in laboratory_spec().streams if name not in DRAWN]
    frames, spent, parts = recorded(settings, blind, size)
    return {"frames_per_core_second": frames / spent, **{name: part / spent for name, part in parts.items()}}


def mujoco_renderer(settings: Settings, size: int, is_light: bool = False) -> dict[str, float]:
    """A plain loop with the same labels. MUJOCO_GL chooses the driver."""
    spent, frames = 0.0, 0
    for scene in scenes(settings):
        spec = laboratory_parts(scene, Clock())
        spec.worldbody.add_light(  # the studio's lamp: without one, MuJoCo would draw no shadows
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[-0.6, -0.8, 1.6], dir=[0.35, 0.45, -1.0],
            castshadow=True,
        )  # fmt: skip
        model = spec.compile()
        if is_light:
            model.vis.quality.shadowsize, model.vis.quality.offsamples = 512, 0
        data, camera, orbit = mujoco.MjData(model), mujoco.MjvCamera(), scene.orbit
        camera.lookat[:], camera.distance = orbit.target_m, orbit.distance_m
        camera.azimuth = math.degrees(orbit.azimuth_rad) + 180.0
        camera.elevation = -math.degrees(orbit.elevation_rad)
        with mujoco.Renderer(model, size, size) as renderer:
            labelled(renderer, data, camera)  # compiles its shaders
            began = time.process_time()
            for _ in range(2 * settings.num_ticks):
                mujoco.mj_step(model, data, SUBSTEPS_PER_FRAME)
                labelled(renderer, data, camera)
            spent += time.process_time() - began
        frames += 2 * settings.num_ticks
    return {"frames_per_core_second": frames / spent}


def mujoco_renderer_light(settings: Settings, size: int) -> dict[str, float]:
    return mujoco_renderer(settings, size, is_light=True)


def labelled(renderer: mujoco.Renderer, data: mujoco.MjData, camera: mujoco.MjvCamera) -> None:
    """Picture, depth and segmentation of one instant."""
    renderer.update_scene(data, camera)
    renderer.render()
    for enable, disable in (
        (renderer.enable_depth_rendering, renderer.disable_depth_rendering),
        (renderer.enable_segmentation_rendering, renderer.disable_segmentation_rendering),
    ):
        enable()
        renderer.update_scene(data, camera)
        renderer.render()
        disable()


def to_disk(settings: Settings, size: int) -> dict[str, float]:
    """`orrery collect` with all labels; what is done once (compiling, tables at the end) is left out."""
    num_frames = settings.num_ticks * 2
    request = Request(SEED, num_frames / 24, tuple(laboratory_spec().streams), size)
    with tempfile.TemporaryDirectory() as folder:
        recorder = source_of("laboratory", request).open()
        recorder.episode(0)
        began = cpu_seconds()
        for number in range(len(settings.families)):
            write_part(Path(folder), number, recorder.episode(number))
        return {"frames_per_core_second": num_frames * len(settings.families) / (cpu_seconds() - began)}


def gymnasium_record_video(settings: Settings, size: int) -> dict[str, float]:
    """Gymnasium's RecordVideo around the laboratory, one frame a step."""
    from gymnasium.wrappers import RecordVideo

    world = LaboratoryWorld(
        streams=["video.main", "audio.main", "action"], image_size=size, clock=Clock(frames_per_tick=1)
    )
    num_frames = settings.num_ticks * 2
    with tempfile.TemporaryDirectory() as folder:
        env = WorldEnv(world, render_mode="rgb_array")
        env = RecordVideo(env, folder, episode_trigger=lambda _: True, disable_logger=True)
        env.reset(seed=SEED)  # compiles
        env.step(env.action_space.sample())
        began = cpu_seconds()
        for number in range(len(settings.families)):
            env.reset(seed=episode_seed(SEED, number))  # writes the film of what came before
            for _ in range(num_frames):
                env.step(env.action_space.sample())
        env.close()
        return {"frames_per_core_second": num_frames * len(settings.families) / (cpu_seconds() - began)}


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended, such as an encoder."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


PARTS: dict[str, Callable[[Settings, int], dict[str, float]]] = {
    part.__name__: part
    for part in (
        laboratory, without_drawing, mujoco_renderer, mujoco_renderer_light, to_disk, gymnasium_record_video,
    )
}  # fmt: skip
RIVALS = {
    "mujoco_renderer": "laboratory",
    "mujoco_renderer_light": "laboratory",
    "gymnasium_record_video": "to_disk",
}
"""What is measured against what."""


def missing(part: str) -> str | None:
    """Why a part cannot be measured here, or None. Tried elsewhere, for a driver that fails may abort."""
    if part.startswith("mujoco"):
        tried = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 32, 32).render()"
        works = any(python("-c", tried, driver=driver).returncode == 0 for driver in GL_DRIVERS)
        return None if works else f"skipped: MuJoCo finds no OpenGL here ({' and '.join(GL_DRIVERS)} tried)"
    if part == "gymnasium_record_video" and find_spec("moviepy") is None:
        return 'skipped: RecordVideo needs moviepy; pip install "orrery[bench]"'
    return None


def python(*arguments: str, driver: str = GL_DRIVERS[0]) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, with MuJoCo's drawing through `driver`."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "MUJOCO_GL": os.environ.get("MUJOCO_GL", driver)},
    )  # fmt: skip


def measured_once(settings: Settings, part: str, size: int) -> dict[str, float]:
    """One part at one size."""
    options = ["--part", part, "--sizes", str(size), "--num-ticks", str(settings.num_ticks)]
    said = ""
    for driver in GL_DRIVERS:
        done = python(__file__, *options, "--families", *settings.families, driver=driver)
        if done.returncode == 0:
            return json.loads(done.stdout.splitlines()[-1])
        said = done.stderr
    raise SystemExit(f"{part} at {size} pixels failed:\n{said}")


def measured(settings: Settings) -> dict[str, Any]:
    left_out = {part: reason for part in PARTS if (reason := missing(part))}
    there = [part for part in PARTS if part not in left_out]
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(settings.rounds):
        for size, part in itertools.product(settings.sizes, there):
            runs.setdefault((part, size), []).append(measured_once(settings, part, size))
    return {f"{size}": figures_of(runs, size, there) | left_out for size in settings.sizes}


def figures_of(
    runs: dict[tuple[str, int], list[dict[str, float]]], size: int, there: list[str]
) -> dict[str, Any]:
    """Medians of all rounds at one size."""
    middle = {
        part: {name: median(run[name] for run in runs[part, size]) for name in runs[part, size][0]}
        for part in there
    }
    speed = {part: figures.pop("frames_per_core_second") for part, figures in middle.items()}
    return {
        "frames_per_core_second": speed,
        "share_not_in_physics_and_rays": 1.0 - sum(middle["laboratory"].values()),
        "bar": BAR,
        "shares": middle["laboratory"],
        "ratios": {rival: speed[ours] / speed[rival] for rival, ours in RIVALS.items() if rival in speed},
    }


def main(settings: Settings) -> None:
    if settings.part:
        print(json.dumps(PARTS[settings.part](settings, settings.sizes[0])))
        return
    figures = measured(settings)
    rows = []
    for size in settings.sizes:
        part = figures[f"{size}"]
        rows += [[f"{size}: {name}", value] for name, value in part["frames_per_core_second"].items()]
        rows += [[f"{size}: times as fast as {name}", value] for name, value in part["ratios"].items()]
        rows += [[f"{size}: {name}", part[name]] for name in RIVALS if name in part]
        rows.append([f"{size}: share not in physics and rays", part["share_not_in_physics_and_rays"]])
    show("Recording the laboratory, frames a core-second", ["", "measured"], rows)
    save("collecting", Subject(EXACT), {"exact_world": "laboratory", **figures}, seed=SEED)


if __name__ == "__main__":
    main(tyro.cli(Settings))
