"""The solution's feature transformers, in scikit-learn's contract: tables of numbers in, float64 arrays out.

Fitted attributes are numbers, strings and arrays only, so that a fit can be stored without a pickle; ``TRUSTED_TYPES``
names the classes a reader has to allow. Source: write-up, common parts and the single models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy import special, stats
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils.validation import check_is_fitted, validate_data

from moa.errors import UserError

TRUSTED_TYPES: tuple[str, ...] = (
    "moa.features.conditions.ConditionCodes",
    "moa.features.transformers.GaussianRank",
    "moa.features.transformers.KMeansOneHot",
    "moa.features.conditions.OneHotConditions",
    "moa.features.conditions.RawInputs",
    "moa.features.transformers.RowStatistics",
    "moa.features.transformers.TTestSelector",
)

# scikit-learn's margin: values within it of the fitted extremes get the extreme score, which is finite thanks to it.
_BOUND = 1e-7
_LOWEST, _HIGHEST = special.ndtri([_BOUND - np.spacing(1), 1 - (_BOUND - np.spacing(1))])

# Columns ranked, and rows summed up, at a time: small enough for a processor's cache.
_COLUMNS_AT_A_TIME = 16
_ROWS_AT_A_TIME = 1024


class GaussianRank(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Bend each column into a normal distribution by its ranks ("RankGauss").

    Bit for bit scikit-learn's ``QuantileTransformer(n_quantiles, output_distribution="normal", subsample=None)``, one a
    column, in about half the processor time, and one array instead of hundreds of objects. Today that class looks at
    10,000 random rows by default; 2020's took up to 100,000, so that all rows of the competition counted: here too.

    Args:
        n_quantiles: points of the fitted distribution function; fewer where there are fewer rows.
        random_state: the published seed. Without subsampling nothing is drawn, so it has no effect.

    Attributes:
        references_: probabilities of the quantiles, shape (quantiles,).
        quantiles_: shape (quantiles, columns).
    """

    def __init__(self, n_quantiles: int = 100, random_state: int | None = None):
        self.n_quantiles = n_quantiles
        self.random_state = random_state

    def fit(self, x: np.ndarray, y: Any = None) -> GaussianRank:
        """Learn the quantiles of each column of ``x``, shape (rows, columns)."""
        x = validate_data(self, x, dtype=np.float64)
        rows = len(x)
        self.references_ = np.linspace(0, 1, max(1, min(self.n_quantiles, rows)))
        # numpy's "linear" percentile with the columns sorted once; the detour by 100 is scikit-learn's, and rounds.
        place = (rows - 1) * (self.references_ * 100 / 100)
        below = np.floor(place).astype(np.intp)
        above, share = np.minimum(below + 1, rows - 1), (place - below)[:, None]
        self.quantiles_ = np.empty((len(place), x.shape[1]))

        def quantiles(columns: slice) -> None:
            ordered = np.sort(np.ascontiguousarray(x[:, columns].T), axis=1).T
            low, high = ordered[below], ordered[above]
            step = high - low
            self.quantiles_[:, columns] = np.where(share >= 0.5, high - step * (1 - share), low + step * share)

        _each_block(quantiles, x.shape[1])
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Values as normal scores, within about ±5.2; shape as ``x``."""
        check_is_fitted(self)
        x = validate_data(self, x, reset=False, dtype=np.float64)
        result = np.empty(x.shape)
        references, backwards = self.references_, -self.references_[::-1]

        def ranks(columns: slice) -> None:
            block = x[:, columns].T.copy(order="C")  # a copy even of one column, for it is written into
            for values, points in zip(block, np.ascontiguousarray(self.quantiles_[:, columns].T), strict=True):
                lowest, highest = values - _BOUND < points[0], values + _BOUND > points[-1]
                # Equal quantiles, as of repeated values: from below the last one counts, from above the first.
                down = np.interp(-values, -points[::-1], backwards)
                values[:] = 0.5 * (np.interp(values, points, references) - down)
                values[highest] = 1
                values[lowest] = 0
            special.ndtri(block, out=block)
            result[:, columns] = np.clip(block, _LOWEST, _HIGHEST, out=block).T

        _each_block(ranks, x.shape[1])
        return result


def _each_block(work: Any, columns: int) -> None:
    """Call ``work`` with slices of columns, on threads: numpy's sort, interp and ndtri let each other run."""
    starts = range(0, columns, _COLUMNS_AT_A_TIME)
    Parallel(n_jobs=-1, backend="threading")(delayed(work)(slice(i, i + _COLUMNS_AT_A_TIME)) for i in starts)


