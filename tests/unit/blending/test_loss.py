"""The loss of a blend: its value and gradient, and its minimum."""

import numpy as np
import pytest

from moa.blending.fit import slsqp, tpe
from moa.blending.loss import SMALL, BlendLoss


def competition_like(n_members=5, n_cells=40_000, seed=1):
    """Cells on both sides of the series' limit, rare positives."""
    rng = np.random.default_rng(seed)
    cells = np.maximum(rng.beta(0.2, 20.0, size=(n_members, n_cells)), 1e-3).astype(np.float32)
    labels = rng.random(n_cells) < cells.mean(axis=0)
    share = (cells.max(axis=0) > SMALL).mean()
    assert 0.05 < share < 0.95
    assert labels.sum() > 100
    return cells, labels


def naive(cells, labels, weights):
    p = np.clip(weights @ cells.astype(np.float64), 1e-15, 1 - 1e-15)
    return -np.log(np.where(labels, p, 1 - p)).mean()


@pytest.mark.parametrize("weights", [[0.2] * 5, [0.0, 0.7, 0.1, 0.2, 0.0], [0.4, 0.3, 0.0, 0.6, 0.2]])
def test_loss_and_gradient(weights):
    cells, labels = competition_like()
    weights = np.array(weights)
    loss = BlendLoss(cells, labels)
    value, gradient = loss(weights)
    assert value == pytest.approx(naive(cells, labels, weights), abs=2e-9)
    step = 1e-6
    for m, direction in enumerate(np.eye(5)):
        slope = (loss(weights + step * direction)[0] - loss(weights - step * direction)[0]) / (2 * step)
        exact = (
            naive(cells, labels, weights + step * direction) - naive(cells, labels, weights - step * direction)
        ) / (2 * step)
        assert gradient[m] == pytest.approx(slope, rel=1e-5, abs=1e-9)
        assert gradient[m] == pytest.approx(exact, rel=1e-4, abs=1e-7)


def test_parts_merge_to_the_whole():
    cells, labels = competition_like()
    parts = [BlendLoss(cells[:, part], labels[part]) for part in np.array_split(np.arange(len(labels)), 7)]
    weights = np.array([0.1, 0.2, 0.3, 0.15, 0.25])
    (value, gradient), (whole, slope) = BlendLoss.merge(parts)(weights), BlendLoss(cells, labels)(weights)
    assert value == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-10)


def test_slsqp_finds_the_minimum_on_the_simplex():
    cells, labels = competition_like()
    loss = BlendLoss(cells, labels)
    weights = slsqp(loss)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert weights.min() >= 0.0
    rng = np.random.default_rng(2)
    for other in [*rng.dirichlet(np.ones(5), 200), *np.eye(5)]:
        assert loss(weights)[0] <= loss(0.99 * weights + 0.01 * other)[0] + 1e-10  # nearby, and by convexity anywhere


def test_free_weights_are_no_worse():
    cells, labels = competition_like()
    loss = BlendLoss(cells * np.float32(0.5), labels)  # halved probabilities want a sum above 1
    free, bound = slsqp(loss, simplex=False), slsqp(loss)
    assert free.sum() > 1.2
    assert loss(free)[0] < loss(bound)[0]
    assert ((free >= 0) & (free <= 1)).all()


def test_tpe_comes_close_to_slsqp():
    cells, labels = competition_like(n_members=3)
    loss = BlendLoss(cells, labels)
    best, tried = slsqp(loss), tpe(loss, trials=150, seed=4)
    assert tried.sum() == pytest.approx(1.0)
    assert 0 <= loss(tried)[0] - loss(best)[0] < 0.1 * (loss(np.full(3, 1 / 3))[0] - loss(best)[0]) + 1e-4
    np.testing.assert_array_equal(tried, tpe(loss, trials=150, seed=4))
