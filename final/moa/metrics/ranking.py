"""Measures of ranking, as the field reports them: ROC-AUC, average precision, top-k hits, accuracy and F1.

All are multi-label: a row may have any number of mechanisms, or none. *Micro* pools all (row, target) cells, and so
weighs a target by its positives; *macro* is the mean over targets. A target without a positive or without a negative
row has no ROC-AUC and no average precision: it is left out of macro means, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import gammaln

from moa.metrics.likeliest import calibration_error, macro_f1
from moa.metrics.losses import align, check_labels, log_loss

#: Numbers of most likely targets among which a hit is counted.
TOP = (1, 5)
#: The measures that `measures` takes, in order, and their headings.
MEASURES = {
    "log_loss": "log loss",
    "roc_auc_micro": "ROC-AUC, micro",
    "roc_auc_macro": "ROC-AUC, macro",
    "average_precision_micro": "AP, micro",
    "average_precision_macro": "AP, macro",
    **{f"top_{k}": f"top {k}" for k in TOP},
    "accuracy": "accuracy",
    "f1_macro": "F1, macro",
    "ece": "ECE",
}


def areas(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ROC-AUC and average precision of each column, equal to scikit-learn's, ties included.

    All columns are computed at once: a call of scikit-learn takes milliseconds for any number of rows, and a table by
    plate with its control needs a hundred thousand calls.

    Args:
        positive: 0/1 or bool, shape (rows, columns).
        score: higher for what is more likely positive, shape (rows, columns).

    Returns:
        both areas, shape (columns,); NaN where a column has no positive or no negative.
    """
    scores = np.ascontiguousarray(np.asarray(score).T)
    order = np.argsort(-scores, axis=1)
    positive = np.take_along_axis(np.asarray(positive).astype(bool).T, order, axis=1)
    scores = np.take_along_axis(scores, order, axis=1)
    size = scores.shape[1]
    place = np.arange(size, dtype=np.int32)
    border = scores[:, 1:] != scores[:, :-1]
    edge = np.ones((len(scores), 1), bool)
    # Of the rows that have a row's score: the first and the last one.
    first = np.maximum.accumulate(np.where(np.hstack([edge, border]), place, 0), axis=1)
    last = np.minimum.accumulate(np.where(np.hstack([border, edge]), place, size)[:, ::-1], axis=1)[:, ::-1]
    found = np.cumsum(positive, axis=1, dtype=np.int32)
    found_last = np.take_along_axis(found, last, axis=1)
    found_before = np.take_along_axis(found - positive, first, axis=1)
    n_positive = found[:, -1].astype(np.int64)
    n_negative = size - n_positive
    # Negatives below a positive, and half of those that tie with it.
    below = n_negative[:, None] - ((last + 1 - found_last) + (first - found_before)) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (below * positive).sum(axis=1) / (n_positive * n_negative)
        precision = (found_last / (last + 1) * positive).sum(axis=1) / n_positive
    defined = (n_positive > 0) & (n_negative > 0)
    return np.where(defined, auc, np.nan), np.where(defined, precision, np.nan)


def column_areas(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> pd.DataFrame:
    """ROC-AUC and average precision of each target.

    Args:
        y_true: 0/1 labels, shape (rows, targets).
        y_pred: scores of the same rows and targets, in any order.

    Returns:
        columns ``roc_auc`` and ``average_precision``, one row per target; NaN where a target has no positive or no
        negative row.
    """
    auc, precision = areas(*_arrays(y_true, y_pred))
    return pd.DataFrame({"roc_auc": auc, "average_precision": precision}, y_true.columns)


def micro_areas(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> tuple[float, float]:
    """ROC-AUC and average precision over all cells (row, target), in [0, 1]; NaN without a positive or negative cell.

    ``y_true`` and ``y_pred`` are as in `column_areas`.
    """
    auc, precision = areas(*(values.reshape(-1, 1) for values in _arrays(y_true, y_pred)))
    return float(auc[0]), float(precision[0])


def top_hits(y_true: pd.DataFrame, y_pred: pd.DataFrame, k: int) -> pd.Series:
    """Whether at least one of the ``k`` most likely targets of a row is right: in [0, 1]; NaN without a positive.

    Equal scores are ordered at random, and the value is the chance of a hit: a baseline that gives every target the
    same score is then as good as guessing, whatever the order of the columns. ``y_true`` and ``y_pred`` are as in
    `column_areas`.
    """
    labels, scores = _arrays(y_true, y_pred)
    labels = labels.astype(bool)
    k = min(k, labels.shape[1])
    last = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
    above, tied = scores > last, scores == last
    drawn = k - above.sum(axis=1)
    missed = _none_drawn(tied.sum(axis=1), (tied & labels).sum(axis=1), drawn)
    hits = np.where((above & labels).any(axis=1), 1.0, 1.0 - missed)
    return pd.Series(np.where(labels.any(axis=1), hits, np.nan), y_true.index, name=f"top_{k}")


def _none_drawn(count: np.ndarray, marked: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The chance that none of the marked ones is drawn: C(count - marked, drawn) / C(count, drawn).

    It is scipy.stats' ``hypergeom.pmf(0, count, marked, drawn)``, which takes half a second to import.
    """
    rest = gammaln(count - marked + 1) - gammaln(count - marked - drawn + 1)  # -inf where fewer are left than are drawn
    return np.exp(rest - gammaln(count + 1) + gammaln(count - drawn + 1))


def measures(y_true: pd.DataFrame, y_pred: pd.DataFrame, probabilities: bool = True) -> dict[str, float]:
    """All measures of a table of predictions.

    Args:
        y_true: 0/1 labels of treated rows, or of treatments, shape (rows, targets).
        y_pred: predictions of the same rows and targets, in any order.
        probabilities: False where ``y_pred`` ranks but holds no probabilities, so that a log loss has no meaning.

    Returns:
        "rows", "labelled" (rows with a positive), "left_out" (targets that macro means leave out), and the keys of
        `MEASURES`: log loss (mean over targets); areas, micro and macro; "top_k", mean over the labelled rows;
        "accuracy", over rows with exactly one positive, the share whose most likely target it is; "f1_macro" and "ece",
        see `moa.metrics.likeliest`. NaN where a measure is not defined; without probabilities "log_loss" and "ece" are.

    Raises:
        UserError: rows or columns differ, or a label is not 0 or 1.
    """
    y_pred = align(y_pred, y_true.index, y_true.columns, "predictions")
    check_labels(y_true, "targets")
    by_target, (micro_auc, micro_precision) = column_areas(y_true, y_pred), micro_areas(y_true, y_pred)
    labels, scores = y_true.to_numpy().astype(bool), y_pred.to_numpy(np.float64)
    positives = labels.sum(axis=1)
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
        "f1_macro": macro_f1(labels, scores),
        "ece": calibration_error(labels, scores) if probabilities and positives.any() else float("nan"),
    }


def mean_measures(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of several results of `measures` over the same rows, ``found``, such as of the draws of a control."""
    counts = {name: found[0][name] for name in ("rows", "labelled", "left_out")}
    return counts | pd.DataFrame(found)[list(MEASURES)].mean().to_dict()


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _arrays(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores in the same order."""
    y_pred = align(y_pred, y_true.index, y_true.columns, "predictions")
    return y_true.to_numpy(), y_pred.to_numpy()
