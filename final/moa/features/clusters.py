"""Cluster membership as features."""

from __future__ import annotations

from typing import Any

import numpy as np

from moa.errors import UserError
from moa.features.base import Transformer
from moa.features.stored import stored


@stored
class KMeansOneHot(Transformer):
    """The k-means cluster of each row, one-hot.

    Args:
        n_clusters: number of clusters.
        random_state: seed of the starts. Since scikit-learn 1.3 a seed draws other starts than in 2020.
        n_init: number of starts. The default of 2020 was 10 with Elkan's algorithm; today's is 1 with Lloyd's.

    Attributes:
        centers_: shape (n_clusters, columns).
    """

    def __init__(self, n_clusters: int, random_state: int | None = None, n_init: int = 10):
        self.n_clusters = n_clusters
        self.random_state = random_state
        self.n_init = n_init

    def fit(self, X: np.ndarray, y: Any = None) -> KMeansOneHot:
        """Find the centres of the rows of ``X``, shape (rows, columns).

        Raises:
            UserError: there are fewer rows than clusters.
        """
        from sklearn.cluster import KMeans

        X = self.learned(X)
        if len(X) < self.n_clusters:
            raise UserError(f"k-means: {len(X)} rows are too few for {self.n_clusters} clusters; take a smaller number")
        kmeans = KMeans(self.n_clusters, n_init=self.n_init, algorithm="elkan", random_state=self.random_state)
        self.centers_ = kmeans.fit(X).cluster_centers_
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The cluster of each row of ``X``, shape (rows, columns), as 0/1, shape (rows, n_clusters)."""
        X = self.checked(X)
        # Squared distances, less the row's own square, which is the same for all centres.
        distances = (self.centers_**2).sum(axis=1) - 2 * X @ self.centers_.T
        return np.eye(self.n_clusters)[distances.argmin(axis=1)]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names "cluster_0", "cluster_1", …; shape (n_clusters,)."""
        return np.array([f"cluster_{number}" for number in range(self.n_clusters)], dtype=object)
