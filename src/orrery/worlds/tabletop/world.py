"""The exact world: MuJoCo physics on a tray, ray-traced pictures, modal sound, and a finger that feels.

Streams: `video.main`, `audio.main`, `touch.finger`, `state`, `camera.main`, `action`, and `tracks.main` (in
the plain setting only where it is named). State slots 0 to 2 are the scene's bodies in order; the last slot
is the finger. Group k of the tracks is the thing in slot k.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np

from orrery.errors import BadUse
from orrery.streams import Array, Clock, StreamSpec, WorldSpec
from orrery.worlds.rigid_bodies.bench import Bench, camera_pose, describe, describe_finger
from orrery.worlds.rigid_bodies.exact import ExactWorld
from orrery.worlds.rigid_bodies.finger import MAX_SPEED_M_S, script_from
from orrery.worlds.rigid_bodies.geometry import rotate
from orrery.worlds.rigid_bodies.materials import COLOURS, SURFACES
from orrery.worlds.rigid_bodies.mujoco_scene import GeomLook
from orrery.worlds.rigid_bodies.physics import (
    FINGER_HALF_LENGTH_M,
    FINGER_MATERIAL,
    TABLE_MATERIAL,
    Motion,
)
from orrery.worlds.rigid_bodies.sound import SoundingBody
from orrery.worlds.rigid_bodies.state import StateLayout
from orrery.worlds.rigid_bodies.tracks import TRACK_NUMBERS, tracks_of
from orrery.worlds.rigid_bodies.words import numbered
from orrery.worlds.tabletop.events import with_event
from orrery.worlds.tabletop.finger import begins_clear, plan_script
from orrery.worlds.tabletop.language import caption, parse
from orrery.worlds.tabletop.model import build_model
from orrery.worlds.tabletop.render import shared_renderer
from orrery.worlds.tabletop.scene import MAX_BODIES, Scene, SceneRequest, sample_scene
from orrery.worlds.tabletop.setting import SETTING, Setting

__all__ = ["NUM_SLOTS", "TabletopWorld", "draw_scene", "tabletop_spec"]

NUM_SLOTS = MAX_BODIES + 1
FINGER_SLOT = MAX_BODIES


def tabletop_spec(image_size: int = 128, clock: Clock | None = None, setting: Setting = SETTING) -> WorldSpec:
    """All streams of the tabletop. image_size: pixels, height and width."""
    clock = clock or Clock()
    frames = clock.frames_per_tick
    slots = (frames, NUM_SLOTS)
    streams = [
        StreamSpec("video.main", "video", "observed", (frames, image_size, image_size, 3), "uint8", "sRGB"),
        StreamSpec(
            "audio.main", "audio", "observed", (clock.samples_per_tick, 2), "float32", "full scale", -1.0, 1.0
        ),
        StreamSpec("touch.finger", "vector", "observed", (frames, 4, 4, 3), "float32", "N"),
        StreamSpec(
            "state", "vector", "observed", (*slots, setting.layout.width), "float32", groups=NUM_SLOTS
        ),
        StreamSpec("camera.main", "vector", "observed", (frames, 8), "float32", "m, wxyz, rad"),
        StreamSpec("action", "vector", "given", (frames, 3), "float32", "m/s", -MAX_SPEED_M_S, MAX_SPEED_M_S),
        StreamSpec(
            "tracks.main",
            "vector",
            "observed",
            (*slots, TRACK_NUMBERS),
            "float32",
            "pictures, m",
            groups=NUM_SLOTS,
            located_in="video.main",
        ),
    ]
    return WorldSpec(clock, {spec.name: spec for spec in streams})


class TabletopWorld(ExactWorld):
    """`num_worlds` independent tabletops.

    streams: names of those to produce; None for all but the setting's labels. Without `video.main` nothing is
    drawn, which makes an episode several times cheaper. image_size: pixels. clock: other rates, such as 60
    frames a second. Its action is m/s of the finger's target, `[frames, 3]`.
    """

    what = "tabletop"

    def __init__(
        self,
        num_worlds: int = 1,
        streams: Iterable[str] | None = None,
        image_size: int = 128,
        setting: Setting = SETTING,
        clock: Clock | None = None,
    ) -> None:
        spec = tabletop_spec(image_size, clock, setting)
        names = set(spec.streams) - set(setting.labels) if streams is None else set(streams)
        unknown = names - set(spec.streams)
        if unknown:
            raise BadUse(
                f"tabletop has no stream {', '.join(sorted(unknown))}; it has {', '.join(spec.streams)}"
            )
        super().__init__(spec.only(names), spec.streams["action"].shape, num_worlds)
        self._image_size, self._setting = image_size, setting

    def check_prompt(self, prompt: str) -> None:
        """See `Promptable`."""
        parse(prompt)

    def _read_scene(self, scene: Scene | Mapping[str, Any]) -> Scene:
        return scene if isinstance(scene, Scene) else Scene.from_json(scene)

    def _build(self, rng: np.random.Generator, prompt: str | None, scene: Scene | None) -> Bench:
        if scene is None:
            scene = draw_scene(rng, None if prompt is None else parse(prompt))
        text = prompt or caption(scene, (), rng)
        seed = int(rng.integers(2**31))
        return _Table(scene, self.spec, text, seed, self._image_size, self._setting)


def draw_scene(rng: np.random.Generator, request: SceneRequest | None) -> Scene:
    """A random scene in which nothing that falls begins inside the finger: three in a hundred would."""
    for _ in range(1000):
        scene = sample_scene(rng, request)
        if begins_clear(scene):
            return scene
    raise RuntimeError(f"no room beside the finger for {request}")


class _Table(Bench):
    """One tabletop. spec: the streams wanted. image_size: pixels."""

    def __init__(
        self, scene: Scene, spec: WorldSpec, text: str, seed: int, image_size: int, setting: Setting
    ) -> None:
        clock, camera = spec.clock, setting.cameras[scene.camera]
        layout, model = setting.layout, build_model(scene, clock)
        slots = [*range(len(scene.bodies)), FINGER_SLOT]
        bodies = _sounding_bodies(scene, model)
        script = plan_script(scene)
        super().__init__(
            scene, model, bodies, slots, _resting_state(scene, layout), layout, script, camera, clock,
            text, seed,
        )  # fmt: skip
        self._spec, self._seed, self._image_size, self._setting = spec, seed, image_size, setting
        self._start(scene.bodies)

    def directed(self, sentence: str) -> _Table:
        """See `Bench`."""
        now = replace(self.scene, bodies=self._as_they_are(self.scene.bodies))
        rng = np.random.default_rng([self._seed, self._num_ticks])
        scene = with_event(now, sentence, self._finger_m, rng)
        table = _Table(scene, self._spec, self.text, self._seed, self._image_size, self._setting)
        script = self._script
        if scene.push is not None:
            rate = self._clock.frames_per_second
            script = script_from(plan_script(scene), self._finger_m, self._seconds, rate)
        table._follow(self, script)
        return table

    def _look(self, motion: Motion, state: Array) -> dict[str, Array]:
        look = {"camera.main": camera_pose(self._camera)}
        if "tracks.main" in self._spec.streams:
            look["tracks.main"] = tracks_of(state, self._layout, self._camera)
        if "video.main" in self._spec.streams:
            look["video.main"] = self._picture(motion)
        return look

    def _thing_names(self) -> Sequence[str]:
        return numbered(f"{body.colour} {body.shape}" for body in self.scene.bodies)

    def _geom_looks(self) -> dict[str, GeomLook]:
        looks = {"table": GeomLook(TABLE_MATERIAL, SURFACES[TABLE_MATERIAL].colour)}
        looks |= {f"rim{k}": GeomLook(TABLE_MATERIAL, self._setting.decor.rim) for k in range(4)}
        for slot, body in enumerate(self.scene.bodies):
            looks[f"object{slot}"] = GeomLook(body.material, COLOURS[body.colour])
        return looks

    def _picture(self, motion: Motion) -> Array:
        renderer = shared_renderer(self._image_size, self._setting)
        renderer.set_scene(self.scene, self._camera)
        num_bodies = len(self.scene.bodies)
        axes = rotate(motion.quaternion[-1, :num_bodies, None], np.eye(3))
        return renderer.draw(
            motion.position_m[-1, :num_bodies], np.swapaxes(axes, -1, -2), motion.position_m[-1, num_bodies]
        )


def _resting_state(scene: Scene, layout: StateLayout) -> Array:
    """What of the state never changes, `[slots, D]` float32."""
    state = np.zeros((NUM_SLOTS, layout.width), np.float32)
    for slot, body in enumerate(scene.bodies):
        describe(state[slot], layout, body.shape, body.half_extents_m, COLOURS[body.colour], body.material)
    describe_finger(state[FINGER_SLOT], layout)
    return state


def _sounding_bodies(scene: Scene, model: mujoco.MjModel) -> list[SoundingBody]:
    """Table, objects and finger, in the order of MuJoCo's bodies."""
    masses = model.body_mass
    objects = [
        SoundingBody(f"object{k}", b.material, b.shape, b.half_extent_m, float(masses[k + 1]))
        for k, b in enumerate(scene.bodies)
    ]
    table = SoundingBody("table", TABLE_MATERIAL, "table", 0.3, 20.0)
    finger = SoundingBody("finger", FINGER_MATERIAL, "finger", FINGER_HALF_LENGTH_M, float(masses[-1]))
    return [table, *objects, finger]
