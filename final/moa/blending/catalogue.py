"""Resolving the names that a user may give: models, blends and "all"."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from moa.environment import FINAL
from moa.errors import UserError
from moa.models.registry import known_recipes, recipe, recipes
from moa.words import unknown

if TYPE_CHECKING:
    from moa.blending.blend import BlendSpec


def _published(name: str, submission: str) -> Path:
    """A blend's file: in a checkout it lies with its submission, in a wheel inside of the package (pyproject.toml)."""
    path = FINAL / submission / "blend.yaml"
    return path if path.is_file() else Path(__file__).with_name("published") / f"{name}.yaml"


BLENDS = {"best-lb": _published("best-lb", "Best LB"), "best-cv": _published("best-cv", "Best CV")}


def blend_path(name: str, others: Iterable[str] = ()) -> Path:
    """The YAML file of a blend, given by name or path.

    Args:
        name: of the blend, or a path.
        others: names that could be given in its place, such as those of models.

    Raises:
        UserError: there is no such blend or file; names that are like it are suggested.
    """
    path = BLENDS.get(name, Path(name))
    if not path.is_file():
        names = [*BLENDS, *others]
        raise UserError(
            f"blend {unknown(name, names)}; choose one of {', '.join(names)}, or give the path of a YAML file"
        )
    return path


def plate_blend(name: str) -> BlendSpec:
    """A blend given by name or path, or a single model as a blend with one member."""
    from moa.blending.blend import BlendSpec, load_blend

    if name in known_recipes():
        return BlendSpec(name=name, title=recipe(name).title, members=[{"model": name, "weight": 1.0}])
    return load_blend(blend_path(name, known_recipes()))


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
