"""Find out what was done to each well: plate, place, compound, dose, time, and whether it is a vehicle control."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from moa.data.compounds import salts, unite
from moa.data.schema import CONTROL
from moa.data.wells import place_of, well_name
from moa.errors import UserError
from moa.importing import quantities
from moa.importing.compounds import compounds_of, decide_compounds
from moa.importing.mapping import FIELDS, Compounds, Controls, Mapping, References
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles
from moa.importing.references import decide_references, group_names, plate_names
from moa.importing.vehicles import are_types
from moa.importing.well_types import WellFacts, decide_controls, stated_controls, types_of
from moa.words import counted, listed

#: The column that combining files adds: the file of a well.
FILE = "Metadata_file"
_Quantity = Literal["dose", "time"]
_QUANTITIES: tuple[_Quantity, ...] = get_args(_Quantity)


@dataclass(frozen=True)
class Design:
    """What was done to the wells of some profiles.

    Attributes:
        table: indexed as the profiles; columns plate, well, compound (text, NaN where unknown), dose, time (numbers,
            NaN where missing), dose_level, time_level (text, where doses or times are words), group (the wells that
            are compared with the same controls; usually the plate) and cp_type ("ctl_vehicle", "trt_cp" or
            "trt_poscon").
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

    def groups(self) -> Iterator[tuple[str, np.ndarray]]:
        """The reference groups: the name and the places of the wells of each."""
        for name, places in self.table.reset_index(drop=True).groupby("group", sort=False).groups.items():
            yield str(name), places.to_numpy()

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


def decide_wells(mapping: Mapping, profiles: Profiles, options: ImportOptions, notes: Notes) -> Mapping:
    """The mapping with rules for compounds, controls and reference groups, where it has none yet.

    Raises:
        UserError: ``--control`` names a column or a value that does not exist, or a plate is missing.
    """
    wells, quiet = profiles.wells, Notes()
    if mapping.column("control") is None and mapping.controls is None:
        mapping = _with_types(mapping, wells, notes)
    undecided = mapping.compounds is None or not mapping.compounds.decided
    if undecided:
        same = mapping.compounds.same if mapping.compounds else ()
        found = decide_compounds(mapping, wells, notes)
        mapping = mapping.with_(compounds=found.model_copy(update={"same": same}))
    facts = _facts(mapping, wells, quiet)
    if mapping.compounds and facts.compounds is not None:  # of these wells, also where a mapping of others is applied
        alike = tuple(salts(facts.compounds.dropna().unique()))
        mapping = mapping.with_(compounds=mapping.compounds.model_copy(update={"perhaps_same": alike}))
    if mapping.controls is None:
        controls = (
            stated_controls(options.control, wells, facts.names)
            if options.control
            else decide_controls(facts, mapping.column("control"), notes)
        )
        mapping = mapping.with_(controls=controls)
    if mapping.references in (None, References()):  # where nothing differed on plates before, it may on these
        kinds = _types(mapping, facts, wells, quiet)
        keep = kinds.notna().to_numpy()
        places = _places(wells, mapping)
        references = decide_references(
            mapping,
            _comparable(mapping, wells)[keep],
            facts.plates[keep],
            places[keep],
            (kinds[keep] == CONTROL).to_numpy(),
            FILE,
            notes,
        )
        _refuse_same_values(references, profiles, facts.plates, places)
        mapping = mapping.with_(references=references)
    return mapping


def design(profiles: Profiles, mapping: Mapping, notes: Notes) -> tuple[Profiles, Design]:
    """Find out what was done to each well, by a mapping that says how; see ``decide_wells``.

    Wells that are neither treated nor vehicle controls are dropped.

    Raises:
        UserError: a plate is missing, a dose is negative, two rows are one well, or the mapping does not fit the files.
    """
    wells = profiles.wells
    rule, references = mapping.compounds or Compounds(), mapping.references or References()
    facts = _facts(mapping, wells, notes)
    compared = _comparable(mapping, wells)
    table = pd.DataFrame(index=wells.index)
    table["plate"] = plate_names(facts.plates, compared, references.apart)
    table["well"] = _places(wells, mapping)
    _refuse_repeated(table, wells)
    table["group"] = group_names(table["plate"], compared, references.within)
    table["compound"] = facts.names
    table["cp_type"] = _types(mapping, facts, wells, notes)
    keep = table["cp_type"].notna().to_numpy()
    for what in _QUANTITIES:
        treated = keep & (table["cp_type"] != CONTROL).to_numpy()
        keep = keep & ~_mixed(what, wells, treated, mapping, notes)
    if not keep.any():
        raise UserError("no treated wells and no controls are left; see --compound and --control")
    profiles, table = profiles.take(keep), table[keep].copy()
    wells = profiles.wells
    control = table["cp_type"] == CONTROL
    table["compound"] = table["compound"].where(~(control & table["compound"].isna()), "vehicle")
    units = {}
    for what in _QUANTITIES:
        # The dose of a control is that of no compound; plates write 0, -666, "DMSO" or nothing.
        rows = wells[~control] if what == "dose" else wells
        table[what], table[f"{what}_level"], units[what] = _quantity(what, rows, table.index, mapping, notes)
    # A treated well with dose 0 has no dose: models take the logarithm.
    table.loc[table["dose"] == 0, "dose"] = np.nan
    low = table["dose"] < 0
    if low.any():
        raise UserError(
            f"column '{mapping.column('dose')}' holds {table.loc[low, 'dose'].iloc[0]:g} (well {table.index[low][0]}); "
            "expected doses above 0 (logarithms? give the doses themselves)"
        )
    table["dose"] = quantities.one_of_near(table["dose"], notes)
    columns = {str(field): mapping.column(field) for field in FIELDS} | {"compound": rule.column}
    fields = {field: column for field, column in columns.items() if column is not None}
    return profiles, Design(table, fields, units["dose"], units["time"])


