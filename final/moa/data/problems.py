"""What is wrong with files, and what is unusual in them: one line each, with the place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd

from moa.data.schema import SIG_ID
from moa.words import counted, listed, shown

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
        #: What a user should know though it is no problem: columns set aside, unusual values.
        self.notes: list[str] = []
        self._counts: dict[tuple[str, str], int] = {}  # number of columns with the same kind of problem
        self._rest: dict[tuple[str, str], int] = {}  # position of the message that counts the columns not named

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def repeated(self, name: str, columns: Iterable[object]) -> bool:
        """Report the columns that occur more than once; True if there are some."""
        twice = sorted(str(column) for column, count in Counter(columns).items() if count > 1)
        self.columns(name, "repeated", twice, "expected each column once")
        return bool(twice)

    def rows(
        self,
        name: str,
        column: str,
        bad: np.ndarray,
        ids: pd.Series | None,
        expected: str,
        values: pd.Series | None = None,
    ) -> None:
        """Report the rows where ``bad`` is true, naming the first few; many columns with one problem share a line."""
        places = np.flatnonzero(bad)
        if not len(places):
            return
        kind = (name, expected)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        rest = self._counts[kind] - COLUMNS_SHOWN
        if rest > 0:
            line = f"{name}: {counted(rest, 'more column')} up to '{column}' likewise: expected {expected}"
            if rest == 1:
                self._rest[kind] = len(self)
                self.append(line)
            self[self._rest[kind]] = line
            return
        first = [
            f"{self.line} {place + self.first_line}"
            + (f" ({SIG_ID} {shown(ids.iloc[place])})" if ids is not None and isinstance(ids.iloc[place], str) else "")
            + ("" if values is None else _held(values.iloc[place]))
            for place in places[:SHOWN]
        ]
        self.append(f"{name}: column '{column}', {listed(first, SHOWN, count=len(places))}: expected {expected}")

    def columns(self, name: str, what: str, columns: Iterable[str], fix: str) -> None:
        """Report columns that are missing or not expected."""
        quoted = [f"'{column}'" for column in columns]
        if quoted:
            self.append(f"{name}: {what} column {listed(quoted, COLUMNS_SHOWN)}; {fix}")

    def ids(self, name: str, ids: Iterable[str], expected: str) -> None:
        """Report sig_ids that another file lacks or has too many of."""
        ids = list(ids)
        if ids:
            first = [shown(each) for each in ids[:SHOWN]]
            self.append(f"{name}: column '{SIG_ID}', {listed(first, SHOWN, count=len(ids))}: {expected}")


def _held(value: object) -> str:
    return " is empty" if pd.isna(value) else f" holds '{shown(value)}'"
