"""What is known about the rows of a data set besides features and labels: compound, dose, plate, well, treatment."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.assay import Assay
from moa.data.compounds import unite
from moa.data.csv_files import METADATA
from moa.data.input_tables import read_input_table, set_aside
from moa.data.problems import Problems
from moa.data.schema import COMPOUND, SIG_ID
from moa.errors import DataError

PLATE, WELL, DOSE, TIME = "plate", "well", "dose", "time"
#: A compound at a dose, in words.
TREATMENT = "treatment"
_TEXT = (SIG_ID, PLATE, WELL, COMPOUND, TREATMENT)
_NAME = re.compile(r"([A-Za-z]{1,2})[-_ ]?0*([1-9][0-9]?)")


def parse_well(text: object) -> tuple[int, int] | None:
    """Row and column, from 0, of a well such as "A07", "a7", "A-7" or "AF48"; None for any other text."""
    found = _NAME.fullmatch(str(text).strip())
    if not found:
        return None
    row = 0
    for letter in found[1].upper():
        row = 26 * row + ord(letter) - ord("A") + 1
    return row - 1, int(found[2]) - 1


def place_of(row: str, column: str) -> str:
    """The name of the well in a row and a column as tables write them: "A", "7" or "1", "7" for "A07"."""
    if row.isdigit() and column.isdigit() and int(row) and int(column):
        return format_well(int(row) - 1, int(column) - 1)
    return well_name(row + column)


def format_well(row: int, column: int) -> str:
    """The name of the well in a row and a column, both from 0: "A07", "AF48"."""
    first, last = divmod(row, 26)
    return f"{chr(ord('A') - 1 + first) if first else ''}{chr(ord('A') + last)}{column + 1:02d}"


def well_name(text: object) -> str:
    """A well's name in one spelling, "A07" of "A7", "a07" and "A-7"; any other text stays as it is."""
    place = parse_well(text)
    return str(text).strip() if place is None else format_well(*place)


def read_wells(path: Path) -> pd.DataFrame:
    """Read a table of wells: csv, which may be packed, or parquet.

    Returns:
        its columns, indexed by sig_id; plate, well, compound and treatment as text. Spellings of one compound are one.

    Raises:
        DataError: it is missing, has no sig_id, or a row twice.
    """
    problems = Problems()
    table, _ = read_input_table(path, _TEXT, problems)
    if table is None:
        raise DataError(problems)
    table, described = set_aside(path.name, table, _TEXT, problems)
    table = table.join(described)
    twice = table[SIG_ID].isna() | table[SIG_ID].duplicated()
    problems.rows(path.name, SIG_ID, twice.to_numpy(), table[SIG_ID], "an id, each once", table[SIG_ID])
    if problems:
        raise DataError(problems)
    if COMPOUND in table and (found := unite(table[COMPOUND])).united:
        table[COMPOUND] = found.names
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
        the columns that are known, indexed like ``features``.
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


def described_wells(samples: pd.DataFrame, features: pd.DataFrame, schema: Assay) -> pd.DataFrame:
    """What a file of samples says of its wells in ``Metadata_`` columns, as `describe_rows` has it; in any case.

    Of columns that differ in case alone the one that is written like ours counts, else the first.

    Args:
        samples: with the ``Metadata_`` columns, indexed by sig_id.
        features: of the same rows, with the conditions.
        schema: their assay.
    """
    described = samples.filter(regex=f"^{METADATA}").rename(columns=lambda name: name.removeprefix(METADATA))
    found = {}
    for name in (PLATE, WELL, COMPOUND, DOSE, TIME, TREATMENT):
        same = sorted((column for column in described if column.lower() == name), key=lambda column: column != name)
        if same and described[same[0]].notna().any():
            found[name] = described[same[0]].replace("", np.nan)
    return describe_rows(features, schema, None, pd.DataFrame(found, samples.index))


def treatments(known: pd.DataFrame) -> pd.Series:
    """The treatment of each row in words: its compound, and its dose where it is known; NaN without a compound."""
    words = known[COMPOUND].astype("string")
    if DOSE in known:
        words = words + known[DOSE].map(lambda value: "" if pd.isna(value) else f" @ {value}").astype("string")
    return words.astype(object).where(words.notna())
