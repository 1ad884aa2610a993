"""What the wheel declares: ranges that admit the tested versions, and everything that the package imports."""

import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from support import ROOT
from support.bounds import declared, lowest
from support.imports import imported

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {name: [Requirement(each) for each in found] for name, found in PROJECT["optional-dependencies"].items()}
BASE = [Requirement(each) for each in PROJECT["dependencies"]]
#: Modules that only one part of the package imports, and where they are imported, where they are missing.
PARTS = {
    "cnn": ("learners/deepinsight/",),
    "kaggle": ("kaggle/", "data/download.py"),
    "assay": ("importing/", "metrics/retrieval.py"),
    "cluster": ("training/cluster/",),
    "notebooks": ("notebook/", "cells.py"),
}


def pins():
    texts = [(ROOT / name).read_text() for name in ("requirements.txt", "tests/requirements.txt")]
    lines = (line.split("#")[0].strip() for text in texts for line in text.splitlines())
    found = [Requirement(line) for line in lines if line]
    return {each.name.lower(): each for each in found if each.marker is None or each.marker.evaluate()}


def name_of(requirement):
    return canonicalize_name(requirement.name)


def test_ranges_admit_the_versions_that_are_tested():
    pinned = {canonicalize_name(name): next(iter(each.specifier)).version for name, each in pins().items()}
    declared = [each for group in (BASE, *EXTRAS.values()) for each in group if each.name != "moa"]
    for each in declared:
        if name_of(each) in pinned:
            assert each.specifier.contains(pinned[name_of(each)]), each
    known = {name_of(each) for each in declared}
    assert not sorted(set(pinned) - known), "every pin belongs to the package or to one of its extras"


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_torch_has_an_upper_bound(python):
    torch = declared(python)["torch"]
    assert torch.contains("2.12.0") and not torch.contains("2.13.0")


def test_bounds_of_newer_pythons_come_on_top():
    """Python 3.13 has no wheels of many a version that is the lowest elsewhere."""
    before, after = (lowest(python, extras=True) for python in ("3.12", "3.13"))
    assert before == lowest("3.11", extras=True) and before.keys() == after.keys()
    assert (before["numpy"], after["numpy"]) == ("1.26", "2.1") and (before["torch"], after["torch"]) == ("2.4", "2.6")
    for name in before:
        assert Version(after[name]) >= Version(before[name]), f"{name}: the bound of 3.13 is below the one of all"


def test_every_import_is_declared_by_the_package_or_by_the_extra_of_its_part():
    package = ROOT / "final" / "moa"
    distributions = {
        module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()
    }
    base = {name_of(each) for each in BASE}
    undeclared = []
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        allowed = base.union(
            *({name_of(each) for each in EXTRAS[extra]} for extra, parts in PARTS.items() if name.startswith(parts))
        )
        for module in set(imported(path)) - set(sys.stdlib_module_names) - {"moa"}:
            if not distributions.get(module, {module}) & allowed:
                undeclared.append(f"{name}: {module}")
    assert not undeclared


def test_dev_holds_all_extras():
    (own,) = (each for each in EXTRAS["dev"] if each.name == "moa")
    assert own.extras == EXTRAS.keys() - {"dev"}


def test_unit_tests_lie_in_the_folders_of_the_package():
    tests, package = ROOT / "tests" / "unit", ROOT / "final" / "moa"
    folders = {path.parent.relative_to(tests).as_posix() for path in tests.rglob("test_*.py")}
    assert {name for name in folders if not (package / name).is_dir()} == {"benchmarks"}
