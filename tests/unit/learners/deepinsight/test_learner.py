"""DeepInsight CNNs: one fold under Lightning, kill and resume, prediction."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from pydantic import TypeAdapter
from sklearn.metrics import roc_auc_score
from torch import nn

from moa.errors import UserError
from moa.jobs.train import run_by, train_models
from moa.learners.base import Fold
from moa.learners.common import epoch_seed
from moa.learners.deepinsight.learner import CNNLearner, Runtime
from moa.learners.deepinsight.lightning import Batches, FoldModule, cosine
from moa.models.registry import recipe
from moa.training.runner import Runner
from support import TESTS
from support.tiny_cnn import CPU, TINY, TINY_RESNEST, assert_same, fold_in, tables


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run of the tiny learner."""
    return TINY.fit(fold_in(tmp_path_factory.mktemp("whole")))


def log_loss(p, y):
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


# Optimizer and schedule


def test_radam_is_torchs_own_with_decoupled_decay():
    from torch_optimizer import RAdam

    torch.manual_seed(0)
    first, x = nn.Linear(6, 4), torch.randn(30, 6)
    second = nn.Linear(6, 4)
    second.load_state_dict(first.state_dict())
    start = first.weight.detach().clone()
    kinds = [
        (first, RAdam(first.parameters(), lr=0.02, weight_decay=0.3)),
        (second, torch.optim.RAdam(second.parameters(), lr=0.02, weight_decay=0.3, decoupled_weight_decay=True)),
    ]
    for _ in range(40):
        for network, optimizer in kinds:
            optimizer.zero_grad()
            network(x).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(first.weight, second.weight, rtol=1e-5, atol=1e-6)
    assert (first.weight - start).abs().max() > 0.1


def test_learning_rate_is_the_plain_cosine_that_rises_again():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    for epoch in range(23):
        assert cosine(0.4, epoch, 5) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        schedule.step()
    assert [cosine(0.4, epoch, 5) for epoch in (0, 5, 10)] == pytest.approx([0.4, 0, 0.4])


def test_batches_hold_each_row_once_in_an_order_of_the_epoch():
    order = lambda rows: torch.randperm(rows, generator=torch.Generator().manual_seed(seeds.pop()))  # noqa: E731
    seeds = [2, 1, 1]
    batches = Batches(33, 8, order)
    epochs = [torch.cat(list(batches)) for _ in range(3)]
    assert len(batches) == 4 and all(len(epoch.unique()) == 32 for epoch in epochs)  # one row alone is left out
    assert torch.equal(epochs[0], epochs[1]) and not torch.equal(epochs[0], epochs[2])
    assert torch.cat(list(Batches(33, 8))).tolist() == list(range(33))
    shares = []
    for rank in range(2):
        shared = Batches(33, 8, lambda rows: torch.arange(rows).flip(0))
        shared.share = (rank, 2)
        assert len(list(shared)) == len(shared) == 2
        shares += torch.cat(list(shared)).tolist()
    assert sorted(shares) == list(range(1, 33))


def test_random_streams_differ_by_seed_fold_epoch_and_purpose():
    places = [(s, f, e, k) for s in range(3) for f in range(3) for e in range(5) for k in range(3)]
    assert len({epoch_seed(*place) for place in places}) == len(places)


# One fold


def test_hyper_parameters_survive_a_dump_and_runtime_is_none_of_them():
    learner = CNNLearner(backbone=TINY_RESNEST, resolution=224, runtime=Runtime(devices=2), weights_dir=Path("w"))
    dumped = learner.model_dump()
    assert "runtime" not in dumped and "weights_dir" not in dumped
    again = TypeAdapter(CNNLearner).validate_python(dumped)
    assert again.backbone == TINY_RESNEST and again.resolution == 224 and again.runtime == Runtime()


def test_fit_keeps_the_best_epoch_and_predicts_what_it_was_scored_on(whole, tmp_path):
    fold = fold_in(tmp_path)
    assert [row["epoch"] for row in whole.history] == [0, 1, 2, 3]
    losses = [row["valid_loss"] for row in whole.history]
    assert whole.meta["best_epoch"] == int(np.argmin(losses))
    assert [row["lr"] for row in whole.history] == pytest.approx([cosine(3e-3, e, 5) for e in range(4)])
    valid = fold.x.iloc[fold.valid]
    p = TINY.predict(whole, valid, CPU)
    assert p.shape == (20, 3) and p.dtype == np.float32
    assert log_loss(p, fold.y.iloc[fold.valid].to_numpy()) == pytest.approx(min(losses), rel=1e-5)
    # A row's prediction is its own: any number of rows, in any order.
    np.testing.assert_allclose(TINY.predict(whole, valid.iloc[[7]], CPU)[0], p[7], atol=1e-6)
    small = TINY.model_copy(update={"runtime": Runtime(predict_batch=3)})
    np.testing.assert_allclose(small.predict(whole, valid.iloc[::-1], CPU)[::-1], p, atol=1e-6)
    assert TINY.predict(whole, valid.iloc[:0], CPU).shape == (0, 3)
    assert all(value.is_contiguous() and value.device == CPU for value in whole.tensors.values())


