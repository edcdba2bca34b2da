"""The exact world: MuJoCo physics on a tray, ray-traced pictures, modal sound, and a finger that feels.

Streams: `video.main`, `audio.main`, `touch.finger`, `state`, `camera.main`, `action`. State slots 0 to 2 are
the scene's bodies in order; the last slot is the finger. Frames show the world at the *end* of their share
of the tick, so that a tick's sound is never ahead of its pictures.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from orrery.errors import BadUse
from orrery.scenes.language import caption, parse
from orrery.scenes.materials import COLOURS
from orrery.scenes.scene import CAMERAS, MAX_BODIES, Scene, sample_scene
from orrery.streams import STATE, Array, Clock, Event, Observation, StreamSpec, WorldSpec
from orrery.worlds.finger import MAX_SPEED_M_S, FingerScript, plan_script
from orrery.worlds.physics import (
    FINGER_COLOUR,
    FINGER_HALF_LENGTH_M,
    FINGER_MATERIAL,
    FINGER_PARKED_M,
    FINGER_RADIUS_M,
    SUBSTEPS_PER_FRAME,
    TABLE_MATERIAL,
    Contacts,
    Motion,
    build_model,
    rotate,
    simulate_frame,
)
from orrery.worlds.render import shared_renderer
from orrery.worlds.sound import ContactSamples, ContactSound, SoundingBody
from orrery.worlds.visibility import visible_slots

__all__ = ["NUM_SLOTS", "TabletopWorld", "tabletop_spec"]

NUM_SLOTS = MAX_BODIES + 1
FINGER_SLOT = MAX_BODIES


def tabletop_spec(image_size: int = 128, clock: Clock | None = None) -> WorldSpec:
    """All streams of the tabletop. image_size: pixels, height and width."""
    clock = clock or Clock()
    frames = clock.frames_per_tick
    streams = [
        StreamSpec("video.main", (frames, image_size, image_size, 3), "uint8", "sRGB"),
        StreamSpec("audio.main", (clock.samples_per_tick, 2), "float32", "full scale", -1.0, 1.0),
        StreamSpec("touch.finger", (frames, 4, 4, 3), "float32", "N"),
        StreamSpec("state", (frames, NUM_SLOTS, STATE.width), "float32"),
        StreamSpec("camera.main", (frames, 8), "float32", "m, wxyz, rad"),
        StreamSpec("action", (frames, 3), "float32", "m/s", -MAX_SPEED_M_S, MAX_SPEED_M_S),
    ]
    return WorldSpec(clock, {spec.name: spec for spec in streams})


class TabletopWorld:
    """`num_worlds` independent tabletops.

    streams: names of those to produce; None for all. Without `video.main` nothing is drawn, which makes an
    episode several times cheaper. image_size: pixels.
    """

    def __init__(
        self, num_worlds: int = 1, streams: Iterable[str] | None = None, image_size: int = 128
    ) -> None:
        spec = tabletop_spec(image_size)
        unknown = set(streams or ()) - set(spec.streams)
        if unknown:
            raise BadUse(
                f"tabletop has no stream {', '.join(sorted(unknown))}; it has {', '.join(spec.streams)}"
            )
        self.spec = spec if streams is None else spec.only(streams)
        self.num_worlds = num_worlds
        self._image_size = image_size
        self._tables: list[_Table | None] = [None] * num_worlds

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Scene | Mapping[str, Any] | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """Start again; see `World.reset`. `given` cannot be taken by an exact world."""
        if given:
            raise BadUse(f"tabletop simulates every stream and cannot take {', '.join(given)} as given")
        if prompt is not None and scene is not None:
            raise BadUse("a tabletop starts from a prompt or from a scene, not from both")
        if scene is not None and not isinstance(scene, Scene):
            scene = Scene.from_json(scene)
        for index in range(self.num_worlds):
            if mask is None or mask[index]:
                self._tables[index] = self._build(np.random.default_rng([seed, index]), prompt, scene)
        return self._observe()

    def step(self, action: Array | None = None) -> Observation:
        """Advance one tick. action: `[B, frames, 3]` m/s of the finger's target; None plays the script."""
        if action is not None:
            expected = (self.num_worlds, *tabletop_spec().streams["action"].shape)
            if np.shape(action) != expected:
                raise BadUse(f"action: expected {expected}, got {np.shape(action)}")
            if not np.isfinite(action).all():
                raise BadUse("action: got values that are not finite")
            action = np.clip(np.asarray(action, np.float32), -MAX_SPEED_M_S, MAX_SPEED_M_S)
        for index in range(self.num_worlds):
            table = self._table(index)
            table.advance(table.scripted_action() if action is None else action[index])
        return self._observe()

    def scripted_action(self) -> Array:
        """What the scenes' own scripts would do in the next tick, `[B, frames, 3]` m/s."""
        return np.stack([self._table(index).scripted_action() for index in range(self.num_worlds)])

    def scene(self, index: int = 0) -> dict[str, Any]:
        """Plain values of world `index`'s scene, from which `reset(scene=...)` repeats it."""
        return self._table(index).scene.to_json()

    def events(self, index: int = 0) -> list[Event]:
        """Impacts in world `index` since its reset, in order of time."""
        return sorted(self._table(index).events, key=lambda event: event.seconds)

    def text(self, index: int = 0) -> str:
        """The sentence that world `index` started from, or one that describes it."""
        return self._table(index).text

    def snapshot(self) -> list[Any]:
        """All memory of all worlds."""
        return [self._table(index).snapshot() for index in range(self.num_worlds)]

    def restore(self, snapshot: list[Any]) -> None:
        """Go back to `snapshot`."""
        for index, values in enumerate(snapshot):
            self._table(index).restore(values)

    def _build(self, rng: np.random.Generator, prompt: str | None, scene: Scene | None) -> _Table:
        if scene is None:
            scene = sample_scene(rng, None if prompt is None else parse(prompt))
        text = prompt or caption(scene, (), rng)
        draws = "video.main" in self.spec.streams
        image_size = self._image_size if draws else 0
        table = _Table(scene, self.spec.clock, text, int(rng.integers(2**31)), image_size)
        table.advance(table.scripted_action())
        return table

    def _table(self, index: int) -> _Table:
        table = self._tables[index]
        if table is None:
            raise BadUse("reset() comes before anything else")
        return table

    def _observe(self) -> Observation:
        ticks = [self._table(index).tick for index in range(self.num_worlds)]
        return {name: np.stack([tick[name] for tick in ticks]) for name in self.spec.streams}


