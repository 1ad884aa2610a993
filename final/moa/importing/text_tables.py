"""Tables of text: plate maps, lists of mechanisms, and profiles as csv, with whatever separates their columns."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from io import StringIO
from pathlib import Path

import pandas as pd

from moa.data.tables import PARQUET
from moa.errors import UserError
from moa.importing.parquet_files import read_frame
from moa.importing.profiles import MISSING, text_table
from moa.importing.source import Source
from moa.words import listed

_SEPARATORS = ("\t", ",", ";", "|")
_SHOWN = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "'|'"}


def read_text_table(path: Path) -> pd.DataFrame:
    """A plate map or a table of mechanisms: every column as text, NaN where missing.

    The separator is found in the header. Lines above the header that start with "!" or "#" are left out, as in the Drug
    Repurposing Hub's files, which are latin-1.

    Returns:
        indexed by the line of each row in the file.

    Raises:
        UserError: the file cannot be read as a table.
    """
    source = Source(path)
    if source.head.startswith(PARQUET):
        return text_table(read_frame(source))
    table, first_line = parse_text(source, lambda columns: columns)
    table.index = range(first_line, first_line + len(table))
    return text_table(table)


def parse_text(source: Source, text_columns: Callable[[list[str]], Iterable[str]]) -> tuple[pd.DataFrame, int]:
    """Parse a separated table.

    Args:
        source: the file.
        text_columns: columns that stay text, of all columns.

    Returns:
        the table, other columns as numbers where all their cells are, and the line of its first row.

    Raises:
        UserError: the file is no table; the message names the line.
    """
    name, text = source.name, source.text()
    skipped, start = 0, 0
    # Besides comments, spreadsheet programs may write the separator in a line of its own.
    while text[start : start + 1] in ("!", "#", "\n") or text[start : start + 4] == "sep=":
        end = text.find("\n", start)
        if end < 0:
            raise UserError(f"{name}: only comment lines; expected a header and rows")
        skipped, start = skipped + 1, end + 1
    head = text[start : text.find("\n", start) if "\n" in text[start:] else len(text)]
    if not head.strip():
        raise UserError(f"{name}: only comment lines; expected a header and rows")
    if head.count('"') % 2:
        raise UserError(f"{name}: line {skipped + 1}: a quote is left open in the header; close it")
    separator = _separator(name, head, skipped + 1)
    columns = _header(name, head, separator, skipped + 1)
    keep = set(text_columns(columns))
    first_line = skipped + 2
    source.report(0.2, name)
    _check_lines(name, text[start:], separator, len(columns), skipped + 1)
    source.report(0.4, name)
    try:
        table = _parse(text[start:], separator, columns, keep)
    except (ValueError, csv.Error) as error:
        raise UserError(f"{name}: not a table that can be read ({str(error).strip().splitlines()[0]})") from None
    if not len(table):
        raise UserError(f"{name}: holds a header and no rows")
    return table, first_line


def _parse(text: str, separator: str, columns: list[str], keep: set[str]) -> pd.DataFrame:
    missing = sorted(
        {form for word in MISSING - {"-666", "-666.0"} for form in (word, word.upper(), word.title(), "NaN")}
    )
    return pd.read_csv(
        StringIO(text),
        sep=separator,
        names=columns,
        header=0,
        usecols=range(len(columns)),  # without the empty cells of separators at the end of lines
        dtype={column: str for column in columns if column in keep},
        keep_default_na=False,
        na_values={column: missing for column in columns},
        low_memory=False,
    )


def _separator(name: str, head: str, line: int) -> str:
    counts = {separator: _split(head, separator) for separator in _SEPARATORS}
    best = max(_SEPARATORS, key=lambda separator: len(counts[separator]))
    if len(counts[best]) < 2:
        raise UserError(
            f"{name}: line {line}: one column ('{head[:40]}'); expected commas, tabs or semicolons between columns"
        )
    return best


def _split(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return [line]


def _header(name: str, head: str, separator: str, line: int) -> list[str]:
    columns = [column.strip() for column in _split(head, separator)]
    while len(columns) > 1 and not columns[-1]:
        columns.pop()  # separators at the end of lines
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise UserError(f"{name}: line {line}: column {listed(map(repr, twice))} occurs twice; give each its own name")
    if all(_is_number(column) for column in columns if column) and sum(map(_has_point, columns)) > len(columns) / 2:
        raise UserError(f"{name}: line {line}: numbers where the names of columns should be; add a header")
    return columns


def _check_lines(name: str, text: str, separator: str, width: int, header_line: int) -> None:
    """Refuse rows with too few or too many cells; pandas would fill or cut them."""
    number = header_line
    blank: int | None = None
    quoted = '"' in text
    # Without quotes a line is a row, and counting separators is ten times as fast as a csv parser.
    rows = csv.reader(StringIO(text), delimiter=separator) if quoted else text.split("\n")
    try:
        for place, row in enumerate(rows):
            number = header_line + (rows.line_num - 1 if quoted else place)
            if not row:
                blank = blank or number
                continue
            if place == 0:
                continue
            if blank:
                raise UserError(f"{name}: line {blank}: blank, with rows below; remove it")
            found = len(row) if quoted else row.count(separator) + 1
            extra = row[width:] if quoted else row.split(separator)[width:] if found > width else []
            if found < width or any(str(cell).strip() for cell in extra):
                hint = "is the file cut short?" if found < width else f"are there {_SHOWN[separator]} inside a cell?"
                if found == width + 1 and place == 1:
                    hint = "row names without a header? write the table without them"
                raise UserError(f"{name}: line {number}: {found} cells; expected {width}, one a column ({hint})")
    except csv.Error as error:
        raise UserError(f"{name}: line {number}: not a row of a table ({error}); is a quote left open?") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _has_point(text: str) -> bool:
    return "." in text
