"""Find out what was done to each well: plate, place, compound, dose, time, and whether it is a vehicle control."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from moa.data.schema import CONTROL
from moa.data.wells import format_well, well_name
from moa.errors import UserError
from moa.importing import quantities
from moa.importing.fields import choose_fields, find_field, plain_name
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles
from moa.importing.well_types import types_of
from moa.words import counted, listed

#: The column that combining files adds: the file of a well.
FILE = "Metadata_file"
#: Names of L1000 wells: the plate and the place on it.
_ID = re.compile(r"^(.+):([A-Za-z]{1,2}\d{2})$")
#: Broad ids with a batch; the compound is the group.
_BATCH = r"^(BRD-[A-Z]\d{8})-\d{3}-\d{2}-\d$"


@dataclass(frozen=True)
class Design:
    """What was done to the wells of some profiles.

    Attributes:
        table: indexed as the profiles; columns plate, well, compound (text, NaN where unknown), dose, time (numbers,
            NaN where missing), dose_level, time_level (text, where doses or times are words) and cp_type
            ("ctl_vehicle", "trt_cp" or "trt_poscon").
        fields: the column of the wells' metadata that each field was read from.
        dose_unit, time_unit: units of the numbers; empty if unknown.
    """

    table: pd.DataFrame
    fields: dict[str, str]
    dose_unit: str = ""
    time_unit: str = ""

    @property
    def controls(self) -> np.ndarray:
        """True for vehicle controls, shape (wells,)."""
        return (self.table["cp_type"] == CONTROL).to_numpy()

    def take(self, keep: np.ndarray) -> Design:
        """Only the wells where ``keep`` is true."""
        return replace(self, table=self.table[keep])

    def quantity(self, what: str) -> pd.Series:
        """The "dose" or "time" of the wells: words where the files hold words, otherwise numbers; NaN where missing."""
        words = self.table[f"{what}_level"]
        return words if words.notna().any() else self.table[what]


@dataclass(frozen=True)
class Plates:
    """Plates that can be compared with others: read, joined with their tables, normalised and complete."""

    profiles: Profiles  # without missing values
    design: Design  # of the same wells
    z_scores: bool  # whether the values are z-scores of expression


def with_places(profiles: Profiles, options: ImportOptions, notes: Notes) -> Profiles:
    """The profiles with the plates and places that the wells' names hold, where no column holds them, as in GCT 1.2.

    All names must be like "LJP005_A375_24H_X1_B19:A03".
    """
    wells = profiles.wells
    matches = [match for name in wells.index if (match := _ID.match(str(name)))]
    known = {"plate", "well"} & set(options.columns) or find_field(wells, "plate") or find_field(wells, "well")
    if known or len(matches) < len(wells):
        return profiles
    notes.guessed(f"plates and places are those of the wells' names, such as {wells.index[0]}")
    wells = wells.assign(Metadata_Plate=[match[1] for match in matches], Metadata_Well=[match[2] for match in matches])
    return replace(profiles, wells=wells)


def design(profiles: Profiles, options: ImportOptions, notes: Notes) -> tuple[Profiles, Design]:
    """Find out what was done to each well.

    Wells that are neither treated nor vehicle controls are dropped.

    Raises:
        UserError: an option names a column or a control that does not exist, a plate is missing, a dose is negative, or
            two rows are one well.
    """
    wells = profiles.wells
    fields = choose_fields(wells, options.columns, notes)
    table = pd.DataFrame({"plate": _plates(wells, fields, notes)}, index=wells.index, dtype=object)
    table["well"] = _places(wells, fields)
    _refuse_repeated(table, wells)
    table["compound"] = _compounds(wells, fields, notes)
    table["cp_type"] = types_of(wells, table["compound"], fields, options, notes)
    keep = table["cp_type"].notna().to_numpy()
    if not keep.any():
        raise UserError("no treated wells and no controls are left; see --compound and --control")
    profiles, table = profiles.take(keep), table[keep].copy()
    wells = profiles.wells
    control = table["cp_type"] == CONTROL
    table["compound"] = table["compound"].where(~(control & table["compound"].isna()), "vehicle")
    units = {}
    for what in ("dose", "time"):
        # The dose of a control is that of no compound; plates write 0, -666, "DMSO" or nothing.
        rows = wells[~control] if what == "dose" else wells
        table[what], table[f"{what}_level"], units[what] = _quantity(what, rows, table.index, fields, notes)
    # A treated well with dose 0 has no dose: models take the logarithm.
    table.loc[table["dose"] == 0, "dose"] = np.nan
    low = table["dose"] < 0
    if low.any():
        raise UserError(
            f"column '{fields['dose']}' holds {table.loc[low, 'dose'].iloc[0]:g} (well {table.index[low][0]}); "
            "expected doses above 0 (logarithms? give the doses themselves)"
        )
    table["dose"] = quantities.one_of_near(table["dose"], notes)
    return profiles, Design(table, fields, units["dose"], units["time"])


def _plates(wells: pd.DataFrame, fields: Mapping[str, str], notes: Notes) -> pd.Series:
    if "plate" not in fields:
        files = wells[FILE].map(lambda name: name.split(".")[0])
        notes.guessed("no column of plates was found, so each file is one plate; --plate names the column")
        return files
    plates = wells[fields["plate"]]
    if plates.isna().any():
        first = plates.index[plates.isna()][0]
        raise UserError(
            f"{wells.loc[first, FILE]}: column '{fields['plate']}' is empty in "
            f"{counted(int(plates.isna().sum()), 'well')} (first {first}); give every well its plate"
        )
    return plates


def _places(wells: pd.DataFrame, fields: Mapping[str, str]) -> pd.Series:
    if "well" in fields:
        return wells[fields["well"]].map(well_name, na_action="ignore")
    names = {plain_name(column): column for column in reversed(list(wells.columns))}
    row, column = names.get("row"), names.get("col", names.get("column"))
    if row and column and wells[[row, column]].notna().all(axis=None):
        return pd.Series([_place(*pair) for pair in wells[[row, column]].to_numpy()], index=wells.index, dtype=object)
    return pd.Series(np.nan, index=wells.index, dtype=object)


def _place(row: str, column: str) -> str:
    if row.isdigit() and column.isdigit() and int(row) and int(column):
        return format_well(int(row) - 1, int(column) - 1)
    return well_name(row + column)


def _refuse_repeated(table: pd.DataFrame, wells: pd.DataFrame) -> None:
    known = table[table["well"].notna()]
    twice = known.duplicated(["plate", "well"], keep=False)
    if not twice.any():
        return
    first = known[twice].iloc[0]
    same = known.index[(known["plate"] == first["plate"]) & (known["well"] == first["well"])]
    files = list(dict.fromkeys(wells.loc[same, FILE]))
    many = len(known) / len(known.drop_duplicates(["plate", "well"])) > 4
    fix = "aggregate single cells or sites to wells first" if many else "give each well once"
    raise UserError(
        f"{' and '.join(files[:2])}: plate {first['plate']}, well {first['well']} occurs {len(same)} times "
        f"({listed(same)}); {fix}"
    )


def _compounds(wells: pd.DataFrame, fields: Mapping[str, str], notes: Notes) -> pd.Series:
    """Compounds, NaN where unknown; Broad ids without the batch, so that all batches of a compound are one compound."""
    if "compound" not in fields:
        return pd.Series(np.nan, index=wells.index, dtype=object)
    compounds = wells[fields["compound"]]
    plain = compounds.astype(str).str.extract(_BATCH)[0]
    batched = plain.notna()
    if not batched.any():
        return compounds
    notes.noted(
        f"compounds are named by their Broad id without the batch, '{compounds[batched].iloc[0]}' as "
        f"'{plain[batched].iloc[0]}'"
    )
    return compounds.where(~batched, plain).astype(object)


def _quantity(
    what: str, wells: pd.DataFrame, index: pd.Index, fields: Mapping[str, str], notes: Notes
) -> tuple[pd.Series, pd.Series, str]:
    """Numbers of the wells of ``index``, words where the column holds words, and the unit."""
    nothing = pd.Series(np.nan, index=index)
    if what not in fields:
        return nothing, nothing.astype(object), ""
    column = fields[what]
    unit_column = fields.get(f"{what}_unit")
    parsed = quantities.parse(wells[column], column, what, notes, wells[unit_column] if unit_column else None)
    if parsed is None:
        return nothing, wells[column].reindex(index).astype(object), ""
    return parsed[0].reindex(index), nothing.astype(object), parsed[1]
