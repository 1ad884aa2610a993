"""Read and check one csv file: it is parsed once and cached, and every problem is reported with its line and column."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather

from moa.data.schema import SIG_ID
from moa.environment import cache_folder
from moa.files import digest, replacing, sha256

_FORMAT = "1.feather"  # increase the number when parsing changes: older copies are then not used
_HEAD = 64  # length of the sha256 of the rest, in hex, which starts a copy; 64 bytes keep the rest aligned

SHOWN = 3  # rows named for one kind of problem in one column
COLUMNS_SHOWN = 5  # columns named for one kind of problem


class Problems(list[str]):
    """The problems found so far, one message each: file, column, line, and what was expected.

    Args:
        first_line: line number of the first row: 2 right below the header, more in a later part of a file.
        line: what the numbers count; "row" where the file has no lines.
    """

    def __init__(self, first_line: int = 2, line: str = "line") -> None:
        super().__init__()
        self.first_line, self.line = first_line, line
        self._counts: dict[tuple[str, str], int] = {}  # number of columns with the same kind of problem
        self._rest: dict[tuple[str, str], int] = {}  # position of the message that counts the columns not named

    def rows(self, name: str, column: str, bad: np.ndarray, ids: pd.Series | None, expected: str, values=None) -> None:
        """Report the rows where ``bad`` is true, naming the first few; many columns with one problem share a line."""
        places = np.flatnonzero(bad)
        if not len(places):
            return
        kind = (name, expected)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        rest = self._counts[kind] - COLUMNS_SHOWN
        if rest > 0:
            line = f"{name}: {rest} more column{'s' if rest > 1 else ''} up to '{column}' likewise: expected {expected}"
            if rest == 1:
                self._rest[kind] = len(self)
                self.append(line)
            self[self._rest[kind]] = line
            return
        shown = [
            f"{self.line} {place + self.first_line}"
            + (f" ({SIG_ID} {_shown(ids.iloc[place])})" if ids is not None and isinstance(ids.iloc[place], str) else "")
            + ("" if values is None else _held(values.iloc[place]))
            for place in places[:SHOWN]
        ]
        more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        self.append(f"{name}: column '{column}', {', '.join(shown)}{more}: expected {expected}")

    def columns(self, name: str, what: str, columns: Iterable[str], fix: str) -> None:
        """Report columns that are missing or not expected."""
        columns = list(columns)
        if columns:
            shown = ", ".join(f"'{column}'" for column in columns[:COLUMNS_SHOWN])
            more = f" and {len(columns) - COLUMNS_SHOWN} more" if len(columns) > COLUMNS_SHOWN else ""
            self.append(f"{name}: {what} column {shown}{more}; {fix}")

    def ids(self, name: str, ids: Iterable[str], expected: str) -> None:
        """Report sig_ids that another file lacks or has too many of."""
        ids = list(ids)
        if ids:
            more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
            self.append(f"{name}: column '{SIG_ID}', {', '.join(map(_shown, ids[:SHOWN]))}{more}: {expected}")


def _shown(value: object) -> str:
    """A cell's text on one line, shortened if it is long."""
    text = repr(str(value))[1:-1]
    return text if len(text) <= 60 else f"{text[:57]}..."


def _held(value: object) -> str:
    return " is empty" if pd.isna(value) else f" holds '{_shown(value)}'"


def _recall(key: str) -> pa.Table | None:
    """The cached copy of a parsed file; None if it is absent, damaged or of another version."""
    try:
        with pa.memory_map(str(cache_folder() / f"{key}.{_FORMAT}")) as file:
            copy = file.read_buffer()
        # Feather has no checksum: a flipped bit would be read as another number.
        if hashlib.sha256(copy[_HEAD:]).hexdigest().encode() != copy[:_HEAD].to_pybytes():
            return None
        return pyarrow.feather.read_table(pa.BufferReader(copy[_HEAD:]))
    except Exception:
        return None


def _keep(key: str, table: pa.Table) -> None:
    """Write the cached copy of a parsed file; do nothing if that is not possible."""
    try:
        sink = pa.BufferOutputStream()
        pyarrow.feather.write_feather(table, sink, compression="uncompressed")
        body = sink.getvalue()
        with replacing(cache_folder() / f"{key}.{_FORMAT}") as temporary, temporary.open("wb") as file:
            file.write(hashlib.sha256(body).hexdigest().encode())
            file.write(body)
    except (OSError, RuntimeError, pa.ArrowException):
        pass  # the cache cannot be written, or the user has no home folder: the file is parsed again next time


def read_csv(path: Path, text_columns: Iterable[str], problems: Problems) -> tuple[pd.DataFrame | None, str]:
    """Read a csv file, or the cached copy from the last time it was parsed.

    Args:
        path: the file.
        text_columns: columns that hold text; all others should hold numbers.
        problems: what is wrong with the file as a whole is added here.

    Returns:
        the table (None if it cannot be read) and the file's sha256.
    """
    name, text_columns = path.name, list(text_columns)
    try:
        fingerprint = sha256(path)
    except FileNotFoundError:
        problems.append(f"{path}: missing; see data/README.md for how to get it")
        return None, ""
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")
        return None, ""
    key = digest(fingerprint, sorted(text_columns))
    copy = _recall(key)
    if copy is not None:
        return copy.to_pandas(), fingerprint
    before = len(problems)
    table = parse_csv(path, name, text_columns, problems)
    if table is None:
        return None, fingerprint
    if len(problems) == before:
        _keep(key, table)
    return table.to_pandas(), fingerprint


