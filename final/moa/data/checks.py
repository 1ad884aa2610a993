"""Check parsed tables: ids, numbers, categories, and whole features tables against a schema."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.data.assay import COMPETITION, Assay
from moa.data.input_tables import set_aside
from moa.data.problems import COLUMNS_SHOWN, Problems
from moa.data.schema import SIG_ID
from moa.words import listed

#: The missing value of LINCS and of GCT files.
LINCS_MISSING = -666.0
#: Columns whose numbers are checked together: all of a large table would be in memory twice.
_AT_ONCE = 64


@dataclass(frozen=True)
class Unusual:
    """Counts of values in a features table that can be read but are not expected; those of a file's parts add up.

    Attributes:
        missing, missing_rows: cells that hold LINCS's missing value, and rows with such cells.
        outside, outside_rows: other cells outside the assay's range, and rows with such cells.
        first: column and sig_id of the first cell outside the range.
    """

    missing: int = 0
    missing_rows: int = 0
    outside: int = 0
    outside_rows: int = 0
    first: tuple[str, str] | None = None

    @classmethod
    def of(cls, table: pd.DataFrame, schema: Assay) -> Unusual:
        """Count them in a checked features table."""
        low, high = schema.value_range or (-np.inf, np.inf)
        values = table[list(schema.values)]
        least, most = values.min().to_numpy(), values.max().to_numpy()
        # Few columns have any: only those are checked cell by cell.
        part = values.loc[:, (least < low) | (most > high) | (least <= LINCS_MISSING)]
        if part.empty:
            return cls()
        cells = part.to_numpy()
        missing = cells == LINCS_MISSING
        outside = ((cells < low) | (cells > high)) & ~missing
        first = None
        if outside.any():
            row, column = np.argwhere(outside)[0]
            first = (str(part.columns[column]), str(part.index[row]))
        missing_rows, outside_rows = (int(each.any(axis=1).sum()) for each in (missing, outside))
        return cls(int(missing.sum()), missing_rows, int(outside.sum()), outside_rows, first)

    def __add__(self, other: Unusual) -> Unusual:
        return Unusual(
            self.missing + other.missing,
            self.missing_rows + other.missing_rows,
            self.outside + other.outside,
            self.outside_rows + other.outside_rows,
            self.first or other.first,
        )

    def notes(self, name: str, schema: Assay) -> list[str]:
        """Notes on a file of that name."""
        found = []
        if self.missing:
            found.append(
                f"{name}: {self.missing:,} cells in {self.missing_rows:,} rows hold {LINCS_MISSING:g}, the missing "
                "value of LINCS, which models take for a number: leave these rows out, or fill the cells"
            )
        if self.outside and schema.value_range:
            low, high = schema.value_range
            column, sig_id = self.first or ("", "")
            found.append(
                f"{name}: {self.outside:,} values in {self.outside_rows:,} rows lie outside {low:g} to {high:g}, the "
                f"range of {schema.name} (the first: column '{column}', {SIG_ID} {sig_id})"
            )
        return found


def constant_columns(name: str, table: pd.DataFrame, schema: Assay) -> list[str]:
    """A note on the feature columns that hold one value in every row of a training table, if there are some."""
    values = table[list(schema.values)]
    constant = values.columns[(values.min() == values.max()).to_numpy()]
    if len(values) < 2 or not len(constant):
        return []
    zero = int((values[constant].iloc[0] == 0).sum())
    only = f", {zero:,} of them 0 alone" if zero else ""
    named = listed((f"'{column}'" for column in constant), COLUMNS_SHOWN)
    return [f"{name}: {len(constant):,} feature columns hold one value in every row{only}: {named}"]


def check_features(
    name: str, table: pd.DataFrame, problems: Problems, schema: Assay = COMPETITION
) -> pd.DataFrame | None:
    """Check a features table as read from the file ``name``, with a sig_id column; problems are added to ``problems``.

    Returns:
        columns ``schema.features``, indexed by sig_id, values float64; None if anything is wrong.
    """
    before, values = len(problems), schema.values
    _check_columns(name, table, problems, schema)
    check_ids(name, table, problems)
    levels = {schema.control.column: schema.control.levels} if schema.control else {}
    for column, choices in {**levels, **schema.levels}.items():
        if column not in table:
            continue
        if choices is None:  # treated rows may hold any text
            problems.rows(name, column, table[column].isna().to_numpy(), table[SIG_ID], "a text, found an empty cell")
        else:
            check_choices(name, table, column, choices, problems)
    for column in schema.numeric_conditions:
        if column in table:
            _check_above_zero(name, table, column, problems, schema)
    check_numbers(name, table, [column for column in values if column in table], problems)
    if len(problems) > before:
        return None
    table = table.set_index(SIG_ID)
    numbers = {condition.column: condition.dtype for condition in schema.conditions if condition.dtype is not str}
    others = table[[*schema.control_columns, *schema.condition_columns]].astype(numbers)
    # One block of memory for all values: pandas is slow with one for each column.
    return pd.concat([others, table[list(values)].astype(np.float64)], axis=1).copy()


def checked_features(
    name: str, table: pd.DataFrame, problems: Problems, schema: Assay
) -> tuple[pd.DataFrame | None, pd.DataFrame, Unusual]:
    """Check a features table as `check_features`, with all the columns that may come with it, which add notes.

    Returns:
        columns ``schema.features`` (None if anything is wrong) and the ``Metadata_`` columns, both indexed by sig_id;
        and counts of unusual values.
    """
    unused = table.columns.intersection(schema.unused)
    table, metadata = set_aside(
        name, table.drop(columns=unused), schema.features, problems, schema.strict, carried=True
    )
    ids = table[SIG_ID]
    found = check_features(name, table, problems, schema)
    if found is None:
        return None, metadata, Unusual()
    return found, metadata.set_index(pd.Index(ids, name=SIG_ID)), Unusual.of(found, schema)


def _check_columns(name: str, table: pd.DataFrame, problems: Problems, schema: Assay) -> None:
    """Check that the table has the columns of the assay and no other; a missing group is reported as a whole."""
    count = len(schema.features)
    missing = [column for column in schema.features if column not in table]
    for group in schema.groups:
        if len(schema.groups) > 1 and not set(group.columns) & set(table.columns):
            others = ",".join(each.name for each in schema.groups if set(each.columns) & set(table.columns))
            fix = f"; a model trained without them takes the file: moa train MODEL --groups {others}" if others else ""
            problems.append(f"{name}: has none of the {len(group.columns)} columns of the group '{group.name}'{fix}")
            reported = set(group.columns)
            missing = [column for column in missing if column not in reported]
    problems.columns(name, "missing", missing, f"expected {SIG_ID} and {count} feature columns")
    known = {SIG_ID, *schema.features}
    extra = [column for column in table if column not in known]
    problems.columns(name, "unknown", extra, f"expected {SIG_ID} and {count} feature columns, and no other")


def _check_above_zero(name: str, table: pd.DataFrame, column: str, problems: Problems, schema: Assay) -> None:
    """Check that a condition is a number above 0; controls may have none."""
    values = table[column]
    good = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = ~((good > 0) & np.isfinite(good))
    if set(schema.control_columns) <= set(table):
        bad &= schema.is_treated(table).to_numpy() | values.notna().to_numpy()
    problems.rows(name, column, bad, table[SIG_ID], "a number above 0", values)


def check_ids(name: str, table: pd.DataFrame, problems: Problems) -> None:
    """Check that every row has a sig_id and that no two rows share one."""
    ids = table[SIG_ID]
    problems.rows(name, SIG_ID, ids.isna().to_numpy(), None, "an id, found an empty cell")
    problems.rows(name, SIG_ID, (ids.duplicated() & ids.notna()).to_numpy(), ids, "each id once, found it repeated")


def check_numbers(name: str, table: pd.DataFrame, columns: list[str], problems: Problems) -> None:
    """Check that every cell of ``columns`` is a finite number."""
    ids = table[SIG_ID]
    for column in _to_look_at(table, columns):
        values = table[column]
        if not _holds_numbers(values.dtype):
            numbers = pd.to_numeric(values.astype("string"), errors="coerce").astype("float64")
            bad = (numbers.isna() & values.notna()).to_numpy()
            commas = values[bad].astype(str).str.fullmatch(r"[-+]?\d*,\d+").all()
            expected = "a number with a decimal point" if bad.any() and commas else "a number"
            problems.rows(name, column, bad, ids, expected, values)
            values = numbers.where(numbers.notna() | table[column].isna(), 0.0)
        cells = values.to_numpy(np.float64, na_value=np.nan)
        if not np.isfinite(cells).all():
            problems.rows(name, column, np.isnan(cells), ids, "a number, found none (empty or NaN)")
            problems.rows(name, column, np.isinf(cells), ids, "a finite number, found infinity")


def _holds_numbers(dtype: object) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def _to_look_at(table: pd.DataFrame, columns: list[str]) -> list[str]:
    """The columns that are not read as numbers, or not all of them finite: few, and one after another takes long."""
    dtypes = dict(zip(table.columns, table.dtypes, strict=True))
    read = [column for column in columns if _holds_numbers(dtypes[column])]
    good: set[str] = set()
    for start in range(0, len(read), _AT_ONCE):
        part = read[start : start + _AT_ONCE]
        finite = np.isfinite(table[part].to_numpy(np.float64, na_value=np.nan)).all(axis=0)
        good.update(column for column, whole in zip(part, finite, strict=True) if whole)
    return [column for column in columns if column not in good]


def check_choices(name: str, table: pd.DataFrame, column: str, choices: tuple, problems: Problems) -> None:
    """Check that every cell of the column is one of ``choices``, which are all numbers or all strings."""
    values = table[column]
    bad = ~values.isin(choices).to_numpy()
    if not isinstance(choices[0], str) and not pd.api.types.is_numeric_dtype(values):
        # One word among numbers makes pyarrow read the whole column as text: only the word is reported.
        numbers = pd.to_numeric(values.astype("string"), errors="coerce").isin(choices).to_numpy()
        bad = bad if numbers.all() else ~numbers
    problems.rows(name, column, bad, table[SIG_ID], f"one of {', '.join(map(str, choices))}", values)
