"""A camera that looks away and back, and worlds that remember or forget."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from standing import StandingWorld

from orrery.evaluation.looking import away_and_back, looking_figures
from orrery.tokenizers.perspective import project
from orrery.worlds.tabletop.scene import CAMERAS, TRAY
from orrery.worlds.tabletop.world import TabletopWorld

CONTEXT, FRAMES = 24, 84


def _home(name: str) -> np.ndarray:
    """As the exact world tells it: position, wxyz, field of view."""
    return TabletopWorld(streams=["camera.main"]).reset(0, prompt=f"a red ball shown from the {name}")[
        "camera.main"
    ][0, 0]


@pytest.mark.parametrize("name", CAMERAS)
def test_the_camera_turns_away_until_nothing_is_in_the_picture_and_comes_back(name: str) -> None:
    home = _home(name)
    path = away_and_back(home, CONTEXT, FRAMES, 24)
    assert path.shape == (FRAMES, 8)
    np.testing.assert_allclose(path[:CONTEXT], np.tile(home, (CONTEXT, 1)), atol=1e-6)
    np.testing.assert_allclose(path[-12:], np.tile(home, (12, 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(path[:, 3:7], axis=1), 1.0, atol=1e-5)
    turned = 2 * np.arccos(np.abs(path[:, 3:7] @ home[3:7]).clip(0, 1))
    assert turned.max() == pytest.approx(math.radians(100), abs=1e-3)
    assert np.abs(np.diff(turned)).max() < math.radians(9), "it turns, it does not jump"
    sides = [(-TRAY.half_x, TRAY.half_x), (-TRAY.half_y, TRAY.half_y), (0.0, 0.1)]
    corners = torch.tensor(list(product(*sides)))
    away = torch.from_numpy(path[CONTEXT + 12 : CONTEXT + 35])
    places, _, _ = project(corners.expand(len(away), -1, 3), torch.full((1, 8, 3), 0.05), away)
    assert bool((places.abs() > 1.0).any(-1).all())


@pytest.mark.slow
def test_what_is_forgotten_and_what_looks_different_is_told() -> None:
    lost, unlike = looking_figures(StandingWorld(), 2)
    assert lost.value == unlike.value == 0.0
    assert lost.verdict == unlike.verdict == "pass"
    lost, unlike = looking_figures(StandingWorld(forgets=True, brightness=(90, 130)), 2)
    assert lost.value == 1.0
    assert unlike.value == pytest.approx(40 / 255, abs=1e-6)
    assert lost.verdict == "fail"
    assert unlike.verdict == "between"


@pytest.mark.slow
def test_the_exact_world_is_the_same_after() -> None:
    lost, unlike = looking_figures(TabletopWorld(), 1)
    assert lost.value == 0.0
    assert 20 * math.log10(1.0 / max(unlike.value or 0.0, 1e-9)) > 50
