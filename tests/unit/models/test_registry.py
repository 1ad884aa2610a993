"""Recipes by name."""

import pytest

from moa.errors import UserError
from moa.models import registry
from moa.models.base import ModelConfig, Recipe


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="no model is named 'simple'; choose one of: .*simple-nn-old-cv"):
        registry.recipe("simple")


@pytest.mark.parametrize("name", list(registry.package_recipes()))
def test_recipes_of_the_package_are_of_version_3(name):
    """Weights of the package before it are refused, since the same settings trained something else."""
    assert registry.recipe(name).version == 3


def test_a_registered_recipe_is_found_after_those_of_the_package(monkeypatch):
    monkeypatch.setattr(registry, "_own", {})
    first, second = (Recipe("mine", title, ModelConfig(), lambda config, schema: ()) for title in ("One", "Two"))
    registry.register(first)
    registry.register(second)
    assert registry.recipe("mine") is second and list(registry.recipes())[-1] == "mine"
    assert "mine" not in registry.package_recipes()
