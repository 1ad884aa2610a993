"""A table of mechanisms that has a column of 0 and 1 for each of them: read as one column of names."""

from __future__ import annotations

import pandas as pd

from moa.importing.notes import Notes
from moa.words import shown

#: The column that takes the place of those of 0 and 1, and its reason in a mapping.
ONE_HOT, REASON = "moa (columns of 0 and 1)", "each column of 0 and 1 is a mechanism, 1 where the compound has it"
#: Cells of such columns, as text; pandas writes its own as True and False.
_YES, _NO = ("1", "1.0", "true"), ("0", "0.0", "false")
#: Fewer columns of 0 and 1 are no table of mechanisms.
_LEAST = 2


def with_one_column(name: str, table: pd.DataFrame, notes: Notes) -> pd.DataFrame:
    """The table with one column of mechanisms, "|" between several, where all columns but the first hold 0 and 1.

    Args:
        name: that of its file.
        table: all text.
        notes: what was read.

    Returns:
        the first column, of compounds, and ``ONE_HOT``; the table as it is where it has other columns too.
    """
    first, *flags = table.columns
    held = _flags(table)
    if len(flags) < _LEAST or held != flags:
        return table
    notes.guessed(f"{name}: columns of 0 and 1 are mechanisms of the compounds in '{first}'", flags)
    has = table[flags].apply(_plain).isin(_YES).to_numpy()
    names = ["|".join(flag for flag, yes in zip(flags, row, strict=True) if yes) for row in has]
    return table[[first]].assign(**{ONE_HOT: pd.Series(names, table.index, dtype=object).replace("", None)})


def how_to_write(table: pd.DataFrame) -> str:
    """Why columns of 0 and 1 are not read, and how to write those that are; empty where there are no such columns."""
    flags = _flags(table)
    if len(flags) < _LEAST:
        return ""
    first, *rest = table.columns
    other = next((column for column in rest if column not in flags), None)
    if other is None:
        why = f"the first column, '{shown(first)}', holds 0 and 1 too"
    else:
        cells = table[other][~_plain(table[other]).isin([*_YES, *_NO])]
        what = "an empty cell" if pd.isna(cells.iloc[0]) else f"'{shown(cells.iloc[0])}'"
        why = f"'{shown(other)}' holds {what} (line {cells.index[0]})"
    return (
        "columns of 0 and 1 are read as mechanisms where the first column names the compounds and all others hold 0 "
        f"and 1, but {why}; with pandas: table.groupby(COMPOUND)[[MECHANISM, ...]].max().to_csv('moa.csv')"
    )


def _flags(table: pd.DataFrame) -> list[str]:
    """The columns of which every cell is 0 or 1."""
    return [column for column in table if _plain(table[column]).isin([*_YES, *_NO]).all()]


def _plain(column: pd.Series) -> pd.Series:
    return column.astype("string").str.strip().str.lower()
