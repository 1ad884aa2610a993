"""Users' models, in files outside of this package.

Such a file is a Python module with a list ``RECIPES``, like those of this folder; ``moa models new NAME`` writes one to
start from. Reading it runs it, so a recipe is only read from a file that the user names, never from one that a weights
folder names.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

from moa.errors import UserError
from moa.features.stored import trust
from moa.models.base import Recipe
from moa.models.registry import any_assay_recipes, package_recipes, register
from moa.models.source import SOURCE, sources
from moa.words import shown

#: Folders of the files that were read.
_folders: set[Path] = set()


def load_recipes(file: Path | str) -> list[Recipe]:
    """Read the recipes of a file, so that they can be trained, predicted and reported on by name like the package's.

    A file that was edited since it was read is read again. It can import files of its folder.

    Raises:
        UserError: there is no such file, it fails, or holds no recipes.
    """
    path = Path(file).resolve()
    if not path.is_file():
        raise UserError(f"{file}: no such file; `moa models new NAME` writes one to begin with")
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise UserError(f"{file}: a recipe is a Python file of a name such as my_model.py")
    module = _module(path, sources(path), file)
    found = getattr(module, "RECIPES", None)
    if not isinstance(found, list | tuple) or not found or not all(isinstance(each, Recipe) for each in found):
        raise UserError(f"{file}: holds no list RECIPES of moa.models.base.Recipe; see `moa models new NAME`")
    for each in found:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", each.name):
            raise UserError(
                f"{file}: '{shown(each.name)}' is not a valid model name; use small letters, digits and hyphens"
            )
        if each.name in package_recipes() | any_assay_recipes():
            raise UserError(f"{file}: '{each.name}' is a model of the package; give yours another name")
        register(each)
    for name in getattr(module, SOURCE):
        _trust(sys.modules.get(Path(name).stem))
    return list(found)


def _module(path: Path, texts: dict[str, str], file: Path | str) -> ModuleType:
    """The file as a module: the one read before, if its source and those of its imports in the folder are the same."""
    known = sys.modules.get(path.stem)
    if known is not None and _origin(known) == path and getattr(known, SOURCE, None) == texts:
        return known
    _forget(path.parent, [Path(name).stem for name in texts])
    _folders.add(path.parent)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last: no file there may stand in for an installed package
    module = _import(path, file)
    setattr(module, SOURCE, texts)
    return module


def _origin(module: ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


def _trust(module: ModuleType | None) -> None:
    """Let fits of the module's own transformers be read: who runs the file trusts its classes."""
    for each in list(vars(module).values()) if module else ():
        if isinstance(each, type) and module and each.__module__ == module.__name__ and hasattr(each, "get_params"):
            trust(each)


def _forget(folder: Path, names: list[str]) -> None:
    """Drop the modules of these names that were read before, and the other folders that they would be found in."""
    for other in _folders - {folder}:
        if any((other / f"{name}.py").exists() for name in names):
            sys.path[:] = [each for each in sys.path if each != str(other)]
    for name in names:
        origin = _origin(sys.modules.get(name))
        if origin and origin.parent in {folder, *_folders}:
            del sys.modules[name]
    importlib.invalidate_caches()


def _import(path: Path, file: Path | str) -> ModuleType:
    found = importlib.machinery.PathFinder.find_spec(path.stem)
    taken = path.stem in sys.builtin_module_names or (found and found.origin and Path(found.origin).resolve() != path)
    if taken:
        where = found.origin if found else "built in"
        raise UserError(f"{file}: another module is called {path.stem} ({where}); rename the file")
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # a copy may be older than an edit of this second
    try:
        return importlib.import_module(path.stem)
    # Any failure of a user's file is reported with its line; a traceback would mostly show this package.
    except Exception as error:
        line = next((f" line {each.lineno}" for each in reversed(traceback.extract_tb(error.__traceback__))
                     if Path(each.filename).resolve() == path), "")  # fmt: skip
        if isinstance(error, SyntaxError) and error.lineno:
            line = f" line {error.lineno}"
        raise UserError(f"{file}{line}: {type(error).__name__}: {shown(error, 200)}") from error
    finally:
        sys.dont_write_bytecode = writes
