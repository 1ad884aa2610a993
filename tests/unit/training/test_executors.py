"""How the units of a stage are run: side by side, batched, or one by one."""

import dataclasses

import pytest
import torch

from moa.errors import UserError
from moa.learners.perceptron import batched as ensemble
from moa.learners.perceptron.batched import fit_together
from moa.learners.perceptron.learner import MLPLearner
from moa.training.executors import engine_for, fit_group, fit_side_by_side, groups, members_at_once
from support.perceptrons import CPU, LEARNERS, make_folds


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
