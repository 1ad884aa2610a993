"""All recipes by name: the winners', those for any assay, and those of users' files that were read."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache

import moa.models
from moa.errors import UserError
from moa.models.base import Recipe
from moa.words import not_named

#: How a model is given that is not of the package.
OWN_MODEL = "a model of your own is read with --recipe FILE"
#: Recipes of files outside of the package, see ``moa.models.own``.
_own: dict[str, Recipe] = {}


def recipes() -> dict[str, Recipe]:
    """The recipes that "all" stands for, by name: the winners' models, then those of users' files."""
    return package_recipes() | _own


def any_assay_recipes() -> dict[str, Recipe]:
    """The recipes for any assay but the competition's, by name, the default first."""
    from moa.models.any_assay import ANY_ASSAY

    return {recipe.name: recipe for recipe in ANY_ASSAY}


def known_recipes() -> dict[str, Recipe]:
    """All recipes that a name can stand for."""
    return package_recipes() | any_assay_recipes() | _own


def register(recipe: Recipe) -> None:
    """Add a recipe, or replace the one of its name that was added before."""
    _own[recipe.name] = recipe


@cache
def package_recipes() -> dict[str, Recipe]:
    """The winners' models: every file of ``moa.models`` that describes some lists them in ``RECIPES``."""
    found: dict[str, Recipe] = {}
    for file in pkgutil.iter_modules(moa.models.__path__):
        module = importlib.import_module(f"moa.models.{file.name}")
        found |= {recipe.name: recipe for recipe in getattr(module, "RECIPES", ())}
    return found


def recipe(name: str, others: Iterable[str] = ()) -> Recipe:
    """The recipe of that name.

    Args:
        name: of the model.
        others: names that could be given in its place, such as those of blends.

    Raises:
        UserError: there is none; names that are like it are suggested.
    """
    known = known_recipes()
    if name not in known:
        others = list(others)
        raise UserError(not_named("model or blend" if others else "model", name, [*known, *others], OWN_MODEL))
    return known[name]
