"""A bench: one scene that physics runs on and that sounds.

Frames show the bench at the *end* of their share of the tick, so that a tick's sound is never ahead of its
pictures. What is on it, how it looks and where the camera is, is for its subclass.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import mujoco
import numpy as np

from orrery.streams import Array, Clock, Event
from orrery.worlds.rigid_bodies.finger import MAX_SPEED_M_S, FingerScript
from orrery.worlds.rigid_bodies.geometry import Camera, cross, rotate
from orrery.worlds.rigid_bodies.mujoco_scene import GeomLook, MujocoScene
from orrery.worlds.rigid_bodies.physics import (
    FINGER_COLOUR,
    FINGER_GARAGE_M,
    FINGER_HALF_LENGTH_M,
    FINGER_MATERIAL,
    FINGER_PARKED_M,
    FINGER_RADIUS_M,
    SUBSTEPS_PER_FRAME,
    Contacts,
    Motion,
    simulate_frame,
    split_motion,
)
from orrery.worlds.rigid_bodies.sound import ContactSamples, ContactSound, SoundingBody
from orrery.worlds.rigid_bodies.state import StateLayout
from orrery.worlds.rigid_bodies.visibility import visible_slots

__all__ = ["Bench", "camera_pose", "describe", "describe_finger"]

BodyT = TypeVar("BodyT")


@dataclass(frozen=True)
class _Snapshot:
    data: mujoco.MjData
    sound: Any
    num_ticks: int
    events: list[Event]
    tick: dict[str, Array]
    seen: tuple[list[Motion], list[Any]]
    more: Any


class Bench(ABC):
    """One scene that runs: physics, finger, touch, state and sound. What it looks like is for its subclass.

    model: MuJoCo bodies are the table 0, objects 1 .. K, the finger K + 1, then fixtures. bodies: what
    sounds, in the same order. slots: state slot of each MuJoCo body from 1 on. resting_state: `[slots, D]`,
    what never changes (see `describe`). script: what the finger does by itself. hertz: see
    `ContactSound`.
    """

    def __init__(
        self,
        scene: Any,
        model: mujoco.MjModel,
        bodies: Sequence[SoundingBody],
        slots: Sequence[int],
        resting_state: Array,
        layout: StateLayout,
        script: FingerScript,
        camera: Camera,
        clock: Clock,
        text: str,
        seed: int,
        hertz: bool = False,
    ) -> None:
        self.scene, self.text = scene, text
        self.events: list[Event] = []
        self.tick: dict[str, Array] = {}
        self._clock, self._script, self._camera = clock, script, camera
        self._model, self._data = model, mujoco.MjData(model)
        self._slots, self._resting_state, self._layout = list(slots), resting_state, layout
        self._num_movers = model.body("finger").id
        self._bodies = list(bodies)
        substeps = SUBSTEPS_PER_FRAME * clock.frames_per_tick
        self._sound = ContactSound(self._bodies, clock, substeps, self._ears(), seed, hertz)
        self._num_ticks = 0
        self._before_substep: Callable[[], None] | None = None
        self._directed_until = 0.0
        self._seen: tuple[list[Motion], list[Any]] = ([], [])

    def _ears(self) -> tuple[Array, Array]:
        """Where one listens from, and which way is right: the camera's."""
        return np.array(self._camera.position_m), self._camera.axes[:, 0]

    def _start(self, objects: Sequence[Any]) -> None:
        """Put velocities and the finger where the scene says. objects: in slot order."""
        for slot, body in enumerate(objects):
            joint = self._model.body_jntadr[slot + 1]
            if self._model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE:
                linear, angular = body.linear_velocity_m_s, np.array(body.angular_velocity_rad_s)
                inverse = np.array(body.quaternion) * [1, -1, -1, -1]
                at = self._model.jnt_dofadr[joint]
                self._data.qvel[at : at + 6] = [*linear, *rotate(inverse, angular)]
            else:
                axis = rotate(np.array(body.quaternion), self._model.jnt_axis[joint])
                self._data.qvel[self._model.jnt_dofadr[joint]] = axis @ np.array(body.angular_velocity_rad_s)
        offset = self._script.start_m - np.array(FINGER_PARKED_M)
        self._data.qpos[-3:] = offset
        self._data.ctrl[:3] = offset
        mujoco.mj_forward(self._model, self._data)

    @abstractmethod
    def directed(self, sentence: str) -> Bench:
        """The bench as it goes on once a sentence is said at it, which leaves this one as it is; UserError
        for a sentence that it cannot follow."""

    @property
    def _seconds(self) -> float:
        """Since the reset."""
        return self._num_ticks * self._clock.tick_seconds

    @property
    def _finger_m(self) -> Array:
        """Where the finger is driven to, `[3]`."""
        return self._data.ctrl[:3] + np.array(FINGER_PARKED_M)

    def _as_they_are(self, objects: Sequence[BodyT]) -> tuple[BodyT, ...]:
        """A scene's objects, in slot order, where they are now and as fast."""
        motion = split_motion(self._model, self._data.qpos[None], self._data.qvel[None])
        parts = {
            "position_m": motion.position_m,
            "quaternion": motion.quaternion,
            "linear_velocity_m_s": motion.linear_velocity_m_s,
            "angular_velocity_rad_s": motion.angular_velocity_rad_s,
        }
        rows = zip(*(part[0, :-1].tolist() for part in parts.values()), strict=True)
        return tuple(
            replace(body, **dict(zip(parts, map(tuple, row), strict=True)))  # pyright: ignore[reportArgumentType, reportCallIssue]
            for body, row in zip(objects, rows, strict=True)
        )

    def _follow(self, before: Bench, script: FingerScript) -> None:
        """Go on from where another bench is, whose objects are the first of this one's, and whose fixtures
        are its own: its finger, its clock and what rings. script: what the finger does from now on, in the
        time since the other's reset."""
        self._data.qpos[-3:], self._data.qvel[-3:] = before._data.qpos[-3:], before._data.qvel[-3:]
        self._data.ctrl[:], self._data.time = before._data.ctrl, before._data.time
        mujoco.mj_forward(self._model, self._data)
        self._num_ticks, self._script = before._num_ticks, script
        self.events, self.tick = list(before.events), dict(before.tick)
        self._directed_until = before._directed_until if script is before._script else script.seconds
        finger, added = before._num_movers, self._num_movers - before._num_movers
        bodies = {k: k if k < finger else k + added for k in range(len(before._bodies))}
        positions = np.concatenate([np.zeros((1, 3)), self._data.xpos[1:]])
        self._sound.follow(before._sound, bodies, positions)

    def scripted_action(self) -> Array:
        """What is done in the next tick without an action from outside, `[frames, A]`."""
        return self._finger_action()

    def _finger_action(self) -> Array:
        """What the finger's script does in the next tick, `[frames, 3]`, or `[frames, 4]` with a grip."""
        rate, frames = self._clock.frames_per_second, self._clock.frames_per_tick
        first = self._num_ticks * frames
        return np.array([self._script.velocity((first + f) / rate) for f in range(frames)], np.float32)

    def heeded(self, action: Array) -> Array:
        """What is done under an action `[frames, A]` from outside: that, but for the finger while it is about
        something that it was told on the way."""
        action = self.limited(action)
        if self._seconds < self._directed_until:
            told = self._finger_action()
            action[:, : told.shape[1]] = told
        return action

    def limited(self, action: Array) -> Array:
        """An action `[frames, A]` from outside, within what this bench can do."""
        return np.clip(action, -MAX_SPEED_M_S, MAX_SPEED_M_S)

    def advance(self, action: Array) -> None:
        """One tick under `action [frames, A]`; leaves the tick's payload in `self.tick`."""
        frames = self._clock.frames_per_tick
        motions: list[Motion] = []
        contacts: list[Contacts] = []
        touch, states, looks, subjects = [], [], [], []
        for frame in range(frames):
            self._before_frame(action[frame])
            motion, rows, felt = simulate_frame(
                self._model, self._data, action[frame, :3], self._before_substep
            )
            motions.append(motion)
            contacts.append(rows)
            touch.append(felt)
            states.append(self._state(motion))
            looks.append(self._look(motion, states[-1]))
            subjects.append(self._camera.target_m)
        self._seen = motions, subjects
        audio = self._render_sound(motions, contacts)
        self._num_ticks += 1
        self.tick = {
            "audio.main": audio,
            "touch.finger": np.array(touch),
            "state": np.array(states),
            "action": action.astype(np.float32),
            **{name: np.array([look[name] for look in looks]) for name in looks[0]},
        }

    def mujoco_scene(self) -> MujocoScene:
        """The model, where all was in the last tick, and what it is made of."""
        motions, subjects = self._seen
        positions = np.tile(self._model.body_pos, (len(motions), SUBSTEPS_PER_FRAME, 1, 1))
        quaternions = np.tile(self._model.body_quat, (len(motions), SUBSTEPS_PER_FRAME, 1, 1))
        movers = slice(1, self._num_movers + 1)
        positions[:, :, movers] = [motion.position_m for motion in motions]
        quaternions[:, :, movers] = [motion.quaternion for motion in motions]
        is_parked = bool((positions[:, :, self._num_movers, 2] > FINGER_GARAGE_M).all())
        looks = {**self._geom_looks(), "finger": GeomLook(FINGER_MATERIAL, FINGER_COLOUR)}
        hidden = frozenset({"finger"} if is_parked else ())
        cameras = self.tick["camera.main"]
        return MujocoScene(
            self._model, positions, quaternions, cameras, np.array(subjects), looks, hidden,
            self._body_names(),
        )  # fmt: skip

    def _body_names(self) -> dict[str, str]:
        """What people call the model's bodies, by name."""
        return {"world": "table", **{f"object{k}": name for k, name in enumerate(self._thing_names())}}

    @abstractmethod
    def _thing_names(self) -> Sequence[str]:
        """What people call the objects, one after the other."""

    @abstractmethod
    def _geom_looks(self) -> dict[str, GeomLook]:
        """What the model's geoms are made of, by name."""

    def _before_frame(self, action: Array) -> None:  # noqa: B027 - most benches do nothing else
        """What an action `[A]` does besides moving the finger."""

    @abstractmethod
    def _look(self, motion: Motion, state: Array) -> dict[str, Array]:
        """What is seen at the end of a frame: streams by name, among them `camera.main` `[8]`."""

    def _state(self, motion: Motion) -> Array:
        """All slots at the end of a frame, `[slots, D]` float32."""
        state, layout = self._resting_state.copy(), self._layout
        movers = self._slots[: self._num_movers]
        visible = visible_slots(self._model, self._data, self._camera)
        state[self._slots, layout.slice("visible")] = visible[:, None]
        quaternion = motion.quaternion[-1]
        axes = rotate(quaternion[:, None], np.eye(3)[:2]).reshape(-1, 6)
        parts = {
            "position": motion.position_m[-1],
            layout.rotation: quaternion if layout.rotation == "quaternion" else axes,
            "linear_velocity": motion.linear_velocity_m_s[-1],
            "angular_velocity": motion.angular_velocity_rad_s[-1],
        }
        for name, value in parts.items():
            state[movers, layout.slice(name)] = value
        return state

    def _render_sound(self, motions: list[Motion], contacts: list[Contacts]) -> Array:
        """Sound of the tick `[samples, 2]`; its impacts become events."""
        samples = _contact_samples(motions, contacts)
        positions = np.concatenate([np.zeros((1, 3)), motions[-1].position_m[-1], self._fixture_positions()])
        audio = self._sound.render_tick(samples, positions)
        start = self._num_ticks * self._clock.tick_seconds
        for impact in self._sound.impacts:
            first, second = self._bodies[impact.a], self._bodies[impact.b]
            self.events.append(
                Event(
                    start + impact.seconds, "impact", first.name, second.name, impact.impulse_ns,
                    impact.position_m, (first.material, second.material),
                )
            )  # fmt: skip
        return audio

    def _fixture_positions(self) -> Array:
        return self._model.body_pos[self._num_movers + 1 :]

    def twin(self) -> Self:
        """Another bench of the same scene, to be restored."""
        other = copy.copy(self)
        other._sound = copy.deepcopy(self._sound)
        return other

    def snapshot(self) -> _Snapshot:
        return _Snapshot(
            copy.copy(self._data), self._sound.snapshot(), self._num_ticks, list(self.events),
            dict(self.tick), self._seen, self._more(),
        )  # fmt: skip

    def restore(self, snapshot: _Snapshot) -> None:
        self._data = copy.copy(snapshot.data)
        self._sound.restore(snapshot.sound)
        self._num_ticks = snapshot.num_ticks
        self.events, self.tick = list(snapshot.events), dict(snapshot.tick)
        self._seen = snapshot.seen
        self._take_back(snapshot.more)

    def _more(self) -> Any:
        """What a subclass remembers besides, for its `_take_back`; not changed later."""
        return None

    def _take_back(self, more: Any) -> None:  # noqa: B027 - nothing was remembered
        """Go back to what `_more` gave."""