class RowStatistics(TransformerMixin, BaseEstimator):
    """Statistics over consecutive groups of columns, and over all of them together.

    Args:
        groups: width of each group by name, in column order, such as {"g": 772, "c": 100}.
        statistics: any of sum, mean, std, kurtosis, skew; pandas' definitions: std by n - 1, the other two corrected
            for bias, and 0 for a row of equal values.
    """

    def __init__(
        self, groups: Mapping[str, int], statistics: tuple[str, ...] = ("sum", "mean", "std", "kurtosis", "skew")
    ):
        self.groups = groups
        self.statistics = statistics

    def fit(self, x: np.ndarray, y: Any = None) -> RowStatistics:
        """Check the settings against ``x``, shape (rows, columns).

        Raises:
            UserError: the groups do not add up to the columns, one is too narrow, or a statistic is unknown.
        """
        width = validate_data(self, x, dtype=np.float64).shape[1]
        unknown = [name for name in self.statistics if name not in _STATISTICS]
        if unknown:
            raise UserError(f"row statistics: '{unknown[0]}' is not one of {', '.join(_STATISTICS)}")
        if sum(self.groups.values()) != width:
            raise UserError(f"row statistics: groups {dict(self.groups)} do not add up to the {width} columns given")
        if min(self.groups.values()) < 4:
            raise UserError(f"row statistics: groups {dict(self.groups)} need 4 columns each for the kurtosis")
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Shape (rows, statistics × (groups + 1)): for each statistic each group, then all columns."""
        x = validate_data(self, x, reset=False, dtype=np.float64)
        ends = np.cumsum(list(self.groups.values()))
        spans = [*(slice(end - width, end) for end, width in zip(ends, self.groups.values(), strict=True)), slice(None)]
        result = np.empty((len(x), len(self.statistics), len(spans)))
        for rows in _row_blocks(len(x)):
            for number, span in enumerate(spans):
                moments = _moments(x[rows, span])
                for place, name in enumerate(self.statistics):
                    result[rows, place, number] = _STATISTICS[name](*moments)
        return result.reshape(len(x), -1)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names such as "g_sum", "c_sum", "gc_sum"; shape (statistics × (groups + 1),)."""
        names = [*self.groups, "".join(self.groups)]
        return np.array([f"{group}_{name}" for name in self.statistics for group in names], dtype=object)


def _row_blocks(rows: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_AT_A_TIME) for start in range(0, rows, _ROWS_AT_A_TIME))


def _moments(x: np.ndarray) -> tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Count, sum, and the sums of the second, third and fourth powers of the deviations, a row."""
    n, total = x.shape[1], x.sum(axis=1)
    deviation = x - (total / n)[:, None]
    square = deviation**2
    second = square.sum(axis=1)
    # A row of equal values: what rounding leaves of its deviations has no shape.
    second[second <= n * (np.finfo(float).eps * np.abs(total)) ** 2] = 0
    return n, total, second, (square * deviation).sum(axis=1), (square**2).sum(axis=1)


def _kurtosis(n: int, total: np.ndarray, m2: np.ndarray, m3: np.ndarray, m4: np.ndarray) -> np.ndarray:
    shape = np.divide(n * (n + 1) * (n - 1) * m4, m2**2, out=np.zeros_like(m2), where=m2 > 0)
    return np.where(m2 > 0, (shape - 3 * (n - 1) ** 2) / ((n - 2) * (n - 3)), 0.0)


def _skew(n: int, total: np.ndarray, m2: np.ndarray, m3: np.ndarray, m4: np.ndarray) -> np.ndarray:
    return np.divide(n * (n - 1) ** 0.5 / (n - 2) * m3, m2**1.5, out=np.zeros_like(m2), where=m2 > 0)


_STATISTICS = {
    "sum": lambda n, total, m2, m3, m4: total,
    "mean": lambda n, total, m2, m3, m4: total / n,
    "std": lambda n, total, m2, m3, m4: np.sqrt(m2 / (n - 1)),
    "kurtosis": _kurtosis,
    "skew": _skew,
}


class KMeansOneHot(TransformerMixin, BaseEstimator):
    """The k-means cluster of each row, one-hot.

    Args:
        n_clusters: number of clusters.
        random_state: seed of the starts. Since scikit-learn 1.3 the same seed draws other starts than in 2020.
        n_init: starts; 10 was the default of 2020, today's is 1. Elkan's algorithm likewise, today's is Lloyd's.

    Attributes:
        centers_: shape (n_clusters, columns).
    """

    def __init__(self, n_clusters: int, random_state: int | None = None, n_init: int = 10):
        self.n_clusters = n_clusters
        self.random_state = random_state
        self.n_init = n_init

    def fit(self, x: np.ndarray, y: Any = None) -> KMeansOneHot:
        """Find the centres in ``x``, shape (rows, columns).

        Raises:
            UserError: there are fewer rows than clusters.
        """
        x = validate_data(self, x, dtype=np.float64)
        if len(x) < self.n_clusters:
            raise UserError(f"k-means: {len(x)} rows are too few for {self.n_clusters} clusters; take a smaller number")
        kmeans = KMeans(self.n_clusters, n_init=self.n_init, algorithm="elkan", random_state=self.random_state)
        self.centers_ = kmeans.fit(x).cluster_centers_
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """0/1, shape (rows, n_clusters)."""
        check_is_fitted(self)
        x = validate_data(self, x, reset=False, dtype=np.float64)
        return np.eye(self.n_clusters)[pairwise_distances_argmin(x, self.centers_)]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names "cluster_0" …, shape (n_clusters,)."""
        return np.array([f"cluster_{number}" for number in range(self.n_clusters)], dtype=object)


