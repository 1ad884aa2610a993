"""The training loop of the perceptrons, compared with hand-written values and with torch's own parts."""

import numpy as np
import pytest
import torch
from torch import nn

from moa.learners.perceptron.learner import MLPLearner
from moa.learners.perceptron.network import Perceptron, SeededDropout, three_fc, weight_norm
from moa.learners.perceptron.setup import optimizer
from moa.learners.perceptron.training import logits
from support.perceptrons import make_unit
from support.units import CPU, Unit

SMALL = MLPLearner(hidden=32, epochs=12, batch_size=32)


def test_training_is_reproducible_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = make_unit().fit(SMALL)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    second = make_unit().fit(SMALL)
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


class OneLayer(MLPLearner):
    """A network of one's own."""

    def network(self, n_inputs, n_targets, linear):
        first, last = linear(n_inputs, self.hidden), linear(self.hidden, n_targets)
        return Perceptron(
            nn.BatchNorm1d(n_inputs), SeededDropout(0.0), weight_norm(first), nn.LeakyReLU(),
            nn.BatchNorm1d(self.hidden), SeededDropout(0.25), weight_norm(last),
        )  # fmt: skip


def test_a_subclass_trains_a_network_of_its_own_alone_and_batched():
    unit, learner = make_unit(), OneLayer(**SMALL.model_dump())
    alone, (X, _) = unit.fit(learner), unit.valid()
    assert "6.bias" in alone.tensors and "10.bias" not in alone.tensors
    batched = learner.fit_batched([unit.data] * 2, [unit.seed, unit.seed + 1], [0, 0], CPU, [None, None])
    one, other = (learner.predict(fitted, X, CPU) for fitted in (alone, batched[0]))
    assert np.abs(one - other).max() < 1e-3 < np.abs(one - one.mean(axis=0)).max()


def test_it_learns_and_keeps_the_epoch_of_the_lowest_validation_loss():
    unit = make_unit(rows=1200)
    learner = MLPLearner(hidden=64, epochs=15, batch_size=32)
    fitted = unit.fit(learner)
    losses = [row["valid_loss"] for row in fitted.history]
    X, y = unit.valid()
    probabilities, truth = learner.predict(fitted, X, CPU), y.to_numpy()
    found = -np.mean(truth * np.log(probabilities) + (1 - truth) * np.log(1 - probabilities))
    assert found == pytest.approx(min(losses), rel=1e-4)
    rate = unit.data.y.iloc[unit.data.train].to_numpy().mean(axis=0)
    baseline = -np.mean(truth * np.log(rate) + (1 - truth) * np.log(1 - rate))
    assert found < 0.6 * baseline


def test_the_loop_takes_the_same_steps_as_a_loop_written_out():
    """Two epochs against torch's DataLoader-free textbook loop with unfused Adam, dropout off."""
    unit = make_unit()
    learner = MLPLearner(hidden=16, epochs=2, batch_size=50, dropout=(0.0, 0.0, 0.0), smoothing=0.001)
    fitted = unit.fit(learner)

    data = unit.data
    torch.manual_seed(unit.seed)
    network = three_fc(12, 4, hidden=16, dropout=(0.0, 0.0, 0.0))
    order = torch.Generator().manual_seed(unit.seed)
    x, y = torch.tensor(data.X.to_numpy()), torch.tensor(data.y.to_numpy())
    adam = torch.optim.Adam(network.parameters(), lr=123.0, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        adam, max_lr=1e-2, pct_start=0.1, div_factor=1e3, epochs=2, steps_per_epoch=4
    )
    losses = []
    for _ in range(2):
        network.train()
        for rows in torch.tensor(data.train)[torch.randperm(180, generator=order)].split(50):
            target = y[rows] * 0.999 + 0.0005
            loss = nn.BCEWithLogitsLoss()(network(x[rows]), target)
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
        losses.append(nn.BCEWithLogitsLoss()(logits(network, x[data.valid]), y[data.valid]).item())
    assert [row["valid_loss"] for row in fitted.history] == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize(("epochs", "steps", "pct_start"), [(1, 10, 0.1), (2, 5, 0.1), (1, 5, 0.2), (1, 4, 0.1)])
def test_a_climb_of_one_step_or_less_has_a_schedule(epochs, steps, pct_start):
    weight = torch.nn.Parameter(torch.ones(1))
    adam, schedule = optimizer(MLPLearner(epochs=epochs, pct_start=pct_start), [weight], steps)
    rates = []
    for _ in range(epochs * steps):
        rates.append(schedule.get_last_lr()[0])
        adam.step()
        if len(rates) < epochs * steps:
            schedule.step()
    assert max(rates) <= 1e-2 and rates[-1] < rates[1] and rates[1] > 1e-3


def test_clipped_targets_bound_the_loss_from_below():
    unit = make_unit(y=np.zeros((240, 4), dtype=np.float32))
    fitted = unit.fit(MLPLearner(hidden=16, epochs=20, batch_size=32, target_clip=(0.0005, 0.9995)))
    floor = -(0.0005 * np.log(0.0005) + 0.9995 * np.log(0.9995))
    assert min(row["valid_loss"] for row in fitted.history) >= floor * 0.999


def test_predictions_do_not_depend_on_the_batch():
    unit = make_unit()
    fitted, X = unit.fit(SMALL), unit.data.X
    whole = SMALL.predict(fitted, X, CPU)
    np.testing.assert_allclose(SMALL.predict(fitted, X.iloc[[7]], CPU)[0], whole[7], rtol=1e-5)
    assert whole.dtype == np.float32 and whole.shape == (240, 4)


def test_all_folds_of_a_seed_start_from_the_same_weights_and_order():
    still = SMALL.model_copy(update={"max_lr": 0.0, "epochs": 1})
    unit = make_unit()
    starts = {(seed, fold): Unit(unit.data, seed, fold).fit(still).tensors for seed in (3, 4) for fold in (0, 1)}
    for name, value in starts[3, 0].items():
        assert torch.equal(starts[3, 1][name], value), name
    assert not torch.equal(value_of(starts[4, 0]), value_of(starts[3, 0]))
    torch.manual_seed(3)  # as a notebook seeds torch and builds its network
    expected = three_fc(12, 4, hidden=32).state_dict()
    assert torch.equal(value_of(expected), value_of(starts[3, 0]))


def value_of(tensors):
    return tensors["2.parametrizations.weight.original1"]


@pytest.mark.parametrize("batch_size", [32, 7, 64])
def test_history_has_the_mean_of_the_validation_batches_in_file_order(batch_size):
    unit = make_unit()  # 60 validation rows: the last batch has 28, 4 or 60
    learner = SMALL.model_copy(update={"batch_size": batch_size, "epochs": 1})
    fitted = unit.fit(learner)
    X, y = unit.valid()
    p, truth = learner.predict(fitted, X, CPU).astype(np.float64), y.to_numpy()
    losses = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean(axis=1)
    batches = [losses[start : start + batch_size].mean() for start in range(0, len(losses), batch_size)]
    (row,) = fitted.history
    assert row["valid_batch_loss"] == pytest.approx(np.mean(batches), rel=1e-5)
    assert row["valid_loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert (row["valid_batch_loss"] == pytest.approx(row["valid_loss"], rel=1e-5)) == (len(batches) == 1)
