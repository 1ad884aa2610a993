"""Read parquet tables with one row per well, as pycytominer and JUMP write them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from moa.data.input_tables import PARQUET
from moa.importing.columns import text_columns
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import WellTable
from moa.importing.source import Source

NAME, ORDER = "parquet", 30
_NESTED = (list, dict, np.ndarray)


def recognises(source: Source) -> bool:
    """Whether the file starts as a parquet file does."""
    return source.head.startswith(PARQUET)


def read(source: Source, options: ImportOptions, notes: Notes) -> WellTable:
    """Read the table.

    Raises:
        UserError: the file is damaged, or no table.
    """
    table = source.frame()
    objects = [column for column in table if table[column].dtype == object]
    nested = [column for column in objects if table[column].map(lambda cell: isinstance(cell, _NESTED)).any()]
    notes.aside(f"{source.name}: columns that hold lists", nested)
    table = table.drop(columns=nested)
    text = set(text_columns(list(table), options))
    for column in table:
        if column in text or pd.api.types.is_numeric_dtype(table[column]):
            continue
        try:
            table[column] = pd.to_numeric(table[column])  # text that is all numbers is numbers, as in a csv file
        except (ValueError, TypeError):
            continue
    return WellTable(source.name, table, None)
