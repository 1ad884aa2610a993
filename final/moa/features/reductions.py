"""scikit-learn's factor analysis and PCA with the algorithms and defaults of 2020, applied without scikit-learn."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from moa.features.base import OfLibrary
from moa.features.stored import stored


@stored
class FactorAnalysis(OfLibrary):
    """scikit-learn's factor analysis; see there for parameters and attributes.

    Attributes:
        factor_covariance_: covariance of the factors where the columns are known, shape (factors, factors).
    """

    library = "sklearn.decomposition._factor_analysis.FactorAnalysis"
    fixed = {"copy": True, "noise_variance_init": None, "rotation": None}
    mean_: np.ndarray
    components_: np.ndarray
    noise_variance_: np.ndarray

    def __init__(
        self,
        n_components: int,
        tol: float = 1e-2,
        max_iter: int = 1000,
        svd_method: str = "randomized",
        iterated_power: int = 3,
        random_state: int | None = 0,
    ):
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.svd_method = svd_method
        self.iterated_power = iterated_power
        self.random_state = random_state

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Expected factors of the rows of ``X``, shape (rows, n_components)."""
        X = self.checked(X)
        return np.dot(np.dot(X - self.mean_, (self.components_ / self.noise_variance_).T), self.factor_covariance_)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names "factoranalysis0", "factoranalysis1", …; shape (n_components,)."""
        return _numbered(self)

    def _keep(self, fitted: Any) -> Self:
        from scipy.linalg import inv

        super()._keep(fitted)
        # From the loadings as they are stored: packed. Another order in memory can change the last bit of a product.
        loadings = packed(self.components_)
        identity = np.eye(len(loadings))
        self.factor_covariance_ = inv(identity + np.dot(loadings / self.noise_variance_, loadings.T))
        return self


@stored
class PCA(OfLibrary):
    """scikit-learn's principal component analysis without whitening; see there for parameters and attributes."""

    library = "sklearn.decomposition._pca.PCA"
    fixed = {"copy": True, "whiten": False, "tol": 0.0}
    mean_: np.ndarray
    components_: np.ndarray
    explained_variance_: np.ndarray

    def __init__(
        self,
        n_components: int,
        svd_solver: str = "auto",
        iterated_power: int | str = "auto",
        n_oversamples: int = 10,
        power_iteration_normalizer: str = "auto",
        random_state: int | None = None,
    ):
        self.n_components = n_components
        self.svd_solver = svd_solver
        self.iterated_power = iterated_power
        self.n_oversamples = n_oversamples
        self.power_iteration_normalizer = power_iteration_normalizer
        self.random_state = random_state

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Scores of the rows of ``X`` on the components, shape (rows, n_components)."""
        scores = self.checked(X) @ self.components_.T
        scores -= self.mean_.reshape(1, -1) @ self.components_.T
        return scores

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names "pca0", "pca1", …; shape (n_components,)."""
        return _numbered(self)


def _numbered(transformer: PCA | FactorAnalysis) -> np.ndarray:
    name = type(transformer).__name__.lower()
    return np.array([f"{name}{number}" for number in range(len(transformer.components_))], dtype=object)


def packed(array: np.ndarray) -> np.ndarray:
    """The array without gaps in memory, in Fortran order only where it has that order already, as numpy stores it."""
    return array if array.flags.f_contiguous else np.ascontiguousarray(array)


def factor_analysis(n_components: int, random_state: int) -> FactorAnalysis:
    """Factor analysis with ``n_components`` factors; the algorithm and defaults of 2020 are those of today.

    The randomized decomposition draws from ``random_state``, so the published seeds matter.
    """
    return FactorAnalysis(n_components, random_state=random_state)


def pca(n_components: int, random_state: int) -> PCA:
    """PCA with ``n_components`` by randomized decomposition, which "auto" chose in 2020 for this solution's tables.

    Since scikit-learn 1.5 "auto" decomposes the exact covariance of long tables. The results differ by more than
    rounding: if the spectrum is flat, the last components of the randomized decomposition can be far from the exact
    ones, and they depend on ``random_state``. The one table for which "auto" was exact in 2020, 100 components of 100
    columns, has the same result with the randomized decomposition. The signs of components may differ from those of
    2020, which does not affect any model.
    """
    return PCA(n_components, svd_solver="randomized", power_iteration_normalizer="LU", random_state=random_state)
