"""What it costs to record the laboratory with all its labels, against recording in other ways, in one run.

Frames a core-second (CPU time, so that a busy machine does not count): the laboratory with pictures, sound,
touch, state, depth, segmentation and tracks; the same without drawing; MuJoCo's own renderer in a plain loop
over the same scene with picture, depth and segmentation, where EGL or OSMesa exists; and Gymnasium's
RecordVideo around the laboratory, which keeps the picture alone. And where the laboratory's time goes: the
share that is neither MuJoCo's step nor the ray tracer's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import mujoco_warp
import numpy as np
import tyro

from harness import EXACT, Subject, save, show
from orrery.scenes.drawing import LabRequest
from orrery.scenes.families import sample_laboratory
from orrery.scenes.laboratory import LabScene
from orrery.streams import Clock
from orrery.worlds.gymnasium import WorldEnv
from orrery.worlds.laboratory import LaboratoryWorld, laboratory_spec
from orrery.worlds.physics import SUBSTEPS_PER_FRAME
from orrery.worlds.rig import build_laboratory

SEED = 970_000
BAR = 0.25


@dataclass
class Settings:
    """sizes: of the picture, pixels. families: one scene of each. num_ticks: recorded of each scene."""

    sizes: tuple[int, ...] = (128, 256)
    families: tuple[str, ...] = ("plain", "ramp", "container")
    num_ticks: int = 24


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


def plain_loop(settings: Settings, size: int) -> float | str:
    """Frames a core-second of MuJoCo's own renderer with the same labels, or why there is none.

    MUJOCO_GL=egl or osmesa chooses the driver. It is tried in a process of its own, for a missing one may
    abort.
    """
    tried = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 32, 32).render()"
    probe = subprocess.run([sys.executable, "-c", tried], capture_output=True, text=True, check=False)
    if probe.returncode:
        reason = next((line for line in reversed(probe.stderr.splitlines()) if "Error" in line), "no driver")
        return f"skipped: no OpenGL for MuJoCo here ({reason[:120]})"
    spent, frames = 0.0, 0
    for scene in scenes(settings):
        model = build_laboratory(scene, Clock())
        data = mujoco.MjData(model)
        renderer = mujoco.Renderer(model, size, size)
        renderer.update_scene(data)
        renderer.render()
        began = time.process_time()
        for _ in range(2 * settings.num_ticks):
            mujoco.mj_step(model, data, SUBSTEPS_PER_FRAME)
            for enable in (None, renderer.enable_depth_rendering, renderer.enable_segmentation_rendering):
                if enable is not None:
                    enable()
                renderer.update_scene(data)
                renderer.render()
                renderer.disable_depth_rendering()
                renderer.disable_segmentation_rendering()
        spent += time.process_time() - began
        frames += 2 * settings.num_ticks
        renderer.close()
    return frames / spent


def record_video(settings: Settings, size: int) -> float | str:
    """Frames a core-second of Gymnasium's RecordVideo around the laboratory, or why there is none."""
    from gymnasium.error import DependencyNotInstalled
    from gymnasium.wrappers import RecordVideo

    world = LaboratoryWorld(streams=["video.main", "audio.main", "action"], image_size=size)
    with tempfile.TemporaryDirectory() as folder:
        try:
            env = RecordVideo(
                WorldEnv(world, render_mode="rgb_array"), folder, episode_trigger=lambda _: True
            )
        except (DependencyNotInstalled, ImportError) as problem:
            return f"skipped: {problem}"
        env.reset(seed=SEED)
        began = time.process_time()
        for _ in range(settings.num_ticks):
            env.step(env.action_space.sample())
        env.close()
        return settings.num_ticks / (time.process_time() - began)


def measured(settings: Settings) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    everything = list(laboratory_spec().streams)
    blind = [name for name in everything if name not in ("video.main", "depth.main", "segmentation.main")]
    for size in settings.sizes:
        frames, spent, parts = recorded(settings, everything, size)
        others = {
            "mujoco_renderer": plain_loop(settings, size),
            "gymnasium_record_video": record_video(settings, size),
        }
        ours = frames / spent
        figures[f"{size}"] = {
            "frames_per_core_second": ours,
            "share_not_in_physics_and_rays": 1.0 - sum(parts.values()) / spent,
            "bar": BAR,
            "shares": {name: seconds / spent for name, seconds in parts.items()},
            **others,
            "ratios": {k: ours / v for k, v in others.items() if isinstance(v, float)},
        }
    frames, spent, parts = recorded(settings, blind, settings.sizes[0])
    figures["without_drawing"] = {
        "frames_per_core_second": frames / spent, "share_not_in_physics": 1.0 - parts["mj_step"] / spent,
    }  # fmt: skip
    return figures


def main(settings: Settings) -> None:
    figures = measured(settings)
    rows = []
    for size in settings.sizes:
        part = figures[f"{size}"]
        rows.append([f"{size}: frames a core-second, all labels", part["frames_per_core_second"]])
        rows.append([f"{size}: share not in physics and rays", part["share_not_in_physics_and_rays"]])
        rows.append([f"{size}: MuJoCo's own renderer", part["mujoco_renderer"]])
        rows.append(
            [f"{size}: RecordVideo, picture alone (one frame a step)", part["gymnasium_record_video"]]
        )
    rows.append(
        ["without drawing: frames a core-second", figures["without_drawing"]["frames_per_core_second"]]
    )
    show("Recording the laboratory", ["", "measured"], rows)
    save("collecting", Subject(EXACT), {"exact_world": "laboratory", **figures}, seed=SEED)


if __name__ == "__main__":
    main(tyro.cli(Settings))
