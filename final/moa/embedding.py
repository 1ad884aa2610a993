"""UMAP (McInnes, Healy & Melville 2018) as a transformer: stored as plain arrays, and each row by itself."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import pairwise_distances_chunked

TRUSTED_TYPES = ("moa.embedding.UMAPEmbedding",)

# umap-learn takes 100 epochs for up to 10,000 new rows and 30 above; a row's place would depend on its company.
TRANSFORM_EPOCHS = 100
TRANSFORM_SEED = 42


class UMAPEmbedding(TransformerMixin, BaseEstimator):
    """umap-learn's UMAP with its default settings.

    ``fit`` is umap-learn's own, on one thread, so that a seed gives one result. ``transform`` gives a row that was in
    the fit its fitted place, as umap-learn does for the whole fitted matrix. A new row is placed as umap-learn places
    it (its neighbours' weighted mean, refined by stochastic gradient descent) with three differences: the neighbours
    are the exact ones, the number of epochs is fixed, and weights are not compared with those of the other rows. So a row's
    place depends neither on the other rows nor on their order.

    Args:
        n_components: dimensions of the embedding.
        random_state: seed of the fit.
        n_neighbors, min_dist: see umap-learn.

    Attributes:
        rows_: fitted rows, float32, shape (rows, columns).
        embedding_: their places, float32, shape (rows, n_components).
    """

    def __init__(
        self, n_components: int, random_state: int | None = None, n_neighbors: int = 15, min_dist: float = 0.1
    ):
        self.n_components = n_components
        self.random_state = random_state
        self.n_neighbors = n_neighbors
        self.min_dist = min_dist

    def fit(self, x: np.ndarray, y: Any = None) -> UMAPEmbedding:
        """Embed the rows of ``x``, shape (rows, columns)."""
        from umap import UMAP  # compiles for seconds: only where it is needed

        x = np.ascontiguousarray(x, np.float32)
        fitted = UMAP(
            n_neighbors=min(self.n_neighbors, len(x) - 1),
            n_components=self.n_components,
            min_dist=self.min_dist,
            random_state=self.random_state,
            n_jobs=1,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # few rows: the spectral start may fall back to a random one
            fitted.fit(x)
        self.rows_, self.embedding_ = x, np.ascontiguousarray(fitted.embedding_, np.float32)
        self.a_, self.b_ = float(fitted._a), float(fitted._b)
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Places of the rows of ``x``, shape (rows, n_components)."""
        x = np.ascontiguousarray(x, np.float32)
        place = {_key(row): number for number, row in enumerate(self.rows_)}
        known = np.array([place.get(_key(row), -1) for row in x])
        result = np.empty((len(x), self.n_components), np.float32)
        result[known >= 0] = self.embedding_[known[known >= 0]]
        if (known < 0).any():
            result[known < 0] = self._place(x[known < 0])
        return result.astype(np.float64)

    def _place(self, x: np.ndarray) -> np.ndarray:
        from scipy.sparse import csr_matrix
        from umap.layouts import optimize_layout_euclidean
        from umap.umap_ import compute_membership_strengths, init_graph_transform, smooth_knn_dist

        neighbors = min(self.n_neighbors, len(self.rows_) - 1)
        indices, distances = self._nearest(x, neighbors)
        strengths = np.empty_like(distances)
        for row in range(len(x)):  # one at a time: the library bounds a row's bandwidth by the mean over all rows
            one = distances[row : row + 1]
            sigma, rho = smooth_knn_dist(one, float(neighbors), local_connectivity=0.0)
            strengths[row] = compute_membership_strengths(indices[row : row + 1], one, sigma, rho, bipartite=True)[2]
        # Edges too weak to be drawn once are left out. umap-learn compares with the strongest edge of all rows, here
        # it is the strongest of the row.
        strongest = strengths.max(axis=1, keepdims=True)
        graph = csr_matrix(
            (strengths.ravel(), indices.ravel(), np.arange(0, strengths.size + 1, neighbors)),
            shape=(len(x), len(self.rows_)),
        )
        start = init_graph_transform(graph, self.embedding_)
        drawn = strengths >= strongest / TRANSFORM_EPOCHS
        head = np.repeat(np.arange(len(x), dtype=np.int32), neighbors).reshape(drawn.shape)[drawn]
        seeds = np.random.RandomState(TRANSFORM_SEED).randint(-(2**31) + 1, 2**31 - 2, 3).astype(np.int64)
        # The library's descent walks over the edges of a row with a random stream of that row.
        return optimize_layout_euclidean(
            start,
            self.embedding_.copy(),
            head,
            indices[drawn].astype(np.int32),
            TRANSFORM_EPOCHS,
            len(self.rows_),
            (strongest / strengths.clip(1e-30))[drawn].astype(np.float64),
            self.a_,
            self.b_,
            seeds,
            1.0,
            0.25,
            5.0,
            False,
            tqdm_kwds={"disable": True},
        )

    def _nearest(self, x: np.ndarray, neighbors: int) -> tuple[np.ndarray, np.ndarray]:
        """Exact nearest fitted rows: positions and distances, nearest first, shape (rows, neighbors) each."""
        # float64: the distances' differences are small beside the squares they come from.
        blocks = pairwise_distances_chunked(
            x.astype(np.float64),
            self.rows_.astype(np.float64),
            metric="euclidean",
            working_memory=256,
            reduce_func=lambda block, start: _smallest(block, neighbors),
        )
        parts = list(blocks)
        return np.vstack([part[0] for part in parts]), np.vstack([part[1] for part in parts])


def _smallest(block: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    found = np.argpartition(block, count - 1, axis=1)[:, :count]
    values = np.take_along_axis(block, found, axis=1)
    order = np.argsort(values, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(values, order, axis=1).astype(np.float32)


def _key(row: np.ndarray) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
