"""PhyWorld's balls on white: uniform motion, a collision, a parabola (arXiv 2411.02385).

The three 2-D worlds on which video models were tested for physical laws, made anew: motion in closed form,
pictures exact to the area of a pixel. A tick is one frame of 0.1 s; 3.2 s are the paper's 32 frames.
The state's frame: x right, z up, y = 0, the picture's lower left corner at `CORNER_M`; a unit of PhyWorld is
`UNIT_M`, so that balls are as large and as fast as things on the tabletop, and what learns the one learns
the other. The camera is a pinhole's: to one that looks straight at a plane, all of it is equally far away.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from orrery.errors import BadUse
from orrery.streams import Array, Clock, Event, Observation, StreamSpec, WorldSpec
from orrery.worlds.phyworld.discs import draw
from orrery.worlds.phyworld.motion import GRAVITY, Balls, advance
from orrery.worlds.phyworld.scenes import FRAME_SECONDS, KINDS, PARTS, RANGES, SIDE, PhyScene, draw_scene
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = ["COLOURS", "CORNER_M", "LAYOUT", "UNIT_M", "PhyWorld"]

COLOURS = np.array([(255, 0, 0), (0, 0, 255)])
"""sRGB of the first and the second ball."""
LAYOUT = StateLayout(shapes=("ball",), materials=("plastic",))
UNIT_M = 0.04
CORNER_M = np.array([-0.5 * SIDE * UNIT_M, 0.2])
"""Of the picture, right and up. So high that a ball which falls out of it is still above 0, where worlds have
their ground and this one has none."""

_CAMERA_DISTANCE_M = 1.0
_CLOCK = Clock(frames_per_second=round(1 / FRAME_SECONDS), frames_per_tick=1)


class _Life:
    """One world's memory: its scene, its balls now, what has happened."""

    def __init__(self, scene: PhyScene) -> None:
        self.scene = scene
        self.balls = Balls(
            GRAVITY[scene.kind], scene.radii.copy(), scene.positions.copy(), scene.velocities.copy()
        )
        self.events: list[Event] = []
        self.action = np.zeros(1, np.float32)

    def advance(self, action: Array) -> None:
        self.action = action
        self.balls.velocities[0, 0] += float(action[0]) / UNIT_M
        self.events += advance(self.balls, FRAME_SECONDS)


class PhyWorld:
    """PhyWorld's `kind` (uniform, collision, parabola), in `num_worlds` copies; Snapshotable and Describable.

    part: `train` draws from the paper's 30K grid, `held-out` between its points, `outside` beyond its ranges.
    The action is a kick, which the paper has not: a change of the first ball's velocity along x, in m/s; none
    by default. Events: `impact` of the two balls, `exit` of a ball from the picture.
    """

    def __init__(
        self,
        kind: str,
        part: str = "train",
        num_worlds: int = 1,
        streams: Sequence[str] | None = None,
        image_size: int = 128,
    ) -> None:
        if kind not in KINDS or part not in PARTS:
            raise BadUse(f"PhyWorld has {', '.join(KINDS)}, each {', '.join(PARTS)}; got {kind!r}, {part!r}")
        if num_worlds < 1 or image_size < 2:
            raise BadUse(f"PhyWorld needs num_worlds >= 1, image_size >= 2; got {num_worlds}, {image_size}")
        self.kind, self.part = kind, part
        self._num_worlds, self._image_size = num_worlds, image_size
        self._spec = _spec(RANGES[kind].num_balls, image_size, streams)
        self._lives: list[_Life] = []

    @property
    def spec(self) -> WorldSpec:
        """Its streams and clock."""
        return self._spec

    @property
    def num_worlds(self) -> int:
        """How many copies run side by side."""
        return self._num_worlds

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Mapping[str, Any] | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """See `World.reset`. scene: plain values, as `self.scene` returns them."""
        if prompt is not None or given is not None:
            raise BadUse(
                "PhyWorld understands no sentences and takes no given streams; give it a seed or a scene"
            )
        chosen = np.ones(self.num_worlds, bool) if mask is None else np.asarray(mask)
        if chosen.shape != (self.num_worlds,) or chosen.dtype != bool:
            raise BadUse(f"a mask is [{self.num_worlds}] bool, got {list(chosen.shape)} {chosen.dtype}")
        if not self._lives and not chosen.all():
            raise BadUse("the first reset starts every world; leave the mask out")
        described = None if scene is None else PhyScene.from_json(scene, self.kind)
        fresh = [
            self._begin(seed, b, described) if chosen[b] else self._lives[b] for b in range(self.num_worlds)
        ]
        self._lives = fresh
        return self._observe()

    def step(self, action: Array | None = None) -> Observation:
        """See `World.step`. action: `[B, 1]` float32, m/s, clipped to one unit a second either way."""
        if not self._lives:
            raise BadUse("reset the world before its first step")
        action = np.zeros((self.num_worlds, 1)) if action is None else np.asarray(action)
        if action.shape != (self.num_worlds, 1):
            raise BadUse(f"PhyWorld's action is [{self.num_worlds}, 1], got {list(action.shape)}")
        for life, kick in zip(self._lives, np.clip(action, -UNIT_M, UNIT_M).astype(np.float32), strict=True):
            life.advance(kick)
        return self._observe()

    def snapshot(self) -> Any:
        """All that `restore` needs; see `Snapshotable`."""
        return copy.deepcopy(self._lives)

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot; see `Snapshotable`."""
        self._lives = copy.deepcopy(snapshot)

    def scene(self, index: int = 0) -> dict[str, Any]:
        """Plain values of a world's scene, from which `reset` can start."""
        return self._lives[index].scene.to_json() | {"part": self.part}

    def events(self, index: int = 0) -> list[Event]:
        """What has happened in a world so far."""
        return [_in_metres(event) for event in self._lives[index].events]

    def _begin(self, seed: int, index: int, scene: PhyScene | None) -> _Life:
        return _Life(scene or draw_scene(self.kind, self.part, np.random.default_rng([seed, index])))

    def _observe(self) -> Observation:
        makers = {
            "video.main": lambda life: _picture(life.balls, self._image_size),
            "state": lambda life: _state(life.balls),
            "camera.main": lambda life: _camera(),
            "action": lambda life: life.action.copy(),
        }
        return {name: np.stack([makers[name](life) for life in self._lives]) for name in self._spec.streams}


