"""Choose the conditions that models take, of dose, time and other columns, with their values in each well."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.data.assay import Condition
from moa.data.schema import CP_DOSE, CP_TIME, CP_TYPE, SIG_ID
from moa.errors import UserError
from moa.importing.design import Design
from moa.importing.fields import find_column, plain_name
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions, setting
from moa.importing.profiles import Profiles
from moa.words import counted, listed

#: Dose or time is a condition by default only if this share of the treated wells has one.
_MOST_HAVE = 0.9
#: The batch with which names of plates start.
_BATCH = r"^(week|batch|run|day|experiment|exp|set)[-_ ]?\d+(?=[-_ ])"
_COLUMNS = {"dose": CP_DOSE, "time": CP_TIME}


@dataclass(frozen=True)
class Conditions:
    """Conditions of an assay and their values."""

    conditions: tuple[Condition, ...]
    table: pd.DataFrame  # their columns, indexed as the wells; numbers (NaN in controls) or text
    complete: np.ndarray  # True for wells that have all of them, shape (wells,)


def choose_conditions(profiles: Profiles, design: Design, options: ImportOptions, notes: Notes) -> Conditions:
    """Choose the conditions: those that the user names, or dose and time where they vary.

    A dose is a number that models take as its logarithm; times, and doses given as words, are levels.

    Raises:
        UserError: a named condition is unknown.
    """
    wanted = options.conditions
    names = list(_COLUMNS) if wanted is None else [name for name in wanted if name != "none"]
    table = pd.DataFrame(index=profiles.wells.index)
    complete = np.ones(len(table), bool)
    conditions: list[Condition] = []
    for name in names:
        if name in _COLUMNS:
            values = design.quantity(name)
        else:
            values = profiles.wells[find_column(profiles.wells.columns, name, "conditions")]
        treated = values[~design.controls]
        if wanted is None and not _varies(name, treated, design, notes):
            continue
        if not treated.notna().any():
            raise UserError(f"conditions {name}: no treated well has a {name}")
        column = _COLUMNS.get(name, plain_name(name))
        if column in profiles.features.index or column in (SIG_ID, CP_TYPE):
            raise UserError(f"conditions {name}: '{column}' is the name of another column; rename it in the file")
        if pd.api.types.is_float_dtype(values) and name == "dose":
            condition = Condition(name=name, column=column, numeric="log10")
        else:
            values = _levels(name, values, design, notes)
            condition = Condition(name=name, column=column, levels=tuple(_ordered(values.dropna().unique())))
        remark = f" ({setting('conditions', 'none')} keeps them)"
        complete &= wells_with(condition, values, design.controls, remark, notes)
        table[column] = values
        conditions.append(condition)
    return Conditions(tuple(conditions), table, complete)


def wells_with(condition: Condition, values: pd.Series, controls: np.ndarray, remark: str, notes: Notes) -> np.ndarray:
    """Which wells have a condition's value, shape (wells,); a control needs a level but no number.

    The others are noted as dropped; ``remark`` ends the note.
    """
    lacking = values.isna().to_numpy() & (~controls if condition.levels is None else True)
    notes.dropped(f"without a {condition.name}{remark}", values.index[lacking], "well")
    return ~lacking


def _varies(name: str, treated: pd.Series, design: Design, notes: Notes) -> bool:
    if name not in design.fields:
        return False
    values, share = treated.dropna().unique(), treated.notna().mean() if len(treated) else 0.0
    if len(values) < 2:
        if len(values):
            notes.noted(f"{name}: {as_level(values[0])} in every treated well, so it is no condition of the models")
        return False
    if share < _MOST_HAVE:
        notes.noted(
            f"{name}: {1 - share:.0%} of the treated wells have none, so no condition; {setting('conditions', name)} "
            "takes it"
        )
        return False
    return True


def _levels(name: str, values: pd.Series, design: Design, notes: Notes) -> pd.Series:
    """Values as text; a control without one gets that of its plate."""
    text = values.map(as_level, na_action="ignore").astype(object)
    lacking = text.isna() & design.controls
    if lacking.any():
        usual = text.groupby(design.table["plate"]).agg(
            lambda each: each.mode().iloc[0] if each.notna().any() else np.nan
        )
        text = text.where(~lacking, design.table["plate"].map(usual))
        notes.noted(f"{counted(int(lacking.sum()), 'control')} without a {name} get that of most wells of their plate")
    return text


def as_level(value: object) -> str:
    """A level as text: 24.0 hours as "24"."""
    return f"{value:g}" if isinstance(value, (int, float, np.number)) else str(value)


def _ordered(levels: np.ndarray) -> list[str]:
    """Levels in the order of their numbers, if they are numbers, otherwise of the alphabet."""
    try:
        return sorted(levels, key=float)
    except ValueError:
        return sorted(levels)


def batches(plates: pd.Series, pattern: str | None, notes: Notes) -> pd.DataFrame:
    """Columns from the plates' names, such as the week of "Week10_40111"; ``plates`` has the name for each well.

    ``pattern`` is a regular expression with named groups; None: a word such as week, batch, run or day with a number.

    Raises:
        UserError: the pattern has no named group, or fits no plate.
    """
    guessed = pattern is None
    if pattern is None:
        found = plates.str.extract(_BATCH, flags=re.IGNORECASE)[0].str.lower().unique()
        if len(found) != 1 or pd.isna(found[0]):
            return pd.DataFrame(index=plates.index)
        pattern = rf"(?i)^(?P<{found[0]}>{found[0]}[-_ ]?\d+)[-_ ]"
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"plate_pattern {pattern}: not a regular expression ({error})") from None
    if not expression.groupindex:
        raise UserError(f"plate_pattern {pattern}: has no named group; write one, such as (?P<week>Week[0-9]+)_")
    table = plates.str.extract(expression)[list(expression.groupindex)]
    if table.isna().all(axis=None):
        raise UserError(f"plate_pattern {pattern}: fits no plate, such as '{plates.iloc[0]}'")
    shown = [f"{name}: {listed(table[name].dropna().unique())}" for name in table]
    if guessed and all(table[name].nunique() < 2 for name in table):
        return pd.DataFrame(index=plates.index)
    note = notes.guessed if guessed else notes.noted
    note("columns from the plates' names" + ("; plate_pattern in mapping.yaml changes them" if guessed else ""), shown)
    return table
