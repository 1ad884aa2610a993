"""TabNet: the original's loss, and the fast embeddings, compared with the library's own."""

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_tabnet import tab_network

from moa.learners import tabnet_library
from moa.learners.base import FoldData
from moa.learners.tabnet import TabNetLearner
from moa.learners.tabnet_library import EmbeddingGenerator, log_loss_of_logits, log_loss_of_sigmoid
from support.units import CPU, Unit

SLOW = tab_network.EmbeddingGenerator


@pytest.mark.parametrize(
    ("places", "sizes", "widths"), [([0, 1], [3, 2], [1, 1]), ([1, 4], [3, 2], [2, 3]), ([], [], [])]
)
def test_embeddings_are_the_librarys_to_the_last_bit(places, sizes, widths):
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(8, 6)), dtype=torch.float32)
    for place, size in zip(places, sizes, strict=True):
        x[:, place] = torch.tensor(rng.integers(0, size, 8), dtype=torch.float32)
    group = torch.tensor(rng.random((4, 6)), dtype=torch.float32)
    made = []
    for kind in (SLOW, EmbeddingGenerator):
        torch.manual_seed(0)
        module = kind(6, sizes, places, widths, group)
        made.append((module, torch.rand(1)))
    (theirs, after), (ours, after_ours) = made
    assert torch.equal(after, after_ours), "the same numbers drawn"
    assert theirs.post_embed_dim == ours.post_embed_dim
    assert torch.equal(theirs.embedding_group_matrix, ours.embedding_group_matrix)
    assert torch.equal(theirs(x), ours(x))
    assert [name for name, _ in theirs.named_parameters()] == [name for name, _ in ours.named_parameters()]


def test_products_by_an_identity_are_left_out_and_no_others():
    def group_matrix(matrix):
        return EmbeddingGenerator(matrix.shape[1], [], [], [], matrix).embedding_group_matrix

    x = torch.randn(5, 3)
    identity, other = (group_matrix(matrix) for matrix in (torch.eye(3), 2 * torch.eye(3)))
    assert torch.matmul(x, identity) is x and identity.shape == (3, 3)
    assert torch.equal(torch.matmul(x, other), 2 * x)
    assert torch.equal(identity + 1, torch.eye(3) + 1)
    assert torch.equal(torch.matmul(torch.eye(2), group_matrix(torch.eye(3)[:2])), torch.eye(3)[:2])


LOGITS = (0.0, 10.0, 17.0, 20.0, 30.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.001])
def test_the_loss_is_that_of_the_original_in_32_bits_and_so_is_its_gradient(smoothing):
    """Against the formula by numpy, step by step: log(sigmoid(x) + 1e-15), where 1e-15 is lost beside all but 0."""
    one, small = np.float32(1), np.float32(1e-15)
    logits = torch.tensor([*LOGITS, *(-x for x in LOGITS[1:])], requires_grad=True)
    for label in (0.0, 1.0):
        target = torch.full((len(logits),), label)
        smoothed = np.float32(label * (1 - smoothing) + 0.5 * smoothing)
        found, gradients = [], []
        for x in logits:
            loss = log_loss_of_sigmoid(x[None], target[:1], smoothing)
            found.append(loss.item())
            gradients.append(torch.autograd.grad(loss, logits)[0].sum().item())
        with np.errstate(over="ignore"):
            p = one / (one + np.exp(-logits.detach().numpy()))
        expected = -(smoothed * np.log(p + small) + (one - smoothed) * np.log(one - p + small))
        slope = -(smoothed / (p + small) - (one - smoothed) / (one - p + small)) * (p * (one - p))
        # At 10 the last bit of the sigmoid moves 1 - p by a thousandth, and the loss by 1e-4 of itself.
        np.testing.assert_allclose(found, expected, rtol=3e-4, atol=1e-7)
        np.testing.assert_allclose(gradients, slope, rtol=3e-4, atol=1e-9)
        # Beyond a logit of about 16.6 its sigmoid is 1: a wrong prediction is no longer corrected.
        sure = np.array(LOGITS) > 16.6
        assert not np.any(np.array(gradients[: len(LOGITS)])[sure]) and gradients[1] != 0
        if label == smoothing == 0:
            np.testing.assert_allclose(np.array(found[: len(LOGITS)])[sure], -np.log(1e-15), rtol=1e-6)
        metric = log_loss_of_logits(smoothing)()(target[:, None].numpy(), logits.detach().numpy()[:, None])
        assert metric == log_loss_of_sigmoid(logits, target, smoothing).item()
        assert metric == pytest.approx(expected.mean(), rel=1e-4)


