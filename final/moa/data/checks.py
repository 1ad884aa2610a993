"""Check parsed tables: ids, numbers, categories, and whole features tables against a schema."""

from __future__ import annotations

import numpy as np
import pandas as pd

from moa.data.assay import COMPETITION, Assay
from moa.data.csv_files import Problems
from moa.data.schema import SIG_ID


def check_features(
    name: str, table: pd.DataFrame | None, problems: Problems, schema: Assay = COMPETITION
) -> pd.DataFrame | None:
    """Check a parsed features table.

    Args:
        name: file name for messages.
        table: the table with a sig_id column; None if it could not be parsed.
        problems: what is wrong is added here.
        schema: columns that the table must have.

    Returns:
        columns ``schema.features``, indexed by sig_id, values float64; None if anything is wrong.
    """
    if table is None:
        return None
    before, columns, values = len(problems), schema.features, schema.values
    missing = [column for column in columns if column not in table]
    problems.columns(name, "missing", missing, f"expected {SIG_ID} and {len(columns)} feature columns")
    known = {SIG_ID, *columns}
    extra = [column for column in table if column not in known]
    problems.columns(name, "unknown", extra, f"expected {SIG_ID} and {len(columns)} feature columns, and no other")
    check_ids(name, table, problems)
    levels = {schema.control.column: schema.control.levels} if schema.control else {}
    for column, choices in {**levels, **schema.levels}.items():
        if column not in table:
            continue
        if choices is None:  # treated rows may hold any text
            problems.rows(name, column, table[column].isna().to_numpy(), table[SIG_ID], "a text, found an empty cell")
        else:
            check_choices(name, table, column, choices, problems)
    check_numbers(name, table, [column for column in values if column in table], problems)
    if len(problems) > before:
        return None
    table = table.set_index(SIG_ID)[list(columns)]
    numbers = {condition.column: condition.dtype for condition in schema.conditions if condition.dtype is not str}
    others = {column: np.float64 for column in values if table[column].dtype != np.float64}
    return table.astype(numbers | others)


def check_ids(name: str, table: pd.DataFrame, problems: Problems) -> None:
    """Check that every row has a sig_id and that no two rows share one."""
    ids = table[SIG_ID]
    problems.rows(name, SIG_ID, ids.isna().to_numpy(), None, "an id, found an empty cell")
    problems.rows(name, SIG_ID, (ids.duplicated() & ids.notna()).to_numpy(), ids, "each id once, found it repeated")


def check_numbers(name: str, table: pd.DataFrame, columns: list[str], problems: Problems) -> None:
    """Check that every cell of ``columns`` is a finite number."""
    ids = table[SIG_ID]
    for column in columns:
        values = table[column]
        if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            numbers = pd.to_numeric(values.astype("string"), errors="coerce").astype("float64")
            problems.rows(name, column, (numbers.isna() & values.notna()).to_numpy(), ids, "a number", values)
            values = numbers.where(numbers.notna() | table[column].isna(), 0.0)
        cells = values.to_numpy(np.float64, na_value=np.nan)
        if not np.isfinite(cells).all():
            problems.rows(name, column, np.isnan(cells), ids, "a number, found none (empty or NaN)")
            problems.rows(name, column, np.isinf(cells), ids, "a finite number, found infinity")


def check_choices(name: str, table: pd.DataFrame, column: str, choices: tuple, problems: Problems) -> None:
    """Check that every cell of the column is one of ``choices``, which are all numbers or all strings."""
    values = table[column]
    bad = ~values.isin(choices).to_numpy()
    if not isinstance(choices[0], str) and not pd.api.types.is_numeric_dtype(values):
        # One word among numbers makes pyarrow read the whole column as text: report only the word.
        numbers = pd.to_numeric(values.astype("string"), errors="coerce").isin(choices).to_numpy()
        bad = bad if numbers.all() else ~numbers
    problems.rows(name, column, bad, table[SIG_ID], f"one of {', '.join(map(str, choices))}", values)
