"""Read GCT 1.2 and 1.3, the text format of L1000 plates. Rows are features, columns are wells."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

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
_MISSING = frozenset(MISSING_FORMS)


def recognises(source: Source) -> bool:
    """Whether the first line is that of a GCT file of any version."""
    return source.head.lstrip(b"\xef\xbb\xbf").startswith(b"#1.")


def read(source: Source, options: ImportOptions, notes: Notes) -> Profiles:
    """Read a GCT file; -666, na, nan and empty cells are missing values.

    Raises:
        UserError: the file is damaged; the message names the line.
    """
    name, count = source.name, _count(source)
    if count < 4:
        raise UserError(f"{name}: {counted(count, 'line')}; expected a header and rows (is the file cut short?)")
    lines = map(_text, source.lines())
    version = next(lines).strip()
    if version not in _VERSIONS:
        raise UserError(f"{name}: line 1: GCT version {version[1:]}; expected {' or '.join(_VERSIONS)}")
    n_rows, n_columns, n_row_fields, n_column_fields = _sizes(name, next(lines), version)
    width = 1 + n_row_fields + n_columns
    header = _line(name, 3, next(lines), width, "the ids of rows, row fields and columns").split("\t")
    ids = [cell.strip() for cell in header[1 + n_row_fields :]]
    _unique(name, "column id", ids, "line 3")
    first = 3 + n_column_fields
    if count - first != n_rows:
        raise UserError(
            f"{name}: {count - first:,} rows below line {first}; line 2 says {n_rows:,} "
            f"({'is the file cut short?' if count - first < n_rows else 'correct line 2'})"
        )
    metadata: dict[str, list[str]] = {}
    for number, line in enumerate(islice(lines, n_column_fields), 4):
        cells = _line(name, number, line, width).split("\t")
        refuse_repeated([*metadata, cells[0]], f"{name}: line {number}: column field", "keep one of them")
        metadata[cells[0]] = cells[1 + n_row_fields :]
    values, about = np.empty((n_columns, n_rows)), []
    for place, line in enumerate(islice(lines, n_rows)):
        number = first + 1 + place
        cells = _line(name, number, line, width).split("\t")
        values[:, place] = _numbers(name, number, cells[1 + n_row_fields :], ids)
        about.append(cells[: 1 + n_row_fields])
        source.report(number / count)
    rows = [cells[0].strip() for cells in about]
    _unique(name, "row id", rows, f"lines {first + 1} to {first + n_rows}", first + 1)
    fields = pd.DataFrame([cells[1:] for cells in about], rows, header[1 : 1 + n_row_fields], dtype=object)
    fields = text_table(fields.loc[:, ~fields.columns.duplicated()])
    return identified(values, text_table(pd.DataFrame(metadata, index=ids, dtype=object)), fields, options, notes)


def _count(source: Source) -> int:
    """The number of lines, without empty ones at the end."""
    count = 0
    for number, line in enumerate(source.lines(), 1):
        if line:
            count = number
    return count


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("latin-1")


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


def _numbers(name: str, number: int, cells: list[str], ids: list[str]) -> np.ndarray:
    """The values of a row; NaN where missing."""
    text = "".join(cells)
    if text.isascii() and "_" not in text:  # what else Python takes for numbers
        with suppress(ValueError):
            return np.fromiter(map(float, cells), np.float64, len(cells))
    return np.array([_number(name, number, cell, column) for cell, column in zip(cells, ids, strict=True)])


def _number(name: str, number: int, cell: str, column: str) -> float:
    if cell in _MISSING:
        return np.nan
    try:
        return float(cell if cell.isascii() and "_" not in cell else "")
    except ValueError:
        comma = " (a decimal comma? write a point)" if "," in cell else ""
        raise UserError(
            f"{name}: line {number}, column '{column}' holds '{cell[:40]}'; expected a number{comma}"
        ) from None
