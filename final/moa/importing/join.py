"""Join a laboratory's own table (a plate map, a list of plates) to the wells, whatever its columns are called."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from moa.data.wells import parse_well, well_name
from moa.errors import UserError
from moa.importing.fields import KNOWN, find_column, find_field, plain_name
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.text_tables import read_text_table
from moa.words import counted, listed


@dataclass(frozen=True)
class _Keys:
    """Columns of the wells and of the table that hold the same plates and the same places."""

    plate: tuple[str, str] | None = None
    well: tuple[str, str] | None = None
    id: str | None = None


def join_wells(wells: pd.DataFrame, path: Path, options: ImportOptions, notes: Notes) -> pd.DataFrame:
    """Add the columns of a table to the metadata of wells.

    The columns to join on are found by what they hold: the names of the wells themselves, or places such as A03 and the
    plates (or what the wells' metadata says of a whole plate, such as the name of its plate map). A table of plates has
    no places, a map that holds for every plate has no plates. What was joined and what did not match is noted.

    Returns:
        the metadata with the table's other columns; NaN in wells that the table does not name.

    Raises:
        UserError: the table shares nothing with the wells, or names a well twice.
    """
    table, name = read_text_table(path), Path(path).name
    keys = _find_keys(wells, table, name, options, notes)
    ours = pd.Series("", index=wells.index, dtype=object)
    theirs = pd.Series("", index=table.index, dtype=object)
    complete = pd.Series(True, index=table.index)
    used = []
    if keys.id:
        ours, theirs = ours + wells.index.map(_plain), table[keys.id].map(_plain, na_action="ignore").fillna("")
        complete = table[keys.id].notna()
        used.append(f"'{keys.id}' = the names of the wells")
    for pair, form in ((keys.plate, _plain), (keys.well, _place)):
        if pair:
            ours = ours + "\t" + wells[pair[0]].map(form, na_action="ignore").fillna("?")
            theirs = theirs + "\t" + table[pair[1]].map(form, na_action="ignore").fillna("")
            complete &= table[pair[1]].notna()
            used.append(f"'{pair[1]}' = '{pair[0]}'")
    table, theirs = table[complete], theirs[complete]
    places = [keys.id] if keys.id else [pair[1] for pair in (keys.plate, keys.well) if pair]
    new = table if keys.id else table.drop(columns=places)
    _refuse_repeated(name, table[places], new, theirs)
    first = ~theirs.duplicated()
    lookup = new[first].set_axis(theirs[first].to_numpy(), axis=0)
    joined = lookup.reindex(ours.to_numpy()).set_axis(wells.index, axis=0)
    found = ours.isin(set(theirs)).to_numpy()
    if not found.any():
        raise UserError(f"{name}: joined on {' and '.join(used)}, but it names none of the {len(wells):,} wells")
    notes.guessed(f"{name}: joined on {' and '.join(used)}: {counted(int(found.sum()), 'well')} found")
    notes.noted(f"{name}: {counted(int((~found).sum()), 'well')} of the files are not in it", wells.index[~found])
    unused = ~lookup.index.isin(set(ours))
    if unused.any():
        notes.noted(f"{name}: {counted(int(unused.sum()), 'row')} of it are of no well of the files")
    replaced = [column for column in joined if column in wells and not joined[column].equals(wells[column])]
    notes.noted(f"{name}: its columns replace those of the files", replaced)
    return pd.concat([wells.drop(columns=[column for column in joined if column in wells]), joined], axis=1)


def _find_keys(wells: pd.DataFrame, table: pd.DataFrame, name: str, options: ImportOptions, notes: Notes) -> _Keys:
    stated = options.columns
    place = find_column(wells.columns, stated["well"], "--well") if "well" in stated else find_field(wells, "well")
    plate = find_column(wells.columns, stated["plate"], "--plate") if "plate" in stated else find_field(wells, "plate")
    share, column = _best(pd.Series(wells.index, index=wells.index), table, "id", _plain)
    if column is not None and share > 0.5:  # such as the tables of instances and signatures beside LINCS files
        return _Keys(id=column)
    well_pair = None
    if place:
        # A column of replicates, 1, 2 and 3, is no column of places even where the files count their wells.
        places = table[[column for column in table if table[column].dropna().map(parse_well).notna().mean() > 0.5]]
        share, column = _best(wells[place], places, "well", _place)
        well_pair = (place, column) if column is not None else None
    rest = table.drop(columns=[well_pair[1]] if well_pair else [])
    plate_pair, most = None, 0.0
    for ours in _plate_columns(wells, plate) if plate else []:
        share, column = _best(wells[ours], rest, "plate", _plain)
        if column is not None and share > most:
            plate_pair, most = (ours, column), share
    example = f"such as '{wells[plate].dropna().iloc[0]}'" if plate else ""
    theirs = find_field(rest, "plate")
    if plate_pair is None:
        if well_pair is None or (plate and theirs):
            held = f"column '{theirs}' holds none of" if theirs else "no column holds"
            what = f"the plates of the files, {example}" if plate else "the wells of the files"
            raise UserError(
                f"{name}: {held} {what}; its columns are {listed(table.columns, 6)} "
                "(--plate and --well name the files' columns)"
            )
        if plate and wells[plate].nunique() > 1:
            if table[well_pair[1]].map(_place).duplicated().any():
                raise UserError(f"{name}: names wells more than once but no plate of the files, {example}; add plates")
            notes.guessed(f"{name}: names no plates, so it holds for each of the {wells[plate].nunique():,} plates")
    elif well_pair is None and not place and table[plate_pair[1]].map(_plain).duplicated().any():
        raise UserError(f"{name}: names a plate twice, but the files name no wells; name their column with --well")
    return _Keys(plate_pair, well_pair)


def _plate_columns(wells: pd.DataFrame, plate: str) -> list[str]:
    """The column of plates, and others that say what a whole plate is, such as its barcode or plate map."""
    same = wells.groupby(plate, sort=False, dropna=False).nunique(dropna=False).max() <= 1
    named = [column for column in same.index[same] if re.search("plate|barcode|map", column, re.IGNORECASE)]
    return [plate, *(column for column in named if column != plate)]


def _best(ours: pd.Series, table: pd.DataFrame, field: str, form: Callable[[object], str]) -> tuple[float, str | None]:
    """The share of our values that the best column of the table holds, and this column; known names win a tie."""
    values = set(ours.dropna().map(form))
    best: tuple[float, bool, str | None] = (0.0, False, None)
    for column in table:
        held = set(table[column].dropna().map(form))
        score = (len(values & held) / max(1, len(values)), plain_name(column) in KNOWN.get(field, ()), column)
        if score[:2] > best[:2] and score[0] > 0:
            best = score
    return best[0], best[2]


def _refuse_repeated(name: str, places: pd.DataFrame, new: pd.DataFrame, keys: pd.Series) -> None:
    """Refuse two rows of one well that differ; equal rows do no harm."""
    twice = keys.duplicated(keep=False)
    distinct = new[twice].fillna("").assign(**{"\t": keys}).drop_duplicates()["\t"]
    differ = distinct[distinct.duplicated()]
    if len(differ):
        lines = keys.index[keys == differ.iloc[0]]
        what = " ".join(places.loc[lines[0]].astype(str))
        raise UserError(f"{name}: lines {listed(lines, 2)} both describe {what}, differently; keep one of them")


def _plain(text: object) -> str:
    """A plate's name without the case of letters, and without ".0" that a spreadsheet adds to numbers."""
    return str(text).strip().lower().removesuffix(".0")


def _place(text: object) -> str:
    return well_name(text).lower()
