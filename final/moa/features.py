"""The solution's feature transformers, in scikit-learn's contract: arrays in, float64 arrays out.

Fitted attributes are numbers, strings, arrays and scikit-learn estimators only, so that a fit can be stored without a
pickle. Source: write-up, common parts and the single models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.preprocessing import QuantileTransformer

from moa.errors import UserError
from moa.schema import CP_DOSE, CP_DOSES, CP_TIME, CP_TIMES

TRUSTED_TYPES = (
    "moa.features.ConditionCodes",
    "moa.features.GaussianRank",
    "moa.features.KMeansOneHot",
    "moa.features.OneHotConditions",
    "moa.features.RowStatistics",
    "moa.features.TTestSelector",
)


class GaussianRank(TransformerMixin, BaseEstimator):
    """Bend each column into a normal distribution by its ranks ("RankGauss").

    scikit-learn's ``QuantileTransformer`` over the whole matrix, which is the same as one a column. Since 1.3 it looks
    at 10,000 random rows by default; 2020's took up to 100,000, so that all rows of the competition counted: here too.

    Args:
        n_quantiles: points of the fitted distribution function; fewer where there are fewer rows.
        random_state: the published seed. Without subsampling nothing is drawn, so it has no effect.
    """

    def __init__(self, n_quantiles: int = 100, random_state: int | None = None):
        self.n_quantiles = n_quantiles
        self.random_state = random_state

    def fit(self, x: np.ndarray, y: Any = None) -> GaussianRank:
        """Learn the quantiles of each column of ``x``, shape (rows, columns)."""
        x = np.asarray(x, np.float64)
        self.ranks_ = QuantileTransformer(
            n_quantiles=min(self.n_quantiles, len(x)),
            output_distribution="normal",
            subsample=None,
            random_state=self.random_state,
        ).fit(x)
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Values as normal scores, within about ±5.2; shape as ``x``."""
        return self.ranks_.transform(np.asarray(x, np.float64))


class RowStatistics(TransformerMixin, BaseEstimator):
    """Statistics over consecutive groups of columns, and over all of them together.

    Args:
        groups: width of each group by name, in column order, such as {"g": 772, "c": 100}.
        statistics: any of sum, mean, std, kurtosis, skew; pandas' unbiased definitions.
    """

    def __init__(
        self, groups: Mapping[str, int], statistics: tuple[str, ...] = ("sum", "mean", "std", "kurtosis", "skew")
    ):
        self.groups = groups
        self.statistics = statistics

    def fit(self, x: np.ndarray, y: Any = None) -> RowStatistics:
        """Check that the groups cover the columns."""
        width = np.asarray(x).shape[1]
        if sum(self.groups.values()) != width:
            raise UserError(f"row statistics: groups {dict(self.groups)} do not cover {width} columns")
        self.n_features_in_ = width
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Shape (rows, statistics × (groups + 1)): for each statistic each group, then all columns."""
        x = np.asarray(x, np.float64)
        ends = np.cumsum(list(self.groups.values()))
        parts = [*np.split(x, ends[:-1], axis=1), x]
        return np.column_stack([_STATISTICS[name](part) for name in self.statistics for part in parts])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names such as "g_sum", "c_sum", "gc_sum"."""
        names = [*self.groups, "".join(self.groups)]
        return np.array([f"{group}_{name}" for name in self.statistics for group in names], dtype=object)


def _shape(x: np.ndarray, power: int) -> np.ndarray:
    """Skew (power 3) or kurtosis (power 4), bias-corrected; 0 for a row of equal values, as in pandas."""
    flat = x.var(axis=1) < 1e-14
    measure = stats.skew if power == 3 else stats.kurtosis
    result = np.zeros(len(x))
    result[~flat] = measure(x[~flat], axis=1, bias=False)
    return result


_STATISTICS = {
    "sum": lambda x: x.sum(axis=1),
    "mean": lambda x: x.mean(axis=1),
    "std": lambda x: x.std(axis=1, ddof=1),
    "kurtosis": lambda x: _shape(x, 4),
    "skew": lambda x: _shape(x, 3),
}


