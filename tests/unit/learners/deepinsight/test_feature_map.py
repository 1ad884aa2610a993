"""DeepInsight: scaler and map against hand-made cases, rendering against the naive way, noise against counts."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.manifold import trustworthiness
from sklearn.utils.estimator_checks import check_estimator

from moa.errors import UserError
from moa.learners.deepinsight.feature_map import FeatureMap, LogScaler, digitize, smallest_rectangle
from moa.learners.deepinsight.rendering import Renderer, SwapNoise
from support.naive_images import naive_images


def grouped_rows(groups=6, size=10, rows=60, seed=0):
    """Rows whose features fall into groups that move together; non-negative."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(rows, groups)).repeat(size, axis=1)
    return np.abs(signal + 0.1 * rng.normal(size=signal.shape))


def test_log_scaler_is_the_published_formula():
    train = np.array([[-2.0, 0.5, 7.0], [1.0, 3.0, 7.0], [0.0, 0.5, 7.0]])
    scaler = LogScaler().fit(train)
    top = max(np.log(1 + 2 + 1), np.log(3 + 0.5 + 1), np.log(7 + 7 + 1))  # a positive minimum is added as well
    expected = np.log(train + np.array([2, 0.5, 7]) + 1) / top
    np.testing.assert_allclose(scaler.transform(train), expected)
    unseen = scaler.transform(np.array([[-50.0, -1.0, 1e6]]))
    np.testing.assert_allclose(unseen, [[0.0, np.log(0.5 + 0.5 + 1) / top, 1.0]])
    assert (LogScaler().fit_transform(np.zeros((3, 2))) == 0).all()


def test_log_scaler_keeps_the_estimator_contract_and_column_names():
    check_estimator(LogScaler())
    table = pd.DataFrame({"g-0": [-1.0, 2.0], "c-0": [0.0, 1.0]}, index=pd.Index(["a", "b"], name="sig_id"))
    scaled = LogScaler().set_output(transform="pandas").fit_transform(table)
    assert list(scaled.columns) == ["g-0", "c-0"] and list(scaled.index) == ["a", "b"]
    with pytest.raises(ValueError, match="feature names"):
        LogScaler().fit(table).transform(table[["c-0", "g-0"]])


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
@pytest.mark.filterwarnings("ignore")  # UMAP tells that a seed means one thread
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


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (40, 40)])
def test_images_equal_the_naive_way(shape, channels_last):
    rng = np.random.default_rng(shape[0])
    values = rng.random((7, 90))
    rows, cols = rng.integers(shape[0], size=90), rng.integers(shape[1], size=90)
    rows[:4], cols[:4] = rows[0], cols[0]
    expected = naive_images(values, rows, cols, shape)
    renderer = Renderer(rows, cols, shape, channels_last=channels_last)
    drawn = renderer(torch.tensor(values, dtype=torch.float32))
    assert drawn.shape == (7, 3, *shape) and drawn.dtype == torch.float32
    np.testing.assert_allclose(drawn, expected, atol=1e-6)
    if channels_last and min(shape) > 1:
        assert drawn.is_contiguous(memory_format=torch.channels_last)
    coarse = Renderer(rows, cols, shape, dtype=torch.bfloat16)(torch.tensor(values, dtype=torch.float32))
    assert coarse.dtype == torch.bfloat16
    np.testing.assert_allclose(coarse.float(), expected, atol=2**-8)


@pytest.mark.parametrize("channels_last", [False, True])
def test_reused_canvas_shows_nothing_of_the_last_batch(channels_last):
    rng = np.random.default_rng(0)
    renderer = Renderer(rng.integers(9, size=50), rng.integers(9, size=50), (9, 9), channels_last=channels_last)
    first, second, larger = (torch.rand(n, 50) for n in (5, 3, 8))
    with torch.inference_mode():
        renderer(first, reuse=True)
    for values in (second, larger, first):
        assert torch.equal(renderer(values, reuse=True), renderer(values))


