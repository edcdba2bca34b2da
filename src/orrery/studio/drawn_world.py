"""An exact world in another look: its physics, sound and events, and pictures drawn anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from orrery.errors import BadUse
from orrery.streams import Array, Event, Observation, StreamSpec, WorldSpec
from orrery.world import World
from orrery.worlds.rigid_bodies.mujoco_scene import HasMujocoScene, MujocoScene

__all__ = ["DrawnWorld", "KeepingLook", "Look"]


class Look(Protocol):
    """Draws MuJoCo scenes. size: width and height in pixels."""

    size: tuple[int, int]

    def draw(self, scene: MujocoScene) -> Array:
        """A tick's pictures, `[F, H, W, 3]` uint8 sRGB."""
        ...


class KeepingLook:
    """Draws as another look does, and keeps what it was given. scenes: one for each tick, in order."""

    def __init__(self, look: Look) -> None:
        self._look, self.size = look, look.size
        self.scenes: list[MujocoScene] = []

    def draw(self, scene: MujocoScene) -> Array:
        """See `Look`."""
        self.scenes.append(scene)
        return self._look.draw(scene)


class DrawnWorld:
    """`world` with `video.main` by `look`, of the look's size; make it without `video.main`, so that it draws
    nothing itself. Raises BadUse for a world without a MuJoCo model.
    """

    def __init__(self, world: World, look: Look) -> None:
        if not isinstance(world, HasMujocoScene):
            what = getattr(world, "what", type(world).__name__)
            raise BadUse(f"{what} has no MuJoCo model, and only such worlds can be drawn in another look")
        self._world, self._scenes, self._look = world, world, look
        width, height = look.size
        shape = (world.spec.clock.frames_per_tick, height, width, 3)
        video = StreamSpec("video.main", "video", "observed", shape, "uint8", "sRGB")
        self.spec = WorldSpec(world.spec.clock, {**world.spec.streams, video.name: video})

    @property
    def num_worlds(self) -> int:
        return self._world.num_worlds

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """See `World.reset`."""
        return self._drawn(self._world.reset(seed, prompt=prompt, scene=scene, given=given, mask=mask))

    def step(self, action: Array | None = None) -> Observation:
        """See `World.step`."""
        return self._drawn(self._world.step(action))

    def _drawn(self, observation: Observation) -> Observation:
        pictures = [self._look.draw(self._scenes.mujoco_scene(index)) for index in range(self.num_worlds)]
        return observation | {"video.main": np.array(pictures)}

    def scene(self, index: int = 0) -> dict[str, Any]:
        """See `Describable`; nothing where the world itself cannot say."""
        return self._of_world("scene", index, {})

    def events(self, index: int = 0) -> list[Event]:
        """See `Describable`; none where the world itself cannot say."""
        return self._of_world("events", index, [])

    def _of_world(self, name: str, index: int, otherwise: Any) -> Any:
        method = getattr(self._world, name, None)
        return otherwise if method is None else method(index)