@dataclass(frozen=True)
class _Snapshot:
    data: mujoco.MjData
    sound: Any
    num_ticks: int
    events: list[Event]
    tick: dict[str, Array]


class _Table:
    """One tabletop. image_size: pixels, or 0 to draw nothing."""

    def __init__(self, scene: Scene, clock: Clock, text: str, seed: int, image_size: int) -> None:
        self.scene, self.text = scene, text
        self.events: list[Event] = []
        self.tick: dict[str, Array] = {}
        self._clock = clock
        self._image_size = image_size
        self._camera = CAMERAS[scene.camera]
        self._script: FingerScript = plan_script(scene)
        self._model = build_model(scene, clock)
        self._data = mujoco.MjData(self._model)
        self._start()
        self._bodies = _sounding_bodies(scene, self._model)
        listener = (np.array(self._camera.position_m), self._camera.axes[:, 0])
        substeps = SUBSTEPS_PER_FRAME * clock.frames_per_tick
        self._sound = ContactSound(self._bodies, clock, substeps, listener, seed)
        self._num_ticks = 0

    def _start(self) -> None:
        """Put velocities and the finger where the scene says."""
        for slot, body in enumerate(self.scene.bodies):
            linear, angular = body.linear_velocity_m_s, np.array(body.angular_velocity_rad_s)
            inverse = np.array(body.quaternion) * [1, -1, -1, -1]
            self._data.qvel[6 * slot : 6 * slot + 6] = [*linear, *rotate(inverse, angular)]
        offset = self._script.start_m - np.array(FINGER_PARKED_M)
        self._data.qpos[-3:] = offset
        self._data.ctrl[:] = offset
        mujoco.mj_forward(self._model, self._data)

    def scripted_action(self) -> Array:
        """The script's velocities for the next tick, `[frames, 3]`."""
        rate, frames = self._clock.frames_per_second, self._clock.frames_per_tick
        first = self._num_ticks * frames
        return np.stack([self._script.velocity((first + f) / rate) for f in range(frames)]).astype(np.float32)

    def advance(self, action: Array) -> None:
        """One tick under `action [frames, 3]`; leaves the tick's payload in `self.tick`."""
        frames = self._clock.frames_per_tick
        motions: list[Motion] = []
        contacts: list[Contacts] = []
        touch, states, pictures = [], [], []
        for frame in range(frames):
            motion, rows, felt = simulate_frame(self._model, self._data, action[frame])
            motions.append(motion)
            contacts.append(rows)
            touch.append(felt)
            states.append(self._state(motion))
            if self._image_size:
                pictures.append(self._picture(motion))
        audio = self._render_sound(motions, contacts)
        self._num_ticks += 1
        self.tick = {
            "audio.main": audio,
            "touch.finger": np.stack(touch),
            "state": np.stack(states),
            "camera.main": np.tile(_camera_pose(self.scene.camera), (frames, 1)),
            "action": action.astype(np.float32),
        }
        if self._image_size:
            self.tick["video.main"] = np.stack(pictures)

    def _state(self, motion: Motion) -> Array:
        """All slots at the end of a frame, `[slots, D]` float32."""
        state = np.zeros((NUM_SLOTS, STATE.width), np.float32)
        num_bodies = len(self.scene.bodies)
        slots = [*range(num_bodies), FINGER_SLOT]
        parts = {
            "present": np.ones((num_bodies + 1, 1)),
            "visible": visible_slots(self._model, self._data, self._camera)[:, None],
            "position": motion.position_m[-1],
            "quaternion": motion.quaternion[-1],
            "linear_velocity": motion.linear_velocity_m_s[-1],
            "angular_velocity": motion.angular_velocity_rad_s[-1],
        }
        for name, value in parts.items():
            state[slots, STATE.slice(name)] = value
        for slot, body in enumerate(self.scene.bodies):
            _describe(state[slot], body.shape, body.half_extents_m, COLOURS[body.colour], body.material)
        finger_size = (FINGER_RADIUS_M, FINGER_RADIUS_M, FINGER_HALF_LENGTH_M)
        _describe(state[FINGER_SLOT], "finger", finger_size, FINGER_COLOUR, FINGER_MATERIAL)
        return state

    def _picture(self, motion: Motion) -> Array:
        renderer = shared_renderer(self._image_size)
        renderer.set_scene(self.scene, self._camera)
        num_bodies = len(self.scene.bodies)
        axes = rotate(motion.quaternion[-1, :num_bodies, None], np.eye(3))
        return renderer.draw(
            motion.position_m[-1, :num_bodies], np.swapaxes(axes, -1, -2), motion.position_m[-1, num_bodies]
        )

    def _render_sound(self, motions: list[Motion], contacts: list[Contacts]) -> Array:
        """Sound of the tick `[samples, 2]`; its impacts become events."""
        samples = _contact_samples(motions, contacts)
        positions = np.concatenate([np.zeros((1, 3)), motions[-1].position_m[-1]])
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

    def snapshot(self) -> _Snapshot:
        return _Snapshot(
            copy.copy(self._data), self._sound.snapshot(), self._num_ticks, list(self.events), dict(self.tick)
        )

    def restore(self, snapshot: _Snapshot) -> None:
        self._data = copy.copy(snapshot.data)
        self._sound.restore(snapshot.sound)
        self._num_ticks = snapshot.num_ticks
        self.events, self.tick = list(snapshot.events), dict(snapshot.tick)


