"""Find out which wells are vehicle controls, which are treated and which are neither, by the words that files use."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from moa.data.schema import CONTROL, TREATED
from moa.errors import UserError
from moa.importing.fields import find_column, split_words
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.words import counted, listed

#: The type of positive controls, which count as treated.
POSITIVE = "trt_poscon"

#: Words of each type of well, as ``_word`` writes them; other words mean treated wells.
_KINDS = {
    "vehicle": split_words("""
        ctl_vehicle vehicle vehicle_control negcon negative_control neg_control negative neg dmso neg_ctrl negctrl
        solvent solvent_control mock dmso_control ctl_vehicle_cns
    """),
    "positive": split_words("""
        trt_poscon poscon poscon_cp poscon_diverse positive_control pos_control positive pos pos_ctrl posctrl
        trt_poscon_es
    """),
    "control": split_words("control ctrl ctl true 1 yes controls"),
    "untreated": split_words("ctl_untrt untreated untrt ctl_untrt_cns no_treatment media medium ctl_vector"),
    "empty": split_words("empty blank no_cells unused background"),
}
#: Words of treated wells that need no note.
_TREATED = split_words("trt_cp trt treated treatment compound test sample false 0")
#: Names of compounds that are solvents.
_SOLVENTS = split_words("dmso vehicle water h2o pbs saline ethanol etoh solvent mock ctl_vehicle")


def _word(value: object) -> str:
    return re.sub(r"[\s_./-]+", "_", str(value).strip().lower())


def types_of(
    wells: pd.DataFrame, compounds: pd.Series, fields: Mapping[str, str], options: ImportOptions, notes: Notes
) -> pd.Series:
    """The type of each well: ctl_vehicle, trt_cp or trt_poscon; None for wells to drop."""
    stated = wells[fields["control"]] if "control" in fields else None
    if options.control_values:
        return _stated_types(wells, compounds, options)
    words = compounds.map(_word, na_action="ignore")
    kinds = pd.Series("treated", index=wells.index, dtype=object)
    if stated is not None:
        kinds = stated.map(_word, na_action="ignore").map(_kind, na_action="ignore").fillna("treated")
        unclear = kinds == "control"
        solvent = words.isna() | words.isin(_SOLVENTS)
        kinds[unclear & solvent] = "vehicle"
        positive = unclear & ~solvent
        kinds[positive] = "positive"
        names = sorted(set(compounds[positive]))
        notes.guessed("wells marked as controls that hold a compound are positive controls, so treated", names)
    for kind in ("empty", "untreated"):
        kinds[(kinds == "treated") & words.isin(_KINDS[kind])] = kind
    solvents = (kinds == "treated") & words.isin(_SOLVENTS)
    kinds[solvents] = "vehicle"
    names = sorted(set(compounds[solvents]))
    notes.guessed("wells of these are vehicle controls; --control COLUMN=VALUE says otherwise", names)
    untreated = kinds == "untreated"
    if untreated.any() and not (kinds == "vehicle").any():
        kinds[untreated] = "vehicle"
        notes.guessed(f"no vehicle wells, so the {counted(int(untreated.sum()), 'untreated well')} are the controls")
    for kind in ("empty", "untreated"):
        notes.dropped("that are neither treated nor vehicle", wells.index[kinds == kind], f"{kind} well")
    if "compound" in fields:
        nameless = (kinds == "treated") & compounds.isna()
        kinds[nameless] = "empty"
        notes.dropped(f"without a compound in column '{fields['compound']}'", wells.index[nameless], "well")
    if not (kinds == "vehicle").any():
        notes.noted("no vehicle controls were found; --control COLUMN=VALUE names them")
    positive = int((kinds == "positive").sum())
    if positive:
        notes.noted(f"{counted(positive, 'positive control')} count as treated wells")
    if stated is not None:
        others = stated[kinds == "treated"].dropna().map(_word).value_counts()
        unknown = [f"{word} ({count})" for word, count in others.items() if word not in _TREATED]
        notes.guessed(f"wells of these types in column '{fields['control']}' are treated", unknown)
    return kinds.map({"vehicle": CONTROL, "positive": POSITIVE, "treated": TREATED})


def _kind(word: str) -> str:
    return next((kind for kind, words in _KINDS.items() if word in words), "treated")


def _stated_types(wells: pd.DataFrame, compounds: pd.Series, options: ImportOptions) -> pd.Series:
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