def _bad_line(path: Path) -> int | None:
    """Number of the first line that is not UTF-8 text; None if all are."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.isascii() or line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None


def parse_csv(path: Path, name: str, text_columns: list[str], problems: Problems) -> pa.Table | None:
    """Parse a csv file, or a header with some of the rows of a larger file.

    Args:
        path: the file.
        name: its name in messages.
        text_columns, problems: see ``read_csv``.

    Returns:
        the table; None if it cannot be parsed.
    """
    number = _bad_line(path)
    if number is not None:
        number += problems.first_line - 2 if number > 1 else 0
        problems.append(f"{name}: line {number}: not UTF-8 text; expected a plain csv file (unpack it if it is a zip)")
        return None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheet programs write a byte order mark
            header = next(csv.reader(file), [])
    except csv.Error as error:
        problems.append(f"{name}: line 1: not a csv header ({error}); is a quote left open?")
        return None
    if not header:
        problems.append(f"{name}: the file is empty; expected a header and rows")
        return None
    twice = sorted({column for column in header if header.count(column) > 1})
    problems.columns(name, "repeated", twice, "expected each column once")
    if twice:
        return None
    if SIG_ID not in header:
        problems.append(f"{name}: line 1: missing column '{SIG_ID}'; expected a csv file with a header")
        return None

    def parse(threads: bool, on_bad_row: Callable) -> pa.Table:
        return pyarrow.csv.read_csv(
            path,
            pyarrow.csv.ReadOptions(use_threads=threads, block_size=1 << 24),
            pyarrow.csv.ParseOptions(invalid_row_handler=on_bad_row, ignore_empty_lines=False),
            pyarrow.csv.ConvertOptions(
                column_types={column: pa.string() for column in text_columns if column in header},
                null_values=["", "NA", "NaN", "nan", "null", "None"],
                strings_can_be_null=True,
            ),
        )

    ragged: list[pyarrow.csv.InvalidRow] = []

    def collect(row: pyarrow.csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    try:
        table = parse(True, collect)
        if ragged:  # parse again on one thread: only then does pyarrow report line numbers
            ragged.clear()
            table = parse(False, collect)
    except pa.ArrowInvalid as error:
        ragged.clear()  # they have no line numbers; pandas below reads short rows as rows with empty cells
        table = _parse_mixed(path, name, header, text_columns, problems, error)
        if table is None:
            return None
    if ragged:
        before = problems.first_line - 2
        shown = ", ".join(f"line {row.number + before} has {row.actual_columns} values" for row in ragged[:SHOWN])
        more = f" and {len(ragged) - SHOWN} more" if len(ragged) > SHOWN else ""
        problems.append(
            f"{name}: {shown}{more}: expected {ragged[0].expected_columns}, one a column (is the file cut short?)"
        )
        return None
    table = _without_blank_lines(name, table, problems)
    if table is not None and not table.num_rows:
        problems.append(f"{name}: holds a header and no rows")
        return None
    return table


def _without_blank_lines(name: str, table: pa.Table, problems: Problems) -> pa.Table | None:
    """Remove blank lines at the end; report those between rows, which are a sign of damage."""
    suspects = np.flatnonzero(table[SIG_ID].is_null().to_numpy())
    empty = table.take(suspects).to_pandas().isna().all(axis=1).to_numpy() if len(suspects) else np.zeros(0, bool)
    blank = set(suspects[empty].tolist())
    rows = table.num_rows
    while rows - 1 in blank:
        rows -= 1
        blank.remove(rows)
    if blank:
        shown = ", ".join(f"line {row + problems.first_line}" for row in sorted(blank)[:SHOWN])
        more = f" and {len(blank) - SHOWN} more" if len(blank) > SHOWN else ""
        problems.append(f"{name}: {shown}{more}: blank; expected {table.num_columns} values, one a column")
        return None
    return table.slice(0, rows)


def _parse_mixed(
    path: Path, name: str, header: list[str], text_columns: list[str], problems: Problems, error: Exception
) -> pa.Table | None:
    """Parse with pandas, all cells as text, so that the cell with the wrong type can be named.

    pyarrow guesses each column's type from the first block of the file and fails if a later block differs.
    """
    try:
        frame = pd.read_csv(
            path, dtype=str, keep_default_na=False, encoding="utf-8-sig", na_values=["", "NA", "NaN", "nan"]
        )
    except Exception:
        problems.append(f"{name}: not a csv file that can be read ({str(error).splitlines()[0]})")
        return None
    for column in header:
        if column not in text_columns:
            numbers = pd.to_numeric(frame[column], errors="coerce")
            if not (numbers.isna() & frame[column].notna()).any():
                frame[column] = numbers
    return pa.Table.from_pandas(frame, preserve_index=False)
