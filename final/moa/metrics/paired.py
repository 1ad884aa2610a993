"""Differences of two predictions of the same rows, with intervals by a paired bootstrap over compounds.

Rows of one compound are alike, so compounds are drawn, not rows; and both predictions are measured on the same draw,
because what is hard for one is often hard for the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from moa.metrics.likeliest import likeliest
from moa.metrics.losses import align, cell_log_loss

#: Measures that are compared, and whether more is better.
COMPARED = {"top_1": True, "average_precision_micro": True, "log_loss": False}
#: Coverage of the intervals, and standard deviations on both sides of the mean that have it.
LEVEL, _WIDTH = 0.95, 1.959964
DRAWS = 1000
#: Fewest draws, and cells (row, target) that all draws together take: of a competition's data fewer draws are made.
_LEAST, _CELLS = 30, 1.5e8
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
        """Average precision over all cells, ties included, for each line of weights."""
        flat, positive = score.ravel(), self._positive.ravel()
        order = np.argsort(-flat, kind="stable")
        ordered, rows = flat[order], order // self._positive.shape[1]
        last = np.searchsorted(-ordered, -ordered[positive[order]], side="right") - 1  # of the cells of equal score
        hits = positive[order]
        found = np.empty(len(self.weights))
        for place, line in enumerate(self.weights):
            drawn = line[rows]
            above, right = np.cumsum(drawn), np.cumsum(np.where(hits, drawn, 0))
            own = drawn[hits]
            with np.errstate(invalid="ignore"):
                precision = np.where(own > 0, right[last] / np.maximum(above[last], 1), 0)
                found[place] = (own * precision).sum() / own.sum() if own.sum() else np.nan
        return found


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
