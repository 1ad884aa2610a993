"""Put arrays and the tables of their rows together, by the order of the rows."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from moa.errors import UserError
from moa.importing.notes import Notes
from moa.importing.profiles import Profiles, Unnamed, WellTable, text_table

Files = list[tuple[str, Profiles | WellTable]]
Tables = list[tuple[str, pd.DataFrame]]


def with_tables(files: Files, tables: Tables, notes: Notes) -> tuple[Files, Tables]:
    """The files with what a table of as many rows says of the rows of an array, and the tables that are left to join.

    A table may be one of the files, or one of those of ``--wells``.

    Raises:
        UserError: an array has no such table, or several.
    """
    for name, array in [(name, content) for name, content in files if isinstance(content, Unnamed)]:
        rows = len(array.values)
        beside = [(each, content.table) for each, content in files if isinstance(content, WellTable)]
        fitting = [(each, table) for each, table in (*beside, *tables) if len(table) == rows]
        if len(fitting) != 1:
            found = f"{len(fitting)} tables have" if fitting else "no table has"
            raise UserError(
                f"{name}: an array of {rows:,} rows without names, and {found} as many rows; give the table that "
                "describes its rows, in their order, with --wells"
            )
        used, table = fitting[0]
        notes.guessed(f"{name}: its rows are those of {used}, in the same order")
        wells = text_table(table).set_axis(array.wells.index, axis=0)
        files = [(each, replace(array, wells=wells) if each == name else content) for each, content in files]
        files = [(each, content) for each, content in files if each != used]
        tables = [(each, other) for each, other in tables if each != used]
    return files, tables
