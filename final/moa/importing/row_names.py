"""Read plates and places from the names of wells, where no column holds them."""

from __future__ import annotations

import re
from dataclasses import replace

from moa.data.wells import parse_well, well_name
from moa.importing.mapping import Column, Mapping, Role
from moa.importing.notes import Notes
from moa.importing.profiles import Profiles

#: Names such as "LJP005_A375_24H_X1_B19:A03" and "P1_A03": the plate, and the place on it.
_ID = re.compile(r"^(.+)[:_ -]([A-Za-z]{1,2}\d{2})$")
#: The columns that are made, and why they are what they are.
COLUMNS: dict[str, Role] = {"Metadata_Plate": "plate", "Metadata_Well": "well"}
FROM_NAMES = "from the names of the wells"


def with_places(profiles: Profiles, mapping: Mapping, notes: Notes) -> tuple[Profiles, Mapping]:
    """The profiles with the plates and places that the wells' names hold, where no column of the files holds them.

    All names must have the same form, a plate and a place, as in GCT 1.2, or a place alone. The mapping gets the
    columns' roles.
    """
    known = {column.role for column in mapping.columns.values() if column.reason != FROM_NAMES}
    names = [str(name) for name in profiles.wells.index]
    if {"plate", "well"} & known:
        return profiles, mapping
    found = [_ID.match(name) for name in names]
    if all(found):
        made = [[match[1] for match in found if match], [well_name(match[2]) for match in found if match]]
        columns = dict(zip(COLUMNS, made, strict=True))
    elif all(map(parse_well, names)):
        columns = {"Metadata_Well": [well_name(name) for name in names]}
    else:
        return profiles, mapping
    notes.guessed(f"plates and places are those of the wells' names, such as {names[0]}")
    roles = {column: Column(role=COLUMNS[column], reason=FROM_NAMES) for column in columns}
    tables = tuple(
        table.model_copy(
            update={
                "columns": {
                    name: column.model_copy(update={"role": "metadata"}) if column.role in ("plate", "well") else column
                    for name, column in table.columns.items()
                }
            }
        )
        for table in mapping.tables
    )
    wells = profiles.wells.assign(**columns)
    return replace(profiles, wells=wells), mapping.with_(columns=mapping.columns | roles, tables=tables)
