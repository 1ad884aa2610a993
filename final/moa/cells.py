"""Definitions in the cells of a notebook, in the place of the package's own.

The training notebooks hold the source of what makes their model. A cell that begins with the name of a file of the
package, such as ``# moa/features/ranks.py``, holds definitions of that file: when it is run, the file's module is made
again, with these definitions in the place of those of the same names, and so is every module that imports it. Modules
keep their names, so weights and records are those of the package.

Processes that train get the cells as one file, which the environment variable MOA_CELLS names; they read it before they
import anything else of the package. Nothing here imports more than the standard library.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import linecache
import os
import re
import sys
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from moa.environment import CELLS
from moa.errors import UserError

#: The first line of a cell of definitions.
HEAD = re.compile(r"^# (moa/[a-z0-9_/]+)\.py[ \t]*$", re.MULTILINE)
_PACKAGE = Path(__file__).resolve().parent
#: Modules that are never made again.
_FIXED = ("moa", __name__)


class Cells(MetaPathFinder):
    """The cells that were run so far, and what finds the modules that are made of them."""

    def __init__(self) -> None:
        self._run: dict[str, list[str]] = {}  # the cells' texts by module, each without its first line
        self._texts: dict[str, str] = {}  # source of each module with its cells

    def define(self, module: str, text: str, names: MutableMapping[str, Any] | None = None) -> None:
        """Put the definitions of a cell in the place of those of the same names, and import the module.

        Args:
            module: full name of the module.
            text: the cell without its first line.
            names: gets what the cell defines.

        Raises:
            UserError: the package has no such module, or the cell holds something else than definitions.
            Exception: of any kind that the definitions raise.
        """
        self._add(module, text)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        loaded = sys.modules.get(module)
        if loaded is None or getattr(loaded, "__cells__", None) != self._texts[module]:
            forget(module)
        made = importlib.import_module(module)
        if names is not None:
            names.update({name: getattr(made, name) for name in sorted(_defined(text)) if hasattr(made, name)})

    def read(self, path: Path | str) -> None:
        """Take the cells of a file that holds the ``text`` of others, before their modules are imported."""
        text = Path(path).read_text(encoding="utf-8")
        starts = [*HEAD.finditer(text)]
        for head, after in zip(starts, [*(each.start() for each in starts[1:]), len(text)], strict=True):
            self._add(head[1].replace("/", "."), text[head.end() : after])
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    @property
    def text(self) -> str:
        """All cells as one text, as ``read`` takes it."""
        parts = [(module, cell) for module, cells in sorted(self._run.items()) for cell in cells]
        return "\n\n".join(f"# {module.replace('.', '/')}.py\n{cell.strip()}\n" for module, cell in parts)

    @property
    def changed(self) -> dict[str, str]:
        """The modules whose code differs from the package's, and their source; comments and layout do not count."""
        return {
            module: text
            for module, text in sorted(self._texts.items())
            if code(text) != code(_file(module).read_text())
        }

    def clear(self) -> None:
        """Forget all cells, so that the package's own definitions are used again."""
        modules = list(self._run)
        self._run, self._texts = {}, {}
        for module in modules:
            forget(module)

    def _add(self, module: str, text: str) -> None:
        own = _file(module).read_text(encoding="utf-8")
        new, before = _defined(text), self._run.get(module, [])
        again = [place for place, cell in enumerate(before) if _defined(cell) <= new]  # this cell as it was before
        place = again[0] if again else len(before)
        kept = [cell for number, cell in enumerate(before) if number not in again]
        self._run[module] = [*kept[:place], text, *kept[place:]]
        self._texts[module] = assembled(own, self._run[module])

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """How a module is made of cells; None where no cell belongs to it."""
        text = self._texts.get(name)
        if text is None:
            return None
        spec = ModuleSpec(name, _Made(text), origin=str(_file(name)))
        spec.has_location = True
        return spec


class _Made(Loader):
    """Makes a module of a text, in which tracebacks find its lines."""

    def __init__(self, text: str):
        self.text = text

    def exec_module(self, module: ModuleType) -> None:
        name = f"<cells of {module.__name__.replace('.', '/')}.py>"
        linecache.cache[name] = (len(self.text), None, self.text.splitlines(keepends=True), name)
        vars(module)["__cells__"] = self.text
        exec(compile(self.text, name, "exec", dont_inherit=True), vars(module))


#: Those of this process.
cells = Cells()


@contextmanager
def given_to_processes(path: Path | None) -> Iterator[None]:
    """Let processes that are started in the block read the cells of a file; None: there are none."""
    if path is None:
        yield
        return
    before = os.environ.get(CELLS)
    os.environ[CELLS] = str(path)
    try:
        yield
    finally:
        os.environ.pop(CELLS)
        if before is not None:
            os.environ[CELLS] = before


def assembled(own: str, cells: Iterable[str]) -> str:
    """The source of a module with the definitions of cells.

    A definition takes the place of that of the same name, with the comments above it. New ones follow the definition
    that they follow in their cell; imports that the module lacks follow its own.

    Raises:
        UserError: a cell holds something else than definitions and imports.
        SyntaxError: a cell is no Python.
    """
    for cell in cells:
        own = _with_cell(own, cell)
    return own


