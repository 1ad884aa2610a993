"""The map from features to pixels, compared with hand-made cases."""

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull
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


def area_at(points, angle):
    """Area of the upright rectangle around points turned by an angle."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.prod(np.ptp(points @ turn, axis=0))


def test_rectangle_is_the_smallest_on_all_edges_of_the_hull_but_the_closing_one():
    rng, smaller = np.random.default_rng(3), 0
    for _ in range(30):
        points = rng.normal(size=(12, 2)) * [3, 1]
        corners, turn = smallest_rectangle(points)
        np.testing.assert_allclose(turn @ turn.T, np.eye(2), atol=1e-12)
        area = np.prod(np.ptp(points @ turn, axis=0))
        hull = points[ConvexHull(points).vertices]
        *angles, closing = (np.arctan2(*(b - a)[::-1]) for a, b in zip(hull, [*hull[1:], hull[0]], strict=True))
        assert area == pytest.approx(min(area_at(points, angle) for angle in angles), rel=1e-9)
        np.testing.assert_allclose(np.ptp(corners @ turn, axis=0), np.ptp(points @ turn, axis=0))
        # With the closing edge it is the smallest of all angles.
        smallest = min(area_at(points, angle) for angle in np.linspace(0, np.pi / 2, 2000))
        with_closing = min(area, area_at(points, closing))
        assert with_closing <= smallest + 1e-9 and with_closing > 0.98 * smallest
        smaller += with_closing < area - 1e-9
    assert 0 < smaller < 15, "now and then the closing edge would have been better"


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


def test_another_rounding_moves_the_two_features_of_one_side_at_most_and_by_one_pixel():
    """They lie on the rectangle's side together; which of them is the largest value is a matter of rounding."""
    rng, moved = np.random.default_rng(0), set()
    for _ in range(60):
        points = rng.normal(size=(875, 2)) * [30, 25]
        turned = points @ smallest_rectangle(points)[1]
        rounded = turned + 1e-14 * rng.normal(size=turned.shape)
        before, after = (np.stack([digitize(values, 300) for values in each.T], axis=1) for each in (turned, rounded))
        step = np.abs(after - before)
        assert step.sum() <= 2 and step.max() <= 1
        assert (np.maximum(before, after)[step > 0] == 299).all(), "into the last bin or out of it"
        moved.add(int(step.sum()))
    assert moved == {0, 1, 2}


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


def test_the_first_rotated_coordinate_runs_along_the_images_first_axis():
    x = grouped_rows(3, 4)
    fitted = FeatureMap((6, 9), layout="pca").fit(x)
    np.testing.assert_array_equal(fitted.rows_, digitize(fitted.coordinates_[:, 0], 6))
    np.testing.assert_array_equal(fitted.cols_, digitize(fitted.coordinates_[:, 1], 9))
    image = fitted.transform(x[:1])[0, 2]  # the largest value of each pixel
    assert image.shape == (6, 9)
    for row, col in zip(fitted.rows_, fitted.cols_, strict=True):
        there = (fitted.rows_ == row) & (fitted.cols_ == col)
        assert image[row, col] == pytest.approx(x[0, there].max(), rel=1e-6)
    assert (fitted.at((9, 6)).rows_.max(), fitted.at((9, 6)).cols_.max()) == (8, 5)
