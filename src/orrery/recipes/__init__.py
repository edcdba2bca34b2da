"""Recipes: functions that return a complete training run. The table is the list of them."""

from __future__ import annotations

from collections.abc import Callable

from orrery.errors import BadUse, nearest
from orrery.recipes.tabletop import tabletop
from orrery.recipes.tiny import tiny
from orrery.training.run import Recipe

__all__ = ["RECIPES", "recipe"]

RECIPES: dict[str, Callable[[], Recipe]] = {"tiny": tiny, "tabletop": tabletop}


def recipe(name: str) -> Recipe:
    """The recipe of that name. Raises BadUse with the names there are."""
    if name not in RECIPES:
        meant = f"; did you mean {nearest(name, RECIPES)[0]}?" if nearest(name, RECIPES) else ""
        raise BadUse(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}{meant}")
    return RECIPES[name]()
