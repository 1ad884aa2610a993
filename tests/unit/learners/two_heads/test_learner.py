"""The two-heads learner: Keras's training rules, what phase 3 leaks, and how phase 2 starts."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from moa.learners.base import EpochCallback, FoldData
from moa.learners.two_heads import training
from moa.learners.two_heads.learner import TwoHeadsLearner
from moa.learners.two_heads.network import (
    KerasBatchNorm,
    TwoHeads,
)
from moa.learners.two_heads.settings import AFTER, SECOND
from moa.metrics.losses import log_loss, prevalence_baseline
from support import keras_reference
from support.units import CPU, Unit


def made_up_unit(rows=600, seed=0, shuffle=True):
    """Labels that follow from the inputs; those of the validation fold are shuffled."""
    rng = np.random.default_rng(seed)
    ids = [f"id_{i}" for i in range(rows)]
    columns = [*[f"a{i}" for i in range(16)], *[f"{SECOND}{i}" for i in range(8)]]
    X = pd.DataFrame(rng.normal(size=(rows, 24)), ids, columns)
    y = pd.DataFrame((X.to_numpy()[:, :6] > 1.2).astype(np.float32), ids, [f"t{i}" for i in range(6)])
    train, valid = np.arange(rows // 2), np.arange(rows // 2, rows)
    if shuffle:
        y.iloc[valid] = y.iloc[rng.permutation(valid)].to_numpy()
    return Unit(FoldData(X.astype(np.float32), y, train, valid), seed=1)


# At these learning rates the steps of a second do what hours of the published ones would.
LOOPING = {
    **{"width": 32, "bottleneck": 16, "batch_size": 32, "lr": 0.01, "epochs": 15},
    **{"loop_lr": 1.0, "loop_epochs": 40, "loop_rounds": 1},
}


def test_a_batch_of_one_row_is_trained_on():
    """Its variance is 0, so that batch norm gives its shift alone; Keras leaves no row of an epoch out."""
    norm = KerasBatchNorm(2)
    nn.init.constant_(norm.bias, 0.3)
    np.testing.assert_allclose(norm(torch.tensor([[5.0, -7.0]])).detach(), 0.3, atol=5e-5)
    np.testing.assert_allclose(norm.running_var, 0.99, atol=1e-6)
    unit, learner = made_up_unit(), TwoHeadsLearner(**(LOOPING | {"epochs": 1}))
    data = unit.data
    moved = unit.with_data(train=data.train[:1]).fit(learner).tensors["out1.0.running_mean"]
    np.testing.assert_allclose(moved, 0.01 * data.X.iloc[0, :16], rtol=1e-5)
    # Two batches, of 32 rows and of one: 0.99 · 0.99 of the moving mean's start is left.
    shifted = unit.with_data(X=data.X * 0 + 1, train=data.train[:33])
    moved = shifted.fit(learner).tensors["out1.0.running_mean"]
    np.testing.assert_allclose(moved, 1 - 0.99**2, rtol=1e-5)


def test_losses_are_keras_binary_cross_entropy_with_smoothed_labels():
    unit = made_up_unit()
    learner = TwoHeadsLearner(**(LOOPING | {"epochs": 1, "smoothing": 0.1}))
    fitted = unit.fit(learner)
    X, y = unit.valid()
    p, y = np.clip(learner.predict(fitted, X, CPU).astype(np.float64), 1e-7, 1 - 1e-7), y.to_numpy(np.float64)
    for name, labels in (("valid_loss", y), ("valid_stopping_loss", y * 0.9 + 0.05)):
        by_hand = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean()
        assert fitted.history[0][name] == pytest.approx(by_hand, rel=1e-5)


def test_training_is_that_of_keras_epoch_by_epoch(monkeypatch):
    """Losses, learning rates, the epoch that stops and the one that is kept, then Adadelta; all by Keras itself."""
    first, second, y, weights = keras_reference.problem()
    expected = json.loads(keras_reference.PATH.read_text())
    columns = [*(f"a{i}" for i in range(first.shape[1])), *(f"{SECOND}{i}" for i in range(second.shape[1]))]
    X, y = pd.DataFrame(np.hstack([first, second]), columns=columns), pd.DataFrame(y)
    train = np.arange(keras_reference.TRAIN)
    unit = Unit(FoldData(X, y, train, np.arange(len(train), len(X))))

    def build(settings, meta):
        sizes = (first.shape[1], second.shape[1], y.shape[1])
        network = TwoHeads(*sizes, settings.width, settings.bottleneck, settings.dropout)
        initial = {name: torch.from_numpy(value) for name, value in weights.items()}
        assert not network.load_state_dict(initial, strict=False).unexpected_keys
        return network

    monkeypatch.setattr(training, "build", build)
    monkeypatch.setattr(torch, "randperm", lambda n, generator: torch.arange(n))
    learner = TwoHeadsLearner(
        width=keras_reference.WIDTH,
        bottleneck=keras_reference.BOTTLENECK,
        dropout=(0, 0),
        batch_size=keras_reference.BATCH,
        lr=keras_reference.LR,
        epochs=keras_reference.EPOCHS,
        phase3="validation",
        loop_lr=keras_reference.LOOP_LR,
        loop_epochs=keras_reference.LOOP_EPOCHS,
        loop_rounds=1,
    )
    fitted = unit.fit(learner)
    for ours, keras in (("train_loss", "loss"), ("valid_stopping_loss", "val_loss"), ("lr", "lr")):
        np.testing.assert_allclose([row[ours] for row in fitted.history], expected[keras], atol=2e-5, err_msg=ours)
    looped = [row["valid_stopping_loss"] for row in fitted.meta["phase3"]]
    np.testing.assert_allclose(looped, expected["looped"], atol=2e-5)
    # Keras went on from what early stopping left, we from the checkpoint; in this run that is the same epoch.
    losses = expected["val_loss"]
    assert keras_reference.epoch_left(losses, learner.patience, learner.min_delta) == np.argmin(losses) == 17


def test_published_phase_3_leaks_and_the_honest_oof_does_not():
    """Shuffled labels cannot be predicted: a model that seems to do so has seen them."""
    unit = made_up_unit()
    fitted = unit.fit(TwoHeadsLearner(phase3="validation", **LOOPING))
    X, y = unit.valid()
    before, after = (log_loss(y, pd.DataFrame(p, y.index, y.columns)) for p in (fitted.oof, fitted.variants[AFTER]))
    baseline = log_loss(y, prevalence_baseline(y, y.index))
    assert before > baseline - 0.005
    assert after < baseline - 0.03 and after < before - 0.03
    assert len(fitted.history) <= 15 and all("step" not in row for row in fitted.history)  # phase 3 is not among them
    predicted = TwoHeadsLearner(**LOOPING).predict(fitted, X, CPU)
    np.testing.assert_allclose(predicted, fitted.variants[AFTER], atol=1e-6)  # what predicts has been through phase 3
    # The same learner does beat the prevalence, by far, on labels that can be learned.
    unit = made_up_unit(shuffle=False)
    learnable = unit.fit(TwoHeadsLearner(phase3="validation", **LOOPING)).oof
    assert log_loss(unit.valid()[1], pd.DataFrame(learnable, y.index, y.columns)) < baseline - 0.1


def test_phase_3_on_the_training_fold_is_honest():
    unit = made_up_unit()
    fitted = unit.fit(TwoHeadsLearner(phase3="train", **LOOPING))
    X, y = unit.valid()
    oof = TwoHeadsLearner(**LOOPING).predict(fitted, X, CPU)
    assert fitted.oof is None and not fitted.variants and fitted.meta["phase3"]
    assert log_loss(y, pd.DataFrame(oof, y.index, y.columns)) > log_loss(y, prevalence_baseline(y, y.index)) - 0.005


def test_looper_never_ends_worse_and_ends_by_itself():
    unit = made_up_unit(rows=200)
    looping = LOOPING | {"loop_rounds": 300, "loop_epochs": 2, "loop_lr": 0.5}
    fitted = unit.fit(TwoHeadsLearner(phase3="train", **looping))
    best = min(row["valid_stopping_loss"] for row in fitted.history)
    loop = [row["valid_stopping_loss"] for row in fitted.meta["phase3"]]
    assert loop and len(loop) < 600 and min(loop) >= 0
    X, y = unit.valid()
    oof = torch.tensor(TwoHeadsLearner(**LOOPING).predict(fitted, X, CPU))
    smoothed = torch.tensor(y.to_numpy()) * (1 - 0.0005) + 0.5 * 0.0005
    assert nn.functional.binary_cross_entropy(oof, smoothed).item() <= best + 1e-4


def test_phase_2_starts_from_phase_1_with_a_new_head():
    unit = made_up_unit(rows=80)
    learner = TwoHeadsLearner(**(LOOPING | {"epochs": 2}))
    first = unit.fit(learner)
    unmoved = learner.model_copy(update={"epochs": 0})
    second = unit.with_data(y=unit.data.y.iloc[:, :4]).fit(unmoved, initial=first).tensors
    left = first.start or first.tensors  # which of both epochs is the better one differs by version of torch
    assert {name for name in second if not torch.equal(second[name], left[name])} == {
        name for name in second if name.startswith("head.") and "num_batches" not in name
    }
    assert second["head.1.weight"].shape == (4, 16) and (second["head.0.running_var"] == 1).all()


def test_the_checkpoint_is_that_of_the_lowest_loss_however_small_its_gain():
    """No epoch gains ``min_delta`` on the first one, so that training stops, and yet the lowest loss is kept."""
    unit = made_up_unit(shuffle=False)
    learner = TwoHeadsLearner(**(LOOPING | {"epochs": 15, "patience": 6, "min_delta": 10.0, "lr": 1e-3}))
    fitted = unit.fit(learner)
    losses = [row["valid_stopping_loss"] for row in fitted.history]
    assert len(losses) == 7 and int(np.argmin(losses)) > 0
    X, y = unit.valid()
    p = torch.tensor(learner.predict(fitted, X, CPU))
    smoothed = torch.tensor(y.to_numpy()) * (1 - 0.0005) + 0.5 * 0.0005
    assert nn.functional.binary_cross_entropy(p, smoothed).item() == pytest.approx(min(losses), abs=1e-5)


class States(EpochCallback):
    """Keeps the network's state after each epoch, from the moment it is built."""

    def __init__(self, monkeypatch):
        self.states, build = [], training.build

        def remembered(*arguments):
            self.network = build(*arguments)
            return self.network

        monkeypatch.setattr(training, "build", remembered)

    def on_epoch_end(self, epoch, epochs, row):
        self.states.append({name: value.clone() for name, value in self.network.state_dict().items()})


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("changes", "stops", "left_is_lowest"),
    [
        # Stopped early: the epoch of the last gain of more than ``min_delta``, after which the loss may still fall.
        ({"patience": 3, "min_delta": 0.05}, True, False),
        ({"patience": 6, "min_delta": 10.0}, True, False),
        ({"patience": 4, "min_delta": 1e-5, "lr": 0.05, "epochs": 40}, True, True),
        # All epochs were run: the last one, whatever its loss.
        ({"patience": 40, "lr": 0.05}, False, False),
        ({"patience": 40, "epochs": 3}, False, True),
    ],
)
def test_phase_2_starts_from_what_early_stopping_left_and_the_lowest_loss_predicts(
    monkeypatch, changes, stops, left_is_lowest
):
    unit = made_up_unit(shuffle=False)
    learner = TwoHeadsLearner(**(LOOPING | {"lr": 1e-3, "epochs": 15} | changes))
    seen = States(monkeypatch)
    first = unit.fit(learner, callback=seen)
    losses = [row["valid_stopping_loss"] for row in first.history]
    lowest, left = int(np.argmin(losses)), keras_reference.epoch_left(losses, learner.patience, learner.min_delta)
    assert (len(losses) < learner.epochs, left == lowest) == (stops, left_is_lowest), losses
    assert equal(first.tensors, seen.states[lowest])
    assert first.start is None if left_is_lowest else equal(first.start, seen.states[left])

    # The next phase, run for no epoch, has these layers, with a new head.
    unmoved = learner.model_copy(update={"epochs": 0})
    second = unit.with_data(y=unit.data.y.iloc[:, :4]).fit(unmoved, initial=first).tensors
    body = {name: value for name, value in second.items() if not name.startswith("head.")}
    assert equal(body, {name: seen.states[left][name] for name in body})


