"""Images against the naive way, gradients, and swap noise against counts."""

import numpy as np
import pytest
import torch

from moa.data.assay import COMPETITION
from moa.learners.deepinsight.rendering import Renderer, SwapNoise
from moa.models.registry import recipe
from support.naive_images import naive_images


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
    # Each value encodes its row and feature, so that every swapped value shows where it comes from.
    n_rows, n_features = 400, 875
    x = (torch.arange(n_rows)[:, None] * 1000 + torch.arange(n_features)).float()
    clean, rows = x.clone(), torch.randperm(n_rows, generator=torch.Generator().manual_seed(1))
    model = recipe("deepinsight-efficientnet-b3")
    (stage,) = model.stages(model.config, COMPETITION)
    noise = stage.learner.noise()
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


def test_a_donor_may_be_the_row_itself_once_in_n():
    n_rows, always = 4, SwapNoise(probability=1.0, fraction=1.0)
    x = torch.arange(n_rows).float()[:, None].expand(-1, 8).contiguous()
    rows = torch.arange(n_rows).repeat(5000)
    donors = always(x, rows, torch.Generator().manual_seed(0))[:, 0].long()
    steps = (donors - rows) % n_rows
    counts = torch.bincount(steps, minlength=n_rows) / len(rows)
    torch.testing.assert_close(counts, torch.full((n_rows,), 1 / n_rows), atol=0.02, rtol=0)


def test_swap_noise_without_a_donor_or_candidates():
    generator = torch.Generator().manual_seed(0)
    always = SwapNoise(probability=1.0, first=3)
    assert torch.equal(always(torch.ones(1, 9), torch.tensor([0]), generator), torch.ones(1, 9))
    few = torch.rand(5, 3)
    assert torch.equal(always(few, torch.arange(5), generator), few)