class KMeansOneHot(TransformerMixin, BaseEstimator):
    """The k-means cluster of each row, one-hot.

    Args:
        n_clusters: number of clusters.
        random_state: seed of the starts.
        n_init: starts; 10 was the default of 2020, today's is 1. Elkan's algorithm likewise.
    """

    def __init__(self, n_clusters: int, random_state: int | None = None, n_init: int = 10):
        self.n_clusters = n_clusters
        self.random_state = random_state
        self.n_init = n_init

    def fit(self, x: np.ndarray, y: Any = None) -> KMeansOneHot:
        """Find the centres in ``x``, shape (rows, columns)."""
        fitted = KMeans(self.n_clusters, n_init=self.n_init, algorithm="elkan", random_state=self.random_state).fit(
            np.asarray(x, np.float64)
        )
        self.centers_ = fitted.cluster_centers_
        self.n_features_in_ = self.centers_.shape[1]
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """0/1, shape (rows, n_clusters)."""
        x = np.asarray(x, np.float64)
        # The nearest centre: |x|² is the same for all of them and left out.
        distance = (self.centers_**2).sum(axis=1) - 2 * x @ self.centers_.T
        return np.eye(self.n_clusters)[distance.argmin(axis=1)]


class OneHotConditions(TransformerMixin, BaseEstimator):
    """cp_time and cp_dose as five 0/1 columns, whichever of their values a file happens to hold."""

    def fit(self, x: pd.DataFrame, y: Any = None) -> OneHotConditions:
        """Nothing is learned: the categories are fixed."""
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, x: pd.DataFrame) -> np.ndarray:
        """Columns as ``get_feature_names_out`` names them, shape (rows, 5)."""
        times, doses = _conditions(x)
        return np.hstack([times[:, None] == np.array(CP_TIMES), doses[:, None] == np.array(CP_DOSES)]).astype(float)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """cp_time_24 … cp_dose_D2."""
        names = [f"{CP_TIME}_{time}" for time in CP_TIMES] + [f"{CP_DOSE}_{dose}" for dose in CP_DOSES]
        return np.array(names, dtype=object)


class ConditionCodes(TransformerMixin, BaseEstimator):
    """cp_time as 0, 1, 2 and cp_dose as 0, 1: the categorical inputs of TabNet."""

    def fit(self, x: pd.DataFrame, y: Any = None) -> ConditionCodes:
        """Nothing is learned: the categories are fixed."""
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, x: pd.DataFrame) -> np.ndarray:
        """Codes, shape (rows, 2)."""
        times, doses = _conditions(x)
        return np.column_stack([np.searchsorted(CP_TIMES, times), np.searchsorted(CP_DOSES, doses)]).astype(float)


def _conditions(x: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return x[CP_TIME].to_numpy(np.int64), x[CP_DOSE].to_numpy().astype("U2")


class TTestSelector(TransformerMixin, BaseEstimator):
    """Keep the columns in which treated rows with and without any mechanism of action differ most.

    Student's t-test (equal variances) a column; kept are those whose p-value is at most the given quantile of all
    p-values. Source: write-up, 2-heads ResNet.

    Args:
        keep_quantile: share of the columns to keep.
    """

    def __init__(self, keep_quantile: float = 0.25):
        self.keep_quantile = keep_quantile

    def fit(self, x: np.ndarray, y: np.ndarray) -> TTestSelector:
        """Test each column of ``x``, shape (rows, columns), between ``y`` = 1 and ``y`` = 0, shape (rows,)."""
        x, y = np.asarray(x, np.float64), np.asarray(y).astype(bool)
        if y.all() or not y.any():
            raise UserError("feature selection by t-test needs rows with and rows without a positive label")
        self.p_values_ = stats.ttest_ind(x[y], x[~y], axis=0).pvalue
        self.support_ = self.p_values_ <= np.quantile(self.p_values_, self.keep_quantile)
        self.n_features_in_ = x.shape[1]
        return self

    def get_support(self) -> np.ndarray:
        """True for the columns kept, shape (columns,)."""
        return self.support_

    def transform(self, x: np.ndarray) -> np.ndarray:
        """The columns kept."""
        return np.asarray(x, np.float64)[:, self.support_]


def factor_analysis(n_components: int, random_state: int) -> FactorAnalysis:
    """Factor analysis as in 2020: scikit-learn has kept its defaults (randomized SVD, three power iterations)."""
    return FactorAnalysis(n_components, svd_method="randomized", iterated_power=3, random_state=random_state)


def pca(n_components: int, random_state: int) -> PCA:
    """PCA by the exact decomposition.

    The "auto" of 2020 took a randomized one for these shapes and today's takes the covariance; both approximate or
    equal this, up to rounding, for the leading components.
    """
    return PCA(n_components, svd_solver="full", random_state=random_state)