def test_fit_sees_the_training_rows_alone_and_leaves_everything_as_it_was(whole, tmp_path):
    fold = fold_in(tmp_path)
    clean, state = fold.x.copy(), torch.get_rng_state()
    seen = []
    again = TINY.fit(Fold(**(vars(fold) | {"on_epoch": lambda *values: seen.append(values)})))
    pd.testing.assert_frame_equal(fold.x, clean)
    assert torch.equal(torch.get_rng_state(), state)
    assert [(epoch, epochs) for epoch, epochs, _ in seen] == [(e, 4) for e in range(4)]
    assert seen[-1][2] == again.history[-1]
    assert_same(again, whole)
    np.testing.assert_allclose(whole.tensors["scaler.minimum"], fold.x.iloc[fold.train].min())
    other = TINY.fit(Fold(**(vars(fold_in(tmp_path / "other")) | {"seed": 4})))
    assert other.history != whole.history


def test_columns_of_another_table_are_refused(whole):
    x, _ = tables(5)
    with pytest.raises(UserError, match="column 2 of the features is f-2, but the network was trained with f-1"):
        TINY.predict(whole, x.drop(columns="f-1"), CPU)
    with pytest.raises(UserError, match="column 40 of the features is nothing"):
        TINY.predict(whole, x.iloc[:, :-1], CPU)


def test_a_planted_target_is_learned(tmp_path):
    x, y = tables(500, targets=2)
    learner = TINY.model_copy(
        update={"backbone": TINY_RESNEST, "epochs": 6, "swap_probability": 0.1, "half_cycle": 6, "batch_size": 32}
    )
    order = np.random.default_rng(0).permutation(500)
    fold = Fold(x, y, order[100:], order[:100], 0, 0, CPU, tmp_path)
    p = learner.predict(learner.fit(fold), x.iloc[order[:100]], CPU)
    assert roc_auc_score(y.iloc[order[:100], 0], p[:, 0]) > 0.95


# Kill and resume


def train_until_killed(scratch, threads):
    """In a process of its own: dies without a word in the second batch of the third epoch."""
    step = FoldModule.training_step

    def dying(self, rows, number):
        if (self.current_epoch, number) == (2, 1):
            os._exit(9)
        return step(self, rows, number)

    FoldModule.training_step = dying
    torch.set_num_threads(threads)
    TINY.fit(fold_in(scratch))