def test_phase_3_starts_from_the_checkpoint_of_phase_2_and_leaves_one_set_of_weights(monkeypatch):
    unit = made_up_unit(shuffle=False)
    seen = States(monkeypatch)
    learner = TwoHeadsLearner(phase3="validation", **(LOOPING | {"lr": 1e-3, "patience": 3, "min_delta": 0.05}))
    fitted = unit.fit(learner, callback=seen)
    losses = [row["valid_stopping_loss"] for row in fitted.history]
    lowest = int(np.argmin(losses))
    assert keras_reference.epoch_left(losses, 3, 0.05) != lowest
    before = learner.predict(dataclasses.replace(fitted, tensors=seen.states[lowest]), unit.valid()[0], CPU)
    np.testing.assert_allclose(fitted.oof, before, atol=1e-6)
    assert fitted.start is None and len(seen.states) > len(losses)


def test_folds_of_a_seed_start_from_weights_of_their_own():
    unit, learner = made_up_unit(rows=80), TwoHeadsLearner(**(LOOPING | {"epochs": 0}))
    starts = [Unit(unit.data, 1, fold).fit(learner).tensors["out1.2.weight"] for fold in (0, 1, 0)]
    assert torch.equal(starts[0], starts[2]) and not torch.equal(starts[0], starts[1])
