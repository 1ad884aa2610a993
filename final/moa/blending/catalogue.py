"""Resolving the names that a user may give: models, blends and "all"."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from moa.environment import FINAL
from moa.errors import UserError
from moa.models.registry import OWN_MODEL, known_recipes, recipe, recipes
from moa.words import not_named

if TYPE_CHECKING:
    from moa.blending.blend import BlendSpec


def _published(name: str, submission: str) -> Path:
    """A blend's file: in a checkout it lies with its submission, in a wheel inside of the package (pyproject.toml)."""
    path = FINAL / submission / "blend.yaml"
    return path if path.is_file() else Path(__file__).with_name("published") / f"{name}.yaml"


BLENDS = {"best-lb": _published("best-lb", "Best LB"), "best-cv": _published("best-cv", "Best CV")}


#: How a blend is given that is not of the package.
_OWN_BLEND = "a blend of your own is given as the path of its YAML file"


def blend_path(name: str, own: str = _OWN_BLEND) -> Path:
    """The YAML file of a blend, given by name or path; ``own`` says how one is given that is not of the package.

    Raises:
        UserError: there is no such blend or file; names that are like it are suggested. Or it is a model's name.
    """
    path = BLENDS.get(name, Path(name))
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise UserError(
            f"{name}: there is no such file; give the path of a blend's YAML file, or {' or '.join(BLENDS)}"
        )
    if name in known_recipes():
        raise UserError(f"{name} is a model and no blend; its own submission is written by: moa predict {name}")
    raise UserError(not_named("model or blend", name, [*BLENDS, *known_recipes()], own))


def plate_blend(name: str) -> BlendSpec:
    """A blend given by name or path, or a single model as a blend with one member."""
    from moa.blending.blend import BlendSpec, load_blend

    if name in known_recipes():
        return BlendSpec(name=name, title=recipe(name).title, members=[{"model": name, "weight": 1.0}])
    return load_blend(blend_path(name, f"{OWN_MODEL}, {_OWN_BLEND}"))


def expand_models(names: Iterable[str]) -> list[str]:
    """Model names, with blends and "all" replaced by their models; each once, in order."""
    found: list[str] = []
    for name in names:
        if name == "all":
            found += recipes()
        elif name in BLENDS:
            from moa.blending.blend import load_blend  # imports pandas, which names of models do without

            found += [member.model for member in load_blend(blend_path(name)).members]
        else:
            found.append(recipe(name, [*BLENDS, "all"]).name)
    return list(dict.fromkeys(found))
