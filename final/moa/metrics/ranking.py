"""Measures of ranking, as the field reports them: ROC-AUC, average precision, top-k hits and accuracy.

All are multi-label: a row may have any number of mechanisms, none included. *Micro* pools all (row, target) cells, and
so weighs a target by its positives; *macro* is the mean over targets. A target without a positive or without a negative
row has no ROC-AUC and no average precision: it is left out of macro means, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import hypergeom
from sklearn.metrics import auc, roc_curve

from moa.metrics.losses import align, check_labels, log_loss

#: Numbers of most likely targets among which a hit is counted.
TOP = (1, 5)
#: The measures that `measures` takes, in order.
MEASURES = (
    "log_loss",
    "roc_auc_micro",
    "roc_auc_macro",
    "average_precision_micro",
    "average_precision_macro",
    *(f"top_{k}" for k in TOP),
    "accuracy",
)


def areas(positive: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """ROC-AUC and average precision: scikit-learn's ``roc_auc_score`` and ``average_precision_score`` for one sort.

    Args:
        positive: 0/1 or bool, shape (n,).
        score: higher for what is more likely positive, shape (n,).

    Returns:
        both areas; NaN where there is no positive or no negative.
    """
    positive = np.asarray(positive).astype(bool)
    n_positive = int(positive.sum())
    if not 0 < n_positive < len(positive):
        return float("nan"), float("nan")
    false_rate, recall, _ = roc_curve(positive, score, drop_intermediate=False)
    found, wrong = recall[1:] * n_positive, false_rate[1:] * (len(positive) - n_positive)
    return float(auc(false_rate, recall)), float(np.sum(np.diff(recall) * (found / (found + wrong))))


def column_areas(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> pd.DataFrame:
    """ROC-AUC and average precision of each target.

    Args:
        y_true: 0/1 labels, shape (rows, targets).
        y_pred: scores of the same rows and targets, in any order.

    Returns:
        columns ``roc_auc`` and ``average_precision``, one row per target; NaN where a target has no positive or no
        negative row.
    """
    labels, scores = _arrays(y_true, y_pred)
    found = [areas(labels[:, j], scores[:, j]) for j in range(labels.shape[1])]
    return pd.DataFrame(found, y_true.columns, ["roc_auc", "average_precision"], dtype=np.float64)


def micro_areas(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> tuple[float, float]:
    """ROC-AUC and average precision over all cells; arguments as in `column_areas`."""
    labels, scores = _arrays(y_true, y_pred)
    return areas(labels.ravel(), scores.ravel())


def top_hits(y_true: pd.DataFrame, y_pred: pd.DataFrame, k: int) -> pd.Series:
    """Whether at least one of the ``k`` most likely targets of a row is right.

    Equal scores are ordered by lot, and the value is the chance of a hit: a baseline that gives every target the same
    score is then as good as guessing, and no better for the order of the columns.

    Args:
        y_true, y_pred: as in `column_areas`.
        k: number of targets.

    Returns:
        a value in [0, 1] per row; NaN for a row without a positive.
    """
    labels, scores = _arrays(y_true, y_pred)
    labels = labels.astype(bool)
    k = min(k, labels.shape[1])
    last = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
    above, tied = scores > last, scores == last
    drawn = k - above.sum(axis=1)
    missed = hypergeom.pmf(0, tied.sum(axis=1), (tied & labels).sum(axis=1), drawn)
    hits = np.where((above & labels).any(axis=1), 1.0, 1.0 - missed)
    return pd.Series(np.where(labels.any(axis=1), hits, np.nan), y_true.index, name=f"top_{k}")


def measures(y_true: pd.DataFrame, y_pred: pd.DataFrame, probabilities: bool = True) -> dict[str, float]:
    """All measures of a table of predictions.

    Args:
        y_true: 0/1 labels of treated rows, or of treatments, shape (rows, targets).
        y_pred: predictions of the same rows and targets, in any order.
        probabilities: False where ``y_pred`` ranks but holds no probabilities, so that a log loss has no meaning.

    Returns:
        "rows", "labelled" (rows with a positive), "left_out" (targets that macro means leave out), and the keys of
        `MEASURES`: log loss (mean over targets); areas, micro and macro; "top_k", mean over the labelled rows;
        "accuracy", over rows with exactly one positive, the share whose most likely target it is. NaN where a measure
        is not defined.

    Raises:
        UserError: rows or columns differ, or a label is not 0 or 1.
    """
    y_pred = align(y_pred, y_true.index, y_true.columns, "predictions")
    check_labels(y_true, "targets")
    by_target, (micro_auc, micro_precision) = column_areas(y_true, y_pred), micro_areas(y_true, y_pred)
    positives = y_true.to_numpy(np.int64).sum(axis=1)
    hits = {k: top_hits(y_true, y_pred, k).to_numpy() for k in {1, *TOP}}
    return {
        "rows": len(y_true),
        "labelled": int((positives > 0).sum()),
        "left_out": int(by_target["roc_auc"].isna().sum()),
        "log_loss": log_loss(y_true, y_pred) if probabilities and len(y_true) else float("nan"),
        "roc_auc_micro": micro_auc,
        "roc_auc_macro": float(by_target["roc_auc"].mean()),
        "average_precision_micro": micro_precision,
        "average_precision_macro": float(by_target["average_precision"].mean()),
        **{f"top_{k}": _mean(hits[k][positives > 0]) for k in TOP},
        "accuracy": _mean(hits[1][positives == 1]),
    }


def mean_measures(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of several results of `measures` over the same rows, such as of the draws of a control."""
    counts = {name: found[0][name] for name in ("rows", "labelled", "left_out")}
    return counts | pd.DataFrame(found)[list(MEASURES)].mean().to_dict()


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _arrays(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores in the same order."""
    y_pred = align(y_pred, y_true.index, y_true.columns, "predictions")
    return y_true.to_numpy(), y_pred.to_numpy()
