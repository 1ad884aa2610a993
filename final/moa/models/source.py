"""The source of recipes outside of this package: kept with the weights, and compared before they are used again."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Mapping
from difflib import SequenceMatcher
from importlib.machinery import PathFinder
from os.path import commonprefix
from pathlib import Path
from typing import Any

from moa.files import regular
from moa.models.base import Recipe
from moa.words import shown

#: Attribute of a module that ``moa.models.own`` read: the sources as they were then.
SOURCE = "__moa_source__"
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
#: Characters that are shown before the place where a line differs.
_LEAD = 25


def code_of(model: Recipe) -> dict[str, str]:
    """Source of the files outside of this package that define a model, by file name.

    These are the files of its stages' function and its settings, and what they import from their folders. What is
    defined in a notebook, or in a program that is running, has no file here: only its structure is compared.
    """
    files: dict[str, str] = dict(getattr(_function(model.stages), "__globals__", {}).get(SOURCE, {}))
    owners = {getattr(_function(each), "__module__", None) for each in (model.stages, type(model.config))}
    for module in sorted(filter(None, owners - {"__main__"})):
        path = getattr(sys.modules.get(module), "__file__", None)
        if module.split(".")[0] != "moa" and path and Path(path).suffix == ".py":
            _collect(Path(path), files)
    return files


def sources(path: Path) -> dict[str, str]:
    """Source of a file and of what it imports from its folder, by file name."""
    files: dict[str, str] = {}
    _collect(path, files)
    return files


def _function(what: Any) -> Any:
    while isinstance(what, functools.partial):
        what = what.func
    return what


def _collect(path: Path, files: dict[str, str]) -> None:
    """Add a file, and what it imports from its folder."""
    if path.name in files:
        return
    try:
        text = regular(path).read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError):
        return
    files[path.name] = text
    for name in _imported(tree):
        found = PathFinder.find_spec(name, [str(path.parent)])
        if found and found.origin and Path(found.origin).suffix == ".py" and Path(found.origin).parent == path.parent:
            _collect(Path(found.origin), files)


def _imported(tree: ast.AST) -> list[str]:
    """Top-level names of the modules that a file imports."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module] if node.module else [each.name for each in node.names]
    return sorted({name.split(".")[0] for name in names})


def changed_code(there: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """The first line in which the sources differ, in words; None if only comments or layout differ."""
    for name in dict.fromkeys([*now, *there]):
        if name not in now or name not in there:
            return f"{shown(name)}: only {'now' if name in now else 'there'}"
        old, new = (_statements(source[name]) for source in (there, now))
        if old != new:
            blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
            _, a, b, c, d = next(block for block in blocks if block[0] != "equal")
            before, after = next(iter(old[a:b]), ""), next(iter(new[c:d]), "")
            start = max(len(commonprefix([before, after])) - _LEAD, 0)
            return f"{shown(name)}: {_part(before, start)} there, {_part(after, start)} now"
    return None


def _part(line: str, start: int) -> str:
    """A line from shortly before the place where it differs from another one."""
    text = line[start:].strip()
    return f"`{'...' if start else ''}{shown(text)}`" if text else "nothing"


def _statements(text: str) -> list[str]:
    """The lines of a source without comments, docstrings and layout; as they are if it is not Python."""
    try:
        tree = ast.parse(text)
    except (ValueError, SyntaxError, RecursionError):
        return text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body[0] = ast.Pass()
    return ast.unparse(tree).splitlines()
