"""Recipes: functions that return a complete training run. The table is the list of them."""

from __future__ import annotations

from collections.abc import Callable

from orrery.errors import BadUse, nearest
from orrery.recipes.phyworld import phyworld
from orrery.recipes.tabletop import tabletop
from orrery.recipes.tiny import tiny
from orrery.training.run import Recipe

__all__ = ["RECIPES", "recipe"]

RECIPES: dict[str, Callable[[float | None], Recipe]] = {
    "tiny": tiny,
    "tabletop": tabletop,
    "phyworld": phyworld,
}


def recipe(name: str, minutes: float | None = None) -> Recipe:
    """The recipe of that name, with another training time if `minutes` is given.

    Raises BadUse for a name that does not exist, with those that do, and for a time that is not above 0.
    """
    if minutes is not None and not 0 < minutes < 1e5:
        raise BadUse(f"--minutes is above 0 and at most 100000, got {minutes}")
    if name not in RECIPES:
        meant = f"; did you mean {nearest(name, RECIPES)[0]}?" if nearest(name, RECIPES) else ""
        raise BadUse(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}{meant}")
    return RECIPES[name](minutes)