def describe(
    slot: Array,
    layout: StateLayout,
    shape: str,
    size: Sequence[float],
    colour: Sequence[float],
    material: str,
) -> None:
    """Write what an object is into its slot `[D]`."""
    slot[layout.slice("present")] = 1.0
    slot[layout.slice("shape")] = np.eye(len(layout.shapes))[layout.shapes.index(shape)]
    slot[layout.slice("size")] = size
    slot[layout.slice("colour")] = colour
    slot[layout.slice("material")] = np.eye(len(layout.materials))[layout.materials.index(material)]


def describe_finger(slot: Array, layout: StateLayout) -> None:
    """Write what the finger is into its slot `[D]`."""
    size = (FINGER_RADIUS_M, FINGER_RADIUS_M, FINGER_HALF_LENGTH_M)
    describe(slot, layout, "finger", size, FINGER_COLOUR, FINGER_MATERIAL)


def camera_pose(camera: Camera) -> Array:
    """Position, wxyz quaternion and vertical field of view of a camera, `[8]` float32."""
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, camera.axes.ravel())
    return np.array([*camera.position_m, *quaternion, camera.field_of_view_rad], np.float32)


def _contact_samples(motions: list[Motion], contacts: list[Contacts]) -> ContactSamples:
    """One row per touching pair and substep of a tick, from the raw contact points of its frames."""
    substep = np.concatenate([c.substep + f * SUBSTEPS_PER_FRAME for f, c in enumerate(contacts)])
    pair = np.concatenate([c.pair for c in contacts])
    force = np.concatenate([c.normal_force_n for c in contacts])
    point = np.concatenate([c.point_m for c in contacts])
    normal = np.concatenate([c.normal for c in contacts])
    key = substep * 10_000 + pair[:, 0] * 100 + pair[:, 1]
    order = np.argsort(key, kind="stable")
    key, is_first = key[order], np.ones(len(key), bool)
    is_first[1:] = key[1:] != key[:-1]
    total = np.bincount(np.cumsum(is_first) - 1, force[order])
    first = order[is_first]
    substep, pair, point, normal = substep[first], pair[first], point[first], normal[first]
    at_points, of_centres = _relative_velocities(motions, substep, pair, point)
    slip, roll = _tangential(at_points, normal), _tangential(of_centres, normal)
    return ContactSamples(substep, pair[:, 0], pair[:, 1], total, slip, roll, point)


def _relative_velocities(
    motions: list[Motion], substep: Array, pair: Array, point: Array
) -> tuple[Array, Array]:
    """Velocity of b relative to a, `[n, 3]`: at the contact points, and of the centres."""
    at_points, of_centres = np.zeros((2, len(substep), 3))
    linear = np.concatenate([m.linear_velocity_m_s for m in motions])
    angular = np.concatenate([m.angular_velocity_rad_s for m in motions])
    centre = np.concatenate([m.position_m for m in motions])
    for column, sign in ((0, -1.0), (1, 1.0)):
        moves = (pair[:, column] > 0) & (pair[:, column] <= centre.shape[1])  # tables and fixtures stand
        rows, body = substep[moves], pair[moves, column] - 1
        velocity = linear[rows, body]
        turning = cross(angular[rows, body], point[moves] - centre[rows, body])
        of_centres[moves] += sign * velocity
        at_points[moves] += sign * (velocity + turning)
    return at_points, of_centres


def _tangential(velocity: Array, normal: Array) -> Array:
    """Speed along the contact plane, `[n]`."""
    across = velocity - (velocity * normal).sum(axis=1, keepdims=True) * normal
    return np.sqrt((across * across).sum(axis=1))
