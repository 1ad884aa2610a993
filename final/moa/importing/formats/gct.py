"""Read GCT 1.2 and 1.3, the text format of L1000 plates. Rows are features, columns are wells."""

from __future__ import annotations

import csv
from io import StringIO

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.fields import refuse_repeated
from moa.importing.identities import identified
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import MISSING_FORMS, Profiles, text_table
from moa.importing.source import Source
from moa.words import counted

NAME, ORDER = "GCT", 20
_VERSIONS = ("#1.2", "#1.3")


def recognises(source: Source) -> bool:
    """Whether the first line is that of a GCT file of any version."""
    return source.head.lstrip(b"\xef\xbb\xbf").startswith(b"#1.")


def read(source: Source, options: ImportOptions, notes: Notes) -> Profiles:
    """Read a GCT file; -666, na, nan and empty cells are missing values.

    Raises:
        UserError: the file is damaged; the message names the line.
    """
    name, lines = source.name, source.text().rstrip("\n").split("\n")
    version = lines[0].strip()
    if version not in _VERSIONS:
        raise UserError(f"{name}: line 1: GCT version {version[1:]}; expected {' or '.join(_VERSIONS)}")
    if len(lines) < 4:
        raise UserError(f"{name}: {counted(len(lines), 'line')}; expected a header and rows (is the file cut short?)")
    n_rows, n_columns, n_row_fields, n_column_fields = _sizes(name, lines[1], version)
    width = 1 + n_row_fields + n_columns
    header = _line(name, 3, lines[2], width, "the ids of rows, row fields and columns").split("\t")
    ids = [cell.strip() for cell in header[1 + n_row_fields :]]
    _unique(name, "column id", ids, "line 3")
    first = 3 + n_column_fields
    if len(lines) - first != n_rows:
        raise UserError(
            f"{name}: {len(lines) - first:,} rows below line {first}; line 2 says {n_rows:,} "
            f"({'is the file cut short?' if len(lines) - first < n_rows else 'correct line 2'})"
        )
    metadata: dict[str, list[str]] = {}
    for number, line in enumerate(lines[3:first], 4):
        cells = _line(name, number, line, width).split("\t")
        refuse_repeated([*metadata, cells[0]], f"{name}: line {number}: column field", "keep one of them")
        metadata[cells[0]] = cells[1 + n_row_fields :]
    source.report(0.2)
    body = [_line(name, number, line, width) for number, line in enumerate(lines[first:], first + 1)]
    table = _parse(name, body, n_row_fields, first + 1, ids)
    rows = table.iloc[:, 0].astype(str).str.strip()
    _unique(name, "row id", list(rows), f"lines {first + 1} to {first + n_rows}", first + 1)
    fields = text_table(
        table.iloc[:, 1 : 1 + n_row_fields].set_axis(header[1 : 1 + n_row_fields], axis=1).set_axis(rows)
    )
    fields = fields.loc[:, ~fields.columns.duplicated()]
    # Column by column: pandas would copy the whole table to make one array of its separate columns.
    values = np.empty((n_columns, n_rows))
    for place in range(n_columns):
        values[place] = table.iloc[:, 1 + n_row_fields + place]
    return identified(values, text_table(pd.DataFrame(metadata, index=ids, dtype=object)), fields, options, notes)


def _sizes(name: str, line: str, version: str) -> tuple[int, int, int, int]:
    cells = line.split("\t")
    while cells and not cells[-1].strip():
        cells.pop()
    expected = 4 if version == "#1.3" else 2
    what = "rows, columns, row fields, column fields" if expected == 4 else "rows and columns"
    try:
        numbers = [int(cell) for cell in cells]
    except ValueError:
        numbers = []
    if len(numbers) != expected or min(numbers) < 0:
        raise UserError(f"{name}: line 2: '{line.strip()[:60]}'; expected {expected} whole numbers with tabs: {what}")
    if not numbers[0] or not numbers[1]:
        raise UserError(f"{name}: line 2: {numbers[0]} rows and {numbers[1]} columns; expected at least one of each")
    rows, columns, *fields = numbers
    # Version 1.2 has one row field, the description, and none of columns.
    return (rows, columns, fields[0], fields[1]) if fields else (rows, columns, 1, 0)


def _line(name: str, number: int, line: str, expected: int, what: str = "one per column of line 3") -> str:
    """The line if it has the expected number of cells, without further empty cells at its end."""
    found = line.count("\t") + 1
    while found > expected and line.endswith("\t"):
        line, found = line[:-1], found - 1
    if found != expected:
        hint = "; a GCT file is separated by tabs" if "\t" not in line else " (is the file cut short?)"
        raise UserError(f"{name}: line {number}: {counted(found, 'cell')}; expected {expected:,}, {what}{hint}")
    return line


def _unique(name: str, what: str, ids: list[str], place: str, first_line: int | None = None) -> None:
    seen: dict[str, int] = {}
    for number, each in enumerate(ids):
        if not each:
            raise UserError(f"{name}: {place}: {what} {number + 1} is empty; give each its own")
        if each in seen:
            where = place if first_line is None else f"lines {first_line + seen[each]} and {first_line + number}"
            raise UserError(f"{name}: {where}: {what} '{each}' occurs twice; give each its own")
        seen[each] = number


def _parse(name: str, body: list[str], n_fields: int, first_line: int, ids: list[str]) -> pd.DataFrame:
    width = 1 + n_fields + len(ids)
    kinds = {place: str if place <= n_fields else np.float64 for place in range(width)}

    def parsed(dtype: dict | type) -> pd.DataFrame:
        return pd.read_csv(
            StringIO("\n".join(body)),
            sep="\t",
            header=None,
            names=range(width),
            index_col=False,
            dtype=dtype,
            keep_default_na=False,
            na_values=dict.fromkeys(range(1, width), MISSING_FORMS),
            quoting=csv.QUOTE_NONE,
            skip_blank_lines=False,
        )

    try:
        return parsed(kinds)
    except ValueError:
        text = parsed(str)  # to find the cell
        for place in range(1 + n_fields, width):
            bad = pd.to_numeric(text[place], errors="coerce").isna() & text[place].notna()
            if bad.any():
                row = int(np.flatnonzero(bad)[0])
                held = str(text[place].iloc[row])
                comma = " (a decimal comma? write a point)" if "," in held else ""
                raise UserError(
                    f"{name}: line {first_line + row}, column '{ids[place - 1 - n_fields]}' holds '{held[:40]}'; "
                    f"expected a number{comma}"
                ) from None
        raise
