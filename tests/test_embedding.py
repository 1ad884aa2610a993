"""UMAP: neighbourhoods kept, rows independent of their company, stored as arrays."""

import numpy as np
import pytest
import skops.io
from sklearn.manifold import trustworthiness
from umap import UMAP

from moa.embedding import TRUSTED_TYPES, UMAPEmbedding


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 6, 500)
    return (rng.normal(size=(6, 30)) * 3)[label] + rng.normal(size=(500, 30)), label


@pytest.fixture(scope="module")
def fitted(groups):
    return UMAPEmbedding(4, random_state=5).fit(groups[0][:400])


def test_fitted_rows_keep_the_place_umap_learn_gave_them(groups, fitted):
    x = groups[0][:400].astype(np.float32)
    expected = UMAP(n_components=4, random_state=5, n_jobs=1).fit_transform(x)
    np.testing.assert_array_equal(fitted.transform(x), expected)
    np.testing.assert_array_equal(fitted.transform(x[::-1][:7]), expected[::-1][:7])
    assert trustworthiness(x, fitted.embedding_, n_neighbors=10) > 0.8


def test_a_new_row_does_not_depend_on_the_other_rows(groups, fitted):
    new = groups[0][400:]
    whole = fitted.transform(new)
    np.testing.assert_array_equal(fitted.transform(new[[42]])[0], whole[42])
    order = np.random.default_rng(1).permutation(100)
    np.testing.assert_array_equal(fitted.transform(new[order]), whole[order])
    mixed = fitted.transform(np.vstack([groups[0][:3], new[:3]]))
    np.testing.assert_array_equal(mixed[3:], whole[:3])


def test_new_rows_fall_where_umap_learn_puts_them(groups, fitted):
    x, label = groups
    centers = np.array([fitted.embedding_[label[:400] == group].mean(axis=0) for group in range(6)])
    theirs = (
        UMAP(n_components=4, random_state=5, n_jobs=1)
        .fit(x[:400].astype(np.float32))
        .transform(x[400:].astype(np.float32))
    )
    for places in (fitted.transform(x[400:]), theirs):
        nearest = ((places[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
        assert (nearest == label[400:]).mean() > 0.95


def test_stored_as_arrays_and_read_back_the_same(groups, fitted):
    payload = skops.io.dumps(fitted)
    assert set(skops.io.get_untrusted_types(data=payload)) == set(TRUSTED_TYPES)
    back = skops.io.loads(payload, trusted=list(TRUSTED_TYPES))
    assert back.transform(groups[0][390:]).tobytes() == fitted.transform(groups[0][390:]).tobytes()
