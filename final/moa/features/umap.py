"""UMAP (McInnes, Healy & Melville 2018), stored as plain arrays; its transform treats each row independently."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import numpy as np

from moa.environment import give_numba_a_cache
from moa.errors import UserError
from moa.features.base import Transformer, blocks
from moa.features.stored import stored

TRANSFORM_SEED = 42

# umap-learn's defaults; its functions that are called below require them as arguments.
_LEARNING_RATE = 1.0
_REPULSION = 1.0
_NEGATIVE_SAMPLES = 5.0
_LEAST_BANDWIDTH = 1e-3  # relative to the mean distance

_SPARE_NEIGHBORS = 5
_ROWS_AT_A_TIME = 256


@stored
class UMAPEmbedding(Transformer):
    """umap-learn's UMAP with its default settings.

    ``fit`` calls umap-learn on one thread, so that a seed always gives the same result, and with exact neighbours;
    umap-learn alone uses approximate neighbours above 4,096 rows.

    By default ``transform`` returns the fitted embedding for a row that was in the fit, as umap-learn does for the
    whole fitted matrix (if fitted rows are equal, the embedding of the first). A new row is embedded as in umap-learn:
    it starts at the weighted mean of its neighbours and is refined by stochastic gradient descent. Unlike in
    umap-learn, its embedding does not depend on the other rows or their order: the neighbours are exact, the number of
    epochs is fixed, and distances and weights are not compared with those of other rows.

    Args:
        n_components: number of dimensions of the embedding.
        random_state: seed of the fit.
        n_neighbors: number of neighbours of each row.
        min_dist: least distance of rows in the embedding, see umap-learn.
        keep_fitted: ``transform`` returns the fitted embedding of fitted rows; False: it embeds them like new rows, as
            umap-learn does where fitted and new rows are transformed together.
        transform_epochs: epochs in which a new row is embedded. umap-learn takes 30 for more than 10,000 rows and 100
            for fewer, so that a row's result would depend on the others. The original always passed the 27,796 rows of
            train and test together, hence 30.

    Attributes:
        rows_: fitted rows, float32, shape (rows, columns).
        embedding_: their embedding, float32, shape (rows, n_components).
        a_, b_: parameters of the attraction curve, derived from ``min_dist``.
    """

    #: Of fits that were stored before this was a parameter.
    transform_epochs = 100

    def __init__(
        self,
        n_components: int,
        random_state: int | None = None,
        n_neighbors: int = 15,
        min_dist: float = 0.1,
        keep_fitted: bool = True,
        transform_epochs: int = 30,
    ):
        self.n_components = n_components
        self.random_state = random_state
        self.n_neighbors = n_neighbors
        self.min_dist = min_dist
        self.keep_fitted = keep_fitted
        self.transform_epochs = transform_epochs

    def fit(self, X: np.ndarray, y: Any = None) -> UMAPEmbedding:
        """Embed the rows of ``X``, shape (rows, columns).

        Raises:
            UserError: there are too few rows for the number of neighbours or dimensions.
        """
        _keep_compiled_functions()
        from threadpoolctl import threadpool_limits
        from umap import UMAP  # slow to import and compile, so only imported here

        rows = _packed(self.learned(X, dtype=np.float32))
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
        with warnings.catch_warnings(), threadpool_limits(1):  # on one thread the order of sums is fixed
            # umap-learn warns that it got no search index, and that few rows may get a random initialization.
            warnings.simplefilter("ignore", UserWarning)
            umap.fit(rows)
        self.rows_, self.embedding_ = rows, np.ascontiguousarray(umap.embedding_, np.float32)
        self.a_, self.b_ = float(umap._a), float(umap._b)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Embedding of the rows of ``X``, float64, shape (rows, n_components)."""
        X = _packed(self.checked(X, np.float32))
        if not self.keep_fitted:
            return self._embed(X).astype(np.float64)
        numbers = range(len(self.rows_) - 1, -1, -1)  # backwards, so that the first of equal rows remains
        fitted = {_digest(self.rows_[number]): number for number in numbers}
        known = np.array([fitted.get(_digest(row), -1) for row in X])
        result = np.empty((len(X), self.n_components), np.float32)
        result[known >= 0] = self.embedding_[known[known >= 0]]
        if (known < 0).any():
            result[known < 0] = self._embed(X[known < 0])
        return result.astype(np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names "umap_0", "umap_1", …; shape (n_components,)."""
        return np.array([f"umap_{number}" for number in range(self.n_components)], dtype=object)

    def _embed(self, X: np.ndarray) -> np.ndarray:
        """Embedding of new rows by gradient descent over one edge to each neighbour."""
        _keep_compiled_functions()
        from umap.layouts import optimize_layout_euclidean

        indices, distances = _nearest(X, self.rows_, self.n_neighbors)
        strengths = _strengths(distances)
        start = np.empty((len(X), self.n_components), np.float32)
        for rows in blocks(len(X), _ROWS_AT_A_TIME):
            weights = strengths[rows] / strengths[rows].sum(axis=1, keepdims=True)
            start[rows] = (weights[:, :, None] * self.embedding_[indices[rows]]).sum(axis=1)
        # Edges are visited in proportion to their strength; those too weak for one visit are left out. umap-learn takes
        # the strength relative to the strongest edge of all rows, here it is relative to the strongest of the row.
        share = strengths / strengths.max(axis=1, keepdims=True)
        visited = share >= 1 / self.transform_epochs
        heads = np.repeat(np.arange(len(X), dtype=np.int32), self.n_neighbors).reshape(share.shape)
        seeds = np.random.RandomState(TRANSFORM_SEED).randint(-(2**31) + 1, 2**31 - 2, 3).astype(np.int64)
        # The descent moves only the new rows. Each has its own random stream, seeded from the row's start.
        return optimize_layout_euclidean(
            head_embedding=start,
            tail_embedding=self.embedding_.copy(),
            head=heads[visited],
            tail=indices[visited].astype(np.int32),
            n_epochs=self.transform_epochs,
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


def _keep_compiled_functions() -> None:
    """Let numba keep what it compiles of umap-learn, to be called before it is used.

    umap-learn keeps some of its functions and compiles these in every process, which takes five seconds or more.
    """
    give_numba_a_cache()
    from umap import layouts, umap_

    for module, name in (
        (umap_, "smooth_knn_dist"),
        (umap_, "compute_membership_strengths"),
        (layouts, "_nb_optimize_layout_euclidean_single_epoch"),  # from umap-learn 0.5.6 on
    ):
        function = getattr(module, name, None)
        if function is not None and not function.signatures:  # compiled already: too late, and no harm
            function.enable_caching()


def _nearest(X: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact nearest rows: positions (int64) and distances (float32), nearest first, shape (len(X), count) each.

    scikit-learn computes distances by matrix products, whose rounding depends on the block that a row is in. Therefore
    a few more candidates are taken, and their distances are computed again from differences: the result for a row does
    not depend on the other rows.
    """
    from sklearn.neighbors import NearestNeighbors

    candidates = min(count + _SPARE_NEIGHBORS, len(rows))
    search = NearestNeighbors(n_neighbors=candidates, algorithm="brute", metric="euclidean").fit(rows)
    # Sorted by position, so that the first of several equally near rows wins.
    found = np.sort(search.kneighbors(X, return_distance=False), axis=1)
    distances = np.empty(found.shape)
    for block in blocks(len(X), _ROWS_AT_A_TIME):
        difference = X[block, None].astype(np.float64) - rows[found[block]]
        distances[block] = np.sqrt((difference**2).sum(axis=2))
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    taken = np.take_along_axis(distances, order, axis=1)
    return np.take_along_axis(found, order, axis=1), taken.astype(np.float32)


def _strengths(distances: np.ndarray) -> np.ndarray:
    """Strength of the edge to each neighbour, exp(-distance / bandwidth); same shape as ``distances``.

    The bandwidth of a row is found by bisection so that the strengths of all but the nearest neighbour sum to
    log2(neighbours), as in umap-learn's ``smooth_knn_dist`` for new rows. Its minimum is relative to the row's mean
    distance; in umap-learn it is relative to the mean over all rows.
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


def _packed(X: np.ndarray) -> np.ndarray:
    """Rows whose bytes are equal where their values are: adding zero turns -0.0 into 0.0."""
    return np.ascontiguousarray(X) + np.float32(0)


def _digest(row: np.ndarray) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
