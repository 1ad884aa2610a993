"""Measures of the likeliest mechanism of each row: macro-F1, and the expected calibration error (ECE)."""

from __future__ import annotations

import numpy as np

#: Bins of the expected calibration error, of equal count.
BINS = 10


def likeliest(score: np.ndarray) -> np.ndarray:
    """The share of each target in the choice of a row's likeliest one: 1 for one target, equal shares among ties.

    ``score`` is of shape (rows, targets), as is the result; each row sums to 1.
    """
    first = score == score.max(axis=1, keepdims=True)
    return first / first.sum(axis=1, keepdims=True)


def macro_f1(positive: np.ndarray, score: np.ndarray) -> float:
    """F1 of the likeliest target, mean over the targets that occur, as scikit-learn's where no scores are equal.

    Args:
        positive: bool labels, shape (rows, targets); rows without a label are left out.
        score: higher for what is more likely, same shape.

    Returns:
        in [0, 1]; NaN where no row has a label.
    """
    labelled = positive.any(axis=1)
    if not labelled.any():
        return float("nan")
    positive, chosen = positive[labelled].astype(np.float64), likeliest(score[labelled])
    counts = positive.sum(axis=0)
    f1 = 2 * (chosen * positive).sum(axis=0) / np.maximum(chosen.sum(axis=0) + counts, 1e-300)
    return float(f1[counts > 0].mean())


def calibration_error(positive: np.ndarray, probability: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error of the likeliest target of each row.

    The rows are sorted by the probability of their likeliest target and cut into ``bins`` of equal count. The error is
    the mean over the bins, weighted by their rows, of the difference between the mean probability and the share of rows
    that carry the target. Rows of equal probability share what is right among them, so their order does not matter.

    Args:
        positive: bool labels, shape (rows, targets); rows without a label count as wrong.
        probability: same shape, in [0, 1].
        bins: number of bins.

    Returns:
        in [0, 1]; NaN without rows.
    """
    if not len(positive):
        return float("nan")
    right = (likeliest(probability) * positive).sum(axis=1)
    values, place = np.unique(probability.max(axis=1), return_inverse=True)
    count = np.bincount(place)
    right = (np.bincount(place, right) / count)[place]
    order = np.argsort(values[place], kind="stable")
    error = 0.0
    for rows in np.array_split(order, min(bins, len(order))):
        error += len(rows) * abs(values[place][rows].mean() - right[rows].mean())
    return float(error / len(order))
