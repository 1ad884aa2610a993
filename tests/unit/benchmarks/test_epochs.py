"""Times of epochs."""

import itertools

import pytest
import torch

from moa.environment import ENGINE
from moa.learners.runtime import Runtime
from tests.benchmarks import epochs
from tests.benchmarks.epochs import UnitClock, epoch_seconds, member_epoch_seconds, members_at_once
from tests.benchmarks.noise import make_units, noise_fold, noise_inputs
from tests.benchmarks.sizes import QUICK

CPU = Runtime()


def test_epochs_are_timed_without_the_first():
    assert len(epoch_seconds(QUICK.learner(4).fit, noise_fold(QUICK, 64, 16), CPU)) == 3


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("engine", "at_once"), [("sequential", 1), ("threads", 3), ("ensemble", 3)])
def test_a_members_epoch_is_the_time_of_all_by_their_number(monkeypatch, three_threads, engine, at_once):
    monkeypatch.setenv(ENGINE, engine)
    clocks = []

    class Kept(UnitClock):
        def __init__(self, units):
            super().__init__(units)
            clocks.append(self)

    monkeypatch.setattr(epochs, "UnitClock", Kept)
    inputs, units = noise_inputs(QUICK, 64, 16), make_units(QUICK.learner(4), at_once, CPU)
    assert members_at_once(inputs, units[0]) >= at_once
    seconds = member_epoch_seconds(inputs, units)
    times = [clock.times for clock in clocks[0].clocks.values()]
    assert [len(each) for each in times] == [4] * at_once
    spent = max(itertools.chain(*times)) - min(itertools.chain(*times))
    assert seconds == pytest.approx(spent / (3 * at_once)) and seconds > 0


def test_one_unit_runs_at_a_time_where_units_run_one_by_one(monkeypatch, three_threads):
    monkeypatch.setenv(ENGINE, "sequential")
    assert members_at_once(noise_inputs(QUICK, 64, 16), make_units(QUICK.learner(1), 1, CPU)[0]) == 1
