"""What is known about the rows of a data set besides features and labels: compound, dose, plate, treatment."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from moa.data.assay import Assay
from moa.data.csv_files import Problems
from moa.data.schema import COMPOUND, SIG_ID, WELLS
from moa.data.tables import read_table, set_aside
from moa.errors import DataError

__all__ = ["COMPOUND", "DOSE", "PLATE", "TIME", "TREATMENT", "WELL", "WELLS", "describe_rows", "read_wells"]

PLATE, WELL, DOSE, TIME = "plate", "well", "dose", "time"
#: A compound at a dose, in words.
TREATMENT = "treatment"
_TEXT = (SIG_ID, PLATE, WELL, COMPOUND, TREATMENT)


def read_wells(path: Path) -> pd.DataFrame:
    """Read a table of wells: csv, which may be packed, or parquet.

    Returns:
        its columns, indexed by sig_id; plate, well, compound and treatment as text.

    Raises:
        DataError: it is missing, has no sig_id, or a row twice.
    """
    problems = Problems()
    table, _ = read_table(Path(path), _TEXT, problems)
    if table is not None:
        table, described = set_aside(Path(path).name, table, _TEXT, problems)
        table = table.join(described)
        twice = table[SIG_ID].isna() | table[SIG_ID].duplicated()
        problems.rows(Path(path).name, SIG_ID, twice.to_numpy(), table[SIG_ID], "an id, each once", table[SIG_ID])
    if problems:
        raise DataError(problems)
    return table.set_index(SIG_ID)


def describe_rows(
    features: pd.DataFrame, schema: Assay, drugs: pd.Series | None = None, wells: pd.DataFrame | None = None
) -> pd.DataFrame:
    """What is known about each row.

    What ``wells`` does not say is taken from the data set: the compound from train_drug.csv, the dose and the time from
    the condition of that name; a treatment is then a compound at a dose.

    Args:
        features: training or test rows, indexed by sig_id.
        schema: its assay.
        drugs: compound of each row, where it is known.
        wells: as from `read_wells`, with any rows; None: there is no such table.

    Returns:
        one row per row of ``features``, with the columns that are known.
    """
    known = pd.DataFrame(index=features.index) if wells is None else wells.reindex(features.index)
    if COMPOUND not in known and drugs is not None:
        known[COMPOUND] = drugs.reindex(features.index)
    for name in (DOSE, TIME):
        column = next((each.column for each in schema.conditions if each.name == name), None)
        if name not in known and column is not None:
            known[name] = features[column]
    if TREATMENT not in known and COMPOUND in known:
        known[TREATMENT] = treatments(known)
    return known


def treatments(known: pd.DataFrame) -> pd.Series:
    """The treatment of each row in words: its compound, and its dose where it is known; NaN without a compound."""
    words = known[COMPOUND].astype("string")
    if DOSE in known:
        dose = known[DOSE].map(lambda value: "" if pd.isna(value) else f" @ {value}").astype("string")
        words = words + dose
    return words.astype(object).where(words.notna())
