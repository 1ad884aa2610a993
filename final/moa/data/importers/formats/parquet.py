"""Parquet tables with one row a well, as pycytominer and JUMP write them."""

from __future__ import annotations

import pandas as pd

from moa.data.importers.notes import Notes
from moa.data.importers.options import ImportOptions
from moa.data.importers.parquet_files import read_frame
from moa.data.importers.profiles import Profiles
from moa.data.importers.source import PARQUET, Source
from moa.data.importers.tabular import metadata_columns, profiles_of

NAME, ORDER = "parquet", 30


def recognises(source: Source) -> bool:
    """Whether the file starts as a parquet file does."""
    return source.head.startswith(PARQUET)


def read(source: Source, options: ImportOptions, notes: Notes) -> Profiles:
    """Read the table.

    Raises:
        UserError: the file is damaged, or no table of profiles.
    """
    table = read_frame(source)
    nested = [column for column in table if table[column].map(lambda cell: isinstance(cell, (list, dict))).any()]
    if nested:
        notes.aside(f"{source.name}: columns that hold lists", nested)
        table = table.drop(columns=nested)
    known = metadata_columns(table.columns, options)
    numbers = [column for column in table if column not in known and table[column].dtype == object]
    for column in numbers:  # text that is all numbers is numbers, as in a csv file
        try:
            table[column] = pd.to_numeric(table[column])
        except (ValueError, TypeError):
            continue
    return profiles_of(source.name, table, options, notes, None)
