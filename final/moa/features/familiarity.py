"""How familiar a sample looks beside the training data: predictions far outside of it deserve less trust."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted, validate_data

from moa.errors import UserError
from moa.features.transformers import pca

TRUSTED_TYPES: tuple[str, ...] = ("moa.features.familiarity.Familiarity",)

_QUANTILES = np.linspace(0, 1, 1001)
_FOLDS = 5
_LEAST = 1e-6  # variance of a direction in which nothing varies, beside 1 for a column


class Familiarity(TransformerMixin, BaseEstimator):
    """Distance of samples from the training data, and the share of training samples that lie nearer.

    The distance is Mahalanobis's under a covariance of low rank plus noise (probabilistic PCA, Tipping & Bishop 1999):
    squared scores on the leading principal components by their variances, plus the squared rest by the noise's, and of
    that the square root. What is usual is learned out of sample: each training row is measured by components fitted
    without it, as a new sample will be.

    Args:
        n_components: leading components; fewer where there are few rows.
        random_state: seed of the components and of the folds.

    Attributes:
        mean_, scale_: of each column, shape (columns,).
        components_: shape (components, columns).
        variances_: of the scores, shape (components,); noise_: of the rest, a column.
        distances_: 1,001 quantiles of the training rows' distances.
    """

    def __init__(self, n_components: int = 50, random_state: int = 0):
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, x: np.ndarray, y: Any = None) -> Familiarity:
        """Learn what is usual from ``x``, shape (rows, columns).

        Raises:
            UserError: there are fewer rows than are needed to leave some out.
        """
        x = validate_data(self, x, dtype=np.float64)
        if len(x) < 2 * _FOLDS:
            raise UserError(f"familiarity: {len(x)} rows are too few; {2 * _FOLDS} are needed")
        distances = np.empty(len(x))
        for train, rest in KFold(_FOLDS, shuffle=True, random_state=self.random_state).split(x):
            distances[rest] = self._learn(x[train])._distance(x[rest])
        self._learn(x)
        self.distances_ = np.quantile(distances, _QUANTILES)
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Distance, and share of training rows that are nearer in [0, 1]; shape (rows, 2)."""
        check_is_fitted(self)
        x = validate_data(self, x, reset=False, dtype=np.float64)
        distance = self._distance(x)
        return np.column_stack([distance, np.interp(distance, self.distances_, _QUANTILES)])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """distance and share_nearer."""
        return np.array(["distance", "share_nearer"], dtype=object)

    def _learn(self, x: np.ndarray) -> Familiarity:
        self.mean_, scale = x.mean(axis=0), x.std(axis=0)
        self.scale_ = np.where(scale > 0, scale, 1.0)
        z = (x - self.mean_) / self.scale_
        count = min(self.n_components, len(x) // 2, x.shape[1])
        fitted = pca(count, self.random_state).fit(z)
        self.components_, self.variances_ = fitted.components_, np.maximum(fitted.explained_variance_, _LEAST)
        rest = (z**2).sum() / len(z) - self.variances_.sum()
        self.noise_ = float(max(rest / max(x.shape[1] - count, 1), _LEAST))
        return self

    def _distance(self, x: np.ndarray) -> np.ndarray:
        z = (x - self.mean_) / self.scale_
        scores = z @ self.components_.T
        rest = np.maximum((z**2).sum(axis=1) - (scores**2).sum(axis=1), 0)
        return np.sqrt((scores**2 / self.variances_).sum(axis=1) + rest / self.noise_)
