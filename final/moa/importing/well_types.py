"""Find out which wells are vehicle controls, which are treated and which are neither."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.data.compounds import compound_key
from moa.data.schema import CONTROL, TREATED
from moa.errors import UserError
from moa.importing.fields import find_column
from moa.importing.mapping import Controls
from moa.importing.notes import Notes
from moa.importing.vehicles import TREATED_WORDS, Kind, kind_of_compound, kind_of_type, word
from moa.words import counted, listed

#: The type of positive controls, which count as treated.
POSITIVE = "trt_poscon"
#: A compound in at least this many wells of each plate, all without a dose where others have one, is the vehicle.
MANY_WELLS = 6
#: Letters of a compound's name that, within a longer name, are no accident.
_LEAST_NAME = 5
_NO_DOSE = re.compile(r"[-+]?0*\.?0*(?:[eE][-+]?\d+)?\s*[^\d.]*")


@dataclass(frozen=True)
class WellFacts:
    """What is known of wells by which controls are recognised; all of them text, indexed alike, NaN where missing.

    Attributes:
        plates: the plate of each well.
        compounds: names of compounds; None: no column holds them.
        ids: structures or ids of compounds, where a column holds some.
        types: what kind of well it is, where a column says so.
        doses: doses as they are written, where a column holds some.
    """

    plates: pd.Series
    compounds: pd.Series | None = None
    ids: pd.Series | None = None
    types: pd.Series | None = None
    doses: pd.Series | None = None

    @property
    def names(self) -> pd.Series:
        """The compounds; NaN in all wells where no column holds them."""
        return _nothing(self.plates) if self.compounds is None else self.compounds


def stated_controls(text: str, wells: pd.DataFrame, compounds: pd.Series) -> Controls:
    """The controls that ``--control`` states: COLUMN=VALUE, COLUMN=VALUE,VALUE, or the name of a compound.

    Raises:
        UserError: there is no such column, or no well has such a value.
    """
    column, _, rest = text.rpartition("=")
    wanted = tuple(value.strip() for value in rest.split(",") if value.strip())
    name = find_column(wells.columns, column, "--control") if column else None
    values = compounds if name is None else wells[name]
    if not _among(values, wanted).any():
        raise UserError(
            f"--control: no well has '{', '.join(wanted)}' in {name or 'its compound'}; "
            f"there are {listed(sorted(set(values.dropna())), 6)}"
        )
    reason = "named by --control"
    if name is None:
        return Controls(names=wanted, stated=True, reason=reason)
    return Controls(column=name, values=wanted, stated=True, reason=reason)


def decide_controls(facts: WellFacts, column: str | None, notes: Notes) -> Controls:
    """How vehicles are recognised, by what is evident: words of types, names, codes, or many wells without a dose.

    ``column`` is that of the types, for the record.
    """
    kinds = _evident(facts, notes)
    vehicle, reason = kinds == "vehicle", "by words and names that mean a vehicle"
    if not vehicle.any() and (kinds == "untreated").any():
        vehicle, reason = kinds == "untreated", "untreated wells, since there are no vehicles"
        notes.guessed(f"no vehicle wells, so the {counted(int(vehicle.sum()), 'untreated well')} are the controls")
    if not vehicle.any():
        vehicle, reason = _without_dose(facts, notes), "many wells of each plate without a dose"
    if not vehicle.any():
        return Controls(column=column, reason="no vehicle was found")
    # The word "control" says less than the compound does.
    types = _nothing(facts.plates) if facts.types is None else facts.types
    typed = vehicle & ~_mapped(types, kind_of_type).isin(("treated", "control"))
    values, names = _distinct(types[typed]), _distinct(facts.names[vehicle & ~typed])
    return Controls(column=column if values else None, values=values, names=names, reason=reason)


def types_of(facts: WellFacts, controls: Controls, types: pd.Series | None, notes: Notes) -> pd.Series:
    """The type of each well: ctl_vehicle, trt_cp or trt_poscon; None for wells to drop.

    ``types`` is the column that the controls' values are of, if there is one.
    """
    kinds = _evident(facts, notes)
    vehicle = _among(facts.names, controls.names)
    if types is not None:
        vehicle |= _among(types, controls.values)
    if controls.stated:
        others = (kinds == "vehicle") & ~vehicle
        named = _distinct(facts.names[others])
        notes.dropped("wells that look like vehicles, but that --control does not name", named)
        kinds[others] = "other"
    kinds[vehicle] = "vehicle"
    for kind in ("empty", "untreated"):
        notes.dropped("that are neither treated nor vehicle", kinds.index[kinds == kind], f"{kind} well")
    if facts.compounds is not None:
        nameless = (kinds == "treated") & facts.names.isna()
        kinds[nameless] = "empty"
        notes.dropped("without a compound", kinds.index[nameless], "well")
        if facts.doses is not None:
            notes.noted(
                "wells without a compound have a dose; where one cell stands for several rows, as merged cells do, "
                "write the compound in each row",
                kinds.index[nameless & _have_dose(facts.doses)],
            )
    if not (kinds == "vehicle").any():
        notes.noted("no vehicle controls were found; --control COLUMN=VALUE names them" + _many_wells(facts))
    elif not controls.stated:
        notes.guessed("wells of these are vehicle controls; --control COLUMN=VALUE says otherwise", controls.names)
    positive = int((kinds == "positive").sum())
    if positive:
        notes.noted(f"{counted(positive, 'positive control')} count as treated wells")
    if facts.types is not None:
        others = facts.types[kinds == "treated"].dropna().map(word).value_counts()
        unknown = [f"{each} ({count})" for each, count in others.items() if each not in TREATED_WORDS]
        notes.guessed("wells of these types are treated", unknown)
    return kinds.map({"vehicle": CONTROL, "positive": POSITIVE, "treated": TREATED})


def _evident(facts: WellFacts, notes: Notes) -> pd.Series:
    """The kind of each well by its type, its compound's name and its compound's id; "control" is resolved."""
    by_name = _mapped(facts.names, kind_of_compound)
    if facts.ids is not None:
        by_id = _mapped(facts.ids, kind_of_compound)
        by_name = by_name.where(by_name != "treated", by_id)
    if facts.types is None:
        return by_name
    kinds = _mapped(facts.types, kind_of_type)
    kinds = kinds.where(kinds != "treated", by_name)
    unclear = kinds == "control"
    if unclear.any():
        held = by_name.where(facts.names.notna(), "vehicle")
        positive = unclear & held.isin(("treated", "positive"))
        kinds = kinds.where(~unclear, held).where(~positive, "positive")
        notes.guessed(
            "wells marked as controls that hold a compound are positive controls, so treated",
            _distinct(facts.names[positive]),
        )
    return kinds


def _mapped(values: pd.Series, kind: Callable[[object], Kind]) -> pd.Series:
    kinds = {value: kind(value) for value in values.dropna().unique()}
    return pd.Series([kinds.get(value, "treated") for value in values], values.index, dtype=object)


def _without_dose(facts: WellFacts, notes: Notes) -> pd.Series:
    """Wells of the one compound that stands in many wells of each plate, all without a dose where others have one."""
    none = pd.Series(False, facts.plates.index)
    if facts.compounds is None or facts.doses is None:
        return none
    dosed = set(facts.names[_have_dose(facts.doses)].dropna())
    counts = pd.crosstab(facts.plates, facts.names)
    found = [
        name
        for name in counts
        if name not in dosed and (counts[name] >= MANY_WELLS).all() and not _is_no_vehicle(name, dosed)
    ]
    if len(found) != 1 or not dosed:
        return none
    notes.guessed(
        f"'{found[0]}' is the vehicle: it stands in {MANY_WELLS} wells or more of each plate, always without a dose; "
        "--control NAME says otherwise"
    )
    return facts.names == found[0]


def _have_dose(doses: pd.Series) -> pd.Series:
    """Whether each well has a dose, other than 0."""
    return doses.map(lambda dose: not _NO_DOSE.fullmatch(str(dose)), na_action="ignore").eq(True)


def _is_no_vehicle(name: str, dosed: Iterable[str]) -> bool:
    """Whether a name is that of a positive control or an empty well, or holds that of a compound with doses."""
    if kind_of_compound(name) != "treated":
        return True
    key = compound_key(name)
    return any(len(other) >= _LEAST_NAME and other in key for other in map(compound_key, dosed))


def _many_wells(facts: WellFacts) -> str:
    """A hint at the compound that stands in far more wells than the others, if there is one."""
    counts = facts.names.value_counts()
    if len(counts) < 3 or counts.iloc[0] < MANY_WELLS or counts.iloc[0] < 4 * counts.iloc[1]:
        return ""
    return f" ('{counts.index[0]}' stands in {counts.iloc[0]} wells, '{counts.index[1]}' in {counts.iloc[1]})"


def _among(values: pd.Series, wanted: Iterable[str]) -> pd.Series:
    """Whether each value is one of those wanted, however spelt."""
    keys = {compound_key(value) for value in wanted}
    same = {value for value in values.dropna().unique() if compound_key(value) in keys}
    return values.isin(same)


def _nothing(like: pd.Series) -> pd.Series:
    return pd.Series(np.nan, like.index, dtype=object)


def _distinct(values: pd.Series) -> tuple[str, ...]:
    return tuple(sorted(set(values.dropna())))
