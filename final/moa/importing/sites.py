"""Average the rows of a well where a table has several, such as one for each imaged site."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from moa.data.wells import well_name
from moa.errors import UserError
from moa.importing.design import FILE
from moa.importing.mapping import FieldRole, Mapping
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles
from moa.importing.references import runs_apart
from moa.words import counted, listed

#: What is the same in all rows of a well.
_TREATMENT: tuple[FieldRole, ...] = ("compound", "dose")


def with_one_row_each(profiles: Profiles, mapping: Mapping, options: ImportOptions, notes: Notes) -> Profiles:
    """The profiles with one row for each well of a file: the mean of its rows, if ``--sites average`` asks for it.

    Of metadata that differs between the rows of a well nothing is left.

    Raises:
        UserError: a file has several rows of a well, and the mean is not asked for.
    """
    keys = _keys(profiles.wells, mapping)
    twice = keys.duplicated(keep=False) & keys.notna()
    if not twice.any():
        return profiles
    first = keys[twice].iloc[0]
    same = keys.index[keys == first]
    if options.sites != "average":
        _, file, plate, well = first.split("\t")
        plates = f"plate {plate}, " if plate else ""
        other = "" if plate else "name the column of plates with --plate, "
        many = len(keys) / keys.nunique() > 4
        cells = "aggregate single cells to wells first, or average sites" if many else "average a well's sites"
        raise UserError(
            f"{file}: {plates}well {well} occurs {len(same)} times ({listed(same)}); {other}{cells} with --sites "
            "average, or give each well once"
        )
    keys = keys.where(keys.notna(), keys.index.to_series())
    order = keys.drop_duplicates()
    means = (
        profiles.values.groupby(keys.to_numpy(), sort=False).mean().loc[order.to_numpy()].set_axis(order.index, axis=0)
    )
    groups = profiles.wells.groupby(keys.to_numpy(), sort=False)
    differ = (groups.nunique(dropna=False) > 1).loc[order.to_numpy()].set_axis(order.index, axis=0)
    _refuse_other_treatments(differ, mapping)
    wells = profiles.wells.loc[order.index].mask(differ, np.nan)
    notes.noted(
        f"{counted(len(profiles.values), 'row')} are sites of {counted(len(means), 'well')}: their values are averaged"
    )
    notes.aside("columns that differ between the sites of a well are empty there", list(differ.columns[differ.any()]))
    return replace(profiles, values=means.astype(profiles.values.to_numpy().dtype), wells=wells)


def _refuse_other_treatments(differ: pd.DataFrame, mapping: Mapping) -> None:
    """Refuse rows of a well that were treated differently: they are wells of several plates."""
    for role in _TREATMENT:
        column = mapping.column(role)
        if column in differ and differ[column].any():
            raise UserError(
                f"--sites average: rows of {differ.index[differ[column]][0]} differ in '{column}' ({role}), so they "
                "are no sites of one well; name the column that tells them apart, such as that of plates with --plate"
            )


def _keys(wells: pd.DataFrame, mapping: Mapping) -> pd.Series:
    """What a row is a row of: batch, file, plate and well; missing where no well is known."""
    well = mapping.column("well")
    if well is None or well not in wells:
        return pd.Series(np.nan, index=wells.index, dtype=object)
    plate = mapping.column("plate")
    plates = wells[plate if plate in wells else FILE]
    places = wells[well].map(well_name, na_action="ignore")
    stated = mapping.references.apart if mapping.references else runs_apart(mapping, wells, plates, places, FILE)
    apart = [column for column in stated if column in wells]
    keys = pd.Series(["|".join(map(str, row)) for row in wells[apart].to_numpy()], index=wells.index, dtype=object)
    keys = keys + "\t" + wells[FILE].astype(str) + "\t"
    keys = keys + (wells[plate].astype(str) if plate in wells else "") + "\t"
    return keys + places