def test_training_and_its_metrics_use_that_loss(monkeypatch):
    """Logits that a network's last bias drives far away: those that are wrong stay there."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(48, 4)).astype(np.float32))
    y = pd.DataFrame(np.zeros((48, 2), np.float32))
    learner = TabNetLearner(n_d=4, n_a=4, epochs=1, batch_size=32, virtual_batch_size=8, lr=0.0, weight_decay=0.0)
    calls, real = [], tabnet_library.log_loss_of_sigmoid

    def far(output, target, smoothing):
        calls.append(smoothing)
        return real(output + 40, target, smoothing)

    monkeypatch.setattr(tabnet_library, "log_loss_of_sigmoid", far)
    (epoch,) = Unit(FoldData(x, y, np.arange(32), np.arange(32, 48))).fit(learner).history
    limit = -np.log(1e-15)
    assert calls == [0.001, 0.0, 0.001]
    assert epoch["valid_loss"] == pytest.approx(limit, rel=1e-6)
    for name in ("train_loss", "valid_stopping_loss"):
        assert epoch[name] == pytest.approx(0.9995 * limit, rel=1e-5)


def test_training_is_the_librarys_to_the_last_bit_and_the_library_is_left_as_it_was(monkeypatch):
    rng = np.random.default_rng(0)
    x = np.c_[rng.integers(0, 3, 60), rng.integers(0, 2, 60), rng.normal(size=(60, 9))]
    index = pd.Index([f"id_{i}" for i in range(60)], name="sig_id")
    x = pd.DataFrame(x.astype(np.float32), index)
    y = pd.DataFrame((rng.random((60, 4)) < 0.3).astype(np.float32), index)
    unit = Unit(FoldData(x, y, np.arange(40), np.arange(40, 60)))
    learner = TabNetLearner(
        n_d=4, n_a=4, epochs=3, batch_size=16, virtual_batch_size=8, cat_dims=(3, 2), cat_emb_dim=(1, 1)
    )
    ours = unit.fit(learner)
    assert tab_network.EmbeddingGenerator is SLOW

    monkeypatch.setattr(tabnet_library, "EmbeddingGenerator", SLOW)
    theirs = unit.fit(learner)
    assert ours.history == theirs.history
    assert all(torch.equal(ours.tensors[name], value) for name, value in theirs.tensors.items())
    predicted = learner.predict(theirs, x, CPU)
    monkeypatch.undo()
    assert learner.predict(ours, x, CPU).tobytes() == predicted.tobytes()


def test_all_folds_of_a_seed_start_from_the_same_weights():
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(60, 6)).astype(np.float32))
    data = FoldData(x, pd.DataFrame((x.to_numpy()[:, :3] > 1).astype(np.float32)), np.arange(40), np.arange(40, 60))
    still = TabNetLearner(n_d=4, n_a=4, epochs=1, batch_size=16, virtual_batch_size=8, lr=0.0)
    starts = {(seed, fold): Unit(data, seed, fold).fit(still).tensors for seed, fold in ((0, 0), (0, 1), (1, 0))}
    assert all(torch.equal(starts[0, 1][name], value) for name, value in starts[0, 0].items())
    weights = [name for name in starts[0, 0] if name.endswith("fc.weight")]
    assert weights and not any(torch.equal(starts[1, 0][name], starts[0, 0][name]) for name in weights)
