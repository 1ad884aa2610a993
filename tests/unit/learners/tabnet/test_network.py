"""TabNet's network is the pytorch-tabnet library's: initial weights, outputs and masks."""

import numpy as np
import pytest
import torch
from pytorch_tabnet import sparsemax

from moa.learners.tabnet.masks import MASKS
from moa.learners.tabnet.network import GhostNorm, TabNet, arranged, virtual_batches
from moa.learners.tabnet.settings import TabNetSettings
from tests.benchmarks import tabnet_library

SMALL = {"n_d": 4, "n_a": 3, "virtual_batch_size": 8}
KINDS = {
    "published": {"cat_dims": (3, 2), "cat_emb_dim": (1, 1)},
    "three steps": {"n_steps": 3},
    "sparsemax, wide embeddings": {"n_steps": 2, "mask_type": "sparsemax", "cat_dims": (3,), "cat_emb_dim": (4,)},
}
MASK = {"entmax": sparsemax.entmax15, "sparsemax": sparsemax.sparsemax}


def both(kind, n_inputs=11):
    settings = TabNetSettings(**SMALL, **KINDS[kind])
    torch.manual_seed(5)
    return TabNet(n_inputs, 6, settings), tabnet_library.network(settings, n_inputs, 6, seed=5)


def inputs(rows, n_inputs=11, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.c_[rng.integers(0, 3, rows), rng.integers(0, 2, rows)]
    return torch.tensor(np.c_[codes, rng.normal(size=(rows, n_inputs - 2))], dtype=torch.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_librarys_weights_under_its_names(kind):
    with torch.random.fork_rng(devices=[]):
        ours, theirs = both(kind)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_of_the_same_weights_are_the_librarys_to_the_last_bit(kind):
    with torch.random.fork_rng(devices=[]):
        ours, theirs = both(kind)
    theirs.train()
    for seed in range(3):  # moving averages that are not those of the start
        theirs(inputs(32, seed=seed))
    ours.load_state_dict(theirs.state_dict())
    ours.eval(), theirs.eval()
    with torch.no_grad():
        (found, entropy), (expected, theirs_too) = ours(inputs(50, seed=9), True), theirs(inputs(50, seed=9))
    assert torch.equal(found, expected) and found.std() > 0
    assert entropy.item() == pytest.approx(theirs_too.item(), rel=1e-5)


@pytest.mark.parametrize(("rows", "cut"), [(32, [8, 8, 8, 8]), (29, [8, 8, 8, 5]), (10, [5, 5]), (5, [5])])
def test_one_batch_norm_does_what_one_for_each_virtual_batch_does(rows, cut):
    """Outputs, gradients and moving averages, in double precision."""
    settings = TabNetSettings(**SMALL)
    torch.manual_seed(0)
    x = torch.randn(rows, 3, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.1]) + torch.tensor([0.0, 3.0, -2.0])
    wanted = torch.randn(rows, 3, dtype=torch.float64)
    norm, plain = GhostNorm(3, settings).double(), torch.nn.BatchNorm1d(3, momentum=settings.norm_momentum).double()
    order = arranged(torch.arange(rows), settings.virtual_batch_size)
    assert sorted(order.tolist()) == list(range(rows))
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    out = torch.empty_like(x)
    out[order] = norm(ours[order])
    expected = torch.cat([plain(part) for part in theirs.split(cut)])
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    (out * wanted).sum().backward(), (expected * wanted).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)
    for (name, value), other in zip(norm.bn.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-12, atol=1e-12, msg=name)
    assert x.chunk(-(-rows // 8))[0].shape[0] == cut[0], "as the library cuts"


def test_no_virtual_batch_is_a_single_row():
    assert virtual_batches(10, 3) == (2, 4), "the library would cut 3, 3, 3 and 1, and fail"
    for rows in range(2, 200):
        count, each = virtual_batches(rows, 7)
        assert rows - count * each != 1 and each > 1 and rows >= count * each


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", MASK)
@pytest.mark.parametrize("spread", [0.01, 1.0, 100.0], ids=["all columns", "some", "one"])
def test_masks_and_their_gradients_are_the_librarys(kind, spread, training):
    generator = torch.Generator().manual_seed(3)
    x = spread * torch.randn(40, 300, generator=generator)
    x[0] = 0  # equal values share
    wanted = torch.randn(40, 300, generator=generator)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    found, expected = MASKS[kind](ours, training), MASK[kind](theirs * 1, -1)
    (found * wanted).sum().backward(), (expected * wanted).sum().backward()
    if training:
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    else:
        assert torch.equal(found, expected)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found.sum(1), torch.ones(40), rtol=1e-5, atol=0)
