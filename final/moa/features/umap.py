"""UMAP (McInnes, Healy & Melville 2018) as a transformer that is stored as plain arrays and places rows one by one."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from moa.errors import UserError

TRUSTED_TYPES: tuple[str, ...] = ("moa.features.umap.UMAPEmbedding",)

# umap-learn takes 100 epochs for up to 10,000 new rows and 30 above; a row's place would depend on its company.
TRANSFORM_EPOCHS = 100
TRANSFORM_SEED = 42

# umap-learn's defaults, which its functions below take as arguments.
_LEARNING_RATE = 1.0
_REPULSION = 1.0
_NEGATIVE_SAMPLES = 5.0
_LEAST_BANDWIDTH = 1e-3  # of the mean distance

_SPARE_NEIGHBORS = 5
_ROWS_AT_A_TIME = 256


class UMAPEmbedding(TransformerMixin, BaseEstimator):
    """umap-learn's UMAP with its default settings.

    ``fit`` is umap-learn's own, on one thread, so that a seed gives one result; only the neighbours are the exact ones
    instead of approximate ones above 4,096 rows. ``transform`` gives a row that was in the fit its fitted place, as
    umap-learn does for the whole fitted matrix (of fitted rows that are equal, the place of the first). A new row is
    placed as umap-learn places it, by its neighbours' weighted mean refined by stochastic gradient descent, but so that
    its place depends neither on the other rows nor on their order: the neighbours are the exact ones, the number of
    epochs is fixed, and neither distances nor weights are compared with those of other rows.

    Args:
        n_components: dimensions of the embedding.
        random_state: seed of the fit.
        n_neighbors, min_dist: see umap-learn.

    Attributes:
        rows_: fitted rows, float32, shape (rows, columns).
        embedding_: their places, float32, shape (rows, n_components).
        a_, b_: the curve of the attraction, from ``min_dist``.
    """

    def __init__(
        self, n_components: int, random_state: int | None = None, n_neighbors: int = 15, min_dist: float = 0.1
    ):
        self.n_components = n_components
        self.random_state = random_state
        self.n_neighbors = n_neighbors
        self.min_dist = min_dist

    def fit(self, x: np.ndarray, y: Any = None) -> UMAPEmbedding:
        """Embed the rows of ``x``, shape (rows, columns).

        Raises:
            UserError: there are too few rows for the neighbours or the dimensions.
        """
        from umap import UMAP  # slow to import and to compile: only where it is needed

        rows = self._rows(x, reset=True)
        if len(rows) <= max(self.n_neighbors, self.n_components + 1):
            raise UserError(
                f"UMAP: {len(rows)} rows are too few for {self.n_neighbors} neighbours, {self.n_components} dimensions"
            )
        umap = UMAP(
            n_neighbors=self.n_neighbors,
            n_components=self.n_components,
            min_dist=self.min_dist,
            random_state=self.random_state,
            n_jobs=1,
            precomputed_knn=(*_nearest(rows, rows, self.n_neighbors), None),
        )
        with warnings.catch_warnings(), threadpool_limits(1):  # one thread: its sums have one order
            # That it has no search index of its own, and that the start of few rows may fall back to a random one.
            warnings.simplefilter("ignore", UserWarning)
            umap.fit(rows)
        self.rows_, self.embedding_ = rows, np.ascontiguousarray(umap.embedding_, np.float32)
        self.a_, self.b_ = float(umap._a), float(umap._b)
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Places of the rows of ``x``, shape (rows, n_components)."""
        check_is_fitted(self)
        x = self._rows(x, reset=False)
        numbers = range(len(self.rows_) - 1, -1, -1)  # backwards: of equal rows the first stays
        places = {_content(self.rows_[number]): number for number in numbers}
        known = np.array([places.get(_content(row), -1) for row in x])
        result = np.empty((len(x), self.n_components), np.float32)
        result[known >= 0] = self.embedding_[known[known >= 0]]
        if (known < 0).any():
            result[known < 0] = self._place(x[known < 0])
        return result.astype(np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names "umap_0" …, shape (n_components,)."""
        return np.array([f"umap_{number}" for number in range(self.n_components)], dtype=object)

    def _rows(self, x: np.ndarray, reset: bool) -> np.ndarray:
        # Plus zero turns -0.0 into 0.0, so that equal rows have equal bytes.
        return np.ascontiguousarray(validate_data(self, x, reset=reset, dtype=np.float32)) + np.float32(0)

    def _place(self, x: np.ndarray) -> np.ndarray:
        """Places of new rows: one edge to each neighbour, then gradient descent over the edges."""
        from umap.layouts import optimize_layout_euclidean

        indices, distances = _nearest(x, self.rows_, self.n_neighbors)
        strengths = _strengths(distances)
        start = np.empty((len(x), self.n_components), np.float32)
        for rows in _blocks(len(x)):
            weights = strengths[rows] / strengths[rows].sum(axis=1, keepdims=True)
            start[rows] = (weights[:, :, None] * self.embedding_[indices[rows]]).sum(axis=1)
        # Edges are visited in proportion to their strength, and those too weak for one visit not at all. umap-learn
        # measures against the strongest edge of all rows, here it is the strongest of the row.
        share = strengths / strengths.max(axis=1, keepdims=True)
        visited = share >= 1 / TRANSFORM_EPOCHS
        heads = np.repeat(np.arange(len(x), dtype=np.int32), self.n_neighbors).reshape(share.shape)
        seeds = np.random.RandomState(TRANSFORM_SEED).randint(-(2**31) + 1, 2**31 - 2, 3).astype(np.int64)
        # The descent moves new rows only, and each by a random stream that starts from the row's own place.
        return optimize_layout_euclidean(
            head_embedding=start,
            tail_embedding=self.embedding_.copy(),
            head=heads[visited],
            tail=indices[visited].astype(np.int32),
            n_epochs=TRANSFORM_EPOCHS,
            n_vertices=len(self.rows_),
            epochs_per_sample=1 / share[visited],
            a=self.a_,
            b=self.b_,
            rng_state=seeds,
            gamma=_REPULSION,
            initial_alpha=_LEARNING_RATE / 4,
            negative_sample_rate=_NEGATIVE_SAMPLES,
            parallel=False,
            tqdm_kwds={"disable": True},
        )


def _nearest(x: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact nearest rows: positions (int64) and distances (float32), nearest first, shape (len(x), count) each.

    scikit-learn finds them by matrix products, whose rounding depends on the block a row falls in. So a few more are
    taken, and measured again by differences: the result is the same for a row alone and in any company.
    """
    candidates = min(count + _SPARE_NEIGHBORS, len(rows))
    search = NearestNeighbors(n_neighbors=candidates, algorithm="brute", metric="euclidean").fit(rows)
    found = np.sort(search.kneighbors(x, return_distance=False), axis=1)  # of equal distances the first row wins
    distances = np.empty(found.shape)
    for block in _blocks(len(x)):
        difference = x[block, None].astype(np.float64) - rows[found[block]]
        distances[block] = np.sqrt((difference**2).sum(axis=2))
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    taken = np.take_along_axis(distances, order, axis=1)
    return np.take_along_axis(found, order, axis=1), taken.astype(np.float32)


def _strengths(distances: np.ndarray) -> np.ndarray:
    """Strength of the edge to each neighbour, exp(-distance / bandwidth); shape as ``distances``.

    The bandwidth of a row is found by bisection, as umap-learn's ``smooth_knn_dist`` does with the local connectivity
    of new rows, so that the strengths beyond the nearest neighbour sum up to log2(neighbours). Its least value is taken
    from the row's own mean distance; umap-learn takes the mean over all rows.
    """
    distances = distances.astype(np.float64)
    target = np.log2(distances.shape[1])
    low, high, middle = np.zeros(len(distances)), np.full(len(distances), np.inf), np.ones(len(distances))
    for _ in range(64):
        total = np.exp(-distances[:, 1:] / middle[:, None]).sum(axis=1)
        high, low = np.where(total > target, middle, high), np.where(total > target, low, middle)
        middle = np.where(np.isinf(high), middle * 2, (low + np.where(np.isinf(high), low, high)) / 2)
    bandwidth = np.maximum(middle, _LEAST_BANDWIDTH * distances.mean(axis=1))
    return np.exp(-distances / bandwidth[:, None])


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_AT_A_TIME) for start in range(0, rows, _ROWS_AT_A_TIME))


def _content(row: np.ndarray) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
