"""What pyproject.toml declares for one version of Python: the bounds of all lines that count there, put together."""

import tomllib

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from support import ROOT


def declared(python, extras=False):
    """What is declared for a version of Python.

    Args:
        python: the version, such as "3.13".
        extras: whether all extras count, besides what the package needs itself.

    Returns:
        The specifiers of each library.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"].values() if extras else ())]
    found = {}
    for each in (Requirement(line) for group in groups for line in group):
        if each.name != project["name"] and (each.marker is None or each.marker.evaluate({"python_version": python})):
            name = canonicalize_name(each.name)
            found[name] = found.get(name, SpecifierSet()) & each.specifier
    return found


def lowest(python, extras=False):
    """The lowest version of each library that is declared; see `declared`."""
    return {
        name: max((part.version for part in specifiers if part.operator == ">="), key=Version)
        for name, specifiers in declared(python, extras).items()
    }
