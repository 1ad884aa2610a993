"""DeepInsight (Sharma et al. 2019): give every feature a place on a plane, so that a row becomes an image.

Source of all settings: write-up, DeepInsight CNNs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, KernelPCA
from sklearn.manifold import TSNE
from sklearn.metrics.pairwise import cosine_distances
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from moa.environment import give_numba_a_cache
from moa.errors import UserError
from moa.learners.deepinsight.rendering import Renderer


class FeatureMap(TransformerMixin, BaseEstimator):
    """Find a pixel for every feature, so that similar features lie close together.

    The features, as points, are laid out on a plane; the smallest rectangle around them is turned upright; each side is
    cut into ``resolution`` bins. The bins' edges run from the smallest to the largest value, as published, so that the
    last bin of a side holds only the largest value. One side of the rectangle passes through two features. Where it is
    that of the largest values, rounding decides which of the two falls in the last bin; the original rounded otherwise,
    so that one of the competition's 875 features lies one pixel away. The layout is computed on one thread, because
    another number of threads would round differently and so give another map.

    Args:
        resolution: pixels per side, or (height, width).
        layout: "tsne" (published), "pca", "kernel_pca" or "umap".
        perplexity, max_iter: of t-SNE; perplexity must be below the number of features.
        random_state: seeds the layout; the same rows give the same map.

    Attributes:
        layout_: the plane as laid out, shape (features, 2).
        rectangle_: the smallest rectangle's corners there, shape (4, 2).
        coordinates_: the plane turned so that the rectangle stands upright, shape (features, 2).
        rows_, cols_: pixel of every feature, shape (features,).
        shape_: (height, width).
    """

    def __init__(
        self,
        resolution: int | tuple[int, int] = 224,
        layout: str = "tsne",
        perplexity: float = 5,
        max_iter: int = 1000,
        random_state: int = 1120,
    ):
        self.resolution = resolution
        self.layout = layout
        self.perplexity = perplexity
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> FeatureMap:
        """Lay out the features of scaled training rows, shape (rows, features).

        Raises:
            UserError: an unknown layout, or too few features for the perplexity.
        """
        values = validate_data(self, X, dtype=np.float64)
        if self.layout not in LAYOUTS:
            raise UserError(f"layout '{self.layout}' is unknown; choose one of: {', '.join(LAYOUTS)}")
        # A single feature has no neighbours to be laid out by.
        with threadpool_limits(1):
            points = LAYOUTS[self.layout](values.T, self) if values.shape[1] > 1 else np.zeros((1, 2))
        self.layout_ = np.asarray(points, np.float64)
        self.rectangle_, turn = smallest_rectangle(self.layout_)
        self.coordinates_ = _flatten(self.layout_ @ turn)
        return self._bin(self.resolution)

    def at(self, resolution: int | tuple[int, int]) -> FeatureMap:
        """The same layout at another resolution, without fitting it again."""
        check_is_fitted(self)
        return copy.copy(self).set_params(resolution=resolution)._bin(resolution)

    def _bin(self, resolution: int | tuple[int, int]) -> FeatureMap:
        self.shape_ = resolution if isinstance(resolution, tuple) else (resolution, resolution)
        if min(self.shape_) < 1:
            raise UserError(f"resolution {resolution} is too small: an image needs at least one pixel per side")
        # The first coordinate runs along the image's first axis, as published.
        self.rows_ = digitize(self.coordinates_[:, 0], self.shape_[0])
        self.cols_ = digitize(self.coordinates_[:, 1], self.shape_[1])
        return self

    def renderer(self, **options: Any) -> Renderer:
        """The renderer of this map; ``options`` are those of ``moa.learners.deepinsight.rendering.Renderer``."""
        check_is_fitted(self)
        return Renderer(self.rows_, self.cols_, self.shape_, **options)

    def transform(self, X: Any) -> np.ndarray:
        """Images of scaled rows, float32, shape (rows, 3, height, width): mean, min and max per pixel."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float32, reset=False)
        return self.renderer()(torch.tensor(values)).numpy()


