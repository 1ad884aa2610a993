"""Tables with one row a well: which columns are features and which are metadata, and finding text among numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.design import well_name
from moa.importing.fields import MARKED, find_column, find_field, is_known, plain_name
from moa.importing.identities import COMPARTMENTS, identify
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles, is_missing, text_table
from moa.words import counted, listed

#: Columns that hold only the number of the row: what pandas, R and pyarrow write of an index.
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
    """Profiles from a table with one row a well.

    Args:
        name: of the file, for messages.
        table: metadata columns as text, all others as numbers where they are numbers.
        options: see ``ImportOptions``.
        notes: which columns were taken for metadata is told.
        line: line of the first row in the file; None where the format has no lines.

    Raises:
        UserError: it has no features, or a feature holds text.
    """
    known = metadata_columns(table.columns, options)
    indices = [column for column in table if _INDEX.match(column) and column not in options.metadata]
    if indices:
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
        _refuse_mixed(name, table[column], column, line, features)
    if words:
        notes.aside(f"{name}: columns of text, as metadata", words)
    if not features:
        raise UserError(
            f"{name}: no column of numbers among {counted(table.shape[1], 'column')} ({listed(table.columns)}); "
            "give a plate map with --wells and mechanisms with --moa"
        )
    wells = text_table(table[[column for column in table if column not in set(features)]])
    ids = _ids(name, wells)
    wells.index = ids
    single = all(dtype == np.float32 for dtype in table[features].dtypes)
    # One array, not one a column: later steps are many times as fast.
    values = table[features].to_numpy(np.float32 if single else np.float64, na_value=np.nan)
    values = pd.DataFrame(values, index=ids, columns=features)
    identities, kind = identify(pd.DataFrame(index=pd.Index(features, dtype=object)), options)
    return Profiles(values, wells, identities, kind)


def _is_numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _refuse_mixed(name: str, values: pd.Series, column: str, line: int | None, features: list[str]) -> None:
    """Name the cell of a column that holds numbers and, in a few rows, something else."""
    text = values[~values.map(is_missing)].astype(str)
    numbers = pd.to_numeric(text, errors="coerce")
    bad = text[numbers.isna()]
    commas = bad.str.fullmatch(r"\s*[+-]?\d+,\d+(?:[eE][+-]?\d+)?\s*")
    if len(bad) == len(text) and not (len(bad) and commas.all()):
        return
    # A column of words may hold a number here and there ("384", a well's position): only numbers with a few odd cells
    # are a feature that is damaged.
    if len(bad) > 0.5 * len(text) and not commas.all():
        return
    place = list(values.index).index(bad.index[0])
    where = f"row {place + 1}" if line is None else f"line {line + place}"
    if commas.any():
        fix = "a decimal comma? write numbers with a decimal point"
    else:
        fix = f"expected a number; if '{column}' is no feature, name it with --metadata"
    raise UserError(f"{name}: column '{column}', {where} holds '{str(bad.iloc[0])[:40]}'; {fix}")


def _ids(name: str, wells: pd.DataFrame) -> list[str]:
    """Names of the wells: the table's own ids if there are any, or else plate and well, or else the row's number."""
    for column in wells:
        if plain_name(column) in ("sig_id", "cid", "sample_id") and wells[column].notna().all():
            if wells[column].duplicated().any():
                twice = wells[column][wells[column].duplicated()].iloc[0]
                raise UserError(f"{name}: column '{column}': '{twice}' occurs twice; give each row its own")
            return wells[column].tolist()
    plate, well = find_field(wells, "plate"), find_field(wells, "well")
    if well and wells[well].notna().all():
        places = wells[well].map(well_name)
        if plate and wells[plate].notna().all():
            places = wells[plate] + ":" + places
        if not places.duplicated().any():
            return places.tolist()
    stem = name.split(".")[0]
    width = len(str(len(wells)))
    return [f"{stem}:{number:0{width}d}" for number in range(1, len(wells) + 1)]
