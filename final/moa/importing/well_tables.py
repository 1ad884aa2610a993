"""Make profiles of a table with one row per well, by a mapping: values of features, names and metadata of wells."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from moa.data.wells import well_name
from moa.errors import UserError
from moa.importing.columns import counts_rows, names_rows
from moa.importing.describe import feature_columns
from moa.importing.fields import plain_name, refuse_repeated
from moa.importing.identities import identified
from moa.importing.mapping import Mapping
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions, setting
from moa.importing.profiles import Profiles, WellTable, is_missing, text_table
from moa.importing.written_numbers import commas_of, with_points, without_thousands
from moa.words import listed

#: Columns of ids that every row must have, each once.
_IDS = ("sig_id", "cid", "sample_id")


def to_profiles(content: WellTable, mapping: Mapping, options: ImportOptions, notes: Notes) -> Profiles:
    """Profiles from a table whose columns the mapping describes.

    Raises:
        UserError: the table lacks all features, or a feature holds something else than numbers.
    """
    name, table = content.name, content.table
    features = feature_columns(list(table), mapping)
    if not features:
        families = listed([family.pattern for family in mapping.features])
        raise UserError(f"{name}: has no feature of the mapping ({families}), only {listed(table.columns, 6)}")
    numbers, decimal = _numbers(content, features, notes)
    wells = text_table(table.drop(columns=features))
    if decimal:
        quantities = [column for column in (mapping.column("dose"), mapping.column("time")) if column in wells]
        wells = wells.assign(**{str(column): with_points(wells[column]) for column in quantities})
    names, rest = _names(name, wells, mapping, notes)
    single = all(dtype == np.float32 for dtype in numbers.dtypes)
    # One array for all columns: later steps are many times as fast as with one array per column.
    values = numbers.to_numpy(np.float32 if single else np.float64, na_value=np.nan)
    fields = pd.DataFrame(index=pd.Index(features, dtype=object))
    return identified(values, rest.set_axis(names, axis=0), fields, options, notes)


def _numbers(content: WellTable, features: list[str], notes: Notes) -> tuple[pd.DataFrame, bool]:
    """The columns of the features as numbers, and whether commas are decimal commas in them."""
    table = content.table[features]
    texts = [column for column in features if not pd.api.types.is_numeric_dtype(table[column])]
    if not texts:
        return table, False
    # A point in some number of the table means that commas are no decimals in the others.
    points = any(
        pd.api.types.is_float_dtype(table[column]) and (table[column].dropna() % 1 != 0).any()
        for column in features
        if column not in texts
    )
    written = {
        column: table[column].where(~table[column].map(is_missing), np.nan).astype(object).map(str, na_action="ignore")
        for column in texts
    }
    decimal = not points and _are_decimal(written.values())
    if decimal:
        notes.guessed(f"{content.name}: commas are decimal commas, as in column '{texts[0]}'")
    changed, grouped = {}, []
    for column, text in written.items():
        plain = with_points(text) if decimal else without_thousands(text, points)
        if not (decimal or plain.equals(text)):
            grouped.append(column)
        parsed = pd.to_numeric(plain, errors="coerce")
        if (parsed.isna() & plain.notna()).any():
            raise _no_number(content, column, plain[parsed.isna() & plain.notna()], plain.dropna())
        changed[column] = parsed.astype(float)
    notes.noted(f"{content.name}: separators of thousands left out of numbers, in columns", grouped)
    return table.assign(**changed), decimal


def _are_decimal(columns: Iterable[pd.Series]) -> bool:
    """Whether the commas of a table are decimal commas: of some columns for certain, and of no column otherwise."""
    found = set()
    for text in columns:
        numbers = text.dropna()
        if numbers.str.contains(r"\d\.\d", regex=True).any():
            return False
        found.add(commas_of(numbers))
    return "decimal" in found and "thousands" not in found


def _no_number(content: WellTable, column: str, bad: pd.Series, text: pd.Series) -> UserError:
    """Name the first cell of a feature that is no number."""
    place = list(content.table.index).index(bad.index[0])
    where = f"row {place + 1}" if content.line is None else f"line {content.line + place}"
    fix = f"expected a number; if '{column}' is no feature, name it with {setting('metadata', repr(column))}"
    if bad.str.contains(r"\d,\d", regex=True).any():
        fix = "a decimal comma? write numbers with a decimal point"
        if commas_of(text) == "unclear":
            fix = "a decimal comma or thousands? write numbers with a decimal point and without separators of thousands"
    return UserError(f"{content.name}: column '{column}', {where} holds '{str(bad.iloc[0])[:40]}'; {fix}")


def _names(name: str, wells: pd.DataFrame, mapping: Mapping, notes: Notes) -> tuple[list[str], pd.DataFrame]:
    """Names of the wells, and their metadata without columns of row numbers.

    Wells are named by ids if there are any, or else by plate and well, by the names of rows, or by the row's number.
    """
    columns = list(wells)
    rows = [column for column in columns if names_rows(columns, column)]
    numbered = [column for column in rows if not wells[column].notna().all() or counts_rows(wells[column])]
    notes.aside(f"{name}: index columns", [column or "(without a name)" for column in numbered])
    wells = wells.drop(columns=numbered)
    named = next((column for column in rows if column not in numbered and wells[column].is_unique), None)
    ids = next((column for column in wells if plain_name(column) in _IDS and wells[column].notna().all()), None)
    if ids is not None:
        refuse_repeated(wells[ids], f"{name}: column '{ids}':", "give each row its own")
        return wells[ids].tolist(), _with_headings(wells)
    plate, well = mapping.column("plate"), mapping.column("well")
    if well in wells and wells[well].notna().all():
        places = wells[well].map(well_name)
        if plate in wells and wells[plate].notna().all():
            places = wells[plate] + ":" + places
        if not places.duplicated().any():
            return places.tolist(), _with_headings(wells)
    if named is not None:
        what = f"column '{named}'" if named else "the column without a heading"
        notes.guessed(f"{name}: {what} names the wells")
        return wells[named].tolist(), _with_headings(wells.drop(columns=named))
    width = len(str(len(wells)))
    numbers = [f"{name.split('.')[0]}:{number:0{width}d}" for number in range(1, len(wells) + 1)]
    return numbers, _with_headings(wells)


def _with_headings(wells: pd.DataFrame) -> pd.DataFrame:
    return wells.rename(columns={"": "row_name"})
