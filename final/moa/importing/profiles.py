"""Hold the profiles of wells: what the reader of every format returns, and what every later step takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

#: Texts that mean "no value" in metadata, in lower case. L1000 files write -666.
MISSING = frozenset({"", "-666", "-666.0", "na", "n/a", "#n/a", "nan", "null", "none", "<na>", "-"})
#: The same in the cases of letters that files use, for ``pandas.read_csv``.
MISSING_FORMS = sorted({form for text in MISSING for form in (text, text.upper(), text.title(), "NaN")})
#: The number that means "no value" in L1000 files.
MISSING_NUMBER = -666


@dataclass(frozen=True)
class Profiles:
    """Values of wells and what is known about them.

    Attributes:
        values: shape (wells, features), floats; missing values are NaN. The index names the wells, the columns the
            features; both are unique.
        wells: metadata of the same wells, all text, NaN where missing.
        features: one row per feature, all text: what the file says about it, and the columns entrez_id, symbol,
            probe_id, cell_line and group, which may be empty.
        kind: "expression" (genes), or "profiles" of any other features.
        layers: other values of the same wells that the file holds, by the names that ``--layer`` takes.
    """

    values: pd.DataFrame
    wells: pd.DataFrame
    features: pd.DataFrame
    kind: str
    layers: tuple[str, ...] = ()

    def take(self, keep: np.ndarray) -> Profiles:
        """Only the wells where ``keep`` is true."""
        return replace(self, values=self.values[keep], wells=self.wells[keep])

    def only(self, features: list[str]) -> Profiles:
        """Only these features, in this order."""
        return replace(self, values=self.values[features], features=self.features.loc[features])


@dataclass(frozen=True)
class Unnamed(Profiles):
    """Profiles of an array: nothing is known of their wells but their order."""


@dataclass(frozen=True)
class WellTable:
    """A table with one row per well, as a file holds it: which columns are features is not decided yet.

    Attributes:
        name: of the file.
        table: columns that can be features by their names as numbers where all cells are; the others as in the file.
        line: of the first row; None where a format has no lines.
    """

    name: str
    table: pd.DataFrame
    line: int | None


def as_text(values: pd.Series) -> pd.Series:
    """A column of metadata as text: whole numbers without ".0", others with their own digits; NaN where missing."""
    values = pd.Series(values)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if pd.api.types.is_bool_dtype(values):
        text = values.astype(object).map({True: "True", False: "False"})
    elif pd.api.types.is_float_dtype(values):
        numbers = values.to_numpy(values.dtype if values.dtype == np.float32 else np.float64, na_value=np.nan)
        text = pd.Series([_digits(number) for number in numbers], values.index, dtype=object)
    else:
        text = values.astype(object).map(_decoded, na_action="ignore")
    text = text.astype(object)
    return text.where(~text.map(is_missing), np.nan)


def is_missing(value: object) -> bool:
    """Whether a cell of metadata holds no value."""
    return pd.isna(value) or str(value).strip().lower() in MISSING


def _digits(number: np.floating) -> str:
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    # A float32 has the digits that it needs, not those of the float64 that it would become.
    return np.format_float_positional(number, trim="-") if isinstance(number, np.float32) else str(number)


def _decoded(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value).strip()
    try:
        return value.decode("utf-8").strip()
    except UnicodeDecodeError:  # older files: "10 \xb5M"
        return value.decode("latin-1").strip()


def text_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table with every column as text; see ``as_text``."""
    return pd.DataFrame({column: as_text(table[column]) for column in table}, index=table.index, dtype=object)