def _describe(slot: Array, shape: str, size: Any, colour: Any, material: str) -> None:
    """Write what an object is into its slot `[D]`."""
    slot[STATE.slice("shape")] = np.eye(len(STATE.shapes))[STATE.shapes.index(shape)]
    slot[STATE.slice("size")] = size
    slot[STATE.slice("colour")] = colour
    slot[STATE.slice("material")] = np.eye(len(STATE.materials))[STATE.materials.index(material)]


def _camera_pose(name: str) -> Array:
    """Position, wxyz quaternion and vertical field of view of a standing camera, `[8]` float32."""
    camera = CAMERAS[name]
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, camera.axes.ravel())
    return np.array([*camera.position_m, *quaternion, camera.field_of_view_rad], np.float32)


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


def _contact_samples(motions: list[Motion], contacts: list[Contacts]) -> ContactSamples:
    """One row per touching pair and substep of a tick, from the raw contact points of its frames."""
    substep = np.concatenate([c.substep + f * SUBSTEPS_PER_FRAME for f, c in enumerate(contacts)])
    pair = np.concatenate([c.pair for c in contacts])
    force = np.concatenate([c.normal_force_n for c in contacts])
    point = np.concatenate([c.point_m for c in contacts])
    normal = np.concatenate([c.normal for c in contacts])
    key, first, inverse = np.unique(
        substep * 10_000 + pair[:, 0] * 100 + pair[:, 1], return_index=True, return_inverse=True
    )
    total = np.zeros(len(key))
    np.add.at(total, inverse, force)
    substep, pair, point, normal = substep[first], pair[first], point[first], normal[first]
    slip = _tangential(_point_velocity(motions, substep, pair, point), normal)
    roll = _tangential(_point_velocity(motions, substep, pair, None), normal)
    return ContactSamples(substep, pair[:, 0], pair[:, 1], total, slip, roll, point)


def _point_velocity(motions: list[Motion], substep: Array, pair: Array, point: Array | None) -> Array:
    """Velocity of b relative to a, `[n, 3]`, at the contact points or, without them, of the centres."""
    relative = np.zeros((len(substep), 3))
    linear = np.concatenate([m.linear_velocity_m_s for m in motions])
    angular = np.concatenate([m.angular_velocity_rad_s for m in motions])
    centre = np.concatenate([m.position_m for m in motions])
    for column, sign in ((0, -1.0), (1, 1.0)):
        moves = pair[:, column] > 0
        rows, body = substep[moves], pair[moves, column] - 1
        velocity = linear[rows, body]
        if point is not None:
            velocity = velocity + np.cross(angular[rows, body], point[moves] - centre[rows, body])
        relative[moves] += sign * velocity
    return relative


def _tangential(velocity: Array, normal: Array) -> Array:
    """Speed along the contact plane, `[n]`."""
    along = np.sum(velocity * normal, axis=1, keepdims=True) * normal
    return np.linalg.norm(velocity - along, axis=1)
