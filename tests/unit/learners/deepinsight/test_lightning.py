"""CNN training under Lightning: optimizer, schedule, batches, and the options that reach it."""

import dataclasses

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from moa.learners.deepinsight.lightning import Batches, FoldModule, cosine
from support.tiny_cnn import TINY, TINY_RESNEST, assert_same, unit_in
from support.units import CPU


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


def test_training_stops_when_the_validation_loss_does_and_stays_stopped(tmp_path, monkeypatch):
    losses = [3.0, 2.0, 2.5, 2.1, 2.2, 1.0]
    validated = []

    def log(self):
        validated.append(self.current_epoch)
        self.log("valid_loss", torch.tensor(losses[self.current_epoch]))

    monkeypatch.setattr(FoldModule, "on_validation_epoch_end", log)
    learner = TINY.model_copy(update={"epochs": 20, "patience": 3})
    first = unit_in(tmp_path).fit(learner)
    assert [row["valid_loss"] for row in first.history] == pytest.approx(losses[:5]) and first.meta["best_epoch"] == 1
    # Killed after stopping, before the unit was stored: the checkpoint is still there.
    assert_same(unit_in(tmp_path).fit(learner), first)
    assert validated == [0, 1, 2, 3, 4]


def test_a_gain_below_a_millionth_does_not_keep_training_going_but_its_epoch_is_kept(tmp_path, monkeypatch):
    losses = [2.0, 1.0, 1.0 - 3e-7, 1.0 - 6e-7, 1.0 - 9e-7, 0.5]
    log = lambda self: self.log("valid_loss", torch.tensor(losses[self.current_epoch]))  # noqa: E731
    monkeypatch.setattr(FoldModule, "on_validation_epoch_end", log)
    fitted = unit_in(tmp_path).fit(TINY.model_copy(update={"epochs": 20, "patience": 3}))
    assert len(fitted.history) == 5 and fitted.meta["best_epoch"] == 4
    losses[2] = 1.0 - 2e-6
    fitted = unit_in(tmp_path / "other").fit(TINY.model_copy(update={"epochs": 6, "patience": 3}))
    assert len(fitted.history) == 6 and fitted.meta["best_epoch"] == 5


def test_folds_of_a_seed_start_from_weights_of_their_own(tmp_path):
    still = TINY.model_copy(update={"epochs": 1, "lr": 1e-12, "weight_decay": 0.0})
    unit = unit_in(tmp_path)
    starts = [dataclasses.replace(unit, fold=fold, runtime=CPU).fit(still).tensors for fold in (0, 1)]
    kernels = [name for name in starts[0] if starts[0][name].ndim == 4]
    assert kernels and not any(torch.allclose(starts[0][name], starts[1][name], atol=1e-3) for name in kernels)


def test_options_reach_lightning(tmp_path, monkeypatch):
    seen = {}

    class Spy(pl.Trainer):
        def __init__(self, **options):
            seen.update(options)
            super().__init__(**options | {"devices": 1, "strategy": "auto"})

    monkeypatch.setattr(pl, "Trainer", Spy)
    unit = unit_in(tmp_path)
    options = {"devices": 3, "strategy": "ddp", "precision": "bf16-mixed", "tensorboard": True, "channels_last": True}
    runtime = unit.runtime.replace(**options)
    fitted = dataclasses.replace(unit, runtime=runtime).fit(TINY.model_copy(update={"epochs": 1}))
    assert (seen["devices"], seen["strategy"], seen["precision"]) == (3, "ddp", "bf16-mixed")
    assert (seen["gradient_clip_val"], seen["max_epochs"], seen["accelerator"]) == (10.0, 1, "cpu")
    assert list(tmp_path.glob("tensorboard/seed-3/fold-1/events*"))
    p, exact = (TINY.predict(fitted, unit.data.X, each) for each in (runtime, CPU))
    np.testing.assert_allclose(p, exact, atol=0.02)
    assert not np.array_equal(p, exact)  # half precision was indeed used


def test_training_loss_is_smoothed_and_validation_loss_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(FoldModule, "configure_optimizers", lambda self: torch.optim.SGD(self.parameters(), lr=0.0))
    plain = {"lr": 0.0, "epochs": 1, "swap_probability": 0.0, "backbone": TINY_RESNEST}
    rows = [
        unit_in(tmp_path / str(s)).fit(TINY.model_copy(update=plain | {"smoothing": s})).history[0] for s in (0.0, 0.5)
    ]
    assert rows[0]["valid_loss"] == rows[1]["valid_loss"]
    assert abs(rows[0]["train_loss"] - rows[1]["train_loss"]) > 1e-3


def drawn_in(folder, threads, monkeypatch):
    """The start, and the rows, images and losses of the first epoch's steps, of a unit trained on so many threads."""
    steps, before = [], torch.get_num_threads()
    original = FoldModule.training_step

    def spying(self, rows, number):
        if not steps:
            steps.append([value.clone() for value in self.network.state_dict().values()])
        state = self._generator.get_state()
        images = self._renderer(self.noise(self._data["train"][0], rows, self._generator))
        self._generator.set_state(state)
        loss = original(self, rows, number)
        steps.append((rows.clone(), images, loss.detach()))
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(FoldModule, "training_step", spying)
        torch.set_num_threads(threads)
        try:
            unit_in(folder).fit(TINY.model_copy(update={"epochs": 1}))
        finally:
            torch.set_num_threads(before)
    return steps


def test_threads_draw_the_same_order_noise_and_start(tmp_path, monkeypatch):
    """What differs between machines is rounding, which training amplifies; nothing is drawn in a race."""
    one, again, two = (
        drawn_in(tmp_path / f"{number}", threads, monkeypatch) for number, threads in enumerate((1, 1, 2))
    )
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(one[0], again[0], two[0], strict=True))
    assert len(one) == len(two) > 3
    for (rows, images, loss), (_, _, same), (others, theirs, near) in zip(one[1:], again[1:], two[1:], strict=True):
        assert torch.equal(rows, others) and torch.equal(images, theirs) and torch.equal(loss, same)
        torch.testing.assert_close(loss, near, rtol=1e-3, atol=0)
