"""A shot acted out in the exact world: poses, camera, sound and events, before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator

from orrery.errors import UserError, nearest
from orrery.streams import Array, Clock, Event, WorldSpec
from orrery.studio.cameras import CameraPath, FilmCamera, standing
from orrery.studio.shots import MAX_SECONDS, PathKey, Shot, ShotCamera, Storyboard
from orrery.studio.sound import SAMPLE_RATE
from orrery.worlds.laboratory.scene import LabScene
from orrery.worlds.laboratory.world import LaboratoryBench, LaboratoryWorld
from orrery.worlds.rigid_bodies.bench import camera_pose
from orrery.worlds.rigid_bodies.clearance import overlaps, overlaps_on_the_way
from orrery.worlds.rigid_bodies.impacts import GRAVITY_M_S2
from orrery.worlds.rigid_bodies.mesh import read_mesh
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene
from orrery.worlds.rigid_bodies.physics import Motion
from orrery.worlds.rigid_bodies.words import numbered

__all__ = ["Led", "Take", "takes"]

FOLLOWED_RAD_S = 25.0
"""How stiffly a thing is led: natural frequency of the spring, critically damped."""
GREATEST_FORCE = 20.0
"""Of what leads a thing, in its own weight."""
WORLD_M = 1.5
"""How far from the middle of the table a path may go."""
CHECKED = 60
"""Places of a path that are looked at before it is acted out."""


@dataclass(frozen=True)
class Led:
    """How well a thing followed its path. rms_m, max_m: distance from it. mean_force: that led it, in its own
    weight; large where something was in its way."""

    name: str
    rms_m: float
    max_m: float
    mean_force: float


@dataclass(frozen=True)
class Take:
    """One shot. names: of the things. scenes: one for each frame. first: that of the stage's first frame,
    about which the lights stand. audio `[N, 2]` at 48 kHz. events: seconds from the shot's start; things by
    name. notes: what a user should know of its meshes."""

    scene: LabScene
    names: tuple[str, ...]
    scenes: tuple[MujocoScene, ...]
    first: MujocoScene
    audio: Array
    events: tuple[Event, ...]
    led: tuple[Led, ...]
    notes: tuple[str, ...] = ()

    @property
    def num_clipped(self) -> int:
        """Samples of its sound that are beyond full scale."""
        return int((np.abs(self.audio).max(1) > 1).sum())


def takes(board: Storyboard) -> list[Take]:
    """All shots of a storyboard, acted out. UserError for what cannot be: things in one place, a path through
    a wall or out of the world, a name that nothing has."""
    clock = Clock(board.frames_per_second, 1, SAMPLE_RATE)
    acted: list[Take] = []
    stage: _Stage | None = None
    for name, shot in zip(board.names, board.shots, strict=True):
        try:
            if stage is None or not shot.continues:
                stage = _new_stage(shot, clock)
            acted.append(stage.act(shot))
        except UserError as error:
            raise type(error)(f"shot {name!r}: {error}") from error
    return acted


def _new_stage(shot: Shot, clock: Clock) -> _Stage:
    if shot.sentence is None:
        scene, names = shot.scene(), [thing.called for thing in shot.things]
    else:
        world = LaboratoryWorld(streams=("state",), clock=clock)
        world.reset(shot.seed, prompt=shot.sentence)
        scene = LabScene.from_json(world.scene())
        names = numbered(f"{thing.colour} {thing.shape}" for thing in scene.things)
    return _Stage(scene, names, clock, shot.seed)


def _mesh_notes(scene: LabScene) -> tuple[str, ...]:
    meshes = [read_mesh(thing.mesh) for thing in scene.things if thing.mesh is not None]
    return tuple(dict.fromkeys(note for mesh in meshes for note in mesh.notes))


class _Stage(LaboratoryBench):
    """A laboratory that is filmed shot after shot and draws nothing itself."""

    def __init__(self, scene: LabScene, names: Sequence[str], clock: Clock, seed: int) -> None:
        super().__init__(scene, WorldSpec(clock, {}), None, seed % 2**31, 0)
        self._names = tuple(names)
        self._before_substep = self._lead
        self._camera_before: FilmCamera | None = None
        self._leads: list[_Lead] = []
        self._started, self._started_seconds = 0, 0.0
        self._first: MujocoScene | None = None
        for overlap in overlaps(self._model, self._data):
            first, second = self._called(overlap.a), self._called(overlap.b)
            deep = f"{1000 * overlap.depth_m:.0f} mm deep"
            raise UserError(f"{first!r} and {second!r} are in one place, {deep}")

    def act(self, shot: Shot) -> Take:
        """The next shot, from where the world is now."""
        moves = shot.camera or (standing(self._camera_before) if self._camera_before else ShotCamera())
        self._path = CameraPath(moves, self._camera_before, shot.seed)
        self._path.check(list(self._names))
        self._leads = [self._lead_of(name, keys) for name, keys in shot.paths.items()]
        self._started, self._started_seconds = self._num_ticks, float(self._data.time)
        first_event = len(self.events)
        self._film_camera = self._path.at(0.0, self._points(self._data.xpos[1:]))
        self._camera = self._film_camera.camera
        sounds: list[Array] = []
        scenes: list[MujocoScene] = []
        for _ in range(max(1, round(shot.seconds * self._clock.frames_per_second))):
            self.advance(self.scripted_action())
            sounds.append(self.tick["audio.main"])
            scenes.append(self._filmed(self.mujoco_scene()))
        self._camera_before = self._film_camera
        self._first = self._first or scenes[0]
        led = tuple(lead.led() for lead in self._leads)
        audio = np.concatenate(sounds) * 10 ** (shot.level_db / 20)
        return Take(
            self.scene, self._names, tuple(scenes), self._first, audio.astype(np.float32),
            self._events_since(first_event), led, _mesh_notes(self.scene),
        )  # fmt: skip

    def _filmed(self, scene: MujocoScene) -> MujocoScene:
        camera = self._film_camera
        lens = np.array([camera.aperture_m / 2])
        return replace(scene, focus_m=np.array([camera.focus_m]), lens_radius_m=lens)

    def _events_since(self, first: int) -> tuple[Event, ...]:
        """Those of this shot, in its own time and with the storyboard's names."""
        events = sorted(self.events[first:], key=lambda event: event.seconds)
        start = self._started / self._clock.frames_per_second
        return tuple(
            replace(e, seconds=e.seconds - start, a=self._called(e.a), b=self._called(e.b)) for e in events
        )

    def _called(self, body: str) -> str:
        """What the storyboard calls a body of the model."""
        return self._body_names().get(body, body)

    def _thing_names(self) -> Sequence[str]:
        return self._names

    def _points(self, positions_m: Array) -> dict[str, Array]:
        return {name: np.array(positions_m[k]) for k, name in enumerate(self._names)}

    def _before_frame(self, action: Array) -> None:
        self._data.ctrl[3] = action[3]
        self._sound.listen_from(*self._ears())

    def _look(self, motion: Motion, state: Array) -> dict[str, Array]:
        seconds = (self._num_ticks - self._started + 1) / self._clock.frames_per_second
        self._film_camera = self._path.at(seconds, self._points(motion.position_m[-1]))
        self._camera = self._film_camera.camera
        return {"camera.main": camera_pose(self._camera)}

    # ---- things that are led ---------------------------------------------------------------------------

    def _lead_of(self, name: str, keys: tuple[PathKey, ...]) -> _Lead:
        if name not in self._names:
            near = nearest(name, self._names, 1) or self._names
            raise UserError(f"paths: nothing is called {name!r}; perhaps {near[0]!r}")
        slot = self._names.index(name)
        if self.scene.things[slot].hinge is not None:
            raise UserError(f"paths: {name!r} hangs on a hinge, and cannot be led")
        lead = _Lead(name, slot + 1, keys, self._model)
        self._check_path(lead)
        return lead

    def _check_path(self, lead: _Lead) -> None:
        """UserError for a path that leaves the world or goes through what stands fast."""
        places = [lead.place(seconds) for seconds in lead.seconds]
        for seconds, place in zip(lead.seconds, places, strict=True):
            if np.abs(place).max() > WORLD_M:
                raise UserError(f"the path of {lead.name!r} leaves the world at {seconds:.2f} s")
        for seconds, found in zip(
            lead.seconds, overlaps_on_the_way(self._model, self._data, lead.pose, places), strict=True
        ):
            for overlap in found:
                others = {overlap.a, overlap.b} - {f"object{lead.body - 1}"}
                stands = [body for body in others if body == "world" or body.startswith("fixture")]
                if len(others) == 1 and stands:
                    what = self._called(stands[0])
                    raise UserError(f"the path of {lead.name!r} goes through {what!r} at {seconds:.2f} s")

    def _lead(self) -> None:
        seconds = float(self._data.time) - self._started_seconds
        for lead in self._leads:
            lead.push(self._data, seconds)


