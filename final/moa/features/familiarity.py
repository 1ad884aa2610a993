"""How similar a sample is to the training data: predictions for samples far outside of it are less reliable."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted, validate_data

from moa.errors import UserError
from moa.features.reductions import pca
from moa.features.stored import stored

_QUANTILES = np.linspace(0, 1, 1001)
_FOLDS = 5
_LEAST = 1e-6  # smallest variance of a direction; a scaled column has variance 1


@stored
class Familiarity(TransformerMixin, BaseEstimator):
    """Distance of samples from the training data, and the share of training samples that are nearer.

    The distance is the Mahalanobis distance for a covariance of low rank plus noise (probabilistic PCA, Tipping &
    Bishop 1999): the square root of the squared scores on the leading principal components, each divided by its
    variance, plus the squared residual divided by the noise variance. The distances of training rows are measured out
    of sample: each row by components fitted without it, like a new sample.

    Args:
        n_components: number of leading components; at most half the rows and the number of columns.
        random_state: seed of the PCA and of the folds.

    Attributes:
        mean_, scale_: mean and standard deviation of each column, shape (columns,).
        components_: shape (components, columns).
        variances_: variances of the scores, shape (components,).
        noise_: variance of the residual per column not covered by the components.
        distances_: 1,001 evenly spaced quantiles of the training rows' distances.
    """

    def __init__(self, n_components: int = 50, random_state: int = 0):
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: Any = None) -> Familiarity:
        """Learn the distribution of the training rows ``X``, shape (rows, columns).

        Raises:
            UserError: there are fewer than 10 rows, too few for the folds.
        """
        X = validate_data(self, X, dtype=np.float64)
        if len(X) < 2 * _FOLDS:
            raise UserError(f"familiarity: {len(X)} rows are too few; {2 * _FOLDS} are needed")
        distances = np.empty(len(X))
        for train, rest in KFold(_FOLDS, shuffle=True, random_state=self.random_state).split(X):
            distances[rest] = self._learn(X[train])._distance(X[rest])
        self._learn(X)
        self.distances_ = np.quantile(distances, _QUANTILES)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Distance of each row of ``X``, and the share in [0, 1] of training rows that lie nearer; shape (rows, 2)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        distance = self._distance(X)
        return np.column_stack([distance, np.interp(distance, self.distances_, _QUANTILES)])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The names "distance" and "share_nearer" of the two columns."""
        return np.array(["distance", "share_nearer"], dtype=object)

    def _learn(self, X: np.ndarray) -> Familiarity:
        self.mean_, scale = X.mean(axis=0), X.std(axis=0)
        self.scale_ = np.where(scale > 0, scale, 1.0)
        z = (X - self.mean_) / self.scale_
        count = min(self.n_components, len(X) // 2, X.shape[1])
        fitted = pca(count, self.random_state).fit(z)
        self.components_, self.variances_ = fitted.components_, np.maximum(fitted.explained_variance_, _LEAST)
        rest = (z**2).sum() / len(z) - self.variances_.sum()
        self.noise_ = float(max(rest / max(X.shape[1] - count, 1), _LEAST))
        return self

    def _distance(self, X: np.ndarray) -> np.ndarray:
        z = (X - self.mean_) / self.scale_
        scores = z @ self.components_.T
        rest = np.maximum((z**2).sum(axis=1) - (scores**2).sum(axis=1), 0)
        return np.sqrt((scores**2 / self.variances_).sum(axis=1) + rest / self.noise_)
