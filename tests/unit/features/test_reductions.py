"""Factors and principal components with the defaults of 2020."""

import numpy as np
from sklearn.decomposition import PCA, FactorAnalysis

from moa.features.reductions import factor_analysis, pca


def test_reductions_spell_out_the_defaults_of_2020(x):
    np.testing.assert_array_equal(
        factor_analysis(5, 3).fit_transform(x), FactorAnalysis(5, random_state=3).fit_transform(x)
    )
    tall = np.repeat(x, 40, axis=0) + np.random.default_rng(1).normal(size=(12_000, 40))
    assert PCA(5).fit(tall)._fit_svd_solver == "covariance_eigh"  # today's choice
    published = pca(5, 3).fit(tall)
    assert published.svd_solver == "randomized"
    whole = pca(40, 3).fit(tall)  # all components: exact however they are found
    exact = PCA(40, svd_solver="full").fit(tall)
    np.testing.assert_allclose(whole.transform(tall), exact.transform(tall), atol=1e-8)
    # Five of forty with a gentle spectrum: near, not equal, and drawn by the seed.
    np.testing.assert_allclose(published.explained_variance_, exact.explained_variance_[:5], rtol=0.05)
    assert not np.allclose(published.components_, pca(5, 4).fit(tall).components_, atol=1e-12)