def _spec(num_balls: int, image_size: int, streams: Sequence[str] | None) -> WorldSpec:
    specs = [
        StreamSpec(
            "video.main", "video", "observed", (1, image_size, image_size, 3), "uint8", "sRGB", 0, 255
        ),
        StreamSpec(
            "state",
            "vector",
            "observed",
            (1, num_balls, LAYOUT.width),
            "float32",
            "m, rad, s",
            groups=num_balls,
        ),
        StreamSpec("camera.main", "vector", "observed", (1, 8), "float32", "m, rad"),
        StreamSpec("action", "vector", "given", (1,), "float32", "m/s", -UNIT_M, UNIT_M),
    ]
    spec = WorldSpec(_CLOCK, {s.name: s for s in specs})
    if streams is None:
        return spec
    unknown = set(streams) - set(spec.streams) - {"text"}
    if unknown:
        raise BadUse(f"PhyWorld has no stream {', '.join(sorted(unknown))}; it has {', '.join(spec.streams)}")
    return spec.only(streams)


def _picture(balls: Balls, image_size: int) -> Array:
    return draw(balls.positions, balls.radii, COLOURS[: len(balls.radii)], SIDE, image_size)[None]


def _state(balls: Balls) -> Array:
    state = np.zeros((1, len(balls.radii), LAYOUT.width), np.float32)
    reach = balls.radii[:, None]
    overlaps = ((balls.positions + reach > 0) & (balls.positions - reach < SIDE)).all(axis=1)
    LAYOUT.get(state, "present")[:] = 1.0
    LAYOUT.get(state, "visible")[0, :, 0] = overlaps
    LAYOUT.get(state, "position")[0, :, ::2] = CORNER_M + UNIT_M * balls.positions
    LAYOUT.get(state, "linear_velocity")[0, :, ::2] = UNIT_M * balls.velocities
    LAYOUT.get(state, "quaternion")[..., 0] = 1.0
    LAYOUT.get(state, "shape")[:] = 1.0
    LAYOUT.get(state, "size")[0] = UNIT_M * reach
    LAYOUT.get(state, "colour")[0] = COLOURS[: len(balls.radii)] / 255.0
    LAYOUT.get(state, "material")[:] = 1.0
    return state


def _camera() -> Array:
    """Straight at the picture's middle, `[1, 8]`: position, quaternion, field of view."""
    half = 0.5 * SIDE * UNIT_M
    x, z = CORNER_M + half
    turn = math.sqrt(0.5)  # a quarter about x: from looking down to looking along y
    view = 2.0 * math.atan(half / _CAMERA_DISTANCE_M)
    return np.array([[x, -_CAMERA_DISTANCE_M, z, turn, turn, 0.0, 0.0, view]], np.float32)


def _in_metres(event: Event) -> Event:
    """An event of the motion, which is in units, in the state's frame."""
    x, y, z = event.position_m
    left, bottom = CORNER_M
    place = (float(left + UNIT_M * x), UNIT_M * y, float(bottom + UNIT_M * z))
    return replace(event, position_m=place, impulse_ns=UNIT_M * event.impulse_ns)