def _with_cell(own: str, cell: str) -> str:
    parts = statements(own)
    last = max((place for place, part in enumerate(parts) if part.is_import), default=-1)
    place: int | None = None
    for new in statements(cell):
        if new.is_import:
            if not any(part.is_import and part.code == new.code for part in parts):
                last += 1
                parts.insert(last, new)
                place = None if place is None else place + (last <= place)
            continue
        if not new.names:
            raise UserError(
                f"a cell that begins with the name of a file holds definitions alone; put `{new.code.splitlines()[0]}` "
                "into a cell of its own"
            )
        there = [number for number, part in enumerate(parts) if part.names & new.names and not part.is_import]
        if there:
            place = there[0]
            parts[place] = new.after(parts[place])
            for number in reversed(there[1:]):
                del parts[number]
        else:
            place = len(parts) if place is None else place + 1
            parts.insert(place, new.after(Statement("\n\n\n", "", frozenset(), False)))
    return "".join(part.before + part.code + "\n" for part in parts)


class Statement:
    """A statement of a module, with the comments directly above it.

    Attributes:
        before: the lines before it: blank ones, and comments that stand apart.
        code: its lines, without the last end of line.
        names: what it defines.
        is_import: whether it imports.
    """

    def __init__(self, before: str, code: str, names: frozenset[str], is_import: bool):
        self.before, self.code, self.names, self.is_import = before, code, names, is_import

    def after(self, other: Statement) -> Statement:
        """This statement with the blank lines before another one."""
        return Statement(other.before, self.code, self.names, self.is_import)


def statements(text: str) -> list[Statement]:
    """The statements of a module in order.

    Raises:
        SyntaxError: the text is no Python.
    """
    lines, found, done = text.splitlines(keepends=True), [], 0
    for node in ast.parse(text).body:
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))]) - 1
        while first > done and lines[first - 1].startswith("#"):
            first -= 1
        assert node.end_lineno is not None
        code = "".join(lines[first : node.end_lineno]).rstrip("\n")
        found.append(Statement("".join(lines[done:first]), code, frozenset(_names(node)), _imports(node)))
        done = node.end_lineno
    return found


def _names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))


def _imports(node: ast.stmt) -> bool:
    typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    return typing or isinstance(node, ast.Import | ast.ImportFrom)


def _defined(text: str) -> set[str]:
    return {name for part in statements(text) for name in part.names}


def code(text: str) -> str:
    """A source without comments and layout."""
    return ast.dump(ast.parse(text))


# -- modules that are made again --------------------------------------------------------------------------------------


def forget(module: str) -> None:
    """Forget a module and every one that imports it, so that they are made again when they are next imported."""
    for name in [module, *_dependents(module)]:
        made = sys.modules.pop(name, None)
        above, _, last = name.rpartition(".")
        if made is not None and vars(sys.modules.get(above, made)).get(last) is made:
            delattr(sys.modules[above], last)


def _dependents(module: str) -> list[str]:
    """The loaded modules of the package that import a module, themselves or by others."""
    loaded = [name for name in sys.modules if name.startswith("moa.") and name not in _FIXED]
    found, border = set(), {module}
    while border:
        border = {name for name in loaded if name not in found and any(_needs(name, each) for each in border)}
        found |= border
    return sorted(found - {module})


def _needs(name: str, other: str) -> bool:
    """Whether a module imports another, or lies in a folder that is made again.

    Who imports a folder imports all files of it: some of them it may load by name.
    """
    return name.startswith(f"{other}.") or any(
        other == each or other.startswith(f"{each}.") for each in _imported(name)
    )


@cache
def _imported(name: str) -> frozenset[str]:
    """The modules of the package that a module names in its imports, wherever they stand."""
    spec = sys.modules[name].__spec__ if name in sys.modules else None
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        return frozenset()
    found = set()
    for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names if each.name.startswith("moa.")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "moa":
            parts = {f"{node.module}.{each.name}" for each in node.names}
            files = {part for part in parts if _path(part).is_file() or _path(part).with_suffix("").is_dir()}
            found |= files
            if files != parts and node.module != "moa":
                found.add(str(node.module))
    return frozenset(found)


def _path(module: str) -> Path:
    return _PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")


def _file(module: str) -> Path:
    path = _path(module)
    if module in _FIXED or not path.is_file():
        raise UserError(f"# {module.replace('.', '/')}.py: the package has no such file")
    return path


# -- Jupyter ----------------------------------------------------------------------------------------------------------


def begin() -> None:
    """Let cells of a Jupyter notebook that begin with the name of a file be run by ``Cells.define``."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None and _redirected not in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.append(_redirected)


def _redirected(lines: Sequence[str]) -> list[str]:
    head = HEAD.match(lines[0]) if lines else None
    if head is None:
        return list(lines)
    text = "".join(lines[1:])
    return [f"__import__('moa.cells').cells.cells.define({head[1].replace('/', '.')!r}, {text!r}, globals())\n"]