class TTestSelector(TransformerMixin, BaseEstimator):
    """Keep the columns in which treated rows with and without any mechanism of action differ most.

    Student's t-test (equal variances) a column; kept are those whose p-value is at most the given quantile of all
    p-values. Source: write-up, 2-heads ResNet. A 25 % quantile of the p-values of 872 columns keeps 218, whatever the
    data; the list the authors took over has 447, and what made it longer is not said.

    Args:
        keep_quantile: share of the columns to keep.
        n_columns: keep so many columns instead, those of the lowest p-values.

    Attributes:
        p_values_: shape (columns,); NaN for a column of equal values, which is never kept.
        support_: True for the columns kept, shape (columns,).
    """

    def __init__(self, keep_quantile: float = 0.25, n_columns: int | None = None):
        self.keep_quantile = keep_quantile
        self.n_columns = n_columns

    def fit(self, x: np.ndarray, y: np.ndarray) -> TTestSelector:
        """Test each column of ``x``, shape (rows, columns), between ``y`` = 1 and ``y`` = 0, shape (rows,).

        Raises:
            UserError: all rows are of one kind, or fewer columns vary than are to be kept.
        """
        x, y = validate_data(self, x, y, dtype=np.float64)
        positive = y.astype(bool)
        if positive.all() or not positive.any():
            raise UserError("feature selection by t-test needs rows with and rows without a positive label")
        varies = np.ptp(x, axis=0) > 0
        wanted = 1 if self.n_columns is None else self.n_columns
        if varies.sum() < wanted:
            raise UserError(
                f"feature selection by t-test: {wanted} columns are wanted, and {varies.sum()} hold more than one value"
            )
        self.p_values_ = np.full(x.shape[1], np.nan)
        self.p_values_[varies] = stats.ttest_ind(x[positive][:, varies], x[~positive][:, varies], axis=0).pvalue
        if self.n_columns is None:
            self.support_ = self.p_values_ <= np.nanquantile(self.p_values_, self.keep_quantile)
        else:
            self.support_ = np.zeros(len(self.p_values_), dtype=bool)
            self.support_[np.argsort(self.p_values_, kind="stable")[: self.n_columns]] = True  # NaN comes last
        return self

    def get_support(self) -> np.ndarray:
        """True for the columns kept, shape (columns,)."""
        check_is_fitted(self)
        return self.support_

    def transform(self, x: np.ndarray) -> np.ndarray:
        """The columns kept, shape (rows, kept)."""
        return validate_data(self, x, reset=False, dtype=np.float64)[:, self.get_support()]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Those of the given names that are kept; x0 … where there are none."""
        if input_features is None:
            input_features = getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)])
        return np.asarray(input_features, dtype=object)[self.get_support()]


def factor_analysis(n_components: int, random_state: int) -> FactorAnalysis:
    """Factor analysis as in 2020: scikit-learn has kept its algorithm and defaults, here spelled out.

    The randomized decomposition draws from ``random_state``, so the published seeds do count.
    """
    return FactorAnalysis(
        n_components, tol=1e-2, max_iter=1000, svd_method="randomized", iterated_power=3, random_state=random_state
    )


def pca(n_components: int, random_state: int) -> PCA:
    """PCA by the randomized decomposition, which "auto" chose in 2020 for all the shapes of this solution but one.

    Since 1.5 "auto" takes the exact covariance for long tables. The two are not the same up to rounding: where the
    spectrum is flat the last components of the randomized one can be far from the exact ones, and depend on
    ``random_state``. The one exception, 100 components of 100 columns, was exact and is so with the randomized one as
    well. The signs of components may differ from 2020's, which no model minds.
    """
    return PCA(
        n_components,
        svd_solver="randomized",
        iterated_power="auto",
        n_oversamples=10,
        power_iteration_normalizer="LU",
        random_state=random_state,
    )
