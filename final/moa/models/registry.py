"""All recipes by name."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import moa.models
from moa.errors import UserError
from moa.models.base import Recipe


@cache
def recipes() -> dict[str, Recipe]:
    """All recipes by name: every file of ``moa.models`` that describes models lists them in ``RECIPES``."""
    found: dict[str, Recipe] = {}
    for file in pkgutil.iter_modules(moa.models.__path__):
        module = importlib.import_module(f"moa.models.{file.name}")
        found |= {recipe.name: recipe for recipe in getattr(module, "RECIPES", ())}
    return found


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UserError: there is none.
    """
    known = recipes()
    if name not in known:
        raise UserError(f"model '{name}' is unknown; choose one of: {', '.join(known)}")
    return known[name]
