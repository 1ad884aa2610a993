"""Find the mechanisms of wells in a table of them, by compound or by compound and dose."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.data.compounds import compound_key, name_key
from moa.errors import UserError
from moa.importing import quantities
from moa.importing.compounds import key_of
from moa.importing.design import FILE, Design
from moa.importing.headings import plain_name
from moa.importing.mapping import FieldRole, Mapping, Mechanisms
from moa.importing.mechanism_names import split_cells
from moa.importing.notes import Notes
from moa.words import counted, listed

#: Columns of the Drug Repurposing Hub and the like, in which a name on several lines has what all of them say.
_REGISTRY = frozenset({"clinical_phase", "disease_area"})


@dataclass(frozen=True)
class _Line:
    """What one line of the table says of a compound."""

    number: int  # of the line in the file
    dose: float  # NaN: at any dose
    names: tuple[str, ...]


def column_of(mapping: Mapping, table: pd.DataFrame, role: FieldRole) -> str | None:
    """The table's column of a role; None if there is none."""
    columns = mapping.mechanisms_table.columns if mapping.mechanisms_table else {}
    return next((name for name, column in columns.items() if column.role == role and name in table), None)


def identifying(
    mapping: Mapping, wells: pd.DataFrame, design: Design, table: pd.DataFrame, mechanism: str, name: str
) -> tuple[pd.Series, str]:
    """The wells' names or ids of compounds, and the table's column, that agree on the most compounds.

    Raises:
        UserError: no column of the table holds a compound of the wells.
    """
    compound, treated = design.fields.get("compound"), ~design.controls
    ids = [mapping.compounds.ids] if mapping.compounds and mapping.compounds.ids else []
    known = dict.fromkeys([*ids, *mapping.columns_of("identifier")])
    others = [column for column in known if column in wells and column != compound]
    candidates = [] if compound is None else [design.table["compound"], wells[compound]]
    candidates += [wells[column] for column in others]
    if not candidates:
        columns = listed([column for column in wells if column != FILE], 6)
        raise UserError(
            f"{name}: the wells' compounds are unknown; name their column with --compound (the wells have {columns})"
        )
    key = key_of(mapping.compounds)
    theirs = {column: set(table[column].dropna().map(key)) for column in table if column != mechanism}
    most, best = 0, None
    for values in candidates:
        ours = set(values[treated].dropna().map(key))
        for column, held in theirs.items():
            if len(ours & held) > most:
                most, best = len(ours & held), (values, column)
    if best is None:
        example = candidates[0][treated].dropna()
        shown = f", such as '{example.iloc[0]}'" if len(example) else ""
        raise UserError(
            f"{name}: none of its columns ({listed(table.columns, 6)}) holds a compound of the wells{shown}; "
            "name the wells' column with --compound"
        )
    return best


def from_table(
    rule: Mechanisms,
    ours: pd.Series,
    mapping: Mapping,
    design: Design,
    table: pd.DataFrame,
    name: str,
    notes: Notes,
) -> list[tuple[str, ...]]:
    """Mechanisms of each well, empty where none is known.

    Args:
        rule: the columns of the table, and what stands between several mechanisms.
        ours: the wells' names or ids that the table is joined by.
        mapping: has the units of the table's headings.
        design: what was done to the wells.
        table: indexed by the line of each row.
        name: that of the table's file.
        notes: what was found is noted.

    Raises:
        UserError: units differ, no dose of the wells is in the table, or lines of a compound contradict each other.
    """
    assert rule.column is not None
    theirs, dose = rule.by[0], rule.by[1] if len(rule.by) > 1 else None
    treated = ~design.controls
    key_for = key_of(mapping.compounds)
    keys = table[theirs].map(key_for, na_action="ignore")
    doses = None if dose is None else _doses(dose, mapping, design, table, name, notes)
    texts = split_cells(list(table[rule.column]), rule.separators, rule.stated)
    lines: dict[str, list[_Line]] = defaultdict(list)
    for number, key, at, names in zip(
        table.index, keys, np.full(len(table), np.nan) if doses is None else doses, texts, strict=True
    ):
        if not pd.isna(key):
            lines[key].append(_Line(number, at, names))
    mine = ours.map(key_for, na_action="ignore")
    known = set(mine[treated].dropna())
    spelt = table[theirs].groupby(table[theirs].map(compound_key, na_action="ignore")).nunique()
    merged = [key for key in spelt.index[spelt > 1] if key in known]
    notes.noted(f"{name}: names that differ in case or punctuation alone are one compound", merged)
    how = f"compound ('{theirs}')" if doses is None else f"compound and dose ('{theirs}', '{dose}')"
    hits = sum(key in lines for key in known)
    notes.guessed(f"{name}: mechanisms in '{rule.column}' by {how}: {hits} of {counted(len(known), 'compound')} found")
    several = bool(_REGISTRY.intersection(map(plain_name, table)))
    for key in sorted(known & set(lines)):
        if not several:
            _refuse_contradiction(lines[key], table, theirs, dose if doses is None else None, name)
    # All wells of a compound have what any of its names has, so that labels do not differ by spelling.
    names_of: dict[object, set[str]] = defaultdict(set)
    for compound, key in zip(design.table["compound"], mine, strict=True):
        if not pd.isna(key) and key in lines and not pd.isna(compound):
            names_of[compound].add(key)
    result: list[tuple[str, ...]] = []
    matched = False
    wells = zip(design.table["compound"], mine, design.table["dose"], treated, strict=True)
    for compound, key, at, is_treated in wells:
        own = {key} if not pd.isna(key) and key in lines else set()
        names_of_it = sorted(own | names_of.get(compound, set())) if is_treated else []
        found = [line for each in names_of_it for line in lines[each]]
        if doses is not None:
            matched |= bool(found and (found := _at_dose(found, at)))
        result.append(tuple(dict.fromkeys(each for line in found for each in line.names)))
    if doses is not None and not matched and hits:
        theirs_at, ours_at = (float(pd.Series(each).dropna().iloc[0]) for each in (doses, design.table["dose"]))
        raise UserError(
            f"{name}: none of its doses ('{dose}', such as {theirs_at:g}) is one of the wells' (such as {ours_at:g}); "
            "are they in the same unit? write the units"
        )
    return result


