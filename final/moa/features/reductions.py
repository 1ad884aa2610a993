"""scikit-learn's factor analysis and PCA with the algorithms and defaults of 2020."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.decomposition import PCA, FactorAnalysis


def factor_analysis(n_components: int, random_state: int) -> FactorAnalysis:
    """Factor analysis with ``n_components`` factors; the algorithm and defaults of 2020 are those of today.

    The randomized decomposition draws from ``random_state``, so the published seeds matter.
    """
    from sklearn.decomposition import FactorAnalysis

    return FactorAnalysis(
        n_components, tol=1e-2, max_iter=1000, svd_method="randomized", iterated_power=3, random_state=random_state
    )


def pca(n_components: int, random_state: int) -> PCA:
    """PCA with ``n_components`` by randomized decomposition, which "auto" chose in 2020 for this solution's tables.

    Since scikit-learn 1.5 "auto" decomposes the exact covariance of long tables. The results differ by more than
    rounding: if the spectrum is flat, the last components of the randomized decomposition can be far from the exact
    ones, and they depend on ``random_state``. The one table for which "auto" was exact in 2020, 100 components of 100
    columns, has the same result with the randomized decomposition. The signs of components may differ from those of
    2020, which does not affect any model.
    """
    from sklearn.decomposition import PCA

    return PCA(
        n_components,
        svd_solver="randomized",
        iterated_power="auto",
        n_oversamples=10,
        power_iteration_normalizer="LU",
        random_state=random_state,
    )
