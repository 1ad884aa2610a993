"""Cosine k-nearest neighbours, the field's baseline: a row gets the mechanisms of the most similar rows.

Neighbours of a row are the rows that a model would have been trained on: with the folds of a model, those of other
folds; with compounds held out, those of other compounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from moa.errors import UserError

#: Similarities in memory at once, in float32: 128 MiB.
_CELLS = 2**25
_NONE_LEFT = "k-nearest neighbours: all rows are of one compound or fold, so none is left as a neighbour"


def neighbour_votes(
    features: pd.DataFrame,
    y: pd.DataFrame,
    groups: pd.DataFrame | pd.Series,
    k: int = 5,
    on_part: Callable[[float], None] | None = None,
    apart: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Predict each row from the ``k`` rows of other groups whose features have the highest cosine with its own.

    A neighbour votes for its targets with (1 + cosine) / 2, and votes are divided by ``k``: scores in [0, 1] that rank,
    but are not calibrated, since most are 0.

    Args:
        features: numbers, shape (rows, features), indexed by sig_id; z-scores or others that are comparable.
        y: 0/1 labels, shape (rows, targets), of exactly these rows, in any order.
        groups: a label of each row, such as its compound or its fold, shape (rows,); rows of one label are never
            neighbours. Several columns, such as the folds of several seeds, give the mean of their predictions. NaN is
            no label: such a row can be a neighbour of any row, and has no prediction in that column.
        k: number of neighbours; fewer where fewer rows are left.
        on_part: called with the share of the rows that is done.
        apart: columns, such as the week in which a plate was made, whose value a neighbour must not share either, shape
            (rows, columns); None: none.

    Returns:
        float32, shape (rows with a label in any column, targets), in the order of ``features``.

    Raises:
        UserError: ``k`` is below 1, a feature is missing or infinite, or no row is left to be a neighbour.
    """
    return votes_of_each(features, y, groups, (k,), on_part, apart)[k]


def votes_of_each(
    features: pd.DataFrame,
    y: pd.DataFrame,
    groups: pd.DataFrame | pd.Series,
    ks: Sequence[int],
    on_part: Callable[[float], None] | None = None,
    apart: pd.DataFrame | None = None,
) -> dict[int, pd.DataFrame]:
    """`neighbour_votes` of several numbers of neighbours, for little more than the cost of one.

    Args:
        features: numbers, shape (rows, features), indexed by sig_id.
        y: 0/1 labels, shape (rows, targets), of exactly these rows.
        groups: a label of each row, shape (rows,) or (rows, columns), as in `neighbour_votes`.
        ks: numbers of neighbours.
        on_part: called with the share of the rows that is done.
        apart: columns whose value a neighbour must not share, shape (rows, columns); None: none.

    Returns:
        the votes by number of neighbours, each of shape (rows with a label in any column, targets).

    Raises:
        UserError: as in `neighbour_votes`.
    """
    if min(ks) < 1:
        raise UserError(f"--neighbours {min(ks)}: expected at least 1")
    groups = pd.DataFrame(groups).loc[features.index]
    codes = np.stack([pd.factorize(groups[column])[0] for column in groups], axis=1)  # -1: no label
    codes, times = np.unique(codes, axis=1, return_counts=True)  # many models split all seeds alike
    unit = unit_rows(features)
    others = [] if apart is None else [pd.factorize(apart.loc[features.index, name])[0] for name in apart]
    labels = y.loc[features.index].to_numpy(np.float32)
    wanted = np.flatnonzero((codes >= 0).any(axis=1))
    found = {k: np.zeros((len(wanted), labels.shape[1]), np.float32) for k in ks}
    step = max(1, _CELLS // len(unit))
    for start in range(0, len(wanted), step):
        rows = wanted[start : start + step]
        part = slice(start, start + step)
        similar = unit[rows] @ unit.T
        for code in others:
            similar[code[rows][:, None] == code[None, :]] = -np.inf
        for column, count in zip(codes.T, times, strict=True):
            allowed = np.where(column[rows][:, None] == column[None, :], np.float32(-np.inf), similar)
            for k, total in found.items():
                asked = column[rows] >= 0
                if asked.any() and not np.isfinite(allowed[asked]).any(axis=1).all():
                    raise UserError(_NONE_LEFT)
                total[part] += votes(allowed, labels, k) * (count * asked)[:, None]
        for total in found.values():
            total[part] /= ((codes[rows] >= 0) * times).sum(axis=1, keepdims=True)
        if on_part:
            on_part((start + len(rows)) / len(wanted))
    return {k: pd.DataFrame(total, features.index[wanted], y.columns) for k, total in found.items()}


def votes(similar: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Votes of the ``k`` most similar rows.

    Args:
        similar: cosines, shape (rows, others); -inf for those that are not allowed.
        labels: 0/1 of the others, shape (others, targets).
        k: number of neighbours; fewer where there are fewer.

    Returns:
        shape (rows, targets).
    """
    k = min(k, similar.shape[1])
    nearest = np.argpartition(-similar, k - 1, axis=1)[:, :k]
    cosine = np.take_along_axis(similar, nearest, axis=1)
    weights = np.where(np.isfinite(cosine), (1 + cosine) / 2, 0).astype(np.float32)
    return np.einsum("rk,rkt->rt", weights, labels[nearest]) / k


def unit_rows(features: pd.DataFrame) -> np.ndarray:
    """The rows of ``features``, shape (rows, features), with length 1, float32; a row of zeros stays as it is.

    Raises:
        UserError: a value is missing or infinite.
    """
    values = features.to_numpy(np.float64)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        place = f"row {features.index[row]!r}, column {features.columns[column]!r}"
        raise UserError(f"k-nearest neighbours: {place} holds {values[row, column]}; expected a number")
    length = np.sqrt((values**2).sum(axis=1, keepdims=True))
    return (values / np.where(length > 0, length, 1)).astype(np.float32)