def test_reuse_before_backward_is_noticed_and_after_backward_right():
    rng = np.random.default_rng(0)
    renderer = Renderer(rng.integers(9, size=50), rng.integers(9, size=50), (9, 9))
    conv = torch.nn.Conv2d(3, 4, 3)
    first, second = torch.rand(4, 50), torch.rand(4, 50)
    loss = conv(renderer(first, reuse=True)).square().sum()
    renderer(second, reuse=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    gradients = []
    for reuse in (True, False):
        conv.zero_grad()
        for values in (first, second):
            conv(renderer(values, reuse=reuse)).square().sum().backward()
        gradients.append(conv.weight.grad.clone())
    assert torch.equal(*gradients) and gradients[0].abs().sum() > 0
    with pytest.raises(ValueError, match="fresh images"):
        renderer(first.requires_grad_(), reuse=True)


def test_images_pass_gradients_to_the_features():
    renderer = Renderer(np.array([0, 0, 1]), np.array([0, 0, 1]), (2, 2))
    values = torch.tensor([[1.0, 3.0, 5.0]], requires_grad=True)
    mean, low, high = renderer(values)[0].unbind(0)
    (10 * mean[0, 0] + 100 * low[0, 0] + 1000 * high[0, 0] + mean[1, 1]).backward()
    assert values.grad.tolist() == [[105.0, 1005.0, 1.0]]


def test_renderer_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="must fall in"):
        Renderer(np.array([2]), np.array([0]), (2, 2))
    with pytest.raises(ValueError, match="got"):
        Renderer(np.array([0]), np.array([0]), (2, 2))(torch.rand(3, 2))


def test_swap_noise_is_as_published():
    # Each value tells its row and feature, so that the origin of every swapped value can be read off.
    n_rows, n_features = 400, 875
    x = (torch.arange(n_rows)[:, None] * 1000 + torch.arange(n_features)).float()
    clean, rows = x.clone(), torch.randperm(n_rows, generator=torch.Generator().manual_seed(1))
    noise = SwapNoise()
    batches = [noise(x, rows, torch.Generator().manual_seed(seed)) for seed in range(20)]
    assert torch.equal(x, clean)
    hits, positions, distances = 0, torch.zeros(n_features), set()
    for batch in batches:
        assert torch.equal(batch % 1000, x[rows] % 1000)  # a feature is only ever taken from the same feature
        changed = batch != x[rows]
        noised = changed.any(1)
        hits += int(noised.sum())
        assert set(changed[noised].sum(1).tolist()) == {131}
        positions += changed.sum(0)
        for row, values, mask in zip(rows[noised], batch[noised], changed[noised], strict=True):
            (donor,) = set((values[mask] // 1000).int().tolist())
            assert donor != int(row)
            distances.add((donor - int(row)) % n_rows)
    assert abs(hits / (20 * n_rows) - 0.1) < 0.015
    assert positions[:3].sum() == 0 and (positions[3:] > 0).all()
    assert len(distances) > 300  # any other row may be the donor
    assert torch.equal(batches[0], noise(x, rows, torch.Generator().manual_seed(0)))
    assert not torch.equal(batches[0], batches[1])


def test_swap_noise_without_a_donor_or_candidates():
    generator = torch.Generator().manual_seed(0)
    always = SwapNoise(probability=1.0)
    assert torch.equal(always(torch.ones(1, 9), torch.tensor([0]), generator), torch.ones(1, 9))
    few = torch.rand(5, 3)
    assert torch.equal(always(few, torch.arange(5), generator), few)


def test_plots_leave_no_pyplot_state(tmp_path):
    import matplotlib.pyplot as plt

    x = grouped_rows(3, 4)
    fitted = FeatureMap(12, layout="pca").fit(x)
    before = plt.get_fignums()
    fitted.plot().savefig(tmp_path / "map.png")
    figure = fitted.plot_image(x[0] / x.max())
    figure.savefig(tmp_path / "image.png")
    assert [ax.get_title() for ax in figure.axes[:3]] == ["mean", "min", "max"]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), fitted.transform(x[:1] / x.max())[0, 0])
    assert plt.get_fignums() == before
    own = figure.add_subplot()
    assert fitted.plot(own) is figure
