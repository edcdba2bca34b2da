"""The laboratory: ramps, dominoes, pendulums, see-saws and more, six materials, moving cameras, full labels.

Streams: `video.main`, `audio.main`, `touch.finger`, `state`, `camera.main`, `action`; and, for those who
name them, the labels `depth.main`, `segmentation.main` and `tracks.main`. State slots 0 to 7 are the scene's
things in order, 8 to 13 its fixtures, 14 the finger. An action is `[frames, 7]`: the finger's target in m/s
(three), how strongly its suction cup holds in [0, 1], and the camera's rates about the table (azimuth and
elevation in rad/s, distance in m/s). Sentences tell what has happened so far, in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from orrery.errors import BadUse, UserError
from orrery.streams import Array, Clock, StreamSpec, WorldSpec
from orrery.worlds.laboratory.captions import caption_laboratory
from orrery.worlds.laboratory.families import sample_laboratory
from orrery.worlds.laboratory.finger import plan_task
from orrery.worlds.laboratory.model import build_laboratory, laboratory_bodies
from orrery.worlds.laboratory.orbit import OrbitCamera, scripted_rates
from orrery.worlds.laboratory.scene import (
    LAB_STATE,
    MAX_FIXTURES,
    MAX_THINGS,
    NATURAL_COLOURS,
    LabScene,
    Thing,
)
from orrery.worlds.laboratory.sentences.deeds import contradictions, deed_words, not_standing, untold
from orrery.worlds.laboratory.sentences.here import asked_here, is_halt
from orrery.worlds.laboratory.sentences.on_the_way import carried_on
from orrery.worlds.laboratory.sentences.parser import parse_laboratory
from orrery.worlds.laboratory.sentences.run import Run
from orrery.worlds.laboratory.sentences.staging import Staged, stage
from orrery.worlds.laboratory.sentences.story import Story
from orrery.worlds.laboratory.studio import RIM_COLOUR, shared_studio
from orrery.worlds.rigid_bodies.bench import Bench, camera_pose, describe, describe_finger
from orrery.worlds.rigid_bodies.exact import ExactWorld
from orrery.worlds.rigid_bodies.finger import MAX_SPEED_M_S, script_from
from orrery.worlds.rigid_bodies.materials import ALL_COLOURS, SURFACES
from orrery.worlds.rigid_bodies.mesh_file import MeshFile
from orrery.worlds.rigid_bodies.mujoco_scene import GeomLook
from orrery.worlds.rigid_bodies.physics import TABLE_MATERIAL, Motion
from orrery.worlds.rigid_bodies.words import numbered

__all__ = ["LABELS", "NUM_SLOTS", "LaboratoryBench", "LaboratoryWorld", "laboratory_spec", "told", "watched"]

FINGER_SLOT = MAX_THINGS + MAX_FIXTURES
NUM_SLOTS = FINGER_SLOT + 1
LABELS = ("depth.main", "segmentation.main", "tracks.main")
"""Streams that are made only where they are named: they would fill a disk unasked."""
_SEEN = ("video.main", "depth.main", "segmentation.main")
TRIES = 40
"""Scenes that are run in search of one in which what a sentence tells does happen."""
TRIES_ON_THE_WAY, AHEAD_SECONDS = 4, 2.5
"""Ways to go on that are run ahead for a sentence on the way, and how long what it tells has to happen."""
TOLD_SECONDS = 5.0
"""How long a sentence's happenings have to happen, where it does not say."""


def laboratory_spec(image_size: int = 128, clock: Clock | None = None) -> WorldSpec:
    """All streams of the laboratory, labels as well. image_size: pixels, height and width."""
    clock = clock or Clock()
    frames = clock.frames_per_tick
    picture = (frames, image_size, image_size)
    streams = [
        StreamSpec("video.main", "video", "observed", (*picture, 3), "uint8", "sRGB"),
        StreamSpec(
            "audio.main", "audio", "observed", (clock.samples_per_tick, 2), "float32", "full scale", -1.0, 1.0
        ),
        StreamSpec("touch.finger", "vector", "observed", (frames, 4, 4, 3), "float32", "N"),
        StreamSpec(
            "state", "vector", "observed", (frames, NUM_SLOTS, LAB_STATE.width), "float32", groups=NUM_SLOTS
        ),
        StreamSpec("camera.main", "vector", "observed", (frames, 8), "float32", "m, wxyz, rad"),
        StreamSpec("action", "vector", "given", (frames, 7), "float32", "m/s, 1, rad/s", -1.0, 1.0),
        StreamSpec("depth.main", "vector", "observed", picture, "uint16", "mm"),
        StreamSpec(
            "segmentation.main", "vector", "observed", picture, "uint8", "0 nothing, 1 table, 2 + state slot"
        ),
        StreamSpec(
            "tracks.main",
            "vector",
            "observed",
            (frames, NUM_SLOTS, 3),
            "float32",
            "px right, px down, m away",
            groups=NUM_SLOTS,
        ),
    ]
    return WorldSpec(clock, {spec.name: spec for spec in streams})


