"""Decide which wells are compared with which controls: plates, and what changes the baseline on a plate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.fields import plain_name
from moa.importing.mapping import Mapping, References
from moa.importing.notes import Notes
from moa.importing.options import setting
from moa.importing.well_types import MANY_WELLS
from moa.words import listed

#: Columns whose values make several plates of those of one name, if each well of a plate occurs once in each of them.
_RUNS = re.compile(
    r"batch|run|experiment|screen|campaign|round|session|week|day|date|repl|rep|repeat|donor|patient|passage|barcode"
)
#: Columns that change the baseline of a plate as cell lines do, if each value has vehicle wells of its own.
_BASELINES = re.compile(
    r"donor|patient|genotype|clone|passage|density|^cells?$|strain|tissue|species|medium|media|serum|oxygen|temperature"
)
#: Vehicle wells that each value of such a column must have on a plate where several are.
_OWN_VEHICLES = 2
#: A column of more values is none of cell lines that share a plate.
_MOST_LINES = 8


def decide_references(
    mapping: Mapping,
    wells: pd.DataFrame,
    plates: pd.Series,
    places: pd.Series,
    vehicles: np.ndarray,
    file_column: str,
    notes: Notes,
) -> References:
    """The columns by which plates of one name are several, and those whose values have controls of their own.

    Args:
        mapping: names the columns of cell lines, batches and times.
        wells: metadata.
        plates: the plate of each well.
        places: the place of each well on its plate, NaN where unknown.
        vehicles: True for vehicle wells, shape (wells,).
        file_column: the column with the file of each well.
        notes: what was decided, and why, is noted.
    """
    apart = _apart(mapping, wells, plates, places, vehicles, file_column)
    reasons = []
    if apart:
        named = plates[_several(plates, _joined(wells, apart))].drop_duplicates()
        what = listed(["their file" if column == file_column else repr(column) for column in apart])
        reasons.append(f"plates of one name that differ in {what} are several plates")
        notes.guessed(reasons[-1], named)
    plates = plate_names(plates, wells, apart)
    within = []
    for column, must in _baselines(mapping, wells, apart):
        several = _several(plates, wells[column])
        if not several.any():
            continue
        where = list(dict.fromkeys(plates[several]))
        own = _have_own(plates[several], wells.loc[several, column], vehicles[several])
        if own or mapping.column("cell_line") == column:
            within.append(column)
            reasons.append(f"'{column}' differs on a plate")
            notes.guessed(f"wells are compared with controls of the same '{column}', which differs on plates", where)
        elif must:
            notes.noted(
                f"'{column}' differs on plates, but not each of its values has {_OWN_VEHICLES} vehicle wells there, so "
                "all are compared with all vehicle wells of the plate",
                where,
            )
    _note_others(mapping, wells.drop(columns=[*apart, *within, file_column], errors="ignore"), plates, vehicles, notes)
    return References(apart=apart, within=tuple(within), reason="; ".join(reasons))


def runs_apart(
    mapping: Mapping, wells: pd.DataFrame, plates: pd.Series, places: pd.Series, file: str
) -> tuple[str, ...]:
    """Columns whose values tell apart rows that are the same well of the same plate, such as batches and replicates.

    The arguments are as for ``decide_references``; ``file`` is the column with the file of each well.

    Returns:
        one or two columns; none if no well has several rows, or if no columns tell all of them apart.
    """
    known = places.notna()
    keys = pd.DataFrame({"plate": plates, "place": places})[known]
    if not keys.duplicated().any():
        return ()
    named = [column for column in wells if _RUNS.search(plain_name(column)) and column != mapping.column("plate")]
    others = (mapping.column("cell_line"), mapping.column("time"))
    columns = dict.fromkeys([*mapping.columns_of("batch"), *named, file, *(column for column in others if column)])
    usable = [column for column in columns if column in wells and wells.loc[known, column].notna().all()]
    for size in (1, 2):
        for chosen in combinations(usable, size):
            if not keys.assign(**{f"value {column}": wells[column] for column in chosen}).duplicated().any():
                return chosen
    return ()


def plate_names(plates: pd.Series, wells: pd.DataFrame, apart: Sequence[str]) -> pd.Series:
    """The plates, with the values of the columns ``apart`` behind the names that stand for several plates.

    Raises:
        UserError: there is no such column.
    """
    if not apart:
        return plates
    _check(wells, apart)
    joined = _joined(wells, apart)
    several = _several(plates, joined)
    return plates.where(~several, plates.astype(str) + " (" + joined + ")").astype(object)


def group_names(plates: pd.Series, wells: pd.DataFrame, within: Sequence[str]) -> pd.Series:
    """The reference group of each well: its plate, with the values of the columns ``within`` where they differ on it.

    Raises:
        UserError: there is no such column.
    """
    return plate_names(plates, wells, within)


def _check(wells: pd.DataFrame, columns: Iterable[str]) -> None:
    for column in columns:
        if column not in wells:
            raise UserError(f"mapping: column '{column}' of reference groups is not in the files; add it to them")


def _joined(wells: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    return wells[list(columns)].fillna("unknown").astype(str).agg(", ".join, axis=1)


def _several(plates: pd.Series, values: pd.Series) -> pd.Series:
    """Whether the plate of each well has several values."""
    return values.groupby(plates.to_numpy()).transform("nunique") > 1


def _apart(
    mapping: Mapping,
    wells: pd.DataFrame,
    plates: pd.Series,
    places: pd.Series,
    vehicles: np.ndarray,
    file_column: str,
) -> tuple[str, ...]:
    if found := runs_apart(mapping, wells, plates, places, file_column):
        return found
    for column in mapping.columns_of("batch"):
        several = _several(plates, wells[column])
        if several.any() and _have_own(plates[several], wells.loc[several, column], vehicles[several]):
            return (column,)
    files = _several(plates, wells[file_column])
    if places.notna().any() or not files.any():
        return ()
    own = _have_own(plates[files], wells.loc[files, file_column], vehicles[files], MANY_WELLS)
    return (file_column,) if own else ()


def _baselines(mapping: Mapping, wells: pd.DataFrame, apart: Sequence[str]) -> list[tuple[str, bool]]:
    """Columns that may change the baseline on a plate; True for those of which a user should hear if they do not."""
    roles = [mapping.column("cell_line"), *mapping.columns_of("batch"), mapping.column("time")]
    named = [column for column in wells if _BASELINES.search(plain_name(column))]
    columns = {column: True for column in roles if column} | {column: False for column in named if column not in roles}
    return [(column, must) for column, must in columns.items() if column in wells and column not in apart]


def _note_others(mapping: Mapping, wells: pd.DataFrame, plates: pd.Series, vehicles: np.ndarray, notes: Notes) -> None:
    """Note metadata that may be cell lines or batches: few values on each plate, each with vehicle wells there."""
    found = [
        column
        for column in mapping.columns_of("metadata")
        if column in wells
        and 1 < wells[column].nunique() <= _MOST_LINES
        and _several(plates, wells[column]).all()
        and _have_own(plates, wells[column], vehicles, 1)
    ]
    notes.noted(
        "columns that differ within each plate, among its vehicle wells too; name one that changes the values, as a "
        f"cell line does, with {setting('cell_line', 'COLUMN')}",
        found,
    )


def _have_own(plates: pd.Series, values: pd.Series, vehicles: np.ndarray, least: int = _OWN_VEHICLES) -> bool:
    """Whether each value has vehicle wells of its own on each plate, or many wells where a plate has no vehicles."""
    table = pd.DataFrame({"plate": plates, "value": values.fillna("unknown"), "vehicle": vehicles})
    counts = table.groupby(["plate", "value"])["vehicle"].agg(["sum", "size"])
    with_vehicles = counts["sum"].groupby("plate").transform("sum") > 0
    return bool((counts["sum"] >= least).where(with_vehicles, counts["size"] >= MANY_WELLS).all())
