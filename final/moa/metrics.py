"""The competition's metric, its two readings (all rows, treated rows), and how alike two predictions are.

Every function takes tables with a sig_id index and target names as columns, and aligns them by these names: the order
of rows and columns never matters, and a row or column that is on one side alone is a ``UserError``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from moa.errors import UserError

#: Probabilities are clipped to [CLIP, 1 - CLIP] before the logarithm, as the competition did.
CLIP = 1e-15
#: A mean of float32 probabilities may pass 0 or 1 by rounding; anything further out is no probability.
_ROUNDING = 1e-6
#: Rows handled at once: bounds the float64 copies at a few MB a table.
_BLOCK = 2048


def align(frame: pd.DataFrame, index: pd.Index, columns: pd.Index, what: str) -> pd.DataFrame:
    """``frame`` in the order of ``index`` and ``columns``, which it must hold exactly.

    Args:
        frame: table of shape (rows, targets) in any order.
        index: wanted sig_ids.
        columns: wanted target names.
        what: the table's name in messages.

    Raises:
        UserError: a row or column is missing, not wanted, or there twice.
    """
    _same_labels(frame.index, index, what, "row")
    _same_labels(frame.columns, columns, what, "column")
    if not frame.index.equals(index):
        frame = frame.loc[index]
    return frame if frame.columns.equals(columns) else frame[list(columns)]


def check_probabilities(frame: pd.DataFrame, what: str) -> None:
    """Refuse a table with a cell that is no probability.

    Raises:
        UserError: a cell is missing, infinite or outside [0, 1], named by row and column.
    """
    for block, start in _blocks(frame):
        bad = ~((block >= -_ROUNDING) & (block <= 1.0 + _ROUNDING))  # true for NaN as well
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise UserError(
                f"{what}: row {frame.index[start + row]!r}, column {frame.columns[column]!r} holds "
                f"{block[row, column]}; expected a probability in [0, 1]"
            )


def check_labels(frame: pd.DataFrame, what: str) -> None:
    """Refuse a table with a cell that is not 0 or 1.

    Raises:
        UserError: the first such cell, named by row and column.
    """
    for block, start in _blocks(frame):
        bad = (block != 0.0) & (block != 1.0)  # true for NaN as well
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise UserError(
                f"{what}: row {frame.index[start + row]!r}, column {frame.columns[column]!r} holds "
                f"{block[row, column]}; expected 0 or 1"
            )


def align_treated(treated: pd.Series, index: pd.Index) -> pd.Series:
    """``treated`` (True for a treated row, False for a control) in the order of ``index``.

    Raises:
        UserError: it is not boolean, or its rows are not exactly those of ``index``.
    """
    if treated.dtype != bool:
        raise UserError(f"treated: expected True/False for each row, got values of type {treated.dtype}")
    _unique(index, "targets", "row")
    _same_labels(treated.index, index, "treated", "row")
    return treated.loc[index]


def column_log_loss(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> pd.Series:
    """Binary log loss of each target, natural logarithm, mean over rows.

    Args:
        y_true: 0/1 labels, shape (rows, targets), indexed by sig_id.
        y_pred: probabilities of the same rows and targets, in any order; clipped to [1e-15, 1 - 1e-15].

    Returns:
        float64 losses in the order of ``y_true``'s columns, shape (targets,).

    Raises:
        UserError: rows or columns differ, a label is not 0 or 1, a cell is no probability, or there are no rows.
    """
    _unique(y_true.index, "targets", "row")
    _unique(y_true.columns, "targets", "column")
    if y_true.empty:
        raise UserError("targets: no rows or no columns to score")
    y_pred = align(y_pred, y_true.index, y_true.columns, "predictions")
    check_probabilities(y_pred, "predictions")
    check_labels(y_true, "targets")
    total = np.zeros(y_true.shape[1])
    for (truth, _), (probability, _) in zip(_blocks(y_true), _blocks(y_pred), strict=True):
        positive = truth == 1.0
        probability = np.clip(probability, CLIP, 1.0 - CLIP)
        total -= np.log(np.where(positive, probability, 1.0 - probability)).sum(axis=0)  # one logarithm a cell
    return pd.Series(total / len(y_true), index=y_true.columns, name="log_loss")


def log_loss(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> float:
    """The competition's metric: mean over targets of `column_log_loss`, over exactly the rows given."""
    return float(column_log_loss(y_true, y_pred).mean())


