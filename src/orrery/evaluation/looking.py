"""Whether things are still there after one looked away and back (I3).

The camera is given: it turns away from the table until nothing of it is in the picture, and comes back. What
rests must lie where it lay, and look as it looked.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from orrery.evaluation.figure import Figure, event_figure
from orrery.evaluation.recording import Recording
from orrery.evaluation.rollouts import Held
from orrery.evaluation.suite import held_part
from orrery.streams import Array
from orrery.world import World
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.render import draw_states
from orrery.worlds.tabletop.scene import CAMERAS
from orrery.worlds.tabletop.world import TabletopWorld

__all__ = ["away_and_back", "looking_figures"]

TURN_SECONDS, AWAY_SECONDS, BACK_SECONDS = 0.5, 1.0, 0.5
TURNED_RAD = math.radians(100.0)
WITHIN_RADII = 0.5
LEAST_LIKENESS = 10 ** (-19 / 20)
"""A root mean square difference of this share of full scale is a PSNR of 19 dB."""


def looking_figures(
    world: World, num_scenes: int, advance: Callable[[], None] = lambda: None
) -> list[Figure]:
    """Both figures of I3, of a world of one scene that draws, on the first resting scenes of the suite.
    advance: called after each."""
    seconds = 2 * TURN_SECONDS + AWAY_SECONDS + BACK_SECONDS
    lost, unlike = [], []
    for held in held_part("resting", num_scenes, seconds):
        recording, before, after = _looked(world, held)
        lost.append(_lost(held, recording))
        difference = (after.astype(float) - before.astype(float)) / 255.0
        unlike.append(np.array([math.sqrt(float(np.square(difference).mean()))]))
        advance()
    return [
        event_figure(
            "I3", "identity", "lost while nobody looked", "share of objects not within half a radius", lost,
            None, 0.05, 0.20,
        ),
        event_figure(
            "I3", "identity", "picture before and after looking away",
            "root mean square difference of full scale, mean (0.112 is 19 dB)", unlike, None, LEAST_LIKENESS,
            0.20,
        ),
    ]  # fmt: skip


def away_and_back(camera: Array, num_context: int, num_frames: int, frames_per_second: float) -> Array:
    """A camera's poses `[num_frames, 8]`: `camera [8]` for `num_context` frames, then turned away about the
    vertical, held there, turned back, and as at first."""
    seconds = (np.arange(num_frames) - num_context + 1) / frames_per_second
    turning = np.interp(
        seconds, np.cumsum([0.0, TURN_SECONDS, AWAY_SECONDS, TURN_SECONDS]), [0.0, 1.0, 1.0, 0.0]
    )
    path = np.repeat(camera[None].astype(np.float32), num_frames, axis=0)
    turns = Rotation.from_euler("z", TURNED_RAD * turning[:, None])
    turned = turns * Rotation.from_quat(camera[3:7], scalar_first=True)
    path[:, 3:7] = turned.as_quat(scalar_first=True)
    return path


def _looked(world: World, held: Held) -> tuple[Recording, Array, Array]:
    """What goes on after the context, and the picture at its end and when the camera is back."""
    clock = held.truth.clock
    if isinstance(world, TabletopWorld):  # it has no camera that moves, but states can be drawn
        states = np.stack([held.last, held.truth.state[-1]])
        return held.truth, *draw_states(states, CAMERAS[held.scene.camera])
    num_ticks, frames = len(held.actions), clock.frames_per_tick
    home = held.given["camera.main"][0, 0, 0]
    path = away_and_back(home, held.context_ticks * frames, num_ticks * frames, clock.frames_per_second)
    given = held.given | {"camera.main": path.reshape(1, num_ticks, frames, 8)}
    ticks = [world.reset(held.seed, given=given)]
    ticks += [world.step(action[None]) for action in held.actions[1:]]
    pictures = [ticks[number]["video.main"][0, -1] for number in (held.context_ticks - 1, -1)]
    return Recording.of(ticks[held.context_ticks :], clock), pictures[0], pictures[1]


def _lost(held: Held, found: Recording) -> Array:
    """Of each object, 1 if it ends further than half its radius from where it lies, or is gone; else 0."""
    slots = held.truth.slots
    off = STATE.get(found.state[-1, slots], "position") - STATE.get(held.truth.state[-1, slots], "position")
    radius = STATE.get(held.truth.state[-1, slots], "size").min(-1)
    there = STATE.get(found.state[-1, slots], "present")[:, 0] > 0.5
    return (~there | (np.linalg.norm(off, axis=-1) > WITHIN_RADII * radius)).astype(float)
