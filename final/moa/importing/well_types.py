"""Which wells are vehicle controls, which are treated, and which are neither, by the words that files use."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from moa.data.schema import CONTROL, TREATED
from moa.errors import UserError
from moa.importing.fields import find_column
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.words import counted, listed

#: The type of positive controls, which count as treated.
POSITIVE = "trt_poscon"

#: Words of types of wells, and of compounds, as ``_word`` writes them.
_VEHICLE = frozenset(
    ("ctl_vehicle", "vehicle", "vehicle_control", "negcon", "negative_control", "neg_control", "negative", "neg")
    + ("dmso", "neg_ctrl", "negctrl", "solvent", "solvent_control", "mock", "dmso_control", "ctl_vehicle_cns")
)
_CONTROL = frozenset(("control", "ctrl", "ctl", "true", "1", "yes", "controls"))
_POSITIVE = frozenset(
    ("trt_poscon", "poscon", "poscon_cp", "poscon_diverse", "positive_control", "pos_control", "positive", "pos")
    + ("pos_ctrl", "posctrl", "trt_poscon_es")
)
_UNTREATED = frozenset(
    ("ctl_untrt", "untreated", "untrt", "ctl_untrt_cns", "no_treatment", "media", "medium", "ctl_vector")
)
_EMPTY = frozenset(("empty", "blank", "no_cells", "unused", "background"))
_SOLVENTS = frozenset(
    ("dmso", "vehicle", "water", "h2o", "pbs", "saline", "ethanol", "etoh", "solvent", "mock", "ctl_vehicle")
)


def _word(value: object) -> str:
    return re.sub(r"[\s_./-]+", "_", str(value).strip().lower())


def types_of(
    wells: pd.DataFrame, compounds: pd.Series, fields: Mapping[str, str], options: ImportOptions, notes: Notes
) -> pd.Series:
    """The type of each well: ctl_vehicle, trt_cp or trt_poscon; None for wells to drop."""
    stated = wells[fields["control"]] if "control" in fields else None
    if options.control_values:
        return _stated_types(wells, compounds, fields, options)
    words = compounds.map(_word, na_action="ignore")
    kinds = pd.Series("treated", index=wells.index, dtype=object)
    if stated is not None:
        kinds = stated.map(_word, na_action="ignore").map(_kind, na_action="ignore").fillna("treated")
        unclear = kinds == "control"
        solvent = words.isna() | words.isin(_SOLVENTS)
        kinds[unclear & solvent] = "vehicle"
        positive = unclear & ~solvent
        if positive.any():
            kinds[positive] = "positive"
            names = sorted(set(compounds[positive]))
            notes.guessed("wells marked as controls that hold a compound are positive controls, so treated", names)
    kinds[(kinds == "treated") & words.isin(_EMPTY)] = "empty"
    kinds[(kinds == "treated") & words.isin(_UNTREATED)] = "untreated"
    solvents = (kinds == "treated") & words.isin(_SOLVENTS)
    if solvents.any():
        kinds[solvents] = "vehicle"
        notes.guessed(
            "wells of these are vehicle controls; --control COLUMN=VALUE says otherwise",
            sorted(set(compounds[solvents])),
        )
    untreated = kinds == "untreated"
    if untreated.any() and not (kinds == "vehicle").any():
        kinds[untreated] = "vehicle"
        notes.guessed(f"no vehicle wells, so the {counted(int(untreated.sum()), 'untreated well')} are the controls")
        untreated = kinds == "untreated"
    for kind, rows in (("empty", kinds == "empty"), ("untreated", untreated)):
        if rows.any():
            notes.dropped(f"{counted(int(rows.sum()), f'{kind} well')}, neither treated nor vehicle", wells.index[rows])
    if "compound" in fields:
        nameless = (kinds == "treated") & compounds.isna()
        if nameless.any():
            kinds[nameless] = "empty"
            notes.dropped(
                f"{counted(int(nameless.sum()), 'well')} without a compound in column '{fields['compound']}'",
                wells.index[nameless],
            )
    if not (kinds == "vehicle").any():
        notes.noted("no vehicle controls were found; --control COLUMN=VALUE names them")
    positive = int((kinds == "positive").sum())
    if positive:
        notes.noted(f"{counted(positive, 'positive control')} count as treated wells")
    others = {} if stated is None else stated[kinds == "treated"].dropna().map(_word).value_counts().to_dict()
    others = {word: count for word, count in others.items() if word not in ("trt_cp", "trt", "treated", "treatment")}
    unknown = [
        f"{word} ({count})"
        for word, count in others.items()
        if word not in ("compound", "test", "sample", "false", "0")
    ]
    if unknown:
        notes.guessed(f"wells of these types in column '{fields['control']}' are treated", unknown)
    return kinds.map({"vehicle": CONTROL, "positive": POSITIVE, "treated": TREATED})


def _kind(word: str) -> str:
    for kind, words in (
        ("vehicle", _VEHICLE),
        ("positive", _POSITIVE),
        ("control", _CONTROL),
        ("untreated", _UNTREATED),
        ("empty", _EMPTY),
    ):
        if word in words:
            return kind
    return "treated"


def _stated_types(
    wells: pd.DataFrame, compounds: pd.Series, fields: Mapping[str, str], options: ImportOptions
) -> pd.Series:
    """Types where the user says which value of which column means a control."""
    column = options.columns.get("control")
    values = compounds if column is None else wells[find_column(wells.columns, column, "--control")]
    wanted = {value.lower() for value in options.control_values}
    control = values.str.lower().isin(wanted)
    if not control.any():
        raise UserError(
            f"--control: no well has '{', '.join(options.control_values)}' in {column or 'its compound'}; "
            f"there are {listed(sorted(set(values.dropna())), 6)}"
        )
    return pd.Series(np.where(control, CONTROL, TREATED), index=wells.index, dtype=object)
