"""What follows from the settings of a perceptron."""

import torch

from moa.learners.perceptron import setup
from moa.learners.perceptron.learner import MLPLearner
from support.perceptrons import make_unit
from support.units import CPU

SMALL = MLPLearner(hidden=16, batch_size=50, target_clip=(0.1, 0.8))


def test_tables_are_the_folds_with_clipped_targets():
    data = make_unit().data
    X, y = setup.tables(SMALL, data, CPU.torch_device, torch.float64)
    assert X.dtype == y.dtype == torch.float64 and torch.equal(X, torch.tensor(data.X.to_numpy()).double())
    torch.testing.assert_close(y, 0.1 + 0.7 * torch.tensor(data.y.to_numpy()).double())


def test_a_batch_key_is_the_number_of_steps():
    unit = make_unit()  # 180 training rows
    assert SMALL.batch_key(unit.data) == 4
    assert SMALL.batch_key(unit.with_data(train=unit.data.train[:151]).data) == 3, "a last row alone is left out"


def test_memory_grows_with_the_network():
    data = make_unit().data
    sizes = [SMALL.model_copy(update={"hidden": hidden}).unit_bytes(data) for hidden in (16, 256, 1024)]
    parameters = 12 * 1024 + 1024 * 1024 + 1024 * 4
    assert sizes[0] < sizes[1] < sizes[2] and sizes[2] > 7 * 4 * parameters
