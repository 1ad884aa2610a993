"""Intervals of the ROC-AUC by DeLong's method: the variance of how positives and negatives are placed among each other.

DeLong, DeLong & Clarke-Pearson, Biometrics 1988.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Standard deviations on both sides of the AUC: 95 %.
_WIDTH = 1.959964


def auc_interval(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the 95 % interval of each column's ROC-AUC.

    Args:
        positive: bool, shape (rows, columns).
        score: higher for what is more likely positive, same shape.

    Returns:
        both ends in [0, 1], shape (columns,); NaN where a column has no positive or no negative, and 0 and 1 where it
        has one of them, so that nothing is known of their variance.
    """
    low, high = np.full(score.shape[1], np.nan), np.full(score.shape[1], np.nan)
    for column, (own, values) in enumerate(zip(positive.T, score.T, strict=True)):
        m, n = int(own.sum()), int((~own).sum())
        if not m or not n:
            continue
        if min(m, n) < 2:
            low[column], high[column] = 0.0, 1.0
            continue
        ranks = _ranks(values)
        above = (ranks[own] - _ranks(values[own])) / n  # of each positive, the share of negatives below it
        below = 1 - (ranks[~own] - _ranks(values[~own])) / m
        width = _WIDTH * np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
        auc = above.mean()
        low[column], high[column] = max(auc - width, 0.0), min(auc + width, 1.0)
    return low, high


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, their mean where values are equal; by pandas, since scipy.stats takes half a second to import."""
    return pd.Series(values).rank().to_numpy()