class _Lead:
    """What leads one thing along its path: a critically damped spring to where it should be."""

    def __init__(self, name: str, body: int, keys: tuple[PathKey, ...], model: Any) -> None:
        self.name, self.body = name, body
        self.pose = int(model.jnt_qposadr[model.body_jntadr[body]])
        self._speed = int(model.jnt_dofadr[model.body_jntadr[body]])
        self._mass = float(model.body_mass[body])
        self.axes = len(keys[0].position_m)
        if len(keys) == 1:  # it is held there from then on
            keys = (keys[0], keys[0].model_copy(update={"seconds": keys[0].seconds + MAX_SECONDS}))
        self.first, self.last = keys[0].seconds, keys[-1].seconds
        self.seconds = np.linspace(self.first, self.last, CHECKED)
        places = np.array([key.position_m for key in keys], float)
        self.place = PchipInterpolator([key.seconds for key in keys], places)
        self._velocity, self._acceleration = self.place.derivative(1), self.place.derivative(2)
        self._offs: list[float] = []
        self._forces: list[float] = []

    def push(self, data: Any, seconds: float) -> None:
        """Set the force of this substep."""
        force = data.xfrc_applied[self.body]
        force[:] = 0.0
        if not self.first <= seconds <= self.last:
            return
        axes = slice(0, self.axes)
        off = self.place(seconds) - data.qpos[self.pose : self.pose + 3][axes]
        late = self._velocity(seconds) - data.qvel[self._speed : self._speed + 3][axes]
        wanted = self._acceleration(seconds) + FOLLOWED_RAD_S**2 * off + 2 * FOLLOWED_RAD_S * late
        if self.axes == 3:
            wanted[2] += GRAVITY_M_S2
        size = float(np.linalg.norm(wanted)) / GRAVITY_M_S2
        applied = min(size, GREATEST_FORCE)
        self._offs.append(float(np.linalg.norm(off)))
        self._forces.append(applied)
        force[axes] = self._mass * wanted * (applied / max(size, 1e-9))

    def led(self) -> Led:
        """What came of it."""
        offs, forces = np.array(self._offs or [0.0]), np.array(self._forces or [0.0])
        rms = float(np.sqrt((offs**2).mean()))
        return Led(self.name, rms, float(offs.max()), float(forces.mean()))
