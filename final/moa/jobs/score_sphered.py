"""Profiles as the field compares them: without what controls have in common (sphering), for nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from moa.features import Bounded, SignedLog, Sphering, Varying
from moa.features.profile_steps import is_bookkeeping
from moa.metrics.held_out import held_out_units
from moa.metrics.neighbours import unit_rows, votes

#: How far the correlations of the reference wells are shrunk: the middle of those that `any-assay` chooses from.
SHRINKAGE = 0.3
#: Fewest controls to learn correlations from; with fewer, each row is sphered on its training rows.
LEAST_CONTROLS = 6


def enough(controls: pd.DataFrame | None) -> bool:
    """Whether there are enough ``controls`` to sphere profiles on."""
    return controls is not None and len(controls) >= LEAST_CONTROLS


def sphered(features: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Profiles on a signed logarithmic scale, standardised and sphered on reference rows.

    Features that are bookkeeping, do not vary over the reference, or reach 1,000 are left out.

    Args:
        features: shape (rows, features).
        reference: controls, or training rows; same columns.

    Returns:
        shape (rows, features that are left), indexed as ``features``.
    """
    columns = [name for name in features if not is_bookkeeping(str(name))] or list(features)
    values, fitted_on = (table[columns].to_numpy(np.float64) for table in (features, reference))
    for selection in (Bounded(), Varying()):
        kept = selection.fit(values if isinstance(selection, Bounded) else fitted_on).get_support()
        columns = [name for name, keep in zip(columns, kept, strict=True) if keep]
        values, fitted_on = values[:, kept], fitted_on[:, kept]
    log = SignedLog().fit(values)
    found = Sphering(SHRINKAGE).fit(log.transform(fitted_on)).transform(log.transform(values))
    return pd.DataFrame(found, features.index, columns)


def votes_without_controls(
    features: pd.DataFrame,
    y: pd.DataFrame,
    groups: pd.DataFrame,
    ks: Sequence[int],
    apart: pd.DataFrame | None = None,
) -> dict[int, pd.DataFrame]:
    """As `moa.metrics.neighbours.votes_of_each`, of profiles that are sphered on the training rows of each fold."""
    y, groups = y.loc[features.index], groups.loc[features.index]
    labels, total = y.to_numpy(np.float32), {k: np.zeros(y.shape) for k in ks}
    times = np.zeros(len(y))
    for column in groups:
        for train, rows in held_out_units(groups[column], apart, features.index):
            if train.sum() < 2:
                continue
            inside = unit_rows(sphered(features, features[train]))
            similar = inside[rows] @ inside[train].T
            for k, found in total.items():
                found[rows] += votes(similar, labels[train], k)
            times[rows] += 1
    known = times > 0
    return {k: pd.DataFrame(each[known] / times[known, None], y.index[known], y.columns) for k, each in total.items()}
