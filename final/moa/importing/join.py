"""Join a laboratory's own table (a plate map, a list of plates) to the wells, whatever its columns are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Literal

import pandas as pd

from moa.data.wells import parse_well, well_name
from moa.errors import UserError
from moa.importing.headings import plain_name
from moa.importing.mapping import Join, Mapping
from moa.importing.notes import Notes
from moa.words import counted, listed

#: What a pair of columns holds: names of wells, plates, or places on a plate.
_Kind = Literal["name", "plate", "well"]
#: Names of columns that say what they hold.
_NAMED = {"plate": re.compile("plate|barcode"), "well": re.compile("well|position")}
#: A number as a name: of a plate "7", "007" or, from a spreadsheet, "7.0".
_NUMBER = re.compile(r"0*(\d+)(?:\.0+)?")


def decide_join(mapping: Mapping, wells: pd.DataFrame, table: pd.DataFrame, name: str, notes: Notes) -> Join:
    """The columns that wells and a table are joined on, found by what they hold.

    These are the names of the wells themselves, or places such as A03 and the plates (or what the wells' metadata says
    of a whole plate, such as the name of its plate map). A table of plates has no places, a map that holds for every
    plate has no plates.

    Raises:
        UserError: the table shares nothing with the wells.
    """
    place, plate = mapping.column("well"), mapping.column("plate")
    place, plate = (column if column in wells else None for column in (place, plate))
    share, column = _best(pd.Series(wells.index, index=wells.index), table, "name")
    if column is not None and share > 0.5:  # such as the tables of instances and signatures beside LINCS files
        return Join(table=name, wells=("",), on=(column,), reason="holds the names of the wells")
    well_pair = None
    if place:
        # A column of replicates, 1, 2 and 3, is no column of places even where the files count their wells.
        places = table[[column for column in table if table[column].dropna().map(parse_well).notna().mean() > 0.5]]
        _, column = _best(wells[place], places, "well")
        well_pair = (place, column) if column is not None else None
    rest = table.drop(columns=[well_pair[1]] if well_pair else [])
    plate_pair, most = None, 0.0
    for ours in _plate_columns(wells, plate) if plate else []:
        share, column = _best(wells[ours], rest, "plate")
        if column is not None and share > most:
            plate_pair, most = (ours, column), share
    example = f"such as '{wells[plate].dropna().iloc[0]}'" if plate else ""
    theirs = next((column for column in rest if _is_named(column, "plate")), None)
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
            _refuse_second_map(mapping, table, name, well_pair)
            notes.guessed(f"{name}: names no plates, so it holds for each of the {wells[plate].nunique():,} plates")
    elif well_pair is None and place and _differ(table, plate_pair[1]):
        ours = wells[place].dropna().iloc[0]
        theirs = next(
            (f" (its column '{each}' holds '{rest[each].iloc[0]}')" for each in rest if _is_named(each, "well")), ""
        )
        raise UserError(
            f"{name}: no column holds places on a plate as the files' '{place}' does, such as '{ours}'{theirs}; write "
            "them in one way, such as A01"
        )
    elif well_pair is None and not place and table[plate_pair[1]].map(_plain).duplicated().any():
        raise UserError(f"{name}: names a plate twice, but the files name no wells; name their column with --well")
    pairs = [pair for pair in (plate_pair, well_pair) if pair]
    return Join(
        table=name,
        wells=tuple(ours for ours, _ in pairs),
        on=tuple(column for _, column in pairs),
        reason="hold the same plates and places" if len(pairs) > 1 else "hold the same",
    )


def join_wells(
    wells: pd.DataFrame, table: pd.DataFrame, join: Join, mapping: Mapping, notes: Notes, earlier: Collection[str] = ()
) -> pd.DataFrame:
    """Add the columns of a table to the metadata of wells; what was joined and what did not match is noted.

    Plates, places and names are compared however they are written: "7" is "007", "a3" is "A03". Columns of ``earlier``
    tables keep what they say of wells that this one does not name.

    Returns:
        the metadata with the table's other columns; NaN in wells that the table does not name.

    Raises:
        UserError: the table lacks a column of the join, names none of the wells, or names a well twice.
    """
    name, by_name = join.table, "" in join.wells
    for column, frame, what in [
        *((c, wells, "the files") for c in join.wells if c),
        *((c, table, name) for c in join.on),
    ]:
        if column not in frame:
            raise UserError(f"mapping: joins {name} on column '{column}', which is not in {what}; name it as it was")
    ours = pd.Series("", index=wells.index, dtype=object)
    theirs = pd.Series("", index=table.index, dtype=object)
    complete = pd.Series(True, index=table.index)
    used = []
    for mine, column in zip(join.wells, join.on, strict=True):
        values = wells[mine] if mine else pd.Series(wells.index, index=wells.index)
        form = _form(values, table[column], _kind(mine, mapping))
        ours = ours + "\t" + values.map(form, na_action="ignore").fillna("?")
        theirs = theirs + "\t" + table[column].map(form, na_action="ignore").fillna("")
        complete &= table[column].notna()
        used.append(f"'{column}' = '{mine}'" if mine else f"'{column}' = the names of the wells")
    table, theirs = table[complete], theirs[complete]
    new = table if by_name else table.drop(columns=list(join.on))
    _refuse_repeated(name, table[list(join.on)], new, theirs)
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
    # Of two maps with a plate each, the second says nothing of the first one's wells.
    kept = [column for column in joined if column in wells and column in earlier]
    joined = joined.assign(**{column: joined[column].where(found, wells[column]) for column in kept})
    replaced = [
        column
        for column in joined
        if column in wells and (wells[column].notna() & (joined[column] != wells[column])).any()
    ]
    notes.noted(f"{name}: its columns replace those of the files", replaced)
    return pd.concat([wells.drop(columns=[column for column in joined if column in wells]), joined], axis=1)


def _differ(table: pd.DataFrame, plate: str) -> bool:
    """Whether a table says several things of a plate."""
    return bool(table.drop_duplicates()[plate].map(_plain).duplicated().any())


def _refuse_second_map(mapping: Mapping, table: pd.DataFrame, name: str, pair: tuple[str, str]) -> None:
    """Refuse a map that holds for every plate and says what another one says, which it would replace."""
    earlier = {join.table: join for join in mapping.joins if join.wells == (pair[0],)}
    for known in mapping.tables:
        if known.name in earlier and (set(known.columns) - set(earlier[known.name].on)) & (set(table) - {pair[1]}):
            raise UserError(
                f"{known.name} and {name} name no plates, so each would hold for all; write a column of plates in both"
            )


def _kind(column: str, mapping: Mapping) -> _Kind:
    return "name" if not column else "well" if column == mapping.column("well") else "plate"


def _is_named(column: str, kind: _Kind) -> bool:
    return kind in _NAMED and bool(_NAMED[kind].search(plain_name(column)))


def _plate_columns(wells: pd.DataFrame, plate: str) -> list[str]:
    """The column of plates, and others that say what a whole plate is, such as its barcode or plate map."""
    same = wells.groupby(plate, sort=False, dropna=False).nunique(dropna=False).max() <= 1
    named = [column for column in same.index[same] if re.search("plate|barcode|map", column, re.IGNORECASE)]
    return [plate, *(column for column in named if column != plate)]


def _best(ours: pd.Series, table: pd.DataFrame, kind: _Kind) -> tuple[float, str | None]:
    """The share of our values that the best column of the table holds, and this column; known names win a tie."""
    best: tuple[float, bool, str | None] = (0.0, False, None)
    for column in table:
        form = _form(ours, table[column], kind)
        values, held = set(ours.dropna().map(form)), set(table[column].dropna().map(form))
        score = (len(values & held) / max(1, len(values)), _is_named(column, kind), column)
        if score[:2] > best[:2] and score[0] > 0:
            best = score
    return best[0], best[2]


def _form(ours: pd.Series, theirs: pd.Series, kind: _Kind) -> Callable[[object], str]:
    """How values of two columns are written so that those that are the same are equal.

    Numbers are compared as numbers, unless a column uses "7" and "007" for two things.
    """
    if kind == "well":
        return _place
    for values in (ours, theirs):
        distinct = pd.Series(values.dropna().map(_plain).unique(), dtype=object)
        if distinct.map(_number).nunique() < len(distinct):
            return _plain
    return _number


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


def _number(text: object) -> str:
    """A plate's name in the same way; of one that is a number, without zeros in front."""
    plain = _plain(text)
    number = _NUMBER.fullmatch(plain)
    return number[1] if number else plain


def _place(text: object) -> str:
    return well_name(text).lower()
