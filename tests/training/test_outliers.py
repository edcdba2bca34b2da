"""What is far off weighs in the loss by how far, not by its square: one blow drowns no other."""

from __future__ import annotations

import pytest
import torch

from orrery.models.tokens import StreamTokens
from orrery.training.world_loss import OUTLIER, LossConfig, _Counted, _weighted_error

STREAM = StreamTokens("touch.finger", 1, 1)


def error(off: float) -> float:
    """Of one number that is expected to be nothing."""
    clean, there = torch.full((1, 1, 1, 1), off), torch.ones(1, 1, dtype=torch.bool)
    counted, level = _Counted(there, there, torch.ones(1, 1)), torch.ones(1, 1)
    return float(_weighted_error(0 * clean, clean, 0 * clean, level, counted, STREAM, LossConfig()))


def test_a_loss_is_square_for_what_is_usual_and_straight_for_outliers() -> None:
    assert error(2.0) == pytest.approx(4 * error(1.0))
    assert error(2.0) == pytest.approx(4.0)
    assert error(100.0) - error(90.0) == pytest.approx(10 * 2 * OUTLIER)
