"""Profiles from a table with one row per well: which columns are features, which are metadata, and text in numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from moa.data.wells import well_name
from moa.errors import UserError
from moa.importing.fields import MARKED, find_column, find_field, is_known, plain_name, refuse_repeated
from moa.importing.identities import COMPARTMENTS, identified
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles, is_missing, text_table
from moa.words import counted, listed

#: Columns of row numbers, as pandas, R and pyarrow write them.
_INDEX = re.compile(
    r"^(?:|index|unnamed: \d+|unnamed_\d+|__index_level_\d+__|v1|rownames|row_names|\.\.\.1)$", re.IGNORECASE
)


def metadata_columns(columns: Iterable[str], options: ImportOptions) -> set[str]:
    """Columns that are metadata by their names: marked ones, those of known fields, and those that options name."""
    columns = list(columns)
    stated = [find_column(columns, name, "--metadata") for name in options.metadata]
    for name in options.columns.values():
        stated += [column for column in columns if column == name or plain_name(column) == plain_name(name)]
    named = {column for column in columns if MARKED.match(column) or is_known(column) or _INDEX.match(column)}
    return named | set(stated)


def profiles_of(name: str, table: pd.DataFrame, options: ImportOptions, notes: Notes, line: int | None) -> Profiles:
    """Profiles from a table with one row per well, whose metadata columns are text; ``name`` is that of the file.

    Columns that were taken as metadata are noted. ``line`` is that of the first row; None where a format has no lines.

    Raises:
        UserError: it has no features, or a feature holds text.
    """
    known = metadata_columns(table.columns, options)
    indices = [column for column in table if _INDEX.match(column) and column not in options.metadata]
    notes.aside(f"{name}: index columns", [column or "(without a name)" for column in indices])
    table = table.drop(columns=indices)
    rest = [column for column in table if column not in known]
    measured = [column for column in rest if column.partition("_")[0] in COMPARTMENTS]
    others = [column for column in rest if column not in measured]
    if measured and others:
        notes.aside(f"{name}: columns that start with no compartment ({', '.join(COMPARTMENTS)}), as metadata", others)
        rest = measured
    words = [column for column in rest if not _is_numeric(table[column])]
    features = [column for column in rest if column not in words]
    for column in words:
        _refuse_mixed(name, table[column], column, line)
    notes.aside(f"{name}: columns of text, as metadata", words)
    if not features:
        raise UserError(
            f"{name}: no column of numbers among {counted(table.shape[1], 'column')} ({listed(table.columns)}); "
            "give a plate map with --wells and mechanisms with --moa"
        )
    wells = text_table(table[[column for column in table if column not in set(features)]])
    wells.index = _ids(name, wells)
    single = all(dtype == np.float32 for dtype in table[features].dtypes)
    # One array for all columns: later steps are many times as fast as with one array per column.
    values = table[features].to_numpy(np.float32 if single else np.float64, na_value=np.nan)
    return identified(values, wells, pd.DataFrame(index=pd.Index(features, dtype=object)), options, notes)


def _is_numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _refuse_mixed(name: str, values: pd.Series, column: str, line: int | None) -> None:
    """Name the cell of a column that holds numbers and, in a few rows, something else."""
    text = values[~values.map(is_missing)].astype(str)
    bad = text[pd.to_numeric(text, errors="coerce").isna()]
    commas = bad.str.fullmatch(r"\s*[+-]?\d+,\d+(?:[eE][+-]?\d+)?\s*")
    # A column of words may hold some numbers ("384", a well's position): only a column that is mostly numbers is a
    # damaged feature.
    if not len(bad) or (len(bad) > 0.5 * len(text) and not commas.all()):
        return
    place = list(values.index).index(bad.index[0])
    where = f"row {place + 1}" if line is None else f"line {line + place}"
    fix = f"expected a number; if '{column}' is no feature, name it with --metadata"
    if commas.any():
        fix = "a decimal comma? write numbers with a decimal point"
    raise UserError(f"{name}: column '{column}', {where} holds '{str(bad.iloc[0])[:40]}'; {fix}")


def _ids(name: str, wells: pd.DataFrame) -> list[str]:
    """Names of the wells: the table's own ids if there are any, or else plate and well, or else the row's number."""
    for column in wells:
        if plain_name(column) in ("sig_id", "cid", "sample_id") and wells[column].notna().all():
            refuse_repeated(wells[column], f"{name}: column '{column}':", "give each row its own")
            return wells[column].tolist()
    plate, well = find_field(wells, "plate"), find_field(wells, "well")
    if well and wells[well].notna().all():
        places = wells[well].map(well_name)
        if plate and wells[plate].notna().all():
            places = wells[plate] + ":" + places
        if not places.duplicated().any():
            return places.tolist()
    width = len(str(len(wells)))
    return [f"{name.split('.')[0]}:{number:0{width}d}" for number in range(1, len(wells) + 1)]
