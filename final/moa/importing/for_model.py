"""Make rows of a trained model from a laboratory's files: find its features by identity, translate its conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.data.assay import Assay, Condition
from moa.data.feature_names import IDENTITY
from moa.data.schema import SIG_ID
from moa.errors import UserError
from moa.importing.choose_conditions import as_level, wells_with
from moa.importing.combine import Item, names_of
from moa.importing.design import Design, Plates
from moa.importing.fields import find_column
from moa.importing.folder import wells_table
from moa.importing.identities import Matched, align
from moa.importing.import_plates import read_plates
from moa.importing.mapping import Mapping
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions, setting
from moa.words import counted, listed


@dataclass(frozen=True)
class ModelRows:
    """Wells as rows of a trained model.

    Attributes:
        features: columns ``assay.features``, indexed by sig_id; values float64, conditions as the assay has them.
        wells: plate, well, compound, dose, time, treatment, cp_type and all metadata, indexed by sig_id.
        matched: how the model's features were found.
        notes: what was guessed, dropped and set aside.
    """

    features: pd.DataFrame
    wells: pd.DataFrame
    matched: Matched
    notes: Notes


def read_for_model(
    files: Sequence[Item],
    assay: Assay,
    identities: pd.DataFrame | None,
    options: ImportOptions | None = None,
    fill_absent: float | None = None,
    mapping: Mapping | None = None,
) -> ModelRows:
    """Read plates as rows of a model's assay.

    Args:
        files: of any known format, or AnnData objects.
        assay: what the model was trained on.
        identities: what its features are, as ``moa.data.feature_names.read_identities`` returns it; None: only their
            names are known.
        options: how the files are read; None: the defaults. Expression is made into z-scores and raw profiles are
            standardised, as on import.
        fill_absent: the value of features that the files lack, which is noted; None: such files are refused.
        mapping: of the plates that the model was trained on, which these are read like; None: there is none.

    Raises:
        UserError: a file is damaged, or lacks features or conditions that the model takes; the message says what to do.
    """
    options, notes = options or ImportOptions(), Notes()
    read = read_plates(files, options, notes, mapping, frozenset(assay.values))
    plates, options = read.plates, read.options
    wanted = pd.DataFrame(index=pd.Index(assay.values, dtype=object))
    if identities is not None:
        wanted = identities.reindex(columns=list(IDENTITY)).reindex(assay.values).fillna("")
    profiles, matched = align(plates.profiles, wanted)
    name = names_of(files)[0]
    found = "".join(f", {count:,} by {kind}" for kind, count in matched.by.items())
    notes.guessed(f"{name}: {len(matched.columns):,} of the model's {len(wanted):,} features found{found}")
    left_over = counted(len(matched.left_over), "feature")
    notes.aside(f"{name}: {left_over} that the model does not take", matched.left_over)
    values = profiles.values
    if matched.missing:
        if fill_absent is None:
            raise _lacking(name, assay, matched)
        notes.noted(f"that {name} lacks set to {fill_absent:g}", matched.missing, "feature")
        values = values.reindex(columns=list(assay.values), fill_value=fill_absent)
    values = values.astype(np.float64)
    if assay.value_range is not None:
        low, high = assay.value_range
        outside = int(((values < low) | (values > high)).to_numpy().sum())
        if outside:
            notes.noted(f"{counted(outside, 'value')} outside {low:g} to {high:g}, the range of the training data")
    front, complete = _front(plates, assay, notes)
    rows = pd.concat([front[complete], values[complete]], axis=1)[list(assay.features)]
    if not len(rows):
        taken = [condition.name for condition in assay.conditions]
        raise UserError(
            f"{name}: no well has {listed(taken, joint=' and ')}, which the model takes; name the column that holds it "
            f"with {setting(taken[0], 'COLUMN')}"
        )
    wells = wells_table(plates.profiles, plates.design, options, notes)
    return ModelRows(rows.rename_axis(SIG_ID), wells[complete], matched, notes)


def _lacking(name: str, assay: Assay, matched: Matched) -> UserError:
    missing = set(matched.missing)
    absent = [group for group in assay.groups if missing.issuperset(group.columns)]
    if len(absent) == len(assay.groups):
        return UserError(f"{name}: holds none of the model's {len(assay.values):,} features; is it of another assay?")
    if absent:
        names = ", ".join(f"'{group.name}' ({len(group.columns):,} features)" for group in absent)
        rest = ",".join(group.name for group in assay.groups if group not in absent)
        return UserError(
            f"{name}: holds nothing of the group {names}, which the model takes; train a model without it: "
            f"moa train MODEL --groups {rest}"
        )
    return UserError(
        f"{name}: lacks {len(missing):,} of the model's {len(assay.values):,} features ({listed(matched.missing)}); "
        "give a file that has them, or state their value with --fill-missing 0"
    )


def _front(plates: Plates, assay: Assay, notes: Notes) -> tuple[pd.DataFrame, np.ndarray]:
    """The columns of controls and conditions, and which wells have all of them."""
    table, controls = plates.design.table, plates.design.controls
    front = pd.DataFrame(index=table.index)
    if assay.control:
        treated = table["cp_type"] if assay.control.treated is None else assay.control.treated[0]
        front[assay.control.column] = np.where(controls, assay.control.values[0], treated)
    elif controls.any():
        notes.noted(
            f"{counted(int(controls.sum()), 'vehicle control')} predicted like other wells: the model knows none"
        )
    complete = np.ones(len(table), bool)
    for condition in assay.conditions:
        values = _condition(condition, plates, notes)
        has = wells_with(condition, values, controls, ", which the model takes", notes)
        complete &= has
        values = values.where(has, condition.levels[0] if condition.levels else np.nan)
        front[condition.column] = values.astype(condition.dtype if condition.dtype is not str else object)
    return front, complete


def _condition(condition: Condition, plates: Plates, notes: Notes) -> pd.Series:
    """Values of one condition as the model has them; NaN where a well has none."""
    design, what = plates.design, condition.name
    if what in ("dose", "time"):
        if condition.levels is None:
            return design.table[what]
        values = design.quantity(what)
        if pd.api.types.is_float_dtype(values):
            return _nearest_level(what, condition.levels, values, design, notes)
    else:
        values = plates.profiles.wells[find_column(plates.profiles.wells.columns, condition.column, "condition")]
        if condition.levels is None:
            return pd.to_numeric(values, errors="coerce")
    names = {as_level(level): level for level in condition.levels}
    odd = sorted(set(values.dropna()) - set(names))
    if odd:
        raise UserError(f"{what}: the model knows {listed(names, 6)}, but the files hold {listed(odd)}")
    return values.map(names).where(~(values.isna() & design.controls), condition.levels[0])


def _nearest_level(
    what: str, levels: Sequence[int | float | str], numbers: pd.Series, design: Design, notes: Notes
) -> pd.Series:
    """Times and doses as levels of the model; of levels that are words, such as D1 and D2, high and low doses."""
    known = numbers[~design.controls].dropna()
    if not len(known):
        raise UserError(
            f"{what}: the model takes one of {listed(levels, 6)}, but the files name none; name its column "
            f"with {setting(what, 'COLUMN')}"
        )
    try:
        places = np.array([float(level) for level in levels])
    except ValueError:
        return _high_and_low(what, levels, numbers, design, notes)
    filled = numbers.where(~(numbers.isna() & design.controls), known.median())
    nearest = np.abs(np.log(filled.to_numpy()[:, None] / places[None, :]))
    chosen = pd.Series([levels[place] for place in np.nan_to_num(nearest, nan=np.inf).argmin(axis=1)], numbers.index)
    changed = sorted(set(known[known.ne(chosen[known.index].astype(float))]))
    pairs = [f"{value:g} as {as_level(chosen[known.index[known == value][0]])}" for value in changed]
    notes.guessed(f"{what}s that the model does not know count as the nearest that it knows", pairs)
    return chosen.where(filled.notna(), np.nan)


def _high_and_low(
    what: str, levels: Sequence[int | float | str], numbers: pd.Series, design: Design, notes: Notes
) -> pd.Series:
    """Two levels that are words, the first of them high as in the competition, split at the geometric middle."""
    controls = design.controls
    known = numbers[~controls].dropna()
    if len(levels) != 2:
        raise UserError(
            f"{what}: the model takes one of {listed(levels, 6)}, but the files hold numbers such as "
            f"{known.iloc[0]:g}; give a column of levels with {setting(what, 'COLUMN')}"
        )
    middle = float(np.sqrt(known.min() * known.max()))
    high = numbers >= middle
    notes.guessed(
        f"{what}: the model knows '{levels[0]}' (high) and '{levels[1]}' (low): "
        f"{counted(int(high[~controls].sum()), 'treated well')} from {middle:.3g} {design.dose_unit}".rstrip()
        + f" up are '{levels[0]}'"
    )
    chosen = pd.Series([levels[0] if is_high else levels[1] for is_high in high | controls], numbers.index, object)
    return chosen.where(numbers.notna() | controls, np.nan)