class LaboratoryWorld(ExactWorld):
    """`num_worlds` independent laboratories.

    streams: names of those to produce; None for all but the labels (`LABELS`). Without pictures, depth and
    segmentation nothing is drawn, which makes an episode several times cheaper. image_size: pixels. clock:
    other rates, such as 48 kHz. objects: nouns of one's own for its sentences, each a mesh, which only other
    looks draw.
    """

    what = "laboratory"

    def __init__(
        self,
        num_worlds: int = 1,
        streams: Iterable[str] | None = None,
        image_size: int = 128,
        clock: Clock | None = None,
        objects: Mapping[str, MeshFile] | None = None,
    ) -> None:
        spec = laboratory_spec(image_size, clock)
        names = [name for name in spec.streams if name not in LABELS] if streams is None else list(streams)
        unknown = set(names) - set(spec.streams)
        if unknown:
            raise BadUse(
                f"laboratory has no stream {', '.join(sorted(unknown))}; it has {', '.join(spec.streams)}"
            )
        super().__init__(spec.only(names), spec.streams["action"].shape, num_worlds)
        self._image_size, self._objects = image_size, objects

    def check_prompt(self, prompt: str) -> None:
        """See `Promptable`."""
        parse_laboratory(prompt, self._objects)

    def _read_scene(self, scene: LabScene | Mapping[str, Any]) -> LabScene:
        return scene if isinstance(scene, LabScene) else LabScene.from_json(scene)

    def _build(self, rng: np.random.Generator, prompt: str | None, scene: LabScene | None) -> Bench:
        if scene is None:
            if prompt is None:
                scene = sample_laboratory(rng)
            else:
                scene = told(rng, prompt, self.spec.clock, self._objects)
        seed = int(rng.integers(2**31))
        return LaboratoryBench(scene, self.spec, prompt, seed, self._image_size)

    def prompt_seconds(self, prompt: str) -> float | None:
        """How long `prompt` says that it lasts, if it does."""
        return parse_laboratory(prompt, self._objects).seconds

    def text(self, index: int = 0) -> str:
        """The sentence that world `index` started from, or one that tells what has happened in it so far."""
        bench = self._bench(index)
        assert isinstance(bench, LaboratoryBench)
        return bench.told_text()


def told(
    rng: np.random.Generator, prompt: str, clock: Clock, objects: Mapping[str, MeshFile] | None = None
) -> LabScene:
    """A scene in which what `prompt` tells does happen. objects: see `LaboratoryWorld`.

    What happens is for physics to say, so scenes are set up and run without pictures until one does.
    UserError for a sentence that cannot be read, and where none of `TRIES` scenes shows what it tells: naming
    what.
    """
    story = parse_laboratory(prompt, objects)
    missing: Counter[str] = Counter()
    for _ in range(TRIES):
        staged = stage(rng, story)
        run = watched(staged, clock, story.seconds or TOLD_SECONDS)
        wrong = [deed_words(story, deed) for deed in untold(story, run)]
        wrong += [f"{story.things[k].name} stayed where it should" for k in contradictions(story, run)]
        wrong += [f"{kind} was so at first" for kind in not_standing(story, run)]
        if not wrong:
            return replace(staged.scene, text=prompt)
        missing[wrong[0]] += 1
    (what, _), *_ = missing.most_common(1)
    raise UserError(f"in {TRIES} tries it never came about that {what}; tell it with fewer or other things")


def watched(staged: Staged, clock: Clock, seconds: float) -> Run:
    """What becomes of a scene by its own script, without pictures. The sound's seed has no part in it."""
    bench = LaboratoryBench(staged.scene, WorldSpec(clock, {}), None, 0, 0)
    states = []
    for _ in range(clock.num_ticks(seconds)):
        bench.advance(bench.scripted_action())
        states.append(bench.tick["state"])
    return Run(staged.scene, staged.cast, np.concatenate(states), bench.events, 1 / clock.frames_per_second)


