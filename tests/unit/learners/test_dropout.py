"""Seeded dropout: shares, masks, generators."""

import pytest
import torch

from moa.learners.dropout import SeededDropout, keep_mask, random_words, seed_dropout
from moa.learners.perceptron.network import three_fc


def test_dropout_keeps_the_mean_and_follows_its_own_generator():
    dropout = SeededDropout(0.25)
    x = torch.ones(2000, 50)
    dropout.generator = torch.Generator().manual_seed(1)
    first = dropout(x)
    torch.manual_seed(99)
    dropout.generator = torch.Generator().manual_seed(1)
    assert torch.equal(first, dropout(x))
    assert not torch.equal(first, dropout(x))
    assert first.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert abs(first.mean().item() - 1) < 0.01
    assert torch.equal(dropout.eval()(x), x)


def test_every_dropout_shares_the_networks_generator():
    network = three_fc(4, 2, hidden=8, dropout=(0.1, 0.2, 0.3))
    generator = torch.Generator()
    seed_dropout(network, generator)
    assert all(module.generator is generator for module in network if isinstance(module, SeededDropout))


@pytest.mark.parametrize("p", [0.15, 0.25, 0.5])
def test_masks_drop_the_right_share_of_each_row_and_column(p):
    dropout = SeededDropout(p)
    dropout.generator = torch.Generator().manual_seed(3)
    kept = dropout(torch.ones(999, 1001)) > 0
    spread = (p * (1 - p) / 1000) ** 0.5
    for dimension in (0, 1):
        share = 1 - kept.float().mean(dimension)
        assert share.mean().item() == pytest.approx(p, abs=0.002)
        assert share.std().item() == pytest.approx(spread, rel=0.1)
    neighbours = (kept[:, 1:] == kept[:, :-1]).float().mean().item()
    assert neighbours == pytest.approx(p**2 + (1 - p) ** 2, abs=0.002)


def test_a_mask_of_fewer_rows_is_the_start_of_the_longer_buffer():
    words = torch.empty(2, random_words(7 * 5), dtype=torch.int64).random_(
        -(2**63), None, generator=torch.Generator().manual_seed(0)
    )
    mask = keep_mask(words, (2, 7, 5), 0.5, torch.float32)
    assert torch.equal(keep_mask(words[1, : random_words(15)], (3, 5), 0.5, torch.float32), mask[1, :3])
    assert set(mask.unique().tolist()) == {0.0, 2.0}
