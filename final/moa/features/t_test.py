"""Supervised selection of columns."""

from __future__ import annotations

import numpy as np

from moa.errors import UserError
from moa.features.base import Selecting
from moa.features.stored import stored


@stored
class TTestSelector(Selecting):
    """Keep the columns that differ most between treated rows with and without any mechanism of action.

    Each column is tested by Student's t-test (equal variances). Columns are kept whose p-value is at most the given
    quantile of all p-values. Source: write-up, 2-heads ResNet. The published rule, the 25 % quantile of 872 p-values,
    always keeps 218 columns, but the published list has 447; the write-up does not explain the difference.

    Args:
        keep_quantile: share of the columns to keep.
        n_columns: instead keep this number of columns, those with the lowest p-values.

    Attributes:
        p_values_: shape (columns,); NaN for a column of equal values, which is never kept, and for all columns where
            every row is positive: all are kept then.
        support_: True for columns that are kept, shape (columns,).
    """

    def __init__(self, keep_quantile: float = 0.25, n_columns: int | None = None):
        self.keep_quantile = keep_quantile
        self.n_columns = n_columns

    def fit(self, X: np.ndarray, y: np.ndarray) -> TTestSelector:
        """Compare the rows with ``y`` = 1 and ``y`` = 0 in each column.

        Args:
            X: shape (rows, columns).
            y: 0/1, shape (rows,).

        Raises:
            UserError: no row is positive, or fewer columns vary than are to be kept.
        """
        from scipy import stats

        X, y = self.learned(X, y)
        positive = y.astype(bool)
        if not positive.any():
            raise UserError("feature selection by t-test needs rows with a positive label, and there is none")
        if positive.all():  # nothing to compare with: there is no reason to leave out a column
            self.p_values_ = np.full(X.shape[1], np.nan)
            self.support_ = np.ones(X.shape[1], dtype=bool)
            return self
        varies = np.ptp(X, axis=0) > 0
        wanted = 1 if self.n_columns is None else self.n_columns
        if varies.sum() < wanted:
            raise UserError(
                f"feature selection by t-test: {wanted} columns are wanted, and {varies.sum()} hold more than one value"
            )
        self.p_values_ = np.full(X.shape[1], np.nan)
        self.p_values_[varies] = stats.ttest_ind(X[positive][:, varies], X[~positive][:, varies], axis=0).pvalue
        if self.n_columns is None:
            self.support_ = self.p_values_ <= np.nanquantile(self.p_values_, self.keep_quantile)
        else:
            self.support_ = np.zeros(len(self.p_values_), dtype=bool)
            self.support_[np.argsort(self.p_values_, kind="stable")[: self.n_columns]] = True  # NaN sorts last
        return self

    def get_support(self) -> np.ndarray:
        """True for columns that are kept, shape (columns,)."""
        return self.support_

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The columns of ``X`` that are kept, shape (rows, kept)."""
        return self.checked(X)[:, self.get_support()]
