"""What the model reads off a picture: the objects of a first frame that it is given, as with `--image`.

Held-out scenes of the exact world; the model gets their first picture, standing still, and no sentence. Its
objects are paired with the true ones so that the distances between them are smallest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tyro
from scipy.optimize import linear_sum_assignment

from harness import EXACT, Subject, progress, save, show
from orrery.errors import BadUse
from orrery.evaluation.dynamics import object_slots, shape_of
from orrery.evaluation.names import colour_of
from orrery.evaluation.statistics import median_interval, share
from orrery.streams import Array
from orrery.worlds.rigid_bodies.state import STATE

FIRST_SEED = 970_000


@dataclass
class Settings:
    """model: folder of a checkpoint. num_scenes: held-out scenes."""

    model: str
    num_scenes: int = 100


def read_off(subject: Subject, num_scenes: int) -> dict[str, Any]:
    """How often number, colours and shapes are right, and how far off positions and the camera are."""
    truth_of, world = Subject(EXACT).open(["video.main", "state", "camera.main"]), subject.open()
    counts: dict[str, list[bool]] = {"number": [], "colour": [], "shape": []}
    distances_mm, camera_mm = [], []
    for seed in progress(range(FIRST_SEED, FIRST_SEED + num_scenes), f"{subject.model}: pictures"):
        truth = truth_of.reset(seed)
        picture = truth["video.main"][:, None, :1].repeat(world.spec.clock.frames_per_tick, axis=2)
        found = world.reset(seed, given={"video.main": picture})
        there, seen = truth["state"][0, :1], found["state"][0, -1:]
        wanted, got = object_slots(there), object_slots(seen)
        counts["number"].append(len(wanted) == len(got))
        camera_mm.append(1000 * _apart(found["camera.main"][0, -1, :3], truth["camera.main"][0, 0, :3]))
        for true, mine in _pairs(there[0], seen[0], wanted, got):
            distances_mm.append(1000 * _apart(_position(there[0, true]), _position(seen[0, mine])))
            counts["colour"].append(colour_of(there[0, true]) == colour_of(seen[0, mine]))
            counts["shape"].append(shape_of(there, true) == shape_of(seen, mine))
    return {
        **{f"{name}_right": share(sum(right), len(right)) for name, right in counts.items()},
        "position_error_mm": median_interval(np.array(distances_mm)),
        "camera_error_mm": median_interval(np.array(camera_mm)),
    }


def _apart(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a - b))


def _position(body: Array) -> Array:
    return STATE.get(body, "position")


def _pairs(there: Array, seen: Array, wanted: list[int], got: list[int]) -> list[tuple[int, int]]:
    """Slots of the same thing in two states `[slots, D]`."""
    gaps = np.array([[_apart(_position(there[a]), _position(seen[b])) for b in got] for a in wanted])
    rows, columns = linear_sum_assignment(gaps.reshape(len(wanted), len(got)))
    return [(wanted[row], got[column]) for row, column in zip(rows, columns, strict=True)]


def main(settings: Settings) -> None:
    subject = Subject(settings.model)
    if subject.is_exact:
        raise BadUse("the exact world reads nothing off pictures; name a checkpoint")
    figures = read_off(subject, settings.num_scenes)
    show(
        f"Read off the first pictures of {settings.num_scenes} held-out scenes",
        ["", subject.model],
        [
            ["number of objects right, %", figures["number_right"]],
            ["colour right, %", figures["colour_right"]],
            ["shape right, %", figures["shape_right"]],
            ["position error, median mm", figures["position_error_mm"]["median"]],
            ["camera error, median mm", figures["camera_error_mm"]["median"]],
        ],
    )
    save("perception", subject, {"figures": figures}, seed=FIRST_SEED)


if __name__ == "__main__":
    main(tyro.cli(Settings))
