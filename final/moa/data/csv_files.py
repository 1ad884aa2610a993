"""Parse and check one csv file: every problem is reported with its line and column.

``SEPARATORS`` and ``uneven_rows`` serve tables of other separators too, see ``moa.importing.text_tables``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from moa.data.problems import SHOWN, Problems
from moa.data.schema import SIG_ID
from moa.words import counted, listed

#: What may separate the cells of a table, and its name in messages.
SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}
#: A header of more columns is refused before anything is parsed.
MOST_COLUMNS = 100_000
#: Columns that start so describe the sample, and are text; pycytominer and cytominer name them like this.
METADATA = "Metadata_"
#: Bytes whose cells are held before they are converted: so many, or this part of a larger file. Cores share a piece.
_PIECE, _PIECES, _SHARES = 1 << 23, 8, 4
#: Bytes that are parsed at once where that fails, as where a line is longer than a share.
_BLOCK = 1 << 24


def too_wide(place: str, columns: int) -> str:
    """What to say of a table of too many columns."""
    return f"{place}: {columns:,} columns; at most {MOST_COLUMNS:,} are read (is the table transposed?)"


def _header(raw: bytes, name: str, problems: Problems) -> list[str] | None:
    """The names in the first line; None, and a problem, if it is not a header that can be used."""
    columns = BytesIO(raw).readline().count(b",") + 1
    if columns > MOST_COLUMNS:
        problems.append(too_wide(f"{name}: line 1", columns))
        return None
    try:
        # All of the file's text, since a name in quotes may hold a line break. A byte order mark is left out.
        header = next(csv.reader(TextIOWrapper(BytesIO(raw), "utf-8-sig", newline="")), [])
    except csv.Error as error:
        problems.append(f"{name}: line 1: not a csv header ({error}); is a quote left open?")
        return None
    if not header:
        problems.append(f"{name}: the file is empty; expected a header and rows")
        return None
    if problems.repeated(name, header):
        return None
    if SIG_ID not in header:
        problems.append(f"{name}: line 1: {_no_sig_id(raw, name, header)}")
        return None
    return header


def _no_sig_id(raw: bytes, name: str, header: list[str]) -> str:
    """What is wrong with a header that lacks sig_id: often the separator is another."""
    for mark, word in SEPARATORS.items():
        if mark != "," and any(SIG_ID in cell.replace('"', "").split(mark) for cell in header):
            second = raw.split(b"\n", 2)[1:2]
            also = ", and numbers have decimal commas (0,5 for 0.5)" if re.search(rb"\d,\d", b"".join(second)) else ""
            return f"columns are separated by {word}{also}; save it with commas between columns and points in numbers"
    return (
        f"missing column '{SIG_ID}'; expected a csv file with a header (`moa data import {name} --out DIR` takes a "
        "plate as it comes from the laboratory)"
    )


def uneven_rows(text: str, separator: str, width: int, header_line: int = 1) -> Iterator[tuple[int, list[str]]]:
    """Rows of ``text``, a header and rows, whose number of cells is not ``width``; blank lines at the end are left out.

    Yields:
        the line where the row starts in a file with its header in ``header_line``, and its cells; [] for a blank line.

    Raises:
        csv.Error: a row cannot be parsed; the message starts with its line.
    """
    lines = _lines(text)
    if '"' not in text:
        # A line is a row, and counting separators is ten times as fast as a csv parser.
        for number, line in enumerate(lines, header_line):
            if number > header_line and (line == "\n" or line.count(separator) + 1 != width):
                yield number, [] if line == "\n" else line.rstrip("\n").split(separator)
        return
    reader, number = csv.reader(lines, delimiter=separator), header_line
    try:
        for row in reader:
            if number > header_line and len(row) != width:
                yield number, row
            number = header_line + reader.line_num
    except csv.Error as error:
        raise csv.Error(f"line {number}: not a row of a table ({error}); is a quote left open?") from None


def _lines(text: str) -> Iterator[str]:
    """The lines of ``text`` with their ends, as a file opened as text has them, without blank ones at the end.

    ``StringIO`` would hold four bytes for each character, more than all else that reading a plate takes.
    """
    end = len(text)
    while end and text[end - 1] in "\r\n":
        end -= 1
    if "\r" in text:
        yield from StringIO(text[:end], newline=None)
        return
    start = 0
    while start < end:
        stop = min(text.find("\n", start) + 1 or end, end)
        yield text[start:stop]
        start = stop


def parse_csv(raw: bytes, name: str, text_columns: Iterable[str], problems: Problems) -> pa.Table | None:
    """Parse a csv file, or a header with some of the rows of a larger file.

    Besides ``text_columns``, the ``Metadata_`` columns hold text, too.

    Returns:
        the table; None if something is wrong, which is added to ``problems``.
    """
    try:
        if not raw.isascii():
            raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        line += problems.first_line - 2 if line > 1 else 0
        problems.append(f"{name}: line {line}: not UTF-8 text; expected a plain csv file (unpack it if it is a zip)")
        return None
    header = _header(raw, name, problems)
    if header is None:
        return None
    known = set(text_columns)
    text = {column: pa.string() for column in header if column in known or column.startswith(METADATA)}
    size, quoted = max(_PIECE, len(raw) // _PIECES), b'"' in raw
    skipped: list[pyarrow.csv.InvalidRow] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        skipped.append(row)
        return "skip"

    def parse(
        types: dict[str, pa.DataType], piece: Any = raw, names: list[str] | None = None, block: int = _BLOCK
    ) -> pa.Table:
        return pyarrow.csv.read_csv(
            pa.BufferReader(piece),
            pyarrow.csv.ReadOptions(block_size=block, column_names=names),
            pyarrow.csv.ParseOptions(invalid_row_handler=skip, ignore_empty_lines=False, newlines_in_values=quoted),
            pyarrow.csv.ConvertOptions(
                column_types=types,
                null_values=["", "NA", "NaN", "nan", "null", "None"],
                strings_can_be_null=True,
            ),
        )

    def in_pieces() -> pa.Table:
        # `read_csv` holds the cells of all that it is given, twice its size, before it converts them. `open_csv` does
        # not, and takes twice the time on two cores: it converts columns on one.
        first, *rest = _pieces(raw, len(raw) if quoted else size)
        share = size // _SHARES
        table = parse(text, first, block=share)
        types = dict(zip(table.column_names, table.schema.types, strict=True))
        return pa.concat_tables([table, *(parse(types, piece, table.column_names, share) for piece in rest)])

    def as_text() -> pa.Table:
        return _with_numbers(parse(dict.fromkeys(header, pa.string())), text)

    # pyarrow guesses a column's type from the first block that it is given, and fails where a later one differs.
    for attempt in (in_pieces, lambda: parse(text), as_text):
        skipped.clear()
        try:
            table = attempt()
            break
        except pa.ArrowInvalid as error:
            failed = error
    else:
        problems.append(f"{name}: not a csv file that can be read ({str(failed).splitlines()[0]})")
        return None
    if skipped:
        problems.append(f"{name}: {_uneven(raw, len(header), problems.first_line - 1)}")
        return None
    table = _without_blank_lines(name, table, problems)
    if table is not None and not table.num_rows:
        problems.append(f"{name}: holds a header and no rows")
        return None
    return table


def _pieces(raw: bytes, size: int) -> list[pa.Buffer]:
    """The bytes of a csv file, cut at ends of lines; cells in quotes, which may hold such ends, are not looked for."""
    whole, start, found = pa.py_buffer(raw), 0, []
    while len(raw) - start > 2 * size:
        end = raw.find(b"\n", start + size) + 1
        if not end:
            break
        found.append(whole.slice(start, end - start))
        start = end
    return [*found, whole.slice(start)]


def _with_numbers(table: pa.Table, text: Collection[str]) -> pa.Table:
    """A table of text with numbers in the columns that hold numbers alone, besides those that should be text."""
    frame = table.to_pandas()
    for column in frame.columns.difference(list(text)):
        numbers = pd.to_numeric(frame[column], errors="coerce")
        if not (numbers.isna() & frame[column].notna()).any():
            frame[column] = numbers
    return pa.Table.from_pandas(frame, preserve_index=False)


def _uneven(raw: bytes, width: int, header_line: int) -> str:
    """What to say of rows with too few or too many values."""
    try:
        rows = [
            f"line {line} has {counted(len(cells), 'value')}"
            for line, cells in uneven_rows(raw.decode("utf-8-sig"), ",", width, header_line)
            if cells
        ]
    except csv.Error as error:
        return str(error)
    where = listed(rows, SHOWN) or "some row has too few or too many values"
    return f"{where}: expected {width:,}, one per column (is the file cut short?)"


def _without_blank_lines(name: str, table: pa.Table, problems: Problems) -> pa.Table | None:
    """Remove blank lines at the end; report those between rows, which mean damage."""
    suspects = np.flatnonzero(table[SIG_ID].is_null().to_numpy())
    empty = table.take(suspects).to_pandas().isna().all(axis=1).to_numpy() if len(suspects) else np.zeros(0, bool)
    blank = set(suspects[empty].tolist())
    rows = table.num_rows
    while rows - 1 in blank:
        rows -= 1
        blank.remove(rows)
    if blank:
        shown = listed([f"line {row + problems.first_line}" for row in sorted(blank)], SHOWN)
        problems.append(f"{name}: {shown}: blank; expected {counted(table.num_columns, 'value')}, one per column")
        return None
    return table.slice(0, rows)