def test_a_killed_fold_ends_where_an_uninterrupted_one_does(whole, tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    process = multiprocessing.get_context("spawn").Process(target=train_until_killed, args=(str(tmp_path), threads))
    process.start()
    process.join()
    assert process.exitcode == 9 and len(list(tmp_path.glob("last-*.ckpt"))) == 1
    trained = []
    step = FoldModule.training_step
    monkeypatch.setattr(
        FoldModule,
        "training_step",
        lambda self, rows, number: trained.append(self.current_epoch) or step(self, rows, number),
    )
    torch.set_num_threads(threads + 1)  # as another library may do; sums come out different with it
    try:
        resumed = TINY.fit(fold_in(tmp_path))
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert set(trained) == {2, 3}  # two epochs were not trained again
    assert_same(resumed, whole)
    fold = fold_in(tmp_path)
    assert np.array_equal(TINY.predict(resumed, fold.x, CPU), TINY.predict(whole, fold.x, CPU))
    # Other settings do not take the checkpoint up.
    trained.clear()
    TINY.model_copy(update={"epochs": 1, "smoothing": 0.0}).fit(fold)
    assert set(trained) == {0}


def test_training_stops_when_the_validation_loss_does_and_stays_stopped(tmp_path, monkeypatch):
    losses = [3.0, 2.0, 2.5, 2.1, 2.2, 1.0]
    validated = []

    def log(self):
        validated.append(self.current_epoch)
        self.log("valid_loss", torch.tensor(losses[self.current_epoch]))

    monkeypatch.setattr(FoldModule, "on_validation_epoch_end", log)
    learner = TINY.model_copy(update={"epochs": 20, "patience": 3})
    first = learner.fit(fold_in(tmp_path))
    assert [row["valid_loss"] for row in first.history] == pytest.approx(losses[:5]) and first.meta["best_epoch"] == 1
    # Killed after stopping, before the unit was stored: the checkpoint is still there.
    assert_same(learner.fit(fold_in(tmp_path)), first)
    assert validated == [0, 1, 2, 3, 4]


# Lightning


def test_options_reach_lightning(tmp_path, monkeypatch):
    seen = {}

    class Spy(pl.Trainer):
        def __init__(self, **options):
            seen.update(options)
            super().__init__(**options | {"devices": 1, "strategy": "auto"})

    monkeypatch.setattr(pl, "Trainer", Spy)
    runtime = Runtime(devices=3, strategy="ddp", precision="bf16-mixed", tensorboard=True, channels_last=True)
    learner = TINY.model_copy(update={"runtime": runtime, "epochs": 1})
    fitted = learner.fit(fold_in(tmp_path))
    assert (seen["devices"], seen["strategy"], seen["precision"]) == (3, "ddp", "bf16-mixed")
    assert (seen["gradient_clip_val"], seen["max_epochs"], seen["accelerator"]) == (10.0, 1, "cpu")
    assert list(tmp_path.glob("tensorboard/seed-3/fold-1/events*"))
    p = learner.predict(fitted, fold_in(tmp_path).x, CPU)
    exact = TINY.predict(fitted, fold_in(tmp_path).x, CPU)
    np.testing.assert_allclose(p, exact, atol=0.02)
    assert not np.array_equal(p, exact)  # half precision was indeed used


def test_training_loss_is_smoothed_and_validation_loss_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(FoldModule, "configure_optimizers", lambda self: torch.optim.SGD(self.parameters(), lr=0.0))
    plain = {"lr": 0.0, "epochs": 1, "swap_probability": 0.0, "backbone": TINY_RESNEST}
    rows = [
        TINY.model_copy(update=plain | {"smoothing": s}).fit(fold_in(tmp_path / str(s))).history[0] for s in (0.0, 0.5)
    ]
    assert rows[0]["valid_loss"] == rows[1]["valid_loss"]
    assert abs(rows[0]["train_loss"] - rows[1]["train_loss"]) > 1e-3


def test_precision_follows_the_chip(monkeypatch):
    assert Runtime().precision_on(CPU) == "32-true"
    for has_it, expected in ((True, "bf16-mixed"), (False, "16-mixed")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has_it=has_it: has_it)
        assert Runtime().precision_on(torch.device("cuda")) == expected
    assert Runtime(precision="16-mixed").precision_on(CPU) == "16-mixed"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_fold_on_cuda(tmp_path):
    device = torch.device("cuda")
    fitted = TINY.fit(fold_in(tmp_path, device=device))
    p, on_cpu = (TINY.predict(fitted, fold_in(tmp_path).x, where) for where in (device, CPU))
    np.testing.assert_allclose(p, on_cpu, atol=0.03)


def test_two_devices_end_with_the_same_weights(tmp_path):
    """Two processes on the CPU: each takes its share of the rows, and both draw by the map of the first."""
    command = [sys.executable, TESTS / "support" / "two_devices.py", tmp_path]
    script = subprocess.run(command, capture_output=True, text=True, check=False)
    assert script.returncode == 0, script.stderr
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in range(2))
    assert first["history"] == second["history"] and len(first["history"]) == 2
    assert all(torch.equal(value, second["tensors"][name]) for name, value in first["tensors"].items())


# The command line


def test_runtime_reads_the_options_of_the_command_line():
    assert Runtime.of({"devices": "2"}).devices == 2 and Runtime.of({"devices": "0,3"}).devices == (0, 3)
    assert Runtime.of({"devices": "auto", "tensorboard": Path("logs")}).tensorboard == Path("logs")
    assert Runtime(devices=2).lightning(CPU)["strategy"] == "ddp" and Runtime().lightning(CPU)["strategy"] == "auto"
    for option, value in [("devices", "0"), ("devices", "1,1"), ("devices", "x"), ("strategy", "dp"), ("precision", 8)]:
        with pytest.raises(UserError, match=f"--{option} {value}: expected"):
            Runtime.of({option: value})


def test_runtime_is_held_against_the_device(monkeypatch):
    Runtime(devices=4).check(CPU)
    with pytest.raises(UserError, match="16-mixed needs a GPU"):
        Runtime(precision="16-mixed").check(CPU)
    with pytest.raises(UserError, match="--devices 0,1 names GPUs"):
        Runtime(devices=(0, 1)).check(CPU)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for devices in (2, (0, 1), "auto"):
        Runtime(devices=devices).check(torch.device("cuda"))
        assert Runtime(devices=devices, precision="16-mixed").lightning(torch.device("cuda"))["strategy"] == "ddp"
    for devices in (3, (0, 2)):
        with pytest.raises(UserError, match="3 are asked for, 2 visible"):
            Runtime(devices=devices).check(torch.device("cuda"))


def test_runtime_reaches_the_learner_and_no_manifest(tmp_path):
    model = recipe("deepinsight-resnest-v1")
    plain = model.configure("demo")
    config = run_by(Runtime(precision="bf16-mixed", tensorboard=tmp_path), model, plain)
    runtime = Runner(model, tmp_path, config).last.learner.runtime
    assert (runtime.precision, runtime.tensorboard) == ("bf16-mixed", tmp_path / model.name)
    assert config.model_dump(mode="json") == plain.model_dump(mode="json")
    assert run_by(None, model, plain) is plain
    with pytest.raises(UserError, match="simple-nn-old-cv is no CNN"):
        train_models([recipe("simple-nn-old-cv")], tmp_path, tmp_path, "demo", "cpu", runtime=Runtime(devices=2))
