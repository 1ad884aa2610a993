"""Drop wells and features with too many missing values, fill the others, and drop constant features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.importing.design import Design
from moa.importing.notes import Notes
from moa.importing.profiles import Profiles
from moa.words import counted


def drop_missing(profiles: Profiles, design: Design, most: float, notes: Notes) -> tuple[Profiles, Design]:
    """Drop wells and features until none has a larger share of missing values than ``most``.

    One is dropped at a time, that with the largest share, so that a dead well costs no feature and a dead feature no
    well.

    Raises:
        UserError: nothing is left.
    """
    missing = np.isnan(profiles.values.to_numpy())
    if not missing.any():
        return profiles, design
    by_well, by_feature = missing.sum(axis=1).astype(float), missing.sum(axis=0).astype(float)
    wells, features = np.ones(len(by_well), bool), np.ones(len(by_feature), bool)
    while wells.any() and features.any():
        well_share = np.where(wells, by_well / features.sum(), -1)
        feature_share = np.where(features, by_feature / wells.sum(), -1)
        if max(well_share.max(), feature_share.max()) <= most:
            break
        if well_share.max() >= feature_share.max():
            place = int(well_share.argmax())
            wells[place] = False
            by_feature -= missing[place]
        else:
            place = int(feature_share.argmax())
            features[place] = False
            by_well -= missing[:, place]
    for what, keep, names in (("well", wells, profiles.values.index), ("feature", features, profiles.values.columns)):
        if not keep.any():
            raise UserError(
                f"more than {most:.0%} of the values are missing in every {what}; most_missing in mapping.yaml allows "
                "more"
            )
        notes.dropped(f"with more than {most:.0%} missing values", names[~keep], what)
    kept = list(profiles.values.columns[features])
    return profiles.take(wells).only(kept), design.take(wells)


def fill_missing(profiles: Profiles, plates: pd.Series, notes: Notes) -> Profiles:
    """Fill the missing values that are left with the feature's median over the plate, and note how many and where."""
    missing = profiles.values.isna()
    count = int(missing.to_numpy().sum())
    if not count:
        return profiles
    medians = profiles.values.groupby(plates.to_numpy()).transform("median").fillna(profiles.values.median())
    features = missing.sum()
    features = features[features > 0].sort_values(ascending=False, kind="stable")
    notes.noted(
        f"{counted(count, 'missing value')} in {counted(int(missing.any(axis=1).sum()), 'well')} filled with the "
        "feature's median over the plate (most_missing: 0 in mapping.yaml drops such features instead)",
        [f"{name} ({number})" for name, number in features.items()],
    )
    return replace(profiles, values=profiles.values.fillna(medians))


def drop_constant(profiles: Profiles, notes: Notes) -> Profiles:
    """Drop features that have one value in all wells.

    Raises:
        UserError: none is left.
    """
    values = profiles.values.to_numpy()
    varies = values.max(axis=0) > values.min(axis=0)
    if not varies.any():
        raise UserError("every feature has one value in all wells; expected values that differ")
    names = profiles.values.columns
    notes.dropped("with the same value in all wells", names[~varies], "feature")
    return profiles.only(list(names[varies]))
