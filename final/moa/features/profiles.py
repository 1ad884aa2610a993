"""Transformers for profiles of any assay: selection of features, signed logarithms, and sphering on reference rows."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from moa.features.base import OneToOne, Transformer
from moa.features.stored import stored

#: Axes with a smaller share of the largest variance are those of rounding.
_LEAST_VARIANCE = 1e-10


@stored
class SignedLog(OneToOne):
    """sign(x) · log(1 + |x|): large deviations count less, small ones stay what they are."""

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        """Learn the number of columns of ``X``, shape (rows, columns)."""
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The values of ``X``, shape (rows, columns), on that scale; same shape."""
        X = self.checked(X)
        return np.sign(X) * np.log1p(np.abs(X))


class _Selection(Transformer):
    """Base class of selections of columns, which are marked in ``kept_``."""

    kept_: np.ndarray

    def get_support(self) -> np.ndarray:
        """True for columns that are kept, shape (columns,)."""
        return self.kept_

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The columns of ``X``, shape (rows, columns), that are kept."""
        return self.checked(X)[:, self.kept_]


@stored
class Bounded(_Selection):
    """Keeps columns whose values are all smaller than a limit.

    Standardised features that do not vary over the controls reach thousands, and would decide every comparison.

    Args:
        limit: of absolute values.

    Attributes:
        kept_: shape (columns,); all are kept where none is below the limit.
    """

    def __init__(self, limit: float = 1000.0):
        self.limit = limit

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        """Learn from the rows of ``X``, shape (rows, columns)."""
        self.n_features_in_ = X.shape[1]
        kept = np.abs(X).max(axis=0) < self.limit
        self.kept_ = kept if kept.any() else np.ones_like(kept)
        return self


@stored
class Varying(_Selection):
    """Keeps columns that vary: those whose standard deviation is at least a share of the usual one.

    The usual deviation is the median of all columns, and at most 1, that of a standardised feature.

    Args:
        share: of the usual deviation.

    Attributes:
        kept_: shape (columns,); all are kept where no column varies.
    """

    def __init__(self, share: float = 0.2):
        self.share = share

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        """Learn from the rows of ``X``, shape (rows, columns)."""
        self.n_features_in_ = X.shape[1]
        deviations = X.std(axis=0)
        kept = (deviations >= self.share * min(float(np.median(deviations)), 1.0)) & (deviations > 0)
        self.kept_ = kept if kept.any() else np.ones_like(kept)
        return self


@stored
class Sphering(OneToOne):
    """Takes the correlations of the rows it is fitted on out of profiles: ZCA-cor, shrunk.

    Directions in which controls vary together are noise of plates and handling; after sphering they count as much as
    any other direction. The correlation matrix R is shrunk to (1 - λ) R + λ I, so with λ = 1 nothing changes but the
    features' scale. Fitted on standardised controls, see `moa.features.pipeline.Step`.

    Source: Kessy, Lewin & Strimmer 2018 (ZCA-cor); sphering on controls as in pycytominer.

    Args:
        shrinkage: λ in (0, 1]; None: ``transform`` gives the coordinates along the principal axes of R and, where the
            axes do not span all features, what is left of each feature. A learner then applies any λ late: cosines and
            scalar products of rows whose columns are divided by √((1 - λ) · variance + λ) are those of sphered rows.

    Attributes:
        axes_: principal axes of R, shape (axes, features).
        variances_: along the axes, shape (axes,).
        scale_: standard deviation of each feature, shape (features,); 1 where it does not vary.
        mean_: shape (features,).
    """

    def __init__(self, shrinkage: float | None = None):
        self.shrinkage = shrinkage

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        """Learn the correlations of the rows of ``X``, shape (rows, features).

        Raises:
            ValueError: the shrinkage is not in (0, 1].
        """
        if self.shrinkage is not None and not 0 < self.shrinkage <= 1:
            raise ValueError(f"shrinkage: {self.shrinkage} is not above 0 and at most 1")
        X = np.asarray(X, np.float64)
        self.n_features_in_ = X.shape[1]
        self.mean_, scale = X.mean(axis=0), X.std(axis=0)
        self.scale_ = np.where(scale > 0, scale, 1.0)
        Z = (X - self.mean_) / self.scale_
        if len(Z) <= Z.shape[1]:
            _, lengths, axes = np.linalg.svd(Z, full_matrices=False)
            variances = lengths**2 / len(Z)
        else:
            variances, vectors = np.linalg.eigh(Z.T @ Z / len(Z))
            variances, axes = np.maximum(variances, 0)[::-1], vectors.T[::-1]
        kept = (variances > _LEAST_VARIANCE * max(variances[0], _LEAST_VARIANCE)) | (len(axes) == Z.shape[1])
        self.axes_, self.variances_ = np.ascontiguousarray(axes[kept]), np.ascontiguousarray(variances[kept])
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The rows of ``X``, shape (rows, features), sphered, same shape; without a shrinkage their coordinates.

        Coordinates have the shape (rows, axes), or (rows, axes + features) where there are fewer axes than features.
        """
        Z = (self.checked(X) - self.mean_) / self.scale_
        along = Z @ self.axes_.T
        rest = Z - along @ self.axes_ if len(self.axes_) < Z.shape[1] else None
        if self.shrinkage is None:
            return along if rest is None else np.hstack([along, rest])
        sphered = (along / np.sqrt((1 - self.shrinkage) * self.variances_ + self.shrinkage)) @ self.axes_
        return sphered if rest is None else sphered + rest / np.sqrt(self.shrinkage)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns: the features' own, or "axis-0", "axis-1", … and then "rest-" and the features' own."""
        names = super().get_feature_names_out(input_features)
        if self.shrinkage is not None:
            return names
        axes = [f"axis-{number}" for number in range(len(self.axes_))]
        return np.array(axes if len(axes) == len(names) else [*axes, *(f"rest-{name}" for name in names)], dtype=object)
