"""The competition's metric over all rows and over treated rows.

All functions take tables with a sig_id index and target names as columns, and align them by these labels: the order of
rows and columns never matters, and a row or column that only one table has is a ``UserError``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from moa.errors import UserError

#: Probabilities are clipped to [CLIP, 1 - CLIP] before the logarithm, as in the competition.
CLIP = 1e-15
#: Rounding can move a mean of float32 probabilities slightly outside [0, 1]; anything further out is an error.
_ROUNDING = 1e-6
#: Rows per block: limits the float64 copies of a table to a few MB.
_BLOCK = 2048
#: Coverage of bootstrap intervals.
_LEVEL = 0.95


def align(frame: pd.DataFrame, index: pd.Index, columns: pd.Index, what: str) -> pd.DataFrame:
    """``frame`` in the order of ``index`` and ``columns``; it must have exactly these rows and columns.

    Args:
        frame: table of shape (rows, targets) in any order.
        index: wanted sig_ids.
        columns: wanted target names.
        what: the table's name in error messages.

    Returns:
        the same cells, shape (len(index), len(columns)).

    Raises:
        UserError: a row or column is missing, unexpected or duplicated.
    """
    _same_labels(frame.index, index, what, "row")
    _same_labels(frame.columns, columns, what, "column")
    if not frame.index.equals(index):
        frame = frame.loc[index]
    return frame if frame.columns.equals(columns) else frame[list(columns)]


def check_probabilities(frame: pd.DataFrame, what: str) -> None:
    """Check that every cell of ``frame``, shape (rows, targets), is a probability; ``what`` names it in messages.

    Raises:
        UserError: a cell is missing, infinite or outside [0, 1]; names the first such cell.
    """
    # False for NaN too
    _check_cells(frame, what, lambda cells: (cells >= -_ROUNDING) & (cells <= 1 + _ROUNDING), "a probability in [0, 1]")


def check_labels(frame: pd.DataFrame, what: str) -> None:
    """Check that every cell is 0 or 1, in rows of targets; ``frame`` and ``what`` are as in `check_probabilities`.

    Raises:
        UserError: as there.
    """
    _check_cells(frame, what, lambda cells: (cells == 0.0) | (cells == 1.0), "0 or 1")


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


def cell_log_loss(positive: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Binary log loss of each cell in nats (natural logarithm), float64: the metric before any mean is taken.

    ``positive`` are bool labels of any shape, ``probability`` is float64 of the same shape, as is the result; it is
    clipped to [1e-15, 1 - 1e-15].
    """
    probability = np.clip(probability, CLIP, 1.0 - CLIP)
    return -np.log(np.where(positive, probability, 1.0 - probability))  # one logarithm per cell


