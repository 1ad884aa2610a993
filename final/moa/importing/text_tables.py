"""Read tables of text with any known separator: plate maps, lists of mechanisms, and profiles."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path

import pandas as pd

from moa.data.csv_files import SEPARATORS, uneven_rows
from moa.data.input_tables import PARQUET
from moa.data.wells import place_of, well_name
from moa.errors import UserError
from moa.importing.columns import counts_rows, names_rows
from moa.importing.fields import field_of, is_known, plain_name
from moa.importing.notes import Notes
from moa.importing.orientation import is_grid
from moa.importing.profiles import MISSING_FORMS, text_table
from moa.importing.source import Source
from moa.words import counted, listed

#: Missing cells; in columns of numbers -666 is read as a number, and counts as missing later.
_MISSING = [form for form in MISSING_FORMS if not form.startswith("-666")]
#: Characters of a line that are looked at to tell a header from a comment.
_LONGEST = 1 << 20


def read_text_table(path: Path, notes: Notes | None = None) -> pd.DataFrame:
    """A plate map or a table of mechanisms: every column as text, NaN where missing.

    The separator is found in the header. Lines above the header that start with "!" or "#" are left out, as in the Drug
    Repurposing Hub's files, which are latin-1. A plate map that is a grid becomes one row per well. A first column
    without a heading is "row_name", or is left out where it counts the rows.

    Returns:
        indexed by the line of each row in the file.

    Raises:
        UserError: the file cannot be read as a table.
    """
    source = Source(path)
    if source.head.startswith(PARQUET):
        table = source.frame()
    else:
        table, first_line = parse_text(source, lambda columns: columns)
        table.index = range(first_line, first_line + len(table))
    table = text_table(table)
    if is_grid(table):
        return _of_grid(source.name, table, notes)
    table = _with_places(table)
    first = table.columns[0]
    if not names_rows(list(table), first):
        return table
    if counts_rows(table[first]):
        return table.drop(columns=first)
    return table.rename(columns={first: "row_name"})


def _with_places(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column of wells where it names rows and columns of plates instead."""
    row = next((column for column in table if plain_name(column) == "row"), None)
    number = next((column for column in table if plain_name(column) in ("col", "column")), None)
    if row is None or number is None or any(field_of(column) == "well" for column in table):
        return table
    places = table[[row, number]].dropna()
    return table.assign(Well=pd.Series([place_of(*pair) for pair in places.to_numpy()], places.index, dtype=object))


def _of_grid(name: str, table: pd.DataFrame, notes: Notes | None) -> pd.DataFrame:
    """One row per well of a plate map as a grid; its corner cell says what it holds.

    Raises:
        UserError: the corner cell is empty, and the cells hold numbers.
    """
    rows, *columns = table.columns
    cells = table.set_index(rows)[columns].stack().rename("value").reset_index()
    what = rows
    if not rows:
        if pd.to_numeric(cells["value"], errors="coerce").notna().all():
            raise UserError(f"{name}: a grid of numbers; write what they are, such as dose, in its first cell")
        what = "compound"
    if notes is not None:
        notes.guessed(f"{name}: a plate map as a grid, of the field '{what}' (its first cell says which)")
    wells = [well_name(f"{row}{column}") for row, column in cells.iloc[:, :2].itertuples(index=False)]
    return pd.DataFrame({"well": wells, what: cells["value"].to_numpy()}, dtype=object)


def parse_text(source: Source, text_columns: Callable[[list[str]], Iterable[str]]) -> tuple[pd.DataFrame, int]:
    """Parse a separated table; ``text_columns`` chooses the columns that stay text, of all columns.

    Returns:
        the table, other columns as numbers where all their cells are, and the line of its first row.

    Raises:
        UserError: the file is no table; the message names the line.
    """
    name, text = source.name, source.text()
    line, start = 1, 0
    # Besides comments, spreadsheet programs may write the separator in a line of its own.
    while text.startswith(("!", "#", "\n", "sep="), start) and (end := text.find("\n", start)) >= 0:
        if _is_marked_header(text, start, end):
            start += 1
            break
        line, start = line + 1, end + 1
    text = text[start:].lstrip(" ") if start and text[start - 1] == "#" else text[start:]
    head = text.partition("\n")[0]
    if not head.strip() or head.startswith(("!", "#", "sep=")):
        raise UserError(f"{name}: only comment lines; expected a header and rows")
    if head.count('"') % 2:
        raise UserError(f"{name}: line {line}: a quote is left open in the header; close it")
    separator, columns = _header(head, f"{name}: line {line}")
    keep = set(text_columns(columns))
    source.report(0.2)
    _check_rows(name, text, separator, len(columns), line)
    source.report(0.4)
    raw = text.encode()
    del text
    try:
        table = _parsed(raw, separator, columns, keep)
    except (ValueError, csv.Error) as error:
        raise UserError(f"{name}: not a table that can be read ({str(error).strip().splitlines()[0]})") from None
    if not len(table):
        raise UserError(f"{name}: holds a header and no rows")
    return table, line + 1


