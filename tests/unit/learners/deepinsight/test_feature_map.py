"""The map from features to pixels, compared with hand-made cases."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.manifold import trustworthiness

from moa.errors import UserError
from moa.features.log_scaler import LogScaler
from moa.learners.deepinsight.feature_map import FeatureMap, digitize, smallest_rectangle


def grouped_rows(groups=6, size=10, rows=60, seed=0):
    """Rows whose features fall into groups that move together; non-negative."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(rows, groups)).repeat(size, axis=1)
    return np.abs(signal + 0.1 * rng.normal(size=signal.shape))


def test_rectangle_is_the_smallest_of_all_angles():
    rng = np.random.default_rng(3)
    for _ in range(5):
        points = rng.normal(size=(40, 2)) * [3, 1]
        corners, turn = smallest_rectangle(points)
        np.testing.assert_allclose(turn @ turn.T, np.eye(2), atol=1e-12)
        area = np.prod(np.ptp(points @ turn, axis=0))
        angles = np.linspace(0, np.pi / 2, 2000)
        tried = [np.prod(np.ptp(points @ [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]], axis=0)) for a in angles]
        assert area <= min(tried) + 1e-9 and area > 0.98 * min(tried)
        np.testing.assert_allclose(np.ptp(corners @ turn, axis=0), np.ptp(points @ turn, axis=0))


def test_rectangle_finds_a_turned_one():
    upright = np.array([[0, 0], [4, 0], [4, 1], [0, 1], [1, 0.5], [3, 0.2]], float)
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    _, back = smallest_rectangle(upright @ turn)
    assert sorted(np.ptp(upright @ turn @ back, axis=0)) == pytest.approx([1, 4])


def test_last_bin_holds_the_largest_value_alone():
    values = np.array([0.0, 0.24, 0.26, 0.5, 0.99, 1.0])
    assert digitize(values, 5).tolist() == [0, 0, 1, 2, 3, 4]
    assert digitize(values, 1).tolist() == [0] * 6
    assert digitize(np.full(3, 2.0), 7).tolist() == [0, 0, 0]


def test_tsne_sees_the_cosine_distance_itself(monkeypatch):
    """The distances that reach t-SNE's probabilities, after its own squaring, are the plain cosine distances."""
    import sklearn.manifold._t_sne as module

    seen = {}
    original = module._joint_probabilities

    def spy(distances, *rest):
        seen["distances"] = np.array(distances)
        return original(distances, *rest)

    monkeypatch.setattr(module, "_joint_probabilities", spy)
    x = grouped_rows(3, 4)
    FeatureMap(10, max_iter=250).fit(x)
    np.testing.assert_allclose(seen["distances"], cdist(x.T, x.T, "cosine"), atol=1e-7)


@pytest.mark.parametrize("layout", ["tsne", "pca", "kernel_pca", "umap"])
@pytest.mark.filterwarnings("ignore")  # UMAP warns that a seed means one thread
def test_layouts_put_similar_features_together_and_repeat(layout):
    x = LogScaler().fit_transform(grouped_rows())
    threads = torch.get_num_threads()
    first = FeatureMap((20, 30), layout=layout).fit(x)
    assert torch.get_num_threads() == threads  # numba would change it
    again = clone(first).fit(x)
    np.testing.assert_array_equal(first.rows_, again.rows_)
    np.testing.assert_array_equal(first.layout_, again.layout_)
    assert first.layout_.shape == (60, 2)
    assert first.rows_.min() == 0 and first.rows_.max() == 19 and first.cols_.min() == 0 and first.cols_.max() == 29
    if layout != "pca":  # its two directions cannot hold six groups
        assert trustworthiness(x.T, first.coordinates_, n_neighbors=5, metric="cosine") > 0.85
    # The turned plane is the plane: distances are kept.
    np.testing.assert_allclose(cdist(first.coordinates_, first.coordinates_), cdist(first.layout_, first.layout_))


def test_map_at_another_resolution_is_the_map_fitted_there():
    x = grouped_rows(3, 4)
    small = FeatureMap(7, max_iter=250).fit(x)
    large, fitted = small.at((40, 50)), FeatureMap((40, 50), max_iter=250).fit(x)
    np.testing.assert_array_equal(large.rows_, fitted.rows_)
    np.testing.assert_array_equal(large.cols_, fitted.cols_)
    assert small.shape_ == (7, 7) and large.shape_ == (40, 50) and large.resolution == (40, 50)


def test_map_edge_cases():
    x = grouped_rows(3, 4)
    x[:, 1] = x[:, 0]  # two features on one point
    x[:, 2] = 0  # a constant feature has no direction
    fitted = FeatureMap(30, max_iter=250).fit(x)
    assert np.isfinite(fitted.layout_).all()
    one = fitted.at(1)
    assert set(one.rows_) == {0} and one.transform(x).shape == (60, 3, 1, 1)
    np.testing.assert_allclose(one.transform(x)[:, :, 0, 0], np.c_[x.mean(1), x.min(1), x.max(1)], rtol=1e-5)
    assert FeatureMap(4).fit(x[:, :1]).rows_.tolist() == [0]
    with pytest.raises(UserError, match="perplexity 5"):
        FeatureMap(4).fit(x[:, :5])
    with pytest.raises(UserError, match="layout 'grid' is unknown"):
        FeatureMap(4, layout="grid").fit(x)
    with pytest.raises(UserError, match="at least one pixel"):
        fitted.at(0)


def test_points_on_one_line_fill_one_row_of_pixels():
    """Features that are multiples of one another lie on one line of the PCA plane; the hull does not exist."""
    x = np.outer(np.linspace(0.1, 1, 8), np.arange(1, 10))
    fitted = FeatureMap(4, layout="pca").fit(x)
    assert sorted([len(set(fitted.rows_)), len(set(fitted.cols_))]) == [1, 4]
    slope = np.c_[np.arange(9.0), 0.7 * np.arange(9.0)]
    _, turn = smallest_rectangle(slope)
    assert min(np.ptp(slope @ turn, axis=0)) < 1e-12
    assert np.isfinite(smallest_rectangle(np.ones((4, 2)))[0]).all()
