"""A wide variety of things, mechanisms, surfaces, lights and cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orrery.streams import Clock
from orrery.world import World
from orrery.worlds.rigid_bodies.mesh_file import MeshFile

__all__ = ["ACTION_AXES", "make_world"]

ACTION_AXES = (
    ("finger right", "ArrowLeft", "ArrowRight"),
    ("finger away", "ArrowDown", "ArrowUp"),
    ("finger up", "KeyS", "KeyW"),
    ("hold", "", "Space"),
    ("camera around", "KeyA", "KeyD"),
    ("camera up", "KeyF", "KeyR"),
    ("camera away", "KeyQ", "KeyE"),
)
"""What each number of the action is, and the keys for less and more; see `orrery.worlds.action_axes`."""


def make_world(
    num_worlds: int = 1,
    streams: Sequence[str] | None = None,
    image_size: int = 128,
    clock: Clock | None = None,
    frames_per_second: int = 24,
    objects: Mapping[str, MeshFile] | None = None,
) -> World:
    """See `orrery.worlds.WorldFactory`. objects: nouns of one's own, each a mesh."""
    from orrery.worlds.laboratory.world import LaboratoryWorld  # imports MuJoCo, which not every install has

    return LaboratoryWorld(num_worlds, streams, image_size, clock or Clock(frames_per_second), objects)
