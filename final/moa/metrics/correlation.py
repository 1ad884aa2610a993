"""Correlation between the predictions of models."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from moa.errors import UserError
from moa.metrics.losses import align


def prediction_correlation(predictions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Pearson correlation between models: the mean over targets, and each model's mean with the others.

    The winners reported it so; pooling all (row, target) cells instead would mostly compare the targets' prevalences.

    Args:
        predictions: tables of the same rows and targets, by model name. Give only treated rows: every submission
            predicts 0 for control rows, which would raise the correlation.

    Returns:
        Shape (models, models + 1): the symmetric matrix and a last column ``mean_with_others`` (NaN for one model).
        Targets for which either prediction is constant are left out; NaN where none is left.

    Raises:
        UserError: there are no predictions, or their rows or targets differ.
    """
    if not predictions:
        raise UserError("no predictions to correlate")
    names = list(predictions)
    first = predictions[names[0]]
    tables = [align(predictions[name], first.index, first.columns, f"predictions of {name}") for name in names]
    standard = [_standardised(table) for table in tables]
    correlation = np.eye(len(names))
    for i, j in combinations(range(len(names)), 2):
        by_target = (standard[i] * standard[j]).mean(axis=0)
        known = by_target[~np.isnan(by_target)]
        correlation[i, j] = correlation[j, i] = known.mean() if len(known) else np.nan
    table = pd.DataFrame(correlation, index=pd.Index(names, name="model"), columns=names)
    others = len(names) - 1
    table["mean_with_others"] = (correlation.sum(axis=1) - 1) / others if others else np.nan
    return table


def _standardised(table: pd.DataFrame) -> np.ndarray:
    """Columns with mean 0 and variance 1, float64; NaN for constant columns."""
    values = table.to_numpy(np.float64)
    values = values - values.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return values / np.sqrt((values**2).mean(axis=0))