def row_log_loss(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> pd.Series:
    """Log loss of each row, mean over targets, shape (rows,); arguments and errors as `column_log_loss`."""
    y_pred = align(y_pred, y_true.index, y_true.columns, "predictions")
    check_probabilities(y_pred, "predictions")
    check_labels(y_true, "targets")
    losses = []
    for (truth, _), (probability, _) in zip(_blocks(y_true), _blocks(y_pred), strict=True):
        probability = np.clip(probability, CLIP, 1.0 - CLIP)
        losses.append(-np.log(np.where(truth == 1.0, probability, 1.0 - probability)).mean(axis=1))
    return pd.Series(np.concatenate(losses), index=y_true.index, name="log_loss")


def competition_log_loss(y_true: pd.DataFrame, y_pred: pd.DataFrame, treated: pd.Series) -> float:
    """Log loss over all rows, control rows predicted exactly 0 whatever ``y_pred`` holds for them.

    Args:
        y_true: 0/1 labels of all rows, shape (rows, targets).
        y_pred: probabilities; control rows may be missing, treated rows may not.
        treated: True for a treated row, False for a control; exactly the rows of ``y_true``.

    Raises:
        UserError: as `column_log_loss`, or a treated row has no prediction.
    """
    treated = align_treated(treated, y_true.index)
    full = pd.DataFrame(0.0, index=y_true.index, columns=y_true.columns)
    chosen = _treated_predictions(y_pred, treated)
    full.loc[treated.to_numpy()] = align(chosen, full.index[treated.to_numpy()], full.columns, "predictions")
    return log_loss(y_true, full)


def treated_log_loss(y_true: pd.DataFrame, y_pred: pd.DataFrame, treated: pd.Series) -> float:
    """Log loss over the treated rows alone; arguments and errors as `competition_log_loss`."""
    treated = align_treated(treated, y_true.index)
    return log_loss(y_true.loc[treated.to_numpy()], _treated_predictions(y_pred, treated))


def treated_to_all(loss: float, n_treated: int, n_all: int) -> float:
    """Log loss over all rows from the one over treated rows: a control predicted 0 costs nothing (1e-15)."""
    _check_counts(n_treated, n_all)
    return loss * n_treated / n_all


def all_to_treated(loss: float, n_treated: int, n_all: int) -> float:
    """Log loss over treated rows from the one over all rows with the controls predicted 0."""
    _check_counts(n_treated, n_all)
    return loss * n_all / n_treated


def prevalence_baseline(y_train: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """The constant prediction to beat: each target's mean in ``y_train``.

    Args:
        y_train: 0/1 labels, shape (rows, targets); give treated rows alone to predict treated rows.
        index: sig_ids to predict.

    Returns:
        Probabilities, float64, shape (len(index), targets).
    """
    if y_train.empty:
        raise UserError("targets: no rows to take the prevalence of")
    mean = y_train.to_numpy(dtype=np.float64).mean(axis=0)
    return pd.DataFrame(np.tile(mean, (len(index), 1)), index=index, columns=y_train.columns)


def prediction_correlation(predictions: Mapping[str, pd.DataFrame], treated: pd.Series | None = None) -> pd.DataFrame:
    """Pearson correlation between models over all (row, target) cells, and each one's mean with the others.

    Args:
        predictions: tables of the same rows and targets, by model name.
        treated: True for a treated row. Control rows are 0 in every submission and would only raise the figure, so
            give this wherever the tables hold controls; without it, every row counts.

    Returns:
        Shape (models, models + 1): the symmetric matrix and a last column ``mean_with_others`` (NaN for one model).
        A constant prediction correlates as NaN.
    """
    if not predictions:
        raise UserError("no predictions to correlate")
    names = list(predictions)
    first = predictions[names[0]]
    tables = [align(predictions[name], first.index, first.columns, f"predictions of {name}") for name in names]
    if treated is not None:
        keep = align_treated(treated, first.index).to_numpy()
        tables = [table.loc[keep] for table in tables]
    mean = np.array([table.to_numpy().mean(dtype=np.float64) for table in tables])
    gram = np.zeros((len(names), len(names)))
    for blocks in zip(*(_blocks(table) for table in tables), strict=True):
        centred = np.stack([block.ravel() for block, _ in blocks]) - mean[:, None]
        gram += centred @ centred.T
    norm = np.sqrt(np.diag(gram))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = gram / np.outer(norm, norm)
    table = pd.DataFrame(correlation, index=pd.Index(names, name="model"), columns=names)
    others = len(names) - 1
    table["mean_with_others"] = (correlation.sum(axis=1) - np.diag(correlation)) / others if others else np.nan
    return table


def bootstrap_interval(
    values: np.ndarray, groups: np.ndarray | None = None, replicates: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of a mean over rows, by drawing rows, or whole groups, with replacement.

    Args:
        values: shape (rows,).
        groups: a label a row, such as its drug, where rows of a group are alike; shape (rows,).
        replicates: draws.
        level: of the interval.
        seed: of the draws.
    """
    places = np.arange(len(values)) if groups is None else pd.factorize(groups)[0]
    sums, sizes = np.bincount(places, values), np.bincount(places)
    rng = np.random.default_rng(seed)
    means = np.empty(replicates)
    for i in range(replicates):
        drawn = rng.integers(len(sums), size=len(sums))
        means[i] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.quantile(means, [(1.0 - level) / 2, (1.0 + level) / 2])
    return float(low), float(high)


def _blocks(frame: pd.DataFrame):
    """Float64 row blocks with the position of their first row."""
    values = frame.to_numpy()
    for start in range(0, len(values), _BLOCK):
        yield values[start : start + _BLOCK].astype(np.float64), start


def _unique(labels: pd.Index, what: str, kind: str) -> None:
    if not labels.is_unique:
        raise UserError(f"{what}: {kind} {labels[labels.duplicated()][0]!r} is there twice")


def _same_labels(have: pd.Index, want: pd.Index, what: str, kind: str) -> None:
    _unique(have, what, kind)
    if have.equals(want):
        return
    for labels, problem in ((want.difference(have), "missing"), (have.difference(want), "not expected")):
        if len(labels):
            raise UserError(f"{what}: {len(labels)} {kind}(s) {problem}, the first is {labels[0]!r}")


def _treated_predictions(y_pred: pd.DataFrame, treated: pd.Series) -> pd.DataFrame:
    """The predictions of treated rows; a row that is no control either stays, for `align` to refuse."""
    return y_pred.loc[~y_pred.index.isin(treated.index[~treated.to_numpy()])]


def _check_counts(n_treated: int, n_all: int) -> None:
    if not 0 < n_treated <= n_all:
        raise UserError(f"expected 0 < treated rows <= all rows, got {n_treated} and {n_all}")