def _doses(
    dose: str, mapping: Mapping, design: Design, table: pd.DataFrame, name: str, notes: Notes
) -> np.ndarray | None:
    """Doses of the table's lines in the wells' unit, shape (lines,); None if they cannot be used."""
    if not design.table["dose"].notna().any():
        notes.noted(f"{name}: its doses ('{dose}') are not used, since the wells' doses are unknown")
        return None
    beside = column_of(mapping, table, "dose_unit")
    stated = mapping.mechanisms_table.columns[dose].unit if mapping.mechanisms_table else ""
    parsed = quantities.parse(table[dose], dose, "dose", notes, table[beside] if beside else None, stated)
    if parsed is None:
        notes.noted(f"{name}: its doses ('{dose}') are words and are not used")
        return None
    unit = parsed[1]
    if unit and design.dose_unit and unit != design.dose_unit:
        raise UserError(
            f"{name}: its doses ('{dose}') are in {unit}, those of the wells in {design.dose_unit}, which cannot be "
            "compared; give both in one unit, or one line for each compound without a dose"
        )
    if bool(unit) != bool(design.dose_unit):
        known = f"the table's are in {unit}" if unit else f"the wells' are in {design.dose_unit}"
        notes.guessed(f"{name}: doses without a unit are in the same unit as the others: {known}")
    return parsed[0].to_numpy(np.float64)


def _at_dose(lines: list[_Line], dose: float) -> list[_Line]:
    """Lines of the nearest dose within rounding; lines without a dose hold at any."""
    stated = np.array([line.dose for line in lines if np.isfinite(line.dose)])
    near = quantities.nearest(dose, stated)
    return [line for line in lines if not np.isfinite(line.dose) or line.dose == near]


def _refuse_contradiction(lines: list[_Line], table: pd.DataFrame, theirs: str, unused: str | None, name: str) -> None:
    """Refuse lines of a compound, at one dose where lines have doses, that name different mechanisms."""
    first: dict[float, _Line] = {}
    for line in lines:
        if not line.names:
            continue
        at = line.dose if np.isfinite(line.dose) else np.inf
        other = first.setdefault(at, line)
        if {*map(name_key, other.names)} != {*map(name_key, line.names)}:
            where = f" at dose {line.dose:g}" if np.isfinite(line.dose) else ""
            names = [str(table.loc[each.number, theirs]) for each in (other, line)]
            spelt = listed({compound_key(each): f"'{each}'" for each in names}.values(), joint=" and ")
            why = f", and its doses ('{unused}') cannot be used" if unused else ""
            raise UserError(
                f"{name}: lines {other.number} and {line.number} give {spelt} different "
                f"mechanisms{where} ('{'|'.join(other.names)}', '{'|'.join(line.names)}'){why}; give a column of doses "
                "that are also in the wells, or one line with | between the mechanisms"
            )
