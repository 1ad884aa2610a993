"""How the units of a stage are run: side by side in threads or processes, batched, or one by one."""

import dataclasses

import numpy as np
import pytest
import torch

from moa.errors import UserError
from moa.learners.perceptron.learner import MLPLearner
from moa.learners.runtime import Runtime
from moa.training import executors
from moa.training.executors import LocalExecutor, batches, engine_for, units_at_once
from moa.training.unit import UnitCallback, train_unit
from support.perceptrons import LEARNERS, make_inputs, training_units
from support.process_learners import TabNetInProcesses

CPU, CUDA = Runtime(), Runtime(device="cuda")
TABNET = TabNetInProcesses(n_d=4, n_a=4, epochs=2, batch_size=32, virtual_batch_size=32)


@pytest.fixture
def engine(monkeypatch):
    return lambda name: monkeypatch.setenv("MOA_ENGINE", name)


@pytest.mark.parametrize("learner", [LEARNERS["3-stage"], TABNET], ids=["threads", "processes"])
def test_side_by_side_each_unit_is_the_one_trained_alone_on_one_core(learner, two_threads):
    inputs, units = make_inputs(), training_units(learner, seeds=(1,), n_splits=5)[:3]
    before = torch.get_rng_state()
    found = {result.fold: result for result in LocalExecutor().run(inputs, units)}
    assert torch.get_num_threads() == 2 and torch.equal(torch.get_rng_state(), before)
    torch.set_num_threads(1)
    expected = [train_unit(inputs, unit) for unit in units]
    torch.set_num_threads(2)
    assert len(found) == len(expected)
    for other in expected:
        mine = found[other.fold]
        assert mine.fitted.history == other.fitted.history and mine.threads == other.threads == 1
        assert mine.oof.equals(other.oof)
        assert all(torch.equal(mine.fitted.tensors[name], value) for name, value in other.fitted.tensors.items())


class Interrupting(UnitCallback):
    """Fails at the first epoch of fold 1."""

    def on_epoch_end(self, seed, fold, epoch, epochs, row):
        if fold == 1:
            raise KeyboardInterrupt


def test_side_by_side_a_failure_ends_the_others_with_their_epoch(two_threads):
    units = training_units(MLPLearner(hidden=8, epochs=100_000, batch_size=32), seeds=(1,), n_splits=2)
    with pytest.raises(KeyboardInterrupt):
        list(LocalExecutor().run(make_inputs(n_splits=2), units, Interrupting()))


class Order(UnitCallback):
    """The units in the order in which their epochs end."""

    def __init__(self):
        self.units = []

    def on_epoch_end(self, seed, fold, epoch, epochs, row):
        self.units.append((seed, fold))


def test_one_after_another_uses_all_cores(engine, two_threads):
    engine("sequential")
    order, units = Order(), training_units(LEARNERS["simple"])
    results = list(LocalExecutor().run(make_inputs(), units, order))
    assert [(result.seed, result.fold) for result in results] == [(unit.seed, unit.fold) for unit in units]
    assert order.units == [(unit.seed, unit.fold) for unit in units for _ in range(4)]
    assert {result.threads for result in results} == {2}


def test_where_batches_are_not_wanted_units_run_one_by_one(engine, monkeypatch):
    (unit, *_) = training_units(LEARNERS["simple"])
    on_gpu = dataclasses.replace(unit, runtime=CUDA)
    assert (engine_for(on_gpu), engine_for(on_gpu, batches=False)) == ("ensemble", "sequential")
    engine("ensemble")
    assert (engine_for(unit), engine_for(unit, batches=False)) == ("ensemble", "threads")
    monkeypatch.setattr(executors, "train_batch", None)
    results = list(LocalExecutor(batches=False).run(make_inputs(), training_units(LEARNERS["simple"])[:2]))
    assert len(results) == 2


def test_batches_hold_what_fits_and_share_the_number_of_steps(engine, monkeypatch):
    engine("ensemble")
    monkeypatch.setattr(executors, "units_at_once", lambda *_: 4)
    # 161 rows would leave a last batch of one row, which is not trained on: another number of steps.
    inputs = make_inputs()
    folds = inputs.folds[None]
    folds[np.flatnonzero(folds == 3)[0]] = 2
    found = list(batches(inputs, iter(training_units(LEARNERS["simple"]))))
    assert [[unit.seed * 10 + unit.fold for unit in group] for group in found] == [
        [10, 11, 13, 14],
        [20, 21, 23, 24],
        [12, 22],
    ]


@pytest.mark.parametrize("cores", [1, 2])
def test_units_are_drawn_as_they_are_needed(cores, monkeypatch):
    monkeypatch.setattr(executors, "units_at_once", lambda *_: cores)
    drawn = []
    units = (drawn.append(unit.fold) or unit for unit in training_units(LEARNERS["simple"]))
    results = LocalExecutor().run(make_inputs(), units)
    next(results)
    assert drawn == list(range(cores + 1)), "as many as run, and the one that takes the place of the finished one"
    results.close()


def test_memory_that_holds_files_read_before_is_free(monkeypatch):
    """The system gives it to whoever asks: a machine that has read many files trains as many units at once."""
    monkeypatch.setattr(executors, "available_memory", lambda: 5)
    assert executors.free_memory(CPU.torch_device) == 5
    monkeypatch.setattr(executors, "available_memory", lambda: None)
    assert executors.free_memory(CPU.torch_device) == 0


def test_units_at_once_follow_memory_and_cores(engine, monkeypatch):
    inputs, unit = make_inputs(), training_units(MLPLearner())[0]

    def memory(size):
        monkeypatch.setattr(executors, "free_memory", lambda device: size)

    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    memory(16 * 2**30)
    assert units_at_once(inputs, unit) == 5
    memory(600 * 2**20)
    assert 1 < units_at_once(inputs, unit) < 5
    memory(1 << 30)
    assert units_at_once(inputs, training_units(TABNET)[0]) == 1, "a process takes more"
    engine("ensemble")
    memory(1000)
    assert units_at_once(inputs, unit) == 1
    memory(8 * 2**30)
    few = units_at_once(inputs, unit)
    memory(16 * 2**30)
    assert 10 < few < units_at_once(inputs, unit) < 100
    assert units_at_once(inputs, training_units(MLPLearner(hidden=4096))[0]) < few


def test_the_engine_follows_device_and_learner_unless_set(engine, monkeypatch):
    monkeypatch.delenv("MOA_ENGINE", raising=False)
    perceptron, tabnet = (
        lambda runtime, each=each: training_units(each, runtime=runtime)[0] for each in (MLPLearner(), TABNET)
    )
    assert engine_for(perceptron(CPU)) == "threads" and engine_for(perceptron(CUDA)) == "ensemble"
    assert engine_for(tabnet(CPU)) == "threads" and engine_for(tabnet(CUDA)) == "sequential"
    assert engine_for(tabnet(Runtime(devices=2))) == "sequential"
    engine("ensemble")
    assert engine_for(perceptron(CPU)) == "ensemble" and engine_for(tabnet(CPU)) == "threads"
    engine("fast")
    with pytest.raises(UserError, match="MOA_ENGINE=fast"):
        engine_for(perceptron(CPU))


def test_no_unit_no_result():
    assert list(LocalExecutor().run(make_inputs(), [])) == []
