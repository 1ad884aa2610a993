"""Read a file of any known format: one module per format. A new format is one new file here; it is found.

A module has ``NAME`` (in messages), ``ORDER`` (formats with lower numbers are asked first), ``recognises(source)``,
which looks at the first bytes of a ``Source``, and ``read(source, options, notes)``, which returns ``Profiles``,
or a ``WellTable`` whose columns are described later.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache
from types import ModuleType

from moa.errors import UserError
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles, WellTable
from moa.importing.source import Source
from moa.memory import in_memory


@lru_cache(maxsize=1)
def formats() -> tuple[ModuleType, ...]:
    """All formats, in the order in which they are asked."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return tuple(sorted(modules, key=lambda module: module.ORDER))


def read_source(source: Source, options: ImportOptions, notes: Notes) -> Profiles | WellTable:
    """Read a file of any known format.

    Raises:
        UserError: no format recognises it, or it is damaged.
    """
    try:
        for module in formats():
            if module.recognises(source):
                with in_memory(source.name):
                    return module.read(source, options, notes)
    finally:
        source.close()
    known = ", ".join(module.NAME for module in formats())
    raise UserError(f"{source.name}: none of the formats that can be read ({known})")
