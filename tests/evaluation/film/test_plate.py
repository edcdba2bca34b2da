"""The plate is what is there when every thing is thought away; blobs are what stands out of it."""

from __future__ import annotations

import numpy as np
import pytest
from made_films import GROUND, Disc, drawn, instants, wall

from orrery.evaluation.film.blobs import blobs
from orrery.evaluation.film.channels import difference
from orrery.evaluation.film.plate import Plate, gradient
from orrery.evaluation.film.stretch import Stretch

NUM = len(instants())


@pytest.mark.parametrize("moved", [26.0, 40.0, 90.0])
def test_what_rests_for_most_of_the_time_is_not_in_it(moved: float) -> None:
    """A disc goes little farther than its own width, so that the ghost it leaves in the median touches it in
    every picture; the other lies beside where it stops."""
    path = np.tile([80.0, GROUND - 12], (NUM, 1))
    path[:, 0] += moved * np.clip(instants() / 0.6, 0, 1)
    other = np.stack([80 + moved + 24 + 60 * np.clip(instants() - 0.3, 0, 0.8), np.full(NUM, GROUND - 12)], 1)
    frames = drawn([Disc(path), Disc(other, colour=(40, 60, 200))], wall(), NUM)
    seconds = instants().tolist()
    plate = Plate.of(Stretch(True, False, list(frames), seconds, [], [True] * NUM))
    wrong = difference(plate.image, wall()) > 20
    assert np.count_nonzero(wrong) < 60


@pytest.mark.parametrize(("step", "least", "most"), [(2.0, 0.0, 0.25), (40.0, 0.95, 1.0)])
def test_a_blob_tells_how_much_of_it_is_new(step: float, least: float, most: float) -> None:
    """One that moves a little was there before but for its rim; one that was elsewhere was not."""
    path = np.array([[80.0, 100.0], [80.0 + step, 100.0]])
    before, frame = drawn([Disc(path, 15.0)], wall(), 2)
    plate = Plate(wall(), gradient(wall()), None)
    (blob,), _ = blobs(frame, plate, came=difference(before, frame) > 14)
    assert least <= blob.came <= most
    assert blob.goes == 1.0
