"""How similar a sample is to the training data: predictions for samples far outside of it are less reliable.

A sample can be outside in two ways. It may lie far away (``transform``). Or its values may be usual ones that do not
belong together, as where the genes of several wells are mixed: such a sample lies no further away than others, but the
patterns that training samples share explain little of it (``unexplained``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from moa.errors import UserError
from moa.features.base import Transformer
from moa.features.reductions import pca
from moa.features.stored import stored

#: Samples for which more than this share of the training samples is nearer to the training data get a warning.
FAR = 0.999
#: And those for which of more than a share of them less is unexplained: the first; where columns hardly correlate,
#: as much lower as is needed to find rows whose columns are permuted, down to the second.
UNUSUAL, LEAST_UNUSUAL = 0.99, 0.9
#: Share of permuted rows that are to be found.
_FOUND = 0.95
_QUANTILES = np.linspace(0, 1, 1001)
_FOLDS = 5
_LEAST = 1e-6  # smallest variance of a direction; a scaled column has variance 1


@stored
class Familiarity(Transformer):
    """Distance of samples from the training data, and the share of training samples that are nearer.

    The distance is the Mahalanobis distance for a covariance of low rank plus noise (probabilistic PCA, Tipping &
    Bishop 1999): the square root of the squared scores on the leading principal components, each divided by its
    variance, plus the squared residual divided by the noise variance. What is unexplained is the share of a sample's
    squared deviation from the mean that the first of these components do not hold, at most a third as many as columns.
    Both are measured out of sample for training rows: each row by components fitted without it, like a new sample.

    Args:
        n_components: number of leading components; at most half the rows and the number of columns.
        random_state: seed of the PCA and of the folds.

    Attributes:
        mean_, scale_: mean and standard deviation of each column, shape (columns,).
        components_: shape (components, columns).
        variances_: variances of the scores, shape (components,).
        noise_: variance of the residual per column not covered by the components.
        distances_: 1,001 evenly spaced quantiles of the training rows' distances.
        row_distances_: of each training row, float32, shape (rows,).
        unexplained_: 1,001 evenly spaced quantiles of what is unexplained of the training rows.
        unusual_: share of training rows, of which less is unexplained, above which a sample gets a warning.
    """

    def __init__(self, n_components: int = 50, random_state: int = 0):
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: Any = None) -> Familiarity:
        """Learn the distribution of the training rows.

        Args:
            X: shape (rows, columns).
            y: a number for each row's compound, shape (rows,), so that rows are measured without others of their
                compound; None, or fewer than five compounds: without themselves alone.

        Raises:
            UserError: there are fewer than 10 rows, too few for the folds.
        """
        from sklearn.model_selection import GroupKFold, KFold

        X = self.learned(X)
        if len(X) < 2 * _FOLDS:
            raise UserError(f"familiarity: {len(X)} rows are too few; {2 * _FOLDS} are needed")
        groups = None if y is None or len(np.unique(y)) < _FOLDS else np.asarray(y)
        shuffled = {"shuffle": True, "random_state": self.random_state}
        folds = KFold(_FOLDS, **shuffled) if groups is None else GroupKFold(_FOLDS, **shuffled)
        mixed = np.random.default_rng(self.random_state).permuted(X, axis=0)
        distances, unexplained, of_mixed = np.empty((3, len(X)))
        for train, rest in folds.split(X, groups=groups):
            self._learn(X[train])
            distances[rest], unexplained[rest] = self._distance(X[rest]), self._unexplained(X[rest])
            of_mixed[rest] = self._unexplained(mixed[rest])
        self._learn(X)
        self.distances_, self.row_distances_ = np.quantile(distances, _QUANTILES), distances.astype(np.float32)
        self.unexplained_ = np.quantile(unexplained, _QUANTILES)
        enough = np.quantile(np.interp(of_mixed, self.unexplained_, _QUANTILES), 1 - _FOUND)
        self.unusual_ = float(np.clip(enough, LEAST_UNUSUAL, UNUSUAL))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Distance of each row of ``X``, and the share in [0, 1] of training rows that lie nearer; shape (rows, 2)."""
        X = self.checked(X)
        distance = self._distance(X)
        return np.column_stack([distance, np.interp(distance, self.distances_, _QUANTILES)])

    def unexplained(self, X: np.ndarray) -> np.ndarray | None:
        """What the patterns of training samples do not explain of each row of ``X``.

        Returns:
            the share in [0, 1] of the row's squared deviation, and the share of training rows of which less is
            unexplained, shape (rows, 2); None for a fit of an earlier version, which cannot say.
        """
        if getattr(self, "unexplained_", None) is None:
            return None
        X = self.checked(X)
        share = self._unexplained(X)
        return np.column_stack([share, np.interp(share, self.unexplained_, _QUANTILES)])

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

    def _unexplained(self, X: np.ndarray) -> np.ndarray:
        z = (X - self.mean_) / self.scale_
        scores = z @ self.components_[: max(1, X.shape[1] // 3)].T
        total = (z**2).sum(axis=1)
        return 1 - (scores**2).sum(axis=1) / np.where(total > 0, total, 1)
