"""Differences of two predictions of the same rows, with intervals by a paired bootstrap over compounds.

Rows of one compound are alike, so compounds are drawn, not rows; and both predictions are measured on the same draw,
because what is hard for one is often hard for the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from moa.metrics.likeliest import likeliest
from moa.metrics.losses import align, cell_log_loss

#: Measures that are compared, and whether more is better.
COMPARED = {"top_1": True, "average_precision_micro": True, "log_loss": False}
#: Coverage of the intervals, and standard deviations on both sides of the mean that have it.
LEVEL, _WIDTH = 0.95, 1.959964
DRAWS = 1000
#: Fewest draws, and cells (row, target) that all draws together take: of a competition's data fewer draws are made.
_LEAST, _CELLS = 30, 1.5e8
#: Numbers (draw, positive) that are held at once.
_AT_ONCE = 2_000_000
#: Of fewer draws than this the interval is that of a normal distribution with their standard deviation.
_ENOUGH = 200
#: Probabilities are clipped to [CLIP, 1 - CLIP] before the logarithm.
CLIP = 1e-6


@dataclass(frozen=True)
class Difference:
    """How much better one prediction is than another in a measure: negative where it is worse.

    Attributes:
        value: the difference, in the direction in which more is better.
        low, high: ends of its 95 % interval.
    """

    value: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """Whether the interval lies above zero."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """Whether the interval lies below zero."""
        return self.high < 0


class Draws:
    """The compounds of some rows, drawn with replacement: the same draws for every prediction that is measured.

    Args:
        y: 0/1 labels, shape (rows, targets).
        compounds: of each row, shape (rows,); rows without one count each for themselves. None: so do all rows.
        seed: of the draws.
    """

    def __init__(self, y: pd.DataFrame, compounds: pd.Series | None = None, seed: int = 0):
        self.y = y
        self._positive = y.to_numpy().astype(bool)
        codes = np.arange(len(y)) if compounds is None else pd.factorize(compounds.reindex(y.index))[0]
        lone = np.flatnonzero(codes < 0)
        codes[lone] = codes.max(initial=-1) + 1 + np.arange(len(lone))
        count = int(codes.max(initial=-1)) + 1
        number = int(np.clip(_CELLS // max(y.size, 1), _LEAST, DRAWS))
        rng = np.random.default_rng(seed)
        times = np.stack([np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(number)])
        #: How often each row is drawn; the first line is that of the rows as they are.
        self.weights = np.vstack([np.ones(len(y), times.dtype), times[:, codes]])

    def measured(self, p: pd.DataFrame, probabilities: bool = True) -> dict[str, np.ndarray]:
        """The measures of ``COMPARED`` for the rows as they are and for each draw, shape (1 + draws,).

        ``p`` has the rows and targets of ``y``, in any order. Without ``probabilities`` there is no log loss.
        """
        score = align(p, self.y.index, self.y.columns, "predictions").to_numpy(np.float64)
        labelled = self._positive.any(axis=1)
        right = (likeliest(score) * self._positive).sum(axis=1)
        found = {"top_1": self._mean(right, labelled), "average_precision_micro": self._precision(score)}
        if probabilities:
            loss = cell_log_loss(self._positive, np.clip(score, CLIP, 1 - CLIP)).mean(axis=1)
            found["log_loss"] = self._mean(loss, np.ones(len(loss), bool))
        return found

    def _mean(self, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        weights = self.weights[:, rows].astype(np.float64)
        with np.errstate(invalid="ignore"):  # a draw without any of the rows
            return weights @ values[rows] / weights.sum(axis=1)

    def _precision(self, score: np.ndarray) -> np.ndarray:
        """Average precision over all cells, ties included, for each line of weights.

        The precision at a positive cell is the share of positives among the cells that score as much or more. How many
        of them a draw has follows from how many cells of each row there are between one positive and the next.
        """
        flat, positive = score.ravel(), self._positive.ravel()
        order = np.argsort(-flat, kind="stable")
        ordered, rows, hits = flat[order], order // self._positive.shape[1], positive[order]
        ends = np.searchsorted(-ordered, -ordered[hits], side="right")  # number of cells that score as much or more
        bounds, place = np.unique(ends, return_inverse=True)
        right_until = np.searchsorted(np.flatnonzero(hits), bounds)  # number of positives among them
        cells = rows[: bounds[-1]] if len(bounds) else rows[:0]
        part = np.searchsorted(bounds, np.arange(len(cells)), side="right")
        counts = sparse.csr_array((np.ones(len(cells), np.int64), (part, cells)), (len(bounds), len(score)))
        found = []
        for lines in np.array_split(self.weights, max(len(self.weights) * len(place) // _AT_ONCE, 1)):
            own = lines.T[rows[hits]]
            above = np.cumsum(counts @ lines.T, axis=0)
            right = np.cumsum(own, axis=0)[right_until - 1]
            with np.errstate(invalid="ignore"):  # a draw without a positive
                precision = np.where(own > 0, (right / np.maximum(above, 1))[place], 0)
                found.append((own * precision).sum(axis=0) / own.sum(axis=0))
        return np.concatenate(found)


def difference(one: np.ndarray, other: np.ndarray, more: bool) -> Difference:
    """How much better ``one`` is than ``other``, both as from `Draws.measured`; ``more``: more is better."""
    values = one - other if more else other - one
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return Difference(float(values[0]), float("nan"), float("nan"))
    if len(drawn) < _ENOUGH:
        low, high = values[0] + _WIDTH * drawn.std(ddof=1) * np.array([-1, 1]) if len(drawn) > 1 else (np.nan, np.nan)
    else:
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Difference(float(values[0]), float(low), float(high))
