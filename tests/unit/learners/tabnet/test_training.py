"""TabNet's training: the original's loss, and the losses of the pytorch-tabnet library."""

from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch

from moa.learners.base import FoldData
from moa.learners.tabnet import training
from moa.learners.tabnet.learner import TabNetLearner
from moa.learners.tabnet.training import log_loss_of_sigmoid
from support.units import CPU, Recorder, Unit
from tests.benchmarks import tabnet_library

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
        assert log_loss_of_sigmoid(logits, target, smoothing).item() == pytest.approx(expected.mean(), rel=1e-4)


def test_training_and_its_metrics_use_that_loss(monkeypatch):
    """Logits that a network's last bias drives far away: those that are wrong stay there."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(48, 4)).astype(np.float32))
    y = pd.DataFrame(np.zeros((48, 2), np.float32))
    learner = TabNetLearner(n_d=4, n_a=4, epochs=1, batch_size=32, virtual_batch_size=8, lr=0.0, weight_decay=0.0)
    calls, real = [], training.log_loss_of_sigmoid

    def far(output, target, smoothing):
        calls.append(smoothing)
        return real(output + 40, target, smoothing)

    monkeypatch.setattr(training, "log_loss_of_sigmoid", far)
    (epoch,) = Unit(FoldData(x, y, np.arange(32), np.arange(32, 48))).fit(learner).history
    limit = -np.log(1e-15)
    assert calls == [0.001, 0.0, 0.001]
    assert epoch["valid_loss"] == pytest.approx(limit, rel=1e-6)
    for name in ("train_loss", "valid_stopping_loss"):
        assert epoch[name] == pytest.approx(0.9995 * limit, rel=1e-5)


LEARNER = TabNetLearner(
    n_d=4,
    n_a=4,
    epochs=20,
    batch_size=32,
    virtual_batch_size=16,
    cat_dims=(3, 2),
    cat_emb_dim=(1, 1),
    milestones=(9, 15),
)
LOSSES = ["train_loss", "valid_loss", "valid_stopping_loss"]


def unit(rows=107, valid=40, seed=0):
    """107 rows: the last of four batches has 11, in virtual batches of 16."""
    rng = np.random.default_rng(seed)
    x = np.c_[rng.integers(0, 3, rows + valid), rng.integers(0, 2, rows + valid), rng.normal(size=(rows + valid, 30))]
    index = pd.Index([f"id_{i}" for i in range(rows + valid)], name="sig_id")
    signal = x[:, 2:6] + x[:, 0:1] + rng.normal(size=(rows + valid, 4))
    y = pd.DataFrame((signal > 1.5).astype(np.float32), index)
    data = FoldData(pd.DataFrame(x.astype(np.float32), index), y, np.arange(rows), np.arange(rows, rows + valid))
    return Unit(data)


def losses(fitted):
    return pd.DataFrame(fitted.history)[LOSSES].to_numpy()


def by_library(learner, unit, change=None):
    return tabnet_library.fit(learner, unit.data, unit.seed, unit.fold, CPU, change=change)


class _InDouble(TabNetLearner):
    def train(self, job):
        return training.fit(self, job, torch.float64)


def in_double(learner, unit):
    """What the library and the package train in double precision. The library rounds where it says ``float``."""

    def widen(network):
        network.double()
        encoder = network.tabnet.encoder
        encoder.group_attention_matrix = encoder.group_attention_matrix.double()

    with patch.object(torch.Tensor, "float", torch.Tensor.double):
        theirs = by_library(learner, unit, widen)
    return theirs, unit.fit(_InDouble(**dict(learner)))


@pytest.mark.parametrize(
    "settings",
    [{}, {"n_steps": 2, "lambda_sparse": 1e-3}, {"mask_type": "sparsemax", "batch_size": 53}],
    ids=["published", "steps", "one row left over"],
)
def test_in_double_precision_losses_are_the_librarys(settings):
    """Over twenty epochs, to a millionth."""
    theirs, ours = in_double(LEARNER.model_copy(update=settings), unit())
    assert len(theirs.history) == len(ours.history) == 20
    np.testing.assert_allclose(losses(ours), losses(theirs), rtol=1e-6)
    assert losses(ours)[-1, 0] < losses(ours)[0, 0]
    for name, value in theirs.tensors.items():
        torch.testing.assert_close(ours.tensors[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_training_stops_and_keeps_the_epoch_as_the_library_does():
    fold = unit(seed=1)
    theirs, ours = in_double(LEARNER.model_copy(update={"patience": 3, "epochs": 40}), fold)
    best = losses(ours)[:, 2].argmin()
    assert 5 < len(ours.history) == len(theirs.history) < 40 and 0 < best < len(ours.history) - 1
    for name, value in theirs.tensors.items():
        torch.testing.assert_close(ours.tensors[name], value, rtol=1e-4, atol=1e-6, msg=name)
    x, y = fold.valid()
    p = LEARNER.predict(ours, x, CPU)
    kept = -(y * np.log(p) + (1 - y) * np.log(1 - p)).to_numpy().mean()
    assert kept == pytest.approx(ours.history[best]["valid_loss"], rel=1e-5)


def test_in_single_precision_losses_are_no_further_apart_than_the_librarys_are_after_a_change_of_the_last_bits():
    fold, learner = unit(), LEARNER.model_copy(update={"epochs": 8})
    theirs, recorder = losses(by_library(learner, fold)), Recorder()
    ours = losses(fold.fit(learner, callback=recorder))
    assert [(epoch, epochs) for epoch, epochs, _ in recorder.epochs] == [(epoch, 8) for epoch in range(8)]

    def changed(seed):
        def change(network):
            generator = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.mul_(1 + 1e-7 * torch.randn(parameter.shape, generator=generator))

        return losses(by_library(learner, fold, change))

    apart = [np.abs(changed(seed) - theirs).max() for seed in range(2)]
    assert 0 < np.abs(ours - theirs).max() <= max(apart) < 1e-3


def test_weights_of_the_library_predict_what_they_predict_in_the_library():
    fold = unit()
    learner = LEARNER.model_copy(update={"epochs": 3})
    theirs = by_library(learner, fold)
    network = tabnet_library.network(learner, *theirs.meta.values())
    network.load_state_dict(theirs.tensors)
    network.eval()
    with torch.no_grad():
        expected = network(torch.tensor(fold.data.X.to_numpy()))[0].sigmoid().numpy()
    assert learner.predict(theirs, fold.data.X, CPU).tobytes() == expected.tobytes()


def test_all_folds_of_a_seed_start_from_the_same_weights():
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(60, 6)).astype(np.float32))
    data = FoldData(x, pd.DataFrame((x.to_numpy()[:, :3] > 1).astype(np.float32)), np.arange(40), np.arange(40, 60))
    still = TabNetLearner(n_d=4, n_a=4, epochs=1, batch_size=16, virtual_batch_size=8, lr=0.0)
    starts = {(seed, fold): Unit(data, seed, fold).fit(still).tensors for seed, fold in ((0, 0), (0, 1), (1, 0))}
    assert all(torch.equal(starts[0, 1][name], value) for name, value in starts[0, 0].items())
    weights = [name for name in starts[0, 0] if name.endswith("fc.weight")]
    assert weights and not any(torch.equal(starts[1, 0][name], starts[0, 0][name]) for name in weights)