def digitize(values: np.ndarray, bins: int) -> np.ndarray:
    """Bin of every value, 0 … bins - 1, with edges evenly from the smallest value to the largest."""
    if np.ptp(values) == 0:
        return np.zeros(len(values), np.int64)
    return np.digitize(values, np.linspace(values.min(), values.max(), bins)) - 1


def smallest_rectangle(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rectangle of least area around points of a plane, and the matrix that turns it upright.

    One of its sides lies on the convex hull (Freeman & Shapira 1975), so the hull's edges are tried; as published, all
    but the closing edge from the last vertex to the first, so that the rectangle can be slightly too large. Points on
    one line, which have no hull, are turned so that the line stands upright or lies level.

    Returns:
        Corners, shape (4, 2), and ``turn``, shape (2, 2): ``points @ turn`` stands upright.
    """
    try:
        hull = points[ConvexHull(points).vertices]
        edges = np.diff(hull, axis=0)
    except (QhullError, ValueError):  # on one line, or fewer than three points
        hull = points
        edges = np.linalg.svd(points - points.mean(axis=0), full_matrices=True)[2][:1]
    angles = np.unique(np.arctan2(edges[:, 1], edges[:, 0]) % (np.pi / 2))
    cos, sin = np.cos(angles), np.sin(angles)
    turns = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    turned = hull @ turns  # (angles, hull, 2)
    low, high = turned.min(axis=1), turned.max(axis=1)
    best = int(np.prod(high - low, axis=1).argmin())
    (x0, y0), (x1, y1) = low[best], high[best]
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ turns[best].T
    return corners, turns[best]


def _flatten(points: np.ndarray) -> np.ndarray:
    """Make a side exactly constant where only rounding gives it an extent: it must not be cut into bins."""
    extent = np.ptp(points, axis=0)
    return np.where(extent <= 1e-9 * extent.max(), points.min(axis=0), points)


def _tsne(features: np.ndarray, settings: FeatureMap) -> np.ndarray:
    """Exact t-SNE on cosine distances, as scikit-learn did it in 2020.

    Today's version squares the distances of every metric but the euclidean; it is given their square root instead, so
    that squaring gives the cosine distance back. Start and learning rate are the defaults of then.
    """
    if len(features) <= settings.perplexity:
        raise UserError(
            f"t-SNE with perplexity {settings.perplexity} needs more features than that, there are {len(features)}: "
            "lower the perplexity or choose another layout"
        )
    tsne = TSNE(
        metric="precomputed",
        method="exact",
        perplexity=settings.perplexity,
        max_iter=settings.max_iter,
        init="random",
        learning_rate=200.0,
        random_state=settings.random_state,
    )
    return tsne.fit_transform(np.sqrt(cosine_distances(features)))


def _pca(features: np.ndarray, settings: FeatureMap) -> np.ndarray:
    components = min(2, *features.shape)
    points = PCA(components, random_state=settings.random_state).fit_transform(features)
    return np.pad(points, ((0, 0), (0, 2 - components)))


def _kernel_pca(features: np.ndarray, settings: FeatureMap) -> np.ndarray:
    return KernelPCA(2, kernel="rbf", random_state=settings.random_state).fit_transform(features)


def _umap(features: np.ndarray, settings: FeatureMap) -> np.ndarray:
    give_numba_a_cache()
    import umap  # slow to import, and only wanted here

    reducer = umap.UMAP(n_components=2, metric="cosine", n_neighbors=15, n_jobs=1, random_state=settings.random_state)
    threads = torch.get_num_threads()
    try:
        return reducer.fit_transform(features)
    finally:
        torch.set_num_threads(threads)  # numba sets it for the whole process, and torch's sums depend on it


LAYOUTS: dict[str, Callable[[np.ndarray, FeatureMap], np.ndarray]] = {
    "tsne": _tsne,
    "pca": _pca,
    "kernel_pca": _kernel_pca,
    "umap": _umap,
}
