"""Docstrings of what the reference shows: arguments, results, shapes, errors and sources are said."""

import ast
import re
import textwrap
from importlib import import_module

import pytest

from moa.environment import FINAL
from moa.models import registry
from support.pages import PAGES

griffe = pytest.importorskip("griffe", reason="reads docstrings")

import moa  # noqa: E402

TABLES = re.compile(r"\b(DataFrame|Series|ndarray|Tensor)\b")
SHAPE = re.compile(r"\bshapes?\b|\brows?\b|\bcolumns?\b|\bindexed\b|\bmatrix\b", re.IGNORECASE)
ERRORS = {"DataError", "StoreError", "TypeError", "UserError", "ValueError", "WriteError"}


@pytest.fixture(scope="module")
def shown():
    """Every object of the reference's pages, by its full name."""
    package = griffe.load("moa", search_paths=[FINAL], docstring_parser="google", resolve_aliases=True)
    found = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name, options in re.findall(r"^::: moa\.?(\S*)\n((?:    .*\n)*)", text, re.MULTILINE):
            top = package[name]
            members = re.search(r"members: \[(.*)\]", options)
            chosen = members.group(1).split(", ") if members else None
            for each in [top[member] for member in chosen] if chosen else [top]:
                found |= dict(with_members(each.final_target if each.is_alias else each))
    return found


def with_members(thing):
    """An object and its public members that are written in the same place."""
    if not thing.is_module:
        yield thing.path, thing
    for name, each in thing.members.items():
        if not name.startswith("_") and not each.is_alias and (each.is_function or each.is_class or thing.is_class):
            yield from with_members(each)


@pytest.fixture(scope="module")
def functions(shown):
    return {name: each for name, each in shown.items() if each.is_function}


@pytest.fixture(scope="module")
def classes(shown):
    return {name: each for name, each in shown.items() if each.is_class}


def text_of(thing):
    return thing.docstring.value if thing.docstring else ""


def said(thing):
    """The names that a docstring explains: in a list of arguments or attributes, or by the way."""
    listed = re.findall(r"^ +\*{0,2}([\w, *]+?)(?: \([^)]*\))?: ", text_of(thing), re.MULTILINE)
    by_the_way = re.findall(r"``([A-Za-z_]\w*)\W*", text_of(thing))
    return {name.strip() for each in listed for name in each.split(",")} | set(by_the_way)


def arguments(function):
    """Names and annotations; those that scikit-learn's interface passes to what does not use them are left out."""
    for each in function.parameters:
        unused = each.name in ("y", "input_features") and str(each.annotation) == "Any" and str(each.default) == "None"
        if each.name not in ("self", "cls") and not unused:
            yield each.name.lstrip("*"), str(each.annotation or "")


def test_the_reference_shows_the_interface(shown, functions, classes):
    assert {f"moa.api.{name}" for name in ("train", "load", "predict", "score", "report")} <= shown.keys()
    assert "moa.loaded.Model" in shown
    names = {name.rsplit(".", 1)[-1] for name in shown}
    assert set(moa.__all__) - {"__version__"} <= names and len(functions) > 60 and len(classes) > 20


def test_everything_has_a_docstring(shown):
    lacking = [name for name, each in shown.items() if not each.is_attribute and not each.docstring]
    properties = [name for name, each in shown.items() if "property" in each.labels and not each.docstring]
    assert lacking + properties == []


def test_every_argument_is_explained(functions):
    lacking = []
    for name, function in functions.items():
        known = said(function)
        lacking += [f"{name}: {argument}" for argument, _ in arguments(function) if argument not in known]
    assert lacking == []


def test_every_field_is_explained(classes):
    lacking = []
    for name, each in classes.items():
        fields = {
            field
            for field, member in each.members.items()
            if member.is_attribute and "property" not in member.labels and not field.startswith("_") and field.islower()
        }
        fields = {field for field in fields if each.members[field].annotation is not None and field != "model_config"}
        known = said(each)
        lacking += [f"{name}: {field}" for field in sorted(fields) if field not in known]
        init = each.members.get("__init__")
        if init is not None and not init.is_alias:
            known |= said(init)
            lacking += [f"{name}: {argument}" for argument, _ in arguments(init) if argument not in known]
    assert lacking == []


def test_every_result_is_explained(functions):
    """By a section where arguments have one, else in the sentence."""
    lacking = []
    for name, function in functions.items():
        returned = str(function.returns or "None")
        if returned in ("None", function.parent.name, f'"{function.parent.name}"') or "property" in function.labels:
            continue
        text = text_of(function)
        if "\nArgs:\n" in text and not re.search(r"^Returns:$|\breturns?\b", text, re.MULTILINE | re.IGNORECASE):
            lacking.append(name)
    assert lacking == []


def test_tables_have_shapes(functions, classes):
    lacking = []
    for name, function in functions.items():
        annotations = [annotation for _, annotation in arguments(function)] + [str(function.returns or "")]
        if any(map(TABLES.search, annotations)) and not SHAPE.search(text_of(function)):
            lacking.append(name)
    for name, each in classes.items():
        fields = [str(member.annotation or "") for member in each.members.values() if member.is_attribute]
        if any(map(TABLES.search, fields)) and not SHAPE.search(text_of(each)):
            lacking.append(name)
    assert lacking == []


def test_every_error_that_is_raised_is_named(functions):
    lacking = []
    for name, function in functions.items():
        tree = ast.parse(textwrap.dedent("\n".join(function.lines)))
        raised = {
            each.exc.func.id
            for each in ast.walk(tree)
            if isinstance(each, ast.Raise) and isinstance(each.exc, ast.Call) and isinstance(each.exc.func, ast.Name)
        } & ERRORS
        section = re.search(r"^Raises:\n((?:    .*\n?|\n)*)", text_of(function) + "\n", re.MULTILINE)
        named = set(re.findall(r"^    (\w+):", section.group(1), re.MULTILINE)) if section else set()
        lacking += [f"{name}: {error}" for error in sorted(raised - named)]
    assert lacking == []


def test_models_name_their_source():
    modules = {import_module(each.config.__class__.__module__) for each in registry.package_recipes().values()}
    assert len(modules) >= 5
    assert not [module.__name__ for module in modules if "Source" not in (module.__doc__ or "")]
