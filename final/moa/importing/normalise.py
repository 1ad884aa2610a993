"""Make values comparable between plates: z-scores of expression, standardised profiles, or the file's own values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.design import Design
from moa.importing.levels import MAD_SCALE, median_and_mad
from moa.importing.mapping import Level
from moa.importing.notes import Notes
from moa.importing.options import ImportOptions
from moa.importing.profiles import Profiles
from moa.memory import give_back
from moa.progress import progress
from moa.words import counted

#: Smallest median absolute deviation of a gene, in log2 units: that of genes that are not expressed is noise.
LEAST_MAD = 0.1
_FEW = "fewer than"
#: A plate with fewer vehicle wells is compared with all its wells.
LEAST_CONTROLS = 6
#: Features with values beyond this many standard deviations are noted.
_EXTREME = 1000


def normalise(
    profiles: Profiles, design: Design, level: Level, options: ImportOptions, notes: Notes
) -> tuple[Profiles, bool]:
    """Make the values of all plates comparable, unless they are already; values may be missing (NaN).

    ``level`` says what the values are, see ``moa.importing.levels``; ``against`` and ``clip`` of the options are used.
    What is done is noted.

    Returns:
        the profiles, and whether their values are z-scores of expression.

    Raises:
        UserError: a plate has too few wells.
    """
    if level in ("4", "5", "normalised"):
        return profiles, profiles.kind == "expression"
    give_back()  # the table that was read, with a block of memory for each column, is freed by now
    values = np.empty(profiles.values.shape, profiles.values.to_numpy().dtype)
    against: dict[str, list[str]] = {}
    clip, beyond = options.clip if level == "3" else None, 0
    groups = list(design.groups())
    noun = "plate" if design.table["group"].equals(design.table["plate"]) else "group"
    with progress("normalise plates", len(groups), quiet=len(groups) < 10) as bar:
        for done, (group, rows) in enumerate(groups, 1):
            reference, what = _reference(group, noun, design.controls[rows], options)
            against.setdefault(what, []).append(group)
            part = profiles.values.iloc[rows].to_numpy(np.float64)
            part = robust_z(part, reference) if level == "3" else standardised(part, reference)
            if clip:
                beyond += int((np.abs(part) > clip).sum())
                part = np.clip(part, -clip, clip)
            values[rows] = part
            bar.update(done, group)
    how = "robust z-scores" if level == "3" else "standardised (mean, standard deviation)"
    for what, of in against.items():
        notes.noted(
            f"{how} of {counted(len(of), noun)} against {what}", of if len(against) > 1 or _FEW in what else None
        )
    if beyond:
        notes.noted(f"{counted(beyond, 'value')} ({beyond / values.size:.2%}) clipped to ±{clip:g}")
    extreme = profiles.values.columns[((values > _EXTREME) | (values < -_EXTREME)).any(axis=0)]
    notes.noted(f"beyond {_EXTREME:,} standard deviations in some well, since controls hardly vary", extreme, "feature")
    table = pd.DataFrame(values, index=profiles.values.index, columns=profiles.values.columns, copy=False)
    return replace(profiles, values=table), level == "3"


def robust_z(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Robust z-scores of one plate: (x - median) / (1.4826 · max(MAD, 0.1)), feature by feature.

    ``values`` have the shape (wells, features), NaN where missing; median and MAD, the median absolute deviation, are
    those of the wells ``reference``.
    """
    centre, spread = median_and_mad(values[reference])
    return (values - centre) / (MAD_SCALE * np.maximum(spread, LEAST_MAD))


def standardised(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Values of one plate minus the reference's mean, divided by its standard deviation, by pycytominer.

    ``values`` and ``reference`` are as for `robust_z`.
    """
    pycytominer = load_pycytominer("raw profiles are standardised")
    # Not the names of the features: pandas parses all names as code, and Python 3.13 refuses some of damaged files.
    names = [f"feature_{number}" for number in range(values.shape[1])]
    table = pd.DataFrame(values, columns=names)
    table["Metadata_reference"] = reference
    done = pycytominer.normalize(
        table, features=names, meta_features=["Metadata_reference"], samples="Metadata_reference", method="standardize"
    )
    return done[names].to_numpy(np.float64)


def load_pycytominer(why: str) -> Any:
    """The library pycytominer.

    Raises:
        UserError: it is not installed.
    """
    try:
        import pycytominer
    except ImportError:
        raise UserError(
            f"{why} with pycytominer, which is missing; run: pip install pycytominer (or give normalised profiles)"
        ) from None
    return pycytominer


def select_features(profiles: Profiles, notes: Notes) -> Profiles:
    """Only the features that pycytominer's usual selection keeps; it looks at values alone, never at mechanisms.

    Raises:
        UserError: pycytominer is not installed, or no feature is left.
    """
    pycytominer = load_pycytominer("features are selected")
    names = list(profiles.values.columns)
    operations = ["variance_threshold", "correlation_threshold", "drop_na_columns", "blocklist", "drop_outliers"]
    found = pycytominer.feature_select(profiles.values.reset_index(drop=True), features=names, operation=operations)
    good = set(found.columns)
    kept = [name for name in names if name in good]
    if not kept:
        raise UserError("select_features: no feature is left; import all features")
    out = [name for name in names if name not in good]
    notes.dropped(f"by pycytominer's feature selection ({', '.join(operations)})", out, "feature")
    return profiles.only(kept)


def _reference(group: str, noun: str, controls: np.ndarray, options: ImportOptions) -> tuple[np.ndarray, str]:
    """Which wells of a plate or group its values are compared with, as a mask, and what they are in words."""
    vehicles = int(controls.sum())
    enough = LEAST_CONTROLS if options.against == "auto" else 2
    if options.against != "plate" and vehicles >= enough:
        return controls, f"the {noun}'s vehicle wells"
    if options.against == "vehicle":
        raise UserError(f"against: vehicle: {noun} {group} has {counted(vehicles, 'vehicle well')}; use plate")
    if len(controls) < 3:
        wells = counted(len(controls), "well")
        fix = "give whole plates" if noun == "plate" else "remove the column from references in a mapping (--mapping)"
        raise UserError(f"{noun} {group} has {wells}: too few to compare with; {fix}")
    reason = "" if options.against == "plate" else f" ({_FEW} {enough} vehicle wells)"
    return np.ones(len(controls), bool), f"all wells of the {noun}{reason}"