class LaboratoryBench(Bench):
    """One laboratory. spec: the streams wanted. prompt: the sentence that it started from, if one did."""

    def __init__(
        self, scene: LabScene, spec: WorldSpec, prompt: str | None, seed: int, image_size: int
    ) -> None:
        self._spec, self._wanted = spec, set(spec.streams)
        self._image_size = image_size
        self.seed = seed
        if any(thing.mesh is not None for thing in scene.things) and not self._wanted.isdisjoint(_SEEN):
            raise BadUse("a mesh of one's own is drawn by the soft look alone: use `orrery shoot`")
        self._orbit = OrbitCamera.start(scene.orbit)
        model = build_laboratory(scene, spec.clock)
        fixtures = range(MAX_THINGS, MAX_THINGS + len(scene.fixtures))
        slots = [*range(len(scene.things)), FINGER_SLOT, *fixtures]
        super().__init__(
            scene, model, laboratory_bodies(scene, model), slots, _resting_state(scene), LAB_STATE,
            plan_task(scene), self._orbit.camera, spec.clock, prompt or "", seed,
            hertz=True,
        )  # fmt: skip
        self._turns_itself = False
        self._start(scene.things)

    def told_text(self) -> str:
        """The sentence that it started from, or one that tells what has happened so far."""
        if self.text or self.scene.text:
            return self.text or self.scene.text
        events = sorted(self.events, key=lambda event: event.seconds)
        return caption_laboratory(self.scene, events, np.random.default_rng(self.seed))

    def directed(self, sentence: str) -> LaboratoryBench:
        """See `Bench`: the first of a few ways to go on in which what is said comes about."""
        at = self._orbit
        pose = {
            "azimuth_rad": at.azimuth_rad,
            "elevation_rad": at.elevation_rad,
            "distance_m": at.distance_m,
        }
        orbit = replace(self.scene.orbit, **pose)
        now = replace(self.scene, things=self._as_they_are(self.scene.things), orbit=orbit, task=None)
        story, rng = asked_here(now, sentence), np.random.default_rng([self.seed, self._num_ticks])
        missing: Counter[str] = Counter()
        for _ in range(TRIES_ON_THE_WAY):
            staged = carried_on(rng, now, story, self._finger_m)
            late = self._missing_ahead(story, staged)
            if late is None:
                return self._going_on(staged.scene, self._spec, self._image_size, story.move is not None)
            missing[late] += 1
        (what, _), *_ = missing.most_common(1)
        raise UserError(f"as things stand it does not come about that {what}; tell of something else")

    def _going_on(
        self, scene: LabScene, spec: WorldSpec, image_size: int = 0, turns: bool = False
    ) -> LaboratoryBench:
        """How it goes on with another scene, in which its own things are the first."""
        bench = LaboratoryBench(scene, spec, self.told_text(), self.seed, image_size)
        script = self._script
        if scene.task is not None:
            rate = self._clock.frames_per_second
            script = script_from(plan_task(scene), self._finger_m, self._seconds, rate)
        bench._follow(self, script)
        bench._data.ctrl[3] = 0.0 if scene.task is not None else self._data.ctrl[3]
        bench._turns_itself = turns or self._turns_itself
        return bench

    def _missing_ahead(self, story: Story, staged: Staged) -> str | None:
        """What of a story does not come about in what follows, run ahead without pictures; None where all
        does."""
        num_there = len(self.scene.things)
        deeds = [deed for deed in story.deeds if not is_halt(story, deed, num_there)]
        if not deeds:
            return None
        bench = self._going_on(staged.scene, WorldSpec(self._clock, {}))
        busy = bench._script.seconds - self._seconds if staged.scene.task is not None else 0.0
        states = []
        for _ in range(self._clock.num_ticks(busy + AHEAD_SECONDS)):
            bench.advance(bench.scripted_action())
            states.append(bench.tick["state"])
        events = [
            replace(event, seconds=event.seconds - self._seconds)
            for event in bench.events
            if event.seconds >= self._seconds
        ]
        rate = self._clock.frames_per_second
        run = Run(staged.scene, staged.cast, np.concatenate(states), events, 1 / rate)
        late = untold(replace(story, deeds=tuple(deeds)), run)
        return deed_words(story, late[0]) if late else None

    def heeded(self, action: Array) -> Array:
        """See `Bench`; a camera that was told to move on the way does so, and keys turn it besides."""
        action = super().heeded(action)
        if self._turns_itself:
            action[:, 4:] = np.clip(action[:, 4:] + self._scripted_rates(), -1.0, 1.0)
        return action

    def _scripted_rates(self) -> Array:
        """What the camera's script does in the next tick, `[frames, 3]`."""
        rate, frames = self._clock.frames_per_second, self._clock.frames_per_tick
        seconds = [(self._num_ticks * frames + f) / rate for f in range(frames)]
        return np.array([scripted_rates(self.scene.orbit, t) for t in seconds])

    def scripted_action(self) -> Array:
        """The finger's script, and the camera's, `[frames, 7]`."""
        rates = self._scripted_rates()
        return np.concatenate([super().scripted_action(), rates], axis=1).astype(np.float32)

    def limited(self, action: Array) -> Array:
        """An action `[frames, 7]` from outside, within what this bench can do."""
        low = np.array([-MAX_SPEED_M_S] * 3 + [0.0] + [-1.0] * 3, np.float32)
        high = np.array([MAX_SPEED_M_S] * 3 + [1.0] * 4, np.float32)
        return np.clip(action, low, high)

    def _before_frame(self, action: Array) -> None:
        self._data.ctrl[3] = action[3]
        self._orbit = self._orbit.moved(action[4:], 1.0 / self._clock.frames_per_second)
        self._camera = self._orbit.camera
        self._sound.listen_from(*self._ears())

    def _look(self, motion: Motion, state: Array) -> dict[str, Array]:
        look = {"camera.main": camera_pose(self._camera)}
        if "tracks.main" in self._wanted:
            look["tracks.main"] = self._tracks(state)
        if self._wanted.isdisjoint(_SEEN):
            return look
        studio = shared_studio(self._image_size)
        studio.set_scene(self.scene, self._slots)
        standing = slice(self._num_movers + 1, None)
        studio.trace(
            np.concatenate([motion.position_m[-1], self._model.body_pos[standing]]),
            np.concatenate([motion.quaternion[-1], self._model.body_quat[standing]]),
            self._camera,
        )
        makers = {
            "video.main": studio.picture,
            "depth.main": studio.depth_mm,
            "segmentation.main": studio.segmentation,
        }
        return look | {name: make() for name, make in makers.items() if name in self._wanted}

    def _thing_names(self) -> Sequence[str]:
        things = self.scene.things
        return numbered(t.mesh.called if t.mesh else f"{t.colour} {t.shape}" for t in things)

    def _body_names(self) -> dict[str, str]:
        fixtures = numbered(fixture.name for fixture in self.scene.fixtures)
        return super()._body_names() | {f"fixture{k}": name for k, name in enumerate(fixtures)}

    def _geom_looks(self) -> dict[str, GeomLook]:
        top = SURFACES[self.scene.surface]
        looks = {"table": GeomLook("cloth" if top.texture == "weave" else top.material, top.colour)}
        looks |= {f"rim{k}": GeomLook(TABLE_MATERIAL, RIM_COLOUR) for k in range(4)}
        for slot, thing in enumerate(self.scene.things):
            looks |= self._thing_looks(slot, thing)
            looks[f"rod{slot}"] = GeomLook("steel", NATURAL_COLOURS["steel"])
        for index, fixture in enumerate(self.scene.fixtures):
            looks[f"fixture{index}"] = GeomLook(fixture.material, NATURAL_COLOURS[fixture.material])
        return looks

    def _thing_looks(self, slot: int, thing: Thing) -> dict[str, GeomLook]:
        """A mesh has colours of its own."""
        name = f"object{slot}"
        if thing.mesh is None:
            return {name: GeomLook(thing.material, ALL_COLOURS[thing.colour])}
        geoms = map(self._model.geom, range(self._model.ngeom))
        seen = [geom for geom in geoms if geom.name == name or geom.name.startswith(f"{name}.seen")]
        return {geom.name: GeomLook(thing.material, tuple(geom.rgba[:3].tolist())) for geom in seen}

    def _tracks(self, state: Array) -> Array:
        """Where each slot's centre is in the picture, `[slots, 3]`: pixels right and down from the middle of
        the first pixel, and metres along the optical axis; zeros for what is absent or behind the camera.
        """
        right, up, backward = (
            (LAB_STATE.get(state, "position") - self._camera.position_m) @ self._camera.axes
        ).T
        seen = (LAB_STATE.get(state, "present")[:, 0] > 0.5) & (backward < -0.05)
        away = np.where(seen, -backward, 1.0)
        focal = self._image_size / 2 / np.tan(self._camera.field_of_view_rad / 2)
        middle = (self._image_size - 1) / 2
        tracks = np.array([middle + focal * right / away, middle - focal * up / away, away])
        return (tracks * seen).astype(np.float32).T

    def _more(self) -> OrbitCamera:
        return self._orbit

    def _take_back(self, more: OrbitCamera) -> None:
        self._orbit, self._camera = more, more.camera


def _resting_state(scene: LabScene) -> Array:
    """What of the state never changes, `[slots, D]` float32."""
    state = np.zeros((NUM_SLOTS, LAB_STATE.width), np.float32)
    for slot, thing in enumerate(scene.things):
        describe(
            state[slot],
            LAB_STATE,
            "box" if thing.mesh is not None else thing.shape,
            thing.half_extents_m,
            ALL_COLOURS[thing.colour],
            thing.material,
        )
    for index, fixture in enumerate(scene.fixtures):
        slot = state[MAX_THINGS + index]
        colour = NATURAL_COLOURS[fixture.material]
        describe(slot, LAB_STATE, fixture.shape, fixture.half_extents_m, colour, fixture.material)
        slot[LAB_STATE.slice("position")] = fixture.position_m
        slot[LAB_STATE.slice("quaternion")] = fixture.quaternion
    describe_finger(state[FINGER_SLOT], LAB_STATE)
    return state