def _with_types(mapping: Mapping, wells: pd.DataFrame, notes: Notes) -> Mapping:
    """The mapping with the role of a column of types for the first column of metadata whose values are such words."""
    for column, known in mapping.all_columns():
        if known.role == "metadata" and column in wells and are_types(wells[column].dropna().unique()):
            notes.guessed(f"column '{column}' says which wells are controls, by its values")
            return mapping.with_role(column, "control", "its values are types of wells")
    return mapping


def _facts(mapping: Mapping, wells: pd.DataFrame, notes: Notes) -> WellFacts:
    rule, (types, doses) = mapping.compounds or Compounds(), (mapping.column("control"), mapping.column("dose"))
    return WellFacts(
        plates=_plates(wells, mapping, notes),
        compounds=None if rule.column is None else compounds_of(rule, wells, notes),
        ids=None if rule.ids is None else wells[rule.ids],
        types=None if types is None else wells[types],
        doses=None if doses is None else wells[doses],
    )


def _types(mapping: Mapping, facts: WellFacts, wells: pd.DataFrame, notes: Notes) -> pd.Series:
    controls = mapping.controls or Controls()
    if controls.column is not None and controls.column not in wells:
        raise UserError(f"mapping: column '{controls.column}' of controls is not in the files; name it with --control")
    return types_of(facts, controls, None if controls.column is None else wells[controls.column], notes)


def _comparable(mapping: Mapping, wells: pd.DataFrame) -> pd.DataFrame:
    """The metadata with cell lines in one spelling and times as hours, so that "24" and "24 h" are one time."""
    changed: dict[str, pd.Series] = {}
    line, time = mapping.column("cell_line"), mapping.column("time")
    if line is not None and line in wells:
        changed[line] = unite(wells[line]).names
    if time is not None and time in wells:
        hours, words, _ = _quantity("time", wells, wells.index, mapping, Notes())
        times = hours.map(lambda value: f"{value:g} h", na_action="ignore").astype(object)
        changed[time] = times.where(words.isna(), words)
    return wells.assign(**changed)


def _refuse_same_values(references: References, profiles: Profiles, plates: pd.Series, places: pd.Series) -> None:
    """Refuse a well that stands in two files with the same values: one file is a copy."""
    if FILE not in references.apart:
        return
    keys = pd.DataFrame({"plate": plates, "place": places})[places.notna()]
    twice = keys[keys.duplicated(keep=False)]
    values = profiles.values.loc[twice.index].assign(**{" plate": twice["plate"], " well": twice["place"]})
    if values.duplicated().any():
        first = twice.iloc[0]
        files = profiles.wells.loc[twice.index[(twice == first).all(axis=1)], FILE]
        raise UserError(
            f"{' and '.join(files.iloc[:2])}: plate {first['plate']}, well {first['place']} has the same values in "
            "both; give each well once"
        )


def _plates(wells: pd.DataFrame, mapping: Mapping, notes: Notes) -> pd.Series:
    column = mapping.column("plate")
    if column is None:
        files = wells[FILE].map(lambda name: name.split(".")[0])
        notes.guessed("no column of plates was found, so each file is one plate; --plate names the column")
        return files
    plates = wells[column]
    if plates.isna().any():
        first = plates.index[plates.isna()][0]
        raise UserError(
            f"{wells.loc[first, FILE]}: column '{column}' is empty in "
            f"{counted(int(plates.isna().sum()), 'well')} (first {first}); give every well its plate"
        )
    return plates


def _places(wells: pd.DataFrame, mapping: Mapping) -> pd.Series:
    if well := mapping.column("well"):
        return wells[well].map(well_name, na_action="ignore")
    row, column = mapping.column("row"), mapping.column("column")
    if row and column and wells[[row, column]].notna().all(axis=None):
        return pd.Series([place_of(*pair) for pair in wells[[row, column]].to_numpy()], index=wells.index, dtype=object)
    return pd.Series(np.nan, index=wells.index, dtype=object)


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


def _mixed(what: _Quantity, wells: pd.DataFrame, treated: np.ndarray, mapping: Mapping, notes: Notes) -> np.ndarray:
    """Treated wells with several doses or times, where others have one: theirs is another treatment, shape (wells,)."""
    column = mapping.column(what)
    if column is None:
        return np.zeros(len(wells), bool)
    several = quantities.are_several(wells[column], what) & treated
    if (several == treated).all():
        return np.zeros(len(wells), bool)
    shown = listed(map(repr, sorted(set(wells.loc[several, column]))))
    notes.dropped(f"with several {what}s in '{column}' ({shown})", wells.index[several], "well")
    return several


def _quantity(
    what: _Quantity, wells: pd.DataFrame, index: pd.Index, mapping: Mapping, notes: Notes
) -> tuple[pd.Series, pd.Series, str]:
    """Numbers of the wells of ``index``, words where the column holds words, and the unit."""
    nothing = pd.Series(np.nan, index=index)
    column = mapping.column(what)
    if column is None:
        return nothing, nothing.astype(object), ""
    beside = mapping.column("dose_unit" if what == "dose" else "time_unit")
    units = wells[beside] if beside else None
    parsed = quantities.parse(wells[column], column, what, notes, units, mapping.unit(what))
    if parsed is None:
        return nothing, wells[column].reindex(index).astype(object), ""
    return parsed[0].reindex(index), nothing.astype(object), parsed[1]