def _parsed(raw: bytes, separator: str, columns: list[str], keep: set[str]) -> pd.DataFrame:
    """The table of a header and rows.

    A few rows at a time, because the cells of all rows take four times the file. Where the parts of a column differ in
    type, the whole is parsed at once.
    """

    def parsed(at_once: bool) -> pd.DataFrame:
        return pd.read_csv(
            BytesIO(raw),
            sep=separator,
            names=columns,
            header=0,
            usecols=range(len(columns)),  # without the empty cells of separators at the end of lines
            dtype={column: str for column in columns if column in keep},
            keep_default_na=False,
            na_values=dict.fromkeys(columns, _MISSING),
            low_memory=not at_once,
        )

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.DtypeWarning)
        try:
            return parsed(False)
        except pd.errors.DtypeWarning:
            pass
    return parsed(True)


def _is_marked_header(text: str, start: int, end: int) -> bool:
    """Whether the line from ``start`` to ``end`` is a header with "#" before it, and no comment.

    It has as many cells as the next line, and names fields where the next line names none, or holds values.
    """
    below = text[end + 1 : end + 1 + _LONGEST].partition("\n")[0]
    if text[start] != "#" or not below or below.startswith(("!", "#", "sep=")):
        return False
    line = text[start + 1 : end]
    for separator in SEPARATORS:
        names, values = ([cell.strip() for cell in _split(each, separator)] for each in (line, below))
        if len(names) == len(values) > 1 and all(names) and len(set(names)) == len(names):
            known = sum(map(is_known, names)), sum(map(is_known, values))
            return known[0] > known[1] or not all(values) or any(map(_is_number, values))
    return False


def _header(head: str, place: str) -> tuple[str, list[str]]:
    """The separator that gives the most columns, and their names."""
    # Strictly by the rules of quotes first: in '"A";"A,"' the comma separates nothing.
    separator = max(SEPARATORS, key=lambda each: (len(_split(head, each, True)), len(_split(head, each))))
    cells = _split(head, separator)
    if len(cells) < 2:
        raise UserError(f"{place}: one column ('{head[:40]}'); expected commas, tabs or semicolons between columns")
    columns = [cell.strip() for cell in cells]
    while len(columns) > 1 and not columns[-1]:
        columns.pop()  # separators at the end of lines
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise UserError(f"{place}: column {listed(map(repr, twice))} occurs twice; give each its own name")
    if all(map(_is_number, filter(None, columns))) and sum("." in column for column in columns) > len(columns) / 2:
        raise UserError(f"{place}: numbers where the names of columns should be; add a header")
    return separator, columns


def _split(line: str, separator: str, strict: bool = False) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, strict=strict), [])
    except csv.Error:
        return [line]


def _check_rows(name: str, text: str, separator: str, width: int, header_line: int) -> None:
    """Refuse blank lines and rows with too few or too many cells: pandas would leave out, fill or cut them."""
    try:
        for line, cells in uneven_rows(text, separator, width, header_line):
            if not cells:
                raise UserError(f"{name}: line {line}: blank, with rows below; remove it")
            if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
                continue
            hint = f"are there {SEPARATORS[separator]} inside a cell?"
            if len(cells) < width:
                hint = "is the file cut short?"
            elif len(cells) == width + 1 and line == header_line + 1:
                hint = "row names without a header? write the table without them"
            raise UserError(
                f"{name}: line {line}: {counted(len(cells), 'cell')}; expected {width:,}, one per column ({hint})"
            )
    except csv.Error as error:
        raise UserError(f"{name}: {error}") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