def column_log_loss(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> pd.Series:
    """Binary log loss of each target, natural logarithm, mean over rows.

    Args:
        y_true: 0/1 labels, shape (rows, targets), indexed by sig_id.
        y_pred: probabilities of the same rows and targets, in any order; clipped to [1e-15, 1 - 1e-15].

    Returns:
        float64 losses in the order of ``y_true``'s columns, shape (targets,).

    Raises:
        UserError: rows or columns differ, a label is not 0 or 1, a cell is not a probability, or there are no rows.
    """
    total = np.zeros(y_true.shape[1])
    for losses in _cell_losses(y_true, y_pred):
        total += losses.sum(axis=0)
    return pd.Series(total / len(y_true), index=y_true.columns, name="log_loss")


def row_log_loss(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> pd.Series:
    """Log loss of each row, natural logarithm, mean over targets; shape (rows,), indexed by sig_id.

    ``y_true`` and ``y_pred`` are those of `column_log_loss`, and so are errors.
    """
    losses = [losses.mean(axis=1) for losses in _cell_losses(y_true, y_pred)]
    return pd.Series(np.concatenate(losses), index=y_true.index, name="log_loss")


def log_loss(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> float:
    """The competition's metric in nats: mean over targets of `column_log_loss`, over exactly the rows given.

    ``y_true`` and ``y_pred`` are those of `column_log_loss`, and so are errors.
    """
    return float(column_log_loss(y_true, y_pred).mean())


def competition_log_loss(y_true: pd.DataFrame, y_pred: pd.DataFrame, treated: pd.Series) -> float:
    """Log loss over all rows, with control rows predicted exactly 0, whatever ``y_pred`` holds for them.

    Args:
        y_true: 0/1 labels of all rows, shape (rows, targets).
        y_pred: probabilities; control rows may be missing, treated rows may not.
        treated: True for a treated row, False for a control; exactly the rows of ``y_true``.

    Returns:
        the loss in nats.

    Raises:
        UserError: as in `column_log_loss`, or a treated row has no prediction.
    """
    treated = align_treated(treated, y_true.index)
    full = pd.DataFrame(0.0, index=y_true.index, columns=y_true.columns)
    chosen = _treated_predictions(y_pred, treated)
    full.loc[treated.to_numpy()] = align(chosen, full.index[treated.to_numpy()], full.columns, "predictions")
    return log_loss(y_true, full)


def treated_log_loss(y_true: pd.DataFrame, y_pred: pd.DataFrame, treated: pd.Series) -> float:
    """Log loss in nats over the treated rows only.

    ``y_true`` and ``y_pred`` with ``treated`` are those of `competition_log_loss`, and so are errors.
    """
    treated = align_treated(treated, y_true.index)
    return log_loss(y_true.loc[treated.to_numpy()], _treated_predictions(y_pred, treated))


def treated_to_all(loss: float, n_treated: int, n_all: int) -> float:
    """Log loss in nats over all ``n_all`` rows, from the ``loss`` over the ``n_treated`` treated ones.

    A control predicted 0 adds nothing (1e-15).

    Raises:
        UserError: there are no treated rows, or more than rows.
    """
    if not 0 < n_treated <= n_all:
        raise UserError(f"expected 0 < treated rows <= all rows, got {n_treated} and {n_all}")
    return loss * n_treated / n_all


def prevalence_baseline(y_train: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """The best constant prediction, a baseline for every model: each target's mean, for each sig_id of ``index``.

    The mean is that of the 0/1 labels ``y_train``, shape (rows, targets); give only treated rows in order to predict
    treated rows. The result is float64, shape (len(index), targets).

    Raises:
        UserError: ``y_train`` has no rows.
    """
    if y_train.empty:
        raise UserError("targets: no rows to take the prevalence of")
    mean = y_train.to_numpy(dtype=np.float64).mean(axis=0)
    return pd.DataFrame(np.tile(mean, (len(index), 1)), index=index, columns=y_train.columns)


def bootstrap_interval(
    values: np.ndarray, groups: np.ndarray | None = None, replicates: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """The ends of the 95 % percentile bootstrap interval of the mean of ``values``, shape (rows,).

    Rows are drawn with replacement ``replicates`` times, with the ``seed``; or whole ``groups``, one label per row,
    such as its drug, if rows of a group are alike.
    """
    codes = np.arange(len(values)) if groups is None else pd.factorize(groups)[0]
    sums, sizes = np.bincount(codes, values), np.bincount(codes)
    rng = np.random.default_rng(seed)
    means = np.empty(replicates)
    for i in range(replicates):
        drawn = rng.integers(len(sums), size=len(sums))
        means[i] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.quantile(means, [(1.0 - _LEVEL) / 2, (1.0 + _LEVEL) / 2])
    return float(low), float(high)


def _blocks(frame: pd.DataFrame) -> Iterator[tuple[np.ndarray, int]]:
    """Float64 row blocks, each with the position of its first row."""
    values = frame.to_numpy()
    for start in range(0, len(values), _BLOCK):
        yield values[start : start + _BLOCK].astype(np.float64), start


def _cell_losses(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> Iterator[np.ndarray]:
    """`cell_log_loss` of row blocks of two tables, which are checked and aligned first."""
    _unique(y_true.index, "targets", "row")
    _unique(y_true.columns, "targets", "column")
    if y_true.empty:
        raise UserError("targets: no rows or no columns to score")
    y_pred = align(y_pred, y_true.index, y_true.columns, "predictions")
    check_probabilities(y_pred, "predictions")
    check_labels(y_true, "targets")
    for (truth, _), (probability, _) in zip(_blocks(y_true), _blocks(y_pred), strict=True):
        yield cell_log_loss(truth == 1.0, probability)


def _check_cells(frame: pd.DataFrame, what: str, valid: Callable[[np.ndarray], np.ndarray], expected: str) -> None:
    """Raise an error that names the first cell of ``frame`` that is not valid."""
    for block, start in _blocks(frame):
        bad = np.argwhere(~valid(block))
        if len(bad):
            row, column = bad[0]
            place = f"row {frame.index[start + row]!r}, column {frame.columns[column]!r}"
            raise UserError(f"{what}: {place} holds {block[row, column]}; expected {expected}")


def _unique(labels: pd.Index, what: str, kind: str) -> None:
    if not labels.is_unique:
        raise UserError(f"{what}: {kind} {labels[labels.duplicated()][0]!r} occurs twice")


def _same_labels(have: pd.Index, want: pd.Index, what: str, kind: str) -> None:
    _unique(have, what, kind)
    if have.equals(want):
        return
    for labels, problem in ((want.difference(have), "missing"), (have.difference(want), "not expected")):
        if len(labels):
            raise UserError(f"{what}: {len(labels)} {kind}(s) {problem}, the first is {labels[0]!r}")


def _treated_predictions(y_pred: pd.DataFrame, treated: pd.Series) -> pd.DataFrame:
    """The predictions without control rows; an unknown row stays, so that `align` reports it."""
    return y_pred.loc[~y_pred.index.isin(treated.index[~treated.to_numpy()])]
