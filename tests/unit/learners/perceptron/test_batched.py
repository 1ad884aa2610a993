"""Members trained together come out as they do alone: same batches, masks, statistics, schedule and best epoch."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from moa.errors import UserError
from moa.learners.base import Fold
from moa.learners.dropout import SeededDropout, keep_mask, random_words
from moa.learners.matmul import linear, product
from moa.learners.perceptron import batched as ensemble
from moa.learners.perceptron.batched import fit_together
from moa.learners.perceptron.learner import MLPLearner
from moa.models.registry import recipe
from moa.training.executors import engine_for, fit_group, fit_side_by_side, groups, members_at_once
from moa.training.runner import Runner

CPU = torch.device("cpu")
LEARNERS = {
    "simple": MLPLearner(hidden=24, epochs=4, batch_size=32, smoothing=0.001),
    "3-stage": MLPLearner(hidden=24, epochs=4, batch_size=32, dropout=(0.15, 0.3, 0.25), target_clip=(0.0005, 0.9995)),
    "2-fc": MLPLearner(block="2-fc", hidden=24, epochs=4, batch_size=32, dropout=(0.2, 0.25), max_lr=5e-4),
}


def make_folds(rows=203, n_splits=5, seeds=(1, 2), n_inputs=11, n_targets=5):
    """203 rows in 5 folds: 162 or 163 to train on, so the last batches of members differ in size."""
    rng = np.random.default_rng(0)
    index = pd.Index([f"id_{i}" for i in range(rows)], name="sig_id")
    x = pd.DataFrame(rng.normal(size=(rows, n_inputs)).astype(np.float32), index).add_prefix("f")
    signal = x.to_numpy() @ rng.normal(size=(n_inputs, n_targets)) + rng.normal(size=(rows, n_targets))
    y = pd.DataFrame((signal > 3).astype(np.float32), index).add_prefix("t")
    number = np.arange(rows) % n_splits
    return [
        Fold(x, y, np.flatnonzero(number != k), np.flatnonzero(number == k), seed, k, CPU, Path("unused"))
        for seed in seeds
        for k in range(n_splits)
    ]


@pytest.mark.parametrize("name", LEARNERS)
def test_each_member_equals_the_one_trained_alone(name):
    learner, folds = LEARNERS[name], make_folds()
    assert len({len(fold.train) for fold in folds}) > 1
    together = fit_together(learner, folds, torch.float64)
    assert len(together) == 10
    for fold, fitted in zip(folds, together, strict=True):
        alone = learner.fit(fold, torch.float64)
        assert fitted.tensors.keys() == alone.tensors.keys() and fitted.meta == alone.meta
        for key, value in alone.tensors.items():
            torch.testing.assert_close(
                fitted.tensors[key], value, rtol=1e-6, atol=1e-8, msg=lambda m, k=key: f"{k}: {m}"
            )
        assert [row["epoch"] for row in fitted.history] == [0, 1, 2, 3]
        for kind in ("train_loss", "valid_loss"):
            mine, other = ([row[kind] for row in f.history] for f in (fitted, alone))
            assert mine == pytest.approx(other, rel=1e-8)


def test_in_single_precision_they_agree_at_the_end():
    learner = MLPLearner(hidden=32, epochs=20, batch_size=32, max_lr=3e-3)
    folds = make_folds(rows=403)
    together = fit_together(learner, folds)
    alone = [learner.fit(fold) for fold in folds]
    best = [[min(row["valid_loss"] for row in fitted.history) for fitted in kind] for kind in (together, alone)]
    assert np.ptp(best[1]) > 0.02  # members do differ from one another
    np.testing.assert_allclose(best[0], best[1], rtol=0.02)
    np.testing.assert_allclose(np.mean(best[0]), np.mean(best[1]), rtol=0.003)


def test_side_by_side_each_member_is_the_one_trained_alone_on_one_core():
    learner, folds = LEARNERS["3-stage"], make_folds(seeds=(1,))
    threads = torch.get_num_threads()
    before = torch.get_rng_state()
    beside = fit_group(learner, folds)
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), before)
    torch.set_num_threads(1)
    try:
        alone = [learner.fit(fold) for fold in folds]
    finally:
        torch.set_num_threads(threads)
    for mine, other in zip(beside, alone, strict=True):
        assert mine.history == other.history
        assert all(torch.equal(mine.tensors[name], value) for name, value in other.tensors.items())


def test_side_by_side_a_failure_ends_the_others_with_their_epoch():
    learner = MLPLearner(hidden=8, epochs=100_000, batch_size=32)
    folds = make_folds(n_splits=2, seeds=(1,))

    def fail(*_):
        raise KeyboardInterrupt

    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        fit_side_by_side(learner, [folds[0], dataclasses.replace(folds[1], on_epoch=fail)])
    assert torch.get_num_threads() == threads


def test_members_keep_different_epochs():
    learner = MLPLearner(hidden=32, epochs=30, batch_size=32, dropout=(0.0, 0.0, 0.0))
    folds = make_folds(rows=123)
    together = fit_together(learner, folds)
    kept = {int(np.argmin([row["valid_loss"] for row in fitted.history])) for fitted in together}
    assert len(kept) > 1
    steps = 4  # 98 or 99 rows in batches of 32
    for fitted in together:
        best = int(np.argmin([row["valid_loss"] for row in fitted.history]))
        assert fitted.tensors["0.num_batches_tracked"].item() == (best + 1) * steps


def test_a_members_result_does_not_depend_on_its_group():
    learner, folds = LEARNERS["3-stage"], make_folds()
    whole = fit_together(learner, folds, torch.float64)[3]
    pair = fit_together(learner, [folds[8], folds[3]], torch.float64)[1]
    for name, value in whole.tensors.items():
        torch.testing.assert_close(pair.tensors[name], value, rtol=1e-7, atol=1e-9)


def test_predictions_of_a_member_need_nothing_of_the_others():
    learner, folds = LEARNERS["simple"], make_folds()
    fitted = fit_together(learner, folds)[4]
    found = learner.predict(fitted, folds[4].x.iloc[folds[4].valid], CPU)
    truth = folds[4].y.iloc[folds[4].valid].to_numpy()
    loss = -np.mean(truth * np.log(found) + (1 - truth) * np.log(1 - found))
    assert loss == pytest.approx(min(row["valid_loss"] for row in fitted.history), rel=1e-4)


def test_groups_hold_what_fits_and_share_the_number_of_steps(monkeypatch):
    learner, folds = LEARNERS["simple"], make_folds()
    monkeypatch.setenv("MOA_ENGINE", "sequential")
    assert [len(group) for group in groups(learner, folds)] == [1] * 10
    monkeypatch.setenv("MOA_ENGINE", "threads")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert [len(group) for group in groups(learner, folds)] == [3, 3, 3, 1]
    monkeypatch.setenv("MOA_ENGINE", "ensemble")
    monkeypatch.setattr(ensemble, "members_at_once", lambda *_: 4)
    # 161 rows would leave a last batch of one row, which is not trained on: another number of steps.
    folds[2] = dataclasses.replace(folds[2], train=folds[2].train[:161])
    found = list(groups(learner, iter(folds)))
    assert [[fold.seed * 10 + fold.fold for fold in group] for group in found] == [
        [10, 11, 13, 14],
        [20, 21, 22, 23],
        [12],
        [24],
    ]
    with pytest.raises(ValueError, match="number of steps"):
        fit_together(learner, folds)


@pytest.mark.parametrize("cores", [1, 2])
def test_groups_draw_folds_as_they_are_needed(cores, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    drawn = []
    lazy = groups(LEARNERS["simple"], (drawn.append(fold.fold) or fold for fold in make_folds()))
    next(lazy)
    assert drawn == list(range(cores))


def test_members_at_once_follow_memory_and_cores(monkeypatch):
    fold, learner = make_folds()[0], MLPLearner()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    monkeypatch.setattr(ensemble, "free_memory", lambda device: 16 * 2**30)
    assert members_at_once(learner, fold) == 5
    monkeypatch.setattr(ensemble, "free_memory", lambda device: 600 * 2**20)
    assert 1 < members_at_once(learner, fold) < 5
    monkeypatch.setenv("MOA_ENGINE", "ensemble")
    monkeypatch.setattr(ensemble, "free_memory", lambda device: 1000)
    assert members_at_once(learner, fold) == 1
    monkeypatch.setattr(ensemble, "free_memory", lambda device: 8 * 2**30)
    few = members_at_once(learner, fold)
    monkeypatch.setattr(ensemble, "free_memory", lambda device: 16 * 2**30)
    assert 10 < few < members_at_once(learner, fold) < 100
    assert members_at_once(MLPLearner(hidden=4096), fold) < few


def test_the_engine_follows_the_device_unless_told(monkeypatch):
    monkeypatch.delenv("MOA_ENGINE", raising=False)
    assert engine_for(CPU) == "threads" and engine_for(torch.device("cuda")) == "ensemble"
    monkeypatch.setenv("MOA_ENGINE", "ensemble")
    assert engine_for(CPU) == "ensemble"
    monkeypatch.setenv("MOA_ENGINE", "fast")
    with pytest.raises(UserError, match="MOA_ENGINE=fast"):
        engine_for(CPU)


@pytest.mark.parametrize("members", [(), (3,)])
def test_gradients_of_the_products(members):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*members, *shape, dtype=torch.float64, generator=generator).requires_grad_()

    x, weight, bias, length, scale, shift = draw(5, 4), draw(6, 4), draw(6), draw(6, 1), draw(4), draw(4)
    for around in ((), (length,)):
        assert torch.autograd.gradcheck(linear, (x, weight, bias, *around))
    for around in (None, length):
        assert torch.autograd.gradcheck(linear, (x.detach(), weight, bias, around, scale, shift))
    normed = torch._weight_norm(weight.flatten(0, -2), length.flatten(0, -2), 0).view_as(weight)
    expected = (x * scale.unsqueeze(-2) + shift.unsqueeze(-2)) @ normed.mT + bias.unsqueeze(-2)
    torch.testing.assert_close(linear(x.detach(), weight, bias, length, scale, shift), expected)


@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 1091, 300), (70, 333, 206), (256, 100, 5), (3, 4, 5)])
def test_products_in_single_precision(rows, inner, columns):
    generator = torch.Generator().manual_seed(0)
    a, b, bias = (torch.randn(*s, generator=generator) for s in ((rows, inner), (columns, inner), (columns,)))
    expected = (a.double() @ b.double().T + bias).float()
    torch.testing.assert_close(product(a, b, bias), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(product(a.T.contiguous().T, b.T.contiguous().T, bias), expected, rtol=1e-4, atol=1e-4)
    stacked = product(torch.stack([a, -a]), torch.stack([b, b]), torch.stack([bias, -bias]))
    torch.testing.assert_close(stacked, torch.stack([expected, -expected]), rtol=1e-4, atol=1e-4)


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


def test_a_killed_run_redoes_only_the_group_in_flight(monkeypatch, tmp_path, dataset):
    recipe_ = recipe("simple-nn-old-cv")
    small = {"gene_factors": 2, "cell_factors": 2, "gene_clusters": None, "learner": {"hidden": 16, "epochs": 2}}
    config = recipe_.configure("demo", small)
    alone = Runner(recipe_, tmp_path / "alone", config).train(dataset)

    monkeypatch.setenv("MOA_ENGINE", "ensemble")
    monkeypatch.setattr(ensemble, "members_at_once", lambda *_: 2)
    trained: list[list[tuple[int, int]]] = []

    def killed_in_the_second_group(learner, folds):
        trained.append([(fold.seed, fold.fold) for fold in folds])
        if len(trained) == 2:
            raise KeyboardInterrupt
        return fit_together(learner, folds)

    monkeypatch.setattr(ensemble, "fit_together", killed_in_the_second_group)
    runner = Runner(recipe_, tmp_path / "together", config)
    with pytest.raises(KeyboardInterrupt):
        runner.train(dataset)
    assert runner.missing_units() == 4
    resumed = runner.train(dataset)
    assert [len(group) for group in trained] == [2, 2, 2, 2] and trained[1] == trained[2]
    assert runner.missing_units() == 0
    for kind in ("oof", "test"):
        mine, other = getattr(resumed, kind), getattr(alone, kind)
        pd.testing.assert_index_equal(mine.index, other.index)
        np.testing.assert_allclose(mine, other, rtol=0.02, atol=1e-4)
        assert not np.allclose(other, other.mean(axis=0), rtol=0.05)  # rows do differ by more than that
