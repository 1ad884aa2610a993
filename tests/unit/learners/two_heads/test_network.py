"""The two-heads network against Keras's rules worked out by hand, and what phase 3 leaks."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from moa.data.schema import CP_TYPE, TREATED
from moa.learners.base import Fold
from moa.learners.two_heads.learner import AFTER, BEFORE, SECOND, TwoHeadsLearner
from moa.learners.two_heads.network import (
    Dense,
    EarlyStopping,
    KerasAdam,
    KerasBatchNorm,
    TwoHeads,
    keras_adadelta,
    keras_plateau,
)
from moa.metrics import log_loss, prevalence_baseline
from moa.models import two_heads as recipes
from moa.models.registry import recipe
from moa.training.runner import open_runner
from support import keras_reference

V1, V2 = "two-heads", "two-heads-v2"


def test_batch_norm_keeps_keras_moving_averages():
    x = torch.tensor([[1.0, 10.0], [3.0, 10.0], [8.0, 40.0]])
    norm = KerasBatchNorm(2)
    out = norm(x)
    mean, biased = np.array([4.0, 20.0]), np.array([26 / 3, 200.0])  # the biased variance: sums of squares by 3
    np.testing.assert_allclose(out.detach(), (x.numpy() - mean) / np.sqrt(biased + 1e-3), rtol=1e-5)
    np.testing.assert_allclose(norm.running_mean, 0.99 * 0 + 0.01 * mean, rtol=1e-6)
    np.testing.assert_allclose(norm.running_var, 0.99 * 1 + 0.01 * biased, rtol=1e-6)
    norm.eval()
    moving_mean, moving_var = 0.01 * mean, 0.99 + 0.01 * biased
    np.testing.assert_allclose(
        norm(x).detach(), (x.numpy() - moving_mean) / np.sqrt(moving_var + 1e-3), rtol=1e-5, atol=1e-6
    )


def test_batch_norm_has_the_gradient_of_its_formula():
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    norm = KerasBatchNorm(3).double()
    assert torch.autograd.gradcheck(lambda value: norm(value), (x,))


def test_a_batch_of_one_row_is_trained_on(tmp_path):
    """Its variance is 0, so that batch norm gives its shift alone; Keras leaves no row of an epoch out."""
    norm = KerasBatchNorm(2)
    nn.init.constant_(norm.bias, 0.3)
    np.testing.assert_allclose(norm(torch.tensor([[5.0, -7.0]])).detach(), 0.3, atol=5e-5)
    np.testing.assert_allclose(norm.running_var, 0.99, atol=1e-6)
    fold = made_up_fold(tmp_path)
    fold = dataclasses.replace(fold, train=fold.train[:33])
    alone = dataclasses.replace(fold, train=fold.train[:1])
    moved = TwoHeadsLearner(**(LOOPING | {"epochs": 1})).fit(alone).tensors["out1.0.running_mean"]
    np.testing.assert_allclose(moved, 0.01 * fold.x.iloc[0, :16], rtol=1e-5)
    # Two batches, of 32 rows and of one: the moving mean has forgotten of its start 0.99 · 0.99.
    shifted = dataclasses.replace(fold, x=fold.x * 0 + 1)
    moved = TwoHeadsLearner(**(LOOPING | {"epochs": 1})).fit(shifted).tensors["out1.0.running_mean"]
    np.testing.assert_allclose(moved, 1 - 0.99**2, rtol=1e-5)


def test_losses_are_keras_binary_cross_entropy_with_smoothed_labels(tmp_path):
    fold = made_up_fold(tmp_path)
    learner = TwoHeadsLearner(**(LOOPING | {"epochs": 1, "smoothing": 0.1}))
    fitted = learner.fit(fold)
    p = np.clip(learner.predict(fitted, fold.x.iloc[fold.valid], fold.device).astype(np.float64), 1e-7, 1 - 1e-7)
    y = fold.y.iloc[fold.valid].to_numpy(np.float64)
    for name, labels in (("valid_loss", y), ("valid_stopping_loss", y * 0.9 + 0.05)):
        by_hand = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean()
        assert fitted.history[0][name] == pytest.approx(by_hand, rel=1e-5)


def test_kernels_start_as_keras_draws_them():
    torch.manual_seed(0)
    glorot, lecun = Dense(400, 300), Dense(400, 300, lecun=True)
    limit = math.sqrt(6 / 700)
    assert glorot.weight.abs().max() <= limit and glorot.weight.abs().max() > 0.99 * limit
    assert glorot.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.02)
    assert lecun.weight.std().item() == pytest.approx(math.sqrt(1 / 400), rel=0.02)
    assert lecun.weight.abs().max() <= 2 * math.sqrt(1 / 400) / 0.8796256 + 1e-9
    assert not glorot.bias.any() and not lecun.bias.any()
    network = TwoHeads(20, 10, 5)
    selu = [layer.lecun for layer in network.a4 if isinstance(layer, Dense)]
    assert selu == [True, True] and not any(
        layer.lecun for block in (network.out1, network.a2, network.head) for layer in block if isinstance(layer, Dense)
    )


def test_adam_and_adadelta_step_as_keras_does():
    gradients = [0.5, -0.2, 3e-6, 1e-7]
    adam_by_hand = adadelta_by_hand = 1.0
    m = v = mean_square = mean_update = 0.0
    adam, adadelta = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    first, second = KerasAdam([adam], 1e-3), keras_adadelta([adadelta], 0.5)
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        adam_by_hand -= 1e-3 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (math.sqrt(v) + 1e-7)
        mean_square = 0.95 * mean_square + 0.05 * g * g
        update = g * math.sqrt(mean_update + 1e-7) / math.sqrt(mean_square + 1e-7)
        mean_update = 0.95 * mean_update + 0.05 * update**2
        adadelta_by_hand -= 0.5 * update
        for parameter, optimizer in ((adam, first), (adadelta, second)):
            parameter.grad = torch.tensor([g])
            optimizer.step()
        assert adam.item() == pytest.approx(adam_by_hand, abs=2e-7)
        assert adadelta.item() == pytest.approx(adadelta_by_hand, abs=2e-7)


def test_adam_counts_eps_outside_the_correction():
    """A gradient near eps tells Keras's Adam from PyTorch's: 1e-7 / (1e-7·sqrt(.001) + 1e-7) against 1/2."""
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = KerasAdam([parameter], 1.0)
    parameter.grad = torch.tensor([1e-7], dtype=torch.float64)
    optimizer.step()
    root = math.sqrt(1e-3)
    assert parameter.item() == pytest.approx(-root * 1e-7 / (root * 1e-7 + 1e-7), rel=1e-6)


def test_stopping_and_plateau_count_as_keras_does():
    stopping = EarlyStopping(patience=3, min_delta=0.1)
    told = [(stopping.better(value), stopping.stop) for value in (1.0, 0.95, 0.85, 0.80, 0.76, 0.755)]
    # 0.95 gains too little on 1.0; 0.85 gains on it; the next three do not gain more than 0.1 on 0.85.
    assert told == [(True, False), (False, False), (True, False), (False, False), (False, False), (False, True)]

    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    plateau = keras_plateau(optimizer, 0.5, patience=4)
    rates = []
    for value in [0.5, *[0.49995] * 8, 0.4]:  # a gain of 5e-5 is none
        plateau.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_wiring_and_widths():
    network = TwoHeads(974, 447, 206)
    widths = {
        name: [layer.weight.shape for layer in block if isinstance(layer, Dense)]
        for name, block in network.named_children()
    }
    assert widths == {
        "out1": [(512, 974), (256, 512)],
        "a1": [(512, 256 + 447)],
        "a2": [(512, 256 + 447 + 512), (256, 512)],
        "a3": [(256, 512 + 256)],
        "a3b": [(256, 512 + 256 + 256)],
        "a4": [(256, 4 * 256), (206, 256)],
        "head": [(206, 206)],
    }
    kinds = [type(layer) for block in network.children() for layer in block]
    activations = [kind for kind in kinds if kind in (nn.ELU, nn.ReLU, nn.SELU)]
    assert activations == [nn.ELU, nn.ELU, nn.ReLU, nn.ELU, nn.ReLU, nn.ELU, nn.ReLU, nn.SELU, nn.SELU]
    body = {name: value.clone() for name, value in network.state_dict().items() if not name.startswith("head")}
    network.renew_head(402)
    assert network(torch.randn(3, 974), torch.randn(3, 447)).shape == (3, 402)
    assert all(torch.equal(network.state_dict()[name], value) or "running" in name or "batches" in name
               for name, value in body.items())  # fmt: skip


def test_network_computes_what_the_wiring_says():
    """Against the blocks written out in numpy."""
    torch.manual_seed(0)
    network = TwoHeads(7, 5, 4, width=6, bottleneck=3).double()
    for value in network.state_dict().values():
        if value.dtype.is_floating_point and value.dim() == 1:  # biases, scales, shifts and statistics told apart
            value.copy_(torch.rand_like(value) + 0.1)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    scale = 1.0507009873554805

    def elu(x):
        return np.where(x > 0, x, np.expm1(x))

    def relu(x):
        return np.maximum(x, 0)

    def selu(x):
        return scale * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))

    def block(name, parts, activations):
        x = np.hstack(parts)
        numbers = iter(sorted({int(key.split(".")[1]) for key in weights if key.startswith(f"{name}.")}))
        for activation in activations:
            norm, dense = ({k.split(".")[2]: v for k, v in weights.items() if k.startswith(f"{name}.{number}.")}
                           for number in (next(numbers), next(numbers)))  # fmt: skip
            x = (x - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-3) * norm["weight"] + norm["bias"]
            x = activation(x @ dense["weight"].T + dense["bias"])
        return x

    rng = np.random.default_rng(0)
    h1, h2 = rng.normal(size=(8, 7)), rng.normal(size=(8, 5))
    out1 = block("out1", [h1], (elu, elu))
    a1 = block("a1", [out1, h2], (relu,))
    a2 = block("a2", [out1, h2, a1], (elu, relu))
    a3 = block("a3", [a1, a2], (elu,))
    a3_dash = block("a3b", [a1, a2, a3], (relu,))
    a4 = block("a4", [out1, a2, a3, a3_dash], (selu, selu))
    expected = block("head", [a4], (lambda x: x,))
    network.eval()
    found = network(torch.from_numpy(h1), torch.from_numpy(h2)).detach()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_training_is_that_of_keras_epoch_by_epoch(tmp_path, monkeypatch):
    """Losses, learning rates, the epoch that stops and the one that is kept, then Adadelta; all by Keras itself."""
    first, second, y, weights = keras_reference.problem()
    expected = json.loads(keras_reference.PATH.read_text())
    columns = [*(f"a{i}" for i in range(first.shape[1])), *(f"{SECOND}{i}" for i in range(second.shape[1]))]
    x, y = pd.DataFrame(np.hstack([first, second]), columns=columns), pd.DataFrame(y)
    train = np.arange(keras_reference.TRAIN)
    fold = Fold(x, y, train, np.arange(len(train), len(x)), 0, 0, torch.device("cpu"), tmp_path)

    def build(self, meta):
        network = TwoHeads(first.shape[1], second.shape[1], y.shape[1], self.width, self.bottleneck, self.dropout)
        initial = {name: torch.from_numpy(value) for name, value in weights.items()}
        assert not network.load_state_dict(initial, strict=False).unexpected_keys
        return network

    monkeypatch.setattr(TwoHeadsLearner, "build", build)
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
    fitted = learner.fit(fold)
    for ours, keras in (("train_loss", "loss"), ("valid_stopping_loss", "val_loss"), ("lr", "lr")):
        np.testing.assert_allclose([row[ours] for row in fitted.history], expected[keras], atol=2e-5, err_msg=ours)
    looped = [row["valid_stopping_loss"] for row in fitted.meta["phase3"]]
    np.testing.assert_allclose(looped, expected["looped"], atol=2e-5)


def test_features_have_the_published_widths(dataset):
    treated = dataset.features[dataset.features[CP_TYPE] == TREATED]
    test = dataset.test[dataset.test[CP_TYPE] == TREATED]
    y = dataset.scored.loc[treated.index].to_numpy().any(axis=1).astype(int)
    widths = {}
    for name in (V1, V2):
        config = recipe(name).configure()
        x, _ = recipes.features(config).fit_transform(treated, test, y=y)
        second = x.columns.str.startswith(SECOND)
        widths[name] = ((~second).sum(), second.sum())
        scaled = x.loc[:, second].to_numpy(np.float64)
        np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(scaled.std(0), 1, atol=1e-4)
        assert {"g_mean", "c_mean"} <= set(x) and "gc_mean" not in x
    assert widths == {V1: (872 + 2 + 2 + 100, 447), V2: (872 + 2 + 50 + 50 + 5, 447)}


def test_published_settings_are_the_defaults():
    first, second = recipe(V1).configure(), recipe(V2).configure()
    assert first.seeds == second.seeds == (23, 228, 1488, 1998, 2208, 2077, 404)
    assert first.folds.scheme == "kfold" and first.folds.n_splits == 10 and first.folds.per_seed
    assert first.phase1.phase3 == "none" and first.phase2.phase3 == second.phase2.phase3 == "validation"
    assert (first.phase2.batch_size, second.phase2.batch_size) == (128, 64)
    assert [stage.targets for stage in recipe(V1).stages(first)] == ["nonscored-all", "scored"]


def made_up_fold(tmp_path, rows=600, seed=0, shuffle=True):
    """Labels that follow from the inputs; those of the validation fold are shuffled."""
    rng = np.random.default_rng(seed)
    ids = [f"id_{i}" for i in range(rows)]
    columns = [*[f"a{i}" for i in range(16)], *[f"{SECOND}{i}" for i in range(8)]]
    x = pd.DataFrame(rng.normal(size=(rows, 24)), ids, columns)
    y = pd.DataFrame((x.to_numpy()[:, :6] > 1.2).astype(np.float32), ids, [f"t{i}" for i in range(6)])
    train, valid = np.arange(rows // 2), np.arange(rows // 2, rows)
    if shuffle:
        y.iloc[valid] = y.iloc[rng.permutation(valid)].to_numpy()
    return Fold(x.astype(np.float32), y, train, valid, 1, 0, torch.device("cpu"), tmp_path)


# Learning rates at which a second's steps do what hours of the published ones would.
LOOPING = {
    **{"width": 32, "bottleneck": 16, "batch_size": 32, "lr": 0.01, "epochs": 15},
    **{"loop_lr": 1.0, "loop_epochs": 40, "loop_rounds": 1},
}


def test_published_phase_3_leaks_and_the_honest_oof_does_not(tmp_path):
    """Nobody can predict shuffled labels: who seems to has seen them."""
    fold = made_up_fold(tmp_path)
    fitted = TwoHeadsLearner(phase3="validation", **LOOPING).fit(fold)
    y = fold.y.iloc[fold.valid]
    before, after = (log_loss(y, pd.DataFrame(fitted.variants[name], y.index, y.columns)) for name in (BEFORE, AFTER))
    baseline = log_loss(y, prevalence_baseline(y, y.index))
    assert fitted.meta["honest_oof"] == BEFORE
    assert before > baseline - 0.005
    assert after < baseline - 0.03 and after < before - 0.03
    assert len(fitted.history) <= 15 and all("step" not in row for row in fitted.history)  # phase 3 is not among them
    predicted = TwoHeadsLearner(**LOOPING).predict(fitted, fold.x.iloc[fold.valid], fold.device)
    np.testing.assert_allclose(predicted, fitted.variants[AFTER], atol=1e-6)  # what predicts has been through phase 3
    # The same learner does beat the prevalence, by far, on labels that can be learned.
    fold = made_up_fold(tmp_path, shuffle=False)
    learnable = TwoHeadsLearner(phase3="validation", **LOOPING).fit(fold).variants[BEFORE]
    assert log_loss(fold.y.iloc[fold.valid], pd.DataFrame(learnable, y.index, y.columns)) < baseline - 0.1


def test_phase_3_on_the_training_fold_is_honest(tmp_path):
    fold = made_up_fold(tmp_path)
    fitted = TwoHeadsLearner(phase3="train", **LOOPING).fit(fold)
    y = fold.y.iloc[fold.valid]
    oof = TwoHeadsLearner(**LOOPING).predict(fitted, fold.x.iloc[fold.valid], fold.device)
    assert "honest_oof" not in fitted.meta and not fitted.variants and fitted.meta["phase3"]
    assert log_loss(y, pd.DataFrame(oof, y.index, y.columns)) > log_loss(y, prevalence_baseline(y, y.index)) - 0.005


def test_looper_never_ends_worse_and_ends_by_itself(tmp_path):
    fold = made_up_fold(tmp_path, rows=200)
    fitted = TwoHeadsLearner(phase3="train", **(LOOPING | {"loop_rounds": 300, "loop_epochs": 2, "loop_lr": 0.5})).fit(
        fold
    )
    best = min(row["valid_stopping_loss"] for row in fitted.history)
    loop = [row["valid_stopping_loss"] for row in fitted.meta["phase3"]]
    assert loop and len(loop) < 600 and min(loop) >= 0
    y = torch.tensor(fold.y.iloc[fold.valid].to_numpy())
    oof = torch.tensor(TwoHeadsLearner(**LOOPING).predict(fitted, fold.x.iloc[fold.valid], fold.device))
    smoothed = y * (1 - 0.0005) + 0.5 * 0.0005
    assert nn.functional.binary_cross_entropy(oof, smoothed).item() <= best + 1e-4


def test_phase_2_starts_from_phase_1_with_a_new_head(tmp_path):
    fold = made_up_fold(tmp_path, rows=80)
    learner = TwoHeadsLearner(**(LOOPING | {"epochs": 2}))
    first = learner.fit(fold)
    unmoved = learner.model_copy(update={"epochs": 0})
    second = unmoved.fit(dataclasses.replace(fold, y=fold.y.iloc[:, :4], initial=first)).tensors
    assert {name for name in second if not torch.equal(second[name], first.tensors[name])} == {
        name for name in second if name.startswith("head.") and "num_batches" not in name
    }
    assert second["head.1.weight"].shape == (4, 16) and (second["head.0.running_var"] == 1).all()


@pytest.mark.parametrize("name", [V1, V2])
def test_the_demo_learns_and_scores_by_the_honest_oof(name, demo_weights, dataset):
    runner = open_runner(name, demo_weights, "cpu")
    first, second = (runner.store.load_unit(stage, 23, 0) for stage in ("phase1", "phase2"))
    assert first.meta["n_targets"] == 402 and second.meta["n_targets"] == 206
    # Both phases select by the same labels: weights that are handed on must meet the columns they know.
    assert runner.pipeline("phase1").feature_names_ == runner.pipeline("phase2").feature_names_
    y = dataset.scored[dataset.treated]
    assert log_loss(y, runner.oof()) < 0.8 * log_loss(y, prevalence_baseline(y, y.index))
    honest, before = runner.oof(), runner.oof(BEFORE)
    pd.testing.assert_frame_equal(honest, before)
    assert not honest.equals(runner.oof(AFTER))
