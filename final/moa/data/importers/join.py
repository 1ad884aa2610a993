"""Join a laboratory's own table (a plate map, a list of plates) to the wells, whatever its columns are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moa.data.importers.fields import KNOWN, find_column, find_field, plain_name
from moa.data.importers.notes import Notes, counted, listed
from moa.data.importers.options import ImportOptions
from moa.data.importers.tables import read_text_table
from moa.data.importers.wells import well_name
from moa.errors import UserError


@dataclass(frozen=True)
class _Keys:
    """Columns of the wells and of the table that hold the same plates and the same places."""

    plate: tuple[str, str] | None
    well: tuple[str, str] | None


def join_wells(wells: pd.DataFrame, path: Path, options: ImportOptions, notes: Notes) -> pd.DataFrame:
    """Add the columns of a table to the metadata of wells.

    The columns to join on are found by what they hold: places such as A03, and the plates (or what the wells' metadata
    says of a whole plate, such as the name of its plate map). A table of plates has no places, a map that holds for
    every plate has no plates.

    Args:
        wells: metadata, text.
        path: the table.
        options: ``columns`` may name the wells' plate and well columns.
        notes: what was joined and what did not match is told.

    Returns:
        the metadata with the table's other columns; NaN in wells that the table does not name.

    Raises:
        UserError: the table shares nothing with the wells, or names a well twice.
    """
    table, name = read_text_table(path), Path(path).name
    keys = _find_keys(wells, table, name, options)
    ours = pd.Series([""] * len(wells), index=wells.index, dtype=object)
    theirs = pd.Series([""] * len(table), index=table.index, dtype=object)
    complete = pd.Series(True, index=table.index)
    used = []
    for pair, form in ((keys.plate, _plain), (keys.well, _place)):
        if pair:
            ours = ours + "\t" + wells[pair[0]].map(form, na_action="ignore").fillna("?")
            theirs = theirs + "\t" + table[pair[1]].map(form, na_action="ignore").fillna("")
            complete &= table[pair[1]].notna()
            used.append(f"'{pair[1]}' = '{pair[0]}'")
    table, theirs = table[complete], theirs[complete]
    new = table.drop(columns=[pair[1] for pair in (keys.plate, keys.well) if pair])
    _refuse_repeated(name, table, new, theirs)
    first = ~theirs.duplicated()
    lookup = new[first].set_axis(theirs[first].to_numpy(), axis=0)
    joined = lookup.reindex(ours.to_numpy()).set_axis(wells.index, axis=0)
    found = ours.isin(set(theirs)).to_numpy()
    if not found.any():
        raise UserError(f"{name}: joined on {' and '.join(used)}, but it names none of the {len(wells):,} wells")
    notes.guessed(f"{name}: joined on {' and '.join(used)}: {counted(int(found.sum()), 'well')} found")
    if not found.all():
        notes.noted(f"{name}: {counted(int((~found).sum()), 'well')} of the files are not in it", wells.index[~found])
    unused = ~lookup.index.isin(set(ours))
    if unused.any():
        notes.noted(f"{name}: {counted(int(unused.sum()), 'row')} of it are of no well of the files")
    replaced = [column for column in joined if column in wells and not joined[column].equals(wells[column])]
    if replaced:
        notes.noted(f"{name}: its columns replace those of the files", replaced)
    return pd.concat([wells.drop(columns=[column for column in joined if column in wells]), joined], axis=1)


def _find_keys(wells: pd.DataFrame, table: pd.DataFrame, name: str, options: ImportOptions) -> _Keys:
    stated = options.columns
    place = find_column(wells.columns, stated["well"], "--well") if "well" in stated else find_field(wells, "well")
    plate = find_column(wells.columns, stated["plate"], "--plate") if "plate" in stated else find_field(wells, "plate")
    well_pair = None
    if place:
        share, column = _best(wells[place], table, "well", _place)
        # Nearly all values of a column of places are places; a column of replicates shares none with them.
        if (
            column is not None
            and share > 0
            and table[column].dropna().map(lambda text: _place(text) != text.lower()).mean() > 0.5
        ):
            well_pair = (place, column)
    candidates = [plate] if plate else []
    if plate:
        of_plate = wells.groupby(plate, sort=False, dropna=False).nunique(dropna=False).max() <= 1
        candidates += [column for column in of_plate.index[of_plate] if column not in (plate, place)]
    best: tuple[float, tuple[str, str]] | None = None
    rest = table.drop(columns=[well_pair[1]] if well_pair else [])
    for ours in candidates:
        share, column = _best(wells[ours], rest, "plate", _plain)
        if column is not None and share > 0 and (best is None or share > best[0]):
            best = (share, (ours, column))
            if share == 1:
                break
    plate_pair = best[1] if best else None
    if plate_pair is None and well_pair is None:
        shown = f"plates such as '{wells[plate].dropna().iloc[0]}'" if plate else "wells"
        raise UserError(
            f"{name}: no column holds the {shown} of the files; its columns are {listed(table.columns, 6)} "
            "(name the files' columns with --plate and --well)"
        )
    if (
        plate_pair is None
        and plate
        and wells[plate].nunique() > 1
        and table[well_pair[1]].map(_place).duplicated().any()
    ):
        raise UserError(
            f"{name}: names wells more than once but no plate of the files, such as '{wells[plate].dropna().iloc[0]}'; "
            "add a column of plates"
        )
    if well_pair is None and table[plate_pair[1]].map(_plain).duplicated().any() and place is None:
        raise UserError(
            f"{name}: names a plate more than once, and the files name no wells; name their column with --well"
        )
    return _Keys(plate_pair, well_pair)


def _best(ours: pd.Series, table: pd.DataFrame, field: str, form) -> tuple[float, str | None]:
    """The column of the table that holds the most of our values, and their share; known names win a tie."""
    values = set(ours.dropna().map(form))
    best: tuple[float, bool, str | None] = (0.0, False, None)
    for column in table:
        held = set(table[column].dropna().map(form))
        score = (len(values & held) / max(1, len(values)), plain_name(column) in KNOWN[field], column)
        if score[:2] > best[:2] and score[0] > 0:
            best = score
    return best[0], best[2]


def _refuse_repeated(name: str, table: pd.DataFrame, new: pd.DataFrame, keys: pd.Series) -> None:
    rows = new.astype(str).agg("\t".join, axis=1) if new.shape[1] else pd.Series("", index=new.index)
    twice = keys.duplicated(keep=False)
    for key, lines in keys[twice].groupby(keys[twice], sort=False).groups.items():
        if rows.loc[lines].nunique() > 1:
            what = " ".join(part for part in key.split("\t") if part)
            raise UserError(f"{name}: lines {listed(lines, 2)} both describe {what}, differently; keep one of them")


def _plain(text: object) -> str:
    """A plate's name without the case of letters, and without ".0" that a spreadsheet adds to numbers."""
    return str(text).strip().lower().removesuffix(".0")


def _place(text: object) -> str:
    found = well_name(text)
    return found if found != str(text).strip() or np.any([c.isupper() for c in found]) else found.lower()
