"""Simple predictions of held-out rows: from the rows that a model would have been trained on, and from those alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from moa.metrics.calibration import prior_of

#: Predicts rows from others: positions of the training rows (bool) and of the rows to predict, to probabilities.
Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]


def held_out_mean(
    y: pd.DataFrame, groups: pd.DataFrame, predict: Predict, apart: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Predictions of each row from the rows of other groups: the mean over the columns of ``groups``.

    Args:
        y: 0/1 labels, shape (rows, targets), indexed by sig_id.
        groups: what is held out with a row, such as its fold, a column for each seed; NaN: a row that is not predicted
            in that column, and that any row is predicted from.
        predict: gives probabilities, shape (rows to predict, targets).
        apart: further columns whose values training rows must not share, shape (rows, columns); None: none.

    Returns:
        float64, shape (rows with a group in any column, targets); rows without training rows are left out.
    """
    groups = groups.loc[y.index]
    total, times = np.zeros(y.shape), np.zeros(len(y))
    for column in groups:
        for train, rows in held_out_units(groups[column], apart, y.index):
            if train.any():
                total[rows] += predict(train, rows)
                times[rows] += 1
    known = times > 0
    return pd.DataFrame(total[known] / times[known, None], y.index[known], y.columns)


def training_prevalence(y: pd.DataFrame, groups: pd.DataFrame, apart: pd.DataFrame | None = None) -> pd.DataFrame:
    """The frequency of each target in each row's training rows, see `moa.metrics.calibration.prior_of`.

    Arguments and result are those of `held_out_mean`.
    """
    labels = y.to_numpy(np.float64)
    sums, count = labels.sum(axis=0), len(labels)

    def predict(train: np.ndarray, rows: np.ndarray) -> np.ndarray:
        left = ~train  # few, where one compound is held out at a time
        found = prior_of(sums - labels[left].sum(axis=0), count - left.sum())
        return np.tile(found, (len(rows), 1))

    return held_out_mean(y, groups, predict, apart)


def by_one_number(
    number: pd.Series, y: pd.DataFrame, groups: pd.DataFrame, apart: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Predict each row from one number, such as its cell count: labels of the training rows whose number is nearest.

    Of n training rows the √n nearest count, and the prevalence as one row more. Rows without a number get the
    prevalence.

    Args:
        number: of each row, indexed by sig_id; may be NaN.
        y: as for `held_out_mean`.
        groups: likewise.
        apart: likewise.

    Returns:
        as `held_out_mean`.
    """
    from sklearn.neighbors import KNeighborsRegressor

    values, labels = number.reindex(y.index).to_numpy(np.float64), y.to_numpy(np.float64)
    known = np.isfinite(values)

    def predict(train: np.ndarray, rows: np.ndarray) -> np.ndarray:
        rest = np.tile(prior_of(labels[train].sum(axis=0), train.sum()), (len(rows), 1))
        near, ask = train & known, known[rows]
        if near.any() and ask.any():
            k = max(1, round(near.sum() ** 0.5))
            fitted = KNeighborsRegressor(k).fit(values[near, None], labels[near])
            rest[ask] = (k * fitted.predict(values[rows[ask], None]) + rest[ask]) / (k + 1)
        return rest

    return held_out_mean(y, groups, predict, apart)


def held_out_units(
    group: pd.Series, apart: pd.DataFrame | None, index: pd.Index
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What is held out together, such as the rows of a fold, or of a fold and a week.

    Args:
        group: what is held out with each row, shape (rows,); NaN: the row is not held out.
        apart: as for `held_out_mean`.
        index: of the rows.

    Yields:
        the training rows (bool, shape (rows,)), and the positions of the rows held out.
    """
    codes = [pd.factorize(group)[0]]
    codes += [] if apart is None else [pd.factorize(apart.loc[index, name])[0] for name in apart]
    held = np.column_stack(codes)
    unit = pd.factorize(pd.MultiIndex.from_arrays(held.T) if held.shape[1] > 1 else held[:, 0])[0]
    order = np.argsort(unit, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(unit[order])) + 1):
        own = held[rows[0]]
        if own[0] >= 0:
            yield (held != own).all(axis=1), rows
