"""Statistics of each row over groups of columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from moa.errors import UserError
from moa.features.base import Transformer, blocks
from moa.features.stored import stored

# Rows processed at a time: few enough for a processor's cache.
_ROWS_AT_A_TIME = 1024


@stored
class RowStatistics(Transformer):
    """Statistics over consecutive groups of columns, and over all groups together if there are several.

    Source: write-up, Simple NN and 2-stage NN + TabNet.

    Args:
        groups: number of columns of each group by name, in column order, such as {"g": 772, "c": 100}.
        statistics: any of sum, mean, std, kurtosis, skew, as pandas defines them: std divides by n - 1; kurtosis and
            skew are corrected for bias, and are 0 for a row of equal values.
        by_group: the statistics of the first group come first, then those of the next; False: the first statistic of
            all groups, then the next.
    """

    #: Of fits that were stored before this was a parameter.
    by_group = False

    def __init__(
        self,
        groups: Mapping[str, int],
        statistics: tuple[str, ...] = ("sum", "mean", "std", "kurtosis", "skew"),
        by_group: bool = True,
    ):
        self.groups = groups
        self.statistics = statistics
        self.by_group = by_group

    def fit(self, X: np.ndarray, y: Any = None) -> RowStatistics:
        """Check the settings against ``X``, shape (rows, columns).

        Raises:
            UserError: the groups do not add up to the columns, a group is too narrow, or a statistic is unknown.
        """
        width = self.learned(X).shape[1]
        unknown = [name for name in self.statistics if name not in _STATISTICS]
        if unknown:
            raise UserError(f"row statistics: '{unknown[0]}' is not one of {', '.join(_STATISTICS)}")
        if sum(self.groups.values()) != width:
            raise UserError(f"row statistics: groups {dict(self.groups)} do not add up to the {width} columns given")
        for name, least in _LEAST.items():
            if name in self.statistics and min(self.groups.values()) < least:
                raise UserError(f"row statistics: groups {dict(self.groups)} need {least} columns each for the {name}")
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The statistics over each group of columns of ``X``, then over all columns.

        Returns:
            shape (rows, (groups + 1) × statistics); with a single group (rows, statistics).
        """
        X = self.checked(X)
        ends = np.cumsum(list(self.groups.values()))
        spans = [slice(end - width, end) for end, width in zip(ends, self.groups.values(), strict=True)]
        if len(spans) > 1:
            spans.append(slice(None))
        result = np.empty((len(X), len(spans), len(self.statistics)))
        for rows in blocks(len(X), _ROWS_AT_A_TIME):
            for number, span in enumerate(spans):
                moments = _Moments.of(X[rows, span])
                for place, name in enumerate(self.statistics):
                    result[rows, number, place] = _STATISTICS[name](moments)
        return (result if self.by_group else result.transpose(0, 2, 1)).reshape(len(X), -1)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names such as "g_sum", "g_mean", one per column of ``transform``."""
        names = list(self.groups)
        if len(names) > 1:
            names.append("".join(names))
        pairs = [(group, name) for group in names for name in self.statistics]
        if not self.by_group:
            pairs = [(group, name) for name in self.statistics for group in names]
        return np.array([f"{group}_{name}" for group, name in pairs], dtype=object)


class _Moments(NamedTuple):
    """For each row: count, sum, and the sums of the second, third and fourth powers of the deviations."""

    n: int
    total: np.ndarray
    m2: np.ndarray
    m3: np.ndarray
    m4: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray) -> _Moments:
        n, total = X.shape[1], X.sum(axis=1)
        deviation = X - (total / n)[:, None]
        square = deviation**2
        second = square.sum(axis=1)
        # The deviations of a row of equal values are rounding errors: kurtosis and skew must not be computed from them.
        second[second <= n * (np.finfo(float).eps * np.abs(total)) ** 2] = 0
        return cls(n, total, second, (square * deviation).sum(axis=1), (square**2).sum(axis=1))


def _kurtosis(moments: _Moments) -> np.ndarray:
    n, _, m2, _, m4 = moments
    shape = np.divide(n * (n + 1) * (n - 1) * m4, m2**2, out=np.zeros_like(m2), where=m2 > 0)
    return np.where(m2 > 0, (shape - 3 * (n - 1) ** 2) / ((n - 2) * (n - 3)), 0.0)


def _skew(moments: _Moments) -> np.ndarray:
    n, _, m2, m3, _ = moments
    return np.divide(n * (n - 1) ** 0.5 / (n - 2) * m3, m2**1.5, out=np.zeros_like(m2), where=m2 > 0)


#: Columns that a statistic is defined for.
_LEAST = {"kurtosis": 4, "skew": 3, "std": 2}
_STATISTICS: dict[str, Callable[[_Moments], np.ndarray]] = {
    "sum": lambda moments: moments.total,
    "mean": lambda moments: moments.total / moments.n,
    "std": lambda moments: np.sqrt(moments.m2 / (moments.n - 1)),
    "kurtosis": _kurtosis,
    "skew": _skew,
}
